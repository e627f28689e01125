//! Fills new columns of rows that were stored before, from their JSON.
//!
//! The column is there first; its old rows follow in small transactions, so that readers never wait. A
//! process that ends meanwhile starts over: the layout notes when a table is done.

use tokio_postgres::types::ToSql;

use super::encode::{Arrays, Cell, Rows, SqlType};
use super::schema::{in_schema, key_names};
use super::session::Session;
use super::table::{PreparedTable, given, matches, put_key};
use super::values::{cell, sql_type, unescaped};
use crate::error::Result;
use crate::sinks::columns::{Column, quote};
use crate::sinks::fold::Key;
use crate::sinks::members::scan;

/// Rows of one transaction.
const ROWS: usize = 1_000;

/// The columns of a table after the first `filled`.
pub(super) struct Fill<'t> {
    table: &'t PreparedTable,
    filled: usize,
    columns: &'t [Column],
    types: Vec<SqlType>,
    first: String,
    next: String,
    update: String,
}

impl<'t> Fill<'t> {
    pub(super) fn new(schema: &str, table: &'t PreparedTable, filled: usize) -> Self {
        let layout = &table.layout;
        let columns = layout.columns.get(filled..).unwrap_or_default();
        let (name, keys) = (in_schema(schema, &layout.table), key_names(layout));
        let values = columns.iter().map(|column| sql_type(column.column_type));
        let types: Vec<SqlType> = keys.iter().map(|_| SqlType::Text).chain(values).collect();
        let names: Vec<String> = columns.iter().map(|column| quote(&column.name)).collect();
        let given_names: Vec<String> = keys.iter().chain(&names).cloned().collect();
        let set: Vec<String> = names.iter().map(|name| format!("{name} = k.{name}")).collect();
        let of = |alias: &str| names.iter().map(|name| format!("{alias}.{name}")).collect::<Vec<_>>();
        let order = keys.join(", ");
        let texts: Vec<String> = keys.iter().map(|key| format!("{key}::text")).collect();
        let last: Vec<String> =
            (1..=keys.len()).map(|number| format!("${number}::text COLLATE \"C\"")).collect();
        let select = |after: &str| {
            format!(
                "SELECT \"_raw\"::text, {} FROM {name} WHERE \"_raw\" IS NOT NULL{after} \
                 ORDER BY {order} LIMIT {ROWS}",
                texts.join(", ")
            )
        };
        Self {
            first: select(""),
            next: select(&format!(" AND ({order}) > ({})", last.join(", "))),
            // What an earlier process has filled is not written again.
            update: format!(
                "UPDATE {name} t SET {} FROM {} WHERE {} AND ({}) IS DISTINCT FROM ({})",
                set.join(", "),
                given(&given_names, &types),
                matches(&keys),
                of("t").join(", "),
                of("k").join(", ")
            ),
            table,
            filled,
            columns,
            types,
        }
    }

    /// Fills the rows after the key `last`, in the order of keys. Returns the last key; none at the end.
    pub(super) async fn page(
        &self,
        last: Option<&[String]>,
        session: &Session,
    ) -> Result<Option<Vec<String>>> {
        let statement = session.prepared(if last.is_some() { &self.next } else { &self.first }).await?;
        let parameters: Vec<&(dyn ToSql + Sync)> =
            last.unwrap_or_default().iter().map(|text| text as _).collect();
        let rows = session.client.query(&statement, &parameters).await?;
        let key_of = |row: &tokio_postgres::Row| -> std::result::Result<Vec<String>, tokio_postgres::Error> {
            (1..row.len()).map(|column| row.try_get(column)).collect()
        };
        let mut arrays = Arrays::new(self.types.iter().copied());
        for row in &rows {
            let raw: String = row.try_get(0)?;
            let mut slots = vec![None; self.table.layout.columns.len()];
            if scan(&raw, &self.table.paths, &mut slots).is_err() {
                continue;
            }
            // Values that do not convert were counted when the row was written.
            let values = slots.iter().skip(self.filled).zip(self.columns);
            let value =
                |(slot, column): (&Option<_>, &Column)| slot.and_then(|raw| cell(column.column_type, raw));
            let cells: Vec<Cell<'_>> = values.map(|place| value(place).unwrap_or(Cell::Null)).collect();
            // A row that has nothing for the columns is not written again.
            if cells.iter().all(|cell| *cell == Cell::Null) {
                continue;
            }
            let key: Key<'_> = key_of(row)?.iter().map(|text| unescaped(text).into()).collect();
            arrays.begin_row();
            put_key(&mut arrays, &key);
            cells.iter().for_each(|cell| arrays.put(cell));
        }
        if arrays.rows > 0 {
            let statement = session.prepared(&self.update).await?;
            session.client.execute(&statement, &arrays.parameters()).await?;
        }
        Ok(rows.last().map(key_of).transpose()?)
    }
}
