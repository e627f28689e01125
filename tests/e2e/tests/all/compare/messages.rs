//! The messages of a data tool's run, applied as a tool applies them, against the truth.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::cell::{Cell, Property};
use super::sqlite::properties;
use super::{Differences, Truth};
use crate::support::Setup;

/// Columns that only lists have, so that a row that was found incrementally lacks them.
const ONLY_LISTED: [(&str, &str); 2] = [("tickets", "relationshipType"), ("contacts", "account")];

/// Keys that are not `id`, as the truth joins them.
const KEYS: [(&str, &[&str]); 3] =
    [("ticket_tags", &["ticketId", "id"]), ("team_members", &["teamId", "id"]), ("channels", &["code"])];

/// The columns of a table's key.
pub(crate) fn key(table: &str) -> &'static [&'static str] {
    KEYS.iter().find(|(keyed, _)| *keyed == table).map_or(&["id"], |(_, key)| *key)
}

/// Rows by table and key, the states, and every other message.
#[derive(Debug, Default)]
pub(crate) struct Received {
    rows: BTreeMap<String, BTreeMap<String, Value>>,
    /// The version of each row of Singer.
    versions: BTreeMap<(String, String), u64>,
    /// The last state of each table, as Airbyte keeps it.
    states: BTreeMap<String, Value>,
    /// The last state, as Singer keeps it.
    pub(crate) state: Option<Value>,
    pub(crate) traces: Vec<Value>,
    pub(crate) logs: Vec<Value>,
    /// Records, of all tables.
    pub(crate) records: usize,
    pub(crate) schemas: BTreeSet<String>,
    /// How the tool writes the name of a column, if not as it is.
    named: Option<fn(&str) -> String>,
    /// Keys of this run, of Singer since its last state: a tool that merges may take no key twice.
    batch: BTreeSet<(String, String)>,
}

impl Received {
    /// Of a tool that folds the case of names.
    pub(crate) fn folding_case() -> Received {
        Received::folding_names(str::to_lowercase)
    }

    /// Of a tool that writes names of columns in its own way.
    pub(crate) fn folding_names(named: fn(&str) -> String) -> Received {
        Received { named: Some(named), ..Received::default() }
    }

    /// A row as a tool stored it, newer than those before.
    pub(crate) fn row(&mut self, table: &str, row: Value) {
        self.batch.clear();
        self.record(table.to_owned(), row, None);
    }

