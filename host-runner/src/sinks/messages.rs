//! The sink of a data tool: rows and progress as messages of the Airbyte or the Singer protocol, on standard
//! output.
//!
//! [`record`] turns changes into typed members, [`fold`] keeps the newest change of each key of a commit,
//! [`saved`] is the progress as tools keep it between runs, [`airbyte`] and [`singer`] are the two
//! encodings. Knows neither command lines nor the component. A commit is one write: its records, then the
//! state that covers them. The tool stores both, or, if it fails, neither, and gives the older state again.
//!
//! PyAirbyte merges all records of a run at once, and of a key that comes twice it keeps both rows. So a run
//! of Airbyte holds each key once ([`said`]): a row that changed while it was read follows in the next run.
//! No tool compares a record with its row. Left out are rows that a verification lists ([`SavedTable::has`]),
//! and those that a snapshot lists after it has read them ([`said`]).
//!
//! Tools replace a table at the end of a full refresh. Without all of its rows it is one of the [`Parts`].

pub(crate) mod airbyte;
pub(crate) mod singer;

mod fold;
mod record;
mod said;
mod saved;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use self::fold::Newest;
use self::record::{Record, Stream};
use self::said::{Again, Said};
use self::saved::is_listed;
pub(crate) use self::saved::{Saved, SavedTable};
use super::{Capabilities, Commit, Counts, Progress, Sink, SinkProgress, undiscovered};
use crate::change::Table;
use crate::error::{Error, Result};
use crate::policy::Failure;
use crate::secret::Redactor;

/// The protocol that a tool speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Airbyte,
    Singer,
}

/// A message besides rows. A protocol without such a message writes nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Message<'a> {
    /// How far the reading of a table is.
    Status { table: &'a str, status: Status },
    /// Rows that a table is expected to have.
    Estimate { table: &'a str, rows: u64 },
    /// A line for the log of the tool.
    Log { level: Level, text: &'a str },
    /// A failure, of one table or of the run.
    Failed { table: Option<&'a str>, error: &'a Error, failure: Failure },
}

/// How far the reading of a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Started,
    Running,
    Complete,
    Incomplete,
}

/// How much a line of the log matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Info,
    Warning,
    Error,
}

/// Where messages go. Clones share it; a write is never split by another one.
#[derive(Clone)]
pub(crate) struct Output {
    protocol: Protocol,
    redactor: Redactor,
    writer: Arc<Mutex<dyn Write + Send>>,
}

impl Output {
    pub(crate) fn new(protocol: Protocol, redactor: Redactor, writer: impl Write + Send + 'static) -> Self {
        Self { protocol, redactor, writer: Arc::new(Mutex::new(writer)) }
    }

    /// Writes a message at `now_ms`, without secrets.
    pub(crate) fn say(&self, message: Message<'_>, now_ms: u64) -> Result<()> {
        let mut lines = Vec::new();
        match self.protocol {
            Protocol::Airbyte => airbyte::message(&mut lines, message, now_ms, &self.redactor),
            // Singer has rows and states alone; everything else is in the log.
            Protocol::Singer => {}
        }
        self.write(&lines)
    }

    /// Writes whole lines.
    pub(crate) fn write(&self, lines: &[u8]) -> Result<()> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let written = writer.write_all(lines).and_then(|()| writer.flush());
        written.map_err(|error| Error::sink(format!("standard output: {error}")))
    }
}

/// The tables that a full refresh caught up with, and of which it lacks rows. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parts(Arc<Mutex<BTreeSet<String>>>);

impl Parts {
    fn add(&self, table: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(table.to_owned());
    }

    pub(crate) fn has(&self, table: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(table)
    }
}

/// Gives the session as it is to be kept in the state: sealed, in base64.
pub(crate) type SealedSession = Box<dyn Fn() -> Option<String> + Send>;

/// See the file's header.
pub(crate) struct Messages {
    output: Output,
    saved: Saved,
    session: SealedSession,
    /// Columns that the tool does not want, by table.
    unwanted: BTreeMap<String, BTreeSet<String>>,
    tables: BTreeMap<String, Stream>,
    said: BTreeMap<String, Said>,
    parts: Parts,
}

impl Messages {
    /// A sink that continues from `saved`.
    pub(crate) fn new(output: Output, saved: Saved, session: SealedSession) -> Self {
        Self {
            output,
            saved,
            session,
            unwanted: BTreeMap::new(),
            tables: BTreeMap::new(),
            said: BTreeMap::new(),
            parts: Parts::default(),
        }
    }

    /// The tables of which this run lacks rows, as it finds them.
    pub(crate) fn parts(&self) -> Parts {
        self.parts.clone()
    }

    /// Leaves columns out, by table.
    pub(crate) fn without(mut self, unwanted: BTreeMap<String, BTreeSet<String>>) -> Self {
        self.unwanted = unwanted;
        self
    }

