//! Incremental reading by a list that is sorted by modified time, newest first: until a record was modified
//! before the last poll. List rows lack the modified time, so their details are read, a few at a time.

use super::details::{self, Listed};
use super::output::{Output, Progress};
use super::{repeating, snapshot};
use crate::api::Api;
use crate::cursor::{Search, Window};
use crate::error::{Kind, Result};
use crate::limits;
use crate::paging::PageOutcome;
use crate::table::{MODIFIED, Table};
use crate::transport::Transport;

/// The parameter of the sorted list, as the session names it where the portal refuses it.
pub(super) const PARAMETER: &str = "sortBy=-modifiedTime";

/// Reads one page of the list.
pub(super) fn step<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    search: &mut Search,
    out: &mut Output,
) -> Result<Progress> {
    let since_ms = search.since_ms.saturating_sub(limits::SETTLED_MS);
    // The place in the list; it has no range.
    let window = search.window.get_or_insert_with(|| Window::whole(0, 0));
    let answer = match api.get(&snapshot::newest_path(api, table, MODIFIED.member, window.offset.from)) {
        Ok(answer) => answer,
        Err(error) if error.kind == Kind::Data => {
            api.remember_unsupported(table.name, PARAMETER);
            out.warnings.push(format!(
                "`{}`: read by full refresh, because its list cannot be sorted by modified time: {error}",
                table.name
            ));
            out.has_moved = true;
            return Ok(Progress::Done);
        }
        Err(error) => return Err(error),
    };
    window.source_now_ms = window.source_now_ms.or(answer.as_of_ms);
    let rows = answer.rows_with_meta()?;
    let ids: Vec<&str> = rows.iter().map(|(meta, _)| meta.id.as_str()).collect();
    let limit = table.list.limit;
    let before = window.offset.clone();
    let mut next = match window.offset.accept(limit, &ids) {
        PageOutcome::NewRows(first) => first,
        PageOutcome::AskAgain => {
            out.has_moved = true;
            return Ok(Progress::More);
        }
        PageOutcome::End => return Ok(close(api, search, out)),
        PageOutcome::Repeating => return Err(repeating(table.list.path)),
    };
    // Two at first: as a rule none or one was modified.
    let mut size = 2;
    while next < rows.len() {
        let listed: Vec<Listed<'_>> = rows[next..]
            .iter()
            .take(size)
            .map(|(meta, row)| Listed { meta, row, as_of_ms: answer.as_of_ms, is_search: false })
            .collect();
        let first = out.changes.len();
        let written = details::read(api, table, &listed, out);
        if written.contains(&false) {
            // Read again from its first row: unchanged rows cost nothing in the sink.
            window.offset.rewind(before, limit, &ids[..next]);
            out.interrupted()?;
            return Ok(Progress::More);
        }
        next += listed.len();
        out.has_moved = true;
        if out.remove_older(first, since_ms) {
            return Ok(close(api, search, out));
        }
        size *= 4;
    }
    Ok(Progress::More)
}

/// Ends a round: everything modified before its first answer was read.
fn close<T: Transport>(api: &Api<T>, search: &mut Search, out: &mut Output) -> Progress {
    let host_ms = api.transport().now_ms();
    let read_ms = search.window.take().and_then(|window| window.source_now_ms);
    search.since_ms = read_ms.unwrap_or(api.to_source_clock(host_ms)).max(search.since_ms);
    search.scans_recycle_bin = true;
    out.has_moved = true;
    Progress::More
}
