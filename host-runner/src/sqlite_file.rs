//! A SQLite file that this process has open, and that a person may move, delete or exchange meanwhile. SQLite
//! does not notice it, and would continue to write to a file that is not read.
//!
//! Knows nothing of tables.

use std::io::Result;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection as Database, ffi};

use crate::files;

/// A file as it was when it was opened.
#[derive(Clone, Debug)]
pub(crate) struct OpenFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
    /// The inode of its log, which is in the same folder; 0 of an empty one, and without one.
    log: Arc<AtomicU64>,
}

impl OpenFile {
    /// The file at a path, which the caller has just opened.
    pub(crate) fn at(path: &Path) -> Result<Self> {
        let file = Self { path: path.to_owned(), identity: identity(path)?, log: Arc::default() };
        file.note_log();
        Ok(file)
    }

    /// Notes which log it has. The caller has just opened it again, with another log.
    pub(crate) fn note_log(&self) {
        let inode = identity(&self.beside("-wal")).map_or(0, |(_, inode)| inode);
        self.log.store(inode, Ordering::Relaxed);
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Why its path does not lead to it any more; none if it does.
    pub(crate) fn displaced(&self) -> Option<String> {
        match identity(&self.path) {
            Ok(found) if found == self.identity => None,
            Ok(_) => Some("another file has taken its place".to_owned()),
            Err(error) => Some(format!("it was moved or deleted: {error}")),
        }
    }

    /// Parts a file from its log, which keeps its name: SQLite would apply it to a file that takes the place.
    /// Another program that has the file open keeps the log there. The caller then closes the database.
    pub(crate) fn part_with_log(&self, database: &Database) {
        if empty_log_at_once(database).is_ok() {
            self.log.store(0, Ordering::Relaxed);
        }
        if self.displaced().is_some() {
            let _misuse = leave_log(database);
            self.set_log_aside();
        }
    }

    /// Names the log of a displaced file after its inode, if a reader of that file was in the way of parting
    /// with it. Readers keep their files open.
    pub(crate) fn set_log_aside(&self) {
        let log = self.beside("-wal");
        let is_its_own = |(_, inode)| inode == self.log.load(Ordering::Relaxed);
        // A person may have moved it, too.
        if self.displaced().is_none() || !identity(&log).is_ok_and(is_its_own) {
            return;
        }
        let aside = self.beside(&format!("-wal-of-inode-{}", self.identity.1));
        // The other file is the index of that log.
        let moved = std::fs::rename(&log, &aside).and_then(|()| std::fs::remove_file(self.beside("-shm")));
        let (file, log) = (self.path.display(), aside.display());
        match moved {
            Ok(()) => tracing::warn!(%file, %log, "a file was moved: without this log it is damaged"),
            Err(error) => tracing::warn!(%file, %error, "the log of a file that was moved stays"),
        }
    }

    /// The path of a file that belongs to it.
    fn beside(&self, suffix: &str) -> PathBuf {
        files::with_suffix(&self.path, suffix)
    }
}

/// [`empty_log`] without waiting for readers.
pub(crate) fn empty_log_at_once(database: &Database) -> rusqlite::Result<()> {
    let waits_ms = database.pragma_query_value(None, "busy_timeout", |row| row.get::<_, u32>(0))?;
    database.busy_timeout(Duration::ZERO)?;
    let emptied = empty_log(database);
    database.busy_timeout(Duration::from_millis(waits_ms.into()))?;
    emptied
}

/// From now on, closing this database neither applies nor deletes its log: the one with its name may be that
/// of another file.
pub(crate) fn leave_log(database: &Database) -> rusqlite::Result<()> {
    database.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map(drop)
}

/// Moves the log into the file and empties it. Fails if a reader needs the log: SQLite says so in the first
/// column, and moves a part.
pub(crate) fn empty_log(database: &Database) -> rusqlite::Result<()> {
    match database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))? {
        0 => Ok(()),
        _ => Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), None)),
    }
}

fn identity(path: &Path) -> Result<(u64, u64)> {
    std::fs::metadata(path).map(|found| (found.dev(), found.ino()))
}
