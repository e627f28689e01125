//! Reads records again that were given up, and lists that were skipped: a failure that lasted minutes must
//! not cost members, or the rows of a parent, for good.

use super::children::{self, Parent, Write};
use super::output::{Output, Progress};
use super::phase;
use crate::api::Api;
use crate::cursor::ChildPlace;
use crate::error::{Result, Scope};
use crate::record::{self, Record};
use crate::table::{Incremental, Table};
use crate::transport::Transport;

/// Notes that a record, or a child of it, was written with only the members of the list, or that a list of
/// its children was skipped. Tables without incremental reading are read again as a whole.
pub(super) fn note<T: Transport>(api: &mut Api<T>, table: &Table, id: &str) {
    let is_found = match &table.children {
        // Their department is not known without their parent's.
        Some(_) => api.config().department_ids.is_empty(),
        None => table.record_path(id).is_some(),
    };
    if is_found && !matches!(phase::incremental(api, table), Incremental::FullRefresh { .. }) {
        let now_ms = api.transport().now_ms();
        api.given_up().note(table.name, id, now_ms);
    }
}

/// Ids of the records that are to be read again now: only the parent that `place` is within. A place within
/// one that is not due is dropped.
pub(super) fn due<T: Transport>(
    api: &mut Api<T>,
    table: &Table,
    place: &mut Option<ChildPlace>,
) -> Vec<String> {
    let now_ms = api.transport().now_ms();
    *place = place.take().filter(|place| api.given_up().is_due(table.name, &place.parent, now_ms));
    match place {
        Some(place) => vec![place.parent.clone()],
        None => api.given_up().due(table.name, now_ms),
    }
}

/// Reads records again, which are a batch without others: they did not change. A failure is theirs alone:
/// those that were not read for another reason are due a while later, so that the table is read on meanwhile.
pub(super) fn step<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    ids: &[String],
    place: &mut Option<ChildPlace>,
    out: &mut Output,
) -> Result<Progress> {
    let tried = match &table.children {
        Some(_) => Ok(of_parents(api, table, ids, place, out)),
        None => records(api, table, ids, out),
    };
    let now_ms = api.transport().now_ms();
    for (id, is_read) in ids.iter().zip(tried.iter().flatten()) {
        if let Some(is_read) = is_read {
            api.given_up().tried(table.name, id, *is_read, now_ms);
        }
    }
    api.given_up().postpone(table.name, place.as_ref().map(|place| place.parent.as_str()), now_ms);
    let has_rows = !out.changes.is_empty();
    out.has_moved |= has_rows;
    (out.is_second, out.is_ended) = (has_rows, has_rows);
    tried?;
    out.interrupted()
}

/// The children of parents. Whether each parent was read; none for one that was not asked for, or whose
/// reading continues at `place`, which keeps that one of its children failed.
fn of_parents<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    ids: &[String],
    place: &mut Option<ChildPlace>,
    out: &mut Output,
) -> Vec<Option<bool>> {
    let parents: Vec<Parent<'_>> = ids.iter().map(|id| Parent { id, row: "{}", as_of_ms: None }).collect();
    let failed = place.as_ref().filter(|place| place.has_failed).map(|place| place.parent.clone());
    let are_done = children::read(api, table, &parents, Write::All, place, out);
    let is_read = |id: &String| !out.unread.contains(id) && failed.as_ref() != Some(id);
    if let Some(place) = place {
        place.has_failed = !is_read(&place.parent);
    }
    let mut tried: Vec<Option<bool>> =
        ids.iter().zip(are_done).map(|(id, is_done)| is_done.then(|| is_read(id))).collect();
    // The reading of children ends at a failure of one of them, also of parents before it.
    if out.failure.as_ref().is_some_and(|error| error.scope() != Scope::Connection) {
        out.failure = None;
        let failed = out.failed_parent.take();
        if let Some(index) = ids.iter().position(|id| Some(id) == failed.as_ref()) {
            tried[index] = Some(false);
        }
    }
    tried
}

/// Records with details. Whether each was read; none for one that was not asked for. The outer error is about
/// the token.
fn records<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    ids: &[String],
    out: &mut Output,
) -> Result<Vec<Option<bool>>> {
    let paths: Vec<String> = ids.iter().filter_map(|id| table.record_path(id)).collect();
    let answers = api.get_each(&paths)?;
    let mut tried = Vec::with_capacity(ids.len());
    for (id, answer) in ids.iter().zip(&answers) {
        tried.push(match record::judge(api.config(), table, id, answer) {
            Ok(Record::Present { meta, detail }) => {
                let as_of_ms = out.observed(answer.as_ref().ok().and_then(|answer| answer.as_of_ms));
                if let Some(row) = record::row(table, detail, None) {
                    out.row(table, &meta, row, as_of_ms);
                }
                Some(true)
            }
            // Deletes are found by other means.
            Ok(_) => Some(true),
            Err(error) if error.scope() == Scope::Connection => {
                out.failure.get_or_insert(error);
                None
            }
            Err(_) => Some(false),
        });
    }
    Ok(tried)
}
