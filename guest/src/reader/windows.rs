//! The rest of a long list by search windows over the created time: a page far down a list costs up to 33
//! times as much as one of a search window.
//!
//! The search index lags, so the windows end a day before the snapshot; newer rows come from the list. The
//! source's count of each window, or else one page of the list at the end, shows whether the index has all
//! rows.

mod verify;

use super::details::{self, Listed};
use super::output::{Output, Progress};
use super::page::{self, Page};
use super::search::half;
use super::{path, snapshot};
use crate::api::{Answer, Api};
use crate::config::Sort;
use crate::cursor::{Rest, Snapshot};
use crate::error::{Error, Result};
use crate::limits;
use crate::paging::Offset;
use crate::table::{CREATED, Incremental, MODIFIED, Table};
use crate::time;
use crate::transport::Transport;
use crate::url::Path;

/// Rows of a search page: the most it takes (`zoho-desk-api.md` §3.2).
pub(super) const PAGE: u64 = 100;

/// How the list continues by windows; none where that is not possible.
pub(super) fn rest<T: Transport>(api: &Api<T>, table: &Table, snapshot: &Snapshot) -> Option<Rest> {
    let is_searched = matches!(table.incremental, Incremental::Search { .. })
        && !api.is_unsupported(table.name, CREATED.range);
    let is_ordered = table.list.sort_by == Some(CREATED.member) && !api.is_unsupported(table.name, "sortBy");
    let is_between_pages = snapshot.written.is_empty();
    if !is_searched || !is_ordered || !is_between_pages {
        return None;
    }
    let created_ms = snapshot.last_created_ms?;
    let started_ms = snapshot.source_started_at_ms?;
    let (list, rows) = (snapshot.offset.clone(), rows(&snapshot.offset));
    let (from_ms, end_ms) = match path::order(api, table) {
        Sort::OldestFirst => (created_ms, started_ms.saturating_sub(limits::SEARCH_SETTLED_MS)),
        Sort::NewestFirst => (0, created_ms),
    };
    (from_ms < end_ms).then(|| first((from_ms, end_ms), list, rows, false))
}

/// The first window, which is the whole range of created times.
fn first((from_ms, end_ms): (u64, u64), list: Offset, rows: u64, is_last: bool) -> Rest {
    let (modified, uncounted, short) = (None, false, 0);
    Rest::Windows {
        from_ms,
        to_ms: end_ms,
        end_ms,
        modified,
        found: 0,
        list,
        rows,
        uncounted,
        short,
        is_last,
    }
}

/// The windows for the newest rows, where the list that begins with them is refused from its `offset` on. The
/// index may lack some of them.
pub(super) fn instead_of_newest<T: Transport>(
    api: &Api<T>,
    table: &Table,
    snapshot: &mut Snapshot,
    since_ms: u64,
    (error, out): (&Error, &mut Output),
) {
    let end_ms = api.to_source_clock(api.transport().now_ms());
    out.skip(format!(
        "`{}`: the newest rows are read by search windows, which may lack some, because the list is refused \
         from row {} on: {error}",
        table.name, snapshot.offset.from
    ));
    let list = std::mem::take(&mut snapshot.offset);
    let rows = list.from;
    snapshot.rest = Some(first((since_ms, end_ms), list, rows, true));
    snapshot.incomplete = true;
    out.has_moved = true;
}

/// Continues by windows over all rows, where the lists of a table lack some that its search counts. False
/// where that is not possible.
pub(super) fn instead_of_lists<T: Transport>(
    api: &Api<T>,
    table: &Table,
    snapshot: &mut Snapshot,
    out: &mut Output,
) -> bool {
    let is_searched = matches!(table.incremental, Incremental::Search { .. });
    if !is_searched || api.is_unsupported(table.name, CREATED.range) {
        return false;
    }
    out.warnings.push(format!(
        "`{}`: the rows that its lists lack are read by search windows, with the members of the search alone",
        table.name
    ));
    let end_ms = api.to_source_clock(api.transport().now_ms());
    snapshot.offset = Offset::default();
    snapshot.rest = Some(first((0, end_ms), Offset::default(), 0, true));
    out.has_moved = true;
    true
}

