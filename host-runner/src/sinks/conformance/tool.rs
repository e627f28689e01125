//! Data tools as sinks of the suite: the messages that a run writes, applied by key as a tool applies them.
//!
//! A tool keeps the records and the last state, merges whole rows, and knows neither an owner nor deliveries:
//! the tests about these leave it out. Of Airbyte, each commit is a separate run, because a run writes each
//! key once.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::case::table_with;
use super::{State, StoredRows, TestPlace};
use crate::change::Table;
use crate::error::Result;
use crate::secret::Redactor;
use crate::sinks::messages::{Messages, Output, Protocol, airbyte, singer};
use crate::sinks::{Capabilities, Commit, Counts, Location, Sink, SinkKind, SinkProgress, SinkSettings};

/// Airbyte's destinations: of a key, the record with the newest cursor counts.
pub(super) const AIRBYTE: SinkKind = SinkKind {
    name: "airbyte",
    open: |settings| Ok(Box::new(Tool::start(settings, Protocol::Airbyte))),
    stored_rows: airbyte_rows,
    ..SINGER
};

/// Singer's targets: of a key, the last record counts, and the end of a snapshot deletes older versions.
pub(super) const SINGER: SinkKind = SinkKind {
    name: "singer",
    format: "",
    other_forms: &[],
    capabilities: Capabilities { compares_rows: false, hard_deletes: false, typed_columns: true },
    own_keys: &[],
    locate: |_, folder, connection| Ok(Location::path(folder, connection)),
    exists: |_| Ok(true),
    open: |settings| Ok(Box::new(Tool::start(settings, Protocol::Singer))),
    inspect: |_| Ok(None),
    stored_rows: singer_rows,
    test_place: |folder| Some(TestPlace::path(folder)),
};

/// Both.
pub(super) const TOOLS: &[&SinkKind] = &[&AIRBYTE, &SINGER];

/// The table of most tests as a tool sees it: with a column for each member that the tests' rows have.
pub(super) fn table(name: &str) -> Table {
    let properties = json!({
        "id": {"type": "string"},
        "n": {"type": "string"},
        "other": {"type": "boolean"},
        "o": {"type": "object"},
    });
    table_with(name, &properties.to_string())
}

/// A tool with its runs, one after the other.
struct Tool {
    /// Every line of every run.
    lines: PathBuf,
    protocol: Protocol,
    run: Messages,
    tables: Vec<Table>,
}

impl Tool {
    fn start(settings: &SinkSettings, protocol: Protocol) -> Self {
        let lines = settings.location.as_path().expect("a path").to_owned();
        let run = run(&lines, protocol);
        Self { lines, protocol, run, tables: Vec::new() }
    }
}

impl Sink for Tool {
    fn capabilities(&self) -> Capabilities {
        self.run.capabilities()
    }

    fn prepare(&mut self, tables: &[Table]) -> Result<()> {
        self.tables = tables.to_vec();
        self.run.prepare(tables)
    }

    fn progress(&self) -> Result<SinkProgress> {
        self.run.progress()
    }

    fn commit(&mut self, commit: &Commit<'_>) -> Result<Counts> {
        let counts = self.run.commit(commit);
        if self.protocol == Protocol::Airbyte {
            self.run = run(&self.lines, self.protocol);
            self.run.prepare(&self.tables)?;
        }
        counts
    }

    fn reset(&mut self, table: &str) -> Result<bool> {
        self.run.reset(table)
    }
}

/// A run that continues from the state of the lines before.
fn run(path: &Path, protocol: Protocol) -> Messages {
    let mut states = BTreeMap::new();
    for mut line in lines(path).into_iter().filter(|line| line["type"] == "STATE") {
        let stream = line["state"]["stream"]["stream_descriptor"].to_string();
        states.insert(stream, if protocol == Protocol::Airbyte { line["state"].take() } else { line });
    }
    let state: Value = states.into_values().collect();
    let saved = match protocol {
        Protocol::Airbyte => airbyte::saved(&state),
        Protocol::Singer => singer::saved(&state[0]),
    };
    let output = OpenOptions::new().create(true).append(true).open(path).expect("a file");
    Messages::new(Output::new(protocol, Redactor::default(), output), saved, Box::new(|| None))
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    assert!(text.is_empty() || text.ends_with('\n'), "ends within a line");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

/// The key of a record, and its state: it is deleted once this column has a time.
fn row(data: &Value, deleted_at: &str) -> (String, State) {
    let mut row = data.as_object().expect("a record").clone();
    let is_deleted = row.get(deleted_at).is_some_and(|time| !time.is_null());
    row.retain(|name, _| !name.starts_with('_'));
    let id = row["id"].as_str().expect("a key").to_owned();
    (id, if is_deleted { State::Deleted } else { State::Live(Value::Object(row)) })
}

fn airbyte_rows(location: &Location, table: &str) -> StoredRows {
    let mut rows: BTreeMap<String, (String, State)> = BTreeMap::new();
    for line in lines(location.as_path().expect("a path")) {
        let record = &line["record"];
        if line["type"] != "RECORD" || record["stream"] != table {
            continue;
        }
        let data = &record["data"];
        let cursor = data["_ab_cdc_updated_at"].as_str().expect("a cursor").to_owned();
        let (id, state) = row(data, "_ab_cdc_deleted_at");
        // Of equal ones, the one that was extracted last.
        if rows.get(&id).is_none_or(|(newest, _)| *newest <= cursor) {
            rows.insert(id, (cursor, state));
        }
    }
    rows.into_iter().map(|(id, (_, state))| (id, state)).collect()
}

fn singer_rows(location: &Location, table: &str) -> StoredRows {
    let mut rows: BTreeMap<String, (Option<u64>, State)> = BTreeMap::new();
    for line in lines(location.as_path().expect("a path")) {
        let version = line["version"].as_u64();
        match line["type"].as_str() {
            Some("RECORD") if line["stream"] == table => {
                let (id, state) = row(&line["record"], "_sdc_deleted_at");
                rows.insert(id, (version, state));
            }
            Some("ACTIVATE_VERSION") if line["stream"] == table => {
                for (stored, state) in rows.values_mut() {
                    if stored.is_some() && *stored < version && *state != State::Deleted {
                        *state = State::Missing;
                    }
                }
            }
            _ => {}
        }
    }
    rows.into_iter().map(|(id, (_, state))| (id, state)).collect()
}
