//! Incremental reading by a list: sorted by modified time, newest first, until a record was modified before
//! the last poll; or limited to a range of modified times. Of a table with a list for each row of another
//! one, by each of these lists: one that fails is skipped, and the next poll reads it from the same time on.
//!
//! List rows may lack the modified time: then their details are read, a few at a time.

use super::details::{self, Listed};
use super::lists;
use super::output::{Output, Progress};
use super::tally::Tally;
use super::{known, path, repeating, rows};
use crate::api::Api;
use crate::cursor::{Search, Window};
use crate::error::{Error, Kind, Result};
use crate::limits;
use crate::paging::{Offset, PageOutcome};
use crate::row::RowMeta;
use crate::table::{Incremental, List, MODIFIED, Order, Table};
use crate::time;
use crate::transport::Transport;
use crate::url::Path;

/// The parameter of a sorted list, as the session names it where the portal refuses it.
pub(super) const PARAMETER: &str = "sortBy=-modifiedTime";

/// Reads one page of a list.
pub(super) fn step<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    search: &mut Search,
    out: &mut Output,
) -> Result<Progress> {
    let Incremental::Sorted { order, .. } = table.incremental else {
        return Err(Error::new(
            Kind::Internal,
            "the cursor is of a sorted list, which the table does not have",
        ));
    };
    open(api, table, search)?;
    let parent = search.lists.first().cloned().unwrap_or_default();
    let since_ms = search.parents.get(&parent).copied().unwrap_or(search.since_ms);
    let from_ms = since_ms.saturating_sub(limits::SETTLED_MS);
    let Some(window) = &mut search.window else { return Ok(Progress::More) };
    if table.list.each.is_some() && parent.is_empty() {
        return Ok(close(api, search, out));
    }
    let answer = match api.get(&path(api, table, order, (&parent, window, from_ms))) {
        Ok(answer) => answer,
        Err(error) => return skip(api, table, search, (&parent, since_ms, error), out),
    };
    api.learned().forget_failures(table.name, &parent);
    window.source_now_ms = window.source_now_ms.or(answer.as_of_ms);
    let list = &table.list;
    let found = rows::of(&answer, list.rows, list.identity, &parent)?;
    let ids: Vec<&str> = found.iter().map(|(meta, _)| meta.id.as_str()).collect();
    let before = window.offset.clone();
    let mut next = match window.offset.accept(list.limit, &ids) {
        PageOutcome::NewRows(first) => first,
        PageOutcome::AskAgain => {
            out.has_moved = true;
            return Ok(Progress::More);
        }
        PageOutcome::End => return Ok(next_list(api, search, &parent, out)),
        PageOutcome::Repeating => return Err(repeating(list.path)),
    };
    let dressed: Vec<(&RowMeta, String)> =
        found.iter().map(|(meta, row)| (meta, lists::dressed(list, row, "", &parent))).collect();
    // Two at first: as a rule none or one was modified.
    let mut size = 2;
    while next < dressed.len() {
        let some = &dressed[next..dressed.len().min(next + size)];
        let listed: Vec<Listed<'_>> = some
            .iter()
            .filter(|(meta, _)| !meta.deleted)
            .map(|(meta, row)| Listed { meta, row, as_of_ms: answer.as_of_ms, is_search: false })
            .collect();
        let first = out.changes.len();
        let written = details::read(api, table, &listed, out);
        if written.contains(&false) {
            // Read again from its first row: unchanged rows cost nothing in the sink.
            window.offset.rewind(before, list.limit, &ids[..next]);
            out.interrupted()?;
            return Ok(Progress::More);
        }
        next += some.len();
        out.has_moved = true;
        if order == Order::Newest && out.remove_older(first, from_ms) {
            return Ok(next_list(api, search, &parent, out));
        }
        size *= 4;
    }
    Ok(Progress::More)
}

