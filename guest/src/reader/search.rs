//! Incremental reading by search: windows of times, of modified times first, split where they hold more rows
//! than a search can page through.
//!
//! Source: `zoho-desk-api.md` §3.2 (0-based, 5,000 cap), §3.5 (`modifiedTimeRange`; the index lags, so
//! windows overlap).

mod foreign;
mod halve;

use std::collections::BTreeMap;

use foreign::Foreign;
pub(super) use halve::half;
use halve::halve;

use super::children::{self, Parent, Write};
use super::details::{self, Listed};
use super::known::{self, Known};
use super::output::{Output, Progress};
use super::seen::SeenRow;
use super::{repeating, second, shared_search, wait};
use crate::api::{Answer, Api};
use crate::cursor::{ChildPlace, Search, Window};
use crate::error::{Error, Kind, Result};
use crate::limits;
use crate::paging::{Offset, PageOutcome};
use crate::row::RowMeta;
use crate::table::{CREATED, Incremental, Table, TimeField};
use crate::time;
use crate::transport::Transport;
use crate::url::Path;

/// Rows of a search page: the most it takes (§3.2).
const PAGE: u64 = 100;

/// A row of a page that was not processed before.
struct NewRow<'a> {
    /// Its index on the page.
    at: usize,
    meta: &'a RowMeta,
    row: &'a str,
    seen: SeenRow,
}

impl<'a> NewRow<'a> {
    fn listed(&self) -> Listed<'a> {
        Listed { meta: self.meta, row: self.row, as_of_ms: None, is_search: true }
    }

    fn parent(&self, as_of_ms: Option<u64>) -> Parent<'a> {
        Parent { id: &self.meta.id, row: self.row, as_of_ms }
    }
}

/// Reads one page of the window, or opens the next window.
pub(super) fn step<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    search: &mut Search,
    out: &mut Output,
) -> Result<Progress> {
    let Incremental::Search { path, cursor_fields } = table.incremental else {
        return Err(Error::new(Kind::Internal, "the cursor is of a search, which the table does not have"));
    };
    // After both clocks, of which the source's is known to within a step: rows beyond the end are cut off
    // when the source has answered.
    let host_ms = api.transport().now_ms();
    let now_ms = host_ms.max(api.to_source_clock(host_ms) + limits::CLOCK_OFFSET_STEP_MS);
    let since_ms = search.since_ms;
    if search.children_since_ms == 0 {
        search.children_since_ms = since_ms.saturating_sub(limits::SEARCH_OVERLAP_MS);
    }
    let window = search.window.get_or_insert_with(|| {
        let recent_ms = wait::shared_ms(since_ms, api.to_source_clock(host_ms));
        shared_search::open(api, table, (since_ms, now_ms), recent_ms)
    });
    let index = window.cursor_field;
    let Some(&field) = cursor_fields.get(index) else {
        return Ok(close(api, table, cursor_fields, search, out));
    };
    if window.offset.from - 1 + PAGE > limits::SEARCH_ROWS_MAX {
        // The window grew while it was read, or the search does not count its rows.
        out.has_moved = true;
        return Ok(if halve(api, table, window, "more", out) {
            Progress::More
        } else {
            close(api, table, cursor_fields, search, out)
        });
    }
    let answer = match shared_search::get(api, table, &window_path(path, field, window)) {
        Ok(answer) => answer,
        Err(error) => return drop_refused(api, table, cursor_fields, (search, error), out),
    };
    window.source_now_ms = window.source_now_ms.or(answer.as_of_ms);
    if window.offset.last_ids.is_empty()
        && let Ok(count) = answer.count()
        && count > limits::SEARCH_WINDOW_ROWS_MAX
        && halve(api, table, window, &count.to_string(), out)
    {
        out.has_moved = true;
        return Ok(Progress::More);
    }
    let mut processed = Processed {
        since_ms,
        seen: &mut search.seen,
        child: &mut search.child,
        parents: &mut search.parents,
        children_since_ms: search.children_since_ms,
        foreign: Foreign { known: &mut search.foreign, unknown_since_ms: search.unknown_since_ms },
    };
    match read_page(api, table, field, &answer, window, &mut processed, out)? {
        PageOutcome::NewRows(_) => Ok(Progress::More),
        PageOutcome::AskAgain => {
            shared_search::forget(api);
            Ok(Progress::More)
        }
        PageOutcome::End => Ok(close(api, table, cursor_fields, search, out)),
        PageOutcome::Repeating => Err(repeating(path)),
    }
}

