//! Checks a document against the table of keys and adds the defaults.
//!
//! Pure. Reports every problem at its key; knows nothing of what the values are used for.

use serde_json::{Map, Value};

use super::document::{Document, nearest};
use super::keys::{CONFIG, DefaultValue, KEYS, Key, Kind};
use super::policy_file;
use crate::digest::is_sha256_hex;
use crate::egress::policy::Target;
use crate::files::OWN_NAMES;
use crate::limits::Limits;
use crate::schema::refresh::SchemaRefresh;
use crate::sinks::{KINDS, SinkKind};
use crate::units::{UnitError, parse_bytes, parse_duration};

/// Keys whose names begin with this one and a `_` do nothing without it.
const ATTACHMENTS: &str = "sink.attachments";
/// Longest name of a connection; it is the name of a folder.
const NAME_BYTES_MAX: usize = 64;

/// The fault of a value, and its correction.
struct Refusal {
    what: String,
    hint: Option<String>,
}

/// The keys that a kind of file may have.
pub(super) struct Schema {
    keys: Vec<&'static Key>,
    /// Whether it has a section for the component's own keys.
    has_config: bool,
}

impl Schema {
    /// A connection file.
    pub(super) fn connection() -> Self {
        Self { keys: KEYS.iter().collect(), has_config: true }
    }

    /// A policy file.
    pub(super) fn policy() -> Self {
        let limits = KEYS.iter().filter(|key| policy_file::is_limit(key));
        Self { keys: policy_file::LISTS.iter().chain(limits).collect(), has_config: false }
    }

    fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().copied().find(|key| key.name == name)
    }

    fn is_config(&self, name: &str) -> bool {
        self.has_config && name == CONFIG
    }

    fn is_section(&self, name: &str) -> bool {
        !name.is_empty() && self.keys.iter().any(|key| key.section() == name)
    }
}

/// Notes every unknown, missing or unusable key in the document.
pub(super) fn check(document: &mut Document<'_>, schema: &Schema) {
    let written: Vec<String> = document.values.keys().cloned().collect();
    for name in &written {
        if schema.is_config(name) || schema.is_section(name) {
            match document.get(name) {
                Some(Value::Object(members)) if !schema.is_config(name) => {
                    let names: Vec<String> = members.keys().map(|key| format!("{name}.{key}")).collect();
                    names.iter().for_each(|name| check_key(document, schema, name));
                }
                Some(Value::Object(_)) => {}
                _ => document.problem(name, format!("a section is required: [{name}]"), None),
            }
        } else {
            check_key(document, schema, name);
        }
    }
    for key in &schema.keys {
        if matches!(key.default, DefaultValue::Required) && document.get(key.name).is_none() {
            let hint = format!("add a line: {} = \"acme\"", key.name);
            document.problem(key.name, "missing", Some(hint));
        }
    }
}

/// Notes keys that the sink does not read, and a missing or doubled URL of a database.
pub(super) fn check_sink(document: &mut Document<'_>, kind: &SinkKind) {
    let keys = || KEYS.iter().filter(|key| key.section() == "sink");
    let written: Vec<&Key> = keys().filter(|key| document.get(key.name).is_some()).collect();
    let has_attachments = document.get(ATTACHMENTS).is_some();
    for key in written {
        let short = key.short_name();
        let of_a_kind = KINDS.iter().any(|kind| kind.own_keys.contains(&short));
        if of_a_kind && !kind.own_keys.contains(&short) {
            let what = format!("sink `{}` has no such key", kind.name);
            document.problem(key.name, what, Some(format!("its own keys: {}", kind.own_keys.join(", "))));
        }
        if !has_attachments && key.name.starts_with("sink.attachments_") {
            let hint = "add a line under [sink], for example: attachments = \"attachments\"";
            document.problem(key.name, "no `attachments`, so it does nothing", Some(hint.to_owned()));
        }
    }
    if !kind.own_keys.contains(&"url") {
        return;
    }
    let is_required = !kind.own_keys.contains(&"path");
    let are_there = ["sink.url", "sink.url_file"].map(|key| document.get(key).is_some());
    match are_there {
        [false, false] if is_required => {
            let hint = "add a line under [sink]: url = \"${DATABASE_URL}\"";
            document.problem("sink.url", "missing", Some(hint.to_owned()));
        }
        [true, true] => {
            let hint = "keep one of `url` and `url_file`";
            document.problem("sink.url_file", "`url` is set too", Some(hint.to_owned()));
        }
        _ => {}
    }
}

/// The value of `name`, if it is there and usable.
pub(super) fn name(document: &Document<'_>) -> Option<String> {
    let name = document.get("name")?;
    accept(&Kind::Name, name).is_ok().then(|| name.as_str().map(str::to_owned))?
}

/// The values with the defaults of all keys that are not there.
pub(super) fn with_defaults(mut values: Map<String, Value>) -> Map<String, Value> {
    for key in KEYS {
        let members = match key.section() {
            "" => &mut values,
            section => {
                let section = values.entry(section).or_insert_with(|| Value::Object(Map::new()));
                let Value::Object(members) = section else { continue };
                members
            }
        };
        if let DefaultValue::Value(text) = key.default {
            members.entry(key.short_name()).or_insert_with(|| key.kind.value(text));
        }
    }
    values
}

impl Default for Limits {
    /// The defaults of the table of keys.
    fn default() -> Self {
        let mut sections = with_defaults(Map::new());
        sections.retain(|name, _| matches!(name.as_str(), "batch" | "retry" | "serve" | "sandbox"));
        serde_json::from_value(Value::Object(sections)).expect("the table of keys and `Limits` agree")
    }
}

