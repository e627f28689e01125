//! A table prepared for its rows: the statements and member paths that are the same for all of them.
//!
//! Reads keys, creates and extends the table, and fills new columns of old rows. Knows nothing of the order
//! of changes.

use std::borrow::Cow;
use std::ops::Range;

use rusqlite::{OptionalExtension, Statement, Transaction};

use super::ahead::Values;
use super::schema::order_table;
use super::{metadata, schema};
use crate::change::Change;
use crate::error::Result;
use crate::sinks::columns::{Column, Layout, quote};
use crate::sinks::members::{MemberPaths, scan};
use crate::sinks::value::{Value, convert};

/// Rows read at a time to fill new columns.
const FILL_ROWS: usize = 1_000;

/// The columns that `insert` and `update` write before the typed ones.
pub(super) const ROW_COLUMNS: [&str; 4] = ["_raw", "_source_updated_at", "_deleted", "_change_source"];

/// A table with everything that is the same for all its rows.
///
/// The parameters of `insert`, `insert_unseen` and `update` are [`ROW_COLUMNS`], the typed columns, and then
/// the key or `_row`; those of `insert_order` and `update_order` are `_row`, time, generation, mark and
/// whether the row is deleted.
pub(super) struct PreparedTable {
    pub(super) layout: Layout,
    pub(super) paths: MemberPaths,
    pub(super) key_paths: MemberPaths,
    pub(super) find: String,
    pub(super) insert: String,
    /// [`Self::insert`], unless a row has the key.
    pub(super) insert_unseen: String,
    pub(super) update: String,
    pub(super) insert_order: String,
    pub(super) update_order: String,
    pub(super) touch: String,
    /// Writes time and generation of a live row by its key, if it has the given time, generation and mark.
    pub(super) touch_expected: String,
    pub(super) mark_deleted: String,
    pub(super) delete: String,
    pub(super) delete_order: String,
    pub(super) raw: String,
}

impl PreparedTable {
    pub(super) fn new(layout: Layout) -> Self {
        let (table, order) = (quote(&layout.table), order_table(&layout));
        let keys: Vec<String> = layout.key.iter().map(|column| quote(&column.name)).collect();
        let columns = layout.columns.iter().map(|column| quote(&column.name));
        let values: Vec<String> = ROW_COLUMNS.map(quote).into_iter().chain(columns).collect();
        let names: Vec<&str> = values.iter().chain(&keys).map(String::as_str).collect();
        let marks = vec!["?"; names.len()].join(", ");
        let equal = |names: &[String]| names.iter().map(|name| format!("{name} = ?")).collect::<Vec<_>>();
        let insert = format!("INSERT INTO {table} ({}) VALUES ({marks})", names.join(", "));
        Self {
            find: format!(
                "SELECT _row, o._as_of, o._generation, o._change, o._deleted FROM {table} \
                 CROSS JOIN {order} AS o USING (_row) WHERE {}",
                equal(&keys).join(" AND ")
            ),
            insert_unseen: format!("{insert} ON CONFLICT ({}) DO NOTHING", keys.join(", ")),
            insert,
            update: format!("UPDATE {table} SET {} WHERE _row = ?", equal(&values).join(", ")),
            // Replaces the entry of a row that a user deleted.
            insert_order: format!("INSERT OR REPLACE INTO {order} VALUES (?, ?, ?, ?, ?)"),
            update_order: format!(
                "UPDATE {order} SET _as_of = ?2, _generation = ?3, _change = ?4, _deleted = ?5 \
                 WHERE _row = ?1"
            ),
            touch: format!("UPDATE {order} SET _as_of = ?2, _generation = ?3 WHERE _row = ?1"),
            // The key's parameters follow the numbered ones.
            touch_expected: format!(
                "UPDATE {order} SET _as_of = ?1, _generation = ?2 WHERE _as_of = ?3 AND _generation = ?4 \
                 AND _change = ?5 AND NOT _deleted AND _row = (SELECT _row FROM {table} WHERE {})",
                equal(&keys).join(" AND ")
            ),
            mark_deleted: format!("UPDATE {table} SET _deleted = 1, _change_source = ?2 WHERE _row = ?1"),
            delete: format!("DELETE FROM {table} WHERE _row = ?1"),
            delete_order: format!("DELETE FROM {order} WHERE _row = ?1"),
            raw: format!("SELECT _raw FROM {table} WHERE _row = ?1"),
            paths: layout.paths(),
            key_paths: layout.key_paths(),
            layout,
        }
    }

