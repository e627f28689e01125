//! Custom fields of rows that are read without their detail: from a projection of the same list page, or else
//! from the detail.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::again;
use super::details::{self, Listed};
use super::output::Output;
use super::path;
use super::tally::{Calls, Tally};
use crate::api::{Answer, Api};
use crate::error::{Error, Result};
use crate::members::{Members, Writer};
use crate::row;
use crate::table::Table;
use crate::transport::Transport;

/// True when custom fields are read by a second request for each page: tickets without their details.
pub(super) fn are_needed<T: Transport>(api: &Api<T>, table: &Table) -> bool {
    !details::reads_details(api, table)
        && table.detail.is_some_and(|detail| detail.has_custom_field_keys)
        && !api.config().custom_field_keys.is_empty()
}

/// The custom fields of a second request for each page; none without one, or where the list refuses it.
pub(super) fn projected<T: Transport>(api: &Api<T>, table: &Table) -> Option<String> {
    let is_projected = are_needed(api, table) && !api.is_unsupported(table.name, path::FIELDS);
    is_projected.then(|| api.config().custom_field_keys.join(","))
}

/// True when a list does not take `fields`, or not these: unknown names are answered by 500
/// (`zoho-desk-api.md` §8.9).
pub(super) fn are_refused(error: &Error) -> bool {
    error.is_refusal() || error.code.as_deref() == Some("INTERNAL_SERVER_ERROR")
}

/// Writes the rows in order, each with the `cf` that `projection` has for it; a row without one gets it from
/// its detail. True for each row that was processed; where some were not, `out.failure` says why.
pub(super) fn read<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    listed: &[Listed<'_>],
    projection: Option<&Answer>,
    out: &mut Output,
) -> Vec<bool> {
    let keys = api.config().custom_field_keys.clone();
    let projected = projection.map(|answer| by_id(answer, &keys)).unwrap_or_default();
    let paths: Vec<String> = listed
        .iter()
        .filter(|row| !projected.contains_key(&row.meta.id))
        .filter_map(|row| table.record_path(&row.meta.id))
        .collect();
    let Some(answers) = out.value_or_end(api.get_each(&paths)) else { return vec![false; listed.len()] };
    let details: Vec<Result<String>> = answers.into_iter().map(|answer| of_detail(answer, &keys)).collect();
    let tally = Tally::of(api, table, Calls::Records, &paths, &details);
    let mut details = details.into_iter();
    listed
        .iter()
        .map(|row| {
            let cf = match projected.get(&row.meta.id) {
                Some(cf) => Ok(cf.clone()),
                None => details.next().unwrap_or_else(|| Ok("{}".to_owned())),
            };
            write(api, table, row, cf, tally, out)
        })
        .collect()
}

/// Writes one row. False when its detail failed.
fn write<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    listed: &Listed<'_>,
    cf: Result<String>,
    tally: Tally,
    out: &mut Output,
) -> bool {
    let id = &listed.meta.id;
    match cf {
        Ok(cf) => {
            let row = row::with_member(listed.row, "cf", &cf).unwrap_or_else(|| listed.row.to_owned());
            out.row(table, listed.meta, row, listed.as_of_ms);
        }
        // Deleted since it was listed.
        Err(error) if error.is_missing() && tally.proves_missing() => {}
        Err(error) if error.is_hidden() => out.list_row(table, listed, &error),
        Err(error) if tally.gives_up(api, table, id, &error) => {
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

/// `cf` by row id, of a page projected to `keys`.
fn by_id(answer: &Answer, keys: &[String]) -> BTreeMap<String, String> {
    let Ok(rows) = answer.rows() else { return BTreeMap::new() };
    rows.into_iter().filter_map(|raw| Some((row::meta(raw.get())?.id, of_row(raw.get(), keys)?))).collect()
}

/// `cf` of one detail with only `keys`.
fn of_detail(answer: Result<Answer>, keys: &[String]) -> Result<String> {
    let answer = answer?;
    let detail = answer.object()?.map_or("{}", RawValue::get);
    Ok(of_row(detail, keys).unwrap_or_else(|| "{}".to_owned()))
}

/// `cf` with only `keys`, in alphabetical order, of a row that has them in `cf` or as members; none when it
/// has none.
fn of_row(raw: &str, keys: &[String]) -> Option<String> {
    let members = Members::parse(raw)?;
    let nested = members.get("cf").and_then(Members::parse);
    let found: BTreeMap<&str, &str> = keys
        .iter()
        .filter_map(|key| {
            let value = nested.as_ref().and_then(|nested| nested.get(key)).or_else(|| members.get(key));
            Some((key.as_str(), value?))
        })
        .collect();
    let mut writer = Writer::new(64 * found.len());
    found.iter().for_each(|(key, value)| writer.member(key, value));
    (!found.is_empty()).then(|| writer.end())
}

#[cfg(test)]
mod tests {
    use super::of_row;

    #[test]
    fn custom_fields_are_taken_from_cf_first_and_only_those_asked_for() {
        let keys = ["cf_b".to_owned(), "cf_a".to_owned(), "cf_none".to_owned()];
        let nested = r#"{"id":"1","cf":{"cf_b":"2","cf_a":null,"cf_c":"3"},"cf_b":"other"}"#;
        assert_eq!(of_row(nested, &keys).unwrap(), r#"{"cf_a":null,"cf_b":"2"}"#);
        assert_eq!(of_row(r#"{"id":"1","cf":null,"cf_a":"1"}"#, &keys).unwrap(), r#"{"cf_a":"1"}"#);
        assert_eq!(of_row(r#"{"id":"1","cf":{"cf_c":"3"}}"#, &keys), None);
    }
}
