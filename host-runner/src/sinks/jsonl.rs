//! Rows into JSON lines: one file per table, one line per change, exactly once in the file.
//!
//! The sidecar `_sync_state.json` says how many bytes of each file are committed, what cursor covers
//! them, and whose they are; it is replaced as a whole. What lies behind the committed bytes is cut off at the next start.
//! Documents are passed through unread, so a reader does deletes by comparison from `snapshot-complete` lines.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Commit, Counts, JOURNAL, Position, Sink, taken};
use crate::change::{Change, Operation, Table};
use crate::clock::{now_ms, rfc3339_ms};
use crate::error::{Error, Result};

const SIDECAR: &str = "_sync_state.json";
const VERSION: u32 = 1;

/// A folder of files.
pub(super) struct Jsonl {
    folder: PathBuf,
    state: State,
    files: BTreeMap<String, File>,
    /// Lines of the commit under way, by table.
    buffers: BTreeMap<String, Vec<u8>>,
}

/// The sidecar.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct State {
    version: u32,
    /// The connection whose rows these are.
    #[serde(default)]
    owner: Option<String>,
    tables: BTreeMap<String, Committed>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Committed {
    cursor: Option<String>,
    generation: u64,
    /// When that snapshot began by the source's clock.
    #[serde(default)]
    generation_as_of_ms: Option<u64>,
    complete: bool,
    bytes: u64,
    updated_at: String,
}

impl Jsonl {
    /// Opens or makes the folder of a connection and brings every file back to what is committed.
    pub(super) fn open(folder: &Path, owner: &str) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
        // Until this returns: of two that open it at once, one comes first.
        let door = File::open(folder).map_err(|error| failed(folder, &error))?;
        door.lock().map_err(|error| failed(folder, &error))?;
        let sidecar = folder.join(SIDECAR);
        let state = match std::fs::read(&sidecar) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| Error::sink(format!("{}: {error}", sidecar.display())))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                State { version: VERSION, owner: None, tables: BTreeMap::new() }
            }
            Err(error) => return Err(failed(&sidecar, &error)),
        };
        if state.version > VERSION {
            return Err(Error::sink(format!("{}: written by a newer runner", sidecar.display())));
        }
        let mut sink =
            Self { folder: folder.to_owned(), state, files: BTreeMap::new(), buffers: BTreeMap::new() };
        match sink.state.owner.clone() {
            Some(found) if found == owner => {}
            Some(found) => {
                let forget = format!("remove \"owner\" from {}", sidecar.display());
                return Err(taken(folder, owner, &found, &forget));
            }
            None => {
                sink.state.owner = Some(owner.to_owned());
                sink.store(&sink.state)?;
            }
        }
        let tables: Vec<String> = sink.state.tables.keys().filter(|name| *name != JOURNAL).cloned().collect();
        for table in tables {
            sink.recover(&table)?;
        }
        Ok(sink)
    }

    fn path(&self, table: &str) -> PathBuf {
        self.folder.join(format!("{table}.jsonl"))
    }

    /// Opens a table's file and cuts off what is not committed.
    fn recover(&mut self, table: &str) -> Result<()> {
        let path = self.path(table);
        let committed = self.state.tables.get(table).map_or(0, |committed| committed.bytes);
        let wrong = |error: std::io::Error| failed(&path, &error);
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .open(&path)
            .map_err(wrong)?;
        let length = file.metadata().map_err(wrong)?.len();
        if length < committed {
            return Err(Error::sink(format!(
                "{}: has {length} bytes, but {committed} were committed",
                path.display()
            ))
            .hint("somebody cut the file; put it back, or move the folder away and start anew"));
        }
        if length > committed {
            tracing::info!(table, bytes = length - committed, "cut off what was not committed");
            file.set_len(committed).map_err(wrong)?;
        }
        file.seek(SeekFrom::Start(committed)).map_err(wrong)?;
        self.files.insert(table.to_owned(), file);
        Ok(())
    }

    fn store(&self, state: &State) -> Result<()> {
        let path = self.folder.join(SIDECAR);
        let aside = self.folder.join("_sync_state.json.tmp");
        let bytes = serde_json::to_vec_pretty(state)
            .map_err(|error| Error::sink(format!("{}: {error}", path.display())))?;
        let write = || -> std::io::Result<()> {
            let mut file = File::create(&aside)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            std::fs::rename(&aside, &path)?;
            File::open(&self.folder)?.sync_all()
        };
        write().map_err(|error| failed(&path, &error))
    }

    /// Appends the buffered lines and makes them durable.
    fn append(&mut self, state: &mut State) -> Result<()> {
        for (table, buffer) in &mut self.buffers {
            let Some(file) = self.files.get_mut(table).filter(|_| !buffer.is_empty()) else {
                continue;
            };
            let committed = state.tables.entry(table.clone()).or_default();
            // An earlier commit may have failed half-way; its bytes do not count.
            let written = file
                .set_len(committed.bytes)
                .and_then(|()| file.seek(SeekFrom::Start(committed.bytes)))
                .and_then(|_| file.write_all(buffer))
                .and_then(|()| file.sync_data());
            let path = self.folder.join(format!("{table}.jsonl"));
            written.map_err(|error| failed(&path, &error))?;
            committed.bytes += buffer.len() as u64;
        }
        Ok(())
    }
}

