//! The configuration of one connection: parsed, checked and complete. All problems are reported at once, each
//! by key.
//!
//! The keys with their rules and defaults are declared in [`keys`]. Knows nothing of what the values are used
//! for.

pub mod keys;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use self::keys::KEYS;
use crate::data_center::{self, DATA_CENTERS};
use crate::error::{Error, Kind, Result};
use crate::row;
use crate::table::{Detail, Group, Table};
use crate::tables;
use crate::url::Origin;

/// Names closer than this to an unknown one are suggested, by the Jaro similarity.
const SIMILARITY_MIN: f64 = 0.7;

/// The order in which a snapshot reads tickets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Sort {
    #[serde(rename = "newest")]
    NewestFirst,
    #[serde(rename = "oldest")]
    OldestFirst,
}

/// The form of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// As the API sends them.
    #[default]
    Document,
    /// The members of objects as members of the row.
    Flat,
}

/// When a webhook delivery must carry a valid signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signature {
    /// Required once a subscription is known, when present before that.
    Auto,
    Required,
    WhenPresent,
    Off,
}

impl Signature {
    /// True when no unsigned delivery is applied once signed ones are known.
    pub(crate) fn refuses_unsigned(self) -> bool {
        matches!(self, Self::Auto | Self::Required)
    }
}

/// When the record of a delivery is read by id instead of applying the delivery's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refetch {
    Always,
    /// When the body lacks members that rows of the table have, or is not verified to be from Zoho.
    Auto,
    Never,
}

/// A complete and checked configuration: a field for each of [`KEYS`], and those derived from them.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub data_center: String,
    pub organization_id: String,
    pub client_id: String,
    pub client_secret: String,
    /// Of tables and groups, as they are written.
    #[serde(rename = "tables")]
    names: Vec<String>,
    /// The tables to read, in the registry's order.
    #[serde(skip)]
    pub tables: Vec<&'static Table>,
    /// Those that `tables` names itself, or by default: the others came with a group, and are skipped where
    /// they cannot be read.
    #[serde(skip)]
    pub named: Vec<&'static Table>,
    pub shape: Shape,
    pub ticket_detail: bool,
    pub contact_detail: bool,
    pub custom_field_keys: Vec<String>,
    pub sort: Sort,
    pub department_ids: Vec<String>,
    /// Percent of the day's credits that are for the portal's other users.
    pub credits_reserve: u64,
    /// Days after which the rows of a table are compared with the source's; 0: never.
    pub verify_days: u64,
    pub signature: Signature,
    pub refetch: Refetch,
    /// The data center's, unless the key replaces it.
    #[serde(rename = "desk_url")]
    pub desk: Origin,
    #[serde(rename = "accounts_url")]
    pub accounts: Origin,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("organization_id", &self.organization_id)
            .field("data_center", &self.data_center)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// Parses a JSON object. One error names every problem; its attributes hold each key at fault.
    pub fn parse(json: &str) -> Result<Self> {
        let refused = |what: String| {
            Error::new(Kind::Config, format!("configuration: {what}"))
                .hint("pass one JSON object with the keys that `spec` lists")
        };
        let given: Value =
            serde_json::from_str(json).map_err(|error| refused(format!("not JSON: {error}")))?;
        let Value::Object(given) = given else { return Err(refused("not a JSON object".to_owned())) };
        let mut values = checked(&given)?;
        let center = values.get("data_center").and_then(Value::as_str).and_then(data_center::find);
        let center = center.unwrap_or(&DATA_CENTERS[0]);
        for (key, url) in [("desk_url", center.desk_url), ("accounts_url", center.accounts_url)] {
            values.entry(key).or_insert_with(|| Value::from(url));
        }
        let mut config = Self::deserialize(Value::Object(values))
            .map_err(|error| Error::new(Kind::Internal, format!("configuration: {error}")))?;
        let is_group = |name: &str| tables::find(name).is_none() && name != Group::Core.name();
        let named = config.names.iter().filter(|name| !is_group(name));
        config.named = named.flat_map(|name| tables::named(name)).collect();
        let wanted: Vec<&Table> = config.names.iter().flat_map(|name| tables::named(name)).collect();
        config.tables = tables::all().filter(|table| wanted.contains(table)).collect();
        Ok(config)
    }

    /// True when list rows are completed by their records.
    pub(crate) fn reads_detail(&self, detail: &Detail) -> bool {
        match detail.key {
            "ticket_detail" => self.ticket_detail,
            "contact_detail" => self.contact_detail,
            _ => true,
        }
    }

    /// True when rows of a department are read.
    pub fn reads_department(&self, id: &str) -> bool {
        self.department_ids.is_empty() || self.department_ids.iter().any(|known| known == id)
    }

    /// True unless a row, of `table` or of its parent, is known to be of a department that is not among the
    /// chosen ones.
    pub fn selects(&self, table: &Table, row: &str) -> bool {
        self.department_ids.is_empty()
            || table.list.departments.is_none()
            || row::department(row).is_none_or(|id| self.reads_department(&id))
    }
}

