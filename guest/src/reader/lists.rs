//! A snapshot of a table whose rows come from several lists, or from one of another form: not paged, in
//! another member of the answer, counted from another number, with another identity than `id`.
//!
//! The lists are those of the table's partitions, and in each of them those of every row of another table. A
//! list is read page by page; the first pages of lists of several parents are asked for together.

use super::details::{self, Listed};
use super::output::{Output, Progress};
use super::partitions::{has_modules, note_rows, partition, skips};
use super::tally::{Calls, Tally};
use super::{known, length, page, repeating, rows, windows};
use crate::api::{Answer, Api};
use crate::cursor::{Outer, Parent, Snapshot};
use crate::error::{Error, Kind, Result, Scope};
use crate::limits;
use crate::paging::{Offset, PageOutcome};
use crate::row::{self, RowMeta};
use crate::table::{Each, List, Table};
use crate::tables;
use crate::transport::Transport;
use crate::url::Path;

/// Reads one page of a list, one of its parents, or the first pages of several parents.
pub(super) fn step<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    snapshot: &mut Snapshot,
    out: &mut Output,
) -> Result<Progress> {
    let count = table.list.partitions.map_or(1, |partitions| partitions.values.len());
    if snapshot.partition >= count {
        return Ok(Progress::Done);
    }
    let is_read = match &table.list.each {
        None => read_list(api, table, snapshot, out)?,
        Some(each) if snapshot.parents.is_empty() => read_parents(api, table, each, snapshot, out)?,
        Some(each) => read_of_parents(api, table, each, snapshot, out)?,
    };
    snapshot.incomplete |= out.incomplete;
    if is_read {
        snapshot.partition += 1;
        snapshot.offset = Offset::default();
        if table.list.each.is_some() {
            snapshot.outer = None;
        }
        out.has_moved = true;
        if snapshot.partition == count {
            return Ok(Progress::Done);
        }
    }
    out.interrupted()
}

/// Reads a page of a list without parents. True when it was the last.
fn read_list<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    snapshot: &mut Snapshot,
    out: &mut Output,
) -> Result<bool> {
    let value = partition(table, snapshot);
    let is_first = snapshot.offset.last_ids.is_empty();
    let answer = match api.get(&path(&table.list, value, None, snapshot.offset.from)) {
        Ok(answer) => answer,
        Err(error) if skips(api, table, &table.list, (value, &error), out) => return Ok(true),
        Err(error) => return Err(error),
    };
    api.learned().forget_failures(table.name, value);
    let list = read_page(api, table, snapshot, "", &answer, out)?;
    // A module always has rows. A status that no row has is usual.
    if has_modules(table) && is_first && list != ListState::Failed {
        note_rows(api, table, value, !snapshot.offset.last_ids.is_empty(), out);
    }
    Ok(list == ListState::Ended)
}

/// Reads a page of the list whose rows have a list each. True when there are none left.
fn read_parents<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    each: &Each,
    snapshot: &mut Snapshot,
    out: &mut Output,
) -> Result<bool> {
    let own = partition(table, snapshot);
    let outer = snapshot.outer.get_or_insert_with(Outer::default);
    if outer.is_ended {
        let listed = outer.rows;
        if listed > 0 {
            api.learned().note_partition(table.name, own, true);
        }
        // Where a list failed, an empty table deletes nothing.
        let is_whole = (snapshot.incomplete && listed == 0) || length::verify(api, table, listed, out)?;
        return Ok(is_whole || !windows::instead_of_lists(api, table, snapshot, out));
    }
    let of = parent_table(each)?;
    let value = match of.list.partitions {
        Some(_) => own,
        None => "",
    };
    let answer = match api.get(&path(&of.list, value, None, outer.offset.from)) {
        Ok(answer) => answer,
        Err(error) if skips(api, table, &of.list, (value, &error), out) => return Ok(true),
        Err(error) => return Err(error),
    };
    api.learned().forget_failures(table.name, value);
    snapshot.source_started_at_ms = snapshot.source_started_at_ms.or(answer.as_of_ms);
    let found = rows::of(&answer, of.list.rows, of.list.identity, "")?;
    let ids: Vec<&str> = found.iter().map(|(meta, _)| meta.id.as_str()).collect();
    let (first, is_last) = match outer.offset.accept(of.list.limit.max(1), &ids) {
        PageOutcome::NewRows(first) => (first, false),
        // Rows moved: the page is asked for again from an earlier place.
        PageOutcome::AskAgain => (found.len(), false),
        PageOutcome::End => (found.len(), true),
        PageOutcome::Repeating => return Err(repeating(of.list.path)),
    };
    outer.is_ended = of.list.limit == 0 || is_last;
    out.has_moved = true;
    let ids = found.iter().skip(first).filter_map(|(_, row)| parent_id(each, row));
    let ids = ids.filter(|id| is_chosen(api, table, id));
    snapshot.parents = ids.map(|id| Parent { id, row: String::new() }).collect();
    Ok(false)
}

