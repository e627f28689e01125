//! Replaces a journal that cannot be read: sets it aside and copies its readable records into a fresh one.
//!
//! A kill in between loses nothing: the file is named `….salvaging-<time>` until its records are committed to
//! the fresh one, and a start-up that finds that name copies them again. Records copied twice are applied
//! twice, which changes nothing. Then the file is named `….unreadable-<time>` and kept.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection as Database, Row, params_from_iter};

use super::JournalLimits;
use super::database::{self, Trouble, failure};
use super::ledger::Ledger;
use super::reader::raw;
use super::record::Raw;
use crate::error::{Error, Result};
use crate::files::folder_of;

const UNDER_WAY: &str = ".salvaging-";
const DONE: &str = ".unreadable-";

const PENDING: &str = "
    SELECT c.name, received_at_ms, checksum, method, path, headers, body, bytes, appended_at_ms,
        acknowledged_at_ms
    FROM deliveries r JOIN connections c ON c.id = r.connection";
const APPEND: &str = "
    INSERT INTO deliveries (connection, received_at_ms, checksum, method, path, headers, body,
        bytes, appended_at_ms, acknowledged_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
const DEAD: &str = "
    SELECT c.name, received_at_ms, checksum, method, path, headers, body, bytes, seq,
        cause, kind, code, reason, hint, attempts, first_failed_at_ms, dead_at_ms
    FROM dead_letters r JOIN connections c ON c.id = r.connection";
const APPEND_DEAD: &str = "
    INSERT INTO dead_letters (connection, received_at_ms, checksum, method, path, headers, body,
        bytes, seq, cause, kind, code, reason, hint, attempts, first_failed_at_ms, dead_at_ms)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)";

/// A journal that was replaced by a fresh one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// Its new path.
    pub moved_to: PathBuf,
    /// Why it could not be read.
    pub reason: String,
    /// Deliveries copied into the fresh one.
    pub saved: u64,
    /// Dead letters copied into the fresh one.
    pub saved_dead: u64,
    /// Records that were found but could not be copied; others may be lost without being found.
    pub lost: u64,
}

#[derive(Clone, Copy, Default)]
struct Saved {
    pending: u64,
    dead: u64,
    lost: u64,
}

/// Sets an unreadable file aside, creates a fresh one, and copies the readable records.
pub(super) fn replace(
    path: &Path,
    limits: &JournalLimits,
    reason: String,
    now_ms: u64,
) -> Result<(Replaced, Database)> {
    let aside = suffixed(path, &format!("{UNDER_WAY}{now_ms}"));
    let failed = |error: std::io::Error| {
        Error::state(format!("journal {}: unreadable, and cannot be set aside: {error}", path.display()))
    };
    // The log has both names until the file is renamed, so that a kill never separates file and log.
    if_there(std::fs::hard_link(suffixed(path, "-wal"), suffixed(&aside, "-wal"))).map_err(failed)?;
    std::fs::rename(path, &aside).map_err(failed)?;
    for suffix in ["-wal", "-shm"] {
        if_there(std::fs::remove_file(suffixed(path, suffix))).map_err(failed)?;
    }
    let mut database = database::open(path, limits, now_ms).map_err(|trouble| match trouble {
        Trouble::Unreadable(reason) => Error::state(format!("journal {}: {reason}", path.display())),
        Trouble::Other(error) => error,
    })?;
    let replaced = finish(path, &aside, &mut database, reason)?;
    Ok((replaced, database))
}

/// Finishes a replacement that a kill interrupted; none if there is no such file.
pub(super) fn resume(path: &Path, database: &mut Database) -> Result<Option<Replaced>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let prefix = format!("{name}{UNDER_WAY}");
    let folder = folder_of(path);
    let failed = |error: std::io::Error| Error::state(format!("{}: {error}", folder.display()));
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        let is_one = |time: &str| !time.is_empty() && time.bytes().all(|byte| byte.is_ascii_digit());
        if name.strip_prefix(&prefix).is_some_and(is_one) {
            let reason = "an earlier start-up ended while it copied the file".to_owned();
            return finish(path, &folder.join(name), database, reason).map(Some);
        }
    }
    Ok(None)
}

