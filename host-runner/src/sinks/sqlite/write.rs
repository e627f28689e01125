//! One change to one row: finds the stored row, and executes the decision of [`order`](crate::sinks::order).
//!
//! Runs within a transaction that [`super`] opens and commits.

use std::borrow::Cow;

use rusqlite::{CachedStatement, ToSql, Transaction, params};

use super::failed;
use super::metadata;
use super::statements::{PreparedTable, bind_columns};
use crate::change::Change;
use crate::clock::rfc3339_ms;
use crate::error::{Error, Result};
use crate::sinks::columns::METADATA_COLUMNS;
use crate::sinks::members::{merge, scan};
use crate::sinks::order::{Action, Containing, Decision, Stored, StoredRow, as_of, decide};
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
    touch: CachedStatement<'t>,
}

/// The key of a row, and its place if it is stored.
struct Place<'k> {
    key: Vec<Cow<'k, str>>,
    rowid: Option<i64>,
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
                change_id: row.get_ref(3)?.as_str_or_null().map_err(rusqlite::Error::from)?,
                is_deleted: row.get(4)?,
            };
            let decision = decide(Stored::Row(stored), change, as_of, generation);
            return Ok((Place { key, rowid: Some(row.get(0)?), has_tombstone: false }, decision));
        }
        drop(rows);
        let tombstone = match self.has_tombstones {
            true => metadata::tombstone(self.tx, &self.table.layout.table, &texts(&key))?,
            false => None,
        };
        let stored = tombstone.map_or(Stored::Nothing, Stored::Tombstone);
        let place = Place { key, rowid: None, has_tombstone: tombstone.is_some() };
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
        match (decision.action, place.rowid) {
            (Action::Ignore, _) | (Action::Touch, None) => Ok(0),
            (Action::Touch, Some(rowid)) => {
                self.touch.execute(params![rowid, decision.as_of, decision.generation])?;
                Ok(0)
            }
            (Action::Delete, _) => self.delete(place, change, decision),
            (Action::Merge, Some(rowid)) => {
                let stored: Option<String> =
                    self.tx.prepare_cached(&self.table.raw)?.query_row([rowid], |row| row.get(0))?;
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
        let Decision { as_of, generation, .. } = decision;
        if self.hard_deletes || place.has_tombstone {
            if let Some(rowid) = place.rowid {
                self.tx.prepare_cached(&self.table.delete)?.execute([rowid])?;
            }
            metadata::put_tombstone(self.tx, &self.table.layout.table, &texts(&place.key), as_of)?;
            self.has_tombstones = true;
            return Ok(0);
        }
        let Some(rowid) = place.rowid else {
            // The delete came before its row: a marked row without values keeps the row from coming back.
            return self.write(place, None, change, decision);
        };
        let mut mark = self.tx.prepare_cached(&self.table.mark_deleted)?;
        mark.execute(params![rowid, as_of, generation, change.source.name(), change.id])?;
        Ok(0)
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
        let statement = if place.rowid.is_some() { &mut self.update } else { &mut self.insert };
        let source_updated_at = change.source_updated_at_ms.and_then(rfc3339_ms);
        let metadata: [&dyn ToSql; METADATA_COLUMNS.len()] = [
            &raw,
            &source_updated_at,
            &raw.is_none(),
            &change.source.name(),
            &decision.as_of,
            &decision.generation,
            &change.id,
        ];
        for (index, value) in metadata.into_iter().enumerate() {
            statement.raw_bind_parameter(index + 1, value)?;
        }
        let unconverted = bind_columns(statement, METADATA_COLUMNS.len(), &slots, columns)?;
        let first = METADATA_COLUMNS.len() + columns.len() + 1;
        match place.rowid {
            Some(rowid) => statement.raw_bind_parameter(first, rowid)?,
            None => {
                for (index, value) in place.key.iter().enumerate() {
                    statement.raw_bind_parameter(first + index, value.as_ref())?;
                }
            }
        }
        statement.raw_execute()?;
        Ok(unconverted)
    }
}

fn texts<'k>(key: &'k [Cow<'_, str>]) -> Vec<&'k str> {
    key.iter().map(AsRef::as_ref).collect()
}
