//! A table's columns: from the discovered schema to names and types, added to and never taken away.
//!
//! Pure but for nothing: schema in, definitions and statements out. Knows nothing of rows.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::document::MemberPaths;
use super::value::Kind;
use crate::change::Table;
use crate::error::{Error, Result};
use crate::limits::COLUMNS_MAX;

/// Columns that every table has, and names that mean a row's number in SQLite.
const NAMES_TAKEN: [&str; 10] = [
    "_raw",
    "_source_updated_at",
    "_deleted",
    "_change_source",
    "_as_of",
    "_generation",
    "_change_id",
    "rowid",
    "_rowid_",
    "oid",
];

/// The columns of one table. Stored, so that names never change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layout {
    pub(super) table: String,
    pub(super) key: Vec<KeyColumn>,
    pub(super) columns: Vec<Column>,
}

/// A column of the primary key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeyColumn {
    pub(super) member: String,
    pub(super) name: String,
}

/// A typed column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Column {
    pub(super) property: String,
    pub(super) path: Vec<String>,
    pub(super) kind: Kind,
    pub(super) name: String,
}

impl Layout {
    /// The layout of a table seen for the first time, without its columns.
    pub(super) fn new(table: &Table) -> Result<Self> {
        let usable = |name: &str| {
            !name.is_empty()
                && !name.starts_with('_')
                && !name.to_ascii_lowercase().starts_with("sqlite_")
                && !name.contains('\0')
        };
        if !usable(&table.name) {
            return Err(Error::data(format!("table `{}`: SQLite cannot have such a name", table.name)));
        }
        if table.primary_key.is_empty() {
            return Err(Error::data(format!("table `{}`: has no primary key", table.name)));
        }
        let mut layout = Self { table: table.name.clone(), key: Vec::new(), columns: Vec::new() };
        for member in &table.primary_key {
            let name = layout.free_name(member);
            layout.key.push(KeyColumn { member: member.clone(), name });
        }
        Ok(layout)
    }

    /// Adds what the schema has and the layout has not. Answers how many columns are new.
    pub(super) fn extend(&mut self, table: &Table) -> Result<usize> {
        let known: Vec<&str> = self.key.iter().map(|column| column.member.as_str()).collect();
        if known != table.primary_key {
            return Err(Error::sink(format!("table `{}`: its primary key has changed", table.name))
                .hint("move the target file away and read the table again from the start"));
        }
        let schema: Schema = serde_json::from_str(&table.schema).map_err(|error| {
            Error::data(format!("table `{}`: its schema is not JSON Schema: {error}", table.name))
        })?;
        let before = self.columns.len();
        for (property, description) in schema.properties.0 {
            if self.columns.len() >= COLUMNS_MAX {
                tracing::warn!(table = %table.name, columns_max = COLUMNS_MAX,
                    "more properties than columns; the rest is in the document only");
                break;
            }
            let path = description.path(&property);
            let kind = description.kind();
            let is_key = matches!(path.as_slice(), [member] if table.primary_key.contains(member));
            let is_known = self
                .columns
                .iter()
                .any(|column| column.property == property && column.kind == kind && column.path == path);
            if !is_key && !is_known {
                let name = self.free_name(&property);
                self.columns.push(Column { property, path, kind, name });
            }
        }
        Ok(self.columns.len() - before)
    }

    /// The name itself, or `name__2`, `name__3` … if it is taken whatever its case.
    fn free_name(&self, wanted: &str) -> String {
        let keys = self.key.iter().map(|column| column.name.as_str());
        let columns = self.columns.iter().map(|column| column.name.as_str());
        let taken: Vec<&str> = keys.chain(columns).chain(NAMES_TAKEN).collect();
        let wanted = wanted.replace('\0', "");
        let is_free = |name: &str| !name.is_empty() && !taken.iter().any(|n| same(n, name));
        if is_free(&wanted) {
            return wanted;
        }
        let mut numbered = (2_usize..).map(|number| format!("{wanted}__{number}"));
        numbered.find(|name| is_free(name)).unwrap_or(wanted)
    }

    /// Where the columns' values lie in a document.
    pub(super) fn paths(&self) -> MemberPaths {
        MemberPaths::new(self.columns.iter().map(|column| column.path.as_slice()))
    }

    /// Where the key's values lie in a key.
    pub(super) fn key_paths(&self) -> MemberPaths {
        MemberPaths::new(self.key.iter().map(|column| std::slice::from_ref(&column.member)))
    }

    pub(super) fn create_sql(&self) -> String {
        let keys: Vec<String> =
            self.key.iter().map(|column| format!("{} TEXT NOT NULL", quote(&column.name))).collect();
        let names: Vec<String> = self.key.iter().map(|column| quote(&column.name)).collect();
        format!(
            "CREATE TABLE {} ({}, _raw TEXT, _source_updated_at TEXT, \
             _deleted INTEGER NOT NULL DEFAULT 0, _change_source TEXT NOT NULL, \
             _as_of INTEGER NOT NULL, _generation INTEGER NOT NULL, _change_id TEXT, PRIMARY KEY ({}))",
            quote(&self.table),
            keys.join(", "),
            names.join(", ")
        )
    }

    pub(super) fn add_column_sql(&self, column: &Column) -> String {
        let (table, name) = (quote(&self.table), quote(&column.name));
        format!("ALTER TABLE {table} ADD COLUMN {name} {}", column.kind.sql())
    }

    /// The rows that exist, without what only the runner needs.
    pub(super) fn view_sql(&self) -> String {
        let keys = self.key.iter().map(|column| quote(&column.name));
        let columns = self.columns.iter().map(|column| quote(&column.name));
        let names: Vec<String> = keys.chain(columns).collect();
        format!(
            "CREATE VIEW {} AS SELECT {}, _raw, _source_updated_at, _change_source FROM {} WHERE NOT _deleted",
            quote(&self.view()),
            names.join(", "),
            quote(&self.table)
        )
    }

