//! The JSON lines sink: one folder per connection, in it a folder of segments per table, one line per change,
//! each exactly once.
//!
//! [`log`] is the commit log that says how many bytes of each table are committed, [`segments`] are the
//! tables' files, [`write`] writes the lines, [`debezium`] those of the other format. Rows pass through
//! unread, so the lines carry the times and generations from which a reader keeps the order of changes and
//! finds missing rows.

mod debezium;
mod log;
mod segments;
mod write;

#[cfg(test)]
pub(super) mod stored;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use self::log::{LOG, Log, Record, Segment};
pub(super) use self::segments::{Rotation, check_unused};
#[cfg(test)]
use super::conformance::TestPlace;
use super::file_failure::failed;
use super::order::{Containing, as_of, signed};
use super::registry::{owned_by_another, written_by_another};
use super::{
    Capabilities, Commit, Counts, Location, Progress, Sink, SinkKind, SinkProgress, SinkSettings, fenced,
    undiscovered,
};
use crate::change::Table;
use crate::clock::now_ms;
use crate::error::{Error, Kind, Origin, Result};
use crate::files;

/// This kind of sink.
pub(super) const KIND: SinkKind = SinkKind { other_forms: &[&DEBEZIUM_KIND], ..CHANGES_KIND };

const CHANGES_KIND: SinkKind = SinkKind {
    name: "jsonl",
    format: CHANGES,
    other_forms: &[],
    capabilities: Capabilities { compares_rows: false, hard_deletes: false, typed_columns: false },
    own_keys: &["path", "format"],
    locate: |place, folder, connection| Ok(Location::path(folder, place.path.unwrap_or(connection))),
    exists: |location| Ok(exists(location.as_path()?)),
    open: |settings| Ok(Box::new(Jsonl::open(settings)?)),
    inspect: |settings| inspect(settings, settings.location.as_path()?),
    #[cfg(test)]
    stored_rows: stored::rows,
    #[cfg(test)]
    test_place: |folder| Some(TestPlace::path(folder)),
};

/// The same folder with lines in Debezium's envelope.
const DEBEZIUM_KIND: SinkKind = SinkKind {
    format: DEBEZIUM,
    #[cfg(test)]
    stored_rows: stored::debezium_rows,
    ..CHANGES_KIND
};

/// The forms of lines, as `format` names them.
pub(super) const CHANGES: &str = "changes";
const DEBEZIUM: &str = "debezium";

/// The names of forms.
pub(crate) const FORMAT_NAMES: &[&str] = &[CHANGES, DEBEZIUM];

/// Longest name of a table; file systems take 255 bytes for a file's name.
const NAME_BYTES_MAX: usize = 200;

/// An open folder.
pub(super) struct Jsonl {
    folder: PathBuf,
    log: Log,
    owner: String,
    /// [`CHANGES`] or [`DEBEZIUM`].
    format: &'static str,
    rotation: Rotation,
    /// Keeps other writers out until it is closed.
    _lock: File,
}

/// Lines of a commit, by table.
type Lines<'a> = BTreeMap<&'a str, Vec<u8>>;

impl Jsonl {
    fn open(settings: &SinkSettings) -> Result<Self> {
        Self::open_in(settings.location.as_path()?, settings, settings.kind.format, Rotation::DEFAULT)
    }

