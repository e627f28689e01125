//! The journal's file: its tables, how it is opened, and which of its failures are damage.
//!
//! Knows nothing of commands or recovery.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rusqlite::{Connection as Database, ErrorCode, OpenFlags, Row};

use super::limits::{BUSY_TIMEOUT, CHECKPOINT_PAGES, JournalLimits, LOG_BYTES_KEPT, OPENINGS_MAX};
use crate::durable::sync_folder;
use crate::error::{Error, Kind, Origin, Result};
use crate::files::folder_of;
use crate::sqlite_failure::of_known;
use crate::sqlite_file::OpenFile;

/// "hrjl", as SQLite's `application_id`: a journal of this program.
const APPLICATION: i64 = 0x6872_6a6c;
/// The version of the tables below, as SQLite's `user_version`.
const LAYOUT: i64 = 3;
/// Bytes of a page, so that a delivery of a few KiB fits into one.
const PAGE_BYTES: u32 = 8_192;

const TABLES: &str = "
    CREATE TABLE openings (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, after INTEGER NOT NULL);
    CREATE TABLE connections (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    CREATE TABLE deliveries (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        connection INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        appended_at_ms INTEGER NOT NULL,
        acknowledged_at_ms INTEGER,
        received_at_ms INTEGER NOT NULL,
        checksum INTEGER NOT NULL,
        method TEXT NOT NULL,
        path TEXT NOT NULL,
        headers BLOB NOT NULL,
        body BLOB NOT NULL
    );
    CREATE INDEX deliveries_queued ON deliveries (connection, seq, bytes) WHERE acknowledged_at_ms IS NULL;
    CREATE INDEX deliveries_kept ON deliveries (connection, seq, bytes) WHERE acknowledged_at_ms IS NOT NULL;
    CREATE INDEX deliveries_kept_by_age ON deliveries (acknowledged_at_ms, seq, bytes)
        WHERE acknowledged_at_ms IS NOT NULL;
    CREATE TABLE dead_letters (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        seq INTEGER NOT NULL,
        connection INTEGER NOT NULL,
        cause TEXT NOT NULL,
        kind TEXT NOT NULL,
        code TEXT,
        reason TEXT NOT NULL,
        hint TEXT,
        attempts INTEGER NOT NULL,
        first_failed_at_ms INTEGER NOT NULL,
        dead_at_ms INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        received_at_ms INTEGER NOT NULL,
        checksum INTEGER NOT NULL,
        method TEXT NOT NULL,
        path TEXT NOT NULL,
        headers BLOB NOT NULL,
        body BLOB NOT NULL
    );
    CREATE INDEX dead_letters_in_order ON dead_letters (connection, id, bytes);
";
/// Finds the dead letters to evict. A file without it gets it when it is opened.
const BY_KIND: &str =
    "CREATE INDEX IF NOT EXISTS dead_letters_by_kind ON dead_letters (connection, kind, id)";

/// Beyond the limit, first openings in which no delivery came, then the oldest: a server that crashes at
/// every start does not push out the opening that positions name.
const FORGET: &str = "
    DELETE FROM openings WHERE number IN (
        SELECT number FROM (SELECT number, after, lead(after) OVER (ORDER BY number) AS next FROM openings)
        ORDER BY next IS NULL, next > after, number
        LIMIT max(0, (SELECT count(*) FROM openings) - ?1))";

/// Why the file could not be opened.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Its content is damaged, with SQLite's message.
    Unreadable(String),
    /// It belongs to another program, is in use, or the disk failed: it stays as it is.
    Other(Error),
}

/// Opens the file for writing. Creates file and tables if they are missing; numbers start at `now_ms`.
pub(super) fn open(path: &Path, limits: &JournalLimits, now_ms: u64) -> Result<Database, Trouble> {
    let io =
        |error: std::io::Error| Trouble::Other(Error::state(format!("journal {}: {error}", path.display())));
    // Bodies are personal data: only the owner may read them. SQLite gives its other files the same mode.
    OpenOptions::new().append(true).create(true).mode(0o600).open(path).map_err(io)?;
    let failed = |error: rusqlite::Error| trouble(path, &error);
    let mut database = Database::open(path).map_err(failed)?;
    database.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    // The owner is checked before any setting: some of them change the file.
    let identity = identity(&database).map_err(failed)?;
    let place = format!("journal {}", path.display());
    match identity {
        (0, 0) | (APPLICATION, LAYOUT) => {}
        (APPLICATION, layout) => {
            let error =
                Error::state(format!("{place}: layout {layout} belongs to another version of this program"));
            return Err(Trouble::Other(
                error.hint("use the program that wrote it, at least until the journal is empty"),
            ));
        }
        _ => {
            let error = Error::state(format!("{place}: a database of another program"));
            return Err(Trouble::Other(error.hint("choose another data folder")));
        }
    }
    if !settle(&database, limits).map_err(failed)? {
        let error = Error::state(format!("{place}: no write-ahead log with full sync on this file system"));
        return Err(Trouble::Other(error.hint("put the data folder on a local disk")));
    }
    if identity == (0, 0) {
        create(&mut database, now_ms).map_err(failed)?;
        // Without it, the directory entry may be lost at a power failure.
        sync_folder(folder_of(path)).map_err(io)?;
    }
    if let Err(error) = database.execute_batch(BY_KIND)
        && is_damage(&error)
    {
        return Err(failed(error));
    }
    // On a full disk the file stays without the index: slower, but usable.
    Ok(database)
}