/// Continues without what the search refuses: a field other than the modified time, or created times.
fn drop_refused<T: Transport>(
    api: &mut Api<T>,
    table: &Table,
    cursor_fields: &[TimeField],
    (search, error): (&mut Search, Error),
    out: &mut Output,
) -> Result<Progress> {
    let Some(window) = &mut search.window else { return Err(error) };
    match cursor_fields.get(window.cursor_field) {
        // Every search takes modified times; portals differ in which other fields it takes.
        Some(&field) if window.cursor_field > 0 && error.is_refusal() => {
            if refuses(&error, field) {
                api.note_unsupported(table.name, field.range);
            } else {
                out.warnings
                    .push(format!("`{}`: not searched by `{}` this time: {error}", table.name, field.range));
            }
            out.has_moved = true;
            window.to_ms = window.end_ms;
            Ok(close(api, table, cursor_fields, search, out))
        }
        _ if window.created.is_some() && error.kind == Kind::Data => {
            // The window is read as far as the search pages.
            api.note_unsupported(table.name, CREATED.range);
            out.has_moved = true;
            window.created = None;
            window.offset = Offset::default();
            Ok(Progress::More)
        }
        _ => Err(error),
    }
}

/// The rows that incremental reading has processed.
struct Processed<'a> {
    /// Every change before it.
    since_ms: u64,
    seen: &'a mut BTreeMap<String, u64>,
    child: &'a mut Option<ChildPlace>,
    /// When the children of parents were read.
    parents: &'a mut BTreeMap<String, u64>,
    children_since_ms: u64,
    foreign: Foreign<'a>,
}

impl Processed<'_> {
    /// True when the children of the row were read since it changed.
    fn knows_children(&self, new: &NewRow<'_>) -> bool {
        let known = Known::new(self.parents, self.children_since_ms);
        new.meta.modified_time_ms.is_some_and(|at_ms| known.was_read_at(&new.meta.id, at_ms))
    }
}

