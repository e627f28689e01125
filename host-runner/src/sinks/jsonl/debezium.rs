//! A change, and the end of a snapshot, as a line in Debezium's envelope.
//!
//! Pure. In addition to the envelope's members there are `key`, and those of `source` that order changes.

use super::write::{member, number, object, row_error, string};
use crate::change::{Change, ChangeSource, Operation};
use crate::error::Result;
use crate::sinks::order::NewestSnapshot;

/// Appends the line of a change as of `as_of`, contained in `generation` (0: in none), read at `called_at`.
pub(super) fn change(
    buffer: &mut Vec<u8>,
    change: &Change,
    as_of: i64,
    generation: i64,
    called_at: i64,
    owner: &str,
) -> Result<()> {
    let wrong = |problem: &str| row_error(change, problem);
    buffer.extend_from_slice(b"{\"key\":");
    object(buffer, &change.key).ok_or_else(|| wrong("its key is not a JSON object"))?;
    buffer.extend_from_slice(b",\"before\":");
    match (&change.before, &change.after) {
        (Some(before), _) => {
            object(buffer, before).ok_or_else(|| wrong("its state before is not a JSON object"))?;
        }
        // As Debezium writes the delete of a row of which the key alone is known.
        (None, None) => object(buffer, &change.key).ok_or_else(|| wrong("its key is not a JSON object"))?,
        (None, Some(_)) => buffer.extend_from_slice(b"null"),
    }
    buffer.extend_from_slice(b",\"after\":");
    match &change.after {
        None => buffer.extend_from_slice(b"null"),
        Some(row) => object(buffer, row).ok_or_else(|| wrong("is not a JSON object"))?,
    }
    buffer.extend_from_slice(b",\"source\":{\"version\":");
    string(buffer, env!("CARGO_PKG_VERSION"));
    source(buffer, owner, &change.table, as_of, generation);
    let is_snapshot = change.source == ChangeSource::Snapshot;
    number(buffer, "ts_ms", change.source_updated_at_ms.map_or(Some(as_of), |ms| i64::try_from(ms).ok()));
    member(buffer, "snapshot", if is_snapshot { "true" } else { "false" });
    member(buffer, "change_source", change.source.name());
    member(buffer, "id", &change.id);
    if change.partial {
        buffer.extend_from_slice(b",\"partial\":true");
    }
    buffer.push(b'}');
    member(
        buffer,
        "op",
        match change.operation {
            Operation::Read => "r",
            Operation::Create => "c",
            Operation::Update => "u",
            Operation::Delete => "d",
        },
    );
    number(buffer, "ts_ms", Some(called_at));
    buffer.extend_from_slice(b",\"transaction\":null}\n");
    Ok(())
}

/// Appends the line that ends a snapshot, as a message of the source: keys of an older generation are deleted
/// as of its start.
pub(super) fn snapshot_complete(
    buffer: &mut Vec<u8>,
    table: &str,
    snapshot: NewestSnapshot,
    called_at: i64,
    owner: &str,
) {
    buffer.extend_from_slice(b"{\"source\":{\"version\":");
    string(buffer, env!("CARGO_PKG_VERSION"));
    source(buffer, owner, table, snapshot.as_of.unwrap_or(i64::MIN), snapshot.generation);
    member(buffer, "snapshot", "last");
    buffer.extend_from_slice(b"},\"op\":\"m\"");
    number(buffer, "ts_ms", Some(called_at));
    buffer.extend_from_slice(b",\"message\":{\"prefix\":\"snapshot-complete\",\"content\":\"\"}}\n");
}

/// The members of `source` that every line has.
fn source(buffer: &mut Vec<u8>, owner: &str, table: &str, as_of: i64, generation: i64) {
    member(buffer, "connector", "host-runner");
    member(buffer, "name", owner);
    member(buffer, "table", table);
    number(buffer, "as_of_ms", Some(as_of));
    number(buffer, "generation", Some(generation).filter(|generation| *generation > 0));
}