/// What the lists of all parents take.
pub(super) fn parents<T: Transport>(api: &mut Api<T>, table: &Table, each: &Each) -> Result<Vec<String>> {
    let of = parent_table(each)?;
    let (mut offset, mut parents) = (Offset::default(), Vec::new());
    for _ in 0..limits::CHILD_PAGES_MAX {
        let answer = api.get(&path(&of.list, "", None, offset.from))?;
        let found = rows::of(&answer, of.list.rows, of.list.identity, "")?;
        let ids: Vec<&str> = found.iter().map(|(meta, _)| meta.id.as_str()).collect();
        let first = match offset.accept(of.list.limit.max(1), &ids) {
            PageOutcome::NewRows(first) => first,
            PageOutcome::AskAgain => continue,
            PageOutcome::End => break,
            PageOutcome::Repeating => return Err(repeating(of.list.path)),
        };
        let new = found.iter().skip(first).filter_map(|(_, row)| parent_id(each, row));
        parents.extend(new.filter(|id| is_chosen(api, table, id)));
        if of.list.limit == 0 {
            break;
        }
    }
    Ok(parents)
}

/// False for a department that the configuration leaves out.
fn is_chosen<T: Transport>(api: &Api<T>, table: &Table, id: &str) -> bool {
    table.list.departments.is_none() || api.config().reads_department(id)
}

pub(super) fn parent_table(each: &Each) -> Result<&'static Table> {
    tables::find(each.table)
        .ok_or_else(|| Error::new(Kind::Internal, format!("there is no table `{}`", each.table)))
}

/// What the list of a parent takes; none for a row that has no list, or an empty one.
pub(super) fn parent_id(each: &Each, row: &str) -> Option<String> {
    let is_meant = each.only.is_none_or(|(member, text)| row::text(row, member).as_deref() == Some(text));
    let has_some = each.count.is_empty() || row::may_have(row, each.count);
    (is_meant && has_some).then(|| row::meta_by(row, each.id).map(|meta| meta.id)).flatten()
}

