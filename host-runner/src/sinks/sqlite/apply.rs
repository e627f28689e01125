//! One change to one row: the contract's order, tombstones and partial rows, with prepared statements.
//!
//! Runs within a transaction that [`super`] opens and commits.

use std::borrow::Cow;

use rusqlite::{CachedStatement, OptionalExtension, ToSql, Transaction, params};

use super::document::{merge, scan};
use super::layout::quote;
use super::prepared::Prepared;
use super::value::{Bound, convert};
use crate::change::{Change, Operation};
use crate::clock::rfc3339_ms;
use crate::error::{Error, Result};
use crate::sinks::{Commit, Counts};

const TOUCH: &str = "UPDATE {table} SET _as_of = ?2, _generation = ?3 WHERE rowid = ?1";
const BURY: &str = "UPDATE {table} SET _deleted = 1, _change_source = ?2, _as_of = ?3, _generation = ?4, \
                    _change_id = ?5 WHERE rowid = ?1";
const REMOVE: &str = "DELETE FROM {table} WHERE rowid = ?1";
const FIND_TOMBSTONE: &str = "SELECT as_of FROM _sync_tombstones WHERE \"table\" = ?1 AND key = ?2";
const RAISE: &str = "DELETE FROM _sync_tombstones WHERE \"table\" = ?1 AND key = ?2";
pub(super) const ENTOMB: &str =
    "INSERT OR REPLACE INTO _sync_tombstones (\"table\", key, as_of) VALUES (?1, ?2, ?3)";

/// What is stored about a row.
struct Stored {
    rowid: i64,
    as_of: i64,
    change_id: Option<String>,
    deleted: bool,
    generation: i64,
}

/// Which snapshot counts a change as shown: the state it tells of is one that the snapshot could have seen. An older one says
/// nothing about whether the row still exists.
#[derive(Clone, Copy)]
pub(super) struct Showing {
    pub(super) generation: i64,
    /// Changes as of this moment or later count.
    pub(super) from: i64,
}

/// A run of changes of one table within a transaction.
pub(super) struct Writer<'t> {
    prepared: &'t Prepared,
    tx: &'t Transaction<'t>,
    hard_deletes: bool,
    has_tombstones: bool,
    showing: Showing,
    find: CachedStatement<'t>,
    insert: CachedStatement<'t>,
    update: CachedStatement<'t>,
    touch: CachedStatement<'t>,
}

/// Everything of a row that is not from its document.
struct Stamp<'a> {
    source_time: Option<String>,
    source: &'static str,
    as_of: i64,
    generation: i64,
    change_id: &'a str,
}

impl<'t> Writer<'t> {
    pub(super) fn new(
        tx: &'t Transaction<'t>,
        prepared: &'t Prepared,
        hard_deletes: bool,
        showing: Showing,
    ) -> rusqlite::Result<Self> {
        let has_tombstones = tx.query_row(
            "SELECT EXISTS (SELECT 1 FROM _sync_tombstones WHERE \"table\" = ?1)",
            [&prepared.layout.table],
            |row| row.get(0),
        )?;
        Ok(Self {
            find: tx.prepare_cached(&prepared.find)?,
            insert: tx.prepare_cached(&prepared.insert)?,
            update: tx.prepare_cached(&prepared.update)?,
            touch: tx.prepare_cached(&prepared.sql(TOUCH))?,
            prepared,
            tx,
            hard_deletes,
            has_tombstones,
            showing,
        })
    }

    /// Applies one change under the contract's order.
    pub(super) fn apply(&mut self, change: &Change, commit: &Commit<'_>, counts: &mut Counts) -> Result<()> {
        counts.read += 1;
        let key = self.prepared.key(change)?;
        let as_of = signed(change.as_of_ms.unwrap_or(commit.as_of_ms));
        let mut stamp = Stamp {
            source_time: change.source_updated_at_ms.and_then(rfc3339_ms),
            source: change.source.name(),
            as_of,
            generation: if as_of >= self.showing.from { self.showing.generation } else { 0 },
            change_id: &change.id,
        };
        let table = &self.prepared.layout.table;
        let applied = match self.find(&key).map_err(|error| failed(table, &error))? {
            Some(stored) => {
                stamp.generation = stamp.generation.max(stored.generation);
                self.apply_to(&stored, change, &stamp, commit, counts)
            }
            None => self.apply_to_none(&key, change, &stamp, counts),
        };
        applied.map_err(|problem| match problem {
            Problem::Database(error) => failed(table, &error),
            Problem::Document(error) => Error::data(format!(
                "table `{table}`: row {}: its document is not a JSON object: {error}",
                change.key
            )),
        })
    }