/// Reads a page of a window, or several at once where its count promises them.
pub(super) fn step<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    snapshot: &mut Snapshot,
    (from_ms, to_ms, end_ms): (u64, u64, u64),
    out: &mut Output,
) -> Result<Progress> {
    let Incremental::Search { path, .. } = table.incremental else { return Ok(Progress::Done) };
    let (modified, found) = match &snapshot.rest {
        Some(Rest::Windows { modified, found, .. }) => (*modified, *found),
        _ => (None, 0),
    };
    let is_end = to_ms >= end_ms && modified.is_none_or(|(_, to_ms, end_ms)| to_ms >= end_ms);
    if !is_within_search(snapshot.offset.from) {
        if halve(api, snapshot, out) {
            return Ok(Progress::More);
        }
        out.skip(format!(
            "`{}`: more rows were created within one second at {}, and modified within one, than the search \
             returns: the others are skipped",
            table.name,
            time::format(from_ms)
        ));
        snapshot.incomplete = true;
        return Ok(next(api, table, snapshot, (to_ms, end_ms), out));
    }
    let pages = pages_at_once(api, table, found.saturating_sub(rows(&snapshot.offset)), out);
    let mut froms = snapshot.offset.plan(PAGE, pages);
    froms.retain(|from| is_within_search(*from));
    let page = |from: &u64| {
        let mut page = Path::new(path);
        if let Some((from_ms, to_ms, _)) = modified {
            page = page.with(MODIFIED.range, between(from_ms, to_ms));
        }
        let page = page.with(CREATED.range, between(from_ms, to_ms)).with("sortBy", CREATED.member);
        page.with("from", from - 1).with("limit", PAGE).into_string()
    };
    let paths: Vec<String> = froms.iter().map(page).collect();
    for (from, answer) in froms.into_iter().zip(api.get_some(&paths, pages)?) {
        if from != snapshot.offset.from {
            break; // Rows moved: pages asked for ahead do not connect.
        }
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) if error.is_refusal() => return Ok(refused(api, table, snapshot, &error, out)),
            Err(error) => return Err(error),
        };
        let is_first = snapshot.offset == Offset::default();
        if is_first && splits(api, table, snapshot, ((from_ms, to_ms, end_ms), &answer), out)? {
            return Ok(Progress::More);
        }
        let page = Page { answer: &answer, projection: None, is_search: true };
        if let Progress::Done = page::read(api, table, snapshot, &page, out)? {
            if is_end {
                verify::all(api, table, snapshot, end_ms, out)?;
            }
            return Ok(next(api, table, snapshot, (to_ms, end_ms), out));
        }
        if !snapshot.parents.is_empty() || out.is_full(api.transport().ticks_ms()) {
            break;
        }
    }
    Ok(Progress::More)
}

/// Whether the search returns the page from this row on.
fn is_within_search(from: u64) -> bool {
    from - 1 + PAGE <= limits::SEARCH_ROWS_MAX
}

/// Pages that are asked for at once: as many as `left` rows fill, because each costs credits, and one where
/// calls for its rows follow each page.
fn pages_at_once<T: Transport>(api: &mut Api<T>, table: &Table, left: u64, out: &Output) -> usize {
    let is_complete = table.detail.is_none_or(|detail| detail.search_is_complete);
    let is_slow = !is_complete && details::reads_details(api, table) && !out.verifies;
    if table.children.is_some() || is_slow {
        return 1;
    }
    // Each page repeats the last row of the one before.
    let filled = usize::try_from(left.div_ceil(PAGE - 1)).unwrap_or(usize::MAX);
    filled.clamp(1, snapshot::pages_at_once_max(api, PAGE, out))
}

/// Continues without windows, because the search was refused: with the list, unless windows are in its place.
fn refused<T: Transport>(
    api: &mut Api<T>,
    table: &Table,
    snapshot: &mut Snapshot,
    error: &Error,
    out: &mut Output,
) -> Progress {
    api.note_unsupported(table.name, CREATED.range);
    if is_last(snapshot) {
        out.skip(format!("`{}`: the rows that its list lacks are skipped: {error}", table.name));
        snapshot.incomplete = true;
        return Progress::Done;
    }
    out.warnings.push(format!("`{}`: read on as a list, without search windows: {error}", table.name));
    if let Some(Rest::Windows { list, .. }) = snapshot.rest.take() {
        snapshot.offset = list;
    }
    out.has_moved = true;
    Progress::More
}

