//! The component's `describe` document, parsed leniently: unknown members are ignored, optional ones default.
//!
//! Pure. Decides which hosts a configuration leads to and which of its values are secret.

mod config_key;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::config_key::ConfigKey;
use crate::boundary;
use crate::egress::policy::Target;
use crate::error::{Error, Kind, Origin, Result};

/// Hosts that an error lists.
pub(crate) const SHOWN_MAX: usize = 10;

/// The members of the document that the runner uses; the others stay in `document`.
#[derive(Clone, Debug, Deserialize)]
pub struct Describe {
    /// The connector's name.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub title: String,
    /// Its own version.
    #[serde(default)]
    pub version: String,
    /// One line.
    #[serde(default)]
    pub summary: String,
    /// The contract it implements.
    #[serde(default)]
    pub contract: String,
    /// JSON Schema of the configuration.
    #[serde(default)]
    pub configuration: Value,
    /// How to authorize.
    #[serde(default)]
    pub authorization: Value,
    /// Origins it calls.
    #[serde(default)]
    pub hosts: Vec<Host>,
    /// Tables that are known without discovery.
    #[serde(default)]
    pub tables: Vec<TableInfo>,
    /// Named actions.
    #[serde(default)]
    pub commands: Vec<CommandInfo>,
    /// Its webhooks, if it has any.
    #[serde(default)]
    pub webhook: WebhookInfo,
    /// The whole document.
    #[serde(skip)]
    pub document: Value,
}

/// One origin, as a function of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Host {
    /// For people.
    #[serde(default)]
    pub name: String,
    /// Configuration key that overrides it with a URL.
    #[serde(default)]
    pub key: Option<String>,
    /// Configuration key whose value selects from `urls`.
    #[serde(default)]
    pub select: Option<String>,
    /// The selected key of `urls` when `select` is not set.
    #[serde(default)]
    pub default: Option<String>,
    /// URLs by the value of `select`.
    #[serde(default)]
    pub urls: Map<String, Value>,
}

/// A table as described.
#[derive(Clone, Debug, Deserialize)]
pub struct TableInfo {
    /// Its name.
    pub name: String,
    /// Other names for it.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The group that it belongs to, if tables come in groups.
    #[serde(default)]
    pub group: String,
    /// For people.
    #[serde(default)]
    pub title: String,
    /// Scopes that the grant needs to read it.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// `snapshot`, `count`, `incremental`, `webhook`.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// The members that describe the attachment of a row, where each has one.
    #[serde(default)]
    pub attachment: Option<AttachmentMembers>,
    /// How changes are found after a snapshot: `search`, `sorted-list`, or `full-refresh`, which is another
    /// snapshot.
    #[serde(default)]
    pub incremental: String,
    /// Expected credits of a first read of 1,000 rows.
    #[serde(default)]
    pub first_read_credits: Option<u64>,
}

/// The members of a row that describe its attachment.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AttachmentMembers {
    /// The member with its name; empty: it has none.
    #[serde(default)]
    pub name: String,
    /// The member with its size in bytes, a number or digits; empty: it has none.
    #[serde(default)]
    pub size: String,
}

/// A command as described.
#[derive(Clone, Debug, Deserialize)]
pub struct CommandInfo {
    /// Its name.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub title: String,
}

/// Webhooks as described.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct WebhookInfo {
    /// Ways to set one up by hand.
    #[serde(default)]
    pub setup: Vec<Setup>,
}

/// One way to set a webhook up by hand.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Setup {
    /// For people.
    #[serde(default)]
    pub title: String,
    /// What to do, in this order.
    #[serde(default)]
    pub steps: Vec<String>,
}

impl Setup {
    /// The placeholder for the URL in a step.
    const URL: &'static str = "{url}";

    /// The same steps, with this URL filled in.
    pub fn with_url(&self, url: &str) -> Self {
        let steps = self.steps.iter().map(|step| step.replace(Self::URL, url)).collect();
        Self { title: self.title.clone(), steps }
    }
}

