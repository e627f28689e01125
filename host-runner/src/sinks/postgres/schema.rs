//! SQL text of tables, views, indexes and comments.
//!
//! Names are quoted here and nowhere else. Pure; knows nothing of rows.

use std::collections::HashMap;

use serde_json::Value as Json;
use xxhash_rust::xxh3::xxh3_64;

use super::encode::SqlType;
use super::values::sql_type;
use crate::change::{Table, attribute};
use crate::sinks::columns::{Column, Layout, Naming, quote};
use crate::sinks::value::ColumnType;

/// Longest name; PostgreSQL cuts longer ones, so that two may become one.
const NAME_BYTES_MAX: usize = 63;
/// Bytes of a page that the columns of one row share. Long values move to other pages; [`bytes_in_page`]
/// bounds the rest. A row that does not fit could not be stored at all.
const ROW_BYTES_MAX: usize = 7_000;
/// Columns of a table besides those of its key and [`ROW_COLUMNS`]: PostgreSQL takes 1,600, and counts those
/// that a user added or dropped.
const COLUMNS_MAX: usize = 1_500;
/// Indexes on references to other rows; each costs time for every new row.
const REFERENCES_MAX: usize = 8;

/// Names in PostgreSQL, which compares them byte by byte in quotes.
pub(super) const NAMING: Naming = Naming {
    reserved: &[
        "tableoid",
        "xmin",
        "cmin",
        "xmax",
        "cmax",
        "ctid",
        "_as_of",
        "_generation",
        "_change",
        "_tombstone",
        "_n",
    ],
    fold: str::to_owned,
    fit,
    has_room: |columns| {
        let used: usize = columns.iter().map(|column| bytes_in_page(column.column_type)).sum();
        columns.len() < COLUMNS_MAX && used + bytes_in_page(ColumnType::Text) <= ROW_BYTES_MAX
    },
};

/// The columns of `_sync_rows_<table>` behind those of the key, and their types.
pub(super) const ENTRY_COLUMNS: [(&str, SqlType); 5] = [
    ("_as_of", SqlType::Integer),
    ("_generation", SqlType::Integer),
    ("_change", SqlType::Integer),
    ("_deleted", SqlType::Boolean),
    ("_tombstone", SqlType::Boolean),
];

/// The columns that every table has behind those of its key, and their types. `_raw` is the last.
pub(super) const ROW_COLUMNS: [(&str, SqlType); 4] = [
    ("_source_updated_at", SqlType::Time),
    ("_deleted", SqlType::Boolean),
    ("_change_source", SqlType::Text),
    ("_raw", SqlType::Json),
];

/// The most bytes of a value that stay in the page of its row: a pointer to a long text or number has 18, one
/// of up to 24 stays itself. Others are padded to 8.
const fn bytes_in_page(column_type: ColumnType) -> usize {
    match column_type {
        ColumnType::Text | ColumnType::Json | ColumnType::Real => 25,
        ColumnType::Integer | ColumnType::Time => 15,
        ColumnType::Boolean => 1,
    }
}

/// The name itself, or its beginning and a hash of the whole.
pub(super) fn fit(name: &str) -> String {
    if name.len() <= NAME_BYTES_MAX {
        return name.to_owned();
    }
    let hash = format!("_{:08x}", xxh3_64(name.as_bytes()) >> 32);
    let mut end = NAME_BYTES_MAX - hash.len();
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{hash}", &name[..end])
}

/// A text as SQL writes it.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\0', "").replace('\'', "''"))
}

/// A name in a schema.
pub(super) fn in_schema(schema: &str, name: &str) -> String {
    format!("{}.{}", quote(schema), quote(&fit(name)))
}

/// The name of a table's view.
pub(super) fn view(table: &str) -> String {
    fit(&format!("{table}_live"))
}

/// The name of the table with the times and generations of a table's rows.
pub(super) fn entries(table: &str) -> String {
    fit(&format!("_sync_rows_{table}"))
}

