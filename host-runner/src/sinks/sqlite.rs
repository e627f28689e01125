//! The SQLite sink: one database file per connection, one table per table, rows and progress in one
//! transaction.
//!
//! [`database`] opens and closes the file, [`schema`] writes SQL for columns, [`metadata`] has the sink's own
//! tables, [`statements`] prepares a table, [`write`] applies changes, by the guess of [`guess`] where it
//! can, with values that [`ahead`] read where all rows are new. [`missing`] deletes rows that a complete
//! snapshot did not contain. [`listing`] finds those that their parent lacks. [`inspect`] reads the progress
//! of a file that may be open elsewhere.

mod ahead;
mod database;
mod guess;
mod inspect;
mod listing;
mod metadata;
mod missing;
mod schema;
mod statements;
mod write;

#[cfg(test)]
mod stored;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use rusqlite::{Connection as Database, Transaction, TransactionBehavior};

use self::database::{DatabaseFile, Open};
use self::schema::NAMING;
use self::statements::PreparedTable;
use self::write::Writer;
use super::columns::Layout;
#[cfg(test)]
use super::conformance::TestPlace;
use super::order::Containing;
use super::registry::{owned_by_another, written_by_another};
use super::{
    Capabilities, Commit, Counts, Deletes, Load, Location, Progress, Sink, SinkKind, SinkProgress,
    SinkSettings, fenced, undiscovered,
};
use crate::change::{Batch, Change, Table};
use crate::durable::sync_folder;
use crate::error::{Error, Kind, Origin, Result};
use crate::files::{self, folder_of};
use crate::sqlite_failure::{hint, kind, of_known};
use crate::sqlite_file::OpenFile;

/// Of a file that is not the one that its connection began with.
const STARTS_AGAIN: &str = "the connection starts again with the file that is there";

/// This kind of sink.
pub(super) const KIND: SinkKind = SinkKind {
    name: "sqlite",
    format: "",
    other_forms: &[],
    capabilities: Capabilities { compares_rows: true, hard_deletes: true, typed_columns: true },
    own_keys: &["path"],
    locate: |place, folder, connection| {
        Ok(match place.path {
            Some(path) => Location::path(folder, path),
            None => Location::path(folder, format!("{connection}.db")),
        })
    },
    exists: |location| Ok(location.as_path()?.exists()),
    open: |settings| Ok(Box::new(Sqlite::open(settings)?)),
    inspect: inspect::inspect,
    #[cfg(test)]
    stored_rows: stored::rows,
    #[cfg(test)]
    test_place: |folder| Some(TestPlace::path(folder)),
};

/// An open database file.
struct Sqlite {
    file: DatabaseFile,
    hard_deletes: bool,
    /// Writes past the WAL until it is closed.
    is_filling: bool,
    /// Keeps other writers out until it is closed.
    _lock: File,
}

impl Sqlite {
    /// Opens or creates the file of a connection.
    fn open(settings: &SinkSettings) -> Result<Self> {
        let path = settings.location.as_path()?;
        let folder = folder_of(path);
        let folder_failed =
            |error: std::io::Error| Error::sink(format!("folder {}: {error}", folder.display()));
        std::fs::create_dir_all(folder).map_err(folder_failed)?;
        let lock = lock(settings, path)?;
        let wrong = |error: rusqlite::Error| unusable(path, &error);
        let is_new = !path.exists();
        let mut database = database::connect(path, settings.load).map_err(wrong)?;
        metadata::create(&mut database).map_err(wrong)?.check(path)?;
        let owner = metadata::claim(&database, &settings.owner).map_err(wrong)?;
        if owner != settings.owner {
            return Err(owned_by_another(settings, &owner, &release(path)));
        }
        if is_new {
            sync_folder(folder).map_err(folder_failed)?;
        }
        let is_filling = settings.load == Load::Bulk && fill(&database).map_err(wrong)?;
        let file = DatabaseFile::new(database, path, settings.load)?;
        let hard_deletes = settings.deletes == Deletes::Hard;
        Ok(Self { file, hard_deletes, is_filling, _lock: lock })
    }
}

