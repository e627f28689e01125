//! Rows into a SQLite file: one table per table of the connector, rows and cursor in one transaction.
//!
//! [`layout`] decides columns, [`document`] and [`value`] fill them, [`apply`] holds the order of
//! changes over what [`prepared`] worked out. Metadata is in `_sync_state`, `_sync_columns`, `_sync_tombstones` and `_sync_owner`.

mod apply;
mod document;
mod layout;
mod prepared;
mod value;

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection as Database, OptionalExtension, Transaction, TransactionBehavior, params};

use self::apply::{ENTOMB, Showing, Writer, failed, key_text, signed};
use self::layout::{Layout, quote, same};
use self::prepared::Prepared;
use super::{Commit, Counts, Position, Sink, taken};
use crate::change::{Generation, Table};
use crate::clock::{now_ms, rfc3339_ms};
use crate::error::{Error, Result};

/// Waiting for a reader that holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
/// Larger than SQLite's own: rows of some kilobytes then share pages instead of filling one each.
const PAGE_BYTES: u32 = 16 * 1024;
/// Pages kept in memory, in KiB.
const CACHE_KIB: i64 = 64 * 1024;
/// Statements kept: five per table of a large connector.
const STATEMENTS: usize = 512;
/// The version of the metadata tables; 1 did not have `_sync_state.pass_as_of`.
const VERSION: i64 = 2;

