//! Completes listed rows with their records: the detail, laid over the list row, where the table has one.

use std::collections::{BTreeMap, BTreeSet};

use super::again;
use super::output::Output;
use super::tally::{Calls, Tally};
use crate::api::{Answer, Api};
use crate::change::{Change, ChangeSource, Operation};
use crate::error::{Error, Kind, Result};
use crate::limits;
use crate::record::{self, Record};
use crate::row::{self, RowMeta};
use crate::table::Table;
use crate::transport::Transport;

/// A row of a list or search that may lack members.
#[derive(Clone, Copy)]
pub(super) struct Listed<'a> {
    pub(super) meta: &'a RowMeta,
    pub(super) row: &'a str,
    pub(super) as_of_ms: Option<u64>,
    /// The row is of a search: of its members only those that a list has, too, are taken.
    pub(super) is_search: bool,
}

/// True when rows of `table` are completed by one call each.
pub(super) fn reads_details<T: Transport>(api: &Api<T>, table: &Table) -> bool {
    table.detail.is_some_and(|detail| api.config().reads_detail(&detail))
}

/// Writes the rows in order, each completed by its detail where the table has one. A row whose detail fails
/// is left out; one that keeps failing while others can be read is written with the members of the list. True
/// for each row that was processed; where some were not, `out.failure` says why.
pub(super) fn read<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    listed: &[Listed<'_>],
    out: &mut Output,
) -> Vec<bool> {
    if !reads_details(api, table) {
        for row in listed {
            out.row(table, row.meta, row.row.to_owned(), row.as_of_ms);
        }
        return vec![true; listed.len()];
    }
    let paths: Vec<String> = listed.iter().filter_map(|row| record_path(table, row)).collect();
    let Some(answers) = out.value_or_end(api.get_each(&paths)) else { return vec![false; listed.len()] };
    let records: Vec<Result<Record<'_>>> = listed
        .iter()
        .zip(&answers)
        .map(|(row, answer)| match record::judge(api.config(), table, &row.meta.id, answer) {
            // An error until others prove it.
            Ok(Record::Missing) => answer.as_ref().map(|_| Record::Missing).map_err(Error::clone),
            record => record,
        })
        .collect();
    let tally = Tally::of(api, table, Calls::Records, &paths, &records);
    let answers = listed.iter().zip(&answers).zip(records);
    answers.map(|((row, answer), record)| write(api, table, row, (answer, record), tally, out)).collect()
}

/// The path of the record of a listed row.
fn record_path(table: &Table, listed: &Listed<'_>) -> Option<String> {
    let by_id = table.record_path(&listed.meta.id);
    by_id.or_else(|| table.record.map(|path| row::filled(path, listed.row)))
}

/// Writes rows as listed, older than every state of a row that was read: the sink notes that they exist,
/// keeps its own rows, and takes those that it lacks.
pub(super) fn show(table: &'static Table, listed: &[Listed<'_>], out: &mut Output) {
    for row in listed {
        let as_of_ms = Some(limits::VERIFIED_AS_OF_MS);
        let change =
            Change::of_row(table, Operation::Read, row.meta, row.row.to_owned(), as_of_ms, out.source);
        out.push(Change { partial: true, ..change });
    }
}

/// Writes the rows as listed, see [`show`]. One of `deleted` was restored: it is read. True for each row that
/// was processed.
pub(super) fn verify<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    listed: &[Listed<'_>],
    deleted: &mut BTreeMap<String, u64>,
    out: &mut Output,
) -> Vec<bool> {
    let (restored, others): (Vec<Listed<'_>>, Vec<Listed<'_>>) =
        listed.iter().partition(|row| deleted.contains_key(&row.meta.id));
    show(table, &others, out);
    let read = read(api, table, &restored, out);
    let unread: BTreeSet<&str> =
        restored.iter().zip(read).filter(|(_, is_read)| !is_read).map(|(row, _)| &*row.meta.id).collect();
    listed.iter().for_each(|row| {
        if !unread.contains(&*row.meta.id) {
            deleted.remove(&row.meta.id);
        }
    });
    listed.iter().map(|row| !unread.contains(&*row.meta.id)).collect()
}

/// Writes one row from its detail. False when the detail failed. Of a record that is deleted, or moved to
/// another department, since it was listed, incremental reading reports the delete; in a snapshot its absence
/// does.
fn write<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    listed: &Listed<'_>,
    (answer, record): (&Result<Answer>, Result<Record<'_>>),
    tally: Tally,
    out: &mut Output,
) -> bool {
    let id = &listed.meta.id;
    let is_incremental = out.source == ChangeSource::Incremental;
    let as_of_ms = out.observed(Answer::time_of(answer));
    let record = match record {
        Err(error) if error.is_missing() && tally.proves_missing() => Ok(Record::Missing),
        record => record,
    };
    let record = record.and_then(|record| match record {
        Record::Present { meta, detail } => row_of(table, detail, listed).map(|row| Some((meta, row))),
        _ if !is_incremental => Ok(None),
        Record::Missing => {
            out.push(deleted_since(table, listed, as_of_ms, out.source));
            Ok(None)
        }
        Record::Trashed { detail } => {
            out.delete(table, id, Some(detail.to_owned()), as_of_ms);
            Ok(None)
        }
        Record::Foreign => {
            out.delete(table, id, None, as_of_ms);
            Ok(None)
        }
        Record::Hidden => Ok(None),
    });
    match record {
        Ok(Some((meta, row))) => {
            api.learned().forget_failures(table.name, id);
            out.row(table, &meta, row, as_of_ms);
        }
        Ok(None) => match answer {
            Err(error) if error.is_hidden() => out.list_row(table, listed, error),
            _ => {}
        },
        Err(error) if tally.gives_up(api, table, id, &error) => {
            out.incomplete = true;
            again::note(api, table, id);
            out.list_row(table, listed, &error);
        }
        Err(error) => {
            out.failure.get_or_insert(error);
            return false;
        }
    }
    true
}

/// The row of a detail, with all members that only the list has.
fn row_of(table: &Table, detail: &str, listed: &Listed<'_>) -> Result<String> {
    let row = match listed.is_search {
        true => record::row(table, detail, Some(listed.row)),
        false => row::overlay(detail, listed.row, |_| true),
    };
    row.ok_or_else(|| {
        Error::new(Kind::Data, format!("`{}` {}: the row is no object", table.name, listed.meta.id))
    })
}

/// The delete of a listed row that the API answered 404 for. Without the source's clock its id is made from
/// the last modification, so that deletes after two modifications differ.
fn deleted_since(
    table: &'static Table,
    listed: &Listed<'_>,
    as_of_ms: Option<u64>,
    source: ChangeSource,
) -> Change {
    let mut change = Change::delete(table, &listed.meta.id, None, as_of_ms, source);
    if let (None, Some(modified_ms)) = (as_of_ms, listed.meta.modified_time_ms) {
        change.id = format!("{}-deleted-after-{modified_ms}", listed.meta.id);
    }
    change
}