/// Writes the rows of a page that were not processed before.
fn read_page<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    field: TimeField,
    answer: &Answer,
    window: &mut Window,
    processed: &mut Processed<'_>,
    out: &mut Output,
) -> Result<PageOutcome> {
    let source_now_ms = window.source_now_ms.unwrap_or_else(|| api.transport().now_ms());
    let rows = answer.rows_with_meta()?;
    let ids: Vec<&str> = rows.iter().map(|(meta, _)| meta.id.as_str()).collect();
    let before = window.offset.clone();
    let outcome = window.offset.accept(PAGE, &ids);
    let PageOutcome::NewRows(first) = outcome else {
        out.has_moved |= outcome != PageOutcome::Repeating;
        return Ok(outcome);
    };
    if window.is_second && table.children.is_none() {
        second::write(api, table, &rows[first..], out);
        out.has_moved = true;
        return Ok(if is_last(answer, ids.len(), window) { PageOutcome::End } else { outcome });
    }
    // The window of another table may start earlier.
    let own_from_ms = processed.since_ms.saturating_sub(limits::SEARCH_OVERLAP_MS);
    let (selected, foreign): (Vec<NewRow<'_>>, Vec<NewRow<'_>>) = (first..rows.len())
        .map(|at| {
            let (meta, row) = &rows[at];
            NewRow { at, meta, row, seen: SeenRow::new(table, field, window.cursor_field, meta, row) }
        })
        .filter(|new| match window.is_second {
            true => api.config().selects(table, new.row) && !processed.knows_children(new),
            false => new.seen.is_within(own_from_ms) && new.seen.is_new(processed.seen),
        })
        .partition(|new| api.config().selects(table, new.row));
    // Rows of other departments come first: they may have been moved there.
    let mut is_done = delete(api, table, &foreign, &mut processed.foreign, out);
    if is_done.contains(&false) {
        is_done.resize(foreign.len() + selected.len(), false);
    } else {
        is_done.extend(write(api, table, &selected, (processed, source_now_ms), out));
    }
    for new in &selected {
        processed.foreign.known.remove(&new.meta.id);
    }
    let is_complete = !is_done.contains(&false);
    // Rows that no later window returns need no note, unless this page is asked for again: then each of its
    // rows needs one.
    let end_ms = window.end_ms.min(source_now_ms);
    let (horizon_ms, settled_ms) = match is_complete {
        true => (end_ms.saturating_sub(limits::SEARCH_OVERLAP_MS), source_now_ms),
        false => (0, u64::MAX),
    };
    let mut left = None;
    for (new, is_done) in foreign.into_iter().chain(selected).zip(&is_done) {
        if *is_done {
            new.seen.record(processed.seen, horizon_ms, settled_ms);
        } else {
            left = Some(left.unwrap_or(new.at).min(new.at));
        }
    }
    for (meta, row) in &rows[first..left.unwrap_or(rows.len())] {
        let seen = SeenRow::new(table, field, window.cursor_field, meta, row);
        seen.forget_unsettled(processed.seen, source_now_ms);
    }
    out.has_moved |= is_complete || is_done.contains(&true) || processed.child.is_some();
    if let Some(left) = left {
        // The offset stays right before the first row that was not processed: a failure, or the batch is
        // full.
        let accepted = if left > first { left } else { 0 };
        window.offset.rewind(before, PAGE, &ids[..accepted]);
        out.interrupted()?;
        return Ok(outcome);
    }
    Ok(if is_last(answer, ids.len(), window) { PageOutcome::End } else { outcome })
}

/// True for a short page if the count says so, too: saves the call that would find nothing.
fn is_last(answer: &Answer, length: usize, window: &Window) -> bool {
    (length as u64) < PAGE && answer.count().is_ok_and(|count| count <= window.offset.from)
}

/// Closes a window: opens the next part of the range, or the range of the next cursor field, or scans the
/// recycle bin.
fn close<T: Transport>(
    api: &Api<T>,
    table: &Table,
    cursor_fields: &[TimeField],
    search: &mut Search,
    out: &mut Output,
) -> Progress {
    let Some(window) = search.window.take() else { return Progress::More };
    if let Some((_, created_ms, end_ms)) = window.created.filter(|(_, to_ms, end_ms)| to_ms < end_ms) {
        let created = Some((created_ms, end_ms, end_ms));
        search.window = Some(Window { created, offset: Offset::default(), ..window });
        return Progress::More;
    }
    let Window { to_ms, end_ms, source_now_ms, .. } = window;
    if to_ms < end_ms {
        search.window = Some(Window {
            from_ms: to_ms,
            to_ms: end_ms,
            created: None,
            offset: Offset::default(),
            ..window
        });
        return Progress::More;
    }
    if window.is_second {
        search.searched_ms = end_ms + limits::SEARCH_OVERLAP_MS;
        // Changes that are new are of another batch.
        out.is_ended = !out.changes.is_empty();
        out.has_moved = true;
        return Progress::More;
    }
    let is_supported = |index: &usize| !api.is_unsupported(table.name, cursor_fields[*index].range);
    if let Some(cursor_field) = (window.cursor_field + 1..cursor_fields.len()).find(is_supported) {
        let from_ms = search.since_ms.saturating_sub(limits::SEARCH_OVERLAP_MS);
        search.window = Some(Window {
            from_ms,
            to_ms: end_ms,
            created: None,
            cursor_field,
            offset: Offset::default(),
            ..window
        });
        return Progress::More;
    }
    // The host's clock may be ahead of the source's: changes after the source's time were not read.
    search.since_ms = end_ms.min(source_now_ms.unwrap_or(end_ms)).max(search.since_ms);
    search.unknown_since_ms = search.since_ms;
    search.scans_recycle_bin = true;
    out.has_moved = true;
    Progress::More
}

