//! The configuration of one connection: parsed, checked and complete. All problems are found at once, each naming its key.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value};

use crate::data_center::{self, DATA_CENTERS};
use crate::error::{Error, Kind, Result};
use crate::limits;
use crate::row;
use crate::table::Table;
use crate::tables;
use crate::url::Origin;

/// In which order tickets are read the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    NewestFirst,
    OldestFirst,
}

/// When a webhook delivery must carry a valid signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// Required once a subscription is known, when present before that.
    Auto,
    Required,
    WhenPresent,
    Off,
}

/// When a changed record is read again by id instead of trusting the delivery's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refetch {
    Always,
    /// When the payload lacks what rows of the table have, or is not proved to be from Zoho.
    Auto,
    Never,
}

/// A complete and checked configuration.
#[derive(Clone)]
pub struct Config {
    pub organization_id: String,
    pub client_id: String,
    pub client_secret: String,
    pub data_center: &'static str,
    pub desk: Origin,
    pub accounts: Origin,
    /// The tables to read, in the registry's order.
    pub tables: Vec<&'static Table>,
    pub ticket_detail: bool,
    pub custom_field_keys: Vec<String>,
    pub sort: Sort,
    pub department_ids: Vec<String>,
    pub signature: Signature,
    pub refetch: Refetch,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("organization_id", &self.organization_id)
            .field("data_center", &self.data_center)
            .finish_non_exhaustive()
    }
}

/// Every key, in the order of the form.
pub const KEYS: [&str; 13] = [
    "data_center",
    "organization_id",
    "client_id",
    "client_secret",
    "tables",
    "ticket_detail",
    "custom_field_keys",
    "sort",
    "department_ids",
    "signature",
    "refetch",
    "desk_url",
    "accounts_url",
];

impl Config {
    /// Parses a JSON object. One error names every problem; its attributes hold each key at fault.
    pub fn parse(json: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(json).map_err(|error| {
            Error::new(Kind::Config, format!("configuration: not JSON: {error}"))
                .hint("pass one JSON object with the keys that `spec` lists")
        })?;
        let Value::Object(map) = value else {
            return Err(Error::new(Kind::Config, "configuration: not a JSON object")
                .hint("pass one JSON object with the keys that `spec` lists"));
        };
        let mut form = Form { map, problems: Vec::new() };
        let config = form.read();
        form.refuse_unknown();
        match config {
            Some(config) if form.problems.is_empty() => Ok(config),
            _ => Err(form.into_error()),
        }
    }
}

impl Config {
    /// True unless a row, of `table` or of its parent, is known to be of a department that is not among the chosen ones.
    pub fn selects(&self, table: &Table, row: &str) -> bool {
        self.department_ids.is_empty()
            || table.list.departments.is_none()
            || row::department(row).is_none_or(|id| self.department_ids.contains(&id))
    }
}

/// The object being read, and the problems found so far.
struct Form {
    map: Map<String, Value>,
    problems: Vec<(String, String)>,
}

