//! A snapshot of a list: pages asked for ahead, checked for moved rows, and completed row by row. Lists
//! of other forms are in `lists`.

use super::children::{self, Write};
use super::count;
use super::custom_fields;
use super::details;
use super::output::{Output, Progress};
use super::page::{self, Page};
use super::{known, length, lists, partitions, path, windows};
use crate::api::{Answer, Api};
use crate::config::Sort;
use crate::cursor::{Rest, Snapshot};
use crate::error::{Error, Kind, Result};
use crate::limits;
use crate::paging::Offset;
use crate::plan::{self, Chosen};
use crate::row;
use crate::table::{CREATED, Table};
use crate::transport::Transport;
use crate::url::Path;

/// Prepares a snapshot for continuing: one of another list starts again.
pub(super) fn prepare<T: Transport>(api: &mut Api<T>, table: &Table, snapshot: &mut Snapshot) {
    if snapshot.list.is_none() && snapshot.offset == Offset::default() && snapshot.partition == 0 {
        let now_ms = api.transport().now_ms();
        api.learned().forget_old_refusals(table.name, now_ms);
    }
    let list = path::selection(api, table);
    match &snapshot.list {
        Some(before) if *before != list => {
            let resumes = snapshot.resumes.take();
            let started_at_ms = api.transport().now_ms().max(snapshot.started_at_ms + 1);
            // One that proves no deletes still proves none.
            let incomplete = snapshot.incomplete;
            *snapshot = Snapshot { resumes, incomplete, ..Snapshot::start(started_at_ms) };
        }
        _ => {}
    }
    snapshot.list = Some(list);
}

/// Reads one round of pages, or one partition. At the end a table that had rows before and has none is not
/// complete.
pub(super) fn step<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    snapshot: &mut Snapshot,
    out: &mut Output,
) -> Result<Progress> {
    let progress = read(api, table, snapshot, out)?;
    if let Progress::Done = progress {
        partitions::note_rows(api, table, "", snapshot.has_rows, out);
        snapshot.incomplete |= out.incomplete;
    }
    Ok(progress)
}

fn read<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    snapshot: &mut Snapshot,
    out: &mut Output,
) -> Result<Progress> {
    if table.has_lists() && snapshot.rest.is_none() {
        return lists::step(api, table, snapshot, out);
    }
    if !snapshot.parents.is_empty() {
        return read_children(api, table, snapshot, out);
    }
    match snapshot.rest.clone() {
        Some(Rest::Windows { from_ms, to_ms, end_ms, .. }) => {
            return windows::step(api, table, snapshot, (from_ms, to_ms, end_ms), out);
        }
        Some(Rest::Newest { since_ms }) => return read_newest(api, table, snapshot, since_ms, out),
        Some(Rest::Nothing) => return Ok(Progress::Done),
        None => {}
    }
    read_pages(api, table, snapshot, out)
}

/// Reads one round of pages of the list.
fn read_pages<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    snapshot: &mut Snapshot,
    out: &mut Output,
) -> Result<Progress> {
    let limit = table.list.limit;
    let at_once = pages_at_once(api, table, snapshot, out);
    let froms = snapshot.offset.plan(limit, at_once);
    let mut paths: Vec<String> = froms.iter().map(|from| path::page(api, table, *from, None)).collect();
    let fields = custom_fields::projected(api, table).filter(|_| !out.verifies);
    if let Some(fields) = &fields {
        paths.extend(froms.iter().map(|from| path::page(api, table, *from, Some(fields))));
    }
    let in_flight = at_once * if fields.is_some() { 2 } else { 1 };
    let mut answers = api.get_some(&paths, in_flight)?;
    if starts_with_windows(api, table, snapshot, answers.first(), out)? {
        return Ok(Progress::More);
    }
    let mut projections = answers.split_off(froms.len()).into_iter();
    let full_from = snapshot.offset.from + froms.len() as u64 * limit.saturating_sub(1);
    let more_at_once = (froms.len() * 2).min(limits::LIST_PAGES_AT_ONCE);
    for (from, answer) in froms.into_iter().zip(answers) {
        let projection = projections.next();
        if from != snapshot.offset.from {
            break; // Rows moved, or the page before was short: pages asked for ahead do not connect.
        }
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return drop_optional_parameter(api, table, snapshot, error, out),
        };
        let projection =
            projection.map(|answer| projection_of(api, table, answer, out)).transpose()?.flatten();
        snapshot.source_started_at_ms = snapshot.source_started_at_ms.or(answer.as_of_ms);
        let page = Page { answer: &answer, projection: projection.as_ref(), is_search: false };
        if let Progress::Done = page::read(api, table, snapshot, &page, out)? {
            let is_whole = length::verify(api, table, snapshot.offset.rows(), out)?;
            snapshot.incomplete |= out.incomplete;
            // A list with a cap: the search finds the rows behind it.
            return match is_whole || !continue_by_windows(api, table, snapshot, out) {
                true => Ok(Progress::Done),
                false => Ok(Progress::More),
            };
        }
        if snapshot.offset.from > limits::LIST_ROWS_MAX && continue_by_windows(api, table, snapshot, out) {
            return Ok(Progress::More);
        }
        let is_interrupted = out.failure.is_some() || !snapshot.parents.is_empty();
        if is_interrupted || out.is_full(api.transport().ticks_ms()) {
            break;
        }
    }
    snapshot.pages_at_once = if snapshot.offset.from < full_from { 1 } else { more_at_once };
    Ok(Progress::More)
}

