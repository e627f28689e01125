//! A table made ready: its statements and paths, worked out once for all its rows.
//!
//! Reads keys, and fills new columns of old rows. Knows nothing of the order of changes.

use std::borrow::Cow;

use rusqlite::Transaction;

use super::document::{MemberPaths, scan};
use super::layout::{Layout, quote};
use super::value::{Bound, convert, text};
use crate::change::Change;
use crate::error::{Error, Result};

/// A table with what is worked out once for all its rows.
pub(super) struct Prepared {
    pub(super) layout: Layout,
    pub(super) paths: MemberPaths,
    key_paths: MemberPaths,
    pub(super) find: String,
    pub(super) insert: String,
    pub(super) update: String,
}

impl Prepared {
    pub(super) fn new(layout: Layout) -> Self {
        let table = quote(&layout.table);
        let keys: Vec<String> = layout.key.iter().map(|column| quote(&column.name)).collect();
        let columns = layout.columns.iter().map(|column| quote(&column.name));
        let own = [
            "_raw",
            "_source_updated_at",
            "_deleted",
            "_change_source",
            "_as_of",
            "_generation",
            "_change_id",
        ];
        let values: Vec<String> = own.map(str::to_owned).into_iter().chain(columns).collect();
        let same: Vec<String> = keys.iter().map(|name| format!("{name} = ?")).collect();
        let find = format!(
            "SELECT rowid, _as_of, _change_id, _deleted, _generation FROM {table} WHERE {}",
            same.join(" AND ")
        );
        let marks = vec!["?"; keys.len() + values.len()].join(", ");
        let names: Vec<&str> = values.iter().chain(&keys).map(String::as_str).collect();
        let insert = format!("INSERT INTO {table} ({}) VALUES ({marks})", names.join(", "));
        let sets: Vec<String> = values.iter().map(|name| format!("{name} = ?")).collect();
        let update = format!("UPDATE {table} SET {} WHERE rowid = ?", sets.join(", "));
        let (paths, key_paths) = (layout.paths(), layout.key_paths());
        Self { layout, paths, key_paths, find, insert, update }
    }

    pub(super) fn sql(&self, template: &str) -> String {
        template.replace("{table}", &quote(&self.layout.table))
    }

    /// The key's values as texts, in the order of the key's columns.
    pub(super) fn key<'c>(&self, change: &'c Change) -> Result<Vec<Cow<'c, str>>> {
        let wrong = |what: &dyn std::fmt::Display| {
            Error::data(format!("table `{}`: key {}: {what}", self.layout.table, change.key))
        };
        let mut slots = vec![None; self.layout.key.len()];
        scan(&change.key, &self.key_paths, &mut slots).map_err(|error| wrong(&error))?;
        let values = slots.into_iter().zip(&self.layout.key).map(|(slot, column)| {
            let raw = slot.filter(|raw| *raw != "null");
            let value = raw.and_then(text);
            value.ok_or_else(|| wrong(&format!("`{}` is missing", column.member)))
        });
        values.collect()
    }

    /// Reads one stored document into its columns anew: new columns of old rows.
    pub(super) fn fill(&self, tx: &Transaction<'_>, new: std::ops::Range<usize>) -> rusqlite::Result<()> {
        const CHUNK: i64 = 1_000;
        let Some(columns) = self.layout.columns.get(new.clone()) else { return Ok(()) };
        let table = quote(&self.layout.table);
        let sets: Vec<String> = columns.iter().map(|column| format!("{} = ?", quote(&column.name))).collect();
        let mut update = tx.prepare(&format!("UPDATE {table} SET {} WHERE rowid = ?", sets.join(", ")))?;
        let mut select = tx.prepare(&format!(
            "SELECT rowid, _raw FROM {table} WHERE rowid > ?1 AND _raw IS NOT NULL \
             ORDER BY rowid LIMIT {CHUNK}"
        ))?;
        let mut last = i64::MIN;
        loop {
            let rows: Vec<(i64, String)> = select
                .query_map([last], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<_>>()?;
            let Some((end, _)) = rows.last() else { return Ok(()) };
            last = *end;
            for (rowid, document) in &rows {
                let mut slots = vec![None; self.layout.columns.len()];
                if scan(document, &self.paths, &mut slots).is_err() {
                    continue;
                }
                let slots = slots.get(new.clone()).unwrap_or_default();
                for (index, (slot, column)) in slots.iter().zip(columns).enumerate() {
                    let value = slot.and_then(|raw| convert(column.kind, raw));
                    update.raw_bind_parameter(index + 1, value.unwrap_or(Bound::Null))?;
                }
                update.raw_bind_parameter(columns.len() + 1, rowid)?;
                update.raw_execute()?;
            }
        }
    }
}
