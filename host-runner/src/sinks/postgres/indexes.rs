//! Creates the indexes for readers of a table, once its filling has ended.
//!
//! An index costs time for every new row, those on references most: they take their keys in any order. While
//! the first snapshot is read, a table has its primary key alone; afterward each index is built at once.
//! Part of the sink: needs its session. The SQL is in [`super::schema`].

use super::Postgres;
use super::schema;
use super::session::LONG_TIMEOUT;
use crate::change::Table;
use crate::error::Result;
use crate::sinks::{Commit, Progress, Sink};

impl Postgres {
    /// Notes which indexes discovered tables lack, and creates those of tables with a complete snapshot: the
    /// process may have ended before.
    pub(super) fn note_indexes(&mut self, tables: &[Table]) -> Result<()> {
        let new: Vec<&Table> =
            tables.iter().filter(|table| !self.lacking.contains_key(&table.name)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let kinds = self.run(async |session| self.kinds(session).await)?;
        let states = self.table_states()?;
        for table in new {
            let Some(prepared) = self.tables.get(&table.name) else { continue };
            let mut indexes = schema::indexes(&self.schema, table, &prepared.layout);
            indexes.retain(|index| !kinds.contains_key(&index.name));
            self.lacking.insert(table.name.clone(), indexes);
            if states.iter().any(|state| state.table == table.name && state.complete) {
                self.create_indexes(&table.name);
            }
        }
        Ok(())
    }

    /// Creates the indexes of a table that this commit has filled.
    pub(super) fn index_filled(&mut self, commit: &Commit<'_>) {
        let Progress::Table { name, generation, .. } = commit.progress else { return };
        if generation.is_none_or(|generation| generation.complete) {
            self.create_indexes(name);
        }
    }

    /// Creates the missing indexes. The rows are stored, so a failure is logged; the next discovery tries
    /// again.
    fn create_indexes(&mut self, table: &str) {
        let Some(indexes) = self.lacking.get(table).filter(|indexes| !indexes.is_empty()) else { return };
        let creates: String = indexes.iter().map(|index| index.create.as_str()).collect();
        let sql = format!(
            "BEGIN; SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = 0;\n{creates}COMMIT"
        );
        let created =
            self.run_within(LONG_TIMEOUT, async |session| Ok(session.client.batch_execute(&sql).await?));
        match created {
            Ok(()) => {
                self.lacking.insert(table.to_owned(), Vec::new());
            }
            Err(error) => {
                tracing::warn!(table, %error, "indexes not created; the next discovery tries again");
                self.lacking.remove(table);
            }
        }
        self.note_backend();
    }
}