fn check_key(document: &mut Document<'_>, schema: &Schema, name: &str) {
    let Some(key) = schema.key(name) else {
        return document.problem(name, "unknown key", Some(suggestion(schema, name)));
    };
    let Some(value) = document.get(name) else { return };
    if let Err(Refusal { what, hint }) = accept(&key.kind, value) {
        document.problem(name, what, hint);
    }
}

/// What to write instead of an unknown key.
fn suggestion(schema: &Schema, name: &str) -> String {
    let keys = || schema.keys.iter();
    let (section, short) = name.rsplit_once('.').unwrap_or(("", name));
    let elsewhere = keys().find(|key| key.short_name() == short);
    if let Some(Key { name: full, .. }) = elsewhere {
        return match full.split_once('.') {
            Some((section, _)) => format!("`{short}` belongs under [{section}]"),
            None => format!("`{short}` belongs at the top of the file, before the first [section]"),
        };
    }
    let mut known: Vec<&str> =
        keys().filter(|key| key.section() == section).map(|key| key.short_name()).collect();
    if section.is_empty() {
        known.extend(schema.has_config.then_some(CONFIG));
        let sections = keys().map(|key| key.section()).filter(|section| !section.is_empty());
        sections.for_each(|section| {
            if !known.contains(&section) {
                known.push(section);
            }
        });
    }
    match nearest(short, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known keys: {}", known.join(", ")),
    }
}

fn accept(kind: &Kind, value: &Value) -> Result<(), Refusal> {
    let refusal = |what: &str| Refusal { what: what.to_owned(), hint: None };
    if value.is_null() {
        // Its problem is noted already.
        return Ok(());
    }
    let unit = |error: UnitError| Refusal { what: error.message, hint: Some(error.hint.to_owned()) };
    let text = match (kind, value) {
        (Kind::Count(range), _) => {
            let number = value.as_u64().ok_or_else(|| refusal("a whole number is required"))?;
            return within(range.contains(&number), kind, &number.to_string());
        }
        (Kind::Hosts, _) => return hosts(value),
        (Kind::Texts, _) => return texts(value).map(drop),
        (Kind::Sha256s, _) => {
            return match texts(value)?.into_iter().find(|text| !is_sha256_hex(text)) {
                None => Ok(()),
                Some(text) => Err(refusal(&format!("`{text}` is not 64 hexadecimal digits"))),
            };
        }
        (_, Value::String(text)) => text.clone(),
        // A number without a unit is refused below, with an example.
        (Kind::Bytes(_) | Kind::Duration(_), _) => value.to_string(),
        _ => return Err(refusal("text in quotes is required")),
    };
    let text = text.as_str();
    match kind {
        Kind::Name => name_of_a_folder(text),
        Kind::Sha256 if !is_sha256_hex(text) => Err(Refusal {
            what: "64 hexadecimal digits are required".to_owned(),
            hint: Some("`host-runner inspect` shows the sha256 of a component".to_owned()),
        }),
        Kind::Choice(choices) if !choices.contains(&text) => Err(Refusal {
            what: format!("`{text}` is not a known value"),
            hint: Some(format!("use one of {}", kind.range())),
        }),
        Kind::SchemaRefresh if SchemaRefresh::parse(text).is_none() => Err(Refusal {
            what: format!("`{text}` is not a known value"),
            hint: Some(format!("use one of {}", kind.range())),
        }),
        Kind::Bytes(range) => {
            let bytes = parse_bytes(text).map_err(unit)?;
            within(range.contains(&bytes), kind, text)
        }
        Kind::Duration(range) => {
            let ms = parse_duration(text).map_err(unit)?.as_millis();
            within(u64::try_from(ms).is_ok_and(|ms| range.contains(&ms)), kind, text)
        }
        _ => Ok(()),
    }
}

fn within(is_within: bool, kind: &Kind, text: &str) -> Result<(), Refusal> {
    if is_within {
        return Ok(());
    }
    Err(Refusal { what: format!("{text} is out of range, {}", kind.range()), hint: None })
}

/// Whether a connection can have this name: the data folder, a folder of it.
pub(super) fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name.bytes().all(plain)
        && !name.starts_with('.')
        && !OWN_NAMES.contains(&name)
}

fn name_of_a_folder(name: &str) -> Result<(), Refusal> {
    if is_name(name) {
        return Ok(());
    }
    Err(Refusal {
        what: format!("`{name}` cannot name a folder"),
        hint: Some(format!(
            "use up to {NAME_BYTES_MAX} letters, digits, `-`, `_` and `.`, other than {}",
            OWN_NAMES.join(", ")
        )),
    })
}

fn texts(value: &Value) -> Result<Vec<&str>, Refusal> {
    let items = value.as_array().and_then(|items| items.iter().map(Value::as_str).collect());
    items.ok_or_else(|| Refusal { what: "a list of texts is required".to_owned(), hint: None })
}

fn hosts(value: &Value) -> Result<(), Refusal> {
    let items = texts(value)?;
    match items.iter().find(|text| Target::parse(text).is_none()) {
        None => Ok(()),
        Some(text) => Err(Refusal {
            what: format!("`{text}` is not host:port"),
            hint: Some("write the port too, for example \"127.0.0.1:8080\"; no scheme, no path".to_owned()),
        }),
    }
}
