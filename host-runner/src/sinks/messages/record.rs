//! A table as a tool sees it: its columns with their types, and a change as the members of a record.
//!
//! The columns are those of every sink with typed columns. Knows no protocol but the name of its column for
//! deletes.

use std::collections::BTreeSet;
use std::io::Write as _;

use serde_json::{Map, Value as Json, json};

use super::Protocol;
use super::fold::Newest;
use crate::change::Table;
use crate::clock::rfc3339_ms;
use crate::error::{Error, Result};
use crate::sinks::columns::{Column, Layout, Naming};
use crate::sinks::members::{MemberPaths, scan};
use crate::sinks::surrogates::without_halves_and_nul;
use crate::sinks::value::{ColumnType, Value, convert, text};

/// Tools fold the case of names; the columns for deletes and their order are this module's.
const NAMING: Naming = Naming {
    reserved: &["_ab_cdc_updated_at", "_ab_cdc_deleted_at", "_sdc_deleted_at"],
    fold: str::to_ascii_lowercase,
    fit: |name| name.to_owned(),
    has_room: |columns| columns.len() < COLUMNS_MAX,
};

/// Columns of a stream: fewer than any of the databases behind the tools takes.
const COLUMNS_MAX: usize = 1_500;

/// When the row is known to have been like this: the cursor of Airbyte's deduplication.
pub(super) const UPDATED_AT: &str = "_ab_cdc_updated_at";

/// The column that says when a row was deleted.
pub(super) const fn deleted_at(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Airbyte => "_ab_cdc_deleted_at",
        Protocol::Singer => "_sdc_deleted_at",
    }
}

/// A table with its columns.
pub(super) struct Stream {
    layout: Layout,
    /// For each column.
    kinds: Vec<Kind>,
    paths: MemberPaths,
    key_paths: MemberPaths,
}

/// Objects and lists have one column type, and are different types to a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Object,
    List,
    Other,
}

/// Why a column of a record is null although the source may have a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// The value does not fit the column's type.
    Unconverted,
    /// The change holds only some members of its row.
    Unread,
}

/// A change as the members of a record, without braces.
pub(super) struct Record<'a> {
    pub(super) members: Vec<u8>,
    pub(super) lost: Vec<(&'a str, Lost)>,
    pub(super) unconverted: u64,
}

impl Stream {
    /// The columns of a table, without the unwanted ones. Those of its key are always there.
    pub(super) fn new(table: &Table, unwanted: &BTreeSet<String>) -> Result<Self> {
        let mut layout = Layout::new(table, &NAMING)?;
        layout.extend(table, &NAMING)?;
        layout.columns.retain(|column| !unwanted.contains(&column.name));
        let schema: Json = serde_json::from_str(&table.schema).unwrap_or_default();
        let kinds = layout.columns.iter().map(|column| kind(column, &schema)).collect();
        let (paths, key_paths) = (layout.paths(), layout.key_paths());
        Ok(Self { layout, kinds, paths, key_paths })
    }

    pub(super) fn name(&self) -> &str {
        &self.layout.table
    }

    /// The names of the key's columns.
    pub(super) fn key(&self) -> Vec<&str> {
        self.layout.key.iter().map(|column| column.name.as_str()).collect()
    }

    /// The JSON Schema of its records: every column, in the words that both protocols' tools know.
    pub(super) fn schema(&self, protocol: Protocol) -> Json {
        let time = || {
            let time = json!({"type": ["null", "string"], "format": "date-time"});
            with_airbyte_type(time, protocol)
        };
        let mut properties = Map::new();
        for column in &self.layout.key {
            properties.insert(column.name.clone(), json!({"type": "string"}));
        }
        for (column, kind) in self.layout.columns.iter().zip(&self.kinds) {
            let property = match (column.column_type, kind) {
                (ColumnType::Text, _) | (ColumnType::Json, Kind::Other) => {
                    json!({"type": ["null", "string"]})
                }
                (ColumnType::Integer, _) => json!({"type": ["null", "integer"]}),
                (ColumnType::Real, _) => json!({"type": ["null", "number"]}),
                (ColumnType::Boolean, _) => json!({"type": ["null", "boolean"]}),
                (ColumnType::Time, _) => time(),
                (ColumnType::Json, Kind::Object) => {
                    json!({"type": ["null", "object"], "additionalProperties": true})
                }
                (ColumnType::Json, Kind::List) => json!({"type": ["null", "array"], "items": {}}),
            };
            properties.insert(column.name.clone(), property);
        }
        if protocol == Protocol::Airbyte {
            properties.insert(UPDATED_AT.to_owned(), time());
        }
        properties.insert(deleted_at(protocol).to_owned(), time());
        json!({"type": "object", "properties": properties, "additionalProperties": true})
    }

    /// The names of all columns of the source, the key's first.
    pub(super) fn columns(&self) -> impl Iterator<Item = &str> {
        let key = self.layout.key.iter().map(|column| column.name.as_str());
        key.chain(self.layout.columns.iter().map(|column| column.name.as_str()))
    }

