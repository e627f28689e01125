//! Where rows go: the trait of a sink, and the parts that all sinks share.
//!
//! A sink stores rows together with the progress that covers them. [`registry`] lists the kinds, [`order`]
//! decides between a change and the stored row, [`listing`] finds rows that their parent lacks, [`columns`],
//! [`members`], [`value`] and [`surrogates`] turn rows into typed columns, and each kind has a folder. The
//! sink of a data tool is in [`messages`]; no connection file names it. [`attachments`] keeps the bytes of
//! files, for every kind. Nothing here knows components, calls or retries.

mod registry;

mod order;

mod fold;

mod listing;

mod columns;
mod members;
mod surrogates;
mod value;

mod client_thread;
mod file_failure;
mod handle;

pub(crate) mod attachments;

mod objects;

mod jsonl;
mod parquet;
mod postgres;
mod sqlite;

pub(crate) mod messages;

#[cfg(test)]
mod conformance;

use std::ops::AddAssign;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::change::{Batch, Change, Generation, Table};
use crate::clock::now_ms;
use crate::digest::hex;
use crate::error::{Error, Kind, Origin, Result};

pub use attachments::{AttachmentSettings, Attachments};
pub use handle::SinkHandle;
pub(crate) use jsonl::FORMAT_NAMES;
pub use registry::{
    Deletes, KIND_NAMES, Load, Location, Place, SinkKind, SinkSettings, inspect, open, open_existing,
};

/// Every kind of sink; the first is the default.
pub const KINDS: &[&SinkKind] = &[&sqlite::KIND, &jsonl::KIND, &postgres::KIND, &parquet::KIND];

/// What the client of a URL would use. For `tests/fuzz`: the policy file compares the URL that is shown.
pub(crate) struct Used {
    /// The servers, and the place there.
    pub(crate) place: String,
    /// The file with the authority that vouches for the server.
    pub(crate) authority: Option<PathBuf>,
    /// Whether the URL names a user or a key.
    pub(crate) has_user: bool,
}

/// See [`Used`]; none if the URL is refused.
pub(crate) fn used(location: &Location) -> Option<Used> {
    match location {
        Location::Path(_) => None,
        Location::Schema { url, .. } => postgres::used(url),
        Location::Objects { url, .. } => objects::used(url),
    }
}

/// Fails if a location's URL names an authority of its server that cannot be used; `key` is the configuration
/// key with the URL.
pub(crate) fn check_authority(location: &Location, key: &str) -> Result<()> {
    match location {
        _ if location.authority_file().is_none() => Ok(()),
        Location::Path(_) => Ok(()),
        Location::Schema { url, .. } => postgres::check_authority(url),
        Location::Objects { url, .. } => objects::check_authority(url, key),
    }
}

/// A place that stores rows and how far they reach.
///
/// Every sink stores rows and progress in one transaction, keeps the order of changes ([`order`]) or writes
/// the lines from which a reader keeps it, belongs to one connection, and while it is open keeps other
/// writers out. `conformance.rs` tests all of this on every kind.
///
/// Methods block; [`SinkHandle`] runs them on a thread that may. A failure that passes by itself, for example
/// a full disk, is of the kind `unavailable` and leaves the sink usable.
pub trait Sink: Send {
    /// The capabilities of this kind of sink.
    fn capabilities(&self) -> Capabilities;
    /// Creates tables and columns for the discovered tables. Columns are added, never dropped, so that a
    /// runner whose lease is over does no harm here: no epoch fences it.
    fn prepare(&mut self, tables: &[Table]) -> Result<()>;
    /// How far the rows reach.
    fn progress(&self) -> Result<SinkProgress>;
    /// Stores rows and progress, both or neither. An error means neither: a sink that cannot know, because a
    /// connection broke while it committed, reads its progress again before it answers. Should they be stored
    /// in spite of an error (a power cut in that moment, or bytes of attachments that cannot be deleted after
    /// it), the repetition of the commit changes nothing.
    fn commit(&mut self, commit: &Commit<'_>) -> Result<Counts>;
    /// The same for a batch after which a table is caught up; for a sink that keeps how a read ended.
    fn commit_last(&mut self, commit: &Commit<'_>) -> Result<Counts> {
        self.commit(commit)
    }
    /// The deletes of rows that the listings of a table's batch lack and that its changes do not name, for a
    /// sink that compares rows. They are committed with the batch.
    fn unlisted(&mut self, _table: &str, _batch: &Batch) -> Result<Vec<Change>> {
        Ok(Vec::new())
    }
    /// Deletes a table's cursor, so that the next read starts a snapshot. Rows stay. True if there was a
    /// cursor. No epoch fences it: by a runner whose lease is over it costs a snapshot and loses nothing.
    fn reset(&mut self, table: &str) -> Result<bool>;

    /// The folder for the bytes of attachments, if the connection has one.
    fn attachments(&self) -> Option<Arc<Attachments>> {
        None
    }

    /// Makes committed rows visible to readers, at the end of a run; for a sink that writes files late.
    /// Rows are safe also where this fails.
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }

    /// Whether its files are late, for a sink that writes files late.
    fn late_files(&self) -> LateFiles {
        LateFiles::default()
    }

    /// Gives memory back that the next commit can do without; for a sink that is idle.
    fn rest(&mut self) {}

    /// The state of every table that was committed, by name.
    fn table_states(&self) -> Result<Vec<TableState>> {
        Ok(self.progress()?.tables)
    }

    /// How far the journal is applied; none before the first delivery.
    fn journal_state(&self) -> Result<Option<JournalState>> {
        Ok(self.progress()?.journal)
    }

    /// The state of one table; none if it was never committed.
    fn table_state(&self, table: &str) -> Result<Option<TableState>> {
        Ok(self.table_states()?.into_iter().find(|state| state.table == table))
    }
}

/// The differences between kinds of sinks that matter outside this module. Code there asks for a capability,
/// never for a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Compares a change with the stored row: [`Counts`] separates new, changed and equal rows.
    pub compares_rows: bool,
    /// Can delete rows instead of marking them.
    pub hard_deletes: bool,
    /// Stores members of a row as typed columns.
    pub typed_columns: bool,
}

/// Why files of committed rows cannot be written for now, and since when. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct LateFiles(Arc<Mutex<Option<(u64, String)>>>);

impl LateFiles {
    /// Milliseconds since 1970, and the last failure; none if no file is late.
    pub fn get(&self) -> Option<(u64, String)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Another failure, or none any more.
    fn set(&self, failure: Option<&str>) {
        let mut late = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since_ms = late.take().map_or_else(now_ms, |(since_ms, _)| since_ms);
        *late = failure.map(|failure| (since_ms, failure.to_owned()));
    }
}

/// Changes to store in one transaction, with the progress that covers them.
///
/// Commits must come in the order of the calls that produced them: a row that is written between two batches
/// of a snapshot counts as contained in that snapshot.
#[derive(Clone, Copy, Debug)]
pub struct Commit<'a> {
    /// The changes, of any tables that were prepared.
    pub changes: &'a [Change],
    /// How far the sink is after them.
    pub progress: Progress<'a>,
    /// Orders changes that carry no time.
    pub as_of_ms: u64,
    /// The epoch of the lease under which the runner writes, 0 without one. A commit of an older epoch than
    /// the newest that committed is refused: another runner has taken the connection over.
    pub epoch: u64,
}

/// The work that a commit completes.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// A batch of a table.
    Table {
        /// Its name.
        name: &'a str,
        /// Where the next read continues.
        cursor: &'a str,
        /// The snapshot that the batch belongs to, if any.
        generation: Option<Generation>,
    },
    /// The deliveries of the journal up to and including this position.
    Journal(&'a InboxPosition),
}

impl<'a> Commit<'a> {
    /// A batch as it was read.
    pub fn of(table: &'a str, batch: &'a Batch) -> Self {
        let progress = Progress::Table { name: table, cursor: &batch.cursor, generation: batch.generation };
        Self { changes: &batch.changes, progress, as_of_ms: batch.called_at_ms, epoch: 0 }
    }

    /// Whether it ends a snapshot.
    fn completes_snapshot(&self) -> bool {
        matches!(self.progress, Progress::Table { generation: Some(generation), .. } if generation.complete)
    }