    pub(super) fn view(&self) -> String {
        format!("{}_live", self.table)
    }
}

/// Whether SQLite takes two names for one.
pub(super) fn same(left: &str, right: &str) -> bool {
    left.eq_ignore_ascii_case(right)
}

/// A name as SQL writes it.
pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[derive(Deserialize)]
struct Schema {
    #[serde(default)]
    properties: Properties,
}

/// Properties in the order of the schema.
#[derive(Default)]
struct Properties(Vec<(String, Property)>);

#[derive(Default, Deserialize)]
struct Property {
    #[serde(rename = "type", default)]
    types: serde_json::Value,
    #[serde(default)]
    format: serde_json::Value,
    #[serde(rename = "x-path", default)]
    path: Option<String>,
}

impl Property {
    fn kind(&self) -> Kind {
        let word = match &self.types {
            serde_json::Value::Array(types) => {
                types.iter().filter_map(serde_json::Value::as_str).find(|word| *word != "null")
            }
            other => other.as_str(),
        };
        match (word, self.format.as_str()) {
            (Some("string"), Some("date-time")) => Kind::Time,
            (Some("integer"), _) => Kind::Integer,
            (Some("number"), _) => Kind::Real,
            (Some("boolean"), _) => Kind::Boolean,
            (Some("object" | "array"), _) => Kind::Json,
            _ => Kind::Text,
        }
    }

    /// The members that lead to the value, from a JSON pointer.
    fn path(&self, property: &str) -> Vec<String> {
        match self.path.as_deref().and_then(|pointer| pointer.strip_prefix('/')) {
            Some(pointer) => {
                pointer.split('/').map(|part| part.replace("~1", "/").replace("~0", "~")).collect()
            }
            None => vec![property.to_owned()],
        }
    }
}

impl<'de> Deserialize<'de> for Properties {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Properties;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("properties")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Properties, A::Error> {
                let mut properties = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    properties.push(entry);
                }
                Ok(Properties(properties))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::{Layout, quote};
    use crate::change::Table;

    fn table(schema: &str) -> Table {
        Table {
            name: "things".into(),
            primary_key: vec!["id".into()],
            schema: schema.into(),
            attributes: vec![],
        }
    }

    fn columns(layout: &Layout) -> Vec<String> {
        let shown = |column: &super::Column| {
            format!("{} {} {}", column.name, column.kind.sql(), column.path.join("/"))
        };
        layout.columns.iter().map(shown).collect()
    }

    #[test]
    fn columns_follow_the_schema_in_its_order() {
        let table = table(
            r#"{"properties": {"id": {"type": "string"}, "z": {"type": ["null", "integer"]},
                "a": {"type": "string", "format": "date-time"}, "n": {"type": "number"},
                "b": {"type": "boolean"}, "o": {"type": "object"}, "any": true_or_nothing,
                "cf_x": {"type": "string", "x-path": "/cf/cf~1x"}}}"#
                .replace("true_or_nothing", "{}")
                .as_str(),
        );
        let mut layout = Layout::new(&table).expect("a layout");
        assert_eq!(layout.extend(&table).expect("extended"), 7);
        assert_eq!(
            columns(&layout),
            [
                "z INTEGER z",
                "a TEXT a",
                "n REAL n",
                "b INTEGER b",
                "o TEXT o",
                "any TEXT any",
                "cf_x TEXT cf/cf/x"
            ]
        );
        assert_eq!(layout.extend(&table).expect("extended again"), 0);
    }

    #[test]
    fn names_that_clash_are_numbered_and_stay_so() {
        let first = table(
            r#"{"properties": {"Name": {"type": "string"}, "name": {"type": "string"},
                "NAME": {"type": "string"}, "ID": {"type": "string"}, "_raw": {"type": "string"},
                "_generation": {"type": "string"}, "rowid": {"type": "string"}}}"#,
        );
        let mut layout = Layout::new(&first).expect("a layout");
        layout.extend(&first).expect("extended");
        let names: Vec<&str> = layout.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["Name", "name__2", "NAME__3", "ID__2", "_raw__2", "_generation__2", "rowid__2"]);
    }

    #[test]
    fn a_property_of_another_type_gets_a_column_of_its_own() {
        let text = table(r#"{"properties": {"a": {"type": "string"}}}"#);
        let number = table(r#"{"properties": {"a": {"type": "integer"}}}"#);
        let mut layout = Layout::new(&text).expect("a layout");
        layout.extend(&text).expect("extended");
        assert_eq!(layout.extend(&number).expect("extended"), 1);
        assert_eq!(columns(&layout), ["a TEXT a", "a__2 INTEGER a"]);
        assert_eq!(layout.extend(&text).expect("back again"), 0);
    }

    #[test]
    fn names_are_quoted_and_bad_tables_refused() {
        assert_eq!(quote("a\"; DROP TABLE x; --"), "\"a\"\"; DROP TABLE x; --\"");
        for name in ["", "_sync_state", "sqlite_master", "SQLITE_x"] {
            let mut bad = table("{}");
            bad.name = name.into();
            assert!(Layout::new(&bad).is_err(), "{name}");
        }
        let mut keyless = table("{}");
        keyless.primary_key.clear();
        assert!(Layout::new(&keyless).is_err());
        let mut layout = Layout::new(&table("{}")).expect("a layout");
        let mut moved = table("{}");
        moved.primary_key = vec!["other".into()];
        assert!(layout.extend(&moved).is_err());
        assert!(layout.extend(&table("nonsense")).is_err());
    }
}
