//! The phases of a table: snapshot, incremental reading, a verification that interrupts it, and when each is
//! due.

use super::{second, wait};
use crate::api::Api;
use crate::cursor::{Cursor, Phase, Search, Snapshot};
use crate::error::{Error, Kind, Result};
use crate::limits;
use crate::table::{Incremental, Table};
use crate::time;
use crate::transport::Transport;

/// What a call does.
pub(super) enum Start {
    Read(Cursor),
    /// Nothing: the next snapshot is not due yet.
    Wait(Cursor, u64),
}

/// The cursor that a call continues from.
pub(super) fn start<T: Transport>(api: &Api<T>, table: &Table, mut cursor: Cursor, now_ms: u64) -> Start {
    let incremental = incremental(api, table);
    match (&mut cursor.phase, incremental) {
        // A cursor of a version that read this table by full refresh.
        (Phase::Idle { last_snapshot_ms }, Incremental::Sorted { .. }) if *last_snapshot_ms > 0 => {
            let since_ms = last_snapshot_ms.saturating_sub(limits::SEARCH_OVERLAP_MS);
            let search = Search { verified_ms: *last_snapshot_ms, ..Search::since(since_ms) };
            Start::Read(Cursor::new(table, Phase::Search(search)))
        }
        (Phase::Idle { last_snapshot_ms }, _) => {
            let last_snapshot_ms = *last_snapshot_ms;
            match remaining_wait_ms(incremental, last_snapshot_ms, now_ms) {
                Some(wait_ms) => Start::Wait(cursor, wait_ms),
                // Ids of generations rise, also when the clock was set back.
                None => Start::Read(Cursor::start(table, now_ms.max(last_snapshot_ms + 1))),
            }
        }
        // A cursor of a version, or of a portal, that read this table by search.
        (Phase::Search(search), Incremental::FullRefresh { .. }) => {
            let since_ms = search.since_ms;
            Start::Read(Cursor::start(table, now_ms.max(since_ms + 1)))
        }
        (Phase::Search(search), _) => {
            if search.verified_ms == 0 {
                search.verified_ms = now_ms;
            }
            let is_between_rounds = is_between_rounds(search);
            let is_due =
                every_ms(api, table).is_some_and(|every_ms| now_ms.abs_diff(search.verified_ms) >= every_ms);
            let is_affordable = api.credits().is_none_or(|credits| credits.allow(true, now_ms).is_ok());
            if is_between_rounds && is_due && is_affordable {
                return Start::Read(Cursor::verification(table, search.clone(), now_ms));
            }
            if is_between_rounds && is_affordable {
                search.window = second::window(api, table, search);
            }
            Start::Read(cursor)
        }
        (Phase::Snapshot(_), _) => Start::Read(cursor),
    }
}

/// True when no window is open and the recycle bin is read.
pub(super) fn is_between_rounds(search: &Search) -> bool {
    search.window.is_none() && !search.scans_recycle_bin
}

/// How the table is read after its snapshot: by full refresh where its list cannot be sorted.
pub(super) fn incremental<T: Transport>(api: &Api<T>, table: &Table) -> Incremental {
    match table.incremental {
        Incremental::Sorted { every_ms, .. } if api.is_unsupported(table.name, super::sorted::PARAMETER) => {
            // Many lists, or many records, cost more than one short list.
            let every_ms = if table.has_lists() { every_ms.max(limits::DAY_MS) } else { every_ms };
            Incremental::FullRefresh { every_ms }
        }
        incremental => incremental,
    }
}

/// The time between two verifications of a table; none where it has none: a list without archived records
/// proves no delete, and the children of all parents cost calls for each parent.
pub(super) fn every_ms<T: Transport>(api: &Api<T>, table: &Table) -> Option<u64> {
    let days = match table.incremental {
        Incremental::Search { .. } if table.children.is_none() && !table.has_archive => {
            api.config().verify_days
        }
        // Portals differ in the order of a list of contracts.
        Incremental::Sorted { .. } if table.has_lists() => api.config().verify_days,
        Incremental::Sorted { .. } => api.config().verify_days.min(1),
        _ => 0,
    };
    (days > 0).then_some(days * limits::DAY_MS)
}

/// An error when the day's credits are too short for a phase.
pub(super) fn allow<T: Transport>(api: &mut Api<T>, phase: &Phase) -> Result<()> {
    api.allow(matches!(phase, Phase::Snapshot(_)))
}

