//! A snapshot of a list: pages asked for ahead, checked for moved rows, and completed row by row. Lists
//! of other forms are in `lists`.

use super::children::{self, Write};
use super::count;
use super::custom_fields;
use super::details::{self, Listed};
use super::output::{Output, Progress};
use super::{lists, partitions, repeating, windows};
use crate::api::{Answer, Api};
use crate::config::Sort;
use crate::cursor::{Parent, Rest, Snapshot};
use crate::error::{Error, Kind, Result};
use crate::limits;
use crate::paging::{Offset, PageOutcome};
use crate::plan::{self, Chosen};
use crate::row::{self, RowMeta};
use crate::table::{CREATED, Incremental, List, Table};
use crate::tables;
use crate::transport::Transport;
use crate::url::Path;

/// The parameter of a projection.
const FIELDS: &str = "fields";

/// The name under which failures of a table's count are counted.
const COUNT: &str = "count";

/// Prepares a snapshot for continuing: one of another list starts again.
pub(super) fn prepare<T: Transport>(api: &mut Api<T>, table: &Table, snapshot: &mut Snapshot) {
    if snapshot.list.is_none() && snapshot.offset == Offset::default() && snapshot.partition == 0 {
        api.forget_old_refusals(table.name);
    }
    let list = selection(api, table);
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
        partitions::believe(api, table, "", snapshot.has_rows, out);
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
    if table.has_lists() {
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
    let limit = table.list.limit;
    let at_once = pages_at_once(api, table, snapshot, out);
    let froms = snapshot.offset.plan(limit, at_once);
    let mut paths: Vec<String> = froms.iter().map(|from| list_path(api, table, *from, None)).collect();
    let fields = projected_fields(api, table).filter(|_| !out.verifies);
    if let Some(fields) = &fields {
        paths.extend(froms.iter().map(|from| list_path(api, table, *from, Some(fields))));
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
        let projection = match projection {
            Some(Err(error)) if refuses_fields(&error) => {
                api.remember_unsupported(table.name, FIELDS);
                out.warnings.push(format!(
                    "`{}`: custom fields are read by one call for each row, because the list refuses \
                     `fields`: {error}",
                    table.name
                ));
                None
            }
            Some(Err(error)) => return Err(error),
            Some(Ok(answer)) => Some(answer),
            None => None,
        };
        snapshot.source_started_at_ms = snapshot.source_started_at_ms.or(answer.as_of_ms);
        let page = Page { answer: &answer, projection: projection.as_ref(), is_search: false };
        if let Progress::Done = read_page(api, table, snapshot, &page, out)? {
            let is_whole = verify_length(api, table, snapshot.offset.rows(), out)?;
            snapshot.incomplete |= out.incomplete;
            // A list with a cap: the search finds the rows behind it.
            return match is_whole || !goes_on_by_windows(api, table, snapshot, out) {
                true => Ok(Progress::Done),
                false => Ok(Progress::More),
            };
        }
        if snapshot.offset.from > limits::LIST_ROWS_MAX && goes_on_by_windows(api, table, snapshot, out) {
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
    let starts = goes_on_by_windows(api, table, snapshot, out);
    if !starts {
        (snapshot.last_created_ms, snapshot.source_started_at_ms) = (at_ms, started_ms);
    }
    Ok(starts)
}

/// Continues by search windows. False where that is not possible.
fn goes_on_by_windows<T: Transport>(
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

/// True when custom fields are read by a second request for each page: tickets without their details.
fn needs_custom_fields<T: Transport>(api: &Api<T>, table: &Table) -> bool {
    !details::reads_details(api, table)
        && table.detail.is_some_and(|detail| detail.has_custom_field_keys)
        && !api.config().custom_field_keys.is_empty()
}

/// The custom fields of a second request for each page; none without one, or where the list refuses it.
fn projected_fields<T: Transport>(api: &Api<T>, table: &Table) -> Option<String> {
    let is_projected = needs_custom_fields(api, table) && !api.is_unsupported(table.name, FIELDS);
    is_projected.then(|| api.config().custom_field_keys.join(","))
}

/// True when a list does not take `fields`, or not these: unknown names are answered by 500
/// (`zoho-desk-api.md` §8.9).
fn refuses_fields(error: &Error) -> bool {
    error.is_refusal() || error.code.as_deref() == Some("INTERNAL_SERVER_ERROR")
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
    let answer = match api.get(&ordered_path(api, table, from, None, &[], Sort::NewestFirst)) {
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
        out.skip(lost_rows(table));
    }
    let oldest_ms = last.as_ref().and_then(|(_, row)| row::time(row, CREATED.member));
    let projection = match projected_fields(api, table).filter(|_| !out.verifies) {
        Some(fields) => {
            Some(api.get(&ordered_path(api, table, from, Some(&fields), &[], Sort::NewestFirst))?)
        }
        None => None,
    };
    let page = Page { answer: &answer, projection: projection.as_ref(), is_search: false };
    let progress = read_page(api, table, snapshot, &page, out)?;
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

/// A page of the list or of a search window.
pub(super) struct Page<'a> {
    pub(super) answer: &'a Answer,
    /// The same page with custom fields.
    pub(super) projection: Option<&'a Answer>,
    pub(super) is_search: bool,
}

/// Writes the new rows of one page. Done: there is none behind it.
pub(super) fn read_page<T: Transport>(
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
    // The index lags: a search row is as recent as its modified time, or as the index must be.
    let indexed_ms =
        snapshot.source_started_at_ms.map(|at_ms| at_ms.saturating_sub(limits::SEARCH_SETTLED_MS));
    let as_of_ms = |meta: &RowMeta| match page.is_search {
        true => meta.modified_time_ms.max(indexed_ms),
        false => answer.as_of_ms,
    };
    let listed: Vec<Listed<'_>> = left
        .iter()
        .map(|&index| {
            let (meta, row) = &rows[index];
            Listed { meta, row, as_of_ms: as_of_ms(meta), is_search: page.is_search }
        })
        .collect();
    let written = if let Some(search) = &mut snapshot.resumes {
        details::verify(api, table, &listed, &mut search.deleted, out)
    } else if needs_custom_fields(api, table) {
        let projection = if page.is_search { Some(answer) } else { page.projection };
        custom_fields::read(api, table, &listed, projection, out)
    } else if page.is_search && table.detail.is_some_and(|detail| detail.search_is_complete) {
        let settled_ms = snapshot.source_started_at_ms.unwrap_or_default();
        windows::read(api, table, &listed, settled_ms.saturating_sub(limits::SEARCH_SETTLED_MS), out)
    } else {
        details::read(api, table, &listed, out)
    };
    snapshot.incomplete |= out.incomplete;
    out.has_moved |= written.contains(&true);
    if note_written(snapshot, (before, limit), (&ids, first), &left, &written) {
        out.has_moved = true;
        return Ok(Progress::More);
    }
    out.interrupted()
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
    snapshot.has_rows |= out.changes.len() > changes;
    let mut written = written.into_iter();
    let count = snapshot.parents.len();
    snapshot.parents.retain(|_| !written.next().unwrap_or_default());
    snapshot.incomplete |= out.incomplete;
    out.has_moved |= snapshot.parents.len() < count;
    out.interrupted()
}

/// Checks the length of a list that ended by the source's count. An error when it is empty and the source
/// counts rows: a wrong portal and a lost permission look like empty lists (`zoho-desk-api.md` §8.12, §8.15),
/// and the sink would delete the whole table. A list that is too short, or that cannot be checked, is
/// incomplete. False when rows are missing.
pub(super) fn verify_length<T: Transport>(
    api: &mut Api<T>,
    table: &Table,
    listed: u64,
    out: &mut Output,
) -> Result<bool> {
    // A list of children is that of their parents; whether it is rightly empty, their own search shows.
    let counts = tables::parent(table).filter(|_| listed > 0).unwrap_or(table);
    let path = match (counts.count, table.incremental) {
        (Some(path), Incremental::Search { .. }) => Path::new(path),
        (Some(path), _) if listed == 0 => Path::new(path),
        (None, Incremental::Search { path, .. }) => Path::new(path).with("from", 0).with("limit", 1),
        _ => return Ok(true),
    };
    let counted = match count::sum(api, table, &path) {
        Ok(counted) => counted,
        Err(error) => {
            // The list could be read: a count that keeps failing stops no table.
            let (_, alone) = limits::FAILED_RECORD_CALLS;
            if error.needs_person() || (!error.is_refusal() && !api.gives_up(table.name, COUNT, alone)) {
                return Err(error);
            }
            api.forget_failures(table.name, COUNT);
            let what = if listed == 0 { "is empty".to_owned() } else { format!("has {listed} rows") };
            let name = table.name;
            out.skip(format!("the list of `{name}` {what}, and that cannot be checked: {error}"));
            return Ok(true);
        }
    };
    if listed > 0 {
        let is_short = listed + may_lack(counted) < counted;
        let short = if is_short { counted - listed } else { 0 };
        let before = api.replace_short_list(table.name, short);
        if is_short && !is_believed(counts, listed, short, before) {
            out.skip(format!(
                "the list of `{}` has {listed} rows, but the source counts {counted}: the list ends early, \
                 or the source counts rows that it does not list",
                table.name
            ));
            return Ok(false);
        }
    }
    if listed > 0 || counted == 0 {
        return Ok(true);
    }
    let message = format!("the list of `{}` is empty, but the source counts {counted} rows", table.name);
    Err(Error::new(Kind::Permission, message).code("HIDDEN").hint(
        "no row is deleted for it; the user who generated the code may see none of them, or \
         `organization_id` or `department_ids` are of another portal: generate the code as an administrator \
         of the right one",
    ))
}

/// Rows by which a list may be shorter than the count.
pub(super) fn may_lack(counted: u64) -> u64 {
    (counted * limits::LIST_SHORT_PERCENT / 100).max(limits::LIST_SHORT_ROWS)
}

/// True when a list that is `short` rows shorter than the source's count is whole all the same: the source
/// counts archived records, or those of departments that have no list. Then it was short by as many before,
/// and does not end at a round number, as a list with a cap does. Of others the search that counts them finds
/// the rows that the list lacks.
fn is_believed(table: &Table, listed: u64, short: u64, before: Option<u64>) -> bool {
    let is_as_before = before.is_some_and(|before| before.abs_diff(short) <= may_lack(short));
    let to_cap = (listed + 1) % limits::LIST_CAP_STEP;
    (table.has_archive || table.has_lists()) && is_as_before && to_cap > 2
}

/// One page first, more while pages are full; only one where each page is followed by calls for its rows.
fn pages_at_once<T: Transport>(api: &mut Api<T>, table: &Table, snapshot: &Snapshot, out: &Output) -> usize {
    let is_slow = table.children.is_some() || (details::reads_details(api, table) && !out.verifies);
    if snapshot.pages_at_once <= 1 || is_slow {
        return 1;
    }
    let room = usize::try_from(out.room().div_ceil(table.list.limit)).unwrap_or(1);
    let most = limits::LIST_PAGES_AT_ONCE.min(api.concurrency());
    snapshot.pages_at_once.min(room).clamp(1, most)
}

/// The path of one page; with `fields`, of its projection to those fields.
pub(super) fn list_path<T: Transport>(
    api: &Api<T>,
    table: &Table,
    from: u64,
    fields: Option<&str>,
) -> String {
    path_without(api, table, from, fields, &[])
}

/// The parameters that select and order the rows of the list, as a query.
fn selection<T: Transport>(api: &Api<T>, table: &Table) -> String {
    path_without(api, table, 1, None, &["include"])
}

fn path_without<T: Transport>(
    api: &Api<T>,
    table: &Table,
    from: u64,
    fields: Option<&str>,
    left_out: &[&str],
) -> String {
    ordered_path(api, table, from, fields, left_out, order(api, table))
}

/// The order of the list: the configured one, where it can be configured.
pub(super) fn order<T: Transport>(api: &Api<T>, table: &Table) -> Sort {
    if table.list.configurable_sort { api.config().sort } else { Sort::OldestFirst }
}

/// The path of the first page of the list in this order.
pub(super) fn page_path<T: Transport>(api: &Api<T>, table: &Table, order: Sort) -> String {
    ordered_path(api, table, 1, None, &[], order)
}

/// The path of one page of the list, sorted by a field, newest first.
pub(super) fn newest_path<T: Transport>(api: &Api<T>, table: &Table, field: &str, from: u64) -> String {
    let path = ordered_path(api, table, from, None, &["sortBy"], Sort::NewestFirst);
    format!("{path}&sortBy=-{field}")
}

fn ordered_path<T: Transport>(
    api: &Api<T>,
    table: &Table,
    from: u64,
    fields: Option<&str>,
    left_out: &[&str],
    order: Sort,
) -> String {
    let List { path, limit, query, sort_by, departments, .. } = table.list;
    let config = api.config();
    let is_sent = |name: &str| !api.is_unsupported(table.name, name) && !left_out.contains(&name);
    let mut path = Path::new(path);
    if limit > 0 {
        path = path.with("from", from).with("limit", limit);
    }
    if let Some(field) = sort_by
        && is_sent("sortBy")
    {
        let sign = if order == Sort::NewestFirst { "-" } else { "" };
        path = path.with("sortBy", format_args!("{sign}{field}"));
    }
    if let Some(parameter) = departments
        && !config.department_ids.is_empty()
    {
        path = path.with(parameter, config.department_ids.join(","));
    }
    if let Some(fields) = fields {
        return path.with(FIELDS, fields).into_string();
    }
    for (name, value) in query {
        if is_sent(name) {
            path = path.with(name, value);
        }
    }
    path.into_string()
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
        if dropped.is_none() && api.get(&path_without(api, table, from, None, &[parameter])).is_ok() {
            dropped = Some(*parameter);
            // A refusal that has passed meanwhile was not about the parameter.
            if api.get(&list_path(api, table, from, None)).is_ok() {
                return Err(error);
            }
        }
    }
    let Some(parameter) = dropped else {
        // A list with a cap refuses its later pages.
        let is_later = snapshot.offset != Offset::default();
        let goes_on = is_later && goes_on_by_windows(api, table, snapshot, out);
        return if goes_on { Ok(Progress::More) } else { Err(error) };
    };
    api.remember_unsupported(table.name, parameter);
    out.warnings.push(format!("`{}`: the list is read without `{parameter}`: {error}", table.name));
    let list = selection(api, table);
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
