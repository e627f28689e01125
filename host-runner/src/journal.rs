//! The journal: what arrived and was answered, kept on disk until its rows are in the target.
//!
//! **Constraints.** One SQLite file for all connections, write-ahead log, full sync. One thread writes; it
//! takes everyone who waits into one transaction, and answers each only after `COMMIT` returned. Order per
//! connection is `seq`, which is never used twice, not even by a journal that replaces a lost one: a new
//! file begins at the microseconds of its first second. Nothing leaves but by acknowledgement or by hand:
//! what cannot be used moves to the dead letters with its reason, and only what nobody proved makes room there. Bounded ([`JournalLimits`]); full is an
//! answer, never a loss.
//!
//! **Layout.** `deliveries` and `dead_letters` hold method, path (never the secret), headers (name and value
//! with their lengths), body, and a checksum over all of it and the connection's name, made before the write
//! and verified at start-up and on every read. A second process may open the same file (the command line
//! does, beside a server): the writer notices its changes within a second.
//!
//! Knows nothing of webhooks, sources or rows; a delivery is opaque.

pub mod limits;

mod board;
mod database;
mod dead;
mod ledger;
mod queue;
mod reader;
mod record;
mod recovery;
mod salvage;
mod summary;
mod transaction;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{oneshot, watch};

use self::board::Board;
pub use self::dead::{Cause, DeadLetter, DeadRecord, Failure};
pub use self::limits::JournalLimits;
use self::queue::{Change, Command, Queue};
use self::reader::Readers;
use self::record::Record;
pub use self::recovery::{Found, FoundConnection, Replaced};
pub use self::summary::{Summary, summary};
use crate::error::{Error, Kind, Origin, Result};
use crate::missed::MissedDeliveries;

/// One request as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// When, in milliseconds since 1970.
    pub received_at_ms: u64,
    /// The request's method.
    pub method: String,
    /// The path without its secret, and the query.
    pub path_with_query: String,
    /// End-to-end headers in their order; names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body as sent.
    pub body: Vec<u8>,
}

/// A delivery with its place in the order of its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Greater than that of every delivery appended before.
    pub seq: u64,
    /// What arrived.
    pub delivery: Delivery,
}

/// How much waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Deliveries not yet acknowledged.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the oldest of them arrived.
    pub oldest_ms: Option<u64>,
    /// Dead letters.
    pub dead: u64,
}

/// Why a delivery was not taken. In both cases the sender must send it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendError {
    /// The connection has reached one of its bounds.
    Full,
    /// The file could not be written, or more requests wait than can be served; says which.
    Failed(String),
}

impl std::fmt::Display for AppendError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Full => f.write_str("the journal is full"),
            Self::Failed(reason) => write!(f, "the journal cannot be written: {reason}"),
        }
    }
}

impl std::error::Error for AppendError {}

/// The open journal. Clones share it; the last one to go waits for the commit under way.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    queue: Arc<Queue>,
    board: Arc<Board>,
    readers: Readers,
    writer: Option<JoinHandle<()>>,
    /// Held while this process is the one that repairs the file at start-up.
    _owner: Option<std::fs::File>,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(writer) = self.writer.take() {
            let _panicked = writer.join();
        }
    }
}

impl Journal {
    /// Opens or makes the journal, verifies every record, and says what was found.
    pub fn open(path: impl AsRef<Path>, limits: JournalLimits) -> Result<(Self, Found)> {
        let path = path.as_ref().to_owned();
        let recovery::Opened { database, ledger, found, owner } = recovery::open(&path, &limits)?;
        let queue = Arc::new(Queue::default());
        let board = Arc::new(Board::default());
        board.publish_all(&ledger);
        let writer = writer::Writer::new(path.clone(), limits, database, ledger, Arc::clone(&board));
        let writer = writer.spawn(Arc::clone(&queue))?;
        let readers = Readers::new(path.clone());
        let inner = Inner { path, queue, board, readers, writer: Some(writer), _owner: owner };
        Ok((Self { inner: Arc::new(inner) }, found))
    }