impl Describe {
    /// Reads the document.
    pub fn parse(text: &str) -> Result<Self> {
        boundary::document(&boundary::limits::DESCRIBE, "describe", text)?;
        let wrong = |error: serde_json::Error| {
            Error::data(format!("describe: not the document of the contract: {error}"))
        };
        let document: Value = serde_json::from_str(text).map_err(wrong)?;
        let mut describe = Self::deserialize(&document).map_err(wrong)?;
        boundary::limits::TABLES.admit("describe", describe.tables.len())?;
        describe.document = document;
        Ok(describe)
    }

    /// The name of the table that `name` or an alias stands for; `name` itself if none has it.
    pub fn table_name(&self, name: &str) -> String {
        let named = self.tables.iter().find(|table| table.name == name);
        let alias = || self.tables.iter().find(|table| table.aliases.iter().any(|alias| alias == name));
        named.or_else(alias).map_or_else(|| name.to_owned(), |table| table.name.clone())
    }

    /// Whether a table is read incrementally after its snapshot, and not by another snapshot.
    pub(crate) fn reads_changes(&self, table: &str) -> bool {
        let has = |info: &TableInfo| info.capabilities.iter().any(|capability| capability == "incremental");
        let mut infos = self.tables.iter().filter(|info| info.name == table);
        infos.any(|info| has(info) && info.incremental != "full-refresh")
    }

    /// Which of these tables have webhooks; fails if none has.
    pub fn subscribable(&self, tables: &[String]) -> Result<Vec<String>> {
        let has_webhook = |table: &&String| {
            let mut infos = self.tables.iter().filter(|info| info.name == **table);
            infos.any(|info| info.capabilities.iter().any(|capability| capability == "webhook"))
        };
        let subscribable: Vec<String> = tables.iter().filter(has_webhook).cloned().collect();
        if subscribable.is_empty() {
            let message = "none of the tables of this connection has webhooks";
            return Err(Error::new(Origin::Component, Kind::Unsupported, message)
                .hint("without webhooks, `serve` keeps them up to date by polling"));
        }
        Ok(subscribable)
    }

    /// Every host that some configuration leads to, and every key of the configuration that may name one.
    pub fn possible_hosts(&self) -> BTreeSet<String> {
        let urls = self.hosts.iter().flat_map(|host| host.urls.values());
        let uris = urls.filter_map(|url| url.as_str()?.parse().ok());
        let hosts = uris.filter_map(|uri| Target::of(&uri)).map(|target| target.to_string());
        let keys = self.hosts.iter().filter_map(|host| host.key.as_ref());
        hosts.chain(keys.map(|key| format!("the host in `{key}` of [config]"))).collect()
    }

    /// Fails if this answer of a component lists other hosts than its section: an auditor reads the section.
    pub(crate) fn agrees_with(&self, section: &Self) -> Result<()> {
        if self.hosts == section.hosts {
            return Ok(());
        }
        let (answer, section) = (self.possible_hosts(), section.possible_hosts());
        let new: Vec<&str> = answer.difference(&section).map(String::as_str).take(SHOWN_MAX).collect();
        let what = if new.is_empty() { String::new() } else { format!(": {}", new.join(", ")) };
        let message = format!("its answer to `describe` has other hosts than its section{what}");
        Err(Error::sandbox(Kind::Permission, message)
            .hint("do not use it: what an auditor reads in the file is not what it asks for"))
    }

    /// The origins that the component calls with this configuration.
    pub fn targets(&self, config: &Map<String, Value>) -> Result<Vec<Target>> {
        let mut targets = Vec::new();
        for host in &self.hosts {
            if let Some(target) = host.target(config)? {
                targets.push(target);
            }
        }
        targets.sort();
        targets.dedup();
        Ok(targets)
    }
}

impl Host {
    fn target(&self, config: &Map<String, Value>) -> Result<Option<Target>> {
        let set = |key: &Option<String>| {
            let value = config.get(key.as_deref()?)?.as_str()?;
            (!value.is_empty()).then_some(value)
        };
        if let Some(url) = set(&self.key) {
            let key = self.key.as_deref().unwrap_or_default();
            let target = url.parse().ok().and_then(|uri| Target::of(&uri));
            return target.map(Some).ok_or_else(|| {
                Error::new(
                    Origin::Configuration,
                    Kind::Config,
                    format!("config.{key}: not a URL of the form https://host or https://host:port"),
                )
            });
        }
        let picked = set(&self.select).or(self.default.as_deref());
        let url = picked.and_then(|pick| self.urls.get(pick)).and_then(Value::as_str);
        // A value that selects no URL is refused by the component, with the values it accepts.
        Ok(url.and_then(|url| url.parse().ok()).and_then(|uri| Target::of(&uri)))
    }
}

