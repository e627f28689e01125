//! One `read` call: continues from a cursor until a bound is reached or nothing is left, and returns the next
//! cursor.
//!
//! A failure ends the batch. The rows read until then are returned, with the time to wait; the failure is
//! reported by the next call if it persists.

mod snapshot;
mod windows;

mod search;
mod seen;
mod shared_search;

mod children;
mod custom_fields;
mod details;
mod recycle_bin;

mod count;
mod output;

pub(crate) use count::count;
pub(crate) use recycle_bin::RecycleBin;
pub(crate) use shared_search::SharedSearch;

use output::{Output, Progress};

use crate::api::Api;
use crate::change::{Change, ChangeSource};
use crate::cursor::{Cursor, Phase, Search, Snapshot};
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
    pub caught_up: bool,
    pub wait_ms: Option<u64>,
    pub warnings: Vec<String>,
    /// Rows that have only the members of the list, because their details cannot be read.
    pub partial_rows: u64,
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
    let mut cursor = match cursor {
        Some(json) => Cursor::parse(table, json)?,
        None => Cursor::start(table, now_ms),
    };
    if let Phase::Idle { last_snapshot_ms } = cursor.phase {
        if let Some(wait_ms) = remaining_wait_ms(table, last_snapshot_ms, now_ms) {
            let cursor = cursor.to_json();
            return Ok(Batch { cursor, caught_up: true, wait_ms: Some(wait_ms), ..Batch::default() });
        }
        // Ids of generations rise, also when the clock was set back.
        cursor = Cursor::start(table, now_ms.max(last_snapshot_ms + 1));
    }
    if let (Phase::Search(search), Incremental::FullRefresh { .. }) = (&cursor.phase, table.incremental) {
        // A cursor of a version that read this table by search.
        cursor = Cursor::start(table, now_ms.max(search.since_ms + 1));
    }
    if let Phase::Snapshot(snapshot) = &mut cursor.phase {
        snapshot::prepare(api, table, snapshot);
    }
    let source = match cursor.phase {
        Phase::Snapshot(_) => ChangeSource::Snapshot,
        Phase::Search(_) | Phase::Idle { .. } => ChangeSource::Incremental,
    };
    let mut out = Output::new(source, limits, api.transport().ticks_ms());
    if let Phase::Search(search) = &cursor.phase {
        out.not_before_ms = search.since_ms;
    }
    let progress = loop {
        let step = match &mut cursor.phase {
            Phase::Snapshot(snapshot) => snapshot::step(api, table, snapshot, &mut out),
            Phase::Search(search) => search::step(api, table, search, &mut out),
            Phase::Idle { .. } => Ok(Progress::Done),
        };
        match step {
            Ok(Progress::Done) => break Progress::Done,
            Ok(Progress::More) => {}
            Err(error) if out.has_moved => out.failure = Some(error),
            Err(error) => return Err(explain(table, error)),
        }
        if out.failure.is_some() || out.is_full(api.transport().ticks_ms()) {
            break Progress::More;
        }
    };
    Ok(conclude(table, cursor, progress, out, api.credits_left()))
}

/// How long a table that is read by full refresh has to wait; none when a snapshot is due. A host that
/// restarts, or asks too early, must not cost another snapshot.
fn remaining_wait_ms(table: &Table, last_snapshot_ms: u64, now_ms: u64) -> Option<u64> {
    let Incremental::FullRefresh { every_ms } = table.incremental else { return None };
    // A snapshot in the future was started before the clock was set back: it counts for nothing.
    let since_ms = now_ms.checked_sub(last_snapshot_ms)?;
    every_ms.checked_sub(since_ms).filter(|wait_ms| *wait_ms > limits::FULL_REFRESH_EARLY_MS)
}