const METADATA: &str = r#"
CREATE TABLE IF NOT EXISTS _sync_columns ("table" TEXT PRIMARY KEY, layout TEXT NOT NULL, updated_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS _sync_state ("table" TEXT PRIMARY KEY, cursor TEXT, generation INTEGER NOT NULL DEFAULT 0,
    complete INTEGER NOT NULL DEFAULT 0, updated_at TEXT NOT NULL, generation_as_of INTEGER);
CREATE TABLE IF NOT EXISTS _sync_tombstones ("table" TEXT NOT NULL, key TEXT NOT NULL, as_of INTEGER NOT NULL,
    PRIMARY KEY ("table", key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS _sync_owner (id INTEGER PRIMARY KEY CHECK (id = 1), connection TEXT NOT NULL);
"#;

/// A database file.
pub(super) struct Sqlite {
    database: Database,
    tables: HashMap<String, Prepared>,
    hard_deletes: bool,
}

impl Sqlite {
    /// Opens or makes the file of a connection.
    pub(super) fn open(path: &Path, owner: &str, hard_deletes: bool) -> Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|error| Error::sink(format!("folder {}: {error}", folder.display())))?;
        }
        let wrong = |error: rusqlite::Error| {
            Error::sink(format!("{}: {error}", path.display())).hint(
                "`path` under [sink] must be a SQLite file of this runner, or a file that does not exist yet",
            )
        };
        let mut database = Self::database(path).map_err(wrong)?;
        if !Self::metadata(&mut database).map_err(wrong)? {
            return Err(Error::sink(format!("{}: written by a newer runner", path.display())));
        }
        let found = Self::owner(&database, owner).map_err(wrong)?;
        if found != owner {
            let forget = format!("sqlite3 {} 'DELETE FROM _sync_owner'", path.display());
            return Err(taken(path, owner, &found, &forget));
        }
        let mut sink = Self { database, tables: HashMap::new(), hard_deletes };
        for (table, layout) in sink.layouts().map_err(wrong)? {
            let layout: Layout = serde_json::from_str(&layout)
                .map_err(|error| Error::sink(format!("_sync_columns: `{table}`: {error}")))?;
            sink.tables.insert(table, Prepared::new(layout));
        }
        Ok(sink)
    }

    fn database(path: &Path) -> rusqlite::Result<Database> {
        let database = Database::open(path)?;
        database.busy_timeout(BUSY_TIMEOUT)?;
        database.pragma_update(None, "page_size", PAGE_BYTES)?;
        database.pragma_update(None, "journal_mode", "WAL")?;
        database.pragma_update(None, "synchronous", "FULL")?;
        database.pragma_update(None, "cache_size", -CACHE_KIB)?;
        database.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(database)
    }

    /// Makes the metadata tables, or brings those of an older runner up to date; false if a newer one wrote them.
    fn metadata(database: &mut Database) -> rusqlite::Result<bool> {
        let tx = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if tx.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))? > VERSION {
            return Ok(false);
        }
        tx.execute_batch(METADATA)?;
        let has =
            "SELECT EXISTS (SELECT 1 FROM pragma_table_info('_sync_state') WHERE name = 'generation_as_of')";
        if !tx.query_row(has, [], |row| row.get::<_, bool>(0))? {
            tx.execute_batch("ALTER TABLE _sync_state ADD COLUMN generation_as_of INTEGER")?;
        }
        tx.pragma_update(None, "user_version", VERSION)?;
        tx.commit()?;
        Ok(true)
    }

    /// Whose file it is; the first who asks has it, and a file from before owners were noted.
    fn owner(database: &Database, owner: &str) -> rusqlite::Result<String> {
        database.execute("INSERT OR IGNORE INTO _sync_owner VALUES (1, ?1)", [owner])?;
        database.query_row("SELECT connection FROM _sync_owner", [], |row| row.get(0))
    }

    fn layouts(&self) -> rusqlite::Result<Vec<(String, String)>> {
        let mut select = self.database.prepare("SELECT \"table\", layout FROM _sync_columns")?;
        select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    }

    /// One table's columns and view, within a transaction.
    fn prepare_table(
        tx: &Transaction<'_>,
        table: &Table,
        known: Option<&Layout>,
        all: &[Table],
    ) -> Result<Option<Layout>> {
        let wrong = |error: rusqlite::Error| failed(&table.name, &error);
        let mut layout = match known {
            Some(layout) => layout.clone(),
            None => Layout::new(table)?,
        };
        let before = layout.columns.len();
        let added = layout.extend(table)?;
        if known.is_some() && added == 0 {
            return Ok(None);
        }
        let new = layout.columns.get(before..).unwrap_or_default();
        let view = quote(&layout.view());
        tx.execute_batch(&format!("DROP VIEW IF EXISTS {view}")).map_err(wrong)?;
        if known.is_none() {
            tx.execute_batch(&layout.create_sql()).map_err(wrong)?;
        }
        for column in new {
            tx.execute_batch(&layout.add_column_sql(column)).map_err(wrong)?;
        }
        if known.is_some() {
            tracing::info!(table = %table.name, columns = added, "columns added");
            let prepared = Prepared::new(layout.clone());
            prepared.fill(tx, before..layout.columns.len()).map_err(wrong)?;
        }
        if !all.iter().any(|other| same(&other.name, &layout.view())) {
            tx.execute_batch(&layout.view_sql()).map_err(wrong)?;
        }
        let text = serde_json::to_string(&layout)
            .map_err(|error| Error::sink(format!("table `{}`: {error}", table.name)))?;
        tx.execute(
            "INSERT OR REPLACE INTO _sync_columns VALUES (?1, ?2, ?3)",
            params![table.name, text, rfc3339_ms(now_ms())],
        )
        .map_err(wrong)?;
        Ok(Some(layout))
    }

    /// What a completed snapshot did not show is gone, as of the snapshot's time at the source; never of ours, or
    /// a row that is restored a moment later could not return.
    fn compare(
        tx: &Transaction<'_>,
        prepared: &Prepared,
        generation: i64,
        as_of: Option<i64>,
        hard_deletes: bool,
    ) -> rusqlite::Result<u64> {
        let as_of = as_of.unwrap_or(i64::MIN);
        let table = quote(&prepared.layout.table);
        // What was gone already is now known to be gone later still: a delivery that is sent again cannot raise it.
        tx.execute(
            "UPDATE _sync_tombstones SET as_of = ?2 WHERE \"table\" = ?1 AND as_of < ?2",
            params![prepared.layout.table, as_of],
        )?;
        if !hard_deletes {
            tx.execute(
                &format!(
                    "UPDATE {table} SET _as_of = ?2 WHERE _generation < ?1 AND _deleted AND _as_of < ?2"
                ),
                [generation, as_of],
            )?;
            let sql = format!(
                "UPDATE {table} SET _deleted = 1, _change_source = 'missing', _as_of = max(_as_of, ?2), \
                 _generation = ?1, _change_id = NULL WHERE _generation < ?1 AND NOT _deleted"
            );
            return Ok(tx.execute(&sql, [generation, as_of])? as u64);
        }
        let keys: Vec<String> = prepared.layout.key.iter().map(|column| quote(&column.name)).collect();
        let mut select = tx.prepare(&format!(
            "SELECT max(_as_of, ?2), {} FROM {table} WHERE _generation < ?1",
            keys.join(", ")
        ))?;
        let mut entomb = tx.prepare(ENTOMB)?;
        let mut rows = select.query([generation, as_of])?;
        while let Some(row) = rows.next()? {
            let as_of: i64 = row.get(0)?;
            let key: Vec<String> =
                (1..=keys.len()).map(|index| row.get(index)).collect::<rusqlite::Result<_>>()?;
            entomb.execute(params![prepared.layout.table, key_text(&key), as_of])?;
        }
        Ok(tx.execute(&format!("DELETE FROM {table} WHERE _generation < ?1"), [generation])? as u64)
    }
}

/// The newest snapshot that was begun for a table, for changes that are learnt beside it.
fn newest_generation(tx: &Transaction<'_>, table: &str) -> rusqlite::Result<Showing> {
    let mut select =
        tx.prepare_cached("SELECT generation, generation_as_of FROM _sync_state WHERE \"table\" = ?1")?;
    let newest = select.query_row([table], |row| {
        // A runner that did not note the time took every change for shown.
        Ok(Showing { generation: row.get(0)?, from: row.get::<_, Option<i64>>(1)?.unwrap_or(i64::MIN) })
    });
    Ok(newest.optional()?.unwrap_or(Showing { generation: 0, from: i64::MIN }))
}

