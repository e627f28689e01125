//! One change to one row: finds the stored row, and executes the decision of [`order`](crate::sinks::order).
//!
//! Runs within a transaction that [`super`] opens and commits.

use std::borrow::Cow;

use rusqlite::{CachedStatement, Statement, ToSql, Transaction, params};

use super::ahead::Values;
use super::failed;
use super::guess::Guess;
use super::metadata;
use super::statements::{PreparedTable, ROW_COLUMNS, bind_columns};
use crate::change::Change;
use crate::clock::rfc3339_ms;
use crate::error::{Error, Result};
use crate::sinks::members::merge;
use crate::sinks::order::{
    Action, ChangeMark, Containing, Decision, Outcome, Stored, StoredRow, as_of, decide,
};
use crate::sinks::value::Value;
use crate::sinks::{Commit, Counts};

/// Applies changes of one table within a transaction.
pub(super) struct Writer<'t> {
    table: &'t PreparedTable,
    tx: &'t Transaction<'t>,
    hard_deletes: bool,
    /// Spares a look for a tombstone per new row.
    has_tombstones: bool,
    containing: Containing,
    guess: Guess,
    find: CachedStatement<'t>,
    insert: CachedStatement<'t>,
    insert_unseen: CachedStatement<'t>,
    update: CachedStatement<'t>,
    insert_order: CachedStatement<'t>,
    update_order: CachedStatement<'t>,
    touch: CachedStatement<'t>,
    touch_expected: CachedStatement<'t>,
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
            insert_unseen: tx.prepare_cached(&table.insert_unseen)?,
            update: tx.prepare_cached(&table.update)?,
            insert_order: tx.prepare_cached(&table.insert_order)?,
            update_order: tx.prepare_cached(&table.update_order)?,
            touch: tx.prepare_cached(&table.touch)?,
            touch_expected: tx.prepare_cached(&table.touch_expected)?,
            guess: Guess::default(),
            has_tombstones: metadata::has_tombstones(tx, &table.layout.table)?,
            table,
            tx,
            hard_deletes,
            containing,
        })
    }

    /// Applies one change in the contract's order; with the values of its row, if they were read ahead.
    pub(super) fn apply(
        &mut self,
        change: &Change,
        values: Option<Values<'_>>,
        commit: &Commit<'_>,
        counts: &mut Counts,
    ) -> Result<()> {
        let key = self.table.key(change)?;
        let as_of = as_of(change, commit);
        let generation = self.containing.generation(change, as_of);
        let applied = self.apply_to(key, change, values, |stored| decide(stored, change, as_of, generation));
        let table = &self.table.layout.table;
        let (outcome, unconverted) = applied.map_err(|problem| match problem {
            Problem::Database(error) => failed(table, &error),
            Problem::Json(error) => {
                Error::data(format!("table `{table}`: row {}: is not a JSON object: {error}", change.key))
            }
        })?;
        counts.count(outcome);
        counts.unconverted += unconverted;
        Ok(())
    }

    /// Decides by the entry that is expected, or else by the one that is found, and executes the decision.
    fn apply_to(
        &mut self,
        key: Vec<Cow<'_, str>>,
        change: &Change,
        mut values: Option<Values<'_>>,
        decide: impl Fn(Stored) -> Decision,
    ) -> std::result::Result<(Outcome, u64), Problem> {
        let mut place = Place { key, row: None, has_tombstone: false };
        if let Some(expected) = self.guess.entry(change) {
            let decision = decide(expected);
            if let Some(unconverted) = self.execute_if(expected, &place, change, &mut values, decision)? {
                return Ok((decision.outcome, unconverted));
            }
        }
        let stored = self.find(&mut place)?;
        self.guess.note(stored);
        let decision = decide(stored);
        Ok((decision.outcome, self.execute(&place, change, values, decision)?))
    }

    /// Executes a decision by an entry that was not looked for, if it is the stored one. Returns how many
    /// values did not convert; none if nothing was done.
    fn execute_if(
        &mut self,
        expected: Stored,
        place: &Place<'_>,
        change: &Change,
        values: &mut Option<Values<'_>>,
        decision: Decision,
    ) -> rusqlite::Result<Option<u64>> {
        match (expected, decision.action, change.after.as_deref()) {
            (Stored::Row(StoredRow { as_of, generation, mark: Some(mark), .. }), Action::Touch, _) => {
                let values = [decision.as_of, decision.generation, as_of, generation, mark.value()];
                for (index, value) in values.iter().enumerate() {
                    self.touch_expected.raw_bind_parameter(index + 1, value)?;
                }
                bind_key(&mut self.touch_expected, values.len(), &place.key)?;
                Ok((self.touch_expected.raw_execute()? == 1).then_some(0))
            }
            (Stored::Nothing, Action::Insert, Some(row)) if !self.has_tombstones => {
                // A row that cannot be read is an error only where it is to be written.
                let Ok(values) = values.take().unwrap_or_else(|| self.table.values(row)) else {
                    return Ok(None);
                };
                let unconverted = bind_row(&mut self.insert_unseen, Some(row), &values, change)?;
                bind_key(&mut self.insert_unseen, self.table.row_parameters(), &place.key)?;
                if self.insert_unseen.raw_execute()? == 0 {
                    return Ok(None);
                }
                self.write_order(place, change, decision)?;
                Ok(Some(unconverted))
            }
            _ => Ok(None),
        }
    }

    /// Looks for the entry of a key.
    fn find(&mut self, place: &mut Place<'_>) -> rusqlite::Result<Stored> {
        bind_key(&mut self.find, 0, &place.key)?;
        let mut rows = self.find.raw_query();
        if let Some(row) = rows.next()? {
            place.row = Some(row.get(0)?);
            return Ok(Stored::Row(StoredRow {
                as_of: row.get(1)?,
                generation: row.get(2)?,
                mark: row.get::<_, Option<i64>>(3)?.map(ChangeMark::stored),
                is_deleted: row.get(4)?,
            }));
        }
        drop(rows);
        let tombstone = match self.has_tombstones {
            true => metadata::tombstone(self.tx, &self.table.layout.table, &texts(&place.key))?,
            false => None,
        };
        place.has_tombstone = tombstone.is_some();
        Ok(tombstone.map_or(Stored::Nothing, Stored::Tombstone))
    }

    /// Executes a decision. Returns how many values did not convert.
    fn execute(
        &mut self,
        place: &Place<'_>,
        change: &Change,
        values: Option<Values<'_>>,
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
                self.write(place, merged.as_deref().or(raw), None, change, decision)
            }
            (Action::Insert | Action::Replace | Action::Merge, _) => {
                if place.has_tombstone {
                    metadata::delete_tombstone(self.tx, &self.table.layout.table, &texts(&place.key))?;
                }
                self.write(place, raw, values, change, decision)
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
            return self.write(place, None, None, change, decision);
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
        values: Option<Values<'_>>,
        change: &Change,
        decision: Decision,
    ) -> std::result::Result<u64, Problem> {
        let values = match (values, raw) {
            (Some(values), _) => values?,
            (None, Some(raw)) => self.table.values(raw)?,
            (None, None) => vec![Some(Value::Null); self.table.layout.columns.len()],
        };
        let statement = if place.row.is_some() { &mut self.update } else { &mut self.insert };
        let unconverted = bind_row(statement, raw, &values, change)?;
        let before = self.table.row_parameters();
        match place.row {
            Some(row) => statement.raw_bind_parameter(before + 1, row)?,
            None => bind_key(statement, before, &place.key)?,
        }
        statement.raw_execute()?;
        self.write_order(place, change, decision)?;
        Ok(unconverted)
    }
}

/// Binds everything of a row but its key. Returns how many values did not convert.
fn bind_row(
    statement: &mut Statement<'_>,
    raw: Option<&str>,
    values: &[Option<Value<'_>>],
    change: &Change,
) -> rusqlite::Result<u64> {
    let source_updated_at = change.source_updated_at_ms.and_then(rfc3339_ms);
    let metadata: [&dyn ToSql; ROW_COLUMNS.len()] =
        [&raw, &source_updated_at, &raw.is_none(), &change.source.name()];
    for (index, value) in metadata.into_iter().enumerate() {
        statement.raw_bind_parameter(index + 1, value)?;
    }
    bind_columns(statement, ROW_COLUMNS.len(), values)
}

/// Binds a key to the parameters after the first `before`.
fn bind_key(statement: &mut Statement<'_>, before: usize, key: &[Cow<'_, str>]) -> rusqlite::Result<()> {
    for (index, value) in key.iter().enumerate() {
        statement.raw_bind_parameter(before + index + 1, value.as_ref())?;
    }
    Ok(())
}

fn texts<'k>(key: &'k [Cow<'_, str>]) -> Vec<&'k str> {
    key.iter().map(AsRef::as_ref).collect()
}
