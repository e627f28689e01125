//! Every configuration key: group, kind, rule and default. Parser, JSON Schema and reference page are made
//! from it.
//!
//! A new key is a row here, its texts in `describe/texts.*.json`, and a field of [`super::Config`] where it
//! is used.

use serde_json::{Value, json};

use crate::data_center::DATA_CENTERS;
use crate::limits;
use crate::tables;
use crate::url::Origin;

/// A key.
pub struct Key {
    pub name: &'static str,
    /// Where a form shows it: `basic`, `reading`, `realtime`, `advanced`.
    pub group: &'static str,
    pub kind: Kind,
}

/// Which values a key takes.
pub enum Kind {
    /// Required text. `source`: where a person finds it.
    Text { rule: Rule, source: &'static str },
    /// Like `Text`, and never shown.
    Secret { source: &'static str },
    /// One of these words, the default first.
    Choice(&'static [&'static str]),
    /// True or false.
    Switch { default: bool },
    /// A whole number.
    Number { default: u64, max: u64 },
    /// A list of texts. `max`: most items. `empty`: what an empty list means, or that it is refused.
    List { rule: Rule, max: Option<usize>, empty: Empty },
    /// A URL of scheme, host and port that replaces one of the data center's.
    Origin,
}

/// The rule for every text of a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    Digits,
    NoSpace,
    FieldName,
    TableName,
}

/// What an empty list means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Empty {
    /// The default.
    Default,
    /// A mistake: it would select nothing. Left out, it is these.
    Refused(&'static [&'static str]),
}

/// The keys, in the order of the form.
pub static KEYS: &[Key] = &[
    key("data_center", "basic", Kind::Choice(&DATA_CENTER_NAMES)),
    key(
        "organization_id",
        "basic",
        Kind::Text { rule: Rule::Digits, source: "the number shown under Setup > Developer Space > API" },
    ),
    key(
        "client_id",
        "basic",
        Kind::Text {
            rule: Rule::NoSpace,
            source: "the Client ID of your self client at the Zoho API console",
        },
    ),
    key(
        "client_secret",
        "basic",
        Kind::Secret { source: "the Client Secret of your self client at the Zoho API console" },
    ),
    key(
        "tables",
        "reading",
        Kind::List { rule: Rule::TableName, max: None, empty: Empty::Refused(&["core"]) },
    ),
    key("shape", "reading", Kind::Choice(&["document", "flat"])),
    key("ticket_detail", "reading", Kind::Switch { default: true }),
    key("contact_detail", "reading", Kind::Switch { default: true }),
    key(
        "custom_field_keys",
        "reading",
        Kind::List { rule: Rule::FieldName, max: Some(limits::CUSTOM_FIELD_KEYS_MAX), empty: Empty::Default },
    ),
    key("sort", "reading", Kind::Choice(&["oldest", "newest"])),
    key(
        "department_ids",
        "reading",
        Kind::List { rule: Rule::Digits, max: Some(limits::DEPARTMENT_IDS_MAX), empty: Empty::Default },
    ),
    key("credits_reserve", "reading", Kind::Number { default: 20, max: 90 }),
    key("verify_days", "reading", Kind::Number { default: 7, max: 365 }),
    key("signature", "realtime", Kind::Choice(&["auto", "required", "when-present", "off"])),
    key("refetch", "realtime", Kind::Choice(&["auto", "always", "never"])),
    key("desk_url", "advanced", Kind::Origin),
    key("accounts_url", "advanced", Kind::Origin),
];

/// The names of [`DATA_CENTERS`], the default first.
static DATA_CENTER_NAMES: [&str; DATA_CENTERS.len()] = {
    let mut names = [""; DATA_CENTERS.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = DATA_CENTERS[index].name;
        index += 1;
    }
    names
};

const fn key(name: &'static str, group: &'static str, kind: Kind) -> Key {
    Key { name, group, kind }
}

impl Key {
    /// The value to use for the one given: checked, trimmed, or the default. None: there is no value.
    /// An error says what a person must write.
    pub(super) fn value(&self, given: Option<&Value>) -> Result<Option<Value>, String> {
        let given = given.filter(|value| !value.is_null());
        match &self.kind {
            Kind::Text { rule, source } => text(given, *rule, source).map(Some),
            Kind::Secret { source } => text(given, Rule::NoSpace, source).map(Some),
            Kind::Choice(choices) => choice(given, choices).map(Some),
            Kind::Switch { default } => match given {
                None => Ok(Some(json!(default))),
                Some(Value::Bool(value)) => Ok(Some(json!(value))),
                Some(_) => Err("must be true or false, without quotes".to_owned()),
            },
            Kind::Number { default, max } => match given.map(Value::as_u64) {
                None => Ok(Some(json!(default))),
                Some(Some(value)) if value <= *max => Ok(Some(json!(value))),
                Some(_) => Err(format!("must be a number from 0 to {max}, without quotes")),
            },
            Kind::List { rule, max, empty } => list(given, *rule, *max, *empty).map(Some),
            Kind::Origin => origin(given),
        }
    }

    /// True if a configuration without it is refused.
    pub fn is_required(&self) -> bool {
        matches!(self.kind, Kind::Text { .. } | Kind::Secret { .. })
    }

