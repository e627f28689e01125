//! Messages of the Airbyte protocol (version 0.2): the lines that a source writes, and the files that a tool
//! gives it.
//!
//! Pure. Files are read leniently, because tools add members and nulls.

use std::collections::BTreeSet;
use std::io::Write as _;

use serde_json::{Value, json};

use super::record::{Lost, Stream, UPDATED_AT, string};
use super::{Level, Message, Protocol, Saved, SavedTable, Status};
use crate::change::Table;
use crate::describe::Describe;
use crate::error::{Error, Result};
use crate::policy::Failure;
use crate::secret::Redactor;

/// Where the state of a table keeps the session, and when it was kept: that of the newest state counts.
const SESSION: &str = "session";
const SESSION_AT: &str = "session_at";

/// Appends the line of a record.
pub(super) fn record(
    lines: &mut Vec<u8>,
    table: &str,
    members: &[u8],
    lost: &[(&str, Lost)],
    emitted_at_ms: u64,
) {
    lines.extend_from_slice(b"{\"type\":\"RECORD\",\"record\":{\"stream\":");
    string(lines, table);
    lines.extend_from_slice(b",\"data\":{");
    lines.extend_from_slice(members);
    lines.push(b'}');
    if !lost.is_empty() {
        let change = |(field, lost): &(&str, Lost)| {
            let reason = match lost {
                Lost::Unconverted => "SOURCE_SERIALIZATION_ERROR",
                Lost::Unread => "SOURCE_RETRIEVAL_ERROR",
            };
            json!({"field": field, "change": "NULLED", "reason": reason})
        };
        let changes: Vec<Value> = lost.iter().map(change).collect();
        // Writing to a vector cannot fail.
        let _written = write!(lines, ",\"meta\":{}", json!({ "changes": changes }));
    }
    let _written = writeln!(lines, ",\"emitted_at\":{emitted_at_ms}}}}}");
}

/// Appends the state of a table, after so many records of it since the last one.
pub(super) fn state(
    lines: &mut Vec<u8>,
    table: &str,
    saved: &SavedTable,
    session: Option<&str>,
    (records, now_ms): (u64, u64),
) {
    let mut state = saved.json();
    if let Some(session) = session {
        state[SESSION] = json!(session);
        state[SESSION_AT] = json!(now_ms);
    }
    let stream = json!({"stream_descriptor": {"name": table}, "stream_state": state});
    let stats = json!({"recordCount": records});
    push(
        lines,
        &json!({"type": "STATE", "state": {"type": "STREAM", "stream": stream, "sourceStats": stats}}),
    );
}

/// Appends any other message.
pub(super) fn message(lines: &mut Vec<u8>, message: Message<'_>, now_ms: u64, redactor: &Redactor) {
    let trace = |kind: &str, member: &str, value: Value| {
        let trace = json!({"type": kind, "emitted_at": now_ms, member: value});
        json!({"type": "TRACE", "trace": trace})
    };
    let line = match message {
        Message::Status { table, status } => {
            let status = match status {
                Status::Started => "STARTED",
                Status::Running => "RUNNING",
                Status::Complete => "COMPLETE",
                Status::Incomplete => "INCOMPLETE",
            };
            let status = json!({"stream_descriptor": {"name": table}, "status": status});
            trace("STREAM_STATUS", "stream_status", status)
        }
        Message::Estimate { table, rows } => {
            trace("ESTIMATE", "estimate", json!({"name": table, "type": "STREAM", "row_estimate": rows}))
        }
        Message::Log { level, text } => {
            let level = match level {
                Level::Info => "INFO",
                Level::Warning => "WARN",
                Level::Error => "ERROR",
            };
            json!({"type": "LOG", "log": {"level": level, "message": redactor.redact(text)}})
        }
        Message::Failed { table, error, failure } => {
            trace("ERROR", "error", failed(table, error, failure, redactor))
        }
    };
    push(lines, &line);
}

fn failed(table: Option<&str>, error: &Error, failure: Failure, redactor: &Redactor) -> Value {
    let failure = match failure {
        Failure::Config => "config_error",
        Failure::Transient => "transient_error",
        Failure::System => "system_error",
    };
    let message = match &error.hint {
        Some(hint) => format!("{}; hint: {hint}", error.message),
        None => error.message.clone(),
    };
    let mut trace = json!({
        "message": redactor.redact(&message),
        "internal_message": redactor.redact(&error.json().to_string()),
        "failure_type": failure,
    });
    if let Some(table) = table {
        trace["stream_descriptor"] = json!({ "name": table });
    }
    trace
}

fn push(lines: &mut Vec<u8>, message: &Value) {
    // Writing to a vector cannot fail.
    let _written = writeln!(lines, "{message}");
}

/// The answer to `check`; a failure is for a person to read.
pub(crate) fn connection_status(failed: Option<&str>) -> Value {
    let status = match failed {
        None => json!({"status": "SUCCEEDED"}),
        Some(message) => json!({"status": "FAILED", "message": message}),
    };
    json!({"type": "CONNECTION_STATUS", "connectionStatus": status})
}

