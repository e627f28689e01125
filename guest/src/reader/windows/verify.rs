//! Whether the windows show all rows: by the source's count of each, or by a page of the list at the end.

use super::super::output::Output;
use super::super::{count, length, path};
use super::{between, rows};
use crate::api::Api;
use crate::config::Sort;
use crate::cursor::{Rest, Snapshot};
use crate::error::Result;
use crate::limits;
use crate::row;
use crate::table::{CREATED, Incremental, Table};
use crate::tables;
use crate::transport::Transport;
use crate::url::Path;

/// Judges the windows at their end. Where the source counts more rows than the search finds, they may be
/// archived, or the index lacks them: no count distinguishes the two. The list judges windows that were not
/// counted.
pub(super) fn all<T: Transport>(
    api: &mut Api<T>,
    table: &Table,
    snapshot: &mut Snapshot,
    end_ms: u64,
    out: &mut Output,
) -> Result<()> {
    let Some(Rest::Windows { rows: before, uncounted, short, .. }) = snapshot.rest else { return Ok(()) };
    if short > 0 {
        out.skip(format!(
            "`{}`: the source counts {short} rows more than the search finds: they are archived, or skipped",
            table.name
        ));
        snapshot.incomplete = true;
        return Ok(());
    }
    if !uncounted {
        return Ok(());
    }
    let found = before + rows(&snapshot.offset);
    compare(api, table, snapshot, (found, end_ms), out)
}

/// Compares the rows that were found with the list: it has none behind so many, or only those of the last
/// day.
fn compare<T: Transport>(
    api: &mut Api<T>,
    table: &Table,
    snapshot: &mut Snapshot,
    (found, end_ms): (u64, u64),
    out: &mut Output,
) -> Result<()> {
    if counts_less(api, table, found, end_ms) {
        out.skip(format!(
            "`{}`: the search counts more rows than the {found} that were found: the others are skipped",
            table.name
        ));
        snapshot.incomplete = true;
        return Ok(());
    }
    // Lists of several parents have no such page.
    if table.has_lists() {
        return Ok(());
    }
    // New rows come at the end, or move all others.
    let is_oldest_first = path::order(api, table) == Sort::OldestFirst;
    let slack = if is_oldest_first { limits::LIST_SHORT_ROWS } else { length::may_lack(found) };
    let answer = match api.get(&path::page(api, table, found + slack, None)) {
        Ok(answer) => answer,
        Err(error) if error.is_refusal() => {
            out.skip(format!(
                "`{}`: whether the search finds all rows cannot be checked: {error}",
                table.name
            ));
            snapshot.incomplete = true;
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let is_missing =
        |row: &str| !is_oldest_first || row::time(row, CREATED.member).is_none_or(|at| at < end_ms);
    if answer.rows()?.first().is_some_and(|row| is_missing(row.get())) {
        out.skip(format!(
            "`{}`: the search lacks rows of the list: {found} were found, and there are more, which are \
             skipped",
            table.name
        ));
        snapshot.incomplete = true;
    }
    Ok(())
}

/// True when a search counts more rows than were `found` up to `end_ms`: a list that ended early left some
/// out before its end. For tables that nothing else counts.
fn counts_less<T: Transport>(api: &mut Api<T>, table: &Table, found: u64, end_ms: u64) -> bool {
    let Incremental::Search { path, .. } = table.incremental else { return false };
    if tables::parent(table).unwrap_or(table).count.is_some() {
        return false;
    }
    let all = count::of_search(path).with(CREATED.range, between(0, end_ms));
    count::sum(api, table, &all).is_ok_and(|counted| counted > found + length::may_lack(counted))
}

/// How many rows fewer the search finds in a window than the source counts. None where there is no count, or
/// it counts no row up to `end_ms`: a user who may not see the rows gets the same answer.
pub(super) fn window<T: Transport>(
    api: &mut Api<T>,
    table: &Table,
    (range, end_ms): (&str, u64),
    found: u64,
) -> Option<u64> {
    let path = tables::parent(table).unwrap_or(table).count?;
    let counted = count::sum(api, table, &Path::new(path).with(CREATED.range, range)).ok()?;
    if counted == 0 {
        let all = Path::new(path).with(CREATED.range, between(0, end_ms));
        return count::sum(api, table, &all).is_ok_and(|counted| counted > 0).then_some(0);
    }
    // The search ignores departments.
    let is_comparable = table.list.departments.is_none() || api.config().department_ids.is_empty();
    Some(if is_comparable { counted.saturating_sub(found) } else { 0 })
}
