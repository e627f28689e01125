//! The SQLite sink: one database file per connection, one table per table, rows and progress in one
//! transaction.
//!
//! [`schema`] writes SQL for columns, [`metadata`] has the sink's own tables, [`statements`] prepares a
//! table, [`write`] applies changes and [`missing`] deletes rows that a complete snapshot did not contain.

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
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection as Database, Transaction, TransactionBehavior};

use self::schema::NAMING;
use self::statements::PreparedTable;
use self::write::Writer;
use super::columns::Layout;
use super::order::Containing;
use super::registry::owned_by_another;
use super::{
    Capabilities, Commit, Counts, Deletes, JournalState, Location, Progress, Sink, SinkKind, SinkSettings,
    TableState, undiscovered,
};
use crate::change::{Generation, Table};
use crate::error::{Error, Result};

/// How long to wait for a reader that holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
/// Larger than SQLite's default of 4 KiB: rows of some kilobytes share pages instead of filling one each.
const PAGE_BYTES: u32 = 16 * 1024;
/// Pages kept in memory, in KiB.
const CACHE_KIB: i64 = 64 * 1024;
/// Prepared statements kept: five per table of a large connector.
const STATEMENTS: usize = 512;

/// This kind of sink.
pub(super) const KIND: SinkKind = SinkKind {
    name: "sqlite",
    capabilities: Capabilities { compares_rows: true, hard_deletes: true, typed_columns: true },
    locate: |path, folder, connection| {
        Ok(match path {
            Some(path) => Location::path(folder, path),
            None => Location::path(folder, format!("{connection}.db")),
        })
    },
    exists: |location| Ok(location.as_path()?.exists()),
    open: |settings| Ok(Box::new(Sqlite::open(settings)?)),
    #[cfg(test)]
    stored_rows: stored::rows,
};

/// An open database file.
struct Sqlite {
    database: Database,
    tables: HashMap<String, PreparedTable>,
    hard_deletes: bool,
}

impl Sqlite {
    /// Opens or creates the file of a connection.
    fn open(settings: &SinkSettings) -> Result<Self> {
        let path = settings.location.as_path()?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|error| Error::sink(format!("folder {}: {error}", folder.display())))?;
        }
        let wrong = |error: rusqlite::Error| {
            Error::sink(format!("{}: {error}", path.display())).hint(
                "`path` under [sink] must be a SQLite file of this runner, or a file that does not exist yet",
            )
        };
        let mut database = connect(path).map_err(wrong)?;
        metadata::create(&mut database).map_err(wrong)?.check(path)?;
        let owner = metadata::claim(&database, &settings.owner).map_err(wrong)?;
        if owner != settings.owner {
            let release = format!("sqlite3 {} 'DELETE FROM _sync_owner'", path.display());
            return Err(owned_by_another(settings, &owner, &release));
        }
        let mut tables = HashMap::new();
        for (table, layout) in metadata::layouts(&database).map_err(wrong)? {
            let layout: Layout = serde_json::from_str(&layout)
                .map_err(|error| Error::sink(format!("_sync_columns: `{table}`: {error}")))?;
            tables.insert(table, PreparedTable::new(layout));
        }
        Ok(Self { database, tables, hard_deletes: settings.deletes == Deletes::Hard })
    }

    /// The layout of a table if it is new or has new columns.
    fn extended(&self, table: &Table) -> Result<Option<Layout>> {
        let is_twin = |name: &&String| schema::is_same(name, &table.name) && **name != table.name;
        if let Some(twin) = self.tables.keys().find(is_twin) {
            return Err(Error::sink(format!(
                "table `{}`: has the same name as `{twin}` in SQLite",
                table.name
            )));
        }
        let known = self.tables.get(&table.name);
        let mut layout = match known {
            Some(known) => known.layout.clone(),
            None => schema::new_layout(table)?,
        };
        let added = layout.extend(table, &NAMING)?;
        Ok((known.is_none() || added > 0).then_some(layout))
    }
}

fn connect(path: &Path) -> rusqlite::Result<Database> {
    let database = Database::open(path)?;
    database.busy_timeout(BUSY_TIMEOUT)?;
    database.pragma_update(None, "page_size", PAGE_BYTES)?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "FULL")?;
    database.pragma_update(None, "cache_size", -CACHE_KIB)?;
    database.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(database)
}

fn begin(database: &mut Database) -> rusqlite::Result<Transaction<'_>> {
    database.transaction_with_behavior(TransactionBehavior::Immediate)
}

fn failed(table: &str, error: &rusqlite::Error) -> Error {
    Error::sink(format!("table `{table}`: SQLite: {error}"))
}

impl Sink for Sqlite {
    fn capabilities(&self) -> Capabilities {
        KIND.capabilities
    }

    fn prepare(&mut self, tables: &[Table]) -> Result<()> {
        let wrong = |error: rusqlite::Error| failed("_sync_columns", &error);
        let mut extended = Vec::new();
        for table in tables {
            extended.extend(self.extended(table)?.map(PreparedTable::new));
        }
        let tx = begin(&mut self.database).map_err(wrong)?;
        for new in &extended {
            let columns = self.tables.get(&new.layout.table).map(|known| known.layout.columns.len());
            // A table of the connector may have the name of another's view.
            let has_view =
                !tables.iter().any(|other| schema::is_same(&other.name, &schema::view(&new.layout)));
            let stored = new.store(&tx, columns, has_view);
            stored.map_err(|error| failed(&new.layout.table, &error))?;
        }
        tx.commit().map_err(wrong)?;
        self.tables.extend(extended.into_iter().map(|table| (table.layout.table.clone(), table)));
        Ok(())
    }

    fn table_states(&self) -> Result<Vec<TableState>> {
        metadata::table_states(&self.database).map_err(|error| failed("_sync_state", &error))
    }

    fn journal_state(&self) -> Result<Option<JournalState>> {
        metadata::journal_state(&self.database).map_err(|error| failed("_sync_journal", &error))
    }

    fn commit(&mut self, commit: &Commit<'_>) -> Result<Counts> {
        let tx = begin(&mut self.database).map_err(|error| failed("_sync_state", &error))?;
        let mut counts = Counts::default();
        for run in commit.changes.chunk_by(|left, right| left.table == right.table) {
            let Some(name) = run.first().map(|change| change.table.as_str()) else { continue };
            let table = self.tables.get(name).ok_or_else(|| undiscovered(name))?;
            let wrong = |error: rusqlite::Error| failed(name, &error);
            let newest = metadata::newest_snapshot(&tx, name).map_err(wrong)?;
            let containing = Containing::new(commit, name, newest);
            let mut writer = Writer::new(&tx, table, self.hard_deletes, containing).map_err(wrong)?;
            for change in run {
                writer.apply(change, commit, &mut counts)?;
            }
        }
        if let Progress::Table { name, generation, .. } = commit.progress {
            let table = self.tables.get(name).ok_or_else(|| undiscovered(name))?;
            if let Some(generation @ Generation { complete: true, .. }) = generation {
                let deleted = missing::delete(&tx, &table.layout, generation, self.hard_deletes);
                counts.deleted += deleted.map_err(|error| failed(name, &error))?;
            }
        }
        let wrong = |error: rusqlite::Error| failed("_sync_state", &error);
        metadata::advance(&tx, commit.progress).map_err(wrong)?;
        tx.commit().map_err(wrong)?;
        Ok(counts)
    }

    fn reset(&mut self, table: &str) -> Result<bool> {
        metadata::reset(&self.database, table).map_err(|error| failed("_sync_state", &error))
    }
}
