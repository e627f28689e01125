//! Incremental reading by search: windows of times, of modified times first, split where they hold more rows
//! than a search can page through.
//!
//! Source: `zoho-desk-api.md` §3.2 (0-based, 5,000 cap), §3.5 (`modifiedTimeRange`; the index lags, so
//! windows overlap).

use std::collections::BTreeMap;

use super::children::{self, Write};
use super::details::{self, Listed};
use super::output::{Output, Progress};
use super::seen::{self, SeenRow};
use super::{recycle_bin, repeating};
use crate::api::{Answer, Api};
use crate::cursor::{Search, Window};
use crate::error::{Error, Kind, Result};
use crate::limits;
use crate::paging::{Offset, PageOutcome};
use crate::row::RowMeta;
use crate::table::{Incremental, Table, TimeField};
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
    fn listed(&self, as_of_ms: Option<u64>) -> Listed<'a> {
        Listed { meta: self.meta, row: self.row, as_of_ms }
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
    let now_ms = api.transport().now_ms();
    let since_ms = search.since_ms;
    let window = search.window.get_or_insert_with(|| open(since_ms, now_ms));
    let index = window.cursor_field;
    let Some(&field) = cursor_fields.get(index) else {
        return close(api, table, cursor_fields, search, out);
    };
    if window.offset.from - 1 + PAGE > limits::SEARCH_ROWS_MAX {
        // The window grew while it was read, or the search does not count its rows.
        out.has_moved = true;
        return if halve(window, "more", out) {
            Ok(Progress::More)
        } else {
            close(api, table, cursor_fields, search, out)
        };
    }
    let answer = match api.get(&window_path(path, field, window)) {
        Ok(answer) => answer,
        // Every search takes modified times; portals differ in which other fields it takes.
        Err(error) if index > 0 && refuses(&error, field) => {
            api.remember_unsupported(table.name, field.range);
            out.has_moved = true;
            window.to_ms = window.end_ms;
            return close(api, table, cursor_fields, search, out);
        }
        Err(error) => return Err(error),
    };
    window.source_now_ms = window.source_now_ms.or(answer.as_of_ms);
    if window.offset.last_ids.is_empty()
        && let Ok(count) = answer.count()
        && count > limits::SEARCH_WINDOW_ROWS_MAX
        && halve(window, &count.to_string(), out)
    {
        out.has_moved = true;
        return Ok(Progress::More);
    }
    match read_page(api, table, field, &answer, window, &mut search.seen, out)? {
        PageOutcome::NewRows(_) | PageOutcome::AskAgain => Ok(Progress::More),
        PageOutcome::End => close(api, table, cursor_fields, search, out),
        PageOutcome::Repeating => Err(repeating(path)),
    }
}

/// Writes the rows of a page that were not processed before.
fn read_page<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    field: TimeField,
    answer: &Answer,
    window: &mut Window,
    seen: &mut BTreeMap<String, u64>,
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
    let (selected, foreign): (Vec<NewRow<'_>>, Vec<NewRow<'_>>) = (first..rows.len())
        .map(|at| {
            let (meta, row) = &rows[at];
            NewRow { at, meta, row, seen: SeenRow::new(table, field, window.cursor_field, meta, row) }
        })
        .filter(|new| new.seen.is_new(seen))
        .partition(|new| api.config().selects(table, new.row));
    // Rows of other departments come first: they may have been moved there, and cost few calls or none.
    let moved: Vec<Listed<'_>> = foreign.iter().map(|new| new.listed(new.meta.modified_time_ms)).collect();
    let deleted = delete(api, table, &moved, out);
    let written = if deleted == foreign.len() {
        let listed: Vec<Listed<'_>> = selected.iter().map(|new| new.listed(None)).collect();
        write(api, table, &listed, out)
    } else {
        0
    };
    let is_complete = deleted == foreign.len() && written == selected.len();
    let last = written.checked_sub(1).and_then(|last| selected.get(last)).map(|new| new.at);
    for new in foreign.into_iter().take(deleted).chain(selected.into_iter().take(written)) {
        new.seen.record(seen, source_now_ms);
    }
    out.has_moved |= is_complete || deleted + written > 0;
    if !is_complete {
        // The offset stays right after the last row that was processed: a failure, or the batch is full.
        window.offset.rewind(before, PAGE, last.map_or(&[], |last| &ids[..=last]));
        out.interrupted()?;
    }
    Ok(outcome)
}