/// Reads the lists of the first parents: of one that has more pages alone. Never the last step: more parents
/// may follow.
fn read_of_parents<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    each: &Each,
    snapshot: &mut Snapshot,
    out: &mut Output,
) -> Result<bool> {
    let value = partition(table, snapshot);
    let is_inside = snapshot.offset != Offset::default();
    let at_once = if is_inside { 1 } else { snapshot.pages_at_once.clamp(1, limits::PARENTS_AT_ONCE) };
    let parents: Vec<String> =
        snapshot.parents.iter().take(at_once).map(|parent| parent.id.clone()).collect();
    let paths: Vec<String> = parents
        .iter()
        .map(|parent| path(&table.list, value, Some((each, parent)), snapshot.offset.from))
        .collect();
    let answers = api.get_each(&paths)?;
    let tally = Tally::of(api, table, Calls::Lists, &paths, &answers);
    if !is_inside {
        snapshot.pages_at_once = (at_once * 2).min(limits::PARENTS_AT_ONCE);
    }
    for (parent, answer) in parents.iter().zip(answers) {
        let is_read = match answer {
            Ok(answer) => {
                api.learned().forget_failures(table.name, parent);
                read_page(api, table, snapshot, parent, &answer, out)?
            }
            // The parent was deleted since it was listed. Where a parameter names it, another cause is as
            // likely.
            Err(error) if error.is_missing() && tally.proves_missing() && each.parameter.is_none() => {
                ListState::Ended
            }
            Err(error) if error.scope() == Scope::Record || tally.gives_up(api, table, parent, &error) => {
                out.skip(format!("`{}` of {} {parent} are skipped: {error}", table.name, each.table));
                // Far down it may fail for good: polls would read the pages before again and again.
                if !is_inside {
                    known::note(&mut snapshot.unread, [parent.as_str()].into_iter(), 0);
                }
                ListState::Ended
            }
            Err(error) => {
                out.failure.get_or_insert(error);
                ListState::Failed
            }
        };
        if is_read != ListState::Ended {
            // The answers for the parents behind it are discarded: lists this long come one by one.
            snapshot.pages_at_once = 1;
            break;
        }
        snapshot.parents.remove(0);
        snapshot.outer.get_or_insert_with(Outer::default).rows += snapshot.offset.rows();
        snapshot.offset = Offset::default();
        out.has_moved = true;
        if out.is_full(api.transport().ticks_ms()) {
            break;
        }
    }
    Ok(false)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ListState {
    /// There are pages left.
    More,
    Ended,
    /// A row failed; `out.failure` says why.
    Failed,
}

/// Writes the rows of one page of a list.
fn read_page<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    snapshot: &mut Snapshot,
    parent: &str,
    answer: &Answer,
    out: &mut Output,
) -> Result<ListState> {
    let list = &table.list;
    snapshot.source_started_at_ms = snapshot.source_started_at_ms.or(answer.as_of_ms);
    let value = partition(table, snapshot);
    let mut found = rows::of(answer, list.rows, list.identity, parent)?;
    if list.limit == 0 && limits::DEFAULT_PAGES.contains(&found.len()) {
        read_rest(api, table, (value, parent), &mut found, out)?;
    }
    let ids: Vec<&str> = found.iter().map(|(meta, _)| meta.id.as_str()).collect();
    let before = snapshot.offset.clone();
    let first = match snapshot.offset.accept(list.limit.max(1), &ids) {
        PageOutcome::NewRows(first) => {
            snapshot.has_rows = true;
            first
        }
        PageOutcome::AskAgain => {
            out.has_moved = true;
            return Ok(ListState::More);
        }
        PageOutcome::End => {
            if ids.is_empty() && !before.last_ids.is_empty() {
                out.skip(page::lost_rows(table));
            }
            return Ok(ListState::Ended);
        }
        PageOutcome::Repeating => return Err(repeating(list.path)),
    };
    let new: Vec<(usize, &RowMeta, String)> = found
        .iter()
        .enumerate()
        .skip(first)
        .filter(|(_, (meta, row))| !meta.deleted && api.config().selects(table, row))
        .filter(|(_, (meta, _))| !snapshot.written.contains(&meta.id))
        .map(|(index, (meta, row))| (index, meta, dressed(list, row, value, parent)))
        .collect();
    let listed: Vec<Listed<'_>> = new
        .iter()
        .map(|(_, meta, row)| Listed { meta, row, as_of_ms: answer.as_of_ms, is_search: false })
        .collect();
    let written = match &mut snapshot.resumes {
        Some(search) => details::verify(api, table, &listed, &mut search.deleted, out),
        None => details::read(api, table, &listed, out),
    };
    out.has_moved |= written.contains(&true);
    let left: Vec<usize> = new.iter().map(|(index, ..)| *index).collect();
    if !page::note_written(snapshot, (before, list.limit.max(1)), (&ids, first), &left, &written) {
        return Ok(ListState::Failed);
    }
    out.has_moved = true;
    let is_last = is_last(api, table, (snapshot.offset.from, parent), ids.len(), out);
    Ok(if is_last { ListState::Ended } else { ListState::More })
}

