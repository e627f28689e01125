//! The JSON lines sink: one folder per connection, one file per table, one line per change, each exactly
//! once.
//!
//! [`metadata`] is the sidecar that says how many bytes of each file are committed, [`write`] writes the
//! lines. Bytes after the committed ones are cut off when the sink is opened. Rows pass through unread, so
//! the lines carry the times and generations from which a reader keeps the order of changes and finds missing
//! rows.

mod metadata;
mod write;

#[cfg(test)]
mod stored;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use self::metadata::{SIDECAR, Sidecar};
use super::order::{Containing, as_of};
use super::registry::owned_by_another;
use super::{
    Capabilities, Commit, Counts, JournalState, Location, Progress, Sink, SinkKind, SinkSettings, TableState,
    undiscovered,
};
use crate::change::Table;
use crate::error::{Error, Result};

/// This kind of sink.
pub(super) const KIND: SinkKind = SinkKind {
    name: "jsonl",
    capabilities: Capabilities { compares_rows: false, hard_deletes: false, typed_columns: false },
    locate: |path, folder, connection| Ok(Location::path(folder, path.unwrap_or(connection))),
    exists: |location| Ok(location.as_path()?.join(SIDECAR).exists()),
    open: |settings| Ok(Box::new(Jsonl::open(settings)?)),
    #[cfg(test)]
    stored_rows: stored::rows,
};

/// Longest name of a table; file systems take 255 bytes for a file's name.
const NAME_BYTES_MAX: usize = 200;

/// An open folder.
struct Jsonl {
    folder: PathBuf,
    sidecar: Sidecar,
    files: BTreeMap<String, File>,
}

/// Lines of a commit, by table.
type Lines<'a> = BTreeMap<&'a str, Vec<u8>>;

impl Jsonl {
    /// Opens or creates the folder of a connection and cuts every file to its committed bytes.
    fn open(settings: &SinkSettings) -> Result<Self> {
        let folder = settings.location.as_path()?;
        std::fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
        // Until this returns, so that two connections that open it at once see one owner.
        let lock = File::open(folder).map_err(|error| failed(folder, &error))?;
        lock.lock().map_err(|error| failed(folder, &error))?;
        let mut sidecar = Sidecar::load(folder)?;
        match &sidecar.owner {
            Some(owner) if *owner == settings.owner => {}
            Some(owner) => {
                let release = format!("delete \"owner\" from {}", folder.join(SIDECAR).display());
                return Err(owned_by_another(settings, owner, &release));
            }
            None => {
                sidecar.owner = Some(settings.owner.clone());
                sidecar.store(folder)?;
            }
        }
        let mut sink = Self { folder: folder.to_owned(), sidecar, files: BTreeMap::new() };
        let tables: Vec<String> = sink.sidecar.tables.keys().cloned().collect();
        for table in tables {
            sink.recover(&table)?;
        }
        Ok(sink)
    }

    /// Opens a table's file and cuts off uncommitted bytes.
    fn recover(&mut self, table: &str) -> Result<()> {
        let path = path(&self.folder, table);
        let committed = self.sidecar.tables.get(table).map_or(0, |table| table.bytes);
        let wrong = |error: std::io::Error| failed(&path, &error);
        let mut options = OpenOptions::new();
        options.create(true).read(true).write(true).truncate(false);
        let mut file = options.open(&path).map_err(wrong)?;
        let length = file.metadata().map_err(wrong)?.len();
        if length < committed {
            let message = format!("{}: has {length} bytes, but {committed} were committed", path.display());
            return Err(Error::sink(message)
                .hint("restore the file, or move the folder away and sync again from the start"));
        }
        if length > committed {
            tracing::info!(table, bytes = length - committed, "uncommitted bytes cut off");
            file.set_len(committed).map_err(wrong)?;
        }
        file.seek(SeekFrom::Start(committed)).map_err(wrong)?;
        self.files.insert(table.to_owned(), file);
        Ok(())
    }

