//! One row of a table, for `check`: what a read will need is tried with it.

use super::lists::{parent_id, parent_table, path};
use super::rows;
use crate::api::Api;
use crate::error::Result;
use crate::limits;
use crate::row;
use crate::table::{List, Table};
use crate::transport::Transport;

/// The id of a row of the table, by few calls; none when it has none where it looks. Of a table of children,
/// that of the parent with the most kinds of them.
pub(crate) fn first_row<T: Transport>(api: &mut Api<T>, table: &Table) -> Result<Option<String>> {
    let value = table.list.partitions.map_or("", |partitions| partitions.values[0]);
    let short = |list: &List, rows: u64| List { limit: list.limit.min(list.least.max(rows)), ..*list };
    let Some(each) = &table.list.each else {
        let rows = if table.children.is_some() { limits::CHECKED_PARENTS_MAX } else { 1 };
        let answer = api.get(&path(&short(&table.list, rows), value, None, 1))?;
        let found = rows::of(&answer, table.list.rows, table.list.identity, "")?;
        let kinds = |row: &str| {
            let kinds = table.children.iter().flat_map(|children| children.kinds);
            kinds.filter(|kind| row::number(row, kind.count).is_some_and(|count| count > 0)).count()
        };
        // The last of those with as many, so that the first one is kept.
        let best = found.into_iter().rev().max_by_key(|(_, row)| kinds(row));
        return Ok(best.map(|(meta, _)| meta.id));
    };
    let of = parent_table(each)?;
    let parents = path(&short(&of.list, limits::CHECKED_PARENTS_MAX), value, None, 1);
    let found = rows::of(&api.get(&parents)?, of.list.rows, of.list.identity, "")?;
    for parent in found.iter().filter_map(|(_, row)| parent_id(each, row)).take(limits::CHECKED_LISTS_MAX) {
        let answer = api.get(&path(&short(&table.list, 1), value, Some((each, &parent)), 1))?;
        let found = rows::of(&answer, table.list.rows, table.list.identity, &parent)?;
        if let Some((meta, _)) = found.into_iter().next() {
            return Ok(Some(meta.id));
        }
    }
    Ok(None)
}