    /// The JSON Schema of a value, without texts.
    pub fn schema(&self) -> Value {
        let mut schema = match &self.kind {
            Kind::Text { rule, .. } => rule.schema(),
            Kind::Secret { .. } => {
                let mut schema = Rule::NoSpace.schema();
                schema["writeOnly"] = json!(true);
                schema
            }
            Kind::Choice(choices) => json!({"type": "string", "enum": choices, "default": choices.first()}),
            Kind::Switch { default } => json!({"type": "boolean", "default": default}),
            Kind::Number { default, max } => {
                json!({"type": "integer", "minimum": 0, "maximum": max, "default": default})
            }
            Kind::List { rule, max, empty } => {
                let mut schema = json!({"type": "array", "items": rule.schema()});
                match empty {
                    Empty::Default => schema["default"] = json!([]),
                    Empty::Refused(default) => {
                        schema["minItems"] = json!(1);
                        schema["default"] = json!(default);
                    }
                }
                if let Some(max) = max {
                    schema["maxItems"] = json!(max);
                }
                schema
            }
            Kind::Origin => json!({"type": "string", "format": "uri"}),
        };
        schema["x-group"] = json!(self.group);
        schema["x-widget"] = json!(match &self.kind {
            Kind::Text { .. } | Kind::Origin => "text",
            Kind::Secret { .. } => "password",
            Kind::Choice(_) => "select",
            Kind::Switch { .. } => "switch",
            Kind::Number { .. } => "number",
            Kind::List { .. } => "list",
        });
        schema
    }
}

impl Rule {
    fn accepts(self, text: &str) -> bool {
        match self {
            Self::Digits => !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()),
            Self::NoSpace => !text.chars().any(|c| c.is_control() || c.is_whitespace()),
            Self::FieldName => {
                !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            }
            Self::TableName => tables::named(text).next().is_some(),
        }
    }

    /// What to write, for a person.
    fn demand(self) -> String {
        match self {
            Self::Digits => "must be digits only, such as 60001280952".to_owned(),
            Self::NoSpace => "must not hold spaces or line breaks; paste it again".to_owned(),
            Self::FieldName => "must be the API name of a field, such as cf_region".to_owned(),
            Self::TableName => {
                format!("must be a table or a group of tables: {}; or all", tables::names())
            }
        }
    }

    fn schema(self) -> Value {
        match self {
            Self::Digits => json!({"type": "string", "pattern": "^[0-9]+$"}),
            Self::NoSpace => json!({"type": "string", "pattern": r"^\S+$"}),
            Self::FieldName => json!({"type": "string", "pattern": "^[A-Za-z0-9_]+$"}),
            Self::TableName => json!({"type": "string", "enum": tables::selectors()}),
        }
    }
}

fn text(given: Option<&Value>, rule: Rule, source: &str) -> Result<Value, String> {
    let text = match given {
        None => return Err(format!("is missing: {source}")),
        Some(Value::String(text)) if text.trim().is_empty() => return Err(format!("is empty: {source}")),
        Some(Value::String(text)) => text.trim().to_owned(),
        // An id without quotes means the same.
        Some(Value::Number(number)) if rule == Rule::Digits => number.to_string(),
        Some(_) => return Err("must be text, in quotes".to_owned()),
    };
    if rule.accepts(&text) { Ok(json!(text)) } else { Err(rule.demand()) }
}

fn choice(given: Option<&Value>, choices: &[&str]) -> Result<Value, String> {
    let chosen = match given {
        None => choices.first(),
        Some(value) => choices.iter().find(|choice| value.as_str() == Some(**choice)),
    };
    chosen.map(|choice| json!(choice)).ok_or_else(|| format!("must be one of {}", choices.join(", ")))
}

fn list(given: Option<&Value>, rule: Rule, max: Option<usize>, empty: Empty) -> Result<Value, String> {
    let Some(given) = given else {
        return Ok(match empty {
            Empty::Default => json!([]),
            Empty::Refused(default) => json!(default),
        });
    };
    let items = given.as_array().map(|items| items.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
    let Some(Some(items)) = items else { return Err("must be a list of texts".to_owned()) };
    if let (true, Empty::Refused(default)) = (items.is_empty(), empty) {
        return Err(format!("is empty: leave it out for {default:?}"));
    }
    if let Some(max) = max.filter(|max| items.len() > *max) {
        return Err(format!("must have at most {max} items"));
    }
    let refused: Vec<String> =
        items.iter().filter(|item| !rule.accepts(item)).map(|item| format!("`{item}`")).collect();
    if refused.is_empty() {
        Ok(json!(items))
    } else {
        Err(format!("{} {}", refused.join(", "), rule.demand()))
    }
}

fn origin(given: Option<&Value>) -> Result<Option<Value>, String> {
    match given {
        None => Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
        Some(Value::String(text)) if Origin::parse(text.trim()).is_some() => Ok(Some(json!(text.trim()))),
        Some(Value::String(_)) => {
            Err("must be a URL of scheme, host and port only, such as https://desk.zoho.eu".to_owned())
        }
        Some(_) => Err("must be text, in quotes".to_owned()),
    }
}
