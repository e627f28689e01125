//! The database file of a sink: open while rows are written, closed while its connection is idle.
//!
//! An idle connection holds the file's lock and no other file, no page cache and no statement. The lock,
//! which is on another file, keeps other writers out meanwhile. A person may exchange the file, which is
//! noticed before it is used, or overwrite it while it is closed, so its progress is compared when it is
//! opened again.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection as Database, OpenFlags};

use super::statements::PreparedTable;
use super::{STARTS_AGAIN, in_place, metadata, unusable};
use crate::error::{Error, Origin, Result};
use crate::sinks::columns::Layout;
use crate::sinks::{Load, SinkProgress};
use crate::sqlite_failure::of_known;
use crate::sqlite_file::OpenFile;

/// How long a commit waits for another program that holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
/// The same while the file is opened, which may hold up more than its own connection.
pub(super) const OPEN_TIMEOUT: Duration = Duration::from_secs(1);
/// Larger than SQLite's default of 4 KiB: rows of some kilobytes share pages instead of filling one each.
const PAGE_BYTES: u32 = 16 * 1024;
/// Pages kept in memory while whole tables are read, in KiB: a batch of the largest size fits twice.
const BULK_CACHE_KIB: i64 = 16 * 1024;
/// The same for one of many connections.
const LIVE_CACHE_KIB: i64 = 8 * 1024;
/// A WAL that a long reader let grow is cut to this size once it is empty.
const WAL_BYTES_MAX: i64 = 16 << 20;
/// Prepared statements kept: eight per table of a large connector.
const STATEMENTS: usize = 512;

/// See the file's header.
pub(super) struct DatabaseFile {
    file: OpenFile,
    load: Load,
    /// How far it was when it was closed; none before, or if it could not be read.
    closed_at: Option<SinkProgress>,
    open: OnceCell<Open>,
}

/// An open database.
pub(super) struct Open {
    pub(super) database: Database,
    pub(super) tables: HashMap<String, PreparedTable>,
}

impl Open {
    fn new(database: Database, path: &Path) -> Result<Self> {
        let wrong =
            |error: rusqlite::Error| of_known(Origin::Sink, format!("{}: {error}", path.display()), &error);
        database.busy_timeout(BUSY_TIMEOUT).map_err(wrong)?;
        let mut tables = HashMap::new();
        for (table, layout) in metadata::layouts(&database).map_err(wrong)? {
            let layout: Layout = serde_json::from_str(&layout)
                .map_err(|error| Error::sink(format!("_sync_columns: `{table}`: {error}")))?;
            tables.insert(table, PreparedTable::new(layout));
        }
        Ok(Self { database, tables })
    }
}

impl DatabaseFile {
    /// The file at `path`, which `database` has open.
    pub(super) fn new(database: Database, path: &Path, load: Load) -> Result<Self> {
        let open = Open::new(database, path)?;
        let file = OpenFile::at(path).map_err(|error| Error::sink(format!("{}: {error}", path.display())))?;
        Ok(Self { file, load, closed_at: None, open: OnceCell::from(open) })
    }

    /// The open database. Opens the file again if it was closed; fails if it was moved, or another file has
    /// its place, whose cursors are not those that its connection knows.
    pub(super) fn open(&self) -> Result<&Open> {
        in_place(&self.file)?;
        let path = self.file.path();
        if let Some(open) = self.open.get() {
            return Ok(open);
        }
        let wrong =
            |error: rusqlite::Error| of_known(Origin::Sink, format!("{}: {error}", path.display()), &error);
        let database = existing(path, self.load).map_err(wrong)?;
        if let Some(closed_at) = &self.closed_at
            && metadata::progress(&database).map_err(wrong)? != *closed_at
        {
            let message = format!("{}: is not as it was: it was restored from a backup", path.display());
            return Err(Error::sink(message).hint(STARTS_AGAIN));
        }
        let open = Open::new(database, path)?;
        self.file.note_log();
        Ok(self.open.get_or_init(|| open))
    }

    /// See [`DatabaseFile::open`].
    pub(super) fn open_mut(&mut self) -> Result<&mut Open> {
        self.open()?;
        let path = self.file.path();
        self.open.get_mut().ok_or_else(|| Error::sink(format!("{}: is closed", path.display())))
    }

    /// Closes the file until it is used again. Rows in the WAL are moved into the database.
    pub(super) fn close(&mut self) {
        let Some(Open { database, .. }) = self.open.take() else { return };
        self.closed_at = metadata::progress(&database).ok();
        self.file.part_with_log(&database);
        if let Err((_, error)) = database.close() {
            tracing::debug!(%error, "the database is closed with a failure");
        }
    }

    /// Leaves the mode in which a new file is filled.
    pub(super) fn leave_filling(&self) -> Result<()> {
        let database = &self.open()?.database;
        // The first deletes the journal, which the second would leave behind.
        let modes = ["DELETE", "WAL"];
        let changed = modes.iter().try_for_each(|mode| database.pragma_update(None, "journal_mode", mode));
        changed.map_err(|error| unusable(self.file.path(), &error))
    }
}

impl Drop for DatabaseFile {
    fn drop(&mut self) {
        match self.open.take() {
            Some(open) => self.file.part_with_log(&open.database),
            None => self.file.set_log_aside(),
        }
    }
}

/// Opens or creates a file.
pub(super) fn connect(path: &Path, load: Load) -> rusqlite::Result<Database> {
    configure(Database::open(path)?, load)
}

fn existing(path: &Path, load: Load) -> rusqlite::Result<Database> {
    let flags = OpenFlags::default() & !OpenFlags::SQLITE_OPEN_CREATE;
    configure(Database::open_with_flags(path, flags)?, load)
}

fn configure(database: Database, load: Load) -> rusqlite::Result<Database> {
    database.busy_timeout(OPEN_TIMEOUT)?;
    database.pragma_update(None, "page_size", PAGE_BYTES)?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "FULL")?;
    let cache_kib = if load == Load::Bulk { BULK_CACHE_KIB } else { LIVE_CACHE_KIB };
    database.pragma_update(None, "cache_size", -cache_kib)?;
    database.pragma_update(None, "journal_size_limit", WAL_BYTES_MAX)?;
    database.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(database)
}