/// Verifies the count of a window by its first page, and splits a window of too many rows. True when it was
/// split.
fn splits<T: Transport>(
    api: &mut Api<T>,
    table: &Table,
    snapshot: &mut Snapshot,
    ((from_ms, to_ms, end_ms), answer): ((u64, u64, u64), &Answer),
    out: &mut Output,
) -> Result<bool> {
    let found = answer.count().unwrap_or_default();
    let is_long = found > limits::SEARCH_WINDOW_ROWS_MAX;
    if is_long && half(from_ms, to_ms).is_some() && halve(api, snapshot, out) {
        return Ok(true);
    }
    let Some(Rest::Windows { modified, .. }) = &snapshot.rest else { return Ok(false) };
    // On some portals the count is that of the page.
    let is_of_page = found == PAGE && answer.rows()?.len() as u64 == PAGE;
    let range = between(from_ms, to_ms);
    // The parts of a second were counted as a whole.
    let lacking = match modified {
        Some(_) => Some(0),
        None if is_of_page => None,
        None => verify::window(api, table, (&range, end_ms), found),
    };
    if let Some(Rest::Windows { uncounted, short, found: of_window, .. }) = &mut snapshot.rest {
        *uncounted |= lacking.is_none();
        // Its first page may be read again, after a row of it that failed.
        if *of_window == 0 {
            *short += lacking.unwrap_or_default();
        }
        *of_window = found;
    }
    Ok(is_long && halve(api, snapshot, out))
}

/// The parameter of a window.
fn between(from_ms: u64, to_ms: u64) -> String {
    format!("{},{}", time::format(from_ms), time::format(to_ms))
}

/// True where the list cannot be read on: the windows are in place of its end.
fn is_last(snapshot: &Snapshot) -> bool {
    matches!(snapshot.rest, Some(Rest::Windows { is_last: true, .. }))
}

/// Continues with the second half of the window once the first is read: by its created times, or by the
/// modified times of its rows once it is a second long. False when both are too short: then it is read as far
/// as the search pages.
fn halve<T: Transport>(api: &Api<T>, snapshot: &mut Snapshot, out: &mut Output) -> bool {
    // A row that changes meanwhile moves on to the last part.
    let last_ms = api.to_source_clock(api.transport().now_ms()) + limits::DAY_MS;
    let Some(Rest::Windows { from_ms, to_ms, modified, found, .. }) = &mut snapshot.rest else {
        return false;
    };
    if let Some(half_ms) = half(*from_ms, *to_ms) {
        *to_ms = half_ms;
    } else {
        // Imported rows may have been modified before they were created.
        let (from_ms, to_ms, end_ms) = modified.unwrap_or((0, last_ms, last_ms));
        let Some(half_ms) = half(from_ms, to_ms) else { return false };
        *modified = Some((from_ms, half_ms, end_ms));
    }
    *found = 0;
    out.has_moved = true;
    snapshot.offset = Offset::default();
    true
}

/// The part or the window after the one that ends at `to_ms`, or the newest rows, or the end.
fn next<T: Transport>(
    api: &Api<T>,
    table: &Table,
    snapshot: &mut Snapshot,
    (to_ms, end_ms): (u64, u64),
    out: &mut Output,
) -> Progress {
    out.has_moved = true;
    let read = rows(&snapshot.offset);
    snapshot.offset = Offset::default();
    let Some(Rest::Windows { from_ms, to_ms: next_ms, modified, found, rows, is_last, .. }) =
        &mut snapshot.rest
    else {
        return Progress::Done;
    };
    *rows += read;
    *found = 0;
    *modified = modified.filter(|(_, to_ms, end_ms)| to_ms < end_ms).map(|(_, to, end)| (to, end, end));
    if modified.is_some() {
        return Progress::More;
    }
    if to_ms < end_ms {
        (*from_ms, *next_ms) = (to_ms, end_ms);
        return Progress::More;
    }
    if *is_last || path::order(api, table) == Sort::NewestFirst {
        return Progress::Done;
    }
    snapshot.rest = Some(Rest::Newest { since_ms: end_ms });
    Progress::More
}

/// Rows read up to a place.
pub(super) fn rows(offset: &Offset) -> u64 {
    if offset.last_ids.is_empty() { 0 } else { offset.from }
}

/// Writes search rows that have the members of the detail: as they are when they were last modified before
/// `settled_ms`, and otherwise with their details. True for each row that was processed.
pub(super) fn read<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    listed: &[Listed<'_>],
    settled_ms: u64,
    out: &mut Output,
) -> Vec<bool> {
    let is_settled = |row: &Listed<'_>| row.meta.modified_time_ms.is_some_and(|at_ms| at_ms < settled_ms);
    let fresh: Vec<Listed<'_>> = listed.iter().filter(|row| !is_settled(row)).copied().collect();
    let mut written = details::read(api, table, &fresh, out).into_iter();
    listed
        .iter()
        .map(|row| {
            if is_settled(row) {
                out.row(table, row.meta, row.row.to_owned(), row.as_of_ms);
                true
            } else {
                written.next().unwrap_or_default()
            }
        })
        .collect()
}
