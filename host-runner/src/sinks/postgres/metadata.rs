//! The sink's own tables: `_sync_owner`, `_sync_columns`, `_sync_state` and `_sync_journal`.
//!
//! Every statement on them is here. Knows nothing of rows.

use tokio_postgres::Row;

use super::schema::{entries, in_schema, literal};
use super::session::{Sent, Session};
use super::values::{escaped, unescaped};
use crate::error::{Error, Result};
use crate::sinks::columns::{Layout, quote};
use crate::sinks::order::{NewestSnapshot, signed};
use crate::sinks::{Commit, InboxPosition, JournalState, Progress, SinkProgress, TableState};

/// The version of the tables below, of the columns that every table has, and of columns' types.
const VERSION: i32 = 3;

/// Statements on the own tables of a schema.
pub(super) struct Metadata {
    schema: String,
    owner: String,
    columns: String,
    state: String,
    journal: String,
}

/// The row of `_sync_owner`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) connection: String,
    version: i32,
    /// The opening of a sink that may write.
    pub(super) writer: String,
    pub(super) epoch: u64,
    /// The last commit.
    pub(super) commit: i64,
}

impl Owner {
    /// Refuses tables of another version.
    pub(super) fn check_version(&self, location: &dyn std::fmt::Display) -> Result<()> {
        let writer = match self.version {
            VERSION => return Ok(()),
            older if older < VERSION => "an older",
            _ => "a newer",
        };
        Err(Error::sink(format!("{location}: written by {writer} runner"))
            .hint("use that runner, or choose another schema and sync again from the start"))
    }
}

impl Metadata {
    pub(super) fn new(schema: &str) -> Self {
        let of = |name| in_schema(schema, name);
        Self {
            schema: schema.to_owned(),
            owner: of("_sync_owner"),
            columns: of("_sync_columns"),
            state: of("_sync_state"),
            journal: of("_sync_journal"),
        }
    }

    /// How a person releases the schema from its owner.
    pub(super) fn release(&self) -> String {
        format!("DELETE FROM {}", self.owner)
    }

    /// Whether the schema holds a sink.
    pub(super) async fn exists(&self, session: &Session) -> Result<bool> {
        let sql = format!("SELECT to_regclass({}) IS NOT NULL", literal(&self.owner));
        Ok(session.client.query_typed_one(&sql, &[]).await?.try_get(0)?)
    }

    /// Creates the schema if it is not there. One that is there needs no right to create it.
    pub(super) async fn create_schema(&self, session: &Session) -> Result<()> {
        let sql =
            format!("SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = {})", literal(&self.schema));
        let exists: bool = session.client.query_typed_one(&sql, &[]).await?.try_get(0)?;
        if !exists {
            session.client.batch_execute(&format!("CREATE SCHEMA {}", quote(&self.schema))).await?;
        }
        Ok(())
    }

    /// Creates the tables in a schema that has none.
    pub(super) async fn create(&self, session: &Session) -> Result<()> {
        let Self { owner, columns, state, journal, .. } = self;
        let sql = format!(
            "CREATE TABLE IF NOT EXISTS {owner} (id integer PRIMARY KEY CHECK (id = 1), \
             connection text NOT NULL, version integer NOT NULL, writer text NOT NULL, \
             epoch bigint NOT NULL DEFAULT 0, commit bigint NOT NULL DEFAULT 0) WITH (fillfactor = 10);
             CREATE TABLE IF NOT EXISTS {columns} (\"table\" text COLLATE \"C\" PRIMARY KEY, \
             layout json NOT NULL, filled integer NOT NULL, updated_at timestamptz NOT NULL);
             CREATE TABLE IF NOT EXISTS {state} (\"table\" text COLLATE \"C\" PRIMARY KEY, cursor text, \
             generation bigint NOT NULL, generation_id bigint, generation_as_of bigint, \
             complete boolean NOT NULL, updated_at timestamptz NOT NULL);
             CREATE TABLE IF NOT EXISTS {journal} (id integer PRIMARY KEY CHECK (id = 1), \
             journal text NOT NULL, applied_seq bigint NOT NULL, applied_at timestamptz)"
        );
        Ok(session.client.batch_execute(&sql).await?)
    }

    /// The owner of the schema, which is `connection` from now on if there was none.
    pub(super) async fn claim(&self, session: &Session, connection: &str) -> Result<Owner> {
        if let Some(owner) = self.owner(session, "").await? {
            return Ok(owner);
        }
        let sql = format!(
            "INSERT INTO {} (id, connection, version, writer) VALUES (1, {}, {VERSION}, '')",
            self.owner,
            literal(connection)
        );
        session.client.batch_execute(&sql).await?;
        let none = || Error::sink("PostgreSQL: `_sync_owner` is empty");
        self.owner(session, "").await?.ok_or_else(none)
    }

    /// The owner of the schema.
    pub(super) async fn owner(&self, session: &Session, lock: &str) -> Result<Option<Owner>> {
        let sql = format!("SELECT connection, version, writer, epoch, commit FROM {} {lock}", self.owner);
        let statement = session.prepared(&sql).await?;
        let Some(row) = session.client.query_opt(&statement, &[]).await? else { return Ok(None) };
        Ok(Some(Owner {
            connection: row.try_get(0)?,
            version: row.try_get(1)?,
            writer: row.try_get(2)?,
            epoch: unsigned(&row, 3)?,
            commit: row.try_get(4)?,
        }))
    }

    /// Prepares [`Self::owner`], so that it can be sent behind other statements.
    pub(super) async fn prepare_fence(&self, session: &Session) -> Result<()> {
        let sql = format!("SELECT connection, version, writer, epoch, commit FROM {} FOR UPDATE", self.owner);
        session.prepared(&sql).await.map(drop)
    }

    /// Lets one opening of the sink write, and no other.
    pub(super) async fn admit(&self, session: &Session, writer: &str) -> Result<()> {
        let sql = format!("UPDATE {} SET writer = {}", self.owner, literal(writer));
        Ok(session.client.batch_execute(&sql).await?)
    }

    /// Notes a commit.
    pub(super) async fn note_commit<'a>(
        &self,
        session: &'a Session,
        epoch: u64,
        commit: i64,
    ) -> Result<Sent<'a>> {
        let sql = format!("UPDATE {} SET epoch = $1, commit = $2", self.owner);
        let statement = session.prepared(&sql).await?;
        let epoch = signed(epoch);
        Ok(Box::pin(async move { Ok(session.client.execute(&statement, &[&epoch, &commit]).await?) }))
    }

