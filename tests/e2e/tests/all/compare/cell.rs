//! What a typed column must hold for a value of the truth.

use rusqlite::types::ValueRef;
use serde_json::Value;

/// The content of a column.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
}

impl Cell {
    pub(super) fn of(value: ValueRef<'_>) -> Cell {
        match value {
            ValueRef::Null => Cell::Null,
            ValueRef::Integer(number) => Cell::Integer(number),
            ValueRef::Real(number) => Cell::Real(number),
            ValueRef::Text(text) => Cell::Text(String::from_utf8(text.to_vec()).expect("UTF-8")),
            ValueRef::Blob(_) => panic!("a blob"),
        }
    }
}

/// A column as the discovered schema declares it.
#[derive(Clone, Debug)]
pub(super) struct Property {
    pub(super) name: String,
    kind: String,
    format: String,
    pointer: String,
}

impl Property {
    pub(super) fn new(name: &str, schema: &Value) -> Property {
        let types = schema["type"].as_array().cloned().unwrap_or_else(|| vec![schema["type"].clone()]);
        let kind = types.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or("string");
        Property {
            name: name.to_owned(),
            kind: kind.to_owned(),
            format: schema["format"].as_str().unwrap_or_default().to_owned(),
            pointer: schema["x-path"].as_str().map_or_else(|| format!("/{name}"), str::to_owned),
        }
    }

    /// What the column must hold for this row; an error says that the truth does not fit the schema.
    pub(super) fn expected(&self, row: &Value) -> Result<Cell, String> {
        let value = row.pointer(&self.pointer).unwrap_or(&Value::Null);
        if value.is_null() {
            return Ok(Cell::Null);
        }
        let wrong = || format!("{value} is no {} {}", self.kind, self.format);
        let plain = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match (self.kind.as_str(), self.format.as_str()) {
            ("integer", _) => plain.parse().map(Cell::Integer).map_err(|_| wrong()),
            ("number", _) => plain.parse().map(Cell::Real).map_err(|_| wrong()),
            ("boolean", _) => plain.parse().map(|yes: bool| Cell::Integer(yes.into())).map_err(|_| wrong()),
            ("string", "date-time") => time(&plain).map(Cell::Text).ok_or_else(wrong),
            _ => Ok(Cell::Text(plain)),
        }
    }

    /// Whether the column holds that; objects and lists are compared as JSON.
    pub(super) fn matches(&self, found: &Cell, expected: &Cell) -> bool {
        match (self.kind.as_str(), found, expected) {
            ("object" | "array", Cell::Text(found), Cell::Text(expected)) => {
                let parse = |text: &str| serde_json::from_str::<Value>(text).ok();
                parse(found).is_some() && parse(found) == parse(expected)
            }
            _ => found == expected,
        }
    }
}

/// A time as UTC with milliseconds.
pub(super) fn time(text: &str) -> Option<String> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
}