    /// The key's values as texts.
    pub(super) fn key<'c>(&self, change: &'c Change) -> Result<Vec<Cow<'c, str>>> {
        self.layout.key_of(&self.key_paths, &change.key)
    }

    /// The values of a row's columns.
    pub(super) fn values<'r>(&self, row: &'r str) -> Values<'r> {
        let mut slots = vec![None; self.layout.columns.len()];
        scan(row, &self.paths, &mut slots)?;
        Ok(converted(&slots, &self.layout.columns))
    }

    /// The parameters of `insert` and `update` before the key or `_row`.
    pub(super) fn row_parameters(&self) -> usize {
        ROW_COLUMNS.len() + self.layout.columns.len()
    }

    /// Creates the table, or adds the columns after the first `known`.
    pub(super) fn store(
        &self,
        tx: &Transaction<'_>,
        known: Option<usize>,
        has_view: bool,
    ) -> rusqlite::Result<()> {
        let layout = &self.layout;
        let view = schema::view(layout);
        drop_view(tx, &view)?;
        if known.is_none() {
            // This table may have the name of the view of another one, which was there first.
            if schema::names_view(&layout.table) {
                drop_view(tx, &layout.table)?;
            }
            tx.execute_batch(&schema::create_table(layout))?;
        }
        if let Some(known) = known {
            let new = known..layout.columns.len();
            for column in layout.columns.get(new.clone()).unwrap_or_default() {
                tx.execute_batch(&schema::add_column(layout, column))?;
            }
            tracing::info!(table = %layout.table, columns = new.len(), "columns added");
            self.fill(tx, new)?;
        }
        // Nor is there one if a table has its name, also one that the connector no longer has.
        if has_view && kind_of(tx, &view)?.is_none() {
            tx.execute_batch(&schema::create_view(layout))?;
        }
        metadata::store_layout(tx, layout)
    }

    /// Fills new columns of stored rows from their JSON.
    fn fill(&self, tx: &Transaction<'_>, new: Range<usize>) -> rusqlite::Result<()> {
        let Some(columns) = self.layout.columns.get(new.clone()) else { return Ok(()) };
        let table = quote(&self.layout.table);
        let sets: Vec<String> = columns.iter().map(|column| format!("{} = ?", quote(&column.name))).collect();
        let update = format!("UPDATE {table} SET {} WHERE _row = ?", sets.join(", "));
        let mut update = tx.prepare(&update)?;
        let mut select = tx.prepare(&format!(
            "SELECT _row, _raw FROM {table} WHERE _row > ?1 AND _raw IS NOT NULL \
             ORDER BY _row LIMIT {FILL_ROWS}"
        ))?;
        let mut last = i64::MIN;
        loop {
            let rows = select.query_map([last], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let rows: Vec<(i64, String)> = rows.collect::<rusqlite::Result<_>>()?;
            let Some((end, _)) = rows.last() else { return Ok(()) };
            last = *end;
            for (rowid, raw) in &rows {
                let mut slots = vec![None; self.layout.columns.len()];
                if scan(raw, &self.paths, &mut slots).is_err() {
                    continue;
                }
                let slots = slots.get(new.clone()).unwrap_or_default();
                // Values that do not convert were counted when the row was written.
                bind_columns(&mut update, 0, &converted(slots, columns))?;
                update.raw_bind_parameter(columns.len() + 1, rowid)?;
                update.raw_execute()?;
            }
        }
    }
}

/// Whether a name is that of a `table`, a `view` or nothing. SQLite compares names without case.
fn kind_of(tx: &Transaction<'_>, name: &str) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT type FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE AND type IN ('table', 'view')";
    tx.query_row(sql, [name], |row| row.get(0)).optional()
}

/// Drops a view. A table of this name stays; `DROP VIEW IF EXISTS` would fail.
fn drop_view(tx: &Transaction<'_>, name: &str) -> rusqlite::Result<()> {
    match kind_of(tx, name)?.as_deref() {
        Some("view") => tx.execute_batch(&schema::drop_view(name)),
        _ => Ok(()),
    }
}

/// The raw values of columns as their types; none where one does not convert.
fn converted<'r>(slots: &[Option<&'r str>], columns: &[Column]) -> Vec<Option<Value<'r>>> {
    let value = |(slot, column): (&Option<&'r str>, &Column)| {
        slot.map_or(Some(Value::Null), |raw| convert(column.column_type, raw))
    };
    slots.iter().zip(columns).map(value).collect()
}

/// Binds the values of typed columns to the parameters after the first `before`. Returns how many did not
/// convert.
pub(super) fn bind_columns(
    statement: &mut Statement<'_>,
    before: usize,
    values: &[Option<Value<'_>>],
) -> rusqlite::Result<u64> {
    let mut unconverted = 0;
    for (index, value) in values.iter().enumerate() {
        unconverted += u64::from(value.is_none());
        statement.raw_bind_parameter(before + index + 1, value.as_ref().unwrap_or(&Value::Null))?;
    }
    Ok(unconverted)
}