    /// The stored layouts, and how many columns of each are filled.
    pub(super) async fn layouts(&self, session: &Session) -> Result<Vec<(Layout, usize)>> {
        let sql = format!("SELECT \"table\", layout::text, filled FROM {}", self.columns);
        let mut layouts = Vec::new();
        for row in session.client.query_typed(&sql, &[]).await? {
            let (table, layout): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            let layout = serde_json::from_str(&layout)
                .map_err(|error| Error::sink(format!("_sync_columns: `{table}`: {error}")))?;
            let filled: i32 = row.try_get(2)?;
            layouts.push((layout, usize::try_from(filled).unwrap_or(0)));
        }
        Ok(layouts)
    }

    /// Stores a layout; `filled` of its columns have the values of rows that were stored before.
    pub(super) fn store_layout(&self, layout: &Layout, filled: usize) -> Result<String> {
        let text = serde_json::to_string(layout)
            .map_err(|error| Error::sink(format!("_sync_columns: `{}`: {error}", layout.table)))?;
        Ok(format!(
            "INSERT INTO {} VALUES ({}, {}, {filled}, now()) ON CONFLICT (\"table\") DO UPDATE \
             SET layout = EXCLUDED.layout, filled = EXCLUDED.filled, updated_at = now();\n",
            self.columns,
            literal(&layout.table),
            literal(&text)
        ))
    }

    /// Notes that all columns of a table are filled.
    pub(super) fn note_filled(&self, layout: &Layout) -> String {
        let (columns, table) = (layout.columns.len(), literal(&layout.table));
        format!("UPDATE {} SET filled = {columns} WHERE \"table\" = {table}", self.columns)
    }

    pub(super) async fn progress(&self, session: &Session) -> Result<SinkProgress> {
        let sql = format!(
            "SELECT \"table\", cursor, generation, complete, {} FROM {} ORDER BY \"table\"",
            rfc3339("updated_at"),
            self.state
        );
        let mut tables = Vec::new();
        for row in session.client.query_typed(&sql, &[]).await? {
            let cursor: Option<String> = row.try_get(1)?;
            tables.push(TableState {
                table: row.try_get(0)?,
                cursor: cursor.as_deref().map(unescaped),
                generation: unsigned(&row, 2)?,
                complete: row.try_get(3)?,
                updated_at: row.try_get(4)?,
            });
        }
        let sql = format!("SELECT journal, applied_seq, {} FROM {}", rfc3339("applied_at"), self.journal);
        let journal = match session.client.query_typed_opt(&sql, &[]).await? {
            None => None,
            Some(row) => {
                let journal: String = row.try_get(0)?;
                let position = InboxPosition { journal: unescaped(&journal), through: unsigned(&row, 1)? };
                Some(JournalState { position, applied_at: row.try_get(2)? })
            }
        };
        let epoch = self.owner(session, "").await?.map_or(0, |owner| owner.epoch);
        Ok(SinkProgress { tables, journal, epoch })
    }