/// The projection of a page; none where the list refuses it.
fn projection_of<T: Transport>(
    api: &mut Api<T>,
    table: &Table,
    answer: Result<Answer>,
    out: &mut Output,
) -> Result<Option<Answer>> {
    match answer {
        Err(error) if custom_fields::are_refused(&error) => {
            api.note_unsupported(table.name, path::FIELDS);
            out.warnings.push(format!(
                "`{}`: custom fields are read by one call for each row, because the list refuses `fields`: \
                 {error}",
                table.name
            ));
            Ok(None)
        }
        answer => answer.map(Some),
    }
}

/// Starts a long list with search windows. `first`: the first page of the list. False where that is not
/// possible, or the list is not long.
fn starts_with_windows<T: Transport>(
    api: &mut Api<T>,
    table: &Table,
    snapshot: &mut Snapshot,
    first: Option<&Result<Answer>>,
    out: &mut Output,
) -> Result<bool> {
    let is_first = snapshot.offset == Offset::default();
    let is_possible = is_first && plan::starts_with_windows(Chosen::of(api.config(), table), table);
    let (true, Some(path), Some(Ok(answer))) = (is_possible, table.count, first) else { return Ok(false) };
    let rows = answer.rows_with_meta()?;
    let oldest_ms = rows.first().and_then(|(_, row)| row::time(row, CREATED.member));
    let is_full = rows.len() as u64 >= table.list.limit;
    if !is_full || oldest_ms.is_none() {
        return Ok(false);
    }
    if !count::sum(api, table, &Path::new(path)).is_ok_and(|count| count > limits::LIST_ROWS_MAX) {
        return Ok(false);
    }
    let (at_ms, started_ms) = (snapshot.last_created_ms, snapshot.source_started_at_ms);
    snapshot.last_created_ms = oldest_ms;
    snapshot.source_started_at_ms = started_ms.or(answer.as_of_ms);
    let starts = continue_by_windows(api, table, snapshot, out);
    if !starts {
        (snapshot.last_created_ms, snapshot.source_started_at_ms) = (at_ms, started_ms);
    }
    Ok(starts)
}

/// Continues by search windows. False where that is not possible.
fn continue_by_windows<T: Transport>(
    api: &Api<T>,
    table: &Table,
    snapshot: &mut Snapshot,
    out: &mut Output,
) -> bool {
    let Some(rest) = windows::rest(api, table, snapshot) else { return false };
    let name = table.name;
    out.warnings.push(match windows::rows(&snapshot.offset) {
        0 => format!("`{name}`: the rows are read by search windows: they are many, and need no other calls"),
        rows => format!(
            "`{name}`: the rows behind the first {rows} are read by search windows: pages of a long list \
             cost more credits, or are refused"
        ),
    });
    snapshot.rest = Some(rest);
    snapshot.offset = Offset::default();
    out.has_moved = true;
    true
}

/// Reads one page of the list, newest first, until a row was created before `since_ms`.
fn read_newest<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    snapshot: &mut Snapshot,
    since_ms: u64,
    out: &mut Output,
) -> Result<Progress> {
    let from = snapshot.offset.from;
    let answer = match api.get(&path::ordered(api, table, from, None, &[], Sort::NewestFirst)) {
        Ok(answer) => answer,
        // A list with a cap refuses its later pages.
        Err(error) if error.kind == Kind::Data && snapshot.offset != Offset::default() => {
            windows::instead_of_newest(api, table, snapshot, since_ms, (&error, out));
            return Ok(Progress::More);
        }
        Err(error) => return Err(error),
    };
    let last = answer.rows_with_meta()?.pop();
    if last.is_none() {
        // Its older rows were read.
        out.skip(page::lost_rows(table));
    }
    let oldest_ms = last.as_ref().and_then(|(_, row)| row::time(row, CREATED.member));
    let projection = match custom_fields::projected(api, table).filter(|_| !out.verifies) {
        Some(fields) => {
            Some(api.get(&path::ordered(api, table, from, Some(&fields), &[], Sort::NewestFirst))?)
        }
        None => None,
    };
    let page = Page { answer: &answer, projection: projection.as_ref(), is_search: false };
    let progress = page::read(api, table, snapshot, &page, out)?;
    // A page that was read in part, or not at all because rows moved, or whose children are still to be read,
    // is not the last step.
    let is_accepted = last.is_some_and(|(meta, _)| snapshot.offset.last_ids.last() == Some(&meta.id));
    let is_read = is_accepted && snapshot.written.is_empty() && out.failure.is_none();
    if is_read && oldest_ms.is_some_and(|at_ms| at_ms < since_ms) {
        if snapshot.parents.is_empty() {
            return Ok(Progress::Done);
        }
        snapshot.rest = Some(Rest::Nothing);
    }
    Ok(progress)
}