    /// The journal's file.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Appends; durable when it returns.
    pub async fn append(&self, connection: &str, delivery: Delivery) -> Result<u64, AppendError> {
        let record = Record::new(connection, delivery);
        let (reply, answer) = oneshot::channel();
        let command = Command::Append { connection: connection.to_owned(), record, reply };
        if self.inner.queue.push(command).is_err() {
            self.missed_deliveries().report(connection, "too many deliveries at once");
            return Err(AppendError::Failed("too many requests wait for it".to_owned()));
        }
        answer.await.unwrap_or_else(|_gone| Err(AppendError::Failed("it is being closed".to_owned())))
    }

    /// The deliveries after `after` in their order: at most `max`, and no more once `max_bytes` is reached.
    /// A record that fails its checksum moves to the dead letters and is left out.
    pub fn next(&self, connection: &str, after: u64, max: usize, max_bytes: usize) -> Result<Vec<Stored>> {
        let mut page = self.inner.readers.next(connection, after, max, max_bytes)?;
        for (seq, reason) in std::mem::take(&mut page.corrupt) {
            let failure = Failure::of_the_journal(Cause::Corrupt, Kind::Data, reason, crate::clock::now_ms());
            self.give_up(connection, seq, failure)?;
        }
        Ok(page.stored)
    }

    /// Forgets the deliveries of a connection through `seq`: their rows are in the target.
    pub fn acknowledge(&self, connection: &str, through: u64) -> Result<()> {
        self.change(Change::Acknowledge { connection: connection.to_owned(), through }).map(drop)
    }

    /// Moves a delivery to the dead letters; answers how many were evicted. When they are full, the oldest whose
    /// sender was not proved are evicted, and an unproved delivery that still finds no room is deleted. Any other
    /// delivery stays in the queue, and the call fails.
    pub fn give_up(&self, connection: &str, seq: u64, failure: Failure) -> Result<usize> {
        let (connection, failure) = (connection.to_owned(), Box::new(failure));
        self.change(Change::DeadLetter { connection, seq, failure }).map(|evicted| evicted.len())
    }

    /// How much waits for a connection.
    pub fn depth(&self, connection: &str) -> Result<Depth> {
        let (pending, dead) = self.inner.board.depth(connection);
        let oldest_ms = if pending.count == 0 { None } else { self.inner.readers.oldest(connection)? };
        Ok(Depth { count: pending.count, bytes: pending.bytes, oldest_ms, dead: dead.count })
    }

    /// The last `seq` of a connection; changes with every commit that adds to it.
    pub fn arrivals(&self, connection: &str) -> watch::Receiver<u64> {
        self.inner.board.arrivals(connection)
    }

    /// The signal for deliveries that were rejected or will not be applied.
    pub fn missed_deliveries(&self) -> &MissedDeliveries {
        &self.inner.board.missed
    }

    /// Dead letters with an id greater than `after`, oldest first, of one connection or of all.
    pub fn dead_letters(&self, connection: Option<&str>, after: u64, max: usize) -> Result<Vec<DeadLetter>> {
        self.inner.readers.dead_letters(connection, after, max)
    }

    /// One dead letter with what arrived.
    pub fn dead_letter(&self, id: u64) -> Result<Option<DeadRecord>> {
        self.inner.readers.dead_letter(id)
    }

    /// Appends dead letters again, at the end and in the order given; answers their new `seq`s. All or none.
    pub fn replay(&self, ids: &[u64]) -> Result<Vec<u64>> {
        self.change(Change::Replay { ids: ids.to_vec() })
    }

    /// Forgets dead letters; answers how many there were.
    pub fn drop_dead(&self, ids: &[u64]) -> Result<usize> {
        self.change(Change::Drop { ids: ids.to_vec() }).map(|dropped| dropped.len())
    }

    /// Moves deliveries that are older than the limit to the dead letters; answers how many. The writer does
    /// this by itself every few seconds.
    pub fn expire(&self, now_ms: u64) -> Result<usize> {
        self.change(Change::Expire { now_ms }).map(|expired| expired.len())
    }

    fn change(&self, change: Change) -> Result<Vec<u64>> {
        let closed = || Error::state(format!("journal {}: it is being closed", self.inner.path.display()));
        let (reply, answer) = std::sync::mpsc::sync_channel(1);
        let command = Command::Change { change, reply };
        if self.inner.queue.push(command).is_err() {
            let busy = format!("journal {}: too many requests wait for it", self.inner.path.display());
            return Err(Error::new(Origin::State, Kind::Unavailable, busy));
        }
        answer.recv().unwrap_or_else(|_gone| Err(closed()))
    }
}

#[cfg(test)]
mod tests;