impl Form {
    fn read(&mut self) -> Option<Config> {
        let center = self.choice("data_center", &DATA_CENTERS.map(|center| center.name), "us");
        let organization_id =
            self.text("organization_id", "the number shown under Setup > Developer Space > API");
        let client_id = self.text("client_id", "the Client ID of your self client at the Zoho API console");
        let client_secret =
            self.text("client_secret", "the Client Secret of your self client at the Zoho API console");
        if let Some(id) = &organization_id
            && !id.bytes().all(|byte| byte.is_ascii_digit())
        {
            self.problem("organization_id", "must be digits only, such as 60001280952");
        }
        for (key, value) in [("client_id", &client_id), ("client_secret", &client_secret)] {
            if value.as_ref().is_some_and(|value| value.chars().any(|c| c.is_control() || c.is_whitespace()))
            {
                self.problem(key, "must not hold spaces or line breaks; paste it again");
            }
        }
        let center = center.and_then(data_center::find).unwrap_or(&DATA_CENTERS[0]);
        let desk = self.origin("desk_url", center.desk_url);
        let accounts = self.origin("accounts_url", center.accounts_url);
        let tables = self.tables();
        let ticket_detail = self.switch("ticket_detail", true);
        let custom_field_keys = self.custom_field_keys();
        let sort = match self.choice("sort", &["newest", "oldest"], "oldest") {
            Some("newest") => Sort::NewestFirst,
            _ => Sort::OldestFirst,
        };
        let department_ids = self.list("department_ids");
        if department_ids.iter().any(|id| id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit())) {
            self.problem("department_ids", "must be ids of departments, digits only");
        }
        if department_ids.len() > limits::DEPARTMENT_IDS_MAX {
            self.problem("department_ids", format!("at most {} ids", limits::DEPARTMENT_IDS_MAX));
        }
        let signature = match self.choice("signature", &["auto", "required", "when-present", "off"], "auto") {
            Some("required") => Signature::Required,
            Some("when-present") => Signature::WhenPresent,
            Some("off") => Signature::Off,
            _ => Signature::Auto,
        };
        let refetch = match self.choice("refetch", &["auto", "always", "never"], "auto") {
            Some("always") => Refetch::Always,
            Some("never") => Refetch::Never,
            _ => Refetch::Auto,
        };
        Some(Config {
            organization_id: organization_id?,
            client_id: client_id?,
            client_secret: client_secret?,
            data_center: center.name,
            desk: desk?,
            accounts: accounts?,
            tables,
            ticket_detail,
            custom_field_keys,
            sort,
            department_ids,
            signature,
            refetch,
        })
    }

    fn problem(&mut self, key: &str, message: impl Into<String>) {
        self.problems.push((key.to_owned(), message.into()));
    }

    fn text(&mut self, key: &str, where_found: &str) -> Option<String> {
        match self.map.get(key) {
            None | Some(Value::Null) => self.problem(key, format!("is missing: {where_found}")),
            Some(Value::String(text)) if text.trim().is_empty() => {
                self.problem(key, format!("is empty: {where_found}"));
            }
            Some(Value::String(text)) => return Some(text.trim().to_owned()),
            Some(Value::Number(number)) if key == "organization_id" => return Some(number.to_string()),
            Some(_) => self.problem(key, "must be text, in quotes"),
        }
        None
    }

    fn switch(&mut self, key: &str, default: bool) -> bool {
        match self.map.get(key) {
            None | Some(Value::Null) => default,
            Some(Value::Bool(value)) => *value,
            Some(_) => {
                self.problem(key, "must be true or false, without quotes");
                default
            }
        }
    }

    fn choice(&mut self, key: &str, of: &[&'static str], default: &'static str) -> Option<&'static str> {
        let found = match self.map.get(key) {
            None | Some(Value::Null) => return Some(default),
            Some(Value::String(text)) => of.iter().find(|choice| **choice == text.as_str()).copied(),
            Some(_) => None,
        };
        if found.is_none() {
            self.problem(key, format!("must be one of {}", of.join(", ")));
        }
        found
    }

    fn origin(&mut self, key: &str, default: &str) -> Option<Origin> {
        let given = match self.map.get(key) {
            None | Some(Value::Null) => default.to_owned(),
            Some(Value::String(text)) if text.trim().is_empty() => default.to_owned(),
            Some(Value::String(text)) => text.trim().to_owned(),
            Some(_) => {
                self.problem(key, "must be text, in quotes");
                return None;
            }
        };
        let origin = Origin::parse(&given);
        if origin.is_none() {
            self.problem(key, "must be a URL of scheme, host and port only, such as https://desk.zoho.eu");
        }
        origin
    }

    fn list(&mut self, key: &str) -> Vec<String> {
        let items = match self.map.get(key) {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::Array(items)) => {
                items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
            }
            Some(_) => None,
        };
        items.unwrap_or_else(|| {
            self.problem(key, "must be a list of texts");
            Vec::new()
        })
    }

    fn tables(&mut self) -> Vec<&'static Table> {
        let asked = self.list("tables");
        if asked.is_empty() {
            if self.map.get("tables").is_some_and(|value| value.as_array().is_some_and(Vec::is_empty)) {
                self.problem("tables", "is empty: leave it out to read every table");
            }
            return tables::ALL.to_vec();
        }
        let mut wanted = BTreeSet::new();
        for name in &asked {
            match tables::find(name) {
                Some(table) => {
                    wanted.insert(table.name);
                }
                None => self
                    .problem("tables", format!("there is no table `{name}`; there are {}", tables::names())),
            }
        }
        tables::ALL.iter().copied().filter(|table| wanted.contains(table.name)).collect()
    }

    fn custom_field_keys(&mut self) -> Vec<String> {
        let keys = self.list("custom_field_keys");
        if keys.len() > limits::CUSTOM_FIELD_KEYS_MAX {
            self.problem("custom_field_keys", format!("at most {} names", limits::CUSTOM_FIELD_KEYS_MAX));
        }
        for key in &keys {
            let legal = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if key.is_empty() || !legal {
                self.problem(
                    "custom_field_keys",
                    format!("`{key}` is not the API name of a field, such as cf_region"),
                );
            }
        }
        keys
    }

    fn refuse_unknown(&mut self) {
        let unknown: Vec<String> =
            self.map.keys().filter(|key| !KEYS.contains(&key.as_str())).cloned().collect();
        for key in unknown {
            let near = KEYS.iter().find(|known| similar(known, &key));
            let hint = near.map(|known| format!("; did you mean `{known}`?")).unwrap_or_default();
            self.problem(&key, format!("is not a configuration key{hint}"));
        }
    }

    fn into_error(self) -> Error {
        let lines: Vec<String> =
            self.problems.iter().map(|(key, message)| format!("`{key}` {message}")).collect();
        let mut error = Error::new(Kind::Config, format!("configuration: {}", lines.join("; ")))
            .hint("`spec` lists every key with its meaning");
        for (key, _) in self.problems {
            if !error.attributes.iter().any(|(_, known)| *known == key) {
                error = error.attribute("key", key);
            }
        }
        error
    }
}

