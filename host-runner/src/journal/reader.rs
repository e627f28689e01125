//! Reads queued deliveries and dead letters concurrently with the writer, without waiting for it.
//!
//! Verifies every checksum; the caller decides about damaged records.

use std::sync::{Mutex, PoisonError};

use rusqlite::types::Type;
use rusqlite::{Connection as Database, OptionalExtension, Row, params};

use super::database::{failure, in_place, number, open_for_reading};
use super::ledger::Tally;
use super::limits::READERS_KEPT;
use super::position::Opening;
use super::record::Raw;
use crate::error::Result;
use crate::inbox::Stored;
use crate::inbox::{Cause, DeadLetter, DeadRecord, Failure};
use crate::sqlite_file::{OpenFile, leave_log};

const NEXT: &str = "
    SELECT seq, bytes, received_at_ms, checksum, method, path, headers, body FROM deliveries
    WHERE connection = (SELECT id FROM connections WHERE name = ?1) AND seq > ?2
        AND acknowledged_at_ms IS NULL
    ORDER BY seq LIMIT ?3";
const OLDEST: &str = "
    SELECT received_at_ms FROM deliveries
    WHERE connection = (SELECT id FROM connections WHERE name = ?1) AND acknowledged_at_ms IS NULL
    ORDER BY seq LIMIT 1";
const OPENINGS: &str = "SELECT id, after FROM openings ORDER BY number";
const LAST_SEQ: &str = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'deliveries'";
const LETTERS: &str = "
    SELECT d.id, d.seq, c.name, received_at_ms, bytes, cause, kind, code, reason, hint, attempts,
        first_failed_at_ms, dead_at_ms
    FROM dead_letters d JOIN connections c ON c.id = d.connection
    WHERE d.id > ?1 AND (?2 IS NULL OR c.name = ?2) ORDER BY d.id LIMIT ?3";
const LAST_LETTER: &str = "
    SELECT d.id, d.seq, c.name, received_at_ms, bytes, cause, kind, code, reason, hint, attempts,
        first_failed_at_ms, dead_at_ms
    FROM dead_letters d JOIN connections c ON c.id = d.connection
    WHERE c.name = ?1 ORDER BY d.id DESC LIMIT 1";
const LETTER: &str = "
    SELECT d.id, d.seq, c.name, received_at_ms, bytes, cause, kind, code, reason, hint, attempts,
        first_failed_at_ms, dead_at_ms, checksum, method, path, headers, body
    FROM dead_letters d JOIN connections c ON c.id = d.connection WHERE d.id = ?1";

/// Database connections for reading.
pub(super) struct Readers {
    file: OpenFile,
    idle: Mutex<Vec<Database>>,
}

/// Deliveries in their order, and the damaged records between them.
#[derive(Default)]
pub(super) struct Page {
    pub(super) stored: Vec<Stored>,
    pub(super) corrupt: Vec<(u64, String)>,
}

impl Readers {
    pub(super) fn new(file: OpenFile) -> Self {
        Self { file, idle: Mutex::default() }
    }

    pub(super) fn next(&self, connection: &str, after: u64, max: usize, max_bytes: usize) -> Result<Page> {
        let count = i64::try_from(max).unwrap_or(i64::MAX);
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        self.read(|database| {
            let mut statement = database.prepare_cached(NEXT)?;
            let mut rows = statement.query(params![connection, after, count])?;
            let mut page = Page::default();
            let mut bytes = 0;
            while bytes < max_bytes
                && let Some(row) = rows.next()?
            {
                let seq = number(row, 0)?;
                bytes = bytes.saturating_add(usize::try_from(number(row, 1)?).unwrap_or(usize::MAX));
                match raw(row, 2, 3)?.decode(connection) {
                    (delivery, None) => page.stored.push(Stored { seq, delivery }),
                    (_, Some(wrong)) => page.corrupt.push((seq, wrong)),
                }
            }
            Ok(page)
        })
    }

    pub(super) fn oldest(&self, connection: &str) -> Result<Option<u64>> {
        self.read(|database| {
            database.prepare_cached(OLDEST)?.query_row([connection], |row| number(row, 0)).optional()
        })
    }

    /// The openings of the file, oldest first, and the last number that it has used.
    pub(super) fn openings(&self) -> Result<(Vec<Opening>, u64)> {
        self.read(|database| {
            let mut statement = database.prepare_cached(OPENINGS)?;
            let openings =
                statement.query_map([], |row| Ok(Opening { id: row.get(0)?, after: number(row, 1)? }));
            let openings = openings?.collect::<rusqlite::Result<_>>()?;
            Ok((openings, database.query_row(LAST_SEQ, [], |row| number(row, 0))?))
        })
    }