/// Writes deletes of changed rows of other departments: no other call shows that a row was moved there. Where
/// the rows are parents, their children are deleted. True for each row that was processed.
fn delete<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    foreign: &[NewRow<'_>],
    known: &mut Foreign<'_>,
    out: &mut Output,
) -> Vec<bool> {
    if table.children.is_some() {
        let has_children: Vec<bool> = foreign.iter().map(|new| known.may_have_children(api, new)).collect();
        let of = foreign.iter().zip(&has_children).filter(|(_, has_children)| **has_children);
        let parents: Vec<Parent<'_>> = of.map(|(new, _)| new.parent(new.meta.modified_time_ms)).collect();
        let mut deleted = children::read(api, table, &parents, Write::Delete, &mut None, out).into_iter();
        let is_done: Vec<bool> = has_children
            .into_iter()
            .map(|has_children| !has_children || deleted.next().unwrap_or_default())
            .collect();
        known.add(foreign.iter().zip(&is_done).filter(|(_, is_done)| **is_done).map(|(new, _)| new));
        return is_done;
    }
    for new in foreign {
        out.delete(table, &new.meta.id, None, new.meta.modified_time_ms);
        out.foreign.extend(out.changes.last().map(|change| change.key.clone()));
    }
    vec![true; foreign.len()]
}

/// Writes changed rows, with their detail where the table has one, so that they look as in a snapshot. True
/// for each row that was processed.
fn write<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    selected: &[NewRow<'_>],
    (processed, source_now_ms): (&mut Processed<'_>, u64),
    out: &mut Output,
) -> Vec<bool> {
    if table.children.is_none() {
        let listed: Vec<Listed<'_>> = selected.iter().map(NewRow::listed).collect();
        return details::read(api, table, &listed, out);
    }
    let parents: Vec<Parent<'_>> = selected.iter().map(|new| new.parent(None)).collect();
    // All children of a parent that was moved to a selected department are new.
    let write = match api.config().department_ids.is_empty() {
        true => Write::New(Known::new(processed.parents, processed.children_since_ms)),
        false => Write::All,
    };
    let is_done = children::read(api, table, &parents, write, processed.child, out);
    let read = parents.iter().zip(&is_done).filter(|(_, is_done)| **is_done).map(|(parent, _)| parent.id);
    let read = read.filter(|id| !out.unread.iter().any(|unread| unread == id));
    known::note(processed.parents, read, source_now_ms);
    is_done
}

/// True when the search does not take `field`.
fn refuses(error: &Error, field: TimeField) -> bool {
    error.kind == Kind::Data && [field.range, "sortBy"].iter().any(|name| error.message.contains(name))
}

fn window_path(path: &str, field: TimeField, window: &Window) -> String {
    let range = |from_ms, to_ms| format!("{},{}", time::format(from_ms), time::format(to_ms));
    let mut path = Path::new(path)
        .with(field.range, range(window.from_ms, window.to_ms))
        .with("sortBy", field.member)
        .with("from", window.offset.from - 1)
        .with("limit", PAGE);
    if let Some((from_ms, to_ms, _)) = window.created {
        path = path.with(CREATED.range, range(from_ms, to_ms));
    }
    path.into_string()
}
