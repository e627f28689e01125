//! Finds rows that the listings of their parents lack.

use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection as Database, ToSql, params_from_iter};

use super::failed;
use super::schema::{is_same, order_table};
use super::statements::PreparedTable;
use crate::change::{Batch, Change};
use crate::error::Result;
use crate::sinks::columns::{Layout, quote};
use crate::sinks::listing::{self, Parent, UNLISTED_MAX};

/// The deletes of stored rows that are older than the listing of their parent, and not in it.
pub(super) fn unlisted(database: &Database, table: &PreparedTable, batch: &Batch) -> Result<Vec<Change>> {
    let layout = &table.layout;
    let named = listing::named(layout, &table.key_paths, &batch.changes)?;
    let mut deletes = Vec::new();
    for listing in &batch.listings {
        let Some(parent) = Parent::new(layout, &table.key_paths, listing)? else { continue };
        let room = UNLISTED_MAX - deletes.len();
        let keys = older_rows(database, layout, &parent, parent.rows() + named.len() + room);
        let keys = keys.map_err(|error| failed(&layout.table, &error))?;
        deletes.extend(keys.into_iter().filter_map(|key| parent.delete(layout, key, &named)).take(room));
    }
    Ok(deletes)
}

/// The keys of a parent's live rows that are older than its listing.
fn older_rows(
    database: &Database,
    layout: &Layout,
    parent: &Parent<'_>,
    limit: usize,
) -> rusqlite::Result<Vec<Vec<String>>> {
    index(database, layout, parent)?;
    let keys: Vec<String> = layout.key.iter().map(|column| format!("t.{}", quote(&column.name))).collect();
    let named: Vec<String> =
        parent.columns.iter().map(|(name, _)| format!("t.{} = ?", quote(name))).collect();
    let sql = format!(
        "SELECT {} FROM {} t CROSS JOIN {} o ON o._row = t._row WHERE {} AND o._as_of < ? AND NOT o._deleted \
         LIMIT ?",
        keys.join(", "),
        quote(&layout.table),
        order_table(layout),
        named.join(" AND ")
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = parent.columns.iter().map(|(_, value)| (**value).to_sql());
    let values = values.chain([parent.as_of.to_sql(), limit.to_sql()]);
    let values: Vec<ToSqlOutput<'_>> = values.collect::<rusqlite::Result<_>>()?;
    let mut select = database.prepare_cached(&sql)?;
    let key = |row: &rusqlite::Row<'_>| (0..keys.len()).map(|column| row.get(column)).collect();
    select.query_map(params_from_iter(values), key)?.collect()
}

/// Creates the index on the first column that names a parent, unless that of the key begins with it. While a
/// first snapshot fills the table, there is none.
fn index(database: &Database, layout: &Layout, parent: &Parent<'_>) -> rusqlite::Result<()> {
    let Some((column, _)) = parent.columns.first() else { return Ok(()) };
    if layout.key.first().is_some_and(|key| is_same(&key.name, column)) {
        return Ok(());
    }
    let name = quote(&format!("_sync_index_{}.{column}", layout.table));
    let (table, column) = (quote(&layout.table), quote(column));
    database.execute_batch(&format!("CREATE INDEX IF NOT EXISTS {name} ON {table} ({column})"))
}
