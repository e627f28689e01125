//! Makes listed rows whole: with the record's detail, with custom fields, or as they are.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::Output;
use crate::api::{Answer, Api};
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::row::{self, Change, ChangeSource, Head, Operation};
use crate::table::Table;
use crate::transport::Transport;

/// A row of a list or search, not yet whole.
pub(super) struct Listed<'a> {
    pub head: &'a Head,
    pub row: &'a str,
    pub as_of_ms: Option<u64>,
}

/// What to do about a listed record that turns out to be gone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Gone {
    /// A snapshot does not show it, and so the target buries it when the snapshot is complete.
    Skip,
    /// Following says so itself.
    Bury,
}

/// True when rows of `table` are completed by a call for each.
pub(super) fn reads_details<T: Transport>(api: &Api<T>, table: &Table) -> bool {
    table.detail.is_some_and(|detail| !detail.is_chosen || api.config().ticket_detail)
}

/// A row as reading found it.
pub(super) fn as_read(table: &'static Table, head: &Head, document: String, as_of_ms: Option<u64>) -> Change {
    Change {
        table: table.name,
        operation: Operation::Read,
        key: row::key(&head.id),
        before: None,
        source_updated_at_ms: head.modified_time_ms,
        as_of_ms,
        id: row::change_id(&head.id, &document),
        after: Some(document),
        partial: false,
        source: ChangeSource::Snapshot,
    }
}

/// Writes the rows in order, each completed by its detail where the table has one. Answers how many were dealt with;
/// fewer than all means that `out.failure` says why.
pub(super) fn read<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    listed: &[Listed<'_>],
    gone: Gone,
    out: &mut Output,
) -> usize {
    if !reads_details(api, table) {
        for row in listed {
            out.push(as_read(table, row.head, row.row.to_owned(), row.as_of_ms));
        }
        return listed.len();
    }
    let paths: Vec<String> = listed.iter().filter_map(|row| table.detail_path(&row.head.id)).collect();
    let at_once = api.concurrency();
    let answers = match api.get_all(&paths, at_once) {
        Ok(answers) => answers,
        Err(error) => {
            out.failure = Some(error);
            return 0;
        }
    };
    for (index, (row, answer)) in listed.iter().zip(answers).enumerate() {
        if let Err(error) = complete(api.config(), table, row, answer, gone, out) {
            out.failure = Some(error);
            return index;
        }
    }
    listed.len()
}

/// Writes one row from its detail.
fn complete(
    config: &Config,
    table: &'static Table,
    listed: &Listed<'_>,
    answer: Result<Answer>,
    gone: Gone,
    out: &mut Output,
) -> Result<()> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) if error.kind == Kind::NotFound => {
            if gone == Gone::Bury {
                let mut change =
                    Change::delete(table.name, &listed.head.id, None, error.as_of_ms(), out.source);
                if let (None, Some(modified_ms)) = (error.as_of_ms(), listed.head.modified_time_ms) {
                    change.id = format!("{}-deleted-after-{modified_ms}", listed.head.id);
                }
                out.push(change);
            }
            return Ok(());
        }
        Err(error) if is_hidden(&error) => {
            out.warnings
                .push(format!("`{}` {}: only what the list shows: {error}", table.name, listed.head.id));
            out.push(as_read(table, listed.head, listed.row.to_owned(), listed.as_of_ms));
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let detail = answer.object()?.map_or("{}", RawValue::get);
    let Some(head) = row::head(detail).filter(|head| head.id == listed.head.id) else {
        return Err(Error::new(
            Kind::Data,
            format!("`{}` {}: the detail is of another record", table.name, listed.head.id),
        )
        .hint("this is no answer of Zoho Desk: check `desk_url`"));
    };
    if head.deleted {
        if gone == Gone::Bury {
            out.delete(table.name, &head.id, Some(detail.to_owned()), answer.as_of_ms);
        }
        return Ok(());
    }
    if !config.selects(table, detail) {
        // It was moved since it was listed; what it holds now is none of ours.
        if gone == Gone::Bury {
            out.delete(table.name, &head.id, None, answer.as_of_ms);
        }
        return Ok(());
    }
    let beside = table.detail.map_or(&[][..], |detail| detail.beside);
    let wanted = |name: &str| gone == Gone::Skip || beside.contains(&name);
    let document = row::overlay(detail, listed.row, wanted).ok_or_else(|| {
        Error::new(Kind::Data, format!("`{}` {}: the row is no object", table.name, head.id))
    })?;
    out.push(as_read(table, &head, document, answer.as_of_ms));
    Ok(())
}