fn finish(path: &Path, aside: &Path, database: &mut Database, reason: String) -> Result<Replaced> {
    let saved = match copy(aside, database) {
        Ok(saved) => saved,
        // No table can be read: the fresh one starts empty.
        Err(error) if database::is_damage(&error) => Saved::default(),
        // The fresh one cannot be written: the file keeps its name, for the next start-up.
        Err(error) => return Err(failure(path, &error)),
    };
    let name = aside.file_name().unwrap_or_default().to_string_lossy().replace(UNDER_WAY, DONE);
    let moved_to = aside.with_file_name(name);
    let failed = |error: std::io::Error| Error::state(format!("{}: {error}", aside.display()));
    for suffix in ["-shm", "-wal", ""] {
        if_there(std::fs::rename(suffixed(aside, suffix), suffixed(&moved_to, suffix))).map_err(failed)?;
    }
    let Saved { pending: saved, dead: saved_dead, lost } = saved;
    Ok(Replaced { moved_to, reason, saved, saved_dead, lost })
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn if_there(done: std::io::Result<()>) -> std::io::Result<()> {
    done.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// Copies the readable records.
fn copy(from: &Path, into: &mut Database) -> rusqlite::Result<Saved> {
    let from = database::open_for_reading(from)?;
    let mut saved = Saved::default();
    let transaction = into.transaction()?;
    // If the clock was set back, the fresh file must not use numbers of the former one.
    let last = "SELECT seq FROM sqlite_sequence WHERE name = 'deliveries'";
    if let Ok(last) = from.query_row(last, [], |row| row.get::<_, i64>(0)) {
        let raise = "UPDATE sqlite_sequence SET seq = max(seq, ?1) WHERE name = 'deliveries'";
        transaction.execute(raise, [last])?;
    }
    let mut ledger = Ledger::load(&transaction)?;
    for (select, insert, key, table) in
        [(PENDING, APPEND, "seq", "deliveries"), (DEAD, APPEND_DEAD, "id", "dead_letters")]
    {
        let select = format!("{select} WHERE r.{key} = ?1");
        for key in keys(&from, table, key) {
            let Ok(record) = from.prepare_cached(&select)?.query_row([key], Copied::read) else {
                saved.lost += 1;
                continue;
            };
            let Copied { connection, raw, values } = record;
            let checksum = Value::Integer(raw.checksum);
            let is_kept = values.last().is_some_and(|acknowledged| *acknowledged != Value::Null);
            let headers = raw.headers.clone();
            let (delivery, wrong) = raw.decode(&connection);
            if wrong.is_some() {
                saved.lost += 1;
                continue;
            }
            let id = ledger.open(&transaction, &connection)?.id;
            let fixed = [
                Value::Integer(id),
                Value::Integer(delivery.received_at_ms.cast_signed()),
                checksum,
                Value::Text(delivery.method),
                Value::Text(delivery.path_with_query),
                Value::Blob(headers),
                Value::Blob(delivery.body),
            ];
            let values = fixed.into_iter().chain(values);
            transaction.prepare_cached(insert)?.execute(params_from_iter(values))?;
            match table {
                "deliveries" if is_kept => {}
                "deliveries" => saved.pending += 1,
                _ => saved.dead += 1,
            }
        }
    }
    transaction.commit()?;
    Ok(saved)
}

/// A record of either table: the verified columns, then the columns that differ.
struct Copied {
    connection: String,
    raw: Raw,
    values: Vec<Value>,
}

impl Copied {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let values = (7..row.as_ref().column_count()).map(|column| row.get(column));
        let values = values.collect::<rusqlite::Result<_>>()?;
        Ok(Self { connection: row.get(0)?, raw: raw(row, 1, 2)?, values })
    }
}

/// The keys of a table: from the front until the first failure, and from the back until the first failure.
fn keys(from: &Database, table: &str, key: &str) -> Vec<i64> {
    let collect = |direction: &str, until: Option<i64>| -> Vec<i64> {
        let select = format!("SELECT {key} FROM {table} NOT INDEXED ORDER BY {key} {direction}");
        let Ok(mut statement) = from.prepare(&select) else { return Vec::new() };
        let Ok(found) = statement.query_map([], |row| row.get(0)) else { return Vec::new() };
        found.map_while(|key| key.ok().filter(|key| Some(*key) != until)).collect()
    };
    let mut keys = collect("ASC", None);
    let mut tail = collect("DESC", keys.last().copied());
    tail.reverse();
    keys.extend(tail);
    keys
}