/// The quoted names of the key's columns.
pub(super) fn key_names(layout: &Layout) -> Vec<String> {
    layout.key.iter().map(|column| quote(&column.name)).collect()
}

/// Creates a table and its entries.
///
/// The second table is narrow, so that a row that is read again unchanged costs some bytes there and none in
/// the wide one. Keys are compared byte by byte, whatever the language of the database.
pub(super) fn create_table(schema: &str, layout: &Layout) -> String {
    let table = &layout.table;
    let keys = key_names(layout);
    let key_columns: Vec<String> =
        keys.iter().map(|name| format!("{name} text COLLATE \"C\" NOT NULL")).collect();
    let [updated, .., raw] = ROW_COLUMNS.map(|(name, kind)| format!("{} {}", quote(name), kind.name()));
    let metadata = [
        updated,
        "\"_deleted\" boolean NOT NULL DEFAULT false".to_owned(),
        "\"_change_source\" text NOT NULL".to_owned(),
    ];
    let columns = layout.columns.iter().map(definition);
    let all: Vec<String> = key_columns.iter().cloned().chain(metadata).chain(columns).chain([raw]).collect();
    let primary = |name: &str| {
        format!("CONSTRAINT {} PRIMARY KEY ({})", quote(&fit(&format!("_sync_key{name}"))), keys.join(", "))
    };
    format!(
        "CREATE TABLE {} ({}, {});\n\
         CREATE TABLE {} ({}, \"_as_of\" bigint NOT NULL, \"_generation\" bigint NOT NULL, \
         \"_change\" bigint, \"_deleted\" boolean NOT NULL, \"_tombstone\" boolean NOT NULL, {}) \
         WITH (fillfactor = 80);\n",
        in_schema(schema, table),
        all.join(", "),
        primary(&format!("_{table}")),
        in_schema(schema, &entries(table)),
        key_columns.join(", "),
        // No table of a connector has a name that starts with an underscore.
        primary(&format!("__rows_{table}")),
    )
}

/// Adds a column; an instant, whatever the size of the table.
pub(super) fn add_column(schema: &str, layout: &Layout, column: &Column) -> String {
    format!("ALTER TABLE {} ADD COLUMN {};\n", in_schema(schema, &layout.table), definition(column))
}

fn definition(column: &Column) -> String {
    format!("{} {}", quote(&column.name), sql_type(column.column_type).name())
}

/// Creates the view of rows that are not deleted, or appends new columns to it: typed columns come last,
/// because a view takes new columns only at its end.
pub(super) fn create_view(schema: &str, layout: &Layout) -> String {
    let metadata = ["_source_updated_at", "_change_source", "_raw"].map(quote);
    let columns = layout.columns.iter().map(|column| quote(&column.name));
    let names: Vec<String> = key_names(layout).into_iter().chain(metadata).chain(columns).collect();
    format!(
        "CREATE OR REPLACE VIEW {} AS SELECT {} FROM {} WHERE NOT \"_deleted\";\n",
        in_schema(schema, &view(&layout.table)),
        names.join(", "),
        in_schema(schema, &layout.table),
    )
}

pub(super) fn drop_view(schema: &str, name: &str) -> String {
    format!("DROP VIEW {};\n", in_schema(schema, name))
}

/// The comments of a new table.
pub(super) fn annotate(schema: &str, table: &Table, layout: &Layout) -> String {
    let mut sql = String::new();
    if let Some(title) = attribute(&table.attributes, "title") {
        let name = in_schema(schema, &layout.table);
        sql.push_str(&format!("COMMENT ON TABLE {name} IS {};\n", literal(title)));
    }
    sql.push_str(&comments(schema, layout, &layout.columns, &properties(table)));
    sql
}

/// An index for readers of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Index {
    pub(super) name: String,
    pub(super) create: String,
}