    /// Appends lines after the committed bytes, and makes them durable.
    fn append(&mut self, sidecar: &mut Sidecar, lines: &Lines<'_>) -> Result<()> {
        for (table, lines) in lines.iter().filter(|(_, lines)| !lines.is_empty()) {
            let (Some(file), Some(state)) = (self.files.get_mut(*table), sidecar.tables.get_mut(*table))
            else {
                return Err(undiscovered(table));
            };
            // An earlier commit may have failed half-way; its bytes do not count.
            let written = file
                .set_len(state.bytes)
                .and_then(|()| file.seek(SeekFrom::Start(state.bytes)))
                .and_then(|_| file.write_all(lines))
                .and_then(|()| file.sync_data());
            written.map_err(|error| failed(&path(&self.folder, table), &error))?;
            state.bytes += lines.len() as u64;
        }
        Ok(())
    }

    /// The lines of a commit, and how they count.
    fn lines<'a>(&self, commit: &Commit<'a>) -> Result<(Lines<'a>, Counts)> {
        let (mut lines, mut counts) = (Lines::new(), Counts::default());
        for run in commit.changes.chunk_by(|left, right| left.table == right.table) {
            let Some(name) = run.first().map(|change| change.table.as_str()) else { continue };
            let table = self.sidecar.tables.get(name).ok_or_else(|| undiscovered(name))?;
            let containing = Containing::new(commit, name, table.newest_snapshot());
            let buffer = lines.entry(name).or_default();
            for change in run {
                let as_of = as_of(change, commit);
                write::change(buffer, change, as_of, containing.generation(change, as_of))?;
                counts.read += 1;
                *if change.after.is_some() { &mut counts.inserted } else { &mut counts.deleted } += 1;
            }
        }
        if let Progress::Table { name, generation, .. } = commit.progress {
            if !self.sidecar.tables.contains_key(name) {
                return Err(undiscovered(name));
            }
            if let Some(generation) = generation.filter(|generation| generation.complete) {
                write::snapshot_complete(lines.entry(name).or_default(), name, generation);
            }
        }
        Ok((lines, counts))
    }
}

fn is_file_name(table: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=NAME_BYTES_MAX).contains(&table.len())
        && !table.starts_with(['_', '.'])
        && table.bytes().all(is_plain)
}

fn path(folder: &Path, table: &str) -> PathBuf {
    folder.join(format!("{table}.jsonl"))
}

fn failed(path: &Path, error: &std::io::Error) -> Error {
    Error::sink(format!("{}: {error}", path.display()))
}

impl Sink for Jsonl {
    fn capabilities(&self) -> Capabilities {
        KIND.capabilities
    }

    fn prepare(&mut self, tables: &[Table]) -> Result<()> {
        let mut sidecar = self.sidecar.clone();
        for table in tables {
            if !is_file_name(&table.name) {
                return Err(Error::data(format!("table `{}`: its name cannot name a file", table.name)));
            }
            if sidecar.tables.contains_key(&table.name) {
                continue;
            }
            let path = path(&self.folder, &table.name);
            if path.exists() {
                return Err(Error::sink(format!("{}: not written by this sink", path.display()))
                    .hint("give the sink its own folder: path under [sink]"));
            }
            sidecar.tables.insert(table.name.clone(), metadata::Table::default());
        }
        // The sidecar names a file before the file exists, so that no file is of unknown origin after a
        // crash.
        sidecar.store(&self.folder)?;
        self.sidecar = sidecar;
        for table in tables {
            if !self.files.contains_key(&table.name) {
                self.recover(&table.name)?;
            }
        }
        Ok(())
    }

    fn table_states(&self) -> Result<Vec<TableState>> {
        Ok(self.sidecar.table_states())
    }

    fn journal_state(&self) -> Result<Option<JournalState>> {
        Ok(self.sidecar.journal.clone())
    }

    fn commit(&mut self, commit: &Commit<'_>) -> Result<Counts> {
        let (lines, counts) = self.lines(commit)?;
        let mut sidecar = self.sidecar.clone();
        self.append(&mut sidecar, &lines)?;
        sidecar.advance(commit.progress);
        sidecar.store(&self.folder)?;
        self.sidecar = sidecar;
        Ok(counts)
    }

    fn reset(&mut self, table: &str) -> Result<bool> {
        let mut sidecar = self.sidecar.clone();
        let had_cursor = sidecar.reset(table);
        if had_cursor {
            sidecar.store(&self.folder)?;
            self.sidecar = sidecar;
        }
        Ok(had_cursor)
    }
}