/// Ends a verification that fails: incremental reading continues, and the next attempt is a day later, or,
/// from where this one was, once a quota allows it. The warning; none for another phase, or while the failure
/// may pass.
pub(super) fn abandon<T: Transport>(
    api: &Api<T>,
    table: &Table,
    phase: &mut Phase,
    error: &Error,
) -> Option<String> {
    let Phase::Snapshot(snapshot) = phase else { return None };
    let now_ms = api.transport().now_ms();
    let is_new = now_ms.abs_diff(snapshot.started_at_ms) < limits::VERIFICATION_RETRY_MS;
    if error.kind == Kind::Unavailable && is_new {
        return None;
    }
    let mut search = *snapshot.resumes.take()?;
    let (wait_ms, what) = match error.kind {
        Kind::RateLimited => {
            search.paused = Some(Box::new(snapshot.clone()));
            (error.retry_after_ms.unwrap_or_default().max(limits::VERIFICATION_PAUSE_MS), "continues")
        }
        _ => (limits::DAY_MS, "is tried again"),
    };
    let every_ms = every_ms(api, table).unwrap_or(limits::DAY_MS);
    search.verified_ms = (now_ms + wait_ms).saturating_sub(every_ms);
    *phase = Phase::Search(search);
    Some(format!("the verification {what} from {} on: {error}", time::format(now_ms + wait_ms)))
}

/// How long a table that is read by full refresh has to wait; none when a snapshot is due. A host that
/// restarts, or asks too early, must not cost another snapshot.
fn remaining_wait_ms(incremental: Incremental, last_snapshot_ms: u64, now_ms: u64) -> Option<u64> {
    let Incremental::FullRefresh { every_ms } = incremental else { return None };
    // A snapshot in the future was started before the clock was set back: it counts for nothing.
    let since_ms = now_ms.checked_sub(last_snapshot_ms)?;
    every_ms.checked_sub(since_ms).filter(|wait_ms| *wait_ms > limits::FULL_REFRESH_EARLY_MS)
}

/// The phase after a snapshot.
pub(super) fn after_snapshot(incremental: Incremental, snapshot: &mut Snapshot) -> Phase {
    let Snapshot { started_at_ms, source_started_at_ms, .. } = *snapshot;
    if let Some(search) = snapshot.resumes.take() {
        return Phase::Search(Search { verified_ms: started_at_ms, ..*search });
    }
    match incremental {
        Incremental::Search { .. } | Incremental::Sorted { .. } => {
            let since_ms =
                source_started_at_ms.unwrap_or(started_at_ms.saturating_sub(limits::SEARCH_OVERLAP_MS));
            let search = Search::since(since_ms);
            let parents = std::mem::take(&mut snapshot.unread);
            Phase::Search(Search { changed_ms: started_at_ms, verified_ms: started_at_ms, parents, ..search })
        }
        Incremental::FullRefresh { .. } => Phase::Idle { last_snapshot_ms: started_at_ms },
    }
}

/// The cursor that starts at a time: changes since then, or a snapshot where they cannot be found.
pub(crate) fn cursor_at(table: &'static Table, time_ms: u64) -> Cursor {
    let phase = match table.incremental {
        Incremental::Search { .. } | Incremental::Sorted { .. } => {
            Phase::Search(Search { changed_ms: time_ms, ..Search::since(time_ms) })
        }
        // There was no snapshot yet, so the first one is due at once.
        Incremental::FullRefresh { .. } => Phase::Idle { last_snapshot_ms: 0 },
    };
    Cursor::new(table, phase)
}

/// The wait of a table that is caught up.
pub(super) fn wait_ms<T: Transport>(api: &Api<T>, table: &Table, phase: &Phase) -> u64 {
    let changed_ms = match phase {
        Phase::Search(search) => search.changed_ms,
        _ => 0,
    };
    let now_ms = api.transport().now_ms();
    let quiet_ms = now_ms.saturating_sub(changed_ms);
    let is_delivered = !table.events.is_empty() && api.delivered().is_whole(api.to_source_clock(now_ms));
    match incremental(api, table) {
        Incremental::Search { .. } => {
            let wait_ms = wait::wait_ms(quiet_ms, api.credits().as_ref());
            if is_delivered { wait_ms.max(limits::DELIVERED_WAIT_MS) } else { wait_ms }
        }
        Incremental::Sorted { every_ms, .. } | Incremental::FullRefresh { every_ms } => every_ms,
    }
}
