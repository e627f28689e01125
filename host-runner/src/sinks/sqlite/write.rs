//! One change to one row: finds the stored row, and executes the decision of [`order`](crate::sinks::order).
//!
//! Runs within a transaction that [`super`] opens and commits.

use std::borrow::Cow;

use rusqlite::{CachedStatement, ToSql, Transaction, params};

use super::failed;
use super::metadata;
use super::statements::{PreparedTable, ROW_COLUMNS, bind_columns};
use crate::change::Change;
use crate::clock::rfc3339_ms;
use crate::error::{Error, Result};
use crate::sinks::members::{merge, scan};
use crate::sinks::order::{Action, ChangeMark, Containing, Decision, Stored, StoredRow, as_of, decide};
use crate::sinks::{Commit, Counts};

/// Applies changes of one table within a transaction.
pub(super) struct Writer<'t> {
    table: &'t PreparedTable,
    tx: &'t Transaction<'t>,
    hard_deletes: bool,
    /// Spares a look for a tombstone per new row.
    has_tombstones: bool,
    containing: Containing,
    find: CachedStatement<'t>,
    insert: CachedStatement<'t>,
    update: CachedStatement<'t>,
    insert_order: CachedStatement<'t>,
    update_order: CachedStatement<'t>,
    touch: CachedStatement<'t>,
}

/// The key of a row, and its `_row` if it is stored.
struct Place<'k> {
    key: Vec<Cow<'k, str>>,
    row: Option<i64>,
    has_tombstone: bool,
}

enum Problem {
    Database(rusqlite::Error),
    Json(serde_json::Error),
}

impl From<rusqlite::Error> for Problem {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl From<serde_json::Error> for Problem {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error)
    }
}

impl<'t> Writer<'t> {
    pub(super) fn new(
        tx: &'t Transaction<'t>,
        table: &'t PreparedTable,
        hard_deletes: bool,
        containing: Containing,
    ) -> rusqlite::Result<Self> {
        Ok(Self {
            find: tx.prepare_cached(&table.find)?,
            insert: tx.prepare_cached(&table.insert)?,
            update: tx.prepare_cached(&table.update)?,
            insert_order: tx.prepare_cached(&table.insert_order)?,
            update_order: tx.prepare_cached(&table.update_order)?,
            touch: tx.prepare_cached(&table.touch)?,
            has_tombstones: metadata::has_tombstones(tx, &table.layout.table)?,
            table,
            tx,
            hard_deletes,
            containing,
        })
    }

    /// Applies one change in the contract's order.
    pub(super) fn apply(&mut self, change: &Change, commit: &Commit<'_>, counts: &mut Counts) -> Result<()> {
        let key = self.table.key(change)?;
        let applied = self.decide(key, change, as_of(change, commit)).and_then(|(place, decision)| {
            counts.count(decision.outcome);
            counts.unconverted += self.execute(&place, change, decision)?;
            Ok(())
        });
        let table = &self.table.layout.table;
        applied.map_err(|problem| match problem {
            Problem::Database(error) => failed(table, &error),
            Problem::Json(error) => {
                Error::data(format!("table `{table}`: row {}: is not a JSON object: {error}", change.key))
            }
        })
    }