fn failed(path: &Path, error: &std::io::Error) -> Error {
    Error::sink(format!("{}: {error}", path.display()))
}

/// Writes one change as one line.
fn line(buffer: &mut Vec<u8>, change: &Change, commit: &Commit<'_>, generation: Option<u64>) -> Result<()> {
    let row = || format!("table `{}`: row {}", change.table, change.key);
    let wrong = |what: &str| Error::data(format!("{}: {what}", row()));
    let put = |buffer: &mut Vec<u8>, name: &str, value: &str| -> Result<()> {
        write!(buffer, ",\"{name}\":")
            .map_err(serde_json::Error::io)
            .and_then(|()| serde_json::to_writer(&mut *buffer, value))
            .map_err(|error| wrong(&error.to_string()))
    };
    buffer.extend_from_slice(b"{\"table\":");
    serde_json::to_writer(&mut *buffer, &change.table).map_err(|error| wrong(&error.to_string()))?;
    put(buffer, "operation", change.operation.name())?;
    buffer.extend_from_slice(b",\"key\":");
    object(buffer, &change.key).ok_or_else(|| wrong("its key is not a JSON object"))?;
    match change.source_updated_at_ms.and_then(rfc3339_ms) {
        Some(time) => put(buffer, "source_updated_at", &time)?,
        None => buffer.extend_from_slice(b",\"source_updated_at\":null"),
    }
    put(buffer, "id", &change.id)?;
    let as_of = change.as_of_ms.unwrap_or(commit.as_of_ms);
    buffer.extend_from_slice(format!(",\"as_of_ms\":{as_of},\"generation\":").as_bytes());
    match generation {
        Some(generation) => buffer.extend_from_slice(generation.to_string().as_bytes()),
        None => buffer.extend_from_slice(b"null"),
    }
    put(buffer, "change_source", change.source.name())?;
    if change.partial {
        buffer.extend_from_slice(b",\"partial\":true");
    }
    if let Some(before) = &change.before {
        buffer.extend_from_slice(b",\"before\":");
        object(buffer, before).ok_or_else(|| wrong("its state before is not a JSON object"))?;
    }
    buffer.extend_from_slice(b",\"after\":");
    match &change.after {
        None => buffer.extend_from_slice(b"null"),
        Some(document) => {
            object(buffer, document).ok_or_else(|| wrong("its document is not a JSON object"))?;
        }
    }
    buffer.extend_from_slice(b"}\n");
    Ok(())
}

/// Copies a JSON object as it is, on one line: line breaks can only stand between its tokens.
fn object(buffer: &mut Vec<u8>, text: &str) -> Option<()> {
    let text = text.trim();
    if !(text.starts_with('{') && text.ends_with('}')) {
        return None;
    }
    let start = buffer.len();
    buffer.extend_from_slice(text.as_bytes());
    let copied = buffer.get_mut(start..)?;
    if copied.contains(&b'\n') || copied.contains(&b'\r') {
        copied.iter_mut().filter(|b| matches!(b, b'\n' | b'\r')).for_each(|b| *b = b' ');
    }
    Some(())
}