    fn find(&mut self, key: &[Cow<'_, str>]) -> rusqlite::Result<Option<Stored>> {
        for (index, value) in key.iter().enumerate() {
            self.find.raw_bind_parameter(index + 1, value.as_ref())?;
        }
        let mut rows = self.find.raw_query();
        let Some(row) = rows.next()? else { return Ok(None) };
        Ok(Some(Stored {
            rowid: row.get(0)?,
            as_of: row.get(1)?,
            change_id: row.get(2)?,
            deleted: row.get(3)?,
            generation: row.get(4)?,
        }))
    }

    /// The key is known: newer applies, the same only counts as seen, older is ignored.
    fn apply_to(
        &mut self,
        stored: &Stored,
        change: &Change,
        stamp: &Stamp<'_>,
        commit: &Commit<'_>,
        counts: &mut Counts,
    ) -> std::result::Result<(), Problem> {
        let is_same = stored.change_id.as_deref() == Some(stamp.change_id);
        if is_same || stamp.as_of < stored.as_of {
            let counter = if is_same { &mut counts.unchanged } else { &mut counts.stale };
            *counter += 1;
            // A row that a snapshot shows exists, even where a newer change of it is already stored.
            let seen = is_same || (commit.generation.is_some() && change.operation != Operation::Delete);
            let as_of = if is_same { stored.as_of.max(stamp.as_of) } else { stored.as_of };
            let generation = if seen { stamp.generation } else { stored.generation };
            if (as_of, generation) != (stored.as_of, stored.generation) {
                self.touch.execute(params![stored.rowid, as_of, generation])?;
            }
            return Ok(());
        }
        let Some(document) = &change.after else {
            counts.deleted += u64::from(!stored.deleted);
            counts.unchanged += u64::from(stored.deleted);
            return self.bury(stored.rowid, change, stamp);
        };
        if !change.partial {
            counts.updated += 1;
            return self.write(Target::Row(stored.rowid), document, stamp, counts);
        }
        let sql = format!("SELECT _raw FROM {} WHERE rowid = ?1", quote(&self.prepared.layout.table));
        let old: Option<String> =
            self.tx.prepare_cached(&sql)?.query_row([stored.rowid], |row| row.get(0))?;
        counts.updated += 1;
        match old {
            Some(old) => {
                let merged = merge(&old, document)?;
                self.write(Target::Row(stored.rowid), &merged, stamp, counts)
            }
            None => self.write(Target::Row(stored.rowid), document, stamp, counts),
        }
    }

    /// The key is not in the table; with hard deletes it may be remembered as gone.
    fn apply_to_none(
        &mut self,
        key: &[Cow<'_, str>],
        change: &Change,
        stamp: &Stamp<'_>,
        counts: &mut Counts,
    ) -> std::result::Result<(), Problem> {
        let table = &self.prepared.layout.table;
        if self.has_tombstones {
            let name = key_text(key);
            let mut find = self.tx.prepare_cached(FIND_TOMBSTONE)?;
            let gone: Option<i64> = find.query_row(params![table, name], |row| row.get(0)).optional()?;
            if gone.is_some_and(|as_of| stamp.as_of < as_of) {
                counts.stale += 1;
                return Ok(());
            }
            if gone.is_some() && change.after.is_some() {
                self.tx.prepare_cached(RAISE)?.execute(params![table, name])?;
            }
        }
        match &change.after {
            Some(document) => {
                counts.inserted += 1;
                self.write(Target::New(key), document, stamp, counts)
            }
            None if self.hard_deletes => {
                counts.deleted += 1;
                self.entomb(&key_text(key), stamp.as_of)
            }
            None => {
                // A delete that overtook its row: remembered, so that the row does not come back.
                counts.deleted += 1;
                self.stamp_insert(Target::New(key), None, true, stamp)?;
                for index in 0..self.prepared.layout.columns.len() {
                    self.insert.raw_bind_parameter(OWN_COLUMNS + index + 1, Bound::Null)?;
                }
                self.insert.raw_execute()?;
                Ok(())
            }
        }
    }

    fn bury(&mut self, rowid: i64, change: &Change, stamp: &Stamp<'_>) -> std::result::Result<(), Problem> {
        if self.hard_deletes {
            let key = self.prepared.key(change).map(|key| key_text(&key)).unwrap_or_default();
            self.tx.prepare_cached(&self.prepared.sql(REMOVE))?.execute([rowid])?;
            return self.entomb(&key, stamp.as_of);
        }
        let mut bury = self.tx.prepare_cached(&self.prepared.sql(BURY))?;
        bury.execute(params![rowid, stamp.source, stamp.as_of, stamp.generation, stamp.change_id])?;
        Ok(())
    }

    fn entomb(&mut self, key: &str, as_of: i64) -> std::result::Result<(), Problem> {
        let table = &self.prepared.layout.table;
        self.tx.prepare_cached(ENTOMB)?.execute(params![table, key, as_of])?;
        self.has_tombstones = true;
        Ok(())
    }

    /// Writes a whole row: document, typed columns, stamp.
    fn write(
        &mut self,
        target: Target<'_, '_>,
        document: &str,
        stamp: &Stamp<'_>,
        counts: &mut Counts,
    ) -> std::result::Result<(), Problem> {
        let columns = &self.prepared.layout.columns;
        let mut slots = vec![None; columns.len()];
        scan(document, &self.prepared.paths, &mut slots)?;
        self.stamp_insert(target, Some(document), false, stamp)?;
        let statement = match target {
            Target::Row(_) => &mut self.update,
            Target::New(_) => &mut self.insert,
        };
        for (index, (slot, column)) in slots.iter().zip(columns).enumerate() {
            let value = match slot {
                None => Bound::Null,
                Some(raw) => convert(column.kind, raw).unwrap_or_else(|| {
                    counts.unconverted += 1;
                    Bound::Null
                }),
            };
            statement.raw_bind_parameter(OWN_COLUMNS + index + 1, value)?;
        }
        statement.raw_execute()?;
        Ok(())
    }

    /// Binds everything but the typed columns.
    fn stamp_insert(
        &mut self,
        target: Target<'_, '_>,
        document: Option<&str>,
        deleted: bool,
        stamp: &Stamp<'_>,
    ) -> rusqlite::Result<()> {
        let statement = match target {
            Target::Row(_) => &mut self.update,
            Target::New(_) => &mut self.insert,
        };
        let own: [&dyn ToSql; OWN_COLUMNS] = [
            &document,
            &stamp.source_time,
            &deleted,
            &stamp.source,
            &stamp.as_of,
            &stamp.generation,
            &stamp.change_id,
        ];
        for (index, value) in own.into_iter().enumerate() {
            statement.raw_bind_parameter(index + 1, value)?;
        }
        let first_key = OWN_COLUMNS + self.prepared.layout.columns.len() + 1;
        match target {
            Target::Row(rowid) => statement.raw_bind_parameter(first_key, rowid),
            Target::New(key) => key.iter().enumerate().try_for_each(|(index, value)| {
                statement.raw_bind_parameter(first_key + index, value.as_ref())
            }),
        }
    }
}

/// `_raw` to `_change_id`, in the order of `Prepared::new`.
const OWN_COLUMNS: usize = 7;

/// Where a row is written.
#[derive(Clone, Copy)]
enum Target<'k, 's> {
    Row(i64),
    New(&'k [Cow<'s, str>]),
}

enum Problem {
    Database(rusqlite::Error),
    Document(serde_json::Error),
}

impl From<rusqlite::Error> for Problem {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl From<serde_json::Error> for Problem {
    fn from(error: serde_json::Error) -> Self {
        Self::Document(error)
    }
}

/// A key as `_sync_tombstones` has it: a JSON list of its texts.
pub(super) fn key_text<T: AsRef<str>>(key: &[T]) -> String {
    let texts: Vec<&str> = key.iter().map(AsRef::as_ref).collect();
    serde_json::to_string(&texts).unwrap_or_default()
}

pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(super) fn failed(table: &str, error: &rusqlite::Error) -> Error {
    Error::sink(format!("table `{table}`: SQLite: {error}"))
}
