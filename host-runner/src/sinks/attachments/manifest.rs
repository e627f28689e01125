//! The manifest of the folder: for each row with an attachment, its content or why it is not there.
//!
//! One SQLite file, which anyone may read: the file itself, and the questions of the actor, which fetches.
//! [`entry`] has what a change does to a row. Knows nothing of bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection as Database, OptionalExtension, Transaction, TransactionBehavior, params};

use super::entry;
use super::limits::AttachmentLimits;
use crate::clock::{now_ms, rfc3339_ms};
use crate::describe::AttachmentMembers;
use crate::digest::sha256_hex;
use crate::error::{Error, Kind, Origin, Result};
use crate::sinks::order::{Containing, NewestSnapshot, as_of, signed};
use crate::sinks::{Commit, Progress, file_failure, sqlite};
use crate::sqlite_failure::of_known;
use crate::sqlite_file::OpenFile;

/// Its file's name.
pub(super) const FILE: &str = "manifest.db";
/// Version of the tables below, as SQLite's `user_version`.
const LAYOUT: i64 = 1;
/// "hrat", as SQLite's `application_id`.
const APPLICATION: i64 = 0x6872_6174;
/// How long a change waits for another program that holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

const TABLES: &str = "
    CREATE TABLE owner (connection TEXT NOT NULL);
    CREATE TABLE attachments (
        table_name TEXT NOT NULL,
        key TEXT NOT NULL,
        name TEXT NOT NULL,
        size INTEGER,
        sha256 TEXT,
        fetched_at TEXT,
        problem TEXT,
        deleted INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        next_at_ms INTEGER,
        offset INTEGER NOT NULL,
        row TEXT NOT NULL,
        as_of INTEGER NOT NULL,
        generation INTEGER NOT NULL,
        change INTEGER,
        PRIMARY KEY (table_name, key)
    );
    CREATE INDEX attachments_due ON attachments (next_at_ms) WHERE next_at_ms IS NOT NULL;
    CREATE INDEX attachments_of_content ON attachments (sha256) WHERE sha256 IS NOT NULL;
    CREATE TABLE tables (
        name TEXT PRIMARY KEY,
        cursor TEXT NOT NULL,
        cursor_before TEXT,
        generation INTEGER NOT NULL,
        id INTEGER,
        as_of INTEGER
    );
";

/// Rows whose bytes may have to be removed. Manifests of earlier versions lack it.
const INDEX_TO_REMOVE: &str = "
    CREATE INDEX IF NOT EXISTS attachments_to_remove ON attachments (sha256)
        WHERE deleted AND sha256 IS NOT NULL";

/// Tables whose snapshot the folder started. Manifests of earlier versions lack it.
const REFILLED: &str = "CREATE TABLE IF NOT EXISTS refilled (name TEXT PRIMARY KEY)";

/// Contents that only deleted rows have.
const UNREFERENCED: &str = "
    SELECT DISTINCT sha256 FROM attachments AS one INDEXED BY attachments_to_remove
        WHERE deleted AND sha256 IS NOT NULL AND NOT EXISTS (SELECT 1 FROM attachments AS other
            WHERE other.sha256 = one.sha256 AND NOT other.deleted)";

/// An open manifest.
pub(super) struct Manifest {
    database: Database,
    file: OpenFile,
}

/// A file to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Its row's table.
    pub(crate) table: String,
    /// Its row's key.
    pub(crate) key: String,
    /// Its row.
    pub(crate) row: String,
    /// Its name, for people.
    pub(crate) name: String,
    /// Its size, where the row says so.
    pub(super) size: Option<u64>,
    /// Bytes that are in the folder.
    pub(crate) offset: u64,
    /// How often it failed by itself.
    pub(super) attempts: u32,
}

impl Wanted {
    /// The name of its beginning.
    pub(super) fn partial_name(&self) -> String {
        partial_name(&self.table, &self.key)
    }
}

fn partial_name(table: &str, key: &str) -> String {
    sha256_hex(format!("{table}\0{key}").as_bytes())
}

/// The missing files of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) table: String,
    pub(crate) files: u64,
    /// The name and problem of the first that failed.
    pub(crate) first: Option<(String, String)>,
}