/// The batch, with the cursor of the next phase where this one is done.
fn conclude(
    table: &Table,
    cursor: Cursor,
    progress: Progress,
    mut out: Output,
    credits_left: Option<u64>,
) -> Batch {
    let is_done = matches!(progress, Progress::Done);
    let mut warnings = out.take_warnings();
    let (generation, next) = match cursor.phase {
        Phase::Snapshot(Snapshot {
            started_at_ms: id, source_started_at_ms: as_of_ms, incomplete, ..
        }) => {
            if is_done && incomplete {
                warnings.push(format!(
                    "the snapshot of `{}` is incomplete: deletes are not looked for this time",
                    table.name
                ));
            }
            let complete = is_done && !incomplete;
            let next = if is_done { Cursor::new(table, after_snapshot(table, id, as_of_ms)) } else { cursor };
            (Some(Generation { id, as_of_ms, complete }), next)
        }
        Phase::Search(_) | Phase::Idle { .. } => (None, cursor),
    };
    let wait_ms = match table.incremental {
        Incremental::Search { .. } => search_wait_ms(credits_left),
        Incremental::FullRefresh { every_ms } => every_ms,
    };
    let cut_short_ms = out
        .failure
        .as_ref()
        .map(|error| error.retry_after_ms.unwrap_or_default().max(limits::CUT_SHORT_WAIT_MS));
    warnings.extend(out.failure.map(|error| format!("the batch ended early: {error}")));
    Batch {
        changes: out.changes,
        cursor: next.to_json(),
        generation,
        caught_up: is_done,
        wait_ms: if is_done { Some(wait_ms.max(out.wait_ms.unwrap_or_default())) } else { cut_short_ms },
        warnings,
        partial_rows: out.partial_rows,
    }
}

/// The wait of a caught-up table that is read by search: the part of the credits left that polls
/// may use, spread over a day.
fn search_wait_ms(credits_left: Option<u64>) -> u64 {
    let Some(left) = credits_left else { return limits::SEARCH_WAIT_MS };
    let rounds = left * limits::POLL_CREDITS_PERCENT / 100 / limits::ROUND_CREDITS;
    (86_400_000 / rounds.max(1)).clamp(limits::SEARCH_WAIT_MS, limits::SEARCH_WAIT_MAX_MS)
}

/// The phase after a snapshot.
fn after_snapshot(table: &Table, started_at_ms: u64, source_started_at_ms: Option<u64>) -> Phase {
    match table.incremental {
        Incremental::Search { .. } => {
            let since_ms =
                source_started_at_ms.unwrap_or(started_at_ms.saturating_sub(limits::SEARCH_OVERLAP_MS));
            Phase::Search(Search::since(since_ms))
        }
        Incremental::FullRefresh { .. } => Phase::Idle { last_snapshot_ms: started_at_ms },
    }
}

/// The cursor that starts at a time: changes since then by search, or a snapshot where there is no search.
pub(crate) fn cursor_at(table: &'static Table, time_ms: u64) -> Cursor {
    match table.incremental {
        Incremental::Search { .. } => Cursor::new(table, after_snapshot(table, time_ms, Some(time_ms))),
        // There was no snapshot yet, so the first one is due at once.
        Incremental::FullRefresh { .. } => Cursor::new(table, Phase::Idle { last_snapshot_ms: 0 }),
    }
}

/// Names the scopes of the table when one is missing.
fn explain(table: &Table, mut error: Error) -> Error {
    if error.code.as_deref() == Some("SCOPE_MISMATCH") {
        error.hint = Some(format!(
            "the grant lacks a scope; this table needs {}: generate a new code with the scope list that \
             `spec` prints and run `authorize` again",
            table.scopes.join(" and ")
        ));
    }
    error
}

/// True when a record that failed is given up, because it failed before and the others of the call do not
/// fail; `failed` and `read` count the records of the call.
fn gives_up<T: Transport>(
    api: &mut Api<T>,
    table: &Table,
    (id, error): (&str, &Error),
    (failed, read): (usize, usize),
) -> bool {
    let is_own = match error.kind {
        Kind::Unavailable => error.code.as_deref() != Some("UNREACHABLE"),
        Kind::Data => true,
        _ => false,
    };
    let (with_others, alone) = limits::FAILED_RECORD_CALLS;
    let calls = if read >= failed { with_others } else { alone };
    if !is_own || (read < failed && failed > limits::FAILED_RECORDS_ALONE) {
        return false;
    }
    let gives_up = api.gives_up(table.name, id, calls);
    if gives_up {
        api.forget_failures(table.name, id);
    }
    gives_up
}

/// The error about a server that ignores `from`.
fn repeating(path: &str) -> Error {
    Error::new(Kind::Data, format!("{path} repeats the same rows for every `from`"))
        .hint("this server does not page as Zoho Desk does: check `desk_url`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polls_become_rarer_when_the_days_credits_come_to_an_end() {
        const MINUTE_MS: u64 = 60_000;
        for (left, wait_min) in [(150_000, 5), (20_000, 5), (5_000, 17), (3_000, 28), (500, 60), (0, 60)] {
            assert_eq!(search_wait_ms(Some(left)) / MINUTE_MS, wait_min, "{left} credits left");
        }
        assert_eq!(search_wait_ms(None), 5 * MINUTE_MS, "the source does not say");
    }
}
