//! The rows of the demonstration as a reader sees them, in SQLite or PostgreSQL.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use rusqlite::{Connection, OpenFlags};

use crate::postgres::Postgres;

/// A reader of the sink.
pub(super) enum Rows {
    File(Connection),
    Schema(Postgres),
}

impl Rows {
    pub(super) fn in_file(path: &Path) -> Result<Self> {
        let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        database.busy_timeout(Duration::from_secs(5))?;
        Ok(Self::File(database))
    }

    pub(super) fn in_schema(url: &str, schema: &str) -> Result<Self> {
        let database = Postgres::connect(url)?;
        database.rows(&format!("set search_path = {schema}"))?;
        Ok(Self::Schema(database))
    }

    /// Ids of tickets that live.
    pub(super) fn live_tickets(&self, most: usize) -> Result<Vec<String>> {
        self.texts(&format!("select id from tickets where not _deleted order by id limit {most}"))
    }

    /// Whether a condition holds for a ticket.
    pub(super) fn ticket_is(&self, id: &str, condition: &str) -> Result<bool> {
        let sql = format!("select id from tickets where id = '{id}' and {condition}");
        Ok(!self.texts(&sql)?.is_empty())
    }

    /// The first column.
    fn texts(&self, sql: &str) -> Result<Vec<String>> {
        match self {
            Self::File(database) => {
                let mut statement = database.prepare(sql)?;
                let texts = statement.query_map([], |row| row.get(0))?;
                Ok(texts.collect::<rusqlite::Result<_>>()?)
            }
            Self::Schema(database) => {
                Ok(database.rows(sql)?.into_iter().filter_map(|row| row.into_iter().next()).collect())
            }
        }
    }
}
