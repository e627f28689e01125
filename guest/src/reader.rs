//! One `read`: goes on from a cursor until a bound is reached or nothing is left, and says where to go on.
//!
//! What was read before a failure is not thrown away: the batch ends there, and the failure comes back when the host
//! asks again and it is still there.

mod bin;
mod children;
mod details;
mod search;
mod sight;
mod snapshot;

use std::collections::BTreeMap;

use crate::api::Api;
use crate::cursor::{Cursor, Phase, Search};
use crate::error::{Error, Result};
use crate::limits;
use crate::row::{Change, ChangeSource};
use crate::table::{Follow, Table};
use crate::transport::Transport;

/// Bounds on one batch; the contract's `limits`.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub max_changes: u32,
    pub max_bytes: u32,
    pub max_ms: u32,
}

/// One batch; the contract's `batch` without usage.
#[derive(Debug)]
pub struct Batch {
    pub changes: Vec<Change>,
    pub cursor: String,
    /// The snapshot it belongs to.
    pub generation: Option<Generation>,
    pub caught_up: bool,
    pub wait_ms: Option<u64>,
    pub warnings: Vec<String>,
}

/// The snapshot of a batch; the contract's `snapshot`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation {
    pub id: u64,
    pub as_of_ms: Option<u64>,
    pub complete: bool,
}

/// What a step of the read has come to.
enum Progress {
    /// There may be more at the cursor.
    More,
    /// This phase is at its end.
    Done,
}

/// The batch being filled.
struct Output {
    /// Of every change in it: a batch never spans a snapshot and incremental reading.
    source: ChangeSource,
    changes: Vec<Change>,
    bytes: usize,
    warnings: Vec<String>,
    limits: Limits,
    deadline_ms: u64,
    /// True once the cursor moved, with or without changes.
    moved: bool,
    /// Something was left out that the target may hold.
    gaps: bool,
    /// What ended the batch early.
    failure: Option<Error>,
}

impl Output {
    fn push(&mut self, mut change: Change) {
        change.source = self.source;
        self.bytes +=
            change.after.as_ref().map_or(0, String::len) + change.before.as_ref().map_or(0, String::len);
        self.changes.push(change);
    }

    fn delete(&mut self, table: &'static str, id: &str, before: Option<String>, as_of_ms: Option<u64>) {
        self.push(Change::delete(table, id, before, as_of_ms, self.source));
    }

    /// Leaves something out that the target may hold, and says why.
    fn leave_out(&mut self, warning: String) {
        self.gaps = true;
        self.warnings.push(warning);
    }

    fn is_full(&self, ticks_ms: u64) -> bool {
        self.changes.len() >= self.limits.max_changes as usize
            || self.bytes >= self.limits.max_bytes as usize
            || ticks_ms >= self.deadline_ms
    }

    fn room(&self) -> u64 {
        u64::from(self.limits.max_changes).saturating_sub(self.changes.len() as u64)
    }
}

/// Reads the next batch of `table` from `cursor`, or from the beginning.
pub fn read<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    cursor: Option<&str>,
    limits: Limits,
) -> Result<Batch> {
    let now_ms = api.transport().now_ms();
    let mut cursor = match cursor {
        Some(json) => Cursor::parse(table, json)?,
        None => Cursor::start(table, now_ms),
    };
    if let Phase::Rest { last_snapshot } = cursor.phase {
        if let Some(wait_ms) = rest_of(table, last_snapshot, now_ms) {
            return Ok(resting(&cursor, wait_ms));
        }
        cursor = Cursor::start(table, now_ms.max(last_snapshot + 1));
    }
    let mut out = Output {
        source: match cursor.phase {
            Phase::Snapshot(_) => ChangeSource::Snapshot,
            _ => ChangeSource::Incremental,
        },
        changes: Vec::new(),
        bytes: 0,
        warnings: Vec::new(),
        limits,
        deadline_ms: api.transport().ticks_ms().saturating_add(u64::from(limits.max_ms)),
        moved: false,
        gaps: false,
        failure: None,
    };
    let progress = loop {
        let step = match &mut cursor.phase {
            Phase::Snapshot(snapshot) => snapshot::step(api, table, snapshot, &mut out),
            Phase::Search(search) => search::step(api, table, search, &mut out),
            Phase::Rest { .. } => Ok(Progress::Done),
        };
        match step {
            Ok(Progress::Done) => break Progress::Done,
            Ok(Progress::More) => {}
            Err(error) if out.moved => out.failure = Some(error),
            Err(error) => return Err(explain(table, error)),
        }
        if out.failure.is_some() || out.is_full(api.transport().ticks_ms()) {
            break Progress::More;
        }
    };
    Ok(conclude(table, cursor, progress, out))
}