    fn newest_snapshot_sql(&self) -> String {
        format!("SELECT generation, generation_id, generation_as_of FROM {} WHERE \"table\" = $1", self.state)
    }

    /// Prepares [`Self::newest_snapshot`], so that it can be sent behind other statements.
    pub(super) async fn prepare_newest_snapshot(&self, session: &Session) -> Result<()> {
        session.prepared(&self.newest_snapshot_sql()).await.map(drop)
    }

    pub(super) async fn newest_snapshot(&self, session: &Session, table: &str) -> Result<NewestSnapshot> {
        let statement = session.prepared(&self.newest_snapshot_sql()).await?;
        let Some(row) = session.client.query_opt(&statement, &[&table]).await? else {
            return Ok(NewestSnapshot::default());
        };
        Ok(NewestSnapshot { generation: row.try_get(0)?, id: row.try_get(1)?, as_of: row.try_get(2)? })
    }

    /// Stores a commit's progress; `newest` is the newest snapshot of its table before it.
    pub(super) async fn advance<'a>(
        &self,
        session: &'a Session,
        commit: &Commit<'a>,
        newest: NewestSnapshot,
    ) -> Result<Sent<'a>> {
        match commit.progress {
            Progress::Table { name, cursor, generation } => {
                let newest = generation.map_or(newest, |generation| newest.after(generation));
                let complete = generation.map(|generation| generation.complete);
                let sql = format!(
                    "INSERT INTO {} AS s (\"table\", cursor, generation, generation_id, generation_as_of, \
                     complete, updated_at) VALUES ($1, $2, $3, $4, $5, coalesce($6, false), now()) \
                     ON CONFLICT (\"table\") DO UPDATE SET cursor = EXCLUDED.cursor, \
                     generation = EXCLUDED.generation, generation_id = EXCLUDED.generation_id, \
                     generation_as_of = EXCLUDED.generation_as_of, complete = coalesce($6, s.complete), \
                     updated_at = EXCLUDED.updated_at",
                    self.state
                );
                let statement = session.prepared(&sql).await?;
                let cursor = escaped(cursor).into_owned();
                Ok(Box::pin(async move {
                    let NewestSnapshot { generation, id, as_of } = newest;
                    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
                        [&name, &cursor, &generation, &id, &as_of, &complete];
                    Ok(session.client.execute(&statement, &parameters).await?)
                }))
            }
            Progress::Journal(InboxPosition { journal, through }) => {
                let sql = format!(
                    "INSERT INTO {} AS j VALUES (1, $1, $2, CASE WHEN $3 THEN now() END) \
                     ON CONFLICT (id) DO UPDATE SET journal = EXCLUDED.journal, \
                     applied_seq = EXCLUDED.applied_seq, \
                     applied_at = coalesce(EXCLUDED.applied_at, j.applied_at)",
                    self.journal
                );
                let statement = session.prepared(&sql).await?;
                let (journal, through) = (escaped(journal).into_owned(), signed(*through));
                let brings_changes = !commit.changes.is_empty();
                Ok(Box::pin(async move {
                    Ok(session.client.execute(&statement, &[&journal, &through, &brings_changes]).await?)
                }))
            }
        }
    }

    /// Forgets a table that is not there: its layout, its cursor, and the times of its rows.
    pub(super) async fn forget(&self, session: &Session, table: &str) -> Result<()> {
        let (columns, state) = (&self.columns, &self.state);
        let (entries, name) = (in_schema(&self.schema, &entries(table)), literal(table));
        let sql = format!(
            "BEGIN; DROP TABLE IF EXISTS {entries}; DELETE FROM {columns} WHERE \"table\" = {name}; \
             UPDATE {state} SET cursor = NULL, complete = false, generation_id = NULL, updated_at = now() \
             WHERE \"table\" = {name}; COMMIT"
        );
        Ok(session.client.batch_execute(&sql).await?)
    }

    /// Deletes a cursor; true if there was one.
    pub(super) async fn reset(&self, session: &Session, table: &str) -> Result<bool> {
        let sql = format!(
            "UPDATE {} SET cursor = NULL, complete = false, generation_id = NULL, updated_at = now() \
             WHERE \"table\" = $1 AND cursor IS NOT NULL",
            self.state
        );
        let statement = session.prepared(&sql).await?;
        Ok(session.client.execute(&statement, &[&table]).await? > 0)
    }
}

/// A column of times as RFC 3339.
fn rfc3339(column: &str) -> String {
    format!("to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')")
}

fn unsigned(row: &Row, column: usize) -> Result<u64> {
    Ok(u64::try_from(row.try_get::<_, i64>(column)?).unwrap_or(0))
}