/// Remembers that a process owns the journal from now on; returns the id of the opening.
pub(super) fn note_opening(database: &Database) -> rusqlite::Result<String> {
    database.execute(FORGET, [OPENINGS_MAX.cast_signed()])?;
    let note = "
        INSERT INTO openings (id, after) SELECT lower(hex(randomblob(16))), coalesce(max(seq), 0)
        FROM sqlite_sequence WHERE name = 'deliveries' RETURNING id";
    database.query_row(note, [], |row| row.get(0))
}

/// Ends the last opening of an owner: the numbers that a command uses belong to no opening, and no position
/// names them. Further commands add nothing, so that they push no opening out.
pub(super) fn end_opening(database: &Database) -> rusqlite::Result<()> {
    let note = "
        INSERT INTO openings (id, after) SELECT 'command ' || lower(hex(randomblob(16))),
            (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'deliveries')
        WHERE (SELECT id FROM openings ORDER BY number DESC LIMIT 1) NOT LIKE 'command %'";
    database.execute(note, []).map(drop)
}

/// Opens the file for reading.
pub(super) fn open_for_reading(path: &Path) -> rusqlite::Result<Database> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Database::open_with_flags(path, flags)?;
    database.busy_timeout(BUSY_TIMEOUT)?;
    database.pragma_update(None, "query_only", true)?;
    Ok(database)
}

/// Fails while the file is not where it was opened: a delivery that is written to it, or a number that is
/// read from another one in its place, would be lost with the next start.
pub(super) fn in_place(file: &OpenFile) -> Result<()> {
    let Some(why) = file.displaced() else { return Ok(()) };
    let message = format!("journal {}: {why}", file.path().display());
    Err(Error::new(Origin::State, Kind::Unavailable, message)
        .hint("move it back, or restart the server: it begins with the file that is there"))
}

/// Whether a failure of the database is damage of the file.
pub(super) fn trouble(path: &Path, error: &rusqlite::Error) -> Trouble {
    if is_damage(error) {
        Trouble::Unreadable(error.to_string())
    } else {
        Trouble::Other(failure(path, error))
    }
}

/// Whether the content of the file is damaged.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// A failure of the database as an error.
pub(super) fn failure(path: &Path, error: &rusqlite::Error) -> Error {
    let message: &dyn std::fmt::Display = match error {
        // The reader's own message, without the number of a column.
        rusqlite::Error::FromSqlConversionFailure(_, _, message) => message,
        other => other,
    };
    of_known(Origin::State, format!("journal {}: {message}", path.display()), error)
}

/// A column that is never negative.
pub(super) fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column).map(i64::cast_unsigned)
}

/// Applies the settings; true if write-ahead log and full sync are in force.
fn settle(database: &Database, limits: &JournalLimits) -> rusqlite::Result<bool> {
    database.set_prepared_statement_cache_capacity(64);
    database.pragma_update(None, "page_size", PAGE_BYTES)?;
    // Both take effect in a new file only.
    database.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    let mode: String = database.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    database.pragma_update(None, "synchronous", "FULL")?;
    let sync: i64 = database.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    if mode != "wal" || sync != 2 {
        return Ok(false);
    }
    database.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    database.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
    let page_bytes: i64 = database.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let pages = limits.file_bytes / page_bytes.cast_unsigned().max(1);
    let pages = i64::try_from(pages.clamp(1, 1 << 31)).unwrap_or(i64::MAX);
    database.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    Ok(true)
}

fn identity(database: &Database) -> rusqlite::Result<(i64, i64)> {
    let application = database.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let layout = database.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 = database.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    // Tables without an `application_id` belong to another program; the file is not empty.
    Ok(if tables > 0 && application == 0 { (-1, layout) } else { (application, layout) })
}

fn create(database: &mut Database, now_ms: u64) -> rusqlite::Result<()> {
    let transaction = database.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    // When two processes start at once, the second finds the tables.
    if identity(&transaction)? == (0, 0) {
        transaction.execute_batch(TABLES)?;
        let first = i64::try_from(now_ms).unwrap_or(0).saturating_mul(1_000);
        transaction.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('deliveries', ?1)", [first])?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", LAYOUT)?;
    }
    transaction.commit()
}
