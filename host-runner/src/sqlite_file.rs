//! A SQLite file that this process has open, and that a person may move, delete or exchange meanwhile. SQLite
//! does not notice it, and would continue to write to a file that is not read.
//!
//! Knows nothing of tables.

use std::io::Result;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection as Database;
use rusqlite::config::DbConfig;

/// A file as it was when it was opened.
#[derive(Clone, Debug)]
pub(crate) struct OpenFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl OpenFile {
    /// The file at a path, which the caller has just opened.
    pub(crate) fn at(path: &Path) -> Result<Self> {
        Ok(Self { path: path.to_owned(), identity: identity(path)? })
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

    /// Moves the log into the database if the file is displaced: the log keeps its name, and SQLite would
    /// apply it to the file that takes the place. The caller then closes the database: from here on the log
    /// with this name may be that of another file.
    pub(crate) fn part_with_log(&self, database: &Database) {
        if self.displaced().is_none() {
            return;
        }
        if let Err(error) = empty_log(database).and_then(|()| leave_log(database)) {
            tracing::warn!(file = %self.path.display(), %error, "the log of a file that was moved stays");
        }
    }
}

/// From now on, closing this database neither applies nor deletes its log.
pub(crate) fn leave_log(database: &Database) -> rusqlite::Result<()> {
    database.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map(drop)
}

/// Moves the log into the file and empties it.
pub(crate) fn empty_log(database: &Database) -> rusqlite::Result<()> {
    database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

fn identity(path: &Path) -> Result<(u64, u64)> {
    std::fs::metadata(path).map(|found| (found.dev(), found.ino()))
}
