//! The sizes of the source for a plan of the first read: counts, and two pages of parents, by few calls.

use super::{count, is_skipped, lists, needs, path, rows};
use crate::api::Api;
use crate::config::Sort;
use crate::error::{Error, Kind, Result};
use crate::limits;
use crate::plan::{PerParent, Sizes};
use crate::table::{CREATED, Each, Incremental, Table};
use crate::tables;
use crate::time;
use crate::transport::Transport;
use crate::url::Path;

/// The sizes that decide what a first read of these tables costs.
pub(crate) fn sizes<T: Transport>(api: &mut Api<T>, tables: &[&'static Table]) -> Result<Sizes> {
    let mut sizes = Sizes::default();
    for table in tables.iter().copied() {
        let counted = match (tables::parent(table), table.list.each) {
            (Some(parent), _) => vec![parent],
            (None, Some(each)) => tables::find(each.table).into_iter().chain([table]).collect(),
            (None, None) => vec![table],
        };
        for counted in counted {
            if sizes.rows.contains_key(counted.name) {
                continue;
            }
            match rows_of(api, counted) {
                Ok(Size::Exactly(rows)) => {
                    sizes.rows.insert(counted.name, rows);
                    let newest = newest(api, counted, rows);
                    sizes.newest.extend(newest.map(|newest| (counted.name, newest)));
                }
                Ok(Size::MoreThan(rows)) => {
                    sizes.rows.insert(counted.name, rows);
                    sizes.least.insert(counted.name);
                }
                Ok(Size::Unknown) => {}
                Err(error) => refused(api, table, error, &mut sizes)?,
            }
        }
        if let Some(each) = table.list.each.filter(|each| each.only.is_some() || !each.count.is_empty()) {
            match with_list(api, &each) {
                Ok(share) => sizes.with_list.extend(share.map(|share| (table.name, share))),
                Err(error) => refused(api, table, error, &mut sizes)?,
            }
        }
        if table.children.is_some() && !sizes.refused.contains_key(table.name) {
            match per_parent(api, table) {
                Ok(per_parent) => drop(sizes.per_parent.insert(table.name, per_parent)),
                Err(error) => refused(api, table, error, &mut sizes)?,
            }
        }
    }
    Ok(sizes)
}

/// Notes a table that may not be read; one that cannot be counted is planned without its rows. Returns
/// failures that concern the connection.
fn refused<T: Transport>(api: &Api<T>, table: &'static Table, error: Error, sizes: &mut Sizes) -> Result<()> {
    match error.kind {
        Kind::Permission if is_skipped(api, table, &error) => {
            sizes.refused.insert(table.name, format!("{error}; {}", needs(table)));
            Ok(())
        }
        _ if error.is_refusal() => Ok(()),
        _ => Err(error),
    }
}

/// Rows of a table.
enum Size {
    Exactly(u64),
    MoreThan(u64),
    Unknown,
}

/// The rows of a table, as far as one call shows them.
fn rows_of<T: Transport>(api: &mut Api<T>, table: &'static Table) -> Result<Size> {
    let search = match table.incremental {
        Incremental::Search { path, .. } => Some(count::of_search(path)),
        Incremental::Sorted { .. } | Incremental::FullRefresh { .. } => None,
    };
    if let Some(path) = table.count.map(Path::new).or(search) {
        return count::sum(api, table, &path).map(Size::Exactly);
    }
    let list = &table.list;
    if list.each.is_some() || list.partitions.is_some() {
        return Ok(Size::Unknown);
    }
    let answer = api.get(&path::page(api, table, 1, None))?;
    let rows = rows::of(&answer, list.rows, list.identity, "")?.len() as u64;
    let is_all = list.limit == 0 || rows < list.limit;
    Ok(if is_all { Size::Exactly(rows) } else { Size::MoreThan(rows) })
}

/// Rows of a long list that were created of late, which no search window reads; none where they are not
/// counted.
fn newest<T: Transport>(api: &mut Api<T>, table: &Table, rows: u64) -> Option<u64> {
    let path = table.count.filter(|_| rows > limits::LIST_ROWS_MAX)?;
    let now_ms = api.to_source_clock(api.transport().now_ms());
    let from_ms = now_ms.saturating_sub(limits::SEARCH_SETTLED_MS);
    let range = format!("{},{}", time::format(from_ms), time::format(now_ms));
    count::sum(api, table, &Path::new(path).with(CREATED.range, range)).ok()
}

/// How many rows of the first page of a list have a list themselves, and of how many.
fn with_list<T: Transport>(api: &mut Api<T>, each: &Each) -> Result<Option<(u64, u64)>> {
    let Some(of) = tables::find(each.table) else { return Ok(None) };
    let answer = api.get(&path::page(api, of, 1, None))?;
    let found = rows::of(&answer, of.list.rows, of.list.identity, "")?;
    let with_list = found.iter().filter(|(_, row)| lists::parent_id(each, row).is_some()).count();
    Ok(Some((with_list as u64, found.len() as u64)))
}

/// What the parents of a table's rows have, by the oldest and the newest of them.
fn per_parent<T: Transport>(api: &mut Api<T>, table: &'static Table) -> Result<PerParent> {
    let Some(children) = &table.children else { return Ok(PerParent::default()) };
    let paths = [Sort::OldestFirst, Sort::NewestFirst].map(|order| path::first(api, table, order));
    let answers = api.get_each(&paths)?.into_iter().collect::<Result<Vec<_>>>()?;
    let mut found = Vec::new();
    for answer in &answers {
        found.extend(answer.rows()?);
    }
    let lists_together = children.together.is_some() && !api.is_unsupported(table.name, super::TOGETHER);
    Ok(PerParent::of(children, lists_together, found.into_iter().map(|row| row.get())))
}