/// True when a page of so many rows is the last of its list, or the last that the source lists. `from`: of
/// the next one, which is asked for from the last row of this one.
fn is_last<T: Transport>(
    api: &mut Api<T>,
    table: &Table,
    (from, parent): (u64, &str),
    length: usize,
    out: &mut Output,
) -> bool {
    let list = &table.list;
    let is_beyond = |cap| from - 1 + list.first > cap;
    if list.cap.is_some_and(is_beyond) && length as u64 == list.limit {
        let of = if parent.is_empty() { String::new() } else { format!(" of {parent}") };
        out.skip(format!(
            "`{}`{of}: the source lists no page that starts behind row {}: the other rows are skipped",
            table.name,
            list.cap.unwrap_or_default()
        ));
        return true;
    }
    let is_short =
        list.each.is_some_and(|each| !each.hides_rows) && api.longest.ends(list.path, list.limit, length);
    list.limit == 0 || is_short
}

/// Appends the rows behind those of a list that is not paged by one description of the API, and has as many
/// as a page has by default. A portal that refuses `from` or ignores it has shown all.
fn read_rest<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    (value, parent): (&str, &str),
    found: &mut Vec<(RowMeta, String)>,
    out: &mut Output,
) -> Result<()> {
    // One row early, whether rows count from 0 or from 1.
    let list = List { limit: found.len() as u64, first: 0, ..table.list };
    let of = table.list.each.as_ref().map(|each| (each, parent));
    for _ in 0..limits::UNPAGED_PAGES_MAX {
        let answer = match api.get(&path(&list, value, of, found.len() as u64)) {
            Ok(answer) => answer,
            Err(error) if error.is_refusal() => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut new = rows::of(&answer, list.rows, list.identity, parent)?;
        new.retain(|(meta, _)| !found.iter().any(|(known, _)| known.id == meta.id));
        if new.is_empty() {
            return Ok(());
        }
        found.append(&mut new);
    }
    out.skip(format!("`{}`: a list has more than {} rows: the others are skipped", table.name, found.len()));
    Ok(())
}

/// The row with the members that say which list it is of.
pub(super) fn dressed(list: &List, row: &str, value: &str, parent: &str) -> String {
    let mut added = Vec::new();
    if let Some(partitions) = list.partitions.filter(|partitions| partitions.is_written) {
        added.push((partitions.parameter, value));
    }
    if let Some(key) = list.each.and_then(|each| each.key) {
        added.push((key, parent));
    }
    let mut row = match list.secret {
        [] => row.to_owned(),
        secret => row::without(row, secret).unwrap_or_default(),
    };
    for (name, text) in added {
        row = row::with_member(&row, name, &format!("\"{text}\"")).unwrap_or(row);
    }
    row
}

/// The path of a page of a list: of a partition, of a parent. Parents are listed for their ids, without the
/// parameters that a portal may refuse.
pub(super) fn path(list: &List, value: &str, parent: Option<(&Each, &str)>, from: u64) -> String {
    let in_path = parent.filter(|(each, _)| each.parameter.is_none());
    let mut path = match in_path {
        Some((_, id)) => Path::new(&list.path.replace("{parent}", id)),
        None => Path::new(list.path),
    };
    if list.limit > 0 {
        path = path.with("from", from - 1 + list.first).with("limit", list.limit);
    }
    if let Some(field) = list.sort_by {
        path = path.with("sortBy", field);
    }
    if let Some(partitions) = list.partitions {
        path = path.with(partitions.parameter, value);
    }
    if let Some((each, id)) = parent
        && let Some(parameter) = each.parameter
    {
        path = path.with(parameter, id);
    }
    let is_sure = |(name, _): &&(&str, &str)| !list.optional_parameters.contains(name);
    list.query.iter().filter(is_sure).fold(path, |path, (name, value)| path.with(name, value)).into_string()
}
