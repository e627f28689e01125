//! The commit log `_sync_commits.jsonl`: one line per commit, with the members of the state that it changed.
//!
//! The line is the commit: a segment's bytes count once a line says so. The state is all lines laid over each
//! other; when the log has grown, one line with all of it takes its place. Knows nothing of rows.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::shortened;
use crate::clock::{now_ms, rfc3339_ms};
use crate::durable::replace;
use crate::error::{Error, Result};
use crate::sinks::file_failure::failed;
use crate::sinks::order::NewestSnapshot;
use crate::sinks::{Commit, JournalState, Progress, SinkProgress, TableState};

pub(super) const LOG: &str = "_sync_commits.jsonl";
/// The file of runners before this one.
const FORMER: &str = "_sync_state.json";
/// The version of the log and of the segments' lines.
const VERSION: u32 = 5;
/// A log that is longer, and has doubled since it was one line, becomes one line again.
const FOLD_BYTES: u64 = 1 << 20;

/// The state, or the members of it that a commit changes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Record {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
    /// The connection whose rows these are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) owner: Option<String>,
    /// The form of the lines; none: [`super::Format::Changes`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) format: Option<String>,
    /// The newest epoch that committed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) epoch: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) journal: Option<JournalState>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) tables: BTreeMap<String, Table>,
    /// The segment that each table writes to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) segments: BTreeMap<String, Segment>,
}

/// How far a table is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Table {
    cursor: Option<String>,
    #[serde(flatten)]
    snapshot: Snapshot,
    complete: bool,
    updated_at: String,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Snapshot {
    generation: i64,
    generation_id: Option<i64>,
    generation_as_of_ms: Option<i64>,
}

/// The segment that a table writes to. Those with smaller numbers are sealed: complete, and the reader's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Segment {
    pub(super) number: u64,
    /// Its committed bytes.
    pub(super) bytes: u64,
    /// When its first line was written, Unix milliseconds.
    pub(super) since_ms: u64,
}

impl Table {
    pub(super) fn newest_snapshot(&self) -> NewestSnapshot {
        let Snapshot { generation, generation_id: id, generation_as_of_ms: as_of } = self.snapshot;
        NewestSnapshot { generation, id, as_of }
    }
}

impl Record {
    /// Lays the members of a commit over the state.
    fn apply(&mut self, commit: Record) {
        self.version = commit.version.or(self.version);
        self.owner = commit.owner.or_else(|| self.owner.take());
        self.format = commit.format.or_else(|| self.format.take());
        self.epoch = commit.epoch.or(self.epoch);
        self.journal = commit.journal.or_else(|| self.journal.take());
        self.tables.extend(commit.tables);
        self.segments.extend(commit.segments);
    }

    pub(super) fn newest_snapshot(&self, table: &str) -> NewestSnapshot {
        self.tables.get(table).map(Table::newest_snapshot).unwrap_or_default()
    }

    pub(super) fn progress(&self) -> SinkProgress {
        let state = |(table, state): (&String, &Table)| TableState {
            table: table.clone(),
            cursor: state.cursor.clone(),
            generation: state.snapshot.generation.unsigned_abs(),
            complete: state.complete,
            updated_at: state.updated_at.clone(),
        };
        SinkProgress {
            tables: self.tables.iter().map(state).collect(),
            journal: self.journal.clone(),
            epoch: self.epoch.unwrap_or(0),
        }
    }

    /// The members that a commit's progress changes in `state`.
    pub(super) fn advance(state: &Record, commit: &Commit<'_>) -> Self {
        let mut record = Self::default();
        let now = rfc3339_ms(now_ms());
        match commit.progress {
            Progress::Table { name, cursor, generation } => {
                let before = state.tables.get(name).cloned().unwrap_or_default();
                let mut newest = before.newest_snapshot();
                if let Some(generation) = generation {
                    newest = newest.after(generation);
                }
                let table = Table {
                    cursor: Some(cursor.to_owned()),
                    snapshot: Snapshot {
                        generation: newest.generation,
                        generation_id: newest.id,
                        generation_as_of_ms: newest.as_of,
                    },
                    complete: generation.map_or(before.complete, |generation| generation.complete),
                    updated_at: now.unwrap_or_default(),
                };
                record.tables.insert(name.to_owned(), table);
            }
            Progress::Journal(position) => {
                let before = state.journal.as_ref().and_then(|journal| journal.applied_at.clone());
                let applied_at = if commit.changes.is_empty() { before } else { now };
                record.journal = Some(JournalState { position: position.clone(), applied_at });
            }
        }
        record
    }