/// The value of every key that has one, or an error that names every problem.
fn checked(given: &Map<String, Value>) -> Result<Map<String, Value>> {
    let mut values = Map::new();
    let mut problems = Vec::new();
    for key in KEYS {
        match key.value(given.get(key.name)) {
            Ok(Some(value)) => drop(values.insert(key.name.to_owned(), value)),
            Ok(None) => {}
            Err(what) => problems.push((key.name, what)),
        }
    }
    let is_known = |name: &str| KEYS.iter().any(|key| key.name == name);
    for name in given.keys().filter(|name| !is_known(name)) {
        let hint = nearest(name).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        problems.push((name.as_str(), format!("is not a configuration key{hint}")));
    }
    if problems.is_empty() { Ok(values) } else { Err(error(&problems)) }
}

/// One line for each problem, and one attribute for each key.
fn error(problems: &[(&str, String)]) -> Error {
    let lines: Vec<String> = problems.iter().map(|(key, what)| format!("`{key}` {what}")).collect();
    let message = match lines.as_slice() {
        [line] => format!("configuration: {line}"),
        lines => format!("configuration: {} problems\n  {}", lines.len(), lines.join("\n  ")),
    };
    let error = Error::new(Kind::Config, message).hint("`spec` lists every key with its meaning");
    problems.iter().fold(error, |error, (key, _)| error.attribute("key", *key))
}