impl Sink for Jsonl {
    fn prepare(&mut self, tables: &[Table]) -> Result<()> {
        let mut state = self.state.clone();
        for table in tables {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            if table.name.is_empty() || table.name.starts_with(['_', '.']) || !table.name.bytes().all(plain) {
                return Err(Error::data(format!("table `{}`: cannot name a file", table.name)));
            }
            if state.tables.contains_key(&table.name) {
                continue;
            }
            let path = self.path(&table.name);
            if path.exists() {
                return Err(Error::sink(format!("{}: not written by this sink", path.display()))
                    .hint("give the sink a folder of its own: path under [sink]"));
            }
            state.tables.insert(table.name.clone(), Committed::default());
        }
        // The sidecar knows a file before the file exists, so that no file is ever of unknown origin.
        self.store(&state)?;
        self.state = state;
        for table in tables {
            if !self.files.contains_key(&table.name) {
                self.recover(&table.name)?;
            }
        }
        Ok(())
    }

    fn position(&self, table: &str) -> Result<Option<Position>> {
        Ok(self.positions()?.into_iter().find(|position| position.table == table))
    }

    fn positions(&self) -> Result<Vec<Position>> {
        let written = self.state.tables.iter().filter(|(_, done)| !done.updated_at.is_empty());
        let position = |(table, done): (&String, &Committed)| Position {
            table: table.clone(),
            cursor: done.cursor.clone(),
            generation: done.generation,
            complete: done.complete,
            updated_at: done.updated_at.clone(),
        };
        Ok(written.map(position).collect())
    }

    fn commit(&mut self, commit: &Commit<'_>) -> Result<Counts> {
        self.buffers.values_mut().for_each(Vec::clear);
        let mut counts = Counts::default();
        for change in commit.changes {
            if !self.files.contains_key(&change.table) {
                return Err(Error::data(format!(
                    "table `{}`: a row of a table that was not discovered",
                    change.table
                )));
            }
            // A row learnt beside the snapshot, which a webhook brings, counts as shown by its table's newest one, unless
            // it is older than that: then it says nothing about whether the row still exists.
            let as_of_ms = change.as_of_ms.unwrap_or(commit.as_of_ms);
            let begun = || {
                let table = self.state.tables.get(&change.table)?;
                table.generation_as_of_ms.is_none_or(|began| as_of_ms >= began).then_some(table.generation)
            };
            let own =
                commit.generation.filter(|_| change.table == commit.table).map(|generation| generation.id);
            let generation = own.or_else(begun).filter(|generation| *generation > 0);
            line(self.buffers.entry(change.table.clone()).or_default(), change, commit, generation)?;
            counts.read += 1;
            match change.operation {
                Operation::Delete => counts.deleted += 1,
                _ => counts.inserted += 1,
            }
        }
        if let Some(generation) = commit.generation.filter(|generation| generation.complete) {
            let table = serde_json::Value::from(commit.table);
            let end = format!(
                "{{\"table\":{table},\"operation\":\"snapshot-complete\",\"generation\":{}}}\n",
                generation.id
            );
            let buffer = self.buffers.entry(commit.table.to_owned()).or_default();
            buffer.extend_from_slice(end.as_bytes());
        }
        let mut state = self.state.clone();
        self.append(&mut state)?;
        let table = state.tables.entry(commit.table.to_owned()).or_default();
        if let Some(cursor) = commit.cursor {
            table.cursor = Some(cursor.to_owned());
        }
        if let Some(generation) = commit.generation {
            if generation.id >= table.generation {
                (table.generation, table.generation_as_of_ms) = (generation.id, generation.as_of_ms);
            }
            table.complete = generation.complete;
        }
        table.updated_at = rfc3339_ms(now_ms()).unwrap_or_default();
        self.store(&state)?;
        self.state = state;
        Ok(counts)
    }

    fn reset(&mut self, table: &str) -> Result<bool> {
        let mut state = self.state.clone();
        let Some(committed) = state.tables.get_mut(table) else { return Ok(false) };
        let had = committed.cursor.take().is_some();
        committed.complete = false;
        self.store(&state)?;
        self.state = state;
        Ok(had)
    }
}

#[cfg(test)]
mod tests;