    /// Applies the whole lines of a run; a last line that a kill cut off does not count.
    pub(crate) fn apply(&mut self, stdout: &str) {
        self.batch.clear();
        for line in stdout.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            self.message(line);
        }
    }

    fn message(&mut self, mut line: Value) {
        match line["type"].as_str() {
            Some("RECORD") if line["record"]["data"].is_object() => {
                let table = line["record"]["stream"].as_str().expect("a table").to_owned();
                self.record(table, line["record"]["data"].take(), None);
            }
            Some("RECORD") => {
                let table = line["stream"].as_str().expect("a table").to_owned();
                assert!(self.schemas.contains(&table), "{table}: a record before its schema");
                let version = line["version"].as_u64();
                self.record(table, line["record"].take(), version);
            }
            Some("STATE") => {
                if line["value"].is_object() {
                    self.batch.clear();
                    self.state = Some(line["value"].take());
                } else {
                    let stream = &line["state"]["stream"];
                    let table = stream["stream_descriptor"]["name"].as_str().expect("a table").to_owned();
                    self.states.insert(table, line["state"].take());
                }
            }
            Some("SCHEMA") => {
                self.schemas.insert(line["stream"].as_str().expect("a table").to_owned());
            }
            Some("ACTIVATE_VERSION") => {
                let (table, version) = (line["stream"].as_str().expect("a table"), line["version"].as_u64());
                let rows = self.rows.entry(table.to_owned()).or_default();
                rows.retain(|id, _| self.versions.get(&(table.to_owned(), id.clone())).copied() >= version);
            }
            Some("TRACE") => self.traces.push(line["trace"].take()),
            Some("LOG") => self.logs.push(line["log"].take()),
            _ => panic!("an unknown message: {line}"),
        }
    }

    fn record(&mut self, table: String, row: Value, version: Option<u64>) {
        self.records += 1;
        let names = key(&table);
        let named = self.named.unwrap_or(str::to_owned);
        let texts: Vec<&str> =
            names.iter().map(|name| row[named(name)].as_str().expect("a text of its key")).collect();
        let id = texts.join("-");
        assert!(self.batch.insert((table.clone(), id.clone())), "{table} {id}: twice in a run");
        if let Some(version) = version {
            self.versions.insert((table.clone(), id.clone()), version);
        }
        self.rows.entry(table).or_default().insert(id, row);
    }

    /// The states as PyAirbyte gives them back.
    pub(crate) fn airbyte_state(&self) -> Value {
        let with_nulls = |state: &Value| {
            let mut state = state.clone();
            state["data"] = Value::Null;
            state["global"] = Value::Null;
            state["global_"] = Value::Null;
            state["stream"]["stream_descriptor"]["namespace"] = Value::Null;
            state
        };
        self.states.values().map(with_nulls).collect()
    }

    /// Every state, in the form of its protocol.
    pub(crate) fn states(&mut self) -> impl Iterator<Item = &mut Value> {
        self.states.values_mut().chain(&mut self.state)
    }

    /// The statuses of a table, in their order.
    pub(crate) fn statuses(&self, table: &str) -> Vec<String> {
        let own = self.traces.iter().filter(|trace| {
            trace["type"] == "STREAM_STATUS" && trace["stream_status"]["stream_descriptor"]["name"] == table
        });
        own.map(|trace| trace["stream_status"]["status"].as_str().expect("a status").to_owned()).collect()
    }

    /// The errors: failure types and messages.
    pub(crate) fn errors(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let errors = self.traces.iter().filter(|trace| trace["type"] == "ERROR");
        errors
            .map(|trace| (text(&trace["error"]["failure_type"]), text(&trace["error"]["message"])))
            .collect()
    }

    /// The rows that live, against the truth. Rows in `changed` were found incrementally. The connection file
    /// `same.toml` is of the same simulator.
    #[track_caller]
    pub(crate) fn check(&self, setup: &Setup, truths: &BTreeMap<&str, Truth>, changed: &BTreeSet<String>) {
        let properties = properties(setup, "same.toml");
        let mut differences = Differences::default();
        for (table, truth) in truths {
            let empty = BTreeMap::new();
            let rows = self.rows.get(*table).unwrap_or(&empty);
            let named = self.named.unwrap_or(str::to_owned);
            check_table(table, rows, &properties[*table], &named, (truth, changed), &mut differences);
        }
        differences.none();
    }
}

/// The rows of a table by id, each with the time of its delete or null, against the truth.
fn check_table(
    table: &str,
    rows: &BTreeMap<String, Value>,
    properties: &[Property],
    named: &dyn Fn(&str) -> String,
    (truth, changed): (&Truth, &BTreeSet<String>),
    differences: &mut Differences,
) {
    let is_deleted = |row: &Value| {
        row["_ab_cdc_deleted_at"].is_string()
            || row["_sdc_deleted_at"].is_string()
            || row["_fivetran_deleted"] == true
    };
    for (id, row) in rows.iter().filter(|(_, row)| !is_deleted(row)) {
        match truth.get(id) {
            None => differences.add(format!("{table} {id}: never existed")),
            Some(None) => differences.add(format!("{table} {id}: gone, but not deleted here")),
            Some(Some(expected)) => {
                let expected = Value::Object(expected.clone());
                for property in properties {
                    let unlisted =
                        changed.contains(id) && ONLY_LISTED.contains(&(table, property.name.as_str()));
                    let found = cell(&row[named(&property.name)]);
                    match property.expected(&expected) {
                        Ok(_) if unlisted => {}
                        Ok(expected) if property.matches(&found, &expected) => {}
                        Ok(expected) => {
                            let name = &property.name;
                            differences.add(format!("{table} {id}: {name} is {found:?}, not {expected:?}"));
                        }
                        Err(error) => differences.add(format!("{table} {id}: {error}")),
                    }
                }
            }
        }
    }
    for (id, _) in truth.iter().filter(|(_, row)| row.is_some()) {
        if rows.get(id).is_none_or(is_deleted) {
            differences.add(format!("{table} {id}: lives, but not here"));
        }
    }
}

fn cell(value: &Value) -> Cell {
    match value {
        Value::Null => Cell::Null,
        Value::Bool(value) => Cell::Integer(i64::from(*value)),
        Value::Number(number) => {
            number.as_i64().map_or_else(|| Cell::Real(number.as_f64().expect("a number")), Cell::Integer)
        }
        Value::String(text) => Cell::Text(text.clone()),
        Value::Array(_) | Value::Object(_) => Cell::Text(value.to_string()),
    }
}