    /// Opens the folder of a connection, or creates an empty one. Changes no file in it.
    pub(super) fn open_in(
        folder: &Path,
        settings: &SinkSettings,
        format: &'static str,
        rotation: Rotation,
    ) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
        let lock = File::open(folder).map_err(|error| failed(folder, &error))?;
        files::try_lock(&lock).map_err(|error| match error {
            TryLockError::WouldBlock => written_by_another(settings),
            TryLockError::Error(error) => failed(folder, &error),
        })?;
        let log = Log::open(folder)?;
        check_owner(settings, folder, &log.state)?;
        let written = log.state.format.as_deref().unwrap_or(CHANGES);
        if log.state.owner.is_some() && written != format {
            let message = format!("{}: its lines are in the format `{written}`", settings.location);
            return Err(Error::new(Origin::Configuration, Kind::Config, message)
                .hint(format!("format = \"{written}\" under [sink], or another path")));
        }
        for (table, segment) in &log.state.segments {
            segments::check(folder, table, *segment)?;
        }
        let (folder, owner) = (folder.to_owned(), settings.owner.clone());
        Ok(Self { folder, log, owner, format, rotation, _lock: lock })
    }

    /// The tables, each with the number of the segment that it writes to.
    pub(super) fn tables(&self) -> impl Iterator<Item = (&str, u64)> {
        self.log.state.segments.iter().map(|(table, segment)| (table.as_str(), segment.number))
    }

    /// Whether it has a place for the rows of a table.
    pub(super) fn has_table(&self, table: &str) -> bool {
        self.log.state.segments.contains_key(table)
    }

    /// Where a segment is.
    pub(super) fn segment(&self, table: &str, number: u64) -> PathBuf {
        segments::path(&self.folder, table, number)
    }

    /// The first segment that is there; none before the first line.
    pub(super) fn first_segment(&self, table: &str) -> Result<Option<u64>> {
        segments::first(&self.folder, table)
    }

    /// When the next segment is to be sealed for its age, Unix milliseconds; none if all are empty.
    pub(super) fn due_ms(&self) -> Option<u64> {
        self.log.state.segments.values().filter_map(|segment| self.rotation.due_ms(*segment)).min()
    }

    /// Seals segments: those that are old at `now_ms`, or without a time all that have lines.
    pub(super) fn seal(&mut self, now_ms: Option<u64>) -> Result<()> {
        let rotation = self.rotation;
        let is_due = |segment: &Segment| match now_ms {
            Some(now_ms) => rotation.is_old(*segment, now_ms),
            None => segment.bytes > 0,
        };
        let due = self.log.state.segments.iter().filter(|(_, segment)| is_due(segment));
        let mut record = Record::default();
        for (table, segment) in due {
            segments::seal(&self.segment(table, segment.number), segment.bytes)?;
            let next = Segment { number: segment.number + 1, bytes: 0, since_ms: 0 };
            record.segments.insert(table.clone(), next);
        }
        if record.segments.is_empty() { Ok(()) } else { self.log.commit(record) }
    }

    /// Appends lines after the committed bytes of their tables. Returns the segments with them.
    fn append(&self, lines: &Lines<'_>) -> Result<BTreeMap<String, Segment>> {
        let now_ms = now_ms();
        let mut segments = BTreeMap::new();
        for (table, lines) in lines.iter().filter(|(_, lines)| !lines.is_empty()) {
            let segment = *self.log.state.segments.get(*table).ok_or_else(|| undiscovered(table))?;
            let segment = segments::append(&self.folder, table, segment, lines, self.rotation, now_ms)?;
            segments.insert((*table).to_owned(), segment);
        }
        Ok(segments)
    }

    /// The lines of a commit, and how they count.
    fn lines<'a>(&self, commit: &Commit<'a>) -> Result<(Lines<'a>, Counts)> {
        let (mut lines, mut counts) = (Lines::new(), Counts::default());
        let called_at = signed(commit.as_of_ms);
        for run in commit.changes.chunk_by(|left, right| left.table == right.table) {
            let Some(name) = run.first().map(|change| change.table.as_str()) else { continue };
            if !self.log.state.segments.contains_key(name) {
                return Err(undiscovered(name));
            }
            let containing = Containing::new(commit, name, self.log.state.newest_snapshot(name));
            let buffer = lines.entry(name).or_default();
            for change in run {
                let as_of = as_of(change, commit);
                let generation = containing.generation(change, as_of);
                if self.format == DEBEZIUM {
                    debezium::change(buffer, change, as_of, generation, called_at, &self.owner)?;
                } else {
                    write::change(buffer, change, as_of, generation)?;
                }
                counts.read += 1;
                *if change.after.is_some() { &mut counts.inserted } else { &mut counts.deleted } += 1;
            }
        }
        if let Progress::Table { name, generation, .. } = commit.progress {
            if !self.log.state.segments.contains_key(name) {
                return Err(undiscovered(name));
            }
            if let Some(generation) = generation.filter(|generation| generation.complete) {
                let snapshot = self.log.state.newest_snapshot(name).after(generation);
                let buffer = lines.entry(name).or_default();
                if self.format == DEBEZIUM {
                    debezium::snapshot_complete(buffer, name, snapshot, called_at, &self.owner);
                } else {
                    write::snapshot_complete(buffer, name, snapshot);
                }
            }
        }
        Ok((lines, counts))
    }
}