    /// The members that the reset of a table changes; none if it has no cursor.
    pub(super) fn reset(state: &Record, table: &str) -> Option<Self> {
        let mut reset = state.tables.get(table).filter(|state| state.cursor.is_some())?.clone();
        (reset.cursor, reset.complete, reset.snapshot.generation_id) = (None, false, None);
        let tables = BTreeMap::from([(table.to_owned(), reset)]);
        Some(Self { tables, ..Self::default() })
    }
}

/// A log, open for commits. Holds no file: each commit opens it by its path, so that a log that was moved or
/// replaced is noticed.
pub(super) struct Log {
    folder: PathBuf,
    pub(super) state: Record,
    /// Bytes of whole lines; none before the first.
    bytes: u64,
    /// Its bytes when it was one line.
    folded: u64,
}

impl Log {
    /// Reads the log of a folder, or starts one. Changes nothing.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let (state, bytes) = load(folder)?.unwrap_or_default();
        Ok(Self { folder: folder.to_owned(), state, bytes, folded: 0 })
    }

    /// Writes a commit durably.
    pub(super) fn commit(&mut self, record: Record) -> Result<()> {
        let path = self.folder.join(LOG);
        if self.bytes == 0 || self.bytes > FOLD_BYTES.max(2 * self.folded) {
            let mut state = self.state.clone();
            state.apply(Record { version: Some(VERSION), ..record });
            self.bytes = self.replace(&path, &state)?;
            self.folded = self.bytes;
            self.state = state;
            return Ok(());
        }
        let line = line(&record)?;
        let mut file = OpenOptions::new().write(true).open(&path).map_err(|error| failed(&path, &error))?;
        let length = file.metadata().map_err(|error| failed(&path, &error))?.len();
        if length < self.bytes {
            return Err(shortened(&path, length, self.bytes));
        }
        // An earlier commit may have failed half-way; its bytes do not count.
        file.set_len(self.bytes)
            .and_then(|()| file.seek(SeekFrom::Start(self.bytes)))
            .and_then(|_| file.write_all(&line))
            .and_then(|()| file.sync_data())
            .map_err(|error| failed(&path, &error))?;
        self.bytes += line.len() as u64;
        self.state.apply(record);
        Ok(())
    }

    /// Replaces the log by one line, durably. Returns its bytes.
    fn replace(&self, path: &Path, state: &Record) -> Result<u64> {
        let line = line(state)?;
        replace(path, &format!("{LOG}.tmp"), &line).map_err(|error| failed(path, &error))?;
        Ok(line.len() as u64)
    }
}

fn line(record: &Record) -> Result<Vec<u8>> {
    let mut line = serde_json::to_vec(record).map_err(|error| Error::sink(format!("{LOG}: {error}")))?;
    line.push(b'\n');
    Ok(line)
}

/// The state of a folder and the bytes of its log that count; none if there is no log. Changes nothing.
///
/// A last line that is not whole is a commit that did not happen.
pub(super) fn load(folder: &Path) -> Result<Option<(Record, u64)>> {
    let path = folder.join(LOG);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound && !folder.join(FORMER).exists() => {
            return Ok(None);
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(other_version(&folder.join(FORMER), 0));
        }
        Err(error) => return Err(failed(&path, &error)),
    };
    let (mut state, mut bytes) = (Record::default(), 0);
    let mut lines = text.split_inclusive(|byte| *byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        #[derive(Deserialize)]
        struct Version {
            version: Option<u32>,
        }
        let version = serde_json::from_slice(line).ok().and_then(|Version { version }| version);
        if let Some(other) = version.filter(|version| *version != VERSION) {
            return Err(other_version(&path, other));
        }
        match serde_json::from_slice(line) {
            Ok(record) if line.ends_with(b"\n") => state.apply(record),
            Err(error) if lines.peek().is_some() => {
                return Err(Error::sink(format!("{}: damaged after {bytes} bytes: {error}", path.display()))
                    .hint("restore the file, or move the folder away and sync again from the start"));
            }
            // A last line that a kill left unfinished.
            _ => break,
        }
        bytes += line.len() as u64;
    }
    Ok(Some((state, bytes)))
}

fn other_version(path: &Path, version: u32) -> Error {
    let writer = if version < VERSION { "an older" } else { "a newer" };
    Error::sink(format!("{}: written by {writer} runner", path.display()))
        .hint("use that runner, or move the folder away and sync again from the start")
}
