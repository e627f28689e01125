//! The journal: deliveries that were answered, kept on disk until their rows are in the sink.
//!
//! **Constraints.** One SQLite file for all connections, write-ahead log, full sync. One thread writes: it
//! commits all queued commands in one transaction and answers each only after `COMMIT` returned. Order per
//! connection is `seq`, which is never used twice, not even by a journal that replaces a lost one: a new
//! file starts at the current time in microseconds. A delivery leaves the queue only by acknowledgment or as
//! a dead letter with its cause. Full dead letters evict only deliveries whose sender was not proved. Bounded
//! ([`JournalLimits`]): a full queue is an error for the sender, never a loss.
//!
//! **Layout.** `deliveries` and `dead_letters` hold method, path (never the secret), headers, body, and a
//! checksum over all of it and the connection's name, computed before the write and verified at start-up and
//! on every read. A second process may open the file while a server has it open, as the command line does:
//! the writer notices its changes within a second.
//!
//! Knows nothing of webhooks, sources or rows; a delivery is opaque.

pub mod limits;

mod record;

mod database;
mod salvage;

mod recovery;

mod position;

mod ledger;
mod transaction;

mod age;
mod kept;
mod transfer;

mod queue;
mod writer;

mod notifier;
mod reader;
mod summary;

mod seams;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{oneshot, watch};

pub use self::limits::JournalLimits;
use self::notifier::Notifier;
use self::queue::{Change, Command, Queue};
use self::reader::Readers;
use self::record::Record;
pub use self::recovery::{RecoveredConnection, RecoveryReport};
pub use self::salvage::Replaced;
pub use self::summary::summary;
use crate::delivery::Delivery;
use crate::error::{Error, Kind, Origin, Result};
use crate::inbox::{
    AppendError, Cause, DeadLetter, DeadRecord, Depth, Failure, LetterCounts, Position, Resumed, Stored,
};
use crate::missed::MissedDeliveries;
use crate::sinks::InboxPosition;
use crate::sqlite_file::OpenFile;

/// The open journal. Clones share it; dropping the last one waits for the current commit.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<Inner>,
}

/// Which limits a connection has reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Full {
    /// Deliveries are rejected until some are applied.
    pub queue: bool,
    /// Deliveries that cannot be applied wait until there is room.
    pub dead_letters: bool,
}

struct Inner {
    path: PathBuf,
    queue: Arc<Queue>,
    notifier: Arc<Notifier>,
    limits: JournalLimits,
    readers: Readers,
    writer: Option<JoinHandle<()>>,
    /// The id under which positions of this process are known; empty unless it is the owner.
    opening: String,
    /// The lock of the process that owns the file.
    _owner: Option<std::fs::File>,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.readers.close();
        self.queue.close();
        if let Some(writer) = self.writer.take() {
            let _panicked = writer.join();
        }
    }
}

impl Journal {
    /// Opens or creates the journal as its owner, verifies every record, and reports the result. Waits some
    /// seconds for another owner; then it is an error.
    pub fn open(path: impl AsRef<Path>, limits: JournalLimits) -> Result<(Self, RecoveryReport)> {
        Self::open_at(path.as_ref(), limits, crate::clock::now_ms())
    }

    /// [`Self::open`] with the time at which a new file starts to number its deliveries.
    fn open_at(path: &Path, limits: JournalLimits, now_ms: u64) -> Result<(Self, RecoveryReport)> {
        let (opened, report) = recovery::open(path, &limits, now_ms)?;
        Ok((Self::run(path, limits, opened)?, report))
    }

    /// Opens an existing journal, which another process may own: verifies and repairs nothing.
    pub fn join(path: impl AsRef<Path>, limits: JournalLimits) -> Result<Self> {
        let opened = recovery::join(path.as_ref(), &limits, crate::clock::now_ms())?;
        Self::run(path.as_ref(), limits, opened)
    }