    /// A change as the members of a record. A delete has its key alone.
    pub(super) fn record(&self, change: &Newest<'_>, protocol: Protocol) -> Result<Record<'_>> {
        let wrong = |what: &str, error: serde_json::Error| {
            let row = format!("table `{}`: row {}", change.table, change.key);
            Error::data(format!("{row}: {what} is not a JSON object: {error}"))
        };
        let mut record = Record { members: Vec::new(), lost: Vec::new(), unconverted: 0 };
        let mut slots = vec![None; self.layout.key.len()];
        scan(change.key, &self.key_paths, &mut slots).map_err(|error| wrong("its key", error))?;
        for (column, raw) in self.layout.key.iter().zip(&slots) {
            let value = raw.and_then(text).ok_or_else(|| {
                Error::data(format!(
                    "table `{}`: row {}: its key lacks `{}`",
                    change.table, change.key, column.member
                ))
            })?;
            member(&mut record.members, &column.name, |members| string(members, &value));
        }
        if let Some(row) = &change.row {
            let mut slots = vec![None; self.layout.columns.len()];
            scan(row, &self.paths, &mut slots).map_err(|error| wrong("it", error))?;
            self.values(&mut record, &slots, change.partial);
        }
        let time = u64::try_from(change.as_of).ok().and_then(rfc3339_ms);
        let known = |members: &mut Vec<u8>, time: Option<&String>| match time {
            Some(time) => string(members, time),
            None => members.extend_from_slice(b"null"),
        };
        if protocol == Protocol::Airbyte {
            member(&mut record.members, UPDATED_AT, |members| known(members, time.as_ref()));
        }
        let deleted = time.as_ref().filter(|_| change.row.is_none());
        member(&mut record.members, deleted_at(protocol), |members| known(members, deleted));
        Ok(record)
    }

    fn values<'a>(&'a self, record: &mut Record<'a>, slots: &[Option<&str>], partial: bool) {
        for ((column, kind), raw) in self.layout.columns.iter().zip(&self.kinds).zip(slots) {
            let Some(raw) = raw else {
                if partial {
                    record.lost.push((&column.name, Lost::Unread));
                }
                continue;
            };
            member(&mut record.members, &column.name, |members| {
                if !value(members, column.column_type, *kind, raw) {
                    members.extend_from_slice(b"null");
                    record.lost.push((&column.name, Lost::Unconverted));
                    record.unconverted += 1;
                }
            });
        }
    }
}

fn with_airbyte_type(mut schema: Json, protocol: Protocol) -> Json {
    if protocol == Protocol::Airbyte {
        schema["airbyte_type"] = json!("timestamp_with_timezone");
    }
    schema
}

/// Whether a column of objects and lists holds the one or the other.
fn kind(column: &Column, schema: &Json) -> Kind {
    let types = &schema["properties"][&column.property]["type"];
    let is =
        |word: &str| types == word || types.as_array().is_some_and(|types| types.iter().any(|t| t == word));
    match column.column_type {
        ColumnType::Json if is("object") => Kind::Object,
        ColumnType::Json if is("array") => Kind::List,
        _ => Kind::Other,
    }
}

/// Appends a member after the ones before.
fn member(members: &mut Vec<u8>, name: &str, value: impl FnOnce(&mut Vec<u8>)) {
    if !members.is_empty() {
        members.push(b',');
    }
    string(members, name);
    members.push(b':');
    value(members);
}

/// Appends a JSON string.
pub(super) fn string(bytes: &mut Vec<u8>, text: &str) {
    // Writing text to a vector cannot fail.
    let _written = serde_json::to_writer(bytes, text);
}

/// Appends a value of a column; false, and nothing appended, if it does not fit the type.
fn value(members: &mut Vec<u8>, column_type: ColumnType, kind: Kind, raw: &str) -> bool {
    let fits = match kind {
        Kind::Object => raw.starts_with('{') || raw == "null",
        Kind::List => raw.starts_with('[') || raw == "null",
        Kind::Other => true,
    };
    let Some(value) = convert(column_type, raw).filter(|_| fits) else { return false };
    // Writing to a vector cannot fail, and a real number is finite.
    let _written = match value {
        Value::Null => members.write_all(b"null"),
        Value::Integer(number) => write!(members, "{number}"),
        Value::Boolean(value) => write!(members, "{value}"),
        Value::Real(number) => serde_json::to_writer(members, &number).map_err(Into::into),
        Value::Text(_) if kind != Kind::Other => copied(members, raw),
        // PostgreSQL and others take no NUL: the load of a tool would fail at this row in every run.
        Value::Text(text) if text.contains('\0') => {
            string(members, &text.replace('\0', "\u{fffd}"));
            Ok(())
        }
        Value::Text(text) => {
            string(members, &text);
            Ok(())
        }
    };
    true
}

/// Copies JSON onto one line that every reader takes: line breaks can only be between its tokens.
fn copied(members: &mut Vec<u8>, raw: &str) -> std::io::Result<()> {
    members.extend(
        without_halves_and_nul(raw.into())
            .bytes()
            .map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }),
    );
    Ok(())
}
