//! Opens the file at start-up and repairs it, by a table of cases.
//!
//! | case | state of the file | action |
//! |---|---|---|
//! | fresh | no file, or an empty one | is created |
//! | whole | every record matches its checksum | records are counted |
//! | torn tail | a transaction that was not committed | SQLite ignores it; no delivery in it was answered |
//! | damaged record | a checksum that does not match | becomes a dead letter, cause `corrupt` |
//! | unreadable | no database, or damaged beyond a record | is set aside; its readable records are copied |
//! | half copied | a start-up was killed in the case above | is copied again; duplicates do no harm |
//! | owned | another process has it open | is waited for, then an error |
//! | foreign, other layout, no access | – | an error; the file stays as it is |

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection as Database, ErrorCode};

use super::JournalLimits;
use super::database::{self, Trouble, failure, number, trouble};
use super::ledger::{Ledger, Tally};
use super::limits::OWNER_TIMEOUT;
use super::reader::raw;
use super::salvage::{self, Replaced};
use super::transaction::move_to_dead;
use crate::error::{Error, Kind, Origin, Result};
use crate::inbox::{Cause, Failure};

/// Between two attempts to get the lock.
const OWNER_POLL: Duration = Duration::from_millis(50);

/// The result of a start-up. The caller decides whether damage is a reason to stop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Connections with queued deliveries or dead letters, by name.
    pub connections: Vec<RecoveredConnection>,
    /// Records that failed their checksum and became dead letters.
    pub corrupt: u64,
    /// Set if the file could not be read and was replaced.
    pub replaced: Option<Replaced>,
}

/// The records of a connection in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveredConnection {
    /// Its name.
    pub name: String,
    /// Queued deliveries.
    pub pending: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Dead letters.
    pub dead: u64,
}

impl std::fmt::Display for RecoveryReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sum = |of: fn(&RecoveredConnection) -> u64| self.connections.iter().map(of).sum::<u64>();
        let (pending, dead) = (sum(|one| one.pending), sum(|one| one.dead));
        write!(f, "{pending} deliveries pending, {dead} dead letters")?;
        if self.corrupt > 0 {
            write!(f, ", {} of them new, damaged on disk", self.corrupt)?;
        }
        if let Some(replaced) = &self.replaced {
            let (path, reason) = (replaced.moved_to.display(), &replaced.reason);
            write!(f, "; the former file could not be read ({reason}) and was moved to {path}: ")?;
            let Replaced { saved, saved_dead, lost, .. } = replaced;
            write!(f, "saved {saved} deliveries and {saved_dead} dead letters, lost at least {lost}")?;
        }
        Ok(())
    }
}

/// An open journal.
pub(super) struct Opened {
    pub(super) database: Database,
    pub(super) ledger: Ledger,
    /// The id of the owner's opening.
    pub(super) opening: String,
    /// The connection of each damaged record that became a dead letter.
    pub(super) damaged: Vec<String>,
    /// The lock of the process that owns the journal.
    pub(super) owner: Option<File>,
}

/// Opens the file as its owner and repairs it.
pub(super) fn open(path: &Path, limits: &JournalLimits, now_ms: u64) -> Result<(Opened, RecoveryReport)> {
    let owner = own(path)?;
    let mut report = RecoveryReport::default();
    let failed = |error: rusqlite::Error| failure(path, &error);
    let first = database::open(path, limits, now_ms).and_then(|database| {
        // Before the records are read, which takes a while: a command may append in the meantime.
        let opening = database::note_opening(&database);
        opening
            .and_then(|opening| Ok((opening, verify(database, now_ms)?)))
            .map_err(|error| trouble(path, &error))
    });
    let (mut database, opening, damaged) = match first {
        Ok((opening, (database, damaged))) => {
            report.corrupt = damaged.len() as u64;
            (database, opening, damaged)
        }
        Err(Trouble::Other(error)) => return Err(error),
        Err(Trouble::Unreadable(reason)) => {
            let (replaced, database) = salvage::replace(path, limits, reason, now_ms)?;
            report.replaced = Some(replaced);
            let opening = database::note_opening(&database).map_err(failed)?;
            (database, opening, Vec::new())
        }
    };
    while let Some(replaced) = salvage::resume(path, &mut database)? {
        report.replaced = Some(replaced);
    }
    let ledger = Ledger::load(&database).map_err(failed)?;
    report.connections = connections(&ledger);
    Ok((Opened { database, ledger, opening, damaged, owner: Some(owner) }, report))
}

