//! One `read` call: continues from a cursor until a bound is reached or nothing is left, and returns the next
//! cursor.
//!
//! A failure ends the batch. The rows read until then are returned, with the time to wait; the failure is
//! reported by the next call if it persists.

mod length;
mod lists;
mod page;
mod partitions;
mod path;
mod rows;
mod snapshot;
mod windows;

mod phase;
mod wait;

mod search;
mod second;
mod seen;
mod shared_search;
mod sorted;

mod again;
mod children;
mod custom_fields;
mod details;
mod known;
mod recycle_bin;
mod tally;

mod count;
mod first_row;
mod output;
mod sizes;

pub(crate) use children::list_path as child_list_path;
pub(crate) use count::count;
pub(crate) use first_row::first_row;
pub(crate) use phase::cursor_at;
pub(crate) use rows::of as rows_of;
pub(crate) use sizes::sizes;

use children::TOGETHER;
use output::{Output, Progress};
use phase::Start;

use crate::api::Api;
use crate::change::{Change, ChangeSource, Listing};
use crate::cursor::{Cursor, Phase, Snapshot};
use crate::error::{Error, Kind, Result};
use crate::limits;
use crate::table::{Incremental, Table};
use crate::transport::Transport;

/// Bounds on one batch; the contract's `limits`.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub max_changes: u32,
    pub max_bytes: u32,
    pub max_ms: u32,
}

/// The contract's `batch`, with warnings for its attributes.
#[derive(Debug, Default)]
pub struct Batch {
    pub changes: Vec<Change>,
    pub cursor: String,
    /// The snapshot that the batch belongs to.
    pub generation: Option<Generation>,
    /// Parents of which all rows are known: the sink deletes others.
    pub listings: Vec<Listing>,
    pub caught_up: bool,
    pub wait_ms: Option<u64>,
    pub warnings: Vec<String>,
    /// Rows that have only the members of the list, because their details cannot be read.
    pub partial_rows: u64,
    /// Changes that no webhook brought although webhooks arrive; none where that is not known.
    pub undelivered: Option<u64>,
}

/// The contract's `generation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation {
    pub id: u64,
    pub as_of_ms: Option<u64>,
    pub complete: bool,
}

/// Reads the next batch of `table` from `cursor`, or from the beginning.
pub(crate) fn read<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    cursor: Option<&str>,
    limits: Limits,
) -> Result<Batch> {
    let now_ms = api.transport().now_ms();
    let shape = api.config().shape;
    let cursor = match cursor {
        Some(json) => Cursor::parse(table, json)?.in_shape(table, shape, now_ms),
        None => Cursor::start(table, now_ms),
    };
    let mut cursor = match phase::start(api, table, cursor, now_ms) {
        Start::Read(cursor) => cursor,
        Start::Wait(cursor, wait_ms) => {
            let cursor = cursor.to_json(shape);
            return Ok(Batch { cursor, caught_up: true, wait_ms: Some(wait_ms), ..Batch::default() });
        }
    };
    let mut abandoned = None;
    if let Err(error) = phase::allow(api, &cursor.phase) {
        match phase::abandon(api, table, &mut cursor.phase, &error) {
            Some(warning) => abandoned = Some(warning),
            None => return Err(error),
        }
    }
    if let Phase::Snapshot(snapshot) = &mut cursor.phase {
        snapshot::prepare(api, table, snapshot);
    }
    let mut out = output(&cursor.phase, limits, api.transport().ticks_ms());
    out.warnings.extend(abandoned);
    let most_calls = api.usage().requests + limits::BATCH_CALLS;
    let progress = loop {
        match step(api, table, &mut cursor.phase, &mut out) {
            Ok(Progress::Done) => break Progress::Done,
            Ok(Progress::More) => {}
            Err(error) if out.has_moved || error.is_not_asked() => out.failure = Some(error),
            Err(error) if is_skipped(api, table, &error) => {
                let wait_ms = Some(limits::SKIPPED_WAIT_MS);
                let warnings = vec![format!("the table is skipped: {error}; {}", needs(table))];
                let cursor = cursor.to_json(shape);
                return Ok(Batch { cursor, caught_up: true, wait_ms, warnings, ..Batch::default() });
            }
            Err(error) => match phase::abandon(api, table, &mut cursor.phase, &error) {
                Some(warning) => {
                    out.warnings.push(warning);
                    break Progress::More;
                }
                None => return Err(explain(table, error)),
            },
        }
        if out.failure.is_none() {
            out.failure = phase::allow(api, &cursor.phase).err();
        }
        let is_full = out.is_full(api.transport().ticks_ms()) || api.usage().requests >= most_calls;
        if out.failure.is_some() || is_full {
            break Progress::More;
        }
    };
    Ok(conclude(api, table, cursor, progress, out))
}