    fn run(path: &Path, limits: JournalLimits, opened: recovery::Opened) -> Result<Self> {
        let recovery::Opened { database, ledger, opening, damaged, owner } = opened;
        let moved = |error: std::io::Error| Error::state(format!("journal {}: {error}", path.display()));
        let file = OpenFile::at(path).map_err(moved)?;
        let queue = Arc::new(Queue::default());
        let notifier = Arc::new(Notifier::default());
        notifier.publish_all(&ledger);
        let one = LetterCounts { stored: 1, evicted: 0 };
        damaged.iter().for_each(|connection| notifier.count_letters(connection, one));
        let (written, expires) = (file.clone(), owner.is_some());
        let writer =
            writer::Writer::new(written, limits.clone(), database, ledger, Arc::clone(&notifier), expires);
        let writer = writer.spawn(Arc::clone(&queue))?;
        let (path, readers) = (path.to_owned(), Readers::new(file));
        let inner =
            Inner { path, queue, notifier, limits, readers, writer: Some(writer), opening, _owner: owner };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The journal's file.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Whether its file is where it was opened; otherwise nothing is appended.
    pub(crate) fn is_in_place(&self) -> bool {
        self.inner.readers.is_in_place()
    }

    /// Appends a delivery and returns its number; durable when it returns.
    pub async fn append(&self, connection: &str, delivery: Delivery) -> Result<u64, AppendError> {
        let record = Record::new(connection, delivery);
        let (reply, answer) = oneshot::channel();
        let command = Command::Append { connection: connection.to_owned(), record, reply };
        if self.inner.queue.push(command).is_err() {
            self.missed_deliveries().report(connection, "too many deliveries at once");
            return Err(AppendError::Failed("too many commands are queued".to_owned()));
        }
        answer.await.unwrap_or_else(|_closed| Err(AppendError::Failed("it is closed".to_owned())))
    }

    /// The queued deliveries after `after` in their order: at most `max`, and no more once `max_bytes` is
    /// reached. A record that fails its checksum becomes a dead letter and is left out.
    pub fn next(&self, connection: &str, after: u64, max: usize, max_bytes: usize) -> Result<Vec<Stored>> {
        let mut page = self.inner.readers.next(connection, after, max, max_bytes)?;
        for (seq, reason) in std::mem::take(&mut page.corrupt) {
            let failure = Failure::of_the_journal(Cause::Corrupt, Kind::Data, reason, crate::clock::now_ms());
            self.give_up(connection, seq, failure)?;
        }
        Ok(page.stored)
    }

    /// Takes deliveries out of the queue: their rows are committed in the sink. They are kept for
    /// [`limits::KEPT_AGE`]. Those that are not queued stay as they are.
    pub fn acknowledge(&self, connection: &str, seqs: &[u64]) -> Result<()> {
        let (connection, seqs) = (connection.to_owned(), seqs.to_vec());
        self.change(Change::Acknowledge { connection, seqs }).map(drop)
    }

    /// A position in this journal as a sink stores it.
    pub(crate) fn named(&self, position: &Position) -> InboxPosition {
        position.named(&self.inner.opening)
    }

    /// Continues at the position that a sink has stored. Deliveries that it covers are acknowledged; others
    /// that were acknowledged before are queued again, because the sink was restored or lost a commit. A
    /// position that cannot be trusted covers nothing.
    pub(crate) fn resume(&self, connection: &str, stored: Option<&InboxPosition>) -> Result<Resumed> {
        let trusted = match stored {
            Some(stored) => {
                let (openings, last) = self.inner.readers.openings()?;
                Position::trusted(stored, &openings, last)
            }
            None => Ok(Position::default()),
        };
        let doubt = trusted.as_ref().err().map(|doubt| doubt.reason());
        let position = trusted.unwrap_or_default();
        let change = Change::Resume { connection: connection.to_owned(), position: position.clone() };
        let queued = self.change(change)?;
        if let Some(doubt) = doubt {
            self.missed_deliveries().report(connection, doubt);
        }
        Ok(Resumed { position, queued_again: queued.len(), doubt })
    }

    /// Moves a delivery to the dead letters. When they are full, the oldest whose sender was not proved are
    /// evicted, and an unproved delivery that still finds no room is deleted. Any other delivery stays in the
    /// queue, and the call fails.
    pub fn give_up(&self, connection: &str, seq: u64, failure: Failure) -> Result<()> {
        let (connection, failure) = (connection.to_owned(), Box::new(failure));
        self.change(Change::DeadLetter { connection, seq, failure }).map(drop)
    }

    /// Which limits a connection has reached. Reads memory alone.
    pub fn full(&self, connection: &str) -> Full {
        let (pending, dead) = self.inner.notifier.depth(connection);
        let limits = &self.inner.limits;
        Full {
            queue: pending.count >= limits.count || pending.bytes >= limits.bytes,
            dead_letters: dead.count >= limits.dead_count || dead.bytes >= limits.dead_bytes,
        }
    }

    /// The length of a connection's queue, also while its file is moved: then nothing says how old it is.
    pub fn depth(&self, connection: &str) -> Depth {
        let (pending, dead) = self.inner.notifier.depth(connection);
        let oldest = || self.inner.readers.oldest(connection).ok().flatten();
        let oldest_ms = if pending.count == 0 { None } else { oldest() };
        Depth { count: pending.count, bytes: pending.bytes, oldest_ms, dead: dead.count }
    }

    /// Dead letters of a connection since the start of the process. Reads memory alone.
    pub fn letter_counts(&self, connection: &str) -> LetterCounts {
        self.inner.notifier.letters(connection)
    }

    /// The last `seq` of a connection; changes with every commit that adds to it.
    pub fn arrivals(&self, connection: &str) -> watch::Receiver<u64> {
        self.inner.notifier.arrivals(connection)
    }

    /// The signal for deliveries that were rejected or will not be applied.
    pub fn missed_deliveries(&self) -> &MissedDeliveries {
        &self.inner.notifier.missed
    }

    /// Dead letters with an id greater than `after`, oldest first, of one connection or of all.
    pub fn dead_letters(&self, connection: Option<&str>, after: u64, max: usize) -> Result<Vec<DeadLetter>> {
        self.inner.readers.dead_letters(connection, after, max)
    }

    /// One dead letter with its delivery.
    pub fn dead_letter(&self, id: u64) -> Result<Option<DeadRecord>> {
        self.inner.readers.dead_letter(id)
    }

    /// Appends dead letters to the queue again, in the order given; returns their new `seq`s. All or none.
    pub fn replay(&self, ids: &[u64]) -> Result<Vec<u64>> {
        self.change(Change::Replay { ids: ids.to_vec() })
    }

    /// Deletes dead letters; returns how many there were.
    pub fn drop_dead(&self, ids: &[u64]) -> Result<usize> {
        self.change(Change::Drop { ids: ids.to_vec() }).map(|dropped| dropped.len())
    }

    /// Gives queue and dead letters of a connection that was renamed to another one; returns how many
    /// records. Damaged ones stay.
    pub fn move_connection(&self, from: &str, to: &str) -> Result<usize> {
        self.until_none_is_left(|| Change::Move { from: from.to_owned(), to: to.to_owned() })
    }

    /// Deletes queue and dead letters of a connection; returns how many records.
    pub fn clear_connection(&self, connection: &str) -> Result<usize> {
        self.until_none_is_left(|| Change::Clear { connection: connection.to_owned() })
    }

    fn until_none_is_left(&self, change: impl Fn() -> Change) -> Result<usize> {
        let mut total = 0;
        loop {
            match self.change(change())?.len() {
                0 => return Ok(total),
                some => total += some,
            }
        }
    }

    /// Moves deliveries that are older than the limit to the dead letters; returns how many. The writer does
    /// this itself every minute, after its first hour.
    pub fn expire(&self, now_ms: u64) -> Result<usize> {
        self.change(Change::Expire { now_ms }).map(|expired| expired.len())
    }

    /// From now on every commit fails, or no longer.
    #[cfg(test)]
    pub(crate) fn set_failing(&self, fails: bool) {
        self.fail_next(if fails { u32::MAX } else { 0 });
    }

    /// This many commits fail.
    #[cfg(test)]
    fn fail_next(&self, commits: u32) {
        self.inner.notifier.failing.store(commits, std::sync::atomic::Ordering::Relaxed);
    }

    fn change(&self, change: Change) -> Result<Vec<u64>> {
        let closed = || Error::state(format!("journal {}: it is closed", self.inner.path.display()));
        let (reply, answer) = std::sync::mpsc::sync_channel(1);
        let command = Command::Change { change, reply };
        if self.inner.queue.push(command).is_err() {
            let busy = format!("journal {}: too many commands are queued", self.inner.path.display());
            return Err(Error::new(Origin::State, Kind::Unavailable, busy));
        }
        answer.recv().unwrap_or_else(|_closed| Err(closed()))
    }
}

#[cfg(test)]
mod tests;
