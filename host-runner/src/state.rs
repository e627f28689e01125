//! What the runner keeps of a connection in its data folder: session, subscription, webhook URL, lock.
//!
//! Layout: `<data>/key` (0600), `<data>/cache/`, `<data>/<name>/lock`, `<data>/<name>/state.db`.
//! Subscription and webhook URL may be changed without the lock: each is one row, written in one statement,
//! and a running server reads them again. The session may be written through a [`LockedStore`] only, because
//! two processes would invalidate each other's tokens.
//!
//! A few rows that change once an hour: the file is open during one statement, so that connections cost
//! neither file descriptors nor memory. Every method blocks.
//!
//! Cursors are not here: the sink stores them in one transaction with the rows.

pub mod key;

pub(crate) mod owned;
pub(crate) mod rotation;

mod accepted_hosts;
mod seal;
mod session;
mod subscription;
mod webhook_url;

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use rusqlite::types::FromSql;
use rusqlite::{Connection as Database, OpenFlags, OptionalExtension, Params};

use self::key::Key;
use crate::error::{Error, Kind, Origin, Result};
use crate::paths::Paths;
use crate::secret::Redactor;

pub use self::owned::private_folder;
pub use self::subscription::StoredSubscription;
pub use self::webhook_url::{StoredWebhookUrl, StoredWebhookUrls, WebhookUrl};

/// How long a statement waits for another process that holds the file, for example a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS session (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        sealed BLOB NOT NULL,
        updated_at_ms INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS subscription (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        sealed BLOB NOT NULL,
        updated_at_ms INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS webhook_url (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        secrets TEXT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS url_secret (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        sealed BLOB NOT NULL
    );
    CREATE TABLE IF NOT EXISTS accepted_hosts (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        hosts TEXT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS served (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        file TEXT NOT NULL,
        removed_at_ms INTEGER
    );";

/// The state of one connection. Clones share the session that could not be stored.
#[derive(Clone)]
pub struct ConnectionStore(Arc<Inner>);

struct Inner {
    name: String,
    folder: PathBuf,
    key: Key,
    redactor: Redactor,
    memory: Mutex<session::Memory>,
}

/// Differs between two contents of the file, without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    modified: SystemTime,
    bytes: u64,
}

/// The state of a connection that this process has locked. Clones share the lock; dropping the last one
/// releases it.
#[derive(Clone)]
pub struct LockedStore {
    store: ConnectionStore,
    _lock: Arc<File>,
}

impl Deref for LockedStore {
    type Target = ConnectionStore;

    fn deref(&self) -> &ConnectionStore {
        &self.store
    }
}

impl ConnectionStore {
    /// Opens the state of a connection; creates it, and the key of the installation, if they are missing.
    pub fn open(paths: &Paths, name: &str) -> Result<Self> {
        let key = paths.key()?;
        let folder = paths.connection(name);
        private_folder(&folder)?;
        let path = folder.join("state.db");
        owned::private_file(&path)?;
        let create = || -> rusqlite::Result<()> {
            let database = open(&path, OpenFlags::default())?;
            // One file, and no others while it is open. Rows are few: readers do not wait for long.
            database.pragma_update(None, "journal_mode", "DELETE")?;
            database.execute_batch(TABLES)
        };
        create().map_err(|error| Error::state(format!("{}: {error}", path.display())))?;
        let (name, redactor) = (name.to_owned(), paths.redactor.clone());
        Ok(Self(Arc::new(Inner { name, folder, key, redactor, memory: Mutex::default() })))
    }

    /// The connection's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Knows the secrets of the connection.
    pub fn redactor(&self) -> &Redactor {
        &self.0.redactor
    }

    /// Another stamp means that a process changed the state; none if there is no file.
    pub fn stamp(&self) -> Option<Stamp> {
        stamp(&self.0.folder.join("state.db"))
    }

    /// Locks the connection; fails with the process that holds it.
    pub fn lock(&self) -> Result<LockedStore> {
        let lock = lock(&self.0.folder, self.name())?;
        Ok(LockedStore { store: self.clone(), _lock: Arc::new(lock) })
    }

    /// The first column of the only row.
    fn value<T: FromSql>(&self, sql: &str) -> Result<Option<T>> {
        self.row(sql, |row| row.get(0))
    }

    fn row<T>(
        &self,
        sql: &str,
        read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        self.with(|database| database.query_row(sql, [], read).optional())
    }

    /// The number of rows that a statement changed.
    fn execute(&self, sql: &str, parameters: impl Params) -> Result<usize> {
        self.with(|database| database.execute(sql, parameters))
    }

    fn with<T>(&self, work: impl FnOnce(&Database) -> rusqlite::Result<T>) -> Result<T> {
        let work = || work(&open(&self.0.folder.join("state.db"), OpenFlags::SQLITE_OPEN_READ_WRITE)?);
        work().map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> Error {
        Error::state(format!("connection `{}`: its state cannot be used: {error}", self.name()))
    }
}

fn open(path: &Path, flags: OpenFlags) -> rusqlite::Result<Database> {
    let database = Database::open_with_flags(path, flags)?;
    database.busy_timeout(BUSY_TIMEOUT)?;
    database.pragma_update(None, "synchronous", "FULL")?;
    Ok(database)
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some(Stamp { modified: metadata.modified().ok()?, bytes: metadata.len() })
}

/// Locks `<folder>/lock`, which holds the number of the process that has it.
fn lock(folder: &Path, name: &str) -> Result<File> {
    let path = folder.join("lock");
    let failed = |error: std::io::Error| Error::state(format!("{}: {error}", path.display()));
    let mut file =
        owned::open(&path, OpenOptions::new().read(true).write(true).create(true).truncate(false))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::Error(error)) => return Err(failed(error)),
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _unknown = file.read_to_string(&mut holder);
            let holder = match holder.trim() {
                "" => "another process".to_owned(),
                process => format!("process {process}"),
            };
            let message = format!("connection `{name}`: in use by {holder}");
            return Err(Error::new(Origin::State, Kind::Unavailable, message)
                .hint("wait until it ends; two processes must not refresh one connection's tokens"));
        }
    }
    file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(file)
}

#[cfg(test)]
mod tests;
