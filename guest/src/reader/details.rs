//! Completes listed rows with their records: the detail, laid over the list row, where the table has one.

use serde_json::value::RawValue;

use super::gives_up;
use super::output::Output;
use crate::api::{Answer, Api};
use crate::change::{Change, ChangeSource};
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::row::{self, RowMeta};
use crate::table::Table;
use crate::transport::Transport;

/// A row of a list or search that may lack members.
#[derive(Clone, Copy)]
pub(super) struct Listed<'a> {
    pub(super) meta: &'a RowMeta,
    pub(super) row: &'a str,
    pub(super) as_of_ms: Option<u64>,
}

/// True when rows of `table` are completed by one call each.
pub(super) fn reads_details<T: Transport>(api: &Api<T>, table: &Table) -> bool {
    table.detail.is_some_and(|detail| !detail.optional || api.config().ticket_detail)
}

/// One record that this user may not see; others of the table may well be readable.
pub(super) fn is_hidden(error: &Error) -> bool {
    error.kind == Kind::Permission && error.code.as_deref() == Some("FORBIDDEN")
}

/// The state of a listed row, by its detail.
enum Detail {
    Whole(RowMeta, String, Option<u64>),
    /// This user may not see it.
    Hidden(Error),
    /// Deleted, or moved to another department, since it was listed.
    Gone(Change),
}

/// Writes the rows in order, each completed by its detail where the table has one. A row whose detail fails is
/// left out; one that keeps failing while others can be read is written with the members of the list. True for
/// each row that was processed; where some were not, `out.failure` says why.
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
    let paths: Vec<String> = listed.iter().filter_map(|row| table.record_path(&row.meta.id)).collect();
    let Some(answers) = out.value_or_end(api.get_each(&paths)) else { return vec![false; listed.len()] };
    let details: Vec<Result<Detail>> = listed
        .iter()
        .zip(answers)
        .map(|(row, answer)| judge(api.config(), table, row, answer, out.source))
        .collect();
    let failed = details.iter().filter(|detail| detail.is_err()).count();
    let counts = (failed, listed.len() - failed);
    listed.iter().zip(details).map(|(row, detail)| write(api, table, row, detail, counts, out)).collect()
}

/// Writes one row. False when its detail failed.
fn write<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    listed: &Listed<'_>,
    detail: Result<Detail>,
    counts: (usize, usize),
    out: &mut Output,
) -> bool {
    let id = &listed.meta.id;
    match detail {
        Ok(Detail::Whole(meta, row, as_of_ms)) => {
            api.forget_failures(table.name, id);
            out.row(table, &meta, row, as_of_ms);
        }
        // In a snapshot its absence says so.
        Ok(Detail::Gone(change)) if out.source == ChangeSource::Incremental => out.push(change),
        Ok(Detail::Gone(_)) => {}
        Ok(Detail::Hidden(error)) => {
            out.partial_row(|| format!("`{}` {id}", table.name), &error);
            out.list_row(table, listed.meta, listed.row, listed.as_of_ms);
        }
        Err(error) if gives_up(api, table, (id, &error), counts) => {
            out.incomplete = true;
            out.partial_row(|| format!("`{}` {id}", table.name), &error);
            out.list_row(table, listed.meta, listed.row, listed.as_of_ms);
        }
        Err(error) => {
            out.failure.get_or_insert(error);
            return false;
        }
    }
    true
}

/// What a detail says about a listed row. Pure.
fn judge(
    config: &Config,
    table: &'static Table,
    listed: &Listed<'_>,
    answer: Result<Answer>,
    source: ChangeSource,
) -> Result<Detail> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) if error.kind == Kind::NotFound => {
            return Ok(Detail::Gone(deleted_since(table, listed, error.as_of_ms(), source)));
        }
        Err(error) if is_hidden(&error) => return Ok(Detail::Hidden(error)),
        Err(error) => return Err(error),
    };
    let detail = answer.object()?.map_or("{}", RawValue::get);
    let meta = row::meta(detail).filter(|meta| meta.id == listed.meta.id).ok_or_else(|| {
        Error::new(
            Kind::Data,
            format!("`{}` {}: the detail is of another record", table.name, listed.meta.id),
        )
        .hint("this is no answer of Zoho Desk: check `desk_url`")
    })?;
    if meta.deleted || !config.selects(table, detail) {
        // A record that was moved since it was listed belongs to a department that is not selected: its
        // members stay out.
        let before = meta.deleted.then(|| detail.to_owned());
        return Ok(Detail::Gone(Change::delete(table, &meta.id, before, answer.as_of_ms, source)));
    }
    let list_only = table.detail.map_or(&[][..], |detail| detail.list_only_fields);
    let wanted = |name: &str| source != ChangeSource::Incremental || list_only.contains(&name);
    let row = row::overlay(detail, listed.row, wanted).ok_or_else(|| {
        Error::new(Kind::Data, format!("`{}` {}: the row is no object", table.name, meta.id))
    })?;
    Ok(Detail::Whole(meta, row, answer.as_of_ms))
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
