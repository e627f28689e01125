//! The log of JSON lines as its documentation says it is to be read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::sqlite::unlike;
use super::{Differences, Truth};

/// A table's log, read to its end.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// The last line of each key: its snapshot, and its document unless it is gone.
    rows: BTreeMap<String, (u64, Option<Value>)>,
    /// Lines of rows.
    pub(crate) lines: usize,
    /// Lines that an earlier line repeats to the letter.
    pub(crate) repeated: usize,
    /// Lines that end a snapshot.
    pub(crate) snapshots: usize,
}

/// Reads the log of a table.
pub(crate) fn read_log(folder: &Path, table: &str) -> Log {
    let path = folder.join(format!("{table}.jsonl"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(text.is_empty() || text.ends_with('\n'), "{}: ends within a line", path.display());
    let mut log = Log::default();
    let mut seen = BTreeSet::new();
    for line in text.lines() {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(value["table"], table, "{line}");
        let generation = value["generation"].as_u64();
        if value["operation"] == "snapshot-complete" {
            log.snapshots += 1;
            let generation = generation.expect("a generation");
            log.rows.values_mut().filter(|(newest, _)| *newest < generation).for_each(|(_, row)| *row = None);
            continue;
        }
        log.lines += 1;
        log.repeated += usize::from(!seen.insert(line));
        let id = value["key"]["id"].as_str().expect("a key").to_owned();
        let gone = value["operation"] == "delete";
        assert_eq!(gone, value["after"].is_null(), "{line}");
        let document = (!gone).then(|| value["after"].clone());
        let newest = log.rows.get(&id).map_or(0, |(newest, _)| *newest);
        log.rows.insert(id, (generation.unwrap_or(newest).max(newest), document));
    }
    log
}

impl Log {
    /// The rows that live against the truth.
    pub(crate) fn check(&self, table: &str, truth: &Truth, differences: &mut Differences) {
        for (id, (_, row)) in &self.rows {
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
        let rows = self.rows.iter().filter_map(|(id, (_, row))| Some((id.clone(), row.clone()?)));
        rows.collect()
    }
}