/// True when two keys are the same but for case, `-`/`_` and a letter or two.
fn similar(known: &str, given: &str) -> bool {
    let plain = |text: &str| -> Vec<u8> {
        text.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| byte.to_ascii_lowercase()).collect()
    };
    let (known, given) = (plain(known), plain(given));
    if known == given {
        return true;
    }
    let common = known.iter().zip(&given).take_while(|(a, b)| a == b).count();
    let common_end = known.iter().rev().zip(given.iter().rev()).take_while(|(a, b)| a == b).count();
    known.len().abs_diff(given.len()) <= 2 && common + common_end + 2 >= known.len().max(given.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"organization_id":"60001280952","client_id":"1000.A","client_secret":"s"}"#;

    #[test]
    fn defaults_are_the_united_states_and_every_table() {
        let config = Config::parse(GOOD).unwrap();
        assert_eq!(config.desk.to_string(), "https://desk.zoho.com");
        assert_eq!(config.tables.len(), tables::ALL.len());
        assert!(config.ticket_detail);
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let error = Config::parse(
            r#"{"data_center":"mars","client_id":"","tables":["Tickets","nope"],"ticket_detail":"true","dataCenter":"eu"}"#,
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
        assert_eq!(error.kind, Kind::Config);
    }

    #[test]
    fn original_table_names_are_aliases() {
        let config = Config::parse(
            r#"{"organization_id":1,"client_id":"a","client_secret":"s","tables":["OrganizationFields","Tickets"]}"#,
        )
        .unwrap();
        let names: Vec<_> = config.tables.iter().map(|table| table.name).collect();
        assert_eq!(names, ["organization_fields", "tickets"]);
    }

    #[test]
    fn secrets_do_not_print() {
        let config = Config::parse(&GOOD.replace("\"s\"", "\"hidden-secret\"")).unwrap();
        assert!(!format!("{config:?}").contains("hidden-secret"));
    }

    #[test]
    fn overridden_hosts_replace_the_data_centres() {
        let config = Config::parse(
            r#"{"organization_id":"1","client_id":"a","client_secret":"s","desk_url":"http://127.0.0.1:8080/","accounts_url":"http://127.0.0.1:8080"}"#,
        )
        .unwrap();
        assert_eq!(config.desk.to_string(), "http://127.0.0.1:8080");
        let error = Config::parse(
            r#"{"organization_id":"1","client_id":"a","client_secret":"s","desk_url":"https://desk.zoho.com/api/v1"}"#,
        )
        .unwrap_err();
        assert!(error.message.contains("`desk_url`"));
    }
}
