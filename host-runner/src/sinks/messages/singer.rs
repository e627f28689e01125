//! Messages of the Singer specification: the lines that a tap writes, and the files that a tool gives it.
//!
//! Pure. Files are read leniently, because tools add members and nulls.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use serde_json::{Value, json};

use super::record::{Stream, string};
use super::{Protocol, Saved, SavedTable};
use crate::change::Table;
use crate::clock::rfc3339_ms;
use crate::describe::Describe;
use crate::error::{Error, Result};

/// Appends the schema of a table.
pub(super) fn schema(lines: &mut Vec<u8>, stream: &Stream) {
    let schema = json!({
        "type": "SCHEMA",
        "stream": stream.name(),
        "schema": stream.schema(Protocol::Singer),
        "key_properties": stream.key(),
    });
    push(lines, &schema);
}

/// Appends the line of a record.
pub(super) fn record(
    lines: &mut Vec<u8>,
    table: &str,
    members: &[u8],
    version: Option<u64>,
    extracted_at_ms: u64,
) {
    lines.extend_from_slice(b"{\"type\":\"RECORD\",\"stream\":");
    string(lines, table);
    lines.extend_from_slice(b",\"record\":{");
    lines.extend_from_slice(members);
    lines.push(b'}');
    // Writing to a vector cannot fail.
    if let Some(version) = version {
        let _written = write!(lines, ",\"version\":{version}");
    }
    if let Some(time) = rfc3339_ms(extracted_at_ms) {
        let _written = write!(lines, ",\"time_extracted\":\"{time}\"");
    }
    lines.extend_from_slice(b"}\n");
}

/// Appends the end of a snapshot: the target deletes rows of older versions.
pub(super) fn activate_version(lines: &mut Vec<u8>, table: &str, version: u64) {
    push(lines, &json!({"type": "ACTIVATE_VERSION", "stream": table, "version": version}));
}

/// Appends the state of all tables.
pub(super) fn state(lines: &mut Vec<u8>, saved: &Saved) {
    let tables: serde_json::Map<String, Value> =
        saved.tables.iter().map(|(name, table)| (name.clone(), table.json())).collect();
    let mut value = json!({ "bookmarks": tables });
    if let Some(session) = &saved.session {
        value["session"] = json!(session);
    }
    push(lines, &json!({"type": "STATE", "value": value}));
}

fn push(lines: &mut Vec<u8>, message: &Value) {
    // Writing to a vector cannot fail.
    let _written = writeln!(lines, "{message}");
}

/// The catalog that `--discover` prints.
pub(crate) fn catalog(tables: &[Table], describe: &Describe) -> Result<Value> {
    let stream = |table: &Table| {
        let stream = Stream::new(table, &BTreeSet::new())?;
        let key = stream.key();
        let method = if describe.reads_changes(&table.name) { "INCREMENTAL" } else { "FULL_TABLE" };
        let mut metadata = vec![json!({"breadcrumb": [], "metadata": {
            "inclusion": "available",
            "selected-by-default": true,
            "table-key-properties": key,
            "forced-replication-method": method,
        }})];
        metadata.extend(stream.columns().map(|column| {
            let inclusion = if key.contains(&column) { "automatic" } else { "available" };
            let column_metadata = json!({"inclusion": inclusion, "selected-by-default": true});
            json!({"breadcrumb": ["properties", column], "metadata": column_metadata})
        }));
        Ok(json!({
            "tap_stream_id": table.name,
            "stream": table.name,
            "schema": stream.schema(Protocol::Singer),
            "key_properties": key,
            "metadata": metadata,
        }))
    };
    let streams: Vec<Value> = tables.iter().map(stream).collect::<Result<_>>()?;
    Ok(json!({ "streams": streams }))
}

/// What a catalog selects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selected {
    /// Its tables, and whether each is to be read in full.
    pub(crate) tables: Vec<(String, bool)>,
    /// Columns that are not selected, by table.
    pub(crate) unwanted: BTreeMap<String, BTreeSet<String>>,
}

/// The selection of a catalog. Metadata decide; without any, `selected` of the schema does, and a table that
/// says nothing is selected, as `selected-by-default` says. Any other file, for example an empty one of a
/// `--discover` that failed, is an error: a run without rows would look like one that is up to date.
pub(crate) fn selected(catalog: &Value) -> Result<Selected> {
    let streams = catalog["streams"].as_array().ok_or_else(|| {
        Error::usage("--catalog: not a catalog: it has no `streams`").hint("`--discover` prints one")
    })?;
    let mut selected = Selected::default();
    for stream in streams {
        let name = stream["tap_stream_id"].as_str().or_else(|| stream["stream"].as_str());
        let Some(name) = name else { continue };
        let (mut is_selected, mut is_full) = (stream["schema"]["selected"].as_bool(), false);
        let mut unwanted = BTreeSet::new();
        for entry in stream["metadata"].as_array().into_iter().flatten() {
            let metadata = &entry["metadata"];
            let path: Vec<&str> =
                entry["breadcrumb"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            match path.as_slice() {
                [] => {
                    is_selected = metadata["selected"].as_bool().or(is_selected);
                    let method = ["replication-method", "forced-replication-method"];
                    let method = method.into_iter().find_map(|method| metadata[method].as_str());
                    is_full = method == Some("FULL_TABLE");
                }
                ["properties", column] => {
                    let is_unwanted = metadata["selected"].as_bool() == Some(false)
                        || metadata["inclusion"] == "unsupported";
                    if is_unwanted && metadata["inclusion"] != "automatic" {
                        unwanted.insert((*column).to_owned());
                    }
                }
                _ => {}
            }
        }
        if is_selected.unwrap_or(true) {
            selected.tables.push((name.to_owned(), is_full));
            selected.unwanted.insert(name.to_owned(), unwanted);
        }
    }
    Ok(selected)
}

/// The state as the tool kept it.
pub(crate) fn saved(state: &Value) -> Saved {
    // A target prints the value of the message; some tools keep the message.
    let value = state.get("value").unwrap_or(state);
    let tables = value["bookmarks"].as_object().into_iter().flatten();
    let table = |(name, saved): (&String, &Value)| Some((name.clone(), SavedTable::parse(saved)?));
    Saved {
        tables: tables.filter_map(table).collect(),
        session: value["session"].as_str().map(str::to_owned),
    }
}