/// The key most similar to an unknown name, if it is similar enough to be a typing error.
fn nearest(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let scored = KEYS.iter().map(|key| (strsim::jaro(&name, key.name), key.name));
    let best = scored.max_by(|(left, _), (right, _)| left.total_cmp(right));
    best.filter(|(score, _)| *score > SIMILARITY_MIN).map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const GOOD: &str = r#"{"organization_id":"60001280952","client_id":"1000.A","client_secret":"s"}"#;

    /// A good configuration with one key set.
    fn with(key: &str, value: Value) -> Result<Config> {
        let mut given: Value = serde_json::from_str(GOOD).unwrap();
        given[key] = value;
        Config::parse(&given.to_string())
    }

    #[test]
    fn defaults_are_the_united_states_and_the_core_tables() {
        let config = Config::parse(GOOD).unwrap();
        assert_eq!(config.desk.to_string(), "https://desk.zoho.com");
        assert!(config.tables.iter().all(|table| table.group == Group::Core) && config.tables.len() == 8);
        assert!(config.ticket_detail);
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let error = Config::parse(
            r#"{"data_center":"mars","client_id":"","tables":["Tickets","nope"],"ticket_detail":"true",
                "dataCenter":"eu"}"#,
        )
        .unwrap_err();
        let keys: Vec<&str> = error.attributes.iter().map(|(_, key)| key.as_str()).collect();
        assert_eq!(
            keys,
            [
                "data_center",
                "organization_id",
                "client_id",
                "client_secret",
                "tables",
                "ticket_detail",
                "dataCenter"
            ]
        );
        assert!(error.message.contains("did you mean `data_center`"), "{}", error.message);
        assert_eq!(error.message.lines().count(), 1 + keys.len(), "{}", error.message);
        assert_eq!(error.kind, Kind::Config);
    }

    #[test]
    fn original_table_names_are_aliases() {
        let config = with("tables", json!(["OrganizationFields", "Tickets"])).unwrap();
        let names: Vec<_> = config.tables.iter().map(|table| table.name).collect();
        assert_eq!(names, ["organization_fields", "tickets"]);
    }

    #[test]
    fn groups_and_names_select_tables_in_the_order_of_the_registry() {
        let names = |tables: Value| {
            let tables = with("tables", tables).unwrap().tables;
            tables.iter().map(|table| table.name).collect::<Vec<_>>()
        };
        assert_eq!(names(json!(["tickets", "tickets", "Departments"])), ["departments", "tickets"]);
        let all: Vec<&str> = tables::ALL.iter().map(|table| table.name).collect();
        assert_eq!(names(json!(["all"])), all);
        let people = names(json!(["people", "tickets"]));
        assert!(people.contains(&"agents") && people.contains(&"tickets") && !people.contains(&"contacts"));
    }

    #[test]
    fn secrets_do_not_print() {
        let config = Config::parse(&GOOD.replace("\"s\"", "\"hidden-secret\"")).unwrap();
        assert!(!format!("{config:?}").contains("hidden-secret"));
    }

    #[test]
    fn a_url_replaces_the_host_of_the_data_center() {
        let config = with("desk_url", json!("http://127.0.0.1:8080/")).unwrap();
        assert_eq!(config.desk.to_string(), "http://127.0.0.1:8080");
        assert_eq!(config.accounts.to_string(), "https://accounts.zoho.com");
        let error = with("desk_url", json!("https://desk.zoho.com/api/v1")).unwrap_err();
        assert!(error.message.contains("`desk_url`"));
    }

    #[test]
    fn every_key_is_a_field_and_every_choice_is_a_value() {
        for key in KEYS {
            let keys::Kind::Choice(choices) = &key.kind else { continue };
            for choice in *choices {
                with(key.name, json!(choice))
                    .unwrap_or_else(|error| panic!("{} = {choice}: {error}", key.name));
            }
        }
    }

    #[test]
    fn values_that_break_the_rule_of_their_key_are_refused() {
        for (key, value, what) in [
            ("organization_id", json!("6 0"), "must be digits only"),
            ("client_id", json!("a b"), "must not hold spaces"),
            ("client_secret", json!(5), "must be text, in quotes"),
            ("tables", json!([]), "is empty: leave it out"),
            (
                "tables",
                json!(["tickets", "cats", "dogs"]),
                "`cats`, `dogs` must be a table or a group of tables: core (departments, ",
            ),
            ("tables", json!("tickets"), "must be a list of texts"),
            ("custom_field_keys", json!(["cf x"]), "`cf x` must be the API name of a field"),
            ("custom_field_keys", json!(vec!["cf_x"; 31]), "must have at most 30 items"),
            ("department_ids", json!([""]), "`` must be digits only"),
            ("department_ids", json!(vec!["1"; 21]), "must have at most 20 items"),
            ("sort", json!(1), "must be one of oldest, newest"),
            ("shape", json!("csv"), "must be one of document, flat"),
            ("ticket_detail", json!("yes"), "must be true or false"),
            ("credits_reserve", json!(91), "must be a number from 0 to 90"),
            ("verify_days", json!("7"), "must be a number from 0 to 365"),
            ("desk_url", json!("desk.zoho.eu"), "must be a URL of scheme, host and port only"),
            ("refetsh", json!("auto"), "is not a configuration key; did you mean `refetch`?"),
            ("color", json!("red"), "is not a configuration key"),
        ] {
            let error = with(key, value).unwrap_err();
            let expected = format!("configuration: `{key}` {what}");
            assert!(error.message.starts_with(&expected), "{} is not {expected}", error.message);
            assert_eq!(error.attributes, [("key".to_owned(), key.to_owned())]);
        }
    }

    #[test]
    fn text_is_trimmed_and_null_or_an_empty_url_means_the_default() {
        let config = Config::parse(
            r#"{"organization_id":" 1 ","client_id":" a","client_secret":"s\n","desk_url":" ","sort":null}"#,
        )
        .unwrap();
        assert_eq!((config.organization_id.as_str(), config.client_id.as_str()), ("1", "a"));
        assert_eq!((config.client_secret.as_str(), config.sort), ("s", Sort::OldestFirst));
        assert_eq!(config.desk.to_string(), "https://desk.zoho.com");
    }
}
