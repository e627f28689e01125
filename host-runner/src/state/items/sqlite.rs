//! The values of a connection in a SQLite file that is open during one statement, so that connections cost
//! neither file descriptors nor memory.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection as Database, OpenFlags, OptionalExtension, params};

use super::{Item, StateStore, Stored};
use crate::error::{Error, Origin, Result};
use crate::sqlite_failure::of_known;

/// How long a statement waits for another process that holds the file, for example a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The same for [`SqliteStore::peek`]: a server that starts reads thousands of files before deliveries are
/// taken.
const PEEK_TIMEOUT: Duration = Duration::from_millis(250);

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS items (
        name TEXT PRIMARY KEY,
        revision INTEGER NOT NULL,
        value BLOB
    ) WITHOUT ROWID;";
const LOAD: &str = "SELECT value, revision FROM items WHERE name = ?1";
const INSERT: &str = "
    INSERT INTO items (name, value, revision) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
const REPLACE: &str = "UPDATE items SET value = ?2, revision = ?3 WHERE name = ?1 AND revision = ?4";

/// See the file's header.
pub(in crate::state) struct SqliteStore {
    connection: String,
    path: PathBuf,
}

impl SqliteStore {
    /// Creates the file if it is missing.
    pub(in crate::state) fn open(path: PathBuf, connection: &str) -> Result<Self> {
        let create = || -> rusqlite::Result<()> {
            let database = open(&path, OpenFlags::default())?;
            // One file, and no others while it is open. Rows are few: readers do not wait for long.
            database.pragma_update(None, "journal_mode", "DELETE")?;
            database.execute_batch(TABLES)
        };
        create().map_err(|error| of_known(Origin::State, format!("{}: {error}", path.display()), &error))?;
        Ok(Self { connection: connection.to_owned(), path })
    }

    /// Some values of an existing file, without creating anything and without waiting for long.
    pub(in crate::state) fn peek<const N: usize>(
        path: &Path,
        connection: &str,
        items: [Item; N],
    ) -> Result<[Option<Vec<u8>>; N]> {
        let peek = || -> rusqlite::Result<_> {
            let database = Database::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            database.busy_timeout(PEEK_TIMEOUT)?;
            let mut load = database.prepare(LOAD)?;
            let mut values = [const { None }; N];
            for (item, value) in items.into_iter().zip(&mut values) {
                *value = load.query_row([item.name()], |row| row.get(0)).optional()?.flatten();
            }
            Ok(values)
        };
        peek().map_err(|error| unusable(connection, &error))
    }

    fn with<T>(&self, work: impl FnOnce(&Database) -> rusqlite::Result<T>) -> Result<T> {
        let work = || work(&open(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE)?);
        work().map_err(|error| unusable(&self.connection, &error))
    }
}

impl StateStore for SqliteStore {
    fn load(&self, item: Item) -> Result<Stored> {
        self.with(|database| {
            let stored = database.query_row(LOAD, [item.name()], |row| {
                Ok(Stored { value: row.get(0)?, revision: row.get::<_, i64>(1)?.cast_unsigned() })
            });
            Ok(stored.optional()?.unwrap_or_default())
        })
    }

    fn store(&self, item: Item, value: Option<&[u8]>, expected: u64, above: u64) -> Result<Option<u64>> {
        let revision = expected.max(above).saturating_add(1);
        let (new, old) = (revision.cast_signed(), expected.cast_signed());
        let changed = self.with(|database| match expected {
            0 => database.execute(INSERT, params![item.name(), value, new]),
            _ => database.execute(REPLACE, params![item.name(), value, new, old]),
        })?;
        Ok((changed == 1).then_some(revision))
    }
}

fn unusable(connection: &str, error: &rusqlite::Error) -> Error {
    of_known(Origin::State, format!("connection `{connection}`: its state cannot be used: {error}"), error)
}

fn open(path: &Path, flags: OpenFlags) -> rusqlite::Result<Database> {
    let database = Database::open_with_flags(path, flags)?;
    database.busy_timeout(BUSY_TIMEOUT)?;
    database.pragma_update(None, "synchronous", "FULL")?;
    Ok(database)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rusqlite::Connection as Database;

    use super::{Item, SqliteStore, StateStore};

    /// A value of several pages.
    fn value(byte: u8) -> Vec<u8> {
        vec![byte; 60_000]
    }

    /// The session in a state of these bytes, after which it can be replaced.
    fn session(database: &[u8], journal: &[u8]) -> Option<Vec<u8>> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state.db");
        std::fs::write(&path, database).expect("written");
        std::fs::write(folder.path().join("state.db-journal"), journal).expect("written");
        let store = SqliteStore::open(path, "acme").expect("opened");
        let stored = store.load(Item::Session).expect("loaded");
        store.store(Item::Session, Some(&value(3)), stored.revision, 0).expect("asked").expect("stored");
        stored.value
    }

    fn read(folder: &Path) -> [Vec<u8>; 2] {
        ["state.db", "state.db-journal"].map(|name| std::fs::read(folder.join(name)).unwrap_or_default())
    }

    #[test]
    fn a_change_that_a_power_cut_tore_at_any_length_leaves_the_value_before_or_after_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state.db");
        let store = SqliteStore::open(path.clone(), "acme").expect("opened");
        store.store(Item::Session, Some(&value(1)), 0, 0).expect("asked").expect("stored");
        let [before, _] = read(folder.path());
        let database = Database::open(&path).expect("opened");
        // No page stays in memory: SQLite syncs its journal and writes pages before the commit.
        database.execute_batch("PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN").expect("begun");
        let change = "UPDATE items SET value = ?1, revision = revision + 1 WHERE name = 'session'";
        database.execute(change, [value(2)]).expect("changed");
        let [during, journal] = read(folder.path());
        assert!(during != before && !journal.is_empty(), "{} and {} bytes", during.len(), journal.len());
        database.execute_batch("COMMIT").expect("committed");
        let [after, gone] = read(folder.path());
        // The journal is written before the first page is.
        for length in (0..=journal.len()).step_by(997) {
            assert_eq!(session(&before, &journal[..length]), Some(value(1)), "{length} bytes of the journal");
        }
        // Then pages, in any order.
        for length in (0..=during.len()).step_by(2_048) {
            let front = [&during[..length], before.get(length..).unwrap_or_default()].concat();
            assert_eq!(session(&front, &journal), Some(value(1)), "the first {length} bytes");
            if let Some(old) = before.get(..length) {
                let back = [old, &during[length..]].concat();
                assert_eq!(session(&back, &journal), Some(value(1)), "all but the first {length} bytes");
            }
        }
        assert_eq!((gone.len(), session(&after, &gone)), (0, Some(value(2))), "the journal is deleted");
    }
}