/// The window from the overlap before `since_ms` to now.
fn open(since_ms: u64, now_ms: u64) -> Window {
    let end_ms = now_ms.max(since_ms);
    Window {
        from_ms: since_ms.saturating_sub(limits::SEARCH_OVERLAP_MS),
        to_ms: end_ms,
        end_ms,
        cursor_field: 0,
        source_now_ms: None,
        offset: Offset::default(),
    }
}

/// Halves a window that holds more rows than a search can page through, and restarts it. False when it is too
/// short: then it is read as far as the search pages.
fn halve(window: &mut Window, rows: &str, out: &mut Output) -> bool {
    let length = window.to_ms.saturating_sub(window.from_ms);
    if length <= limits::SEARCH_WINDOW_MIN_MS {
        out.warnings.push(format!(
            "{rows} rows were modified within one second at {}; the search returns only {} of them: a full \
             refresh of the table reads all",
            time::format(window.from_ms),
            limits::SEARCH_ROWS_MAX
        ));
        return false;
    }
    window.to_ms = window.from_ms + length / 2;
    window.offset = Offset::default();
    true
}

/// Closes a window: opens the next part of the range, or the range of the next cursor field, or scans the
/// recycle bin.
fn close<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    cursor_fields: &[TimeField],
    search: &mut Search,
    out: &mut Output,
) -> Result<Progress> {
    let Some(window) = search.window.take() else { return recycle_bin::scan(api, table, search, out) };
    let Window { to_ms, end_ms, source_now_ms, .. } = window;
    if to_ms < end_ms {
        search.window = Some(Window { from_ms: to_ms, to_ms: end_ms, offset: Offset::default(), ..window });
        return Ok(Progress::More);
    }
    let is_supported = |index: &usize| !api.is_unsupported(table.name, cursor_fields[*index].range);
    if let Some(cursor_field) = (window.cursor_field + 1..cursor_fields.len()).find(is_supported) {
        search.window = Some(Window { cursor_field, source_now_ms, ..open(search.since_ms, end_ms) });
        return Ok(Progress::More);
    }
    // The host's clock may be ahead of the source's: changes after the source's time were not read.
    search.since_ms = end_ms.min(source_now_ms.unwrap_or(end_ms)).max(search.since_ms);
    seen::evict(&mut search.seen, search.since_ms.saturating_sub(limits::SEARCH_OVERLAP_MS));
    recycle_bin::scan(api, table, search, out)
}

/// Writes deletes of changed rows of other departments: no other call shows that a row was moved there. Where
/// the rows are parents, their children are deleted.
fn delete<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    foreign: &[Listed<'_>],
    out: &mut Output,
) -> usize {
    if table.children.is_some() {
        return children::read(api, table, foreign, Write::Delete, out);
    }
    for Listed { meta, as_of_ms, .. } in foreign {
        out.delete(table, &meta.id, None, *as_of_ms);
    }
    foreign.len()
}

/// Writes changed rows, with their detail where the table has one, so that they look as in a snapshot.
fn write<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    listed: &[Listed<'_>],
    out: &mut Output,
) -> usize {
    match table.children {
        Some(_) => children::read(api, table, listed, Write::Row, out),
        None => details::read(api, table, listed, out),
    }
}

/// True when the search does not take `field`.
fn refuses(error: &Error, field: TimeField) -> bool {
    error.kind == Kind::Data && [field.range, "sortBy"].iter().any(|name| error.message.contains(name))
}

fn window_path(path: &str, field: TimeField, window: &Window) -> String {
    let range = format!("{},{}", time::format(window.from_ms), time::format(window.to_ms));
    Path::new(path)
        .with(field.range, range)
        .with("sortBy", field.member)
        .with("from", window.offset.from - 1)
        .with("limit", PAGE)
        .into_string()
}
