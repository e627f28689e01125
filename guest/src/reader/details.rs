//! Completes listed rows with their records: the detail, laid over the list row, where the table has one.

use serde_json::value::RawValue;

use super::output::Output;
use crate::api::{Answer, Api};
use crate::change::{Change, ChangeSource};
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::row::{self, RowMeta};
use crate::table::Table;
use crate::transport::Transport;

/// A row of a list or search that may lack members.
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

/// Writes the rows in order, each completed by its detail where the table has one. Returns how many were
/// processed; if fewer than all, `out.failure` says why.
pub(super) fn read<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    listed: &[Listed<'_>],
    out: &mut Output,
) -> usize {
    if !reads_details(api, table) {
        for row in listed {
            out.row(table, row.meta, row.row.to_owned(), row.as_of_ms);
        }
        return listed.len();
    }
    let paths: Vec<String> = listed.iter().filter_map(|row| table.record_path(&row.meta.id)).collect();
    let Some(answers) = out.value_or_end(api.get_each(&paths)) else { return 0 };
    for (index, (row, answer)) in listed.iter().zip(answers).enumerate() {
        let result = complete(api.config(), table, row, answer, out);
        if out.value_or_end(result).is_none() {
            return index;
        }
    }
    listed.len()
}

/// Writes one row from its detail. Of a record that is deleted, or moved to another department, since it was
/// listed, incremental reading reports the delete; in a snapshot its absence does.
fn complete(
    config: &Config,
    table: &'static Table,
    listed: &Listed<'_>,
    answer: Result<Answer>,
    out: &mut Output,
) -> Result<()> {
    let is_incremental = out.source == ChangeSource::Incremental;
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) if error.kind == Kind::NotFound => {
            if is_incremental {
                out.push(deleted_since(table, listed, error.as_of_ms(), out.source));
            }
            return Ok(());
        }
        Err(error) if is_hidden(&error) => {
            let id = &listed.meta.id;
            out.warnings.push(format!("`{}` {id}: only the members of the list: {error}", table.name));
            out.row(table, listed.meta, listed.row.to_owned(), listed.as_of_ms);
            return Ok(());
        }
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
        if is_incremental {
            // A record that was moved since it was listed belongs to a department that is not selected: its
            // members stay out.
            let before = meta.deleted.then(|| detail.to_owned());
            out.delete(table, &meta.id, before, answer.as_of_ms);
        }
        return Ok(());
    }
    let list_only = table.detail.map_or(&[][..], |detail| detail.list_only_fields);
    let wanted = |name: &str| !is_incremental || list_only.contains(&name);
    let document = row::overlay(detail, listed.row, wanted).ok_or_else(|| {
        Error::new(Kind::Data, format!("`{}` {}: the row is no object", table.name, meta.id))
    })?;
    out.row(table, &meta, document, answer.as_of_ms);
    Ok(())
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