/// The indexes of a table: readers ask for the newest rows, and for those that refer to another one.
pub(super) fn indexes(schema: &str, table: &Table, layout: &Layout) -> Vec<Index> {
    let properties = properties(table);
    let is_reference = |column: &&Column| {
        let kind = properties.get(&column.property).and_then(|property| property["x-type"].as_str());
        column.column_type == ColumnType::Text && matches!(kind, Some("id" | "lookup"))
    };
    let references = layout.columns.iter().filter(is_reference).take(REFERENCES_MAX);
    let names = ["_source_updated_at"].into_iter().chain(references.map(|column| column.name.as_str()));
    names.map(|column| index(schema, layout, column)).collect()
}

/// The index of a column.
pub(super) fn index(schema: &str, layout: &Layout, column: &str) -> Index {
    // Not `_` between them: column `c` of table `a_b` and column `b_c` of table `a` have two indexes.
    let name = fit(&format!("_sync_index_{}.{column}", layout.table));
    let on = in_schema(schema, &layout.table);
    let create = format!("CREATE INDEX IF NOT EXISTS {} ON {on} ({});\n", quote(&name), quote(column));
    Index { name, create }
}

/// The comments of new columns.
pub(super) fn annotate_columns(schema: &str, table: &Table, layout: &Layout, new: &[Column]) -> String {
    comments(schema, layout, new, &properties(table))
}

fn comments(schema: &str, layout: &Layout, columns: &[Column], properties: &HashMap<String, Json>) -> String {
    let table = in_schema(schema, &layout.table);
    let mut sql = String::new();
    for column in columns {
        let Some(property) = properties.get(&column.property) else { continue };
        let texts = ["title", "description"].map(|member| property[member].as_str());
        let text: Vec<&str> = texts.into_iter().flatten().filter(|text| !text.is_empty()).collect();
        if !text.is_empty() {
            let (name, text) = (quote(&column.name), literal(&text.join(": ")));
            sql.push_str(&format!("COMMENT ON COLUMN {table}.{name} IS {text};\n"));
        }
    }
    sql
}

/// The properties of a table's schema, which was read before.
fn properties(table: &Table) -> HashMap<String, Json> {
    let schema: Json = serde_json::from_str(&table.schema).unwrap_or_default();
    let properties = schema.get("properties").and_then(Json::as_object).cloned().unwrap_or_default();
    properties.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::{NAME_BYTES_MAX, NAMING, fit, literal};
    use crate::change::Table;
    use crate::sinks::columns::Layout;
    use crate::sinks::columns::quote;

    #[test]
    fn names_fit_and_long_ones_stay_apart() {
        assert_eq!(fit("tickets"), "tickets");
        let exact = "x".repeat(NAME_BYTES_MAX);
        assert_eq!(fit(&exact), exact);
        let long = ["ö".repeat(40), format!("{}p", "ö".repeat(40)), format!("{}q", "ö".repeat(40))];
        let fitted = long.each_ref().map(|name| fit(name));
        assert!(fitted.iter().all(|name| name.len() <= NAME_BYTES_MAX && name.starts_with("ööö")));
        assert!(fitted[0] != fitted[1] && fitted[1] != fitted[2]);
    }

    #[test]
    fn names_and_texts_are_quoted() {
        assert_eq!(quote("a\"; DROP TABLE x; --"), "\"a\"\"; DROP TABLE x; --\"");
        assert_eq!(literal("it's\0 \\"), "'its \\'".replace("its", "it''s"));
    }

    #[test]
    fn a_table_has_as_many_columns_as_a_page_surely_holds() {
        let count = |kind: &str| {
            let properties: Vec<String> =
                (0..2_000).map(|n| format!("\"c{n}\":{{\"type\":\"{kind}\"}}")).collect();
            let table = Table {
                name: "wide".into(),
                primary_key: vec!["id".into()],
                schema: format!("{{\"properties\":{{{}}}}}", properties.join(",")),
                schema_complete: true,
                attributes: vec![],
            };
            let mut layout = Layout::new(&table, &NAMING).expect("a layout");
            layout.extend(&table, &NAMING).expect("columns")
        };
        let counts = ["string", "number", "integer", "boolean"].map(count);
        assert_eq!(counts, [280, 280, 466, 1_500]);
    }
}