/// Opens a round: all lists, from their first pages on.
fn open<T: Transport>(api: &mut Api<T>, table: &Table, search: &mut Search) -> Result<()> {
    if search.window.is_none() {
        if let Some(each) = &table.list.each {
            search.lists = lists::parents(api, table, each)?;
        }
        let host_ms = api.transport().now_ms();
        let end_ms = api.to_source_clock(host_ms) + limits::CLOCK_OFFSET_STEP_MS;
        // The place in the list, and the end of its range.
        search.window = Some(Window::whole(search.since_ms, end_ms.max(search.since_ms)));
    }
    Ok(())
}

/// Continues with the next list where one parent's fails alone, or by full refresh where the order is
/// refused.
fn skip<T: Transport>(
    api: &mut Api<T>,
    table: &Table,
    search: &mut Search,
    (parent, since_ms, error): (&str, u64, Error),
    out: &mut Output,
) -> Result<Progress> {
    let has_begun = search.window.as_ref().is_some_and(|window| window.offset != Offset::default());
    if !parent.is_empty() && is_of_list(api, table, parent, &error) {
        out.warnings.push(format!("`{}`: `{parent}` is not read this time: {error}", table.name));
        let progress = next_list(api, search, parent, out);
        // A list that fails far down may do so for good: it is not read from its end again and again.
        if !has_begun || since_ms > 0 {
            known::note(&mut search.parents, [parent].into_iter(), since_ms);
        }
        return Ok(progress);
    }
    // Behind the first page of one of several lists it is not the order that is refused.
    if error.kind != Kind::Data || (has_begun && !parent.is_empty()) {
        return Err(error);
    }
    api.note_unsupported(table.name, PARAMETER);
    out.warnings.push(format!(
        "`{}`: read by full refresh, because its list takes no modified times: {error}",
        table.name
    ));
    out.has_moved = true;
    Ok(Progress::Done)
}

/// The path of a page of the list at hand.
fn path<T: Transport>(
    api: &Api<T>,
    table: &Table,
    order: Order,
    (parent, window, from_ms): (&str, &Window, u64),
) -> String {
    let from = window.offset.from;
    let of = table.list.each.as_ref().map(|each| (each, parent));
    let in_order = |sort_by| lists::path(&List { sort_by: Some(sort_by), ..table.list }, "", of, from);
    match order {
        Order::Newest if of.is_none() => path::newest(api, table, MODIFIED.member, from),
        Order::Newest => in_order("-modifiedTime"),
        Order::Range => {
            let range = format!("{},{}", time::format(from_ms), time::format(window.to_ms));
            Path::new(&in_order(MODIFIED.member)).with(MODIFIED.range, range).into_string()
        }
    }
}

/// True when the list of one parent fails while those of others can be read.
fn is_of_list<T: Transport>(api: &mut Api<T>, table: &Table, parent: &str, error: &Error) -> bool {
    let is_refused = error.kind == Kind::NotFound || error.kind == Kind::Permission;
    (is_refused && !error.lacks_scope()) || Tally::LIST_BESIDE_OTHERS.gives_up(api, table, parent, error)
}

/// Continues with the list of the parent after `parent`, or ends the round.
fn next_list<T: Transport>(api: &Api<T>, search: &mut Search, parent: &str, out: &mut Output) -> Progress {
    search.parents.remove(parent);
    match &mut search.window {
        Some(window) if search.lists.len() > 1 => {
            search.lists.remove(0);
            window.offset = Offset::default();
            out.has_moved = true;
            Progress::More
        }
        _ => close(api, search, out),
    }
}

/// Ends a round: everything modified before its first answer was read.
fn close<T: Transport>(api: &Api<T>, search: &mut Search, out: &mut Output) -> Progress {
    let host_ms = api.transport().now_ms();
    let Some(window) = search.window.take() else { return Progress::More };
    search.lists.clear();
    let read_ms = window.source_now_ms.unwrap_or(api.to_source_clock(host_ms));
    // The host's clock may be behind the source's: changes after the range were not read.
    search.since_ms = read_ms.min(window.to_ms).max(search.since_ms);
    search.scans_recycle_bin = true;
    out.has_moved = true;
    Progress::More
}