/// The answer to `discover`.
pub(crate) fn catalog(tables: &[Table], describe: &Describe) -> Result<Value> {
    let stream = |table: &Table| {
        let stream = Stream::new(table, &Default::default())?;
        let key: Vec<Vec<&str>> = stream.key().into_iter().map(|column| vec![column]).collect();
        let modes: &[&str] = if describe.reads_changes(&table.name) {
            &["full_refresh", "incremental"]
        } else {
            &["full_refresh"]
        };
        Ok(json!({
            "name": table.name,
            "json_schema": stream.schema(Protocol::Airbyte),
            "supported_sync_modes": modes,
            "source_defined_cursor": true,
            "default_cursor_field": [UPDATED_AT],
            "source_defined_primary_key": key,
            "is_resumable": true,
        }))
    };
    let streams: Vec<Value> = tables.iter().map(stream).collect::<Result<_>>()?;
    Ok(json!({"type": "CATALOG", "catalog": {"streams": streams}}))
}

/// The answer to `spec`: the component's schema, and the grant as one more property.
pub(crate) fn spec(describe: &Describe) -> Value {
    let specification = json!({
        "protocol_version": "0.2.0",
        "connectionSpecification": specification(describe),
        "supportsIncremental": true,
        "supported_destination_sync_modes": [],
    });
    json!({"type": "SPEC", "spec": specification})
}

/// The JSON Schema of a tool's configuration: that of the component, with its secrets marked, and the grant.
fn specification(describe: &Describe) -> Value {
    let mut schema = describe.configuration.clone();
    if !schema.is_object() {
        schema = json!({"type": "object"});
    }
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!(describe.title);
    // Tools add members.
    schema["additionalProperties"] = json!(true);
    if let Some(grant) = describe.document.get("grant").filter(|grant| grant.is_object()) {
        let mut grant = grant.clone();
        grant["title"] = json!("Grant");
        grant["description"] = json!(
            "What authorizes this connector. A refresh token works in every run; a code works once, so that \
             its session must stay in the state."
        );
        schema["properties"]["grant"] = grant;
    }
    mark_secrets(&mut schema);
    schema
}

/// Marks every write-only property as Airbyte does, and turns the order of the form into its member.
fn mark_secrets(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else { return };
    if members.get("writeOnly") == Some(&json!(true)) {
        members.insert("airbyte_secret".to_owned(), json!(true));
    }
    if let Some(order) = members.get("x-order").cloned() {
        members.insert("order".to_owned(), order);
    }
    if let Some(properties) = members.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(mark_secrets);
    }
}

/// The tables of a configured catalog, and whether each is to be read in full.
pub(crate) fn configured(catalog: &Value) -> Result<Vec<(String, bool)>> {
    let streams = catalog["streams"].as_array().ok_or_else(|| {
        Error::usage("--catalog: not a configured catalog: it has no `streams`")
            .hint("give the file that the tool writes; `discover` prints the tables to choose from")
    })?;
    let table = |configured: &Value| {
        let name = configured["stream"]["name"].as_str()?;
        Some((name.to_owned(), configured["sync_mode"] == "full_refresh"))
    };
    Ok(streams.iter().filter_map(table).collect())
}

/// The tables of a configured catalog that the tool replaces at the end of a full refresh.
pub(crate) fn overwritten(catalog: &Value) -> BTreeSet<String> {
    let table = |configured: &Value| {
        let mode = configured["destination_sync_mode"].as_str()?;
        let is_replaced = configured["sync_mode"] == "full_refresh" && mode.starts_with("overwrite");
        Some(configured["stream"]["name"].as_str()?.to_owned()).filter(|_| is_replaced)
    };
    catalog["streams"].as_array().into_iter().flatten().filter_map(table).collect()
}

/// The state as the tool kept it: a list of messages, one message, or nothing.
pub(crate) fn saved(state: &Value) -> Saved {
    let one = [state.clone()];
    let messages = state.as_array().map_or(one.as_slice(), Vec::as_slice);
    let global = |message: &Value| message["global"]["stream_states"].as_array().cloned();
    let streams = messages.iter().flat_map(|message| {
        let own = Some(message["stream"].clone()).filter(Value::is_object);
        own.into_iter().chain(global(message).unwrap_or_default())
    });
    let (mut saved, mut newest) = (Saved::default(), 0);
    for stream in streams {
        let Some(name) = stream["stream_descriptor"]["name"].as_str() else { continue };
        let state = &stream["stream_state"];
        if let Some(table) = SavedTable::parse(state) {
            saved.tables.insert(name.to_owned(), table);
        }
        let at = state[SESSION_AT].as_u64().unwrap_or(0);
        if let Some(session) = state[SESSION].as_str().filter(|_| at >= newest) {
            (saved.session, newest) = (Some(session.to_owned()), at);
        }
    }
    saved
}
