//! Reads a file back for the conformance suite, by the rules that the documentation gives to readers.

use std::collections::BTreeMap;

use serde_json::Value;

use super::path;
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
    let text = std::fs::read_to_string(path(location.as_path().expect("a path"), table)).expect("read");
    assert!(text.is_empty() || text.ends_with('\n'), "ends within a line");
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(line["table"], table, "{line}");
        let as_of = line["as_of_ms"].as_i64().unwrap_or(i64::MIN);
        let generation = line["generation"].as_u64().unwrap_or(0);
        if line["operation"] == "snapshot-complete" {
            for row in rows.values_mut().filter(|row| row.generation < generation) {
                row.as_of = row.as_of.max(as_of);
                if matches!(row.state, State::Live(_)) {
                    row.state = State::Missing;
                }
            }
            continue;
        }
        let key = line["key"].as_object().expect("a key").values();
        let key: Vec<&str> = key.map(|value| value.as_str().expect("a text")).collect();
        let new = Row { as_of, generation: 0, row: Value::Null, state: State::Deleted };
        let row = rows.entry(key.join("/")).or_insert(new);
        row.generation = row.generation.max(generation);
        if as_of < row.as_of {
            continue;
        }
        row.as_of = as_of;
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
