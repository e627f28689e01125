//! Reads a file back for the conformance suite, by the rules that the documentation gives to readers.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::{log, segments};
use crate::sinks::Location;
use crate::sinks::conformance::{State, StoredRows};

/// The state that a reader keeps for a key.
struct Row {
    as_of: i64,
    generation: u64,
    row: Value,
    state: State,
}

pub(super) fn rows(location: &Location, table: &str) -> StoredRows {
    read(location, table, |line| line)
}

/// The same of lines in Debezium's envelope.
pub(super) fn debezium_rows(location: &Location, table: &str) -> StoredRows {
    read(location, table, |line| {
        let source = &line["source"];
        let operation = match line["op"].as_str().expect("an operation") {
            "m" => "snapshot-complete",
            "d" => "delete",
            _ => "update",
        };
        assert_eq!(operation == "update", line["after"].is_object(), "{line}");
        serde_json::json!({
            "table": source["table"], "operation": operation, "key": line["key"], "after": line["after"],
            "as_of_ms": source["as_of_ms"], "generation": source["generation"], "partial": source["partial"],
        })
    })
}

fn read(location: &Location, table: &str, line_of: fn(Value) -> Value) -> StoredRows {
    let text = committed(location.as_path().expect("a path"), table);
    assert!(text.is_empty() || text.ends_with('\n'), "ends within a line");
    let parse = |line: &str| -> Value {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
    };
    fold(text.lines().map(|line| line_of(parse(line))), table)
}

/// The rows that the lines of a table make, in their order.
pub(in crate::sinks) fn fold(lines: impl Iterator<Item = Value>, table: &str) -> StoredRows {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for line in lines {
        assert_eq!(line["table"], table, "{line}");
        let as_of = line["as_of_ms"].as_i64().unwrap_or(i64::MIN);
        let generation = line["generation"].as_u64().unwrap_or(0);
        if line["operation"] == "snapshot-complete" {
            for row in rows.values_mut().filter(|row| row.generation < generation) {
                row.as_of = row.as_of.max(as_of);
                if matches!(row.state, State::Live(_)) {
                    (row.state, row.generation) = (State::Missing, generation);
                }
            }
            continue;
        }
        let key = line["key"].as_object().expect("a key").values();
        let key: Vec<&str> = key.map(|value| value.as_str().expect("a text")).collect();
        let new = Row { as_of, generation: 0, row: Value::Null, state: State::Deleted };
        let row = rows.entry(key.join("/")).or_insert(new);
        let is_back = matches!(row.state, State::Missing) && generation > row.generation;
        row.generation = row.generation.max(generation);
        if as_of < row.as_of && !is_back {
            continue;
        }
        row.as_of = row.as_of.max(as_of);
        let after = &line["after"];
        if after.is_null() {
            row.state = State::Deleted;
            continue;
        }
        match (row.row.as_object_mut(), after.as_object().expect("a row")) {
            (Some(stored), members) if line["partial"] == true => stored.extend(members.clone()),
            _ => row.row = after.clone(),
        }
        row.state = State::Live(row.row.clone());
    }
    rows.into_iter().map(|(key, row)| (key, row.state)).collect()
}

/// The segments of a table one after the other, the last one up to its committed bytes.
pub(in crate::sinks) fn committed(folder: &Path, table: &str) -> String {
    let (state, _) = log::load(folder).expect("a log").expect("a log");
    let last = state.segments[table];
    let mut text = String::new();
    for number in 1..=last.number {
        match std::fs::read(segments::path(folder, table, number)) {
            Ok(bytes) if number == last.number => {
                let bytes = &bytes[..usize::try_from(last.bytes).expect("a size")];
                text.push_str(std::str::from_utf8(bytes).expect("UTF-8"));
            }
            Ok(bytes) => text.push_str(std::str::from_utf8(&bytes).expect("UTF-8")),
            // A reader may delete sealed segments, and the last one has no file before its first line.
            Err(error) => assert!(number < last.number || last.bytes == 0, "segment {number}: {error}"),
        }
    }
    text
}
