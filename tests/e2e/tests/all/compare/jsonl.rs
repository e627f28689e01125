//! Reads the log of JSON lines by the rules of `docs/sinks.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::sqlite::unlike;
use super::{Differences, Truth};

/// The state of a key.
#[derive(Debug, Default)]
struct Entry {
    as_of: Option<i64>,
    /// The largest of its lines.
    generation: u64,
    /// The newest row, with the members of partial lines laid over it; kept when the key is deleted.
    row: Value,
    is_deleted: bool,
    /// The end of a snapshot deleted it.
    is_missing: bool,
}

/// A table's log, read to its end.
#[derive(Debug, Default)]
pub(crate) struct Log {
    rows: BTreeMap<String, Entry>,
    /// Lines of rows.
    pub(crate) lines: usize,
    /// Lines that an earlier line repeats to the letter.
    pub(crate) repeated: usize,
    /// Lines that end a snapshot.
    pub(crate) snapshots: usize,
}

/// The segment that each table writes to, and its committed bytes: the last that the commit log says. A last
/// line without a line break does not count.
fn segments(folder: &Path) -> BTreeMap<String, (u64, usize)> {
    let path = folder.join("_sync_commits.jsonl");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut segments = BTreeMap::new();
    for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        let commit: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for (table, segment) in commit["segments"].as_object().into_iter().flatten() {
            let number = segment["number"].as_u64().expect("a number");
            let bytes = segment["bytes"].as_u64().and_then(|bytes| bytes.try_into().ok()).expect("bytes");
            segments.insert(table.clone(), (number, bytes));
        }
    }
    segments
}

/// The committed lines of a table.
fn committed(folder: &Path, table: &str) -> String {
    let (last, bytes) = segments(folder)[table];
    let mut text = String::new();
    for number in 1..=last {
        let path = folder.join(format!("{table}/{number:06}.jsonl"));
        if number == last && bytes == 0 {
            break;
        }
        let mut segment = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        if number == last {
            segment.truncate(bytes);
            assert_eq!(segment.len(), bytes, "{}: is shorter than committed", path.display());
        }
        text.push_str(std::str::from_utf8(&segment).expect("UTF-8"));
    }
    assert!(text.is_empty() || text.ends_with('\n'), "{table}: ends within a line");
    text
}

/// Reads the log of a table.
pub(crate) fn read_log(folder: &Path, table: &str) -> Log {
    let text = committed(folder, table);
    let lines = text.lines().map(|line| {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        if value.get("op").is_some() { of_debezium(&value) } else { value }
    });
    Log::of(lines, table)
}

/// A line in Debezium's envelope as the other format has it, by the table of `docs/sinks.md`.
fn of_debezium(line: &Value) -> Value {
    let source = &line["source"];
    let operation = match line["op"].as_str().expect("an operation") {
        "r" => "read",
        "c" => "create",
        "u" => "update",
        "d" => "delete",
        "m" if line["message"]["prefix"] == "snapshot-complete" => "snapshot-complete",
        other => panic!("operation {other}"),
    };
    assert!(source["connector"] == "host-runner" && line["ts_ms"].is_u64(), "{line}");
    serde_json::json!({
        "table": source["table"], "operation": operation, "key": line["key"], "after": line["after"],
        "as_of_ms": source["as_of_ms"], "generation": source["generation"], "partial": source["partial"],
    })
}

impl Log {
    /// The log that has these lines.
    pub(crate) fn of(lines: impl Iterator<Item = Value>, table: &str) -> Log {
        let mut log = Log::default();
        let mut seen = BTreeSet::new();
        for line in lines {
            assert_eq!(line["table"], table, "{line}");
            if line["operation"] == "snapshot-complete" {
                log.snapshots += 1;
                log.complete(line["generation"].as_u64().expect("a generation"), line["as_of_ms"].as_i64());
                continue;
            }
            log.lines += 1;
            log.repeated += usize::from(!seen.insert(line.to_string()));
            assert_eq!(line["operation"] == "delete", line["after"].is_null(), "{line}");
            log.apply(&line);
        }
        log
    }

    /// A line of a row.
    fn apply(&mut self, line: &Value) {
        let id = line["key"]["id"].as_str().expect("a key").to_owned();
        let as_of = line["as_of_ms"].as_i64().expect("a time");
        let entry = self.rows.entry(id).or_default();
        let generation = line["generation"].as_u64().unwrap_or(0);
        let is_back = entry.is_missing && generation > entry.generation;
        entry.generation = entry.generation.max(generation);
        if entry.as_of.is_some_and(|newest| as_of < newest) && !is_back {
            return;
        }
        entry.as_of = entry.as_of.max(Some(as_of));
        (entry.is_deleted, entry.is_missing) = (line["after"].is_null(), false);
        match (entry.row.as_object_mut(), line["after"].as_object()) {
            (_, None) => {}
            (Some(row), Some(members)) if line["partial"] == true => row.extend(members.clone()),
            (_, Some(_)) => entry.row = line["after"].clone(),
        }
    }

    /// The line that ends a snapshot.
    fn complete(&mut self, generation: u64, as_of: Option<i64>) {
        for entry in self.rows.values_mut().filter(|entry| entry.generation < generation) {
            if !entry.is_deleted {
                (entry.is_deleted, entry.is_missing, entry.generation) = (true, true, generation);
            }
            entry.as_of = entry.as_of.max(as_of);
        }
    }

    /// The newest row of each key, none if it is deleted.
    fn newest(&self) -> impl Iterator<Item = (&String, Option<&Value>)> {
        self.rows.iter().map(|(id, entry)| (id, (!entry.is_deleted).then_some(&entry.row)))
    }

    /// The rows that live against the truth.
    pub(crate) fn check(&self, table: &str, truth: &Truth, differences: &mut Differences) {
        for (id, row) in self.newest() {
            match (row, truth.get(id)) {
                (_, None) => differences.add(format!("{table} {id}: never existed")),
                (Some(_), Some(None)) => differences.add(format!("{table} {id}: gone, but not in the log")),
                (None, Some(Some(_))) => differences.add(format!("{table} {id}: lives, but not in the log")),
                (None, Some(None)) => {}
                (Some(row), Some(Some(expected))) => {
                    let expected = Value::Object(expected.clone());
                    if *row != expected {
                        differences.add(format!("{table} {id}: {}", unlike(row, &expected)));
                    }
                }
            }
        }
        for (id, _) in truth.iter().filter(|(id, row)| row.is_some() && !self.rows.contains_key(*id)) {
            differences.add(format!("{table} {id}: missing"));
        }
    }

    /// Documents by key.
    pub(crate) fn documents(&self) -> BTreeMap<String, Value> {
        self.newest().filter_map(|(id, row)| Some((id.clone(), row?.clone()))).collect()
    }
}
