//! Reads records again that were given up: a failure that lasted minutes must not cost their members for
//! good.

use super::children::{self, Parent, Write};
use super::output::{Output, Progress};
use crate::api::Api;
use crate::error::{Result, Scope};
use crate::record::{self, Record};
use crate::table::{Incremental, Table};
use crate::transport::Transport;

/// Notes that a record, or a child of it, was written with only the members of the list. Tables without
/// incremental reading are read again as a whole.
pub(super) fn note<T: Transport>(api: &mut Api<T>, table: &Table, id: &str) {
    let is_found = match &table.children {
        // Their department is not known without their parent's.
        Some(_) => api.config().department_ids.is_empty(),
        None => table.record_path(id).is_some(),
    };
    if is_found && !matches!(table.incremental, Incremental::FullRefresh { .. }) {
        let now_ms = api.transport().now_ms();
        api.given_up().note(table.name, id, now_ms);
    }
}

/// Ids of the records that are to be read again now.
pub(super) fn due<T: Transport>(api: &mut Api<T>, table: &Table) -> Vec<String> {
    let now_ms = api.transport().now_ms();
    api.given_up().due(table.name, now_ms)
}

/// Reads records again, which are a batch without others: they did not change.
pub(super) fn step<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    ids: &[String],
    out: &mut Output,
) -> Result<Progress> {
    let are_read = match &table.children {
        Some(_) => of_parents(api, table, ids, out)?,
        None => records(api, table, ids, out)?,
    };
    let now_ms = api.transport().now_ms();
    for (id, is_read) in ids.iter().zip(are_read) {
        api.given_up().tried(table.name, id, is_read, now_ms);
    }
    let has_rows = !out.changes.is_empty();
    out.has_moved |= has_rows;
    (out.is_second, out.is_ended) = (has_rows, has_rows);
    Ok(Progress::More)
}

/// The children of parents. An error is about every call.
fn of_parents<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    ids: &[String],
    out: &mut Output,
) -> Result<Vec<bool>> {
    let parents: Vec<Parent<'_>> = ids.iter().map(|id| Parent { id, row: "{}", as_of_ms: None }).collect();
    let partial_rows = out.partial_rows;
    let mut are_read = children::read(api, table, &parents, Write::All, &mut None, out);
    match out.failure.take() {
        Some(error) if error.scope() == Scope::Connection => return Err(error),
        _ => {}
    }
    if out.partial_rows > partial_rows {
        are_read.fill(false);
    }
    Ok(are_read)
}

/// Records with details. An error is about every call.
fn records<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    ids: &[String],
    out: &mut Output,
) -> Result<Vec<bool>> {
    let paths: Vec<String> = ids.iter().filter_map(|id| table.record_path(id)).collect();
    let answers = api.get_each(&paths)?;
    let mut are_read = Vec::with_capacity(ids.len());
    for (id, answer) in ids.iter().zip(&answers) {
        match record::judge(api.config(), table, id, answer) {
            Ok(Record::Present { meta, detail }) => {
                let as_of_ms = out.observed(answer.as_ref().ok().and_then(|answer| answer.as_of_ms));
                if let Some(row) = record::row(table, detail, None) {
                    out.row(table, &meta, row, as_of_ms);
                }
                are_read.push(true);
            }
            // Deletes are found by other means.
            Ok(_) => are_read.push(true),
            Err(error) if error.scope() == Scope::Connection => return Err(error),
            Err(_) => are_read.push(false),
        }
    }
    Ok(are_read)
}