fn position(row: &rusqlite::Row<'_>) -> rusqlite::Result<Position> {
    Ok(Position {
        table: row.get(0)?,
        cursor: row.get(1)?,
        generation: u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0),
        complete: row.get(3)?,
        updated_at: row.get(4)?,
    })
}

const POSITIONS: &str = "SELECT \"table\", cursor, generation, complete, updated_at FROM _sync_state";

impl Sink for Sqlite {
    fn prepare(&mut self, tables: &[Table]) -> Result<()> {
        let begin = self.database.transaction_with_behavior(TransactionBehavior::Immediate);
        let tx = begin.map_err(|error| failed("_sync_columns", &error))?;
        let mut changed = Vec::new();
        for table in tables {
            let twin = |name: &&String| same(name, &table.name) && **name != table.name;
            if let Some(twin) = self.tables.keys().find(twin) {
                return Err(Error::sink(format!(
                    "table `{}`: SQLite takes it for the same as `{twin}`",
                    table.name
                )));
            }
            let known = self.tables.get(&table.name).map(|prepared| &prepared.layout);
            changed.extend(Self::prepare_table(&tx, table, known, tables)?);
        }
        tx.commit().map_err(|error| failed("_sync_columns", &error))?;
        for layout in changed {
            self.tables.insert(layout.table.clone(), Prepared::new(layout));
        }
        Ok(())
    }

    fn position(&self, table: &str) -> Result<Option<Position>> {
        let sql = format!("{POSITIONS} WHERE \"table\" = ?1");
        let found = self.database.query_row(&sql, [table], position).optional();
        found.map_err(|error| failed("_sync_state", &error))
    }

    fn positions(&self) -> Result<Vec<Position>> {
        let read = || -> rusqlite::Result<Vec<Position>> {
            let mut select = self.database.prepare(&format!("{POSITIONS} ORDER BY \"table\""))?;
            select.query_map([], position)?.collect()
        };
        read().map_err(|error| failed("_sync_state", &error))
    }

    fn commit(&mut self, commit: &Commit<'_>) -> Result<Counts> {
        let begin = self.database.transaction_with_behavior(TransactionBehavior::Immediate);
        let tx = begin.map_err(|error| failed(commit.table, &error))?;
        let mut counts = Counts::default();
        let under_way = commit.generation.map_or(0, |generation| signed(generation.id));
        for run in commit.changes.chunk_by(|left, right| left.table == right.table) {
            let Some(first) = run.first() else { continue };
            let Some(prepared) = self.tables.get(&first.table) else {
                return Err(Error::data(format!(
                    "table `{}`: a row of a table that was not discovered",
                    first.table
                )));
            };
            let wrong = |error: rusqlite::Error| failed(&first.table, &error);
            let newest = newest_generation(&tx, &first.table).map_err(wrong)?;
            let is_own = commit.generation.is_some() && first.table == commit.table;
            let showing = if is_own {
                Showing { generation: newest.generation.max(under_way), from: i64::MIN }
            } else {
                newest
            };
            let mut writer = Writer::new(&tx, prepared, self.hard_deletes, showing).map_err(wrong)?;
            for change in run {
                writer.apply(change, commit, &mut counts)?;
            }
        }
        let wrong = |error: rusqlite::Error| failed(commit.table, &error);
        if let (Some(generation @ Generation { complete: true, .. }), Some(prepared)) =
            (commit.generation, self.tables.get(commit.table))
        {
            let as_of = generation.as_of_ms.map(signed);
            let gone = Self::compare(&tx, prepared, under_way, as_of, self.hard_deletes);
            counts.deleted += gone.map_err(wrong)?;
        }
        if let Some(cursor) = commit.cursor {
            let complete = commit.generation.map(|generation| generation.complete);
            let generation_as_of = commit.generation.and_then(|generation| generation.as_of_ms).map(signed);
            let now = rfc3339_ms(now_ms());
            tx.prepare_cached(
                "INSERT INTO _sync_state (\"table\", cursor, generation, complete, updated_at, generation_as_of) \
                 VALUES (?1, ?2, ?3, coalesce(?4, 0), ?5, ?6) ON CONFLICT DO UPDATE \
                 SET cursor = ?2, generation_as_of = iif(?3 >= generation, ?6, generation_as_of), generation = max(generation, ?3), \
                 complete = coalesce(?4, complete), updated_at = ?5",
            )
            .and_then(|mut statement| {
                statement.execute(params![commit.table, cursor, under_way, complete, now, generation_as_of])
            })
            .map_err(wrong)?;
        }
        tx.commit().map_err(wrong)?;
        Ok(counts)
    }

    fn reset(&mut self, table: &str) -> Result<bool> {
        let sql = "UPDATE _sync_state SET cursor = NULL, complete = 0, updated_at = ?2 \
                   WHERE \"table\" = ?1 AND cursor IS NOT NULL";
        let reset = self.database.execute(sql, params![table, rfc3339_ms(now_ms())]);
        reset.map(|rows| rows > 0).map_err(|error| failed("_sync_state", &error))
    }
}

#[cfg(test)]
mod tests;