/// Writes the children of the parents of the last page.
fn read_children<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    snapshot: &mut Snapshot,
    out: &mut Output,
) -> Result<Progress> {
    let parents: Vec<children::Parent<'_>> = snapshot
        .parents
        .iter()
        .map(|parent| children::Parent { id: &parent.id, row: &parent.row, as_of_ms: None })
        .collect();
    let changes = out.changes.len();
    let written = children::read(api, table, &parents, Write::All, &mut snapshot.child, out);
    let unread = std::mem::take(&mut out.unread);
    known::note(&mut snapshot.unread, unread.iter().map(String::as_str), 0);
    snapshot.has_rows |= out.changes.len() > changes;
    let mut written = written.into_iter();
    let count = snapshot.parents.len();
    snapshot.parents.retain(|_| !written.next().unwrap_or_default());
    snapshot.incomplete |= out.incomplete;
    out.has_moved |= snapshot.parents.len() < count;
    out.interrupted()
}

/// One page first, more while pages are full; only one where each page is followed by calls for its rows.
fn pages_at_once<T: Transport>(api: &mut Api<T>, table: &Table, snapshot: &Snapshot, out: &Output) -> usize {
    let is_slow = table.children.is_some() || (details::reads_details(api, table) && !out.verifies);
    if snapshot.pages_at_once <= 1 || is_slow {
        return 1;
    }
    snapshot.pages_at_once.min(pages_at_once_max(api, table.list.limit, out))
}

/// Pages of `limit` rows that are asked for at once at most, one at least.
pub(super) fn pages_at_once_max<T: Transport>(api: &mut Api<T>, limit: u64, out: &Output) -> usize {
    let room = usize::try_from(out.room().div_ceil(limit)).unwrap_or(1);
    room.min(limits::LIST_PAGES_AT_ONCE).min(api.concurrency()).max(1)
}

/// Drops an optional parameter that this portal refuses: one that the refusal names, or without which the
/// same call succeeds, while with it the call is still refused. Any other refusal is about something else,
/// for example a wrong id of a department.
fn drop_optional_parameter<T: Transport>(
    api: &mut Api<T>,
    table: &Table,
    snapshot: &mut Snapshot,
    error: Error,
    out: &mut Output,
) -> Result<Progress> {
    if error.kind != Kind::Data {
        return Err(error);
    }
    let is_sent = |parameter: &&&str| !api.is_unsupported(table.name, parameter);
    let sent: Vec<&str> = table.list.optional_parameters.iter().filter(is_sent).copied().collect();
    let from = snapshot.offset.from;
    let mut dropped = sent.iter().copied().find(|parameter| error.message.contains(*parameter));
    for parameter in &sent {
        if dropped.is_none() && api.get(&path::without(api, table, from, None, &[parameter])).is_ok() {
            dropped = Some(*parameter);
            // A refusal that has passed meanwhile was not about the parameter.
            if api.get(&path::page(api, table, from, None)).is_ok() {
                return Err(error);
            }
        }
    }
    let Some(parameter) = dropped else {
        // A list with a cap refuses its later pages.
        let is_later = snapshot.offset != Offset::default();
        let continues = is_later && continue_by_windows(api, table, snapshot, out);
        return if continues { Ok(Progress::More) } else { Err(error) };
    };
    api.note_unsupported(table.name, parameter);
    out.warnings.push(format!("`{}`: the list is read without `{parameter}`: {error}", table.name));
    let list = path::selection(api, table);
    if snapshot.list.as_ref() != Some(&list) {
        if snapshot.offset == Offset::default() {
            snapshot.list = Some(list);
        } else {
            // The rows come in another order from here on: the next call starts the snapshot again.
            out.is_ended = true;
        }
    }
    out.has_moved = true;
    Ok(Progress::More)
}