/// Refuses a table whose name cannot name files.
pub(super) fn check_name(table: &Table) -> Result<()> {
    match is_file_name(&table.name) {
        true => Ok(()),
        false => Err(Error::data(format!("table `{}`: its name cannot name a file", table.name))),
    }
}

fn is_file_name(table: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=NAME_BYTES_MAX).contains(&table.len())
        && !table.starts_with(['_', '.'])
        && table.bytes().all(is_plain)
}

/// Whether a folder has a commit log.
pub(super) fn exists(folder: &Path) -> bool {
    folder.join(LOG).exists()
}

/// Reads the progress of a folder, which another process may be writing to.
pub(super) fn inspect(settings: &SinkSettings, folder: &Path) -> Result<Option<SinkProgress>> {
    let Some((state, _)) = log::load(folder)? else { return Ok(None) };
    check_owner(settings, folder, &state)?;
    Ok(Some(state.progress()))
}

fn check_owner(settings: &SinkSettings, folder: &Path, state: &Record) -> Result<()> {
    match &state.owner {
        Some(owner) if *owner != settings.owner => {
            let log = folder.join(LOG);
            let release =
                format!("append the line {{\"owner\":\"{}\"}} to {}", settings.owner, log.display());
            Err(owned_by_another(settings, owner, &release))
        }
        _ => Ok(()),
    }
}

/// A file without all of its committed bytes.
fn shortened(path: &Path, bytes: u64, committed: u64) -> Error {
    Error::sink(format!("{}: has {bytes} bytes, but {committed} were committed", path.display())).hint(
        "somebody cut, moved or deleted it; only sealed segments may be deleted. Restore the file, or move \
         the folder away and sync again from the start",
    )
}

impl Sink for Jsonl {
    fn capabilities(&self) -> Capabilities {
        KIND.capabilities
    }

    fn prepare(&mut self, tables: &[Table]) -> Result<()> {
        let mut record = Record::default();
        for table in tables {
            check_name(table)?;
            if self.log.state.segments.contains_key(&table.name) {
                continue;
            }
            segments::check_unused(&self.folder, &table.name)?;
            record.segments.insert(table.name.clone(), Segment { number: 1, bytes: 0, since_ms: 0 });
        }
        if self.log.state.owner.is_none() {
            record.owner = Some(self.owner.clone());
            record.format = Some(self.format.to_owned()).filter(|format| format != CHANGES);
        }
        // The log names a file before the file exists, so that no file is of unknown origin after a crash.
        if record.owner.is_some() || !record.segments.is_empty() {
            self.log.commit(record)?;
        }
        Ok(())
    }

    fn progress(&self) -> Result<SinkProgress> {
        Ok(self.log.state.progress())
    }

    fn commit(&mut self, commit: &Commit<'_>) -> Result<Counts> {
        let newest = self.log.state.epoch.unwrap_or(0);
        if commit.epoch < newest {
            return Err(fenced(commit.epoch, newest));
        }
        let (lines, counts) = self.lines(commit)?;
        let mut record = Record::advance(&self.log.state, commit);
        record.epoch = (commit.epoch > newest).then_some(commit.epoch);
        record.segments = self.append(&lines)?;
        self.log.commit(record)?;
        Ok(counts)
    }

    fn reset(&mut self, table: &str) -> Result<bool> {
        let record = Record::reset(&self.log.state, table);
        let had_cursor = record.is_some();
        record.map_or(Ok(()), |record| self.log.commit(record))?;
        Ok(had_cursor)
    }
}
