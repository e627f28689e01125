//! A change, and the end of a snapshot, as a line.
//!
//! Pure. Members that are JSON already are scanned, so that none can add members to its line, and copied.

use std::io::Write;

use serde_json::value::RawValue;

use crate::change::Change;
use crate::clock::rfc3339_ms;
use crate::error::{Error, Result};
use crate::sinks::order::NewestSnapshot;

/// Appends the line of a change as of `as_of`, contained in `generation` (0: in none).
pub(super) fn change(buffer: &mut Vec<u8>, change: &Change, as_of: i64, generation: i64) -> Result<()> {
    let wrong = |problem: &str| row_error(change, problem);
    buffer.extend_from_slice(b"{\"table\":");
    string(buffer, &change.table);
    buffer.extend_from_slice(b",\"operation\":");
    string(buffer, change.operation.name());
    buffer.extend_from_slice(b",\"key\":");
    object(buffer, &change.key).ok_or_else(|| wrong("its key is not a JSON object"))?;
    buffer.extend_from_slice(b",\"source_updated_at\":");
    match change.source_updated_at_ms.and_then(rfc3339_ms) {
        Some(time) => string(buffer, &time),
        None => buffer.extend_from_slice(b"null"),
    }
    buffer.extend_from_slice(b",\"id\":");
    string(buffer, &change.id);
    number(buffer, "as_of_ms", Some(as_of));
    number(buffer, "generation", Some(generation).filter(|generation| *generation > 0));
    buffer.extend_from_slice(b",\"change_source\":");
    string(buffer, change.source.name());
    if change.partial {
        buffer.extend_from_slice(b",\"partial\":true");
    }
    if let Some(before) = &change.before {
        buffer.extend_from_slice(b",\"before\":");
        object(buffer, before).ok_or_else(|| wrong("its state before is not a JSON object"))?;
    }
    buffer.extend_from_slice(b",\"after\":");
    match &change.after {
        None => buffer.extend_from_slice(b"null"),
        Some(row) => object(buffer, row).ok_or_else(|| wrong("is not a JSON object"))?,
    }
    buffer.extend_from_slice(b"}\n");
    Ok(())
}

/// Appends the line that ends a snapshot: keys of an older generation are deleted as of its start.
pub(super) fn snapshot_complete(buffer: &mut Vec<u8>, table: &str, snapshot: NewestSnapshot) {
    buffer.extend_from_slice(b"{\"table\":");
    string(buffer, table);
    buffer.extend_from_slice(b",\"operation\":\"snapshot-complete\"");
    number(buffer, "generation", Some(snapshot.generation));
    number(buffer, "as_of_ms", snapshot.as_of);
    buffer.extend_from_slice(b"}\n");
}

/// The error about a row.
pub(super) fn row_error(change: &Change, problem: &str) -> Error {
    Error::data(format!("table `{}`: row {}: {problem}", change.table, change.key))
}

/// Appends a member with a text.
pub(super) fn member(buffer: &mut Vec<u8>, name: &str, text: &str) {
    // Writing to a vector cannot fail.
    let _written = write!(buffer, ",\"{name}\":");
    string(buffer, text);
}

/// Appends a member with a number or null.
pub(super) fn number(buffer: &mut Vec<u8>, name: &str, value: Option<impl std::fmt::Display>) {
    // Writing to a vector cannot fail.
    let _written = match value {
        Some(value) => write!(buffer, ",\"{name}\":{value}"),
        None => write!(buffer, ",\"{name}\":null"),
    };
}

pub(super) fn string(buffer: &mut Vec<u8>, text: &str) {
    // Writing text to a vector cannot fail.
    let _written = serde_json::to_writer(buffer, text);
}

/// Copies a JSON object onto one line: line breaks can only be between its tokens.
pub(super) fn object(buffer: &mut Vec<u8>, text: &str) -> Option<()> {
    let text = text.trim();
    if !text.starts_with('{') || serde_json::from_str::<&RawValue>(text).is_err() {
        return None;
    }
    let start = buffer.len();
    buffer.extend_from_slice(text.as_bytes());
    let copied = buffer.get_mut(start..)?;
    if copied.contains(&b'\n') || copied.contains(&b'\r') {
        copied.iter_mut().filter(|b| matches!(b, b'\n' | b'\r')).for_each(|b| *b = b' ');
    }
    Some(())
}
