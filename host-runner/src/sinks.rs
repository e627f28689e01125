//! Where rows go: one trait, one file per target.
//!
//! A sink stores rows and the cursor that covers them together, and keeps the order of changes. It
//! knows nothing of components, calls or retries.

mod jsonl;
mod sqlite;
mod target;

use std::ops::AddAssign;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::change::{Batch, Change, Generation, Table};
use crate::connection::{Deletes, SinkKind, SinkSettings};
use crate::error::{Error, Kind, Origin, Result};

pub use target::Target;

/// What a commit did, in rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Changes received.
    pub read: u64,
    /// Rows that are new.
    pub inserted: u64,
    /// Rows that are different now.
    pub updated: u64,
    /// Rows that were there already.
    pub unchanged: u64,
    /// Rows that are gone.
    pub deleted: u64,
    /// Changes older than what is stored; ignored.
    pub stale: u64,
    /// Values that did not fit their column's type; the document has them.
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

/// How far a table is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The table.
    pub table: String,
    /// Where to go on; none after a reset.
    pub cursor: Option<String>,
    /// The newest complete read that was begun, 0 if none was.
    pub generation: u64,
    /// Whether that read has been completed.
    pub complete: bool,
    /// When this was written.
    pub updated_at: String,
}

/// Rows to be stored in one transaction, with the cursor that covers them.
///
/// Commits must come in the order of the calls that produced them: a row written between two batches
/// of a snapshot counts as seen by that snapshot.
#[derive(Clone, Copy, Debug)]
pub struct Commit<'a> {
    /// The table whose cursor moves.
    pub table: &'a str,
    /// The rows; of that table, or of any other that was prepared.
    pub changes: &'a [Change],
    /// Where to go on; none leaves the cursor as it is.
    pub cursor: Option<&'a str>,
    /// The snapshot that the rows belong to.
    pub generation: Option<Generation>,
    /// Orders changes that carry no time of their own.
    pub as_of_ms: u64,
}

impl<'a> Commit<'a> {
    /// A batch as it was read.
    pub fn of(table: &'a str, batch: &'a Batch) -> Self {
        Self {
            table,
            changes: &batch.changes,
            cursor: Some(&batch.cursor),
            generation: batch.generation,
            as_of_ms: batch.called_at_ms,
        }
    }
}

/// A target.
pub trait Sink: Send {
    /// Makes room for tables as discovered; columns are added, never dropped.
    fn prepare(&mut self, tables: &[Table]) -> Result<()>;
    /// How far a table is; none if it was never committed.
    fn position(&self, table: &str) -> Result<Option<Position>>;
    /// How far all tables are.
    fn positions(&self) -> Result<Vec<Position>>;
    /// Stores rows and cursor, both or neither.
    fn commit(&mut self, commit: &Commit<'_>) -> Result<Counts>;
    /// Forgets a cursor, so that the next read begins a new snapshot. Rows stay. True if there was one.
    fn reset(&mut self, table: &str) -> Result<bool>;
}

/// The entry among the cursors that says through which delivery the journal is applied; not a table.
pub const JOURNAL: &str = "_journal";

/// How far the tables are, without what the runner keeps beside them.
pub fn tables(sink: &dyn Sink) -> Result<Vec<Position>> {
    let positions = sink.positions()?.into_iter();
    Ok(positions.filter(|position| position.table != JOURNAL).collect())
}

/// Forgets the cursors of tables, of all if none is named; answers of which.
pub fn reset(sink: &mut dyn Sink, wanted: &[String]) -> Result<Vec<String>> {
    let known: Vec<String> = tables(sink)?.into_iter().map(|position| position.table).collect();
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

/// Opens the target that a connection file names, and makes it this connection's own if it is nobody's.
pub fn open(settings: &SinkSettings) -> Result<Box<dyn Sink>> {
    let SinkSettings { kind, path, deletes, owner } = settings;
    Ok(match kind {
        SinkKind::Sqlite => Box::new(sqlite::Sqlite::open(path, owner, *deletes == Deletes::Hard)?),
        SinkKind::Jsonl => Box::new(jsonl::Jsonl::open(path, owner)?),
    })
}

/// The refusal of a target that belongs to another connection; `forget` says how that is undone.
fn taken(path: &Path, owner: &str, other: &str, forget: &str) -> Error {
    Error::new(
        Origin::Configuration,
        Kind::Config,
        format!("{}: holds the rows of connection `{other}`, not of `{owner}`", path.display()),
    )
    .hint(format!(
        "give each connection a target of its own: path under [sink]; if `{other}` was renamed to `{owner}`: {forget}"
    ))
}
