//! One page of a list or of a search window: its new rows are written, each completed where it must be.

use super::custom_fields;
use super::details::{self, Listed};
use super::output::{Output, Progress};
use super::{repeating, windows};
use crate::api::{Answer, Api};
use crate::cursor::{Parent, Snapshot};
use crate::error::Result;
use crate::limits;
use crate::paging::{Offset, PageOutcome};
use crate::row::{self, RowMeta};
use crate::table::{CREATED, Table};
use crate::transport::Transport;

/// A page of the list or of a search window.
pub(super) struct Page<'a> {
    pub(super) answer: &'a Answer,
    /// The same page with custom fields.
    pub(super) projection: Option<&'a Answer>,
    pub(super) is_search: bool,
}

/// Writes the new rows of one page. Done: there is none behind it.
pub(super) fn read<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    snapshot: &mut Snapshot,
    page: &Page<'_>,
    out: &mut Output,
) -> Result<Progress> {
    let answer = page.answer;
    let limit = if page.is_search { windows::PAGE } else { table.list.limit };
    let rows = answer.rows_with_meta()?;
    let ids: Vec<&str> = rows.iter().map(|(meta, _)| meta.id.as_str()).collect();
    let before = snapshot.offset.clone();
    let first = match snapshot.offset.accept(limit, &ids) {
        PageOutcome::NewRows(first) => first,
        PageOutcome::AskAgain => {
            out.has_moved = true;
            return Ok(Progress::More);
        }
        PageOutcome::End => {
            if ids.is_empty() && !before.last_ids.is_empty() {
                out.skip(lost_rows(table));
            }
            snapshot.incomplete |= out.incomplete;
            return Ok(Progress::Done);
        }
        PageOutcome::Repeating => return Err(repeating(table.list.path)),
    };
    snapshot.has_rows |= table.children.is_none();
    if !page.is_search {
        let created_ms = rows.last().and_then(|(_, row)| row::time(row, CREATED.member));
        snapshot.last_created_ms = created_ms.or(snapshot.last_created_ms);
    }
    let selected: Vec<usize> =
        (first..rows.len()).filter(|&index| api.config().selects(table, rows[index].1)).collect();
    if let Some(children) = table.children {
        let counters = || children.kinds.iter().map(|kind| kind.count);
        snapshot.parents = selected
            .iter()
            .map(|&index| Parent { id: ids[index].to_owned(), row: row::only(rows[index].1, counters()) })
            .collect();
        out.has_moved = true;
        return Ok(Progress::More);
    }
    let left: Vec<usize> =
        selected.into_iter().filter(|&index| !snapshot.written.iter().any(|id| id == ids[index])).collect();
    let new: Vec<&(RowMeta, &str)> = left.iter().map(|&index| &rows[index]).collect();
    let written = write(api, table, snapshot, page, &new, out);
    snapshot.incomplete |= out.incomplete;
    out.has_moved |= written.contains(&true);
    if note_written(snapshot, (before, limit), (&ids, first), &left, &written) {
        out.has_moved = true;
        return Ok(Progress::More);
    }
    out.interrupted()
}

/// Writes rows of a page. True for each row that was processed.
fn write<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    snapshot: &mut Snapshot,
    page: &Page<'_>,
    rows: &[&(RowMeta, &str)],
    out: &mut Output,
) -> Vec<bool> {
    let (answer, is_search) = (page.answer, page.is_search);
    // The index lags: a search row is as recent as its modified time, or as the index must be.
    let indexed_ms =
        snapshot.source_started_at_ms.map(|at_ms| at_ms.saturating_sub(limits::SEARCH_SETTLED_MS));
    let as_of_ms = |meta: &RowMeta| match is_search {
        true => meta.modified_time_ms.max(indexed_ms),
        false => answer.as_of_ms,
    };
    let listed: Vec<Listed<'_>> =
        rows.iter().map(|(meta, row)| Listed { meta, row, as_of_ms: as_of_ms(meta), is_search }).collect();
    if let Some(search) = &mut snapshot.resumes {
        details::verify(api, table, &listed, &mut search.deleted, out)
    } else if custom_fields::are_needed(api, table) {
        let projection = if is_search { Some(answer) } else { page.projection };
        custom_fields::read(api, table, &listed, projection, out)
    } else if is_search && table.has_lists() {
        // Most of them were listed, and read.
        details::show(table, &listed, out);
        vec![true; listed.len()]
    } else if is_search && table.detail.is_some_and(|detail| detail.search_is_complete) {
        let settled_ms = snapshot.source_started_at_ms.unwrap_or_default();
        windows::read(api, table, &listed, settled_ms.saturating_sub(limits::SEARCH_SETTLED_MS), out)
    } else {
        details::read(api, table, &listed, out)
    }
}

/// The warning about a list that is empty all of a sudden.
pub(super) fn lost_rows(table: &Table) -> String {
    format!("`{}`: the list has no rows any more, of which some were read before", table.name)
}

/// Notes which rows of a page were written, those at the indexes `left` of its `ids`, of which those from
/// `first` on are new. False when one was not: the offset goes back from the end of the page to right before
/// the first of them, and those written behind it are not written again.
pub(super) fn note_written(
    snapshot: &mut Snapshot,
    (before, limit): (Offset, u64),
    (ids, first): (&[&str], usize),
    left: &[usize],
    written: &[bool],
) -> bool {
    let Some(failed) = written.iter().position(|is_written| !is_written) else {
        snapshot.written.clear();
        return true;
    };
    let next = left[failed];
    let is_written = |id: &&str| {
        snapshot.written.iter().any(|known| known == id)
            || left.iter().zip(written).any(|(&index, is_written)| *is_written && ids[index] == *id)
    };
    snapshot.written = ids[next..].iter().filter(|id| is_written(id)).map(|id| (*id).to_owned()).collect();
    let processed = if next > first { next } else { 0 };
    snapshot.offset.rewind(before, limit, &ids[..processed]);
    false
}