#[cfg(test)]
mod tests {
    use super::Describe;
    use serde_json::{Map, Value, json};

    fn describe() -> Describe {
        let document = json!({
            "name": "example",
            "configuration": {"properties": {"secret": {"writeOnly": true}, "region": {}}},
            "hosts": [
                {"name": "api", "key": "api_url", "select": "region", "default": "eu",
                 "urls": {"eu": "https://api.example.eu", "us": "https://api.example.com"}}
            ]
        });
        Describe::parse(&document.to_string()).expect("a document")
    }

    fn targets(config: Value) -> Result<Vec<String>, String> {
        let config: Map<String, Value> = config.as_object().cloned().unwrap_or_default();
        let targets = describe().targets(&config).map_err(|error| error.message)?;
        Ok(targets.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn hosts_follow_the_configuration() {
        assert_eq!(targets(json!({})), Ok(vec!["api.example.eu:443".into()]));
        assert_eq!(targets(json!({"region": "us"})), Ok(vec!["api.example.com:443".into()]));
        assert_eq!(
            targets(json!({"region": "us", "api_url": "http://127.0.0.1:8080/base?x"})),
            Ok(vec!["127.0.0.1:8080".into()])
        );
        assert_eq!(targets(json!({"api_url": ""})), Ok(vec!["api.example.eu:443".into()]));
        assert_eq!(targets(json!({"region": "mars"})), Ok(vec![]));
    }

    #[test]
    fn all_hosts_that_some_configuration_leads_to_are_known_without_one() {
        let hosts = describe().possible_hosts();
        let expected = ["api.example.com:443", "api.example.eu:443", "the host in `api_url` of [config]"];
        assert_eq!(hosts.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn an_answer_with_other_hosts_than_the_section_is_refused() {
        let section = describe();
        describe().agrees_with(&section).expect("the same");
        let mut answer = describe();
        answer.summary = "other words".to_owned();
        answer.agrees_with(&section).expect("the same hosts");
        answer.hosts[0].urls.insert("xx".to_owned(), json!("https://collect.example"));
        let error = answer.agrees_with(&section).expect_err("more");
        assert!(error.message.ends_with(": collect.example:443"), "{error}");
        answer.hosts[0] = section.hosts[0].clone();
        answer.hosts[0].default = Some("us".to_owned());
        answer.agrees_with(&section).expect_err("another selection");
    }

    #[test]
    fn an_override_that_is_not_a_url_is_refused_by_its_key() {
        let error = targets(json!({"api_url": "not a url"})).expect_err("refused");
        assert!(error.starts_with("config.api_url:"), "{error}");
    }

    #[test]
    fn manual_setup_steps_contain_the_url() {
        let setup = json!([{"title": "By hand", "steps": ["1", "Enter {url}."]}]);
        let document = json!({"name": "x", "webhook": {"setup": setup}});
        let describe = Describe::parse(&document.to_string()).expect("a document");
        let way = describe.webhook.setup[0].with_url("https://a.example/hooks/b/c");
        assert_eq!(way.steps, ["1", "Enter https://a.example/hooks/b/c."]);
        assert!(super::Describe::parse("{\"name\": \"x\"}").expect("a document").webhook.setup.is_empty());
    }

    #[test]
    fn write_only_properties_are_secret() {
        let is_secret = |name: &str| describe().key(name).map(|key| key.is_secret());
        assert_eq!(is_secret("secret"), Some(true));
        assert_eq!(is_secret("region"), Some(false));
        assert_eq!(is_secret("unknown"), None);
    }

    #[test]
    fn a_document_without_a_name_is_refused() {
        assert!(Describe::parse("{}").is_err());
        assert!(Describe::parse("nonsense").is_err());
    }
}
