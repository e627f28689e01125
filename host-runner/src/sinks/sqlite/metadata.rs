//! The sink's own tables: `_sync_owner`, `_sync_columns`, `_sync_state`, `_sync_journal` and
//! `_sync_tombstones`.
//!
//! Every statement on them is here. Knows nothing of rows.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::begin;
use crate::clock::{now_ms, rfc3339_ms};
use crate::error::{Error, Result};
use crate::sinks::columns::Layout;
use crate::sinks::order::{NewestSnapshot, signed};
use crate::sinks::{Commit, InboxPosition, JournalState, Progress, SinkProgress, TableState};

/// The version of the tables below and of the columns that every table has.
const VERSION: i64 = 6;

const TABLES: &str = r#"
CREATE TABLE IF NOT EXISTS _sync_owner (id INTEGER PRIMARY KEY CHECK (id = 1), connection TEXT NOT NULL,
    epoch INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS _sync_columns ("table" TEXT PRIMARY KEY, layout TEXT NOT NULL,
    updated_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS _sync_state ("table" TEXT PRIMARY KEY, cursor TEXT, generation INTEGER NOT NULL,
    generation_id INTEGER, generation_as_of INTEGER, complete INTEGER NOT NULL, updated_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS _sync_journal (id INTEGER PRIMARY KEY CHECK (id = 1), journal TEXT NOT NULL,
    applied_seq INTEGER NOT NULL, applied_at TEXT);
CREATE TABLE IF NOT EXISTS _sync_tombstones ("table" TEXT NOT NULL, key TEXT NOT NULL, as_of INTEGER NOT NULL,
    PRIMARY KEY ("table", key)) WITHOUT ROWID;
"#;

/// The version that a file has.
pub(super) struct Version(i64);

impl Version {
    /// Refuses a file of another version.
    pub(super) fn check(&self, path: &Path) -> Result<()> {
        let writer = match self.0 {
            VERSION => return Ok(()),
            older if older < VERSION => "an older",
            _ => "a newer",
        };
        Err(Error::sink(format!("{}: written by {writer} runner", path.display()))
            .hint("use that runner, or move the file away and sync again from the start"))
    }
}

/// Creates the tables in a new file. Does not touch a file of another version.
pub(super) fn create(database: &mut Connection) -> rusqlite::Result<Version> {
    let tx = begin(database)?;
    let version = tx.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if !matches!(version, 0 | VERSION) {
        return Ok(Version(version));
    }
    tx.execute_batch(TABLES)?;
    tx.pragma_update(None, "user_version", VERSION)?;
    tx.commit()?;
    Ok(Version(VERSION))
}

/// The version of a file.
pub(super) fn version(database: &Connection) -> rusqlite::Result<Version> {
    database.query_row("PRAGMA user_version", [], |row| row.get(0)).map(Version)
}

/// The owner of the file, if it has one.
pub(super) fn owner(database: &Connection) -> rusqlite::Result<Option<String>> {
    database.query_row("SELECT connection FROM _sync_owner", [], |row| row.get(0)).optional()
}

/// The owner of the file, which is `connection` from now on if there was none.
pub(super) fn claim(database: &Connection, connection: &str) -> rusqlite::Result<String> {
    database.execute("INSERT OR IGNORE INTO _sync_owner (id, connection) VALUES (1, ?1)", [connection])?;
    database.query_row("SELECT connection FROM _sync_owner", [], |row| row.get(0))
}

/// The stored layouts by table, as JSON.
pub(super) fn layouts(database: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let mut select = database.prepare("SELECT \"table\", layout FROM _sync_columns")?;
    select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

pub(super) fn store_layout(database: &Connection, layout: &Layout) -> rusqlite::Result<()> {
    let text = serde_json::to_string(layout)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    let sql = "INSERT OR REPLACE INTO _sync_columns VALUES (?1, ?2, ?3)";
    database.execute(sql, params![layout.table, text, now()]).map(drop)
}

pub(super) fn progress(database: &Connection) -> rusqlite::Result<SinkProgress> {
    Ok(SinkProgress {
        tables: table_states(database)?,
        journal: journal_state(database)?,
        epoch: epoch(database)?,
    })
}

fn table_states(database: &Connection) -> rusqlite::Result<Vec<TableState>> {
    let mut select = database.prepare(
        "SELECT \"table\", cursor, generation, complete, updated_at FROM _sync_state ORDER BY \"table\"",
    )?;
    let states = select.query_map([], |row| {
        Ok(TableState {
            table: row.get(0)?,
            cursor: row.get(1)?,
            generation: unsigned(row, 2)?,
            complete: row.get(3)?,
            updated_at: row.get(4)?,
        })
    })?;
    states.collect()
}

fn journal_state(database: &Connection) -> rusqlite::Result<Option<JournalState>> {
    let sql = "SELECT journal, applied_seq, applied_at FROM _sync_journal";
    let state = database.query_row(sql, [], |row| {
        let position = InboxPosition { journal: row.get(0)?, through: unsigned(row, 1)? };
        Ok(JournalState { position, applied_at: row.get(2)? })
    });
    state.optional()
}

pub(super) fn newest_snapshot(database: &Connection, table: &str) -> rusqlite::Result<NewestSnapshot> {
    let sql = "SELECT generation, generation_id, generation_as_of FROM _sync_state WHERE \"table\" = ?1";
    let newest = database.prepare_cached(sql)?.query_row([table], |row| {
        Ok(NewestSnapshot { generation: row.get(0)?, id: row.get(1)?, as_of: row.get(2)? })
    });
    Ok(newest.optional()?.unwrap_or_default())
}

/// The newest epoch that committed.
pub(super) fn epoch(database: &Connection) -> rusqlite::Result<u64> {
    let select = "SELECT epoch FROM _sync_owner";
    let epoch = database.prepare_cached(select)?.query_row([], |row| unsigned(row, 0));
    Ok(epoch.optional()?.unwrap_or(0))
}

pub(super) fn set_epoch(database: &Connection, epoch: u64) -> rusqlite::Result<()> {
    database.execute("UPDATE _sync_owner SET epoch = ?1", [signed(epoch)]).map(drop)
}

/// Whether a table has been read to its end.
pub(super) fn has_snapshot(database: &Connection) -> rusqlite::Result<bool> {
    let select = "SELECT EXISTS (SELECT 1 FROM _sync_state WHERE complete OR generation > 1)";
    database.query_row(select, [], |row| row.get(0))
}

/// Stores a commit's progress.
pub(super) fn advance(database: &Connection, commit: &Commit<'_>) -> rusqlite::Result<()> {
    match commit.progress {
        Progress::Table { name, cursor, generation } => {
            let mut newest = newest_snapshot(database, name)?;
            if let Some(generation) = generation {
                newest = newest.after(generation);
            }
            let complete = generation.map(|generation| generation.complete);
            let sql = "INSERT INTO _sync_state \
                       (\"table\", cursor, generation, generation_id, generation_as_of, complete, \
                       updated_at) VALUES (?1, ?2, ?3, ?4, ?5, coalesce(?6, 0), ?7) \
                       ON CONFLICT DO UPDATE SET cursor = ?2, generation = ?3, generation_id = ?4, \
                       generation_as_of = ?5, complete = coalesce(?6, complete), updated_at = ?7";
            let NewestSnapshot { generation, id, as_of } = newest;
            let mut upsert = database.prepare_cached(sql)?;
            upsert.execute(params![name, cursor, generation, id, as_of, complete, now()]).map(drop)
        }
        Progress::Journal(InboxPosition { journal, through }) => {
            let applied_at = (!commit.changes.is_empty()).then(now);
            let sql = "INSERT INTO _sync_journal VALUES (1, ?1, ?2, ?3) ON CONFLICT DO UPDATE SET \
                       journal = ?1, applied_seq = ?2, applied_at = coalesce(?3, applied_at)";
            database.prepare_cached(sql)?.execute(params![journal, signed(*through), applied_at]).map(drop)
        }
    }
}

/// Deletes a cursor; true if there was one.
pub(super) fn reset(database: &Connection, table: &str) -> rusqlite::Result<bool> {
    let sql = "UPDATE _sync_state SET cursor = NULL, complete = 0, generation_id = NULL, updated_at = ?2 \
               WHERE \"table\" = ?1 AND cursor IS NOT NULL";
    database.execute(sql, params![table, now()]).map(|rows| rows > 0)
}

pub(super) fn has_tombstones(database: &Connection, table: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM _sync_tombstones WHERE \"table\" = ?1)";
    database.prepare_cached(sql)?.query_row([table], |row| row.get(0))
}

/// When the row of a key was deleted, if it has a tombstone.
pub(super) fn tombstone(database: &Connection, table: &str, key: &[&str]) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT as_of FROM _sync_tombstones WHERE \"table\" = ?1 AND key = ?2";
    database.prepare_cached(sql)?.query_row([table, &key_text(key)], |row| row.get(0)).optional()
}

pub(super) fn put_tombstone(
    database: &Connection,
    table: &str,
    key: &[&str],
    as_of: i64,
) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO _sync_tombstones (\"table\", key, as_of) VALUES (?1, ?2, ?3)";
    database.prepare_cached(sql)?.execute(params![table, key_text(key), as_of]).map(drop)
}

pub(super) fn delete_tombstone(database: &Connection, table: &str, key: &[&str]) -> rusqlite::Result<()> {
    let sql = "DELETE FROM _sync_tombstones WHERE \"table\" = ?1 AND key = ?2";
    database.prepare_cached(sql)?.execute([table, &key_text(key)]).map(drop)
}

/// Advances the tombstones of a table to a time at which its rows were still deleted.
pub(super) fn advance_tombstones(database: &Connection, table: &str, as_of: i64) -> rusqlite::Result<()> {
    let sql = "UPDATE _sync_tombstones SET as_of = ?2 WHERE \"table\" = ?1 AND as_of < ?2";
    database.execute(sql, params![table, as_of]).map(drop)
}

/// A key in `_sync_tombstones`: a JSON list of its texts.
fn key_text(key: &[&str]) -> String {
    serde_json::to_string(key).unwrap_or_default()
}

fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
}

fn now() -> Option<String> {
    rfc3339_ms(now_ms())
}
