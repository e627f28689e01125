//! A table prepared for its rows: the statements and member paths that are the same for all of them.
//!
//! Reads keys, creates and extends the table, and fills new columns of old rows. Knows nothing of the order
//! of changes.

use std::borrow::Cow;
use std::ops::Range;

use rusqlite::{Statement, Transaction};

use super::schema::quote;
use super::{metadata, schema};
use crate::change::Change;
use crate::error::{Error, Result};
use crate::sinks::columns::{Column, Layout, METADATA_COLUMNS};
use crate::sinks::members::{MemberPaths, scan};
use crate::sinks::value::{Value, convert, text};

/// Rows read at a time to fill new columns.
const FILL_ROWS: usize = 1_000;

/// A table with everything that is the same for all its rows.
///
/// The parameters of `insert` and `update` are [`METADATA_COLUMNS`], the typed columns, and then the key or
/// the rowid.
pub(super) struct PreparedTable {
    pub(super) layout: Layout,
    pub(super) paths: MemberPaths,
    key_paths: MemberPaths,
    pub(super) find: String,
    pub(super) insert: String,
    pub(super) update: String,
    pub(super) touch: String,
    pub(super) mark_deleted: String,
    pub(super) delete: String,
    pub(super) raw: String,
}

impl PreparedTable {
    pub(super) fn new(layout: Layout) -> Self {
        let table = quote(&layout.table);
        let keys: Vec<String> = layout.key.iter().map(|column| quote(&column.name)).collect();
        let columns = layout.columns.iter().map(|column| quote(&column.name));
        let values: Vec<String> = METADATA_COLUMNS.map(quote).into_iter().chain(columns).collect();
        let names: Vec<&str> = values.iter().chain(&keys).map(String::as_str).collect();
        let marks = vec!["?"; names.len()].join(", ");
        let equal = |names: &[String]| names.iter().map(|name| format!("{name} = ?")).collect::<Vec<_>>();
        Self {
            find: format!(
                "SELECT rowid, _as_of, _generation, _change_id, _deleted FROM {table} WHERE {}",
                equal(&keys).join(" AND ")
            ),
            insert: format!("INSERT INTO {table} ({}) VALUES ({marks})", names.join(", ")),
            update: format!("UPDATE {table} SET {} WHERE rowid = ?", equal(&values).join(", ")),
            touch: format!("UPDATE {table} SET _as_of = ?2, _generation = ?3 WHERE rowid = ?1"),
            mark_deleted: format!(
                "UPDATE {table} SET _as_of = ?2, _generation = ?3, _deleted = 1, _change_source = ?4, \
                 _change_id = ?5 WHERE rowid = ?1"
            ),
            delete: format!("DELETE FROM {table} WHERE rowid = ?1"),
            raw: format!("SELECT _raw FROM {table} WHERE rowid = ?1"),
            paths: layout.paths(),
            key_paths: layout.key_paths(),
            layout,
        }
    }

    /// The key's values as texts, in the order of the key's columns.
    pub(super) fn key<'c>(&self, change: &'c Change) -> Result<Vec<Cow<'c, str>>> {
        let wrong = |problem: &dyn std::fmt::Display| {
            Error::data(format!("table `{}`: key {}: {problem}", self.layout.table, change.key))
        };
        let mut slots = vec![None; self.layout.key.len()];
        scan(&change.key, &self.key_paths, &mut slots).map_err(|error| wrong(&error))?;
        let values = slots.into_iter().zip(&self.layout.key).map(|(slot, column)| {
            let value = slot.filter(|raw| *raw != "null").and_then(text);
            value.ok_or_else(|| wrong(&format!("`{}` is missing", column.member)))
        });
        values.collect()
    }

    /// Creates the table, or adds the columns after the first `known`.
    pub(super) fn store(
        &self,
        tx: &Transaction<'_>,
        known: Option<usize>,
        has_view: bool,
    ) -> rusqlite::Result<()> {
        let layout = &self.layout;
        tx.execute_batch(&schema::drop_view(layout))?;
        if known.is_none() {
            tx.execute_batch(&schema::create_table(layout))?;
        }
        let new = known.unwrap_or(0)..layout.columns.len();
        for column in layout.columns.get(new.clone()).unwrap_or_default() {
            tx.execute_batch(&schema::add_column(layout, column))?;
        }
        if known.is_some() {
            tracing::info!(table = %layout.table, columns = new.len(), "columns added");
            self.fill(tx, new)?;
        }
        if has_view {
            tx.execute_batch(&schema::create_view(layout))?;
        }
        metadata::store_layout(tx, layout)
    }

    /// Fills new columns of stored rows from their JSON.
    fn fill(&self, tx: &Transaction<'_>, new: Range<usize>) -> rusqlite::Result<()> {
        let Some(columns) = self.layout.columns.get(new.clone()) else { return Ok(()) };
        let table = quote(&self.layout.table);
        let sets: Vec<String> = columns.iter().map(|column| format!("{} = ?", quote(&column.name))).collect();
        let update = format!("UPDATE {table} SET {} WHERE rowid = ?", sets.join(", "));
        let mut update = tx.prepare(&update)?;
        let mut select = tx.prepare(&format!(
            "SELECT rowid, _raw FROM {table} WHERE rowid > ?1 AND _raw IS NOT NULL \
             ORDER BY rowid LIMIT {FILL_ROWS}"
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
                bind_columns(&mut update, 0, slots, columns)?;
                update.raw_bind_parameter(columns.len() + 1, rowid)?;
                update.raw_execute()?;
            }
        }
    }
}

/// Binds the values of typed columns to the parameters after the first `before`. Returns how many did not
/// convert.
pub(super) fn bind_columns(
    statement: &mut Statement<'_>,
    before: usize,
    slots: &[Option<&str>],
    columns: &[Column],
) -> rusqlite::Result<u64> {
    let mut unconverted = 0;
    for (index, (slot, column)) in slots.iter().zip(columns).enumerate() {
        let value = slot.map_or(Some(Value::Null), |raw| convert(column.column_type, raw));
        unconverted += u64::from(value.is_none());
        statement.raw_bind_parameter(before + index + 1, value.unwrap_or(Value::Null))?;
    }
    Ok(unconverted)
}