    /// The snapshot in which changes of a table were read.
    fn snapshot_of(&self, table: &str) -> Option<Generation> {
        match self.progress {
            Progress::Table { name, generation, .. } if name == table => generation,
            _ => None,
        }
    }
}

/// How far the rows of a sink reach.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkProgress {
    /// Every table that was committed, by name.
    pub tables: Vec<TableState>,
    /// How far the journal is applied; none before the first delivery.
    pub journal: Option<JournalState>,
    /// The newest epoch that committed.
    pub epoch: u64,
}

/// How far a table is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableState {
    /// The table.
    pub table: String,
    /// Where the next read continues; none after a reset.
    pub cursor: Option<String>,
    /// The number of the newest snapshot that was started, 0 if none was.
    pub generation: u64,
    /// Whether that snapshot is complete.
    pub complete: bool,
    /// When this was written, RFC 3339.
    pub updated_at: String,
}

/// A position in a journal. Sequence numbers of different journals cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxPosition {
    /// The journal's identity; empty if it has none.
    pub journal: String,
    /// The sequence number of the last delivery.
    pub through: u64,
}

/// How far the journal is applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalState {
    /// The last delivery that is in the sink, or that brought nothing.
    pub position: InboxPosition,
    /// When a delivery last brought changes, RFC 3339; none before the first that did.
    pub applied_at: Option<String>,
}

/// The effect of a commit, in rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Changes received.
    pub read: u64,
    /// New rows; in a sink that does not compare rows, every change that is not a delete.
    pub inserted: u64,
    /// Rows that changed.
    pub updated: u64,
    /// Rows that were already stored like this.
    pub unchanged: u64,
    /// Rows that were deleted.
    pub deleted: u64,
    /// Changes older than the stored row, ignored.
    pub stale: u64,
    /// Values that did not fit their column's type and are in the row's JSON only.
    pub unconverted: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.read += other.read;
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
        self.deleted += other.deleted;
        self.stale += other.stale;
        self.unconverted += other.unconverted;
    }
}

/// Commits a batch of a table as it was read, with the deletes of rows that its listings lack.
pub(crate) fn commit_batch(
    sink: &mut dyn Sink,
    table: &str,
    batch: &mut Batch,
    epoch: u64,
) -> Result<Counts> {
    if !batch.listings.is_empty() {
        let unlisted = sink.unlisted(table, batch)?;
        batch.changes.extend(unlisted);
    }
    let commit = Commit { epoch, ..Commit::of(table, batch) };
    if batch.caught_up { sink.commit_last(&commit) } else { sink.commit(&commit) }
}

/// Deletes the cursors of tables, of all if none is named. Answers whose cursors there were.
pub fn reset(sink: &mut dyn Sink, wanted: &[String]) -> Result<Vec<String>> {
    let known: Vec<String> = sink.table_states()?.into_iter().map(|state| state.table).collect();
    if let Some(unknown) = wanted.iter().find(|table| !known.contains(table)) {
        let message = format!("table `{unknown}`: has no cursor");
        return Err(Error::new(Origin::Host, Kind::NotFound, message)
            .hint(format!("tables with a cursor: {}", known.join(", "))));
    }
    let mut reset = Vec::new();
    for table in if wanted.is_empty() { &known } else { wanted } {
        if sink.reset(table)? {
            reset.push(table.clone());
        }
    }
    Ok(reset)
}

/// A random identity for what a sink stores, in hexadecimal.
fn identity() -> Result<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| Error::host(format!("no randomness: {error}")))?;
    Ok(hex(&bytes))
}

/// The refusal of a commit under an older lease than the newest one that committed.
fn fenced(epoch: u64, newest: u64) -> Error {
    let message = format!("lease {epoch} is over: lease {newest} has committed");
    Error::new(Origin::Sink, Kind::Internal, message)
        .hint("another runner has taken the connection over; stop one of them")
}

/// The error for a commit that names a table the sink did not prepare.
fn undiscovered(table: &str) -> Error {
    Error::data(format!("table `{table}`: was not discovered, so the sink has no place for its rows"))
}