/// Locks the journal until the file is closed. Waits for another process that owns it.
fn own(path: &Path) -> Result<File> {
    let path = path.with_extension("lock");
    let failed = |error: std::io::Error| Error::state(format!("{}: {error}", path.display()));
    let mut options = OpenOptions::new();
    let file = options.append(true).create(true).mode(0o600).open(&path).map_err(failed)?;
    let started = Instant::now();
    let mut is_logged = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) if started.elapsed() >= OWNER_TIMEOUT => {
                let message = format!("{}: another server has this data folder", path.display());
                return Err(Error::new(Origin::State, Kind::Unavailable, message)
                    .hint("stop it, or give each server its own folder with --data"));
            }
            Err(TryLockError::WouldBlock) => {}
        }
        if !std::mem::replace(&mut is_logged, true) {
            let seconds = OWNER_TIMEOUT.as_secs();
            tracing::warn!(lock = %path.display(), seconds, "another server has this data folder: waiting");
        }
        std::thread::sleep(OWNER_POLL);
    }
}

/// Opens the file, which another process may own: verifies and repairs nothing.
///
/// Without an owner, the last opening ends here. Otherwise, in a journal that was restored from a backup, the
/// numbers that a command uses would extend that opening to numbers that the sink has seen before the
/// restore, and the sink's position would be trusted.
pub(super) fn join(path: &Path, limits: &JournalLimits, now_ms: u64) -> Result<Opened> {
    let database = database::open(path, limits, now_ms).map_err(|trouble| match trouble {
        Trouble::Unreadable(reason) => {
            Error::state(format!("journal {}: unreadable: {reason}", path.display()))
                .hint("start `serve`: it repairs the journal when it opens it")
        }
        Trouble::Other(error) => error,
    })?;
    let failed = |error: rusqlite::Error| failure(path, &error);
    // Commands share the lock, and an owner waits some milliseconds for it. Only an owner creates the file: a
    // command may run as another user.
    let lock = File::open(path.with_extension("lock")).ok();
    if lock.as_ref().is_none_or(|lock| lock.try_lock_shared().is_ok()) {
        match database::end_opening(&database) {
            // A full file can still be read, and dead letters be dropped.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => {}
            ended => ended.map_err(failed)?,
        }
    }
    drop(lock);
    let ledger = Ledger::load(&database).map_err(failed)?;
    Ok(Opened { database, ledger, opening: String::new(), damaged: Vec::new(), owner: None })
}

fn connections(ledger: &Ledger) -> Vec<RecoveredConnection> {
    let used = ledger.accounts().filter(|(_, account)| account.pending.count + account.dead.count > 0);
    let mut recovered: Vec<RecoveredConnection> = used
        .map(|(name, account)| RecoveredConnection {
            name: name.clone(),
            pending: account.pending.count,
            bytes: account.pending.bytes,
            dead: account.dead.count,
        })
        .collect();
    recovered.sort_by(|one, other| one.name.cmp(&other.name));
    recovered
}

/// Reads every queued record; moves damaged ones to the dead letters. The connection of each of them.
fn verify(mut database: Database, now_ms: u64) -> rusqlite::Result<(Database, Vec<String>)> {
    let transaction = database.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let mut ledger = Ledger::load(&transaction)?;
    let mut damaged: Vec<(u64, String, u64, String)> = Vec::new();
    {
        let mut all = transaction.prepare(VERIFY)?;
        let mut rows = all.query([])?;
        while let Some(row) = rows.next()? {
            let name = ledger.name(row.get(1)?).unwrap_or_default();
            if let (_, Some(wrong)) = raw(row, 3, 4)?.decode(name) {
                damaged.push((number(row, 0)?, name.to_owned(), number(row, 2)?, wrong));
            }
        }
    }
    for (seq, name, bytes, wrong) in &damaged {
        let account = ledger.open(&transaction, name)?;
        let one = Tally { count: 1, bytes: *bytes };
        let failure = Failure::of_the_journal(Cause::Corrupt, Kind::Data, wrong.clone(), now_ms);
        move_to_dead(&transaction, account, *seq, one, (&failure, now_ms))?;
    }
    transaction.commit()?;
    Ok((database, damaged.into_iter().map(|(_, name, ..)| name).collect()))
}

const VERIFY: &str = "
    SELECT seq, connection, bytes, received_at_ms, checksum, method, path, headers, body
    FROM deliveries WHERE acknowledged_at_ms IS NULL ORDER BY seq";