    /// The lines of the rows of a commit, and their number by table.
    fn records<'a>(
        &mut self,
        lines: &mut Vec<u8>,
        changes: Vec<Newest<'a>>,
        commit: &Commit<'a>,
    ) -> Result<(Counts, BTreeMap<&'a str, u64>)> {
        let (mut counts, mut records) = (Counts::default(), BTreeMap::new());
        for change in changes {
            let stream = self.tables.get(change.table).ok_or_else(|| undiscovered(change.table))?;
            let saved = self.saved.tables.get(change.table);
            let again = Again::of(self.output.protocol, saved.is_some_and(|saved| saved.is_refreshed));
            let is_listed = is_listed(&change, commit.snapshot_of(change.table), commit.as_of_ms);
            let said = self.said.entry(change.table.to_owned()).or_default();
            if !said.is_new(&change, is_listed, again) {
                continue;
            }
            let Record { members, lost, unconverted } = stream.record(&change, self.output.protocol)?;
            match self.output.protocol {
                Protocol::Airbyte => airbyte::record(lines, change.table, &members, &lost, commit.as_of_ms),
                Protocol::Singer => {
                    let version = saved.and_then(|saved| saved.version);
                    singer::record(lines, change.table, &members, version, commit.as_of_ms);
                }
            }
            counts.unconverted += unconverted;
            *if change.row.is_some() { &mut counts.inserted } else { &mut counts.deleted } += 1;
            *records.entry(change.table).or_default() += 1;
        }
        counts.read = u64::try_from(commit.changes.len()).unwrap_or(u64::MAX);
        Ok((counts, records))
    }

    /// Writes the lines of a commit: records, then the state of `table`.
    fn write(
        &mut self,
        commit: &Commit<'_>,
        table: &str,
        mut progress: SavedTable,
        is_last: bool,
    ) -> Result<Counts> {
        let changes = fold::newest(commit)?;
        let count = changes.len();
        let generation = commit.snapshot_of(table);
        let has = |change: &Newest<'_>| progress.has(change, generation, commit.as_of_ms);
        let new: Vec<Newest<'_>> = changes.into_iter().filter(|change| !has(change)).collect();
        if new.len() < count {
            progress.keep_version();
        }
        let ends = generation.is_some_and(|generation| generation.complete || is_last);
        let completed = if ends { progress.end() } else { None };
        self.saved.tables.insert(table.to_owned(), progress);
        let mut lines = Vec::new();
        let (counts, records) = self.records(&mut lines, new, commit)?;
        self.saved.session = (self.session)().or(self.saved.session.take());
        let is_held = self.said.get(table).is_some_and(Said::is_held);
        match (self.output.protocol, self.saved.tables.get(table)) {
            (Protocol::Airbyte, Some(saved)) if !is_held => {
                let stats = (records.get(table).copied().unwrap_or(0), commit.as_of_ms);
                airbyte::state(&mut lines, table, saved, self.saved.session.as_deref(), stats);
            }
            (Protocol::Airbyte, _) => {}
            (Protocol::Singer, _) => {
                if let Some(version) = completed {
                    singer::activate_version(&mut lines, table, version);
                }
                singer::state(&mut lines, &self.saved);
            }
        }
        self.output.write(&lines)?;
        if is_last && self.saved.tables.get(table).is_some_and(|saved| saved.is_part(is_held)) {
            self.parts.add(table);
        }
        Ok(counts)
    }

    fn store(&mut self, commit: &Commit<'_>, is_last: bool) -> Result<Counts> {
        let Progress::Table { name, cursor, generation } = commit.progress else {
            return Err(Error::sink("a data tool takes no deliveries"));
        };
        if !self.tables.contains_key(name) {
            return Err(undiscovered(name));
        }
        let before = self.saved.tables.get(name).cloned();
        let after = before.clone().unwrap_or_default().after(cursor, generation, commit.as_of_ms);
        let is_same_version = before.as_ref().is_some_and(|before| before.version == after.version);
        if self.output.protocol == Protocol::Singer && !is_same_version {
            // Its end deletes all rows of older versions, so that each is written again.
            self.said.remove(name);
        }
        let written = self.write(commit, name, after, is_last);
        if written.is_err() {
            match before {
                Some(before) => self.saved.tables.insert(name.to_owned(), before),
                None => self.saved.tables.remove(name),
            };
            self.said.entry(name.to_owned()).or_default().hold();
        }
        written
    }
}

impl Sink for Messages {
    fn capabilities(&self) -> Capabilities {
        Capabilities { compares_rows: false, hard_deletes: false, typed_columns: true }
    }

    fn prepare(&mut self, tables: &[Table]) -> Result<()> {
        let mut lines = Vec::new();
        for table in tables {
            let unwanted = self.unwanted.get(&table.name);
            let stream = Stream::new(table, unwanted.unwrap_or(&BTreeSet::new()))?;
            if self.output.protocol == Protocol::Singer {
                singer::schema(&mut lines, &stream);
            }
            self.tables.insert(table.name.clone(), stream);
        }
        self.output.write(&lines)
    }

    fn progress(&self) -> Result<SinkProgress> {
        Ok(self.saved.progress())
    }

    fn commit(&mut self, commit: &Commit<'_>) -> Result<Counts> {
        self.store(commit, false)
    }

    fn commit_last(&mut self, commit: &Commit<'_>) -> Result<Counts> {
        self.store(commit, true)
    }

    fn reset(&mut self, table: &str) -> Result<bool> {
        Ok(self.saved.tables.remove(table).is_some())
    }
}
