//! SQL text of tables, columns and views, and the binding of values.
//!
//! Names are quoted here and nowhere else. Knows nothing of rows.

use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};

use crate::change::Table;
use crate::error::{Error, Result};
use crate::limits::COLUMNS_MAX;
use crate::sinks::columns::{Column, Layout, Naming, quote};
use crate::sinks::value::{ColumnType, Value};

/// Names in SQLite: case does not count, three mean a row's number, and three are columns of [`order_table`].
pub(super) const NAMING: Naming = Naming {
    reserved: &["rowid", "_rowid_", "oid", "_as_of", "_generation", "_change"],
    fold: str::to_ascii_lowercase,
    fit: |name| name.to_owned(),
    has_room: |columns| columns.len() < COLUMNS_MAX,
};

/// Whether two names are one to SQLite, which compares ASCII letters without case.
pub(super) fn is_same(left: &str, right: &str) -> bool {
    left.eq_ignore_ascii_case(right)
}

/// The layout of a new table.
pub(super) fn new_layout(table: &Table) -> Result<Layout> {
    // Names of this form are SQLite's own.
    if table.name.to_ascii_lowercase().starts_with("sqlite_") {
        return Err(Error::data(format!("table `{}`: its name cannot be used", table.name)));
    }
    Layout::new(table, &NAMING)
}

/// Creates a table, and the one with what the order of changes needs to know of its rows.
///
/// `_row` is named because `VACUUM` renumbers the rows of a table without such a column. `_raw` comes last:
/// a document that is longer than a page fills further pages, and SQLite reads them all to reach a column
/// behind it. The second table is narrow, so that a row that is read again unchanged costs some bytes there
/// and none here.
pub(super) fn create_table(layout: &Layout) -> String {
    let keys: Vec<String> = layout.key.iter().map(|column| quote(&column.name)).collect();
    let mut definitions = vec!["_row INTEGER PRIMARY KEY".to_owned()];
    definitions.extend(keys.iter().map(|name| format!("{name} TEXT NOT NULL")));
    let metadata =
        ["_source_updated_at TEXT", "_deleted INTEGER NOT NULL DEFAULT 0", "_change_source TEXT NOT NULL"];
    definitions.extend(metadata.map(str::to_owned));
    definitions.extend(layout.columns.iter().map(definition));
    format!(
        "CREATE TABLE {} ({}, _raw TEXT, UNIQUE ({}));
         CREATE TABLE {} (_row INTEGER PRIMARY KEY, _as_of INTEGER NOT NULL, _generation INTEGER NOT NULL, \
         _change INTEGER, _deleted INTEGER NOT NULL)",
        quote(&layout.table),
        definitions.join(", "),
        keys.join(", "),
        order_table(layout)
    )
}

/// The table with times and generations of a table's rows, quoted.
pub(super) fn order_table(layout: &Layout) -> String {
    quote(&format!("_sync_rows_{}", layout.table))
}

pub(super) fn add_column(layout: &Layout, column: &Column) -> String {
    format!("ALTER TABLE {} ADD COLUMN {}", quote(&layout.table), definition(column))
}

fn definition(column: &Column) -> String {
    let sql_type = match column.column_type {
        ColumnType::Text | ColumnType::Time | ColumnType::Json => "TEXT",
        ColumnType::Integer | ColumnType::Boolean => "INTEGER",
        ColumnType::Real => "REAL",
    };
    format!("{} {sql_type}", quote(&column.name))
}

/// The name of a table's view.
pub(super) fn view(layout: &Layout) -> String {
    format!("{}_live", layout.table)
}

/// Whether a name is that of some table's view.
pub(super) fn names_view(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with("_live")
}

pub(super) fn drop_view(name: &str) -> String {
    format!("DROP VIEW {}", quote(name))
}

/// Creates the view of rows that are not deleted, without the columns that only the runner needs.
pub(super) fn create_view(layout: &Layout) -> String {
    let keys = layout.key.iter().map(|column| quote(&column.name));
    let columns = layout.columns.iter().map(|column| quote(&column.name));
    let names: Vec<String> = keys.chain(columns).collect();
    format!(
        "CREATE VIEW {} AS SELECT {}, _raw, _source_updated_at, _change_source FROM {} WHERE NOT _deleted",
        quote(&view(layout)),
        names.join(", "),
        quote(&layout.table)
    )
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(value) => ValueRef::Integer(*value),
            Self::Real(value) => ValueRef::Real(*value),
            Self::Boolean(value) => ValueRef::Integer(i64::from(*value)),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}