impl Manifest {
    /// Opens or creates the manifest of a connection.
    pub(super) fn open(folder: &Path, owner: &str) -> Result<Self> {
        let path = folder.join(FILE);
        let wrong = |error: rusqlite::Error| failed(&path, &error);
        let mut database = Database::open(&path).map_err(wrong)?;
        database.busy_timeout(BUSY_TIMEOUT).map_err(wrong)?;
        let pragma = |name| database.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let identity = (pragma("application_id").map_err(wrong)?, pragma("user_version").map_err(wrong)?);
        if identity != (APPLICATION, LAYOUT) && identity != (0, 0) {
            let message = format!("{}: not a manifest of this version of the runner", path.display());
            return Err(Error::new(Origin::Configuration, Kind::Config, message)
                .hint("give another folder: `attachments` under [sink]"));
        }
        database.pragma_update(None, "journal_mode", "WAL").map_err(wrong)?;
        database.pragma_update(None, "synchronous", "FULL").map_err(wrong)?;
        if identity == (0, 0) {
            let create = |tx: &Transaction<'_>| {
                tx.execute_batch(TABLES)?;
                tx.execute("INSERT INTO owner VALUES (?1)", [owner])?;
                tx.pragma_update(None, "application_id", APPLICATION)?;
                tx.pragma_update(None, "user_version", LAYOUT)
            };
            let tx = sqlite::begin(&mut database).map_err(wrong)?;
            create(&tx).and_then(|()| tx.commit()).map_err(wrong)?;
        }
        database.execute_batch(INDEX_TO_REMOVE).map_err(wrong)?;
        database.execute_batch(REFILLED).map_err(wrong)?;
        let other: Option<String> = database
            .query_row("SELECT connection FROM owner", [], |row| row.get(0))
            .optional()
            .map_err(wrong)?;
        if let Some(other) = other.filter(|other| other != owner) {
            let folder = folder.display();
            let message = format!("attachments {folder}: those of connection `{other}`, not of `{owner}`");
            return Err(Error::new(Origin::Configuration, Kind::Config, message).hint(format!(
                "give each connection its own folder: `attachments` under [sink]; if `{other}` was renamed \
                 to `{owner}`: sqlite3 {folder}/{FILE} \"UPDATE owner SET connection = '{owner}'\""
            )));
        }
        let file = OpenFile::at(&path).map_err(|error| file_failure::failed(&path, &error))?;
        Ok(Self { database, file })
    }

    /// Whether the sink came to this cursor with this folder: the newest cursor that was noted, or the one
    /// before, where a crash came between.
    pub(super) fn knows(&self, table: &str, cursor: &str) -> Result<bool> {
        let sql = "SELECT 1 FROM tables WHERE name = ?1 AND ?2 IN (cursor, cursor_before)";
        self.with(|database| database.query_row(sql, [table, cursor], |_| Ok(())).optional())
            .map(|found| found.is_some())
    }

    /// A hash of the newest cursors, which may be large.
    pub(super) fn cursors_sha256(&self) -> Result<String> {
        let sql = "SELECT name, cursor FROM tables ORDER BY name";
        let cursors: Vec<(String, String)> = self.with(|database| {
            database.prepare(sql)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })?;
        Ok(sha256_hex(format!("{cursors:?}").as_bytes()))
    }

    /// Whether the folder started the snapshot of a table.
    pub(super) fn is_refilled(&self, table: &str) -> Result<bool> {
        let sql = "SELECT 1 FROM refilled WHERE name = ?1";
        self.with(|database| database.query_row(sql, [table], |_| Ok(())).optional())
            .map(|found| found.is_some())
    }

    /// See [`Manifest::is_refilled`].
    pub(super) fn set_refilled(&mut self, table: &str, is_refilled: bool) -> Result<()> {
        let sql = match is_refilled {
            true => "INSERT OR IGNORE INTO refilled VALUES (?1)",
            false => "DELETE FROM refilled WHERE name = ?1",
        };
        self.change(sql, params![table])
    }

    /// Notes the attachments of a commit; `before` is the sink's cursor before it. False when it concerns
    /// none.
    pub(super) fn note(
        &mut self,
        commit: &Commit<'_>,
        before: Option<&str>,
        tables: &BTreeMap<String, AttachmentMembers>,
        limits: &AttachmentLimits,
    ) -> Result<bool> {
        let progress = match commit.progress {
            Progress::Table { name, cursor, generation } if tables.contains_key(name) => {
                Some((name, cursor, generation))
            }
            _ => None,
        };
        if progress.is_none() && !commit.changes.iter().any(|change| tables.contains_key(&change.table)) {
            return Ok(false);
        }
        self.transaction(|tx| {
            for change in commit.changes {
                let Some(members) = tables.get(&change.table) else { continue };
                let newest = newest_snapshot(tx, &change.table)?;
                let as_of = as_of(change, commit);
                let generation = Containing::new(commit, &change.table, newest).generation(change, as_of);
                entry::note(tx, change, as_of, generation, members, limits)?;
            }
            let Some((name, cursor, generation)) = progress else { return Ok(()) };
            let mut snapshot = newest_snapshot(tx, name)?;
            if let Some(generation) = generation {
                snapshot = snapshot.after(generation);
                if generation.complete {
                    entry::delete_missing(tx, name, snapshot)?;
                }
            }
            let sql = "INSERT INTO tables VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET \
                       cursor = ?2, cursor_before = ?3, generation = ?4, id = ?5, as_of = ?6";
            let NewestSnapshot { generation, id, as_of } = snapshot;
            tx.execute(sql, params![name, cursor, before, generation, id, as_of]).map(drop)
        })
        .map(|()| true)
    }

    /// Leaves out and brings back files after the limits have changed.
    pub(super) fn apply_limits(&mut self, limits: &AttachmentLimits) -> Result<()> {
        self.transaction(|tx| {
            let sql = "SELECT rowid, name, size, next_at_ms, problem FROM attachments \
                       WHERE sha256 IS NULL AND NOT deleted";
            let mut select = tx.prepare(sql)?;
            let mut update =
                tx.prepare("UPDATE attachments SET next_at_ms = ?2, problem = ?3 WHERE rowid = ?1")?;
            let mut rows = select.query([])?;
            let mut changes = Vec::new();
            while let Some(row) = rows.next()? {
                let (name, size): (String, Option<i64>) = (row.get(1)?, row.get(2)?);
                let (next, problem): (Option<i64>, Option<String>) = (row.get(3)?, row.get(4)?);
                let refusal = limits.refuse(&name, size.map(i64::cast_unsigned));
                if refusal.is_some() != next.is_none() || (refusal.is_some() && refusal != problem) {
                    let next = refusal.is_none().then_some(0_i64);
                    changes.push((row.get::<_, i64>(0)?, next, refusal));
                }
            }
            for change in changes {
                update.execute(params![change.0, change.1, change.2])?;
            }
            Ok(())
        })
    }

    /// The names of the beginnings that are to be continued.
    pub(super) fn partial_files(&self) -> Result<BTreeSet<String>> {
        let sql = "SELECT table_name, key FROM attachments WHERE offset > 0 AND next_at_ms IS NOT NULL";
        self.with(|database| {
            let mut select = database.prepare(sql)?;
            let name = |row: &rusqlite::Row<'_>| {
                Ok(partial_name(row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?))
            };
            select.query_map([], name)?.collect()
        })
    }

    /// When the next file is to be fetched.
    pub(super) fn due_ms(&self) -> Result<Option<u64>> {
        let sql = "SELECT min(next_at_ms) FROM attachments WHERE next_at_ms IS NOT NULL";
        let due: Option<i64> =
            self.with(|database| database.prepare_cached(sql)?.query_row([], |row| row.get(0)))?;
        Ok(due.map(i64::cast_unsigned))
    }

    /// The first file that is to be fetched by now.
    pub(super) fn next(&self, now_ms: u64) -> Result<Option<Wanted>> {
        let sql = "SELECT table_name, key, row, name, size, offset, attempts FROM attachments \
                   WHERE next_at_ms <= ?1 ORDER BY next_at_ms, rowid LIMIT 1";
        self.with(|database| {
            let wanted = |row: &rusqlite::Row<'_>| {
                Ok(Wanted {
                    table: row.get(0)?,
                    key: row.get(1)?,
                    row: row.get(2)?,
                    name: row.get(3)?,
                    size: row.get::<_, Option<i64>>(4)?.map(i64::cast_unsigned),
                    offset: row.get::<_, i64>(5)?.cast_unsigned(),
                    attempts: row.get(6)?,
                })
            };
            database.prepare_cached(sql)?.query_row([signed(now_ms)], wanted).optional()
        })
    }

    /// Notes how many bytes of a file are in the folder.
    pub(super) fn set_offset(&mut self, wanted: &Wanted, offset: u64) -> Result<()> {
        let sql = "UPDATE attachments SET offset = ?3 WHERE table_name = ?1 AND key = ?2";
        self.change(sql, params![wanted.table, wanted.key, signed(offset)])
    }

    /// Notes that all of a file is in the folder.
    pub(super) fn fetched(&mut self, wanted: &Wanted, sha256: &str) -> Result<()> {
        let sql = "UPDATE attachments SET sha256 = ?3, fetched_at = ?4, problem = NULL, attempts = 0, \
                   next_at_ms = NULL, offset = 0 WHERE table_name = ?1 AND key = ?2";
        self.change(sql, params![wanted.table, wanted.key, sha256, rfc3339_ms(now_ms())])
    }

    /// Notes why a file is not there, and when it is tried again, from its start.
    pub(super) fn failed(&mut self, wanted: &Wanted, problem: &str, next_at_ms: u64) -> Result<()> {
        let sql = "UPDATE attachments SET problem = ?3, next_at_ms = ?4, attempts = attempts + 1, \
                   offset = 0 WHERE table_name = ?1 AND key = ?2";
        self.change(sql, params![wanted.table, wanted.key, problem, signed(next_at_ms)])
    }

    /// The missing files by table.
    pub(super) fn missing(&self) -> Result<Vec<Missing>> {
        let sql = "SELECT table_name, count(*), \
                   (SELECT name FROM attachments AS one WHERE one.table_name = all_of.table_name \
                    AND next_at_ms IS NOT NULL AND problem IS NOT NULL ORDER BY rowid LIMIT 1), \
                   (SELECT problem FROM attachments AS one WHERE one.table_name = all_of.table_name \
                    AND next_at_ms IS NOT NULL AND problem IS NOT NULL ORDER BY rowid LIMIT 1) \
                   FROM attachments AS all_of WHERE next_at_ms IS NOT NULL GROUP BY table_name";
        self.with(|database| {
            let missing = |row: &rusqlite::Row<'_>| {
                let first = row.get::<_, Option<String>>(2)?.zip(row.get(3)?);
                Ok(Missing { table: row.get(0)?, files: row.get::<_, i64>(1)?.cast_unsigned(), first })
            };
            database.prepare(sql)?.query_map([], missing)?.collect()
        })
    }

    /// Contents that only deleted rows have.
    pub(super) fn unreferenced(&self) -> Result<Vec<String>> {
        self.with(|database| {
            database.prepare_cached(UNREFERENCED)?.query_map([], |row| row.get(0))?.collect()
        })
    }

    /// How SQLite looks for them.
    #[cfg(test)]
    pub(super) fn plan_of_unreferenced(&self) -> Vec<String> {
        let sql = format!("EXPLAIN QUERY PLAN {UNREFERENCED}");
        let plan = self.with(|database| database.prepare(&sql)?.query_map([], |row| row.get(3))?.collect());
        plan.expect("a plan")
    }

    /// Notes that a content is not in the folder any more.
    pub(super) fn removed(&mut self, sha256: &str) -> Result<()> {
        let sql = "UPDATE attachments SET sha256 = NULL, fetched_at = NULL WHERE sha256 = ?1 AND deleted";
        self.change(sql, params![sha256])
    }

    fn change(&mut self, sql: &str, values: &[&dyn rusqlite::ToSql]) -> Result<()> {
        self.with(|database| database.prepare_cached(sql)?.execute(values).map(drop))
    }

    fn with<T>(&self, call: impl FnOnce(&Database) -> rusqlite::Result<T>) -> Result<T> {
        sqlite::in_place(&self.file)?;
        call(&self.database).map_err(|error| failed(self.file.path(), &error))
    }

    fn transaction(&mut self, call: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>) -> Result<()> {
        sqlite::in_place(&self.file)?;
        let path = self.file.path();
        let tx = self.database.transaction_with_behavior(TransactionBehavior::Immediate);
        let tx = tx.map_err(|error| failed(path, &error))?;
        call(&tx).and_then(|()| tx.commit()).map_err(|error| failed(path, &error))
    }
}

impl Drop for Manifest {
    fn drop(&mut self) {
        self.file.part_with_log(&self.database);
    }
}

fn newest_snapshot(tx: &Transaction<'_>, table: &str) -> rusqlite::Result<NewestSnapshot> {
    let sql = "SELECT generation, id, as_of FROM tables WHERE name = ?1";
    let found = |row: &rusqlite::Row<'_>| {
        Ok(NewestSnapshot { generation: row.get(0)?, id: row.get(1)?, as_of: row.get(2)? })
    };
    tx.prepare_cached(sql)?.query_row([table], found).optional().map(Option::unwrap_or_default)
}

fn failed(path: &Path, error: &rusqlite::Error) -> Error {
    of_known(Origin::Sink, format!("{}: {error}", path.display()), error)
}
