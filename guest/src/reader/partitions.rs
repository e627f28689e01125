//! Partitions of a list: the values of a parameter, each with a list, and which of them may be refused or
//! empty.

use super::lists::path;
use super::output::Output;
use super::tally::Tally;
use crate::api::Api;
use crate::cursor::Snapshot;
use crate::error::Error;
use crate::table::{List, Table};
use crate::transport::Transport;

/// The value of the partition at hand; empty where there are none.
pub(super) fn partition(table: &Table, snapshot: &Snapshot) -> &'static str {
    table.list.partitions.map_or("", |partitions| partitions.values[snapshot.partition])
}

/// True when the list of a partition is skipped, because it was refused, or fails while another one answers.
pub(super) fn skips<T: Transport>(
    api: &mut Api<T>,
    table: &Table,
    list: &List,
    (value, error): (&str, &Error),
    out: &mut Output,
) -> bool {
    if value.is_empty() {
        return false;
    }
    let had_rows = api.session().learned.partition_had_rows(table.name, value);
    let is_refused = lacks_module(error);
    if !is_refused && !fails_alone(api, table, list, (value, error)) {
        return false;
    }
    if is_refused && had_rows.is_none() {
        api.learned().note_partition(table.name, value, false);
    }
    // The edition lacks the module, or an earlier snapshot was refused too and it never had a row: then the
    // sink holds none of its rows. Any other refusal may be temporary.
    let is_unlicensed = error.code.as_deref() == Some("LICENSE_ACCESS_LIMITED");
    let warning = format!("`{}`: `{value}` is skipped: {error}", table.name);
    if is_refused && (had_rows == Some(false) || is_unlicensed) {
        out.warnings.push(warning);
    } else {
        out.skip(warning);
    }
    true
}

/// True when the list of a partition failed repeatedly and that of another one can be read.
fn fails_alone<T: Transport>(
    api: &mut Api<T>,
    table: &Table,
    list: &List,
    (value, error): (&str, &Error),
) -> bool {
    let other = list.partitions.and_then(|list| list.values.iter().find(|other| **other != value));
    let Some(other) = other else { return false };
    Tally::LIST_BESIDE_OTHERS.gives_up(api, table, value, error)
        && api.get(&path(list, other, None, 1)).is_ok()
}

/// True when the lists are those of modules.
pub(super) fn has_modules(table: &Table) -> bool {
    table.list.partitions.is_some_and(|partitions| partitions.is_written)
}

/// Notes whether a table, or the list of a module, has rows. Rows that this user may not see any more look
/// like an empty list: one that had some before proves no delete, however often it is read.
pub(super) fn note_rows<T: Transport>(
    api: &mut Api<T>,
    table: &Table,
    value: &str,
    has_rows: bool,
    out: &mut Output,
) {
    if has_rows || api.session().learned.partition_had_rows(table.name, value) != Some(true) {
        return api.learned().note_partition(table.name, value, has_rows);
    }
    let what = if value.is_empty() { "the list".to_owned() } else { format!("`{value}`") };
    out.skip(format!("`{}`: {what} has no rows any more: none is deleted for it", table.name));
}

/// True when a portal does not have the module at all; a missing scope is a different failure.
fn lacks_module(error: &Error) -> bool {
    error.is_refusal() && !error.lacks_scope()
}
