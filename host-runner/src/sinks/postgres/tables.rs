//! Creates and extends the tables of a schema, and fills new columns.
//!
//! Part of the sink: needs its session. The SQL is in [`super::schema`].

use std::collections::{HashMap, HashSet};

use super::errors::{is_locked, of_table};
use super::schema::{self, NAMING};
use super::session::Session;
use super::table::PreparedTable;
use super::{Postgres, fill};
use crate::change::Table;
use crate::error::Result;
use crate::sinks::columns::Layout;

/// A view, in `pg_class`.
const VIEW: i8 = b'v'.cast_signed();
/// How long a new column waits for readers of its table, and new readers behind it.
const READERS_WAIT: &str = "2s";

impl Postgres {
    /// Takes the stored layouts over, with how many columns of each are filled.
    pub(super) fn learn(&mut self, layouts: Vec<(Layout, usize)>) {
        for (layout, filled) in layouts {
            if filled < layout.columns.len() {
                self.unfilled.insert(layout.table.clone(), filled);
            }
            self.tables.insert(layout.table.clone(), PreparedTable::new(&self.schema, layout));
        }
    }

    /// The tables that are new, whose columns change, or whose view a user has dropped, with their layouts.
    /// `kinds` are those of everything that the schema holds.
    pub(super) fn extended<'t>(
        &self,
        tables: &'t [Table],
        kinds: &HashMap<String, i8>,
    ) -> Result<Vec<(&'t Table, Layout)>> {
        let names = self.names(tables);
        let mut extended = Vec::new();
        for table in tables {
            let known = self.tables.get(&table.name);
            let mut layout = match known {
                Some(known) => known.layout.clone(),
                None => Layout::new(table, &NAMING)?,
            };
            let changes = layout.extend(table, &NAMING)?;
            let view = schema::view(&layout.table);
            let lacks_view = !kinds.contains_key(&view) && !names.contains(&view);
            if known.is_none() || changes > 0 || lacks_view {
                extended.push((table, layout));
            }
        }
        Ok(extended)
    }

    /// Creates new tables in one transaction, and extends each other one in its own. A table that a reader
    /// holds stays as it is until the next time: new members are in `_raw` meanwhile.
    pub(super) fn create_or_extend(&mut self, tables: &[Table], kinds: &HashMap<String, i8>) -> Result<()> {
        // The answer to an earlier attempt may have been lost.
        let layouts = self.run(async |session| self.metadata.layouts(session).await);
        self.learn(layouts?);
        let extended = self.extended(tables, kinds)?;
        let names = self.names(tables);
        let is_known = |(table, _): &(&Table, Layout)| self.tables.contains_key(&table.name);
        let (known, new): (Vec<_>, Vec<_>) = extended.into_iter().partition(is_known);
        if !new.is_empty() {
            self.execute_ddl(&new, &names)?;
            self.adopt(new);
        }
        for one in known {
            let one = [one];
            match self.execute_ddl(&one, &names) {
                Ok(()) => self.adopt(one),
                Err(error) if is_locked(&error) => {
                    let hint = error.hint.as_deref().unwrap_or_default();
                    tracing::warn!(%error, hint, "new columns wait for the next discovery");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The names in the schema of stored and of discovered tables.
    fn names(&self, tables: &[Table]) -> HashSet<String> {
        let known = self.tables.keys().map(String::as_str);
        known.chain(tables.iter().map(|table| table.name.as_str())).map(schema::fit).collect()
    }

    /// Creates or extends tables in one transaction. While it waits for a reader, later readers wait behind
    /// it: not for long.
    fn execute_ddl(&self, extended: &[(&Table, Layout)], names: &HashSet<String>) -> Result<()> {
        self.run(async |session| {
            let kinds = self.kinds(session).await?;
            session.client.batch_execute("BEGIN").await?;
            let owner = self.metadata.owner(session, "FOR UPDATE").await?;
            self.check_fence(owner)?;
            session.client.batch_execute(&format!("SET LOCAL lock_timeout = '{READERS_WAIT}'")).await?;
            for (table, layout) in extended {
                let sql = self.ddl(table, layout, names, &kinds)?;
                let done = session.client.batch_execute(&sql).await;
                done.map_err(|error| of_table(error.into(), &table.name))?;
            }
            Ok(session.client.batch_execute("COMMIT").await?)
        })
    }

    /// Works with layouts that the schema has now.
    fn adopt<'t>(&mut self, extended: impl IntoIterator<Item = (&'t Table, Layout)>) {
        for (_, layout) in extended {
            self.lacking.remove(&layout.table);
            let known = self.tables.get(&layout.table).map(|known| known.layout.columns.len());
            if let Some(known) = known {
                self.unfilled.entry(layout.table.clone()).or_insert(known);
            }
            self.tables.insert(layout.table.clone(), PreparedTable::new(&self.schema, layout));
        }
    }

    /// Fills new columns of stored rows.
    pub(super) fn fill(&mut self) -> Result<()> {
        for (name, filled) in self.unfilled.clone() {
            let Some(table) = self.tables.get(&name) else { continue };
            let columns = table.layout.columns.len() - filled;
            tracing::info!(table = %name, columns, "columns added; their old rows are filled");
            let fill = fill::Fill::new(&self.schema, table, filled);
            let mut last = None;
            loop {
                let page = self.run(async |session| {
                    let page = fill.page(last.as_deref(), session).await;
                    page.map_err(|error| of_table(error, &name))
                });
                last = page?;
                if last.is_none() {
                    break;
                }
            }
            let noted = self.run(async |session| {
                Ok(session.client.batch_execute(&self.metadata.note_filled(&table.layout)).await?)
            });
            noted?;
            self.unfilled.remove(&name);
        }
        Ok(())
    }

    /// The SQL that creates or extends a table. `kinds` are those of everything that the schema holds.
    fn ddl(
        &self,
        table: &Table,
        layout: &Layout,
        names: &HashSet<String>,
        kinds: &HashMap<String, i8>,
    ) -> Result<String> {
        let schema = &self.schema;
        let mut sql = String::new();
        let known = self.tables.get(&layout.table).map(|known| known.layout.columns.len());
        match known {
            None => {
                // It may have the name of the view of another table, which was there first.
                if kinds.get(&schema::fit(&layout.table)) == Some(&VIEW) && layout.table.ends_with("_live") {
                    sql.push_str(&schema::drop_view(schema, &layout.table));
                }
                sql.push_str(&schema::create_table(schema, layout));
                sql.push_str(&schema::annotate(schema, table, layout));
            }
            Some(known) => {
                let new = layout.columns.get(known..).unwrap_or_default();
                new.iter().for_each(|column| sql.push_str(&schema::add_column(schema, layout, column)));
                sql.push_str(&schema::annotate_columns(schema, table, layout, new));
            }
        }
        // A table of the connector may have the name of another's view, also one that it no longer has.
        let view = schema::view(&layout.table);
        let is_free = kinds.get(&view).is_none_or(|kind| *kind == VIEW);
        if is_free && !names.contains(&view) {
            sql.push_str(&schema::create_view(schema, layout));
        }
        let filled = known.unwrap_or(layout.columns.len());
        sql.push_str(&self.metadata.store_layout(layout, filled)?);
        Ok(sql)
    }

    /// The kind of every relation of the schema.
    pub(super) async fn kinds(&self, session: &Session) -> Result<HashMap<String, i8>> {
        let sql = format!(
            "SELECT relname::text, relkind FROM pg_class WHERE relnamespace = \
             (SELECT oid FROM pg_namespace WHERE nspname = {})",
            schema::literal(&self.schema)
        );
        let rows = session.client.query_typed(&sql, &[]).await?;
        let kinds: Result<_, tokio_postgres::Error> =
            rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect();
        Ok(kinds?)
    }
}