/// One record that this user may not see; the rest of the table may well be readable.
pub(super) fn is_hidden(error: &Error) -> bool {
    error.kind == Kind::Permission && error.code.as_deref() == Some("FORBIDDEN")
}

/// Writes the rows, each with the `cf` that the projection to custom fields shows for it; a row for which it shows none is
/// completed by its detail. Answers how many were dealt with.
pub(super) fn with_custom_fields<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    listed: &[Listed<'_>],
    custom: Result<Answer>,
    out: &mut Output,
) -> usize {
    let custom =
        custom.ok().map(|answer| custom_fields(&answer, &api.config().custom_field_keys)).unwrap_or_default();
    let lacking: Vec<&Listed<'_>> = listed.iter().filter(|row| !custom.contains_key(&row.head.id)).collect();
    let paths: Vec<String> = lacking.iter().filter_map(|row| table.detail_path(&row.head.id)).collect();
    let answers = if paths.is_empty() {
        Vec::new()
    } else {
        let at_once = api.concurrency();
        match api.get_all(&paths, at_once) {
            Ok(answers) => answers,
            Err(error) => {
                out.failure = Some(error);
                return 0;
            }
        }
    };
    let mut answers = answers.into_iter();
    for (index, row) in listed.iter().enumerate() {
        let cf = match custom.get(&row.head.id) {
            Some(cf) => cf.clone(),
            None => {
                match answers.next().map(|answer| cf_of_detail(answer, &api.config().custom_field_keys)) {
                    Some(Ok(Some(cf))) => cf,
                    Some(Ok(None)) | None => continue,
                    Some(Err(error)) => {
                        out.failure = Some(error);
                        return index;
                    }
                }
            }
        };
        let document = row::with_member(row.row, "cf", &cf).unwrap_or_else(|| row.row.to_owned());
        out.push(as_read(table, row.head, document, row.as_of_ms));
    }
    listed.len()
}

/// The custom fields of one detail, reduced to `keys`; none when the record is gone.
fn cf_of_detail(answer: Result<Answer>, keys: &[String]) -> Result<Option<String>> {
    match answer {
        Ok(answer) => {
            let detail = answer.object()?.map_or("{}", RawValue::get);
            Ok(Some(cf_of_row(detail, keys).unwrap_or_else(|| "{}".to_owned())))
        }
        Err(error) if error.kind == Kind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Custom fields by row id, of a page projected to `keys`.
fn custom_fields(answer: &Answer, keys: &[String]) -> BTreeMap<String, String> {
    let Ok(rows) = answer.rows() else { return BTreeMap::new() };
    rows.into_iter().filter_map(|raw| Some((row::head(raw.get())?.id, cf_of_row(raw.get(), keys)?))).collect()
}

/// `cf` with only `keys`, from a row that has it as an object or has the fields themselves; none when it has neither.
fn cf_of_row(raw: &str, keys: &[String]) -> Option<String> {
    let row::Members(members) = serde_json::from_str(raw).ok()?;
    let nested: Option<row::Members<'_>> = members
        .iter()
        .find(|(name, _)| name == "cf")
        .and_then(|(_, value)| serde_json::from_str(value.get()).ok());
    let nested = nested.map(|members| members.0).unwrap_or_default();
    let mut found = BTreeMap::new();
    for key in keys {
        let value = nested.iter().chain(&members).find(|(name, _)| name == key).map(|(_, value)| *value);
        if let Some(value) = value {
            found.insert(key.as_str(), value);
        }
    }
    if found.is_empty() { None } else { serde_json::to_string(&found).ok() }
}
