//! What the runner keeps for a connection under the data folder: its lock and its sealed session.
//!
//! Layout: `<data>/key` (0600), `<data>/cache/`, `<data>/<name>/lock`, `<data>/<name>/state.db`.
//! Cursors are not here: they live with the sink, in one transaction with the rows.

pub mod hook;
pub mod key;
pub mod subscription;

mod seal;

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection as Database, OptionalExtension, params};

use self::key::Key;
use crate::error::{Error, Result};
use crate::sandbox::SessionKeeper;
use crate::secret::Redactor;

/// Waiting for another process that reads the file, for example a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The folder of one connection, held by this process alone.
#[derive(Debug)]
pub struct Lock {
    folder: PathBuf,
    _file: File,
}

/// Sealed sessions of one connection.
pub struct Sessions {
    database: Database,
    name: String,
    key: Key,
    redactor: Redactor,
}

const SESSION: &str = "CREATE TABLE IF NOT EXISTS session (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    sealed BLOB NOT NULL,
    updated_at_ms INTEGER NOT NULL
)";

/// Opens `state.db` of a connection's folder with a table that it must have.
fn database(folder: &Path, table: &str) -> Result<Database> {
    let path = folder.join("state.db");
    let open = || -> rusqlite::Result<Database> {
        let database = Database::open(&path)?;
        database.busy_timeout(BUSY_TIMEOUT)?;
        database.pragma_update(None, "journal_mode", "WAL")?;
        database.pragma_update(None, "synchronous", "FULL")?;
        database.execute_batch(table)?;
        Ok(database)
    };
    open().map_err(|error| Error::state(format!("{}: {error}", path.display())))
}

/// Makes a folder that only its owner may enter.
pub fn private_folder(folder: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| Error::state(format!("folder {}: {error}", folder.display())))
}

impl Lock {
    /// Takes the lock of `<data>/<name>`, or says who holds it.
    pub fn take(data: &Path, name: &str) -> Result<Self> {
        let folder = data.join(name);
        private_folder(&folder)?;
        let path = folder.join("lock");
        let failed = |error: std::io::Error| Error::state(format!("{}: {error}", path.display()));
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
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
                return Err(Error::state(format!("connection `{name}`: in use by {holder}"))
                    .hint("wait until it ends; two processes must not refresh one connection's tokens"));
            }
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Self { folder, _file: file })
    }

    /// The folder that is locked.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// When a connection's session was changed last, whoever did; needs no lock.
pub fn session_changed_at(data: &Path, name: &str) -> Option<i64> {
    let database = database(&data.join(name), SESSION).ok()?;
    database.query_row("SELECT updated_at_ms FROM session", [], |row| row.get(0)).optional().ok()?
}

impl Sessions {
    /// Opens the state of a locked connection.
    pub fn open(lock: &Lock, name: &str, key: Key, redactor: Redactor) -> Result<Self> {
        let database = database(lock.folder(), SESSION)?;
        Ok(Self { database, name: name.to_owned(), key, redactor })
    }

    /// The session kept last.
    pub fn load(&self) -> Result<Option<String>> {
        let sealed: Option<Vec<u8>> = self
            .database
            .query_row("SELECT sealed FROM session", [], |row| row.get(0))
            .optional()
            .map_err(|error| self.failed(&error))?;
        let Some(sealed) = sealed else { return Ok(None) };
        let session = seal::open(&self.key, self.name.as_bytes(), &sealed).ok_or_else(|| {
            Error::state(format!("connection `{}`: its session does not open with this key", self.name))
                .hint("use the key it was made with (HOST_RUNNER_KEY, --key-file or <data>/key), or authorize again after: state reset --session")
        })?;
        self.redactor.learn_session(&self.name, &session);
        Ok(Some(session))
    }

    /// Forgets the session. True if there was one.
    pub fn forget(&self) -> Result<bool> {
        let forgotten = self.database.execute("DELETE FROM session", []);
        forgotten.map(|rows| rows > 0).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &rusqlite::Error) -> Error {
        Error::state(format!("connection `{}`: its state cannot be used: {error}", self.name))
    }
}

impl SessionKeeper for Sessions {
    fn keep(&mut self, session: Option<&str>) -> Result<()> {
        let Some(session) = session else { return self.forget().map(drop) };
        self.redactor.learn_session(&self.name, session);
        let sealed = seal::seal(&self.key, self.name.as_bytes(), session)?;
        let now = i64::try_from(crate::clock::now_ms()).unwrap_or(i64::MAX);
        self.database
            .execute("INSERT OR REPLACE INTO session VALUES (1, ?1, ?2)", params![sealed, now])
            .map(drop)
            .map_err(|error| self.failed(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::key::Key;
    use super::{Lock, Sessions};
    use crate::sandbox::SessionKeeper;
    use crate::secret::Redactor;

    const SESSION: &str = r#"{"refresh":"1000.very-secret-token"}"#;

    #[test]
    fn a_connection_is_held_by_one_process_at_a_time() {
        let data = tempfile::tempdir().expect("a folder");
        let lock = Lock::take(data.path(), "acme").expect("free");
        let error = Lock::take(data.path(), "acme").expect_err("taken twice");
        assert_eq!(error.message, format!("connection `acme`: in use by process {}", std::process::id()));
        Lock::take(data.path(), "other").expect("another connection is free");
        drop(lock);
        Lock::take(data.path(), "acme").expect("free again");
    }

    #[test]
    fn sessions_come_back_with_the_same_key_only_and_are_sealed_on_disk() {
        let data = tempfile::tempdir().expect("a folder");
        let lock = Lock::take(data.path(), "acme").expect("free");
        let redactor = Redactor::default();
        let open = |byte: u8| {
            Sessions::open(&lock, "acme", Key::from_bytes([byte; 32]), redactor.clone()).expect("opened")
        };
        let mut sessions = open(1);
        assert_eq!(sessions.load().expect("loaded"), None);
        sessions.keep(Some(SESSION)).expect("kept");
        assert_eq!(sessions.load().expect("loaded").as_deref(), Some(SESSION));
        assert_eq!(redactor.redact("1000.very-secret-token"), "[secret]");
        drop(sessions);

        assert_eq!(open(1).load().expect("loaded").as_deref(), Some(SESSION));
        assert!(open(2).load().is_err(), "another key opened it");
        for entry in std::fs::read_dir(lock.folder()).expect("listed") {
            let bytes = std::fs::read(entry.expect("an entry").path()).expect("read");
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains("very-secret-token"), "the session is on disk in the clear");
        }
        assert!(open(1).forget().expect("forgotten"));
        assert_eq!(open(1).load().expect("loaded"), None);
    }
}
