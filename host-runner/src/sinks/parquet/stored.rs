//! Reads a table back for the conformance suite, by the rules that the documentation gives to readers.
//!
//! Lines that are still in the log are converted here, so that every line of every test passes through a
//! file.

use std::path::Path;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::{Map, Value, json};

use super::file::convert_segment;
use super::log_folder;
use super::manifest::{MANIFEST, Manifest};
use super::tables::Tables;
use crate::sinks::conformance::StoredRows;
use crate::sinks::jsonl::stored::{committed, fold};
use crate::sinks::{Location, columns::Layout};

pub(super) fn rows(location: &Location, table: &str) -> StoredRows {
    let root = location.as_path().expect("a path");
    let tables = Tables::open(&log_folder(root)).expect("tables");
    let layout = tables.layout(table).expect("the table");
    let mut rows = published(root, table);
    let log = committed(&log_folder(root), table);
    // The numbers of segments do not matter: their lines are in order.
    let converted = convert_segment(log.as_bytes(), 1 << 20, layout).expect("converted");
    rows.extend(read(converted.bytes));
    rows.sort_by_key(|row| row["_sequence"].as_i64());
    fold(rows.iter().map(|row| line(row, layout, table)), table)
}

/// The rows of the files that the manifests list; other files do not count.
pub(super) fn published(root: &Path, table: &str) -> Vec<Map<String, Value>> {
    let mut rows = Vec::new();
    for day in std::fs::read_dir(root.join(table)).into_iter().flatten() {
        let day = day.expect("a day").path();
        let Ok(json) = std::fs::read(day.join(MANIFEST)) else { continue };
        for file in Manifest::of(Some(&json), "", "", "").expect("a manifest").files() {
            let bytes = std::fs::read(day.join(&file.name)).expect("a listed file");
            assert_eq!(crate::digest::sha256_hex(&bytes), file.sha256, "{}", file.name);
            let read = read(bytes);
            assert_eq!(read.len() as u64, file.rows, "{}", file.name);
            rows.extend(read);
        }
    }
    rows
}

/// The rows of a file, by the names of its columns.
pub(super) fn read(bytes: Vec<u8>) -> Vec<Map<String, Value>> {
    let reader = SerializedFileReader::new(bytes::Bytes::from(bytes)).expect("a file");
    let rows = reader.get_row_iter(None).expect("rows");
    let value = |field: &Field| match field {
        Field::Null => Value::Null,
        Field::Bool(value) => json!(value),
        Field::Long(value) | Field::TimestampMillis(value) => json!(value),
        Field::Double(value) => json!(value),
        Field::Str(value) => json!(value),
        Field::Bytes(value) => json!(std::str::from_utf8(value.data()).expect("UTF-8")),
        other => panic!("{other:?}"),
    };
    let row = |row: parquet::record::Row| {
        row.get_column_iter().map(|(name, field)| (name.clone(), value(field))).collect()
    };
    rows.map(|read| row(read.expect("a row"))).collect()
}

/// A row as the line of the log that it was.
fn line(row: &Map<String, Value>, layout: &Layout, table: &str) -> Value {
    let document = |text: &Value| match text.as_str() {
        Some(text) => serde_json::from_str(text).expect("JSON"),
        None => Value::Null,
    };
    let key: Map<String, Value> =
        layout.key.iter().map(|key| (key.member.clone(), row[&key.name].clone())).collect();
    json!({
        "table": table, "operation": row["_operation"], "key": key, "after": document(&row["_raw"]),
        "as_of_ms": row["_as_of_ms"], "generation": row["_generation"], "partial": row["_partial"],
    })
}