    fn decide<'k>(
        &mut self,
        key: Vec<Cow<'k, str>>,
        change: &Change,
        as_of: i64,
    ) -> std::result::Result<(Place<'k>, Decision), Problem> {
        let generation = self.containing.generation(change, as_of);
        for (index, value) in key.iter().enumerate() {
            self.find.raw_bind_parameter(index + 1, value.as_ref())?;
        }
        let mut rows = self.find.raw_query();
        if let Some(row) = rows.next()? {
            let stored = StoredRow {
                as_of: row.get(1)?,
                generation: row.get(2)?,
                mark: row.get::<_, Option<i64>>(3)?.map(ChangeMark::stored),
                is_deleted: row.get(4)?,
            };
            let decision = decide(Stored::Row(stored), change, as_of, generation);
            return Ok((Place { key, row: Some(row.get(0)?), has_tombstone: false }, decision));
        }
        drop(rows);
        let tombstone = match self.has_tombstones {
            true => metadata::tombstone(self.tx, &self.table.layout.table, &texts(&key))?,
            false => None,
        };
        let stored = tombstone.map_or(Stored::Nothing, Stored::Tombstone);
        let place = Place { key, row: None, has_tombstone: tombstone.is_some() };
        Ok((place, decide(stored, change, as_of, generation)))
    }

    /// Does it. Returns how many values did not convert.
    fn execute(
        &mut self,
        place: &Place<'_>,
        change: &Change,
        decision: Decision,
    ) -> std::result::Result<u64, Problem> {
        let raw = change.after.as_deref();
        match (decision.action, place.row) {
            (Action::Ignore, _) | (Action::Touch, None) => Ok(0),
            (Action::Touch, Some(row)) => {
                self.touch.execute(params![row, decision.as_of, decision.generation])?;
                Ok(0)
            }
            (Action::Delete, _) => self.delete(place, change, decision),
            (Action::Merge, Some(row)) => {
                let stored: Option<String> =
                    self.tx.prepare_cached(&self.table.raw)?.query_row([row], |row| row.get(0))?;
                let merged = match (&stored, raw) {
                    (Some(stored), Some(raw)) => Some(merge(stored, raw)?),
                    _ => None,
                };
                self.write(place, merged.as_deref().or(raw), change, decision)
            }
            (Action::Insert | Action::Replace | Action::Merge, _) => {
                if place.has_tombstone {
                    metadata::delete_tombstone(self.tx, &self.table.layout.table, &texts(&place.key))?;
                }
                self.write(place, raw, change, decision)
            }
        }
    }

    fn delete(
        &mut self,
        place: &Place<'_>,
        change: &Change,
        decision: Decision,
    ) -> std::result::Result<u64, Problem> {
        if self.hard_deletes || place.has_tombstone {
            if let Some(row) = place.row {
                self.tx.prepare_cached(&self.table.delete)?.execute([row])?;
                self.tx.prepare_cached(&self.table.delete_order)?.execute([row])?;
            }
            let key = texts(&place.key);
            metadata::put_tombstone(self.tx, &self.table.layout.table, &key, decision.as_of)?;
            self.has_tombstones = true;
            return Ok(0);
        }
        let Some(row) = place.row else {
            // The delete came before its row: a marked row without values keeps the row from coming back.
            return self.write(place, None, change, decision);
        };
        let mut mark = self.tx.prepare_cached(&self.table.mark_deleted)?;
        mark.execute(params![row, change.source.name()])?;
        self.write_order(place, change, decision)?;
        Ok(0)
    }

    /// Writes the row's time, generation and mark; after the row, whose number a new one takes.
    fn write_order(
        &mut self,
        place: &Place<'_>,
        change: &Change,
        decision: Decision,
    ) -> rusqlite::Result<()> {
        let Decision { as_of, generation, .. } = decision;
        let (mark, is_deleted) = (ChangeMark::of(change).value(), change.after.is_none());
        let (statement, row) = match place.row {
            Some(row) => (&mut self.update_order, row),
            None => (&mut self.insert_order, self.tx.last_insert_rowid()),
        };
        statement.execute(params![row, as_of, generation, mark, is_deleted]).map(drop)
    }

    /// Writes a whole row, marked as deleted when there is no `raw`. Returns how many values did not convert.
    fn write(
        &mut self,
        place: &Place<'_>,
        raw: Option<&str>,
        change: &Change,
        decision: Decision,
    ) -> std::result::Result<u64, Problem> {
        let columns = &self.table.layout.columns;
        let mut slots = vec![None; columns.len()];
        if let Some(raw) = raw {
            scan(raw, &self.table.paths, &mut slots)?;
        }
        let statement = if place.row.is_some() { &mut self.update } else { &mut self.insert };
        let source_updated_at = change.source_updated_at_ms.and_then(rfc3339_ms);
        let metadata: [&dyn ToSql; ROW_COLUMNS.len()] =
            [&raw, &source_updated_at, &raw.is_none(), &change.source.name()];
        for (index, value) in metadata.into_iter().enumerate() {
            statement.raw_bind_parameter(index + 1, value)?;
        }
        let unconverted = bind_columns(statement, ROW_COLUMNS.len(), &slots, columns)?;
        let first = ROW_COLUMNS.len() + columns.len() + 1;
        match place.row {
            Some(row) => statement.raw_bind_parameter(first, row)?,
            None => {
                for (index, value) in place.key.iter().enumerate() {
                    statement.raw_bind_parameter(first + index, value.as_ref())?;
                }
            }
        }
        statement.raw_execute()?;
        self.write_order(place, change, decision)?;
        Ok(unconverted)
    }
}

fn texts<'k>(key: &'k [Cow<'_, str>]) -> Vec<&'k str> {
    key.iter().map(AsRef::as_ref).collect()
}