/// How long a table that was read as a whole has still to rest: a host that starts anew, or asks too soon, must not cost
/// another snapshot.
fn rest_of(table: &Table, last_snapshot_ms: u64, now_ms: u64) -> Option<u64> {
    let Follow::Compare { every_ms } = table.follow else { return None };
    // A snapshot of the future was begun by a clock that has been set back since.
    let since_ms = now_ms.checked_sub(last_snapshot_ms)?;
    every_ms.checked_sub(since_ms).filter(|rest_ms| *rest_ms > limits::COMPARE_EARLY_MS)
}

/// The batch of a table that rests: nothing, and the rest of the wait.
fn resting(cursor: &Cursor, wait_ms: u64) -> Batch {
    Batch {
        changes: Vec::new(),
        cursor: cursor.to_json(),
        generation: None,
        caught_up: true,
        wait_ms: Some(wait_ms),
        warnings: Vec::new(),
    }
}

/// The batch, with the cursor moved on to the next phase where this one is done.
fn conclude(table: &Table, cursor: Cursor, progress: Progress, out: Output) -> Batch {
    let done = matches!(progress, Progress::Done);
    let snapshot = match &cursor.phase {
        Phase::Snapshot(snapshot) => {
            let complete = done && !snapshot.gaps;
            Some(Generation { id: snapshot.began_ms, as_of_ms: snapshot.source_began_ms, complete })
        }
        _ => None,
    };
    let next = match cursor.phase {
        Phase::Snapshot(snapshot) if done => {
            Cursor::new(table, after_snapshot(table, snapshot.began_ms, snapshot.source_began_ms))
        }
        _ => cursor,
    };
    let wait_ms = match table.follow {
        Follow::Search { .. } => limits::SEARCH_REST_MS,
        Follow::Compare { every_ms } => every_ms,
    };
    let mut warnings = out.warnings;
    if done && snapshot.is_some_and(|snapshot| !snapshot.complete) {
        warnings.push(format!(
            "`{}` was not read as a whole: what is gone at the source is not looked for this time",
            table.name
        ));
    }
    warnings.extend(out.failure.map(|error| format!("the batch was cut short: {error}")));
    Batch {
        changes: out.changes,
        cursor: next.to_json(),
        generation: snapshot,
        caught_up: done,
        wait_ms: done.then_some(wait_ms),
        warnings,
    }
}

/// How a table is followed once a snapshot is complete.
fn after_snapshot(table: &Table, began_ms: u64, source_began_ms: Option<u64>) -> Phase {
    match table.follow {
        Follow::Search { .. } => {
            let since_ms = source_began_ms.unwrap_or(began_ms.saturating_sub(limits::SEARCH_OVERLAP_MS));
            Phase::Search(Search { since_ms, window: None, bin_since_ms: since_ms, seen: BTreeMap::new() })
        }
        Follow::Compare { .. } => Phase::Rest { last_snapshot: began_ms },
    }
}

/// The cursor that starts at a moment: changes since then by search, or a snapshot where there is no search.
pub fn cursor_at(table: &'static Table, time_ms: u64) -> Cursor {
    match table.follow {
        Follow::Search { .. } => Cursor::new(table, after_snapshot(table, time_ms, Some(time_ms))),
        // No snapshot was yet, so none is to be waited for.
        Follow::Compare { .. } => Cursor::new(table, Phase::Rest { last_snapshot: 0 }),
    }
}

/// Says which scopes the table needs when one is missing.
fn explain(table: &Table, mut error: Error) -> Error {
    if error.code.as_deref() == Some("SCOPE_MISMATCH") {
        error.hint = Some(format!(
            "the grant lacks a scope; this table needs {}: generate a new code with the scope list that `spec` prints \
             and run `authorize` again",
            table.scopes.join(" and ")
        ));
    }
    error
}