/// The layout of a table if it is new, or its columns change.
fn extended(tables: &HashMap<String, PreparedTable>, table: &Table) -> Result<Option<Layout>> {
    let is_twin = |name: &&String| schema::is_same(name, &table.name) && **name != table.name;
    if let Some(twin) = tables.keys().find(is_twin) {
        return Err(Error::sink(format!("table `{}`: has the same name as `{twin}` in SQLite", table.name)));
    }
    let known = tables.get(&table.name);
    let mut layout = match known {
        Some(known) => known.layout.clone(),
        None => schema::new_layout(table)?,
    };
    let changes = layout.extend(table, &NAMING)?;
    Ok((known.is_none() || changes > 0).then_some(layout))
}

/// Keeps other writers out. The lock is on a separate file, as SQLite forgets its own locks when the process
/// closes any other handle of the database file.
fn lock(settings: &SinkSettings, path: &Path) -> Result<File> {
    let path = lock_path(path);
    let failed = |error: std::io::Error| super::file_failure::failed(&path, &error);
    let mut options = File::options();
    let file = options.create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match files::try_lock(&file) {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(written_by_another(settings)),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

fn lock_path(path: &Path) -> PathBuf {
    files::with_suffix(path, "-lock")
}

/// How a person releases a file from its owner.
fn release(path: &Path) -> String {
    format!("sqlite3 {} 'DELETE FROM _sync_owner'", path.display())
}

/// Leaves the WAL for a database that is filled for the first time: its pages are written once, to the file,
/// instead of twice, to the WAL and to the file. The journal keeps its file and its size, so that most of the
/// syncs of a commit write no metadata of the file system. False if another program has the file open, or if
/// a snapshot is complete.
fn fill(database: &Database) -> rusqlite::Result<bool> {
    if metadata::has_snapshot(database)? {
        return Ok(false);
    }
    match database.pragma_update_and_check(None, "journal_mode", "PERSIST", |row| row.get(0)) {
        Ok::<String, _>(mode) => Ok(mode == "persist"),
        Err(error) if kind(&error) == Kind::Unavailable => Ok(false),
        Err(error) => Err(error),
    }
}

pub(super) fn begin(database: &mut Database) -> rusqlite::Result<Transaction<'_>> {
    database.transaction_with_behavior(TransactionBehavior::Immediate)
}

fn failed(table: &str, error: &rusqlite::Error) -> Error {
    of_known(Origin::Sink, format!("table `{table}`: SQLite: {error}"), error)
}

/// Fails if the file is not where it was opened, as another one has other cursors than its connection knows.
pub(super) fn in_place(file: &OpenFile) -> Result<()> {
    let Some(why) = file.displaced() else { return Ok(()) };
    Err(Error::sink(format!("{}: {why}", file.path().display())).hint(STARTS_AGAIN))
}

/// The failure of a file that may be another program's.
fn unusable(path: &Path, error: &rusqlite::Error) -> Error {
    Error::new(Origin::Sink, kind(error), format!("{}: {error}", path.display())).hint(hint(error).unwrap_or(
        "`path` under [sink] must be a SQLite file of this runner, or a file that does not exist yet",
    ))
}

impl Sink for Sqlite {
    fn capabilities(&self) -> Capabilities {
        KIND.capabilities
    }

    fn prepare(&mut self, tables: &[Table]) -> Result<()> {
        let wrong = |error: rusqlite::Error| failed("_sync_columns", &error);
        let Open { database, tables: known } = self.file.open_mut()?;
        let mut changed = Vec::new();
        for table in tables {
            changed.extend(extended(known, table)?.map(PreparedTable::new));
        }
        let tx = begin(database).map_err(wrong)?;
        for new in &changed {
            let columns = known.get(&new.layout.table).map(|known| known.layout.columns.len());
            // A table of the connector may have the name of another's view.
            let has_view =
                !tables.iter().any(|other| schema::is_same(&other.name, &schema::view(&new.layout)));
            let stored = new.store(&tx, columns, has_view);
            stored.map_err(|error| failed(&new.layout.table, &error))?;
        }
        tx.commit().map_err(wrong)?;
        known.extend(changed.into_iter().map(|table| (table.layout.table.clone(), table)));
        Ok(())
    }

    fn progress(&self) -> Result<SinkProgress> {
        metadata::progress(&self.file.open()?.database).map_err(|error| failed("_sync_state", &error))
    }

    fn commit(&mut self, commit: &Commit<'_>) -> Result<Counts> {
        let wrong = |error: rusqlite::Error| failed("_sync_state", &error);
        let Open { database, tables } = self.file.open_mut()?;
        let tx = begin(database).map_err(wrong)?;
        let newest = metadata::epoch(&tx).map_err(wrong)?;
        if commit.epoch < newest {
            return Err(fenced(commit.epoch, newest));
        }
        if commit.epoch > newest {
            metadata::set_epoch(&tx, commit.epoch).map_err(wrong)?;
        }
        // Deliveries mix tables: one writer for each, and the order within a table stays.
        let mut changes: Vec<&Change> = commit.changes.iter().collect();
        changes.sort_by(|left, right| left.table.cmp(&right.table));
        let mut counts = Counts::default();
        for run in changes.chunk_by(|left, right| left.table == right.table) {
            let Some(name) = run.first().map(|change| change.table.as_str()) else { continue };
            let table = tables.get(name).ok_or_else(|| undiscovered(name))?;
            let wrong = |error: rusqlite::Error| failed(name, &error);
            let newest = metadata::newest_snapshot(&tx, name).map_err(wrong)?;
            let containing = Containing::new(commit, name, newest);
            let is_filled = self.is_filling && containing.is_first_snapshot();
            let mut writer = Writer::new(&tx, table, self.hard_deletes, containing).map_err(wrong)?;
            let mut apply = |change, values| writer.apply(change, values, commit, &mut counts);
            if is_filled && ahead::pays(run.len()) {
                ahead::read(run, table, apply)?;
            } else {
                run.iter().try_for_each(|change| apply(change, None))?;
            }
        }
        if let Progress::Table { name, generation, .. } = commit.progress {
            let table = tables.get(name).ok_or_else(|| undiscovered(name))?;
            if let Some(generation) = generation.filter(|generation| generation.complete) {
                let wrong = |error: rusqlite::Error| failed(name, &error);
                let snapshot = metadata::newest_snapshot(&tx, name).map_err(wrong)?.after(generation);
                let deleted = missing::delete(&tx, &table.layout, snapshot, self.hard_deletes);
                counts.deleted += deleted.map_err(wrong)?;
            }
        }
        metadata::advance(&tx, commit).map_err(wrong)?;
        tx.commit().map_err(wrong)?;
        Ok(counts)
    }

    fn unlisted(&mut self, table: &str, batch: &Batch) -> Result<Vec<Change>> {
        let Open { database, tables } = self.file.open()?;
        let prepared = tables.get(table).ok_or_else(|| undiscovered(table))?;
        listing::unlisted(database, prepared, batch)
    }

    fn rest(&mut self) {
        // A file that is filled would leave its journal mode.
        if !self.is_filling {
            self.file.close();
        }
    }

    fn reset(&mut self, table: &str) -> Result<bool> {
        metadata::reset(&self.file.open()?.database, table).map_err(|error| failed("_sync_state", &error))
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        // The next program that opens it, to read or to write, finds a database with a WAL.
        if self.is_filling
            && let Err(error) = self.file.leave_filling()
        {
            tracing::debug!(%error, "the next writer changes the mode of the journal");
        }
    }
}