/// One step of a phase: a page or a few, of rows, changes or deletes.
fn step<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    phase: &mut Phase,
    out: &mut Output,
) -> Result<Progress> {
    let again = match phase {
        Phase::Search(search) if phase::is_between_rounds(search) => {
            again::due(api, table, &mut search.again)
        }
        _ => Vec::new(),
    };
    match phase {
        Phase::Search(search) if !again.is_empty() => again::step(api, table, &again, &mut search.again, out),
        Phase::Snapshot(snapshot) => snapshot::step(api, table, snapshot, out),
        Phase::Search(search) if search.scans_recycle_bin => recycle_bin::scan(api, table, search, out),
        Phase::Search(search) => match phase::incremental(api, table) {
            Incremental::Sorted { .. } => sorted::step(api, table, search, out),
            _ => search::step(api, table, search, out),
        },
        Phase::Idle { .. } => Ok(Progress::Done),
    }
}

/// The empty batch of a phase.
fn output(phase: &Phase, limits: Limits, ticks_ms: u64) -> Output {
    let source = match phase {
        Phase::Snapshot(_) => ChangeSource::Snapshot,
        Phase::Search(_) | Phase::Idle { .. } => ChangeSource::Incremental,
    };
    let mut out = Output::new(source, limits, ticks_ms);
    out.verifies = matches!(phase, Phase::Snapshot(snapshot) if snapshot.resumes.is_some());
    if let Phase::Search(search) = phase {
        out.not_before_ms = search.since_ms;
    }
    out
}

/// The batch, with the cursor of the next phase where this one is done.
fn conclude<T: Transport>(
    api: &mut Api<T>,
    table: &Table,
    mut cursor: Cursor,
    progress: Progress,
    mut out: Output,
) -> Batch {
    let now_ms = api.transport().now_ms();
    let is_done = matches!(progress, Progress::Done);
    // The batch is full.
    out.failure = out.failure.filter(|error| !error.is_not_asked());
    let mut warnings = out.take_warnings();
    let (mut generation, mut undelivered) = (None, None);
    match &mut cursor.phase {
        Phase::Snapshot(snapshot) => {
            let Snapshot { started_at_ms: id, source_started_at_ms: as_of_ms, incomplete, .. } = *snapshot;
            if is_done && incomplete {
                warnings.push(format!(
                    "the snapshot of `{}` is incomplete: deletes are not looked for this time",
                    table.name
                ));
            }
            generation = Some(Generation { id, as_of_ms, complete: is_done && !incomplete });
            if is_done {
                let next = phase::after_snapshot(phase::incremental(api, table), snapshot);
                cursor = Cursor::new(table, next);
            }
        }
        Phase::Search(search) if !out.changes.is_empty() && !out.is_second => {
            search.changed_ms = now_ms;
            if phase::every_ms(api, table).is_some() {
                seen::note_deleted(&mut search.deleted, &out.changes);
            }
            // All children of a changed parent are found, most of which did not change.
            if table.children.is_none() && !table.events.is_empty() {
                let may_come = out.changes.iter().filter(|change| !out.foreign.contains(&change.key));
                undelivered = api.delivered().undelivered(may_come.clone());
                let source_ms = api.to_source_clock(now_ms);
                api.delivered_mut().compare(may_come, source_ms);
            }
        }
        Phase::Search(_) | Phase::Idle { .. } => {}
    }
    let wait_ms = phase::wait_ms(api, table, &cursor.phase);
    let cut_short_ms = out
        .failure
        .as_ref()
        .map(|error| error.retry_after_ms.unwrap_or_default().max(limits::CUT_SHORT_WAIT_MS));
    warnings.extend(out.failure.map(|error| format!("the batch ended early: {error}")));
    Batch {
        changes: out.changes,
        cursor: cursor.to_json(api.config().shape),
        generation,
        listings: out.listings,
        caught_up: is_done,
        wait_ms: if is_done { Some(wait_ms.max(out.wait_ms.unwrap_or_default())) } else { cut_short_ms },
        warnings,
        partial_rows: out.partial_rows,
        undelivered,
    }
}

/// True for a table that came with a group, of which this grant, user or edition may read nothing.
pub(crate) fn is_skipped<T: Transport>(api: &Api<T>, table: &Table, error: &Error) -> bool {
    error.kind == Kind::Permission && !api.config().named.contains(&table)
}

/// The scopes of a table, for people.
pub(crate) fn needs(table: &Table) -> String {
    format!("this table needs {}", table.scopes.join(" and "))
}

/// Names the scopes of the table when one is missing.
fn explain(table: &Table, mut error: Error) -> Error {
    if error.lacks_scope() {
        error.hint = Some(format!(
            "the grant lacks a scope; {}: generate a new code with the scope list that `spec` prints and run \
             `authorize` again",
            needs(table)
        ));
    }
    error
}

/// The error about a server that ignores `from`.
fn repeating(path: &str) -> Error {
    Error::new(Kind::Data, format!("{path} repeats the same rows for every `from`"))
        .hint("this server does not page as Zoho Desk does: check `desk_url`")
}