    pub(super) fn dead_letters(
        &self,
        connection: Option<&str>,
        after: u64,
        max: usize,
    ) -> Result<Vec<DeadLetter>> {
        let count = i64::try_from(max).unwrap_or(i64::MAX);
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        self.read(|database| {
            let mut statement = database.prepare_cached(LETTERS)?;
            statement.query_map(params![after, connection, count], letter)?.collect()
        })
    }

    pub(super) fn last_dead_letter(&self, connection: &str) -> Result<Option<DeadLetter>> {
        self.read(|database| database.prepare_cached(LAST_LETTER)?.query_row([connection], letter).optional())
    }

    /// Queued deliveries and dead letters of a connection.
    pub(super) fn tallies(&self, connection: &str) -> Result<(Tally, Tally)> {
        let tally = |database: &Database, table: &str| {
            let sql = format!(
                "SELECT count(*), coalesce(sum(bytes), 0) FROM {table}
                 AND connection = (SELECT id FROM connections WHERE name = ?1)"
            );
            let mut statement = database.prepare_cached(&sql)?;
            statement
                .query_row([connection], |row| Ok(Tally { count: number(row, 0)?, bytes: number(row, 1)? }))
        };
        self.read(|database| {
            let queued = tally(database, "deliveries WHERE acknowledged_at_ms IS NULL")?;
            Ok((queued, tally(database, "dead_letters WHERE true")?))
        })
    }

    pub(super) fn dead_letter(&self, id: u64) -> Result<Option<DeadRecord>> {
        self.read(|database| {
            let mut statement = database.prepare_cached(LETTER)?;
            let record = statement.query_row([id.cast_signed()], |row| {
                let letter = letter(row)?;
                let (delivery, corrupt) = raw(row, 3, 13)?.decode(&letter.connection);
                Ok(DeadRecord { letter, delivery, corrupt })
            });
            record.optional()
        })
    }

    /// Whether the file is where it was opened.
    pub(super) fn is_in_place(&self) -> bool {
        self.file.displaced().is_none()
    }

    /// Closes the databases that are idle, before the writer closes its own and with it the log.
    pub(super) fn close(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Opens the file. The log is the writer's: it knows whether the file is in its place.
    fn open(&self) -> rusqlite::Result<Database> {
        let database = open_for_reading(self.file.path())?;
        leave_log(&database)?;
        Ok(database)
    }

    fn read<T>(&self, work: impl FnOnce(&Database) -> rusqlite::Result<T>) -> Result<T> {
        in_place(&self.file)?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let database = match idle {
            Some(database) => Ok(database),
            None => self.open(),
        };
        let done = database.and_then(|database| work(&database).map(|value| (database, value)));
        // A database connection that failed is closed.
        let (database, value) = done.map_err(|error| failure(self.file.path(), &error))?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < READERS_KEPT {
            idle.push(database);
        }
        Ok(value)
    }
}

/// Columns `checksum, method, path, headers, body` from `first` on, and the time in `received`.
///
/// A damaged text column is no error, so that `dead-letters show` can print it.
pub(super) fn raw(row: &Row<'_>, received: usize, first: usize) -> rusqlite::Result<Raw> {
    let text = |column| -> rusqlite::Result<String> {
        Ok(String::from_utf8_lossy(bytes(row, column)?).into_owned())
    };
    Ok(Raw {
        received_at_ms: number(row, received)?,
        checksum: row.get(first)?,
        method: text(first + 1)?,
        path_with_query: text(first + 2)?,
        headers: bytes(row, first + 3)?.to_vec(),
        body: bytes(row, first + 4)?.to_vec(),
    })
}

fn bytes<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<&'r [u8]> {
    // A damaged column may have another type.
    row.get_ref(column).map(|value| value.as_bytes().unwrap_or_default())
}

/// The cause in a column. Another version of this program may have written an unknown name.
fn cause(row: &Row<'_>, column: usize) -> rusqlite::Result<Cause> {
    let name: String = row.get(column)?;
    Cause::ALL.into_iter().find(|cause| cause.name() == name).ok_or_else(|| {
        let unknown = format!("unknown cause `{name}` of a dead letter; another version may know it");
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, unknown.into())
    })
}

fn letter(row: &Row<'_>) -> rusqlite::Result<DeadLetter> {
    Ok(DeadLetter {
        id: number(row, 0)?,
        seq: number(row, 1)?,
        connection: row.get(2)?,
        received_at_ms: number(row, 3)?,
        bytes: number(row, 4)?,
        failure: Failure {
            cause: cause(row, 5)?,
            kind: row.get(6)?,
            code: row.get(7)?,
            reason: row.get(8)?,
            hint: row.get(9)?,
            attempts: row.get(10)?,
            first_failed_at_ms: number(row, 11)?,
        },
        dead_at_ms: number(row, 12)?,
    })
}
