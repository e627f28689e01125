//! Finds rows that the listings of their parents lack.
//!
//! Part of the sink: needs its session.

use std::collections::BTreeMap;

use super::Postgres;
use super::encode::{Arrays, Cell, Rows, SqlType};
use super::errors::of_table;
use super::schema::{self, entries, in_schema, key_names};
use super::session::LONG_TIMEOUT;
use super::table::given;
use super::values::{escaped, unescaped};
use crate::change::{Batch, Change};
use crate::error::Result;
use crate::sinks::columns::{Layout, quote};
use crate::sinks::listing::{self, Parent, UNLISTED_MAX};
use crate::sinks::undiscovered;

impl Postgres {
    /// The deletes of stored rows that are older than the listing of their parent, and not in it.
    pub(super) fn find_unlisted(&mut self, table: &str, batch: &Batch) -> Result<Vec<Change>> {
        let prepared = self.tables.get(table).ok_or_else(|| undiscovered(table))?;
        let (layout, key_paths) = (prepared.layout.clone(), &prepared.key_paths);
        let named = listing::named(&layout, key_paths, &batch.changes)?;
        let mut by_columns: BTreeMap<Vec<&str>, Vec<Parent<'_>>> = BTreeMap::new();
        for listing in &batch.listings {
            let Some(parent) = Parent::new(&layout, key_paths, listing)? else { continue };
            let columns = parent.columns.iter().map(|(name, _)| *name).collect();
            by_columns.entry(columns).or_default().push(parent);
        }
        let mut deletes = Vec::new();
        for (columns, parents) in &by_columns {
            self.index_parent(&layout, columns)?;
            let room = UNLISTED_MAX - deletes.len();
            let older = self.older_rows(&layout, columns, parents, named.len() + room)?;
            let delete =
                |(place, key): (usize, Vec<String>)| parents.get(place)?.delete(&layout, key, &named);
            deletes.extend(older.into_iter().filter_map(delete).take(room));
        }
        Ok(deletes)
    }

    /// The keys of live rows that are older than the listing of their parent, each with the parent's place.
    fn older_rows(
        &self,
        layout: &Layout,
        columns: &[&str],
        parents: &[Parent<'_>],
        room: usize,
    ) -> Result<Vec<(usize, Vec<String>)>> {
        let mut types = vec![SqlType::Text; columns.len()];
        types.push(SqlType::Integer);
        let mut arrays = Arrays::new(types.iter().copied());
        for parent in parents {
            arrays.begin_row();
            parent.columns.iter().for_each(|(_, value)| arrays.put(&Cell::Text(escaped(value))));
            arrays.put(&Cell::Integer(parent.as_of));
        }
        let rows: usize = parents.iter().map(Parent::rows).sum();
        let limit = i64::try_from(rows + room).unwrap_or(i64::MAX);
        let sql = select(&self.schema, layout, columns, &types);
        self.run(async |session| {
            let statement = session.prepared(&sql).await?;
            let mut parameters = arrays.parameters();
            parameters.push(&limit);
            let found = session.client.query(&statement, &parameters).await;
            let found = found.map_err(|error| of_table(error.into(), &layout.table))?;
            let key = |row: &tokio_postgres::Row| -> Result<(usize, Vec<String>)> {
                let number: i64 = row.try_get(0)?;
                let texts = (1..row.len()).map(|column| row.try_get::<_, &str>(column).map(unescaped));
                let texts: std::result::Result<_, tokio_postgres::Error> = texts.collect();
                Ok((usize::try_from(number - 1).unwrap_or(usize::MAX), texts?))
            };
            found.iter().map(key).collect()
        })
    }

    /// Creates the index on the first column that names a parent, unless that of the key begins with it, or
    /// readers have it already.
    fn index_parent(&mut self, layout: &Layout, columns: &[&str]) -> Result<()> {
        let Some(column) = columns.first() else { return Ok(()) };
        let index = schema::index(&self.schema, layout, column);
        let has_key = layout.key.first().is_some_and(|key| key.name == *column);
        if has_key || self.indexed.contains(&index.name) {
            return Ok(());
        }
        let sql = format!(
            "BEGIN; SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = 0;\n{}COMMIT",
            index.create
        );
        self.run_within(LONG_TIMEOUT, async |session| {
            let created = session.client.batch_execute(&sql).await;
            created.map_err(|error| of_table(error.into(), &layout.table))
        })?;
        self.indexed.insert(index.name);
        Ok(())
    }
}

/// Takes an array for each column that names a parent, one of times, and how many rows are wanted.
fn select(schema: &str, layout: &Layout, columns: &[&str], types: &[SqlType]) -> String {
    let keys = key_names(layout);
    let list = |of: &str| keys.iter().map(|key| format!("{of}.{key}")).collect::<Vec<_>>();
    let parts = (0..columns.len()).map(|number| quote(&format!("_parent_{number}")));
    let names: Vec<String> = parts.chain([quote("_as_of")]).collect();
    let is_key = |column: &str| layout.key.iter().any(|key| key.name == column);
    let collate = |column: &str| if is_key(column) { " COLLATE \"C\"" } else { "" };
    let named = columns.iter().zip(&names);
    let named: Vec<String> =
        named.map(|(column, name)| format!("t.{} = k.{name}{}", quote(column), collate(column))).collect();
    let same: Vec<String> = keys.iter().map(|key| format!("e.{key} = t.{key}")).collect();
    format!(
        "SELECT k._n, {} FROM {} JOIN {} t ON {} JOIN {} e ON {} \
         WHERE e.\"_as_of\" < k.\"_as_of\" AND NOT e.\"_deleted\" LIMIT ${}::bigint",
        list("t").join(", "),
        given(&names, types),
        in_schema(schema, &layout.table),
        named.join(" AND "),
        in_schema(schema, &entries(&layout.table)),
        same.join(" AND "),
        types.len() + 1
    )
}
