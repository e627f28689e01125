//! The second search: it finds changes that the index showed later than two windows overlap.
//!
//! Every `verify_days` the time since the last one is searched again. Its rows are written as of their
//! modified times: a sink ignores those that it has read since, and takes a change that it lacks. No record
//! is read. Of parents, the children are read where they were not since the parent changed.

use super::output::Output;
use crate::api::Api;
use crate::change::{Change, Operation};
use crate::cursor::{Search, Window};
use crate::limits;
use crate::row::{self, RowMeta};
use crate::table::{Incremental, Table};
use crate::transport::Transport;

/// The window of the second search; none while it is not due.
pub(super) fn window<T: Transport>(api: &Api<T>, table: &Table, search: &mut Search) -> Option<Window> {
    if search.searched_ms == 0 {
        search.searched_ms = search.since_ms;
    }
    let every_ms = api.config().verify_days * limits::DAY_MS;
    let is_due = every_ms > 0 && search.since_ms.saturating_sub(search.searched_ms) >= every_ms;
    let is_searched = matches!(table.incremental, Incremental::Search { .. });
    let before = |at_ms: u64| at_ms.saturating_sub(limits::SEARCH_OVERLAP_MS);
    (is_due && is_searched).then(|| Window {
        is_second: true,
        ..Window::whole(before(search.searched_ms), before(search.since_ms))
    })
}

/// Writes rows as of their modified times.
pub(super) fn write<T: Transport>(
    api: &Api<T>,
    table: &'static Table,
    rows: &[(RowMeta, &str)],
    out: &mut Output,
) {
    for (meta, row) in rows.iter().filter(|(_, row)| api.config().selects(table, row)) {
        let Some(modified_ms) = meta.modified_time_ms else { continue };
        // Searches have members that no other answer has.
        let row = row::only(row, table.columns.iter().map(|column| column.name));
        let as_of_ms = Some(modified_ms.saturating_sub(limits::SECOND_AS_OF_MS));
        out.push(Change::of_row(table, Operation::Read, meta, row, as_of_ms, out.source));
        out.is_second = true;
    }
}
