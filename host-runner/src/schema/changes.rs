//! The changes between two discoveries. Pure.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::change::Table;

/// The columns of each table with their types, as a discovery found them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Schemas(BTreeMap<String, BTreeMap<String, String>>);

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct SchemaChange {
    /// The table.
    pub(crate) table: String,
    /// None: the whole table.
    pub(crate) column: Option<String>,
    /// The kind of change.
    #[serde(flatten)]
    pub(crate) what: What,
}

/// A kind of change of a table or a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub(crate) enum What {
    /// It is new; a column has this type.
    Added {
        /// Empty for a table.
        r#type: String,
    },
    /// It is not there any more. A sink keeps its values.
    Removed,
    /// A sink keeps the values of the old type in the old column.
    Retyped {
        /// Before.
        from: String,
        /// Now.
        to: String,
    },
}

impl Schemas {
    /// The columns of discovered tables. A table whose schema is not complete keeps the columns of `before`:
    /// they are hidden, not removed.
    pub(crate) fn of(tables: &[Table], before: Option<&Self>) -> Self {
        let columns = |table: &Table| -> BTreeMap<String, String> {
            let schema: Value = serde_json::from_str(&table.schema).unwrap_or_default();
            let properties = schema.get("properties").and_then(Value::as_object);
            let found = properties.into_iter().flatten();
            let mut columns: BTreeMap<String, String> =
                found.map(|(name, property)| (name.clone(), type_of(property))).collect();
            let known = before.and_then(|before| before.0.get(&table.name));
            if !table.schema_complete {
                for (name, kind) in known.into_iter().flatten() {
                    columns.entry(name.clone()).or_insert_with(|| kind.clone());
                }
            }
            columns
        };
        Self(tables.iter().map(|table| (table.name.clone(), columns(table))).collect())
    }

    /// The columns of all tables.
    pub(crate) fn columns(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }

    /// The differences of a later discovery, by table and column.
    pub(crate) fn changes_to(&self, later: &Self) -> Vec<SchemaChange> {
        let mut changes = Vec::new();
        for (table, columns) in &later.0 {
            let mut note = |column: Option<&String>, what| {
                changes.push(SchemaChange { table: table.clone(), column: column.cloned(), what });
            };
            let Some(known) = self.0.get(table) else {
                note(None, What::Added { r#type: String::new() });
                continue;
            };
            for (column, kind) in columns {
                match known.get(column) {
                    None => note(Some(column), What::Added { r#type: kind.clone() }),
                    Some(from) if from != kind => {
                        note(Some(column), What::Retyped { from: from.clone(), to: kind.clone() });
                    }
                    Some(_) => {}
                }
            }
            for column in known.keys().filter(|column| !columns.contains_key(*column)) {
                note(Some(column), What::Removed);
            }
        }
        for table in self.0.keys().filter(|table| !later.0.contains_key(*table)) {
            changes.push(SchemaChange { table: table.clone(), column: None, what: What::Removed });
        }
        changes
    }
}

/// The type of a property in one word.
fn type_of(property: &Value) -> String {
    let kind = property.get("type");
    let word = match kind.and_then(Value::as_array) {
        Some(kinds) => kinds.iter().filter_map(Value::as_str).find(|word| *word != "null"),
        None => kind.and_then(Value::as_str),
    };
    let format = property.get("format").and_then(Value::as_str);
    match (word, format) {
        (Some("string") | None, Some("date-time")) => "time",
        (Some("string") | None, Some("date")) => "date",
        (Some("string") | None, _) => "text",
        (Some(word), _) => word,
    }
    .to_owned()
}

impl What {
    /// In one word, for metrics.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Added { .. } => "added",
            Self::Removed => "removed",
            Self::Retyped { .. } => "retyped",
        }
    }
}

impl fmt::Display for SchemaChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.column, &self.what) {
            (None, what) => write!(f, "{}: table {}", self.table, what.name()),
            (Some(column), What::Added { r#type }) => write!(f, "{}: {column} added, {}", self.table, r#type),
            (Some(column), What::Removed) => write!(f, "{}: {column} removed", self.table),
            (Some(column), What::Retyped { from, to }) => {
                write!(f, "{}: {column} was {from}, is {to}", self.table)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, properties: &str) -> Table {
        Table {
            name: name.to_owned(),
            primary_key: vec!["id".to_owned()],
            schema: format!(r#"{{"properties": {properties}}}"#),
            schema_complete: true,
            attributes: vec![],
        }
    }

    fn differences(before: &[Table], after: &[Table]) -> Vec<String> {
        let before = Schemas::of(before, None);
        let after = Schemas::of(after, Some(&before));
        before.changes_to(&after).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_difference_is_listed_once() {
        let before = [
            table("a", r#"{"id": {"type": "string"}, "x": {"type": ["string", "null"]}, "y": {}}"#),
            table("gone", "{}"),
        ];
        let time = r#"{"type": ["string", "null"], "format": "date-time"}"#;
        let after = [
            table(
                "a",
                &format!(r#"{{"id": {{"type": "string"}}, "x": {time}, "z": {{"type": "integer"}}}}"#),
            ),
            table("new", r#"{"id": {}}"#),
        ];
        assert_eq!(
            differences(&before, &after),
            [
                "a: x was text, is time",
                "a: z added, integer",
                "a: y removed",
                "new: table added",
                "gone: table removed"
            ]
        );
        assert_eq!(differences(&after, &after), [""; 0]);
    }

    #[test]
    fn columns_that_an_incomplete_schema_lacks_are_not_removed() {
        let before = [table("a", r#"{"id": {}, "cf_x": {"type": "integer"}}"#)];
        let hidden = [Table { schema_complete: false, ..table("a", r#"{"id": {}}"#) }];
        assert_eq!(differences(&before, &hidden), [""; 0]);
        let known = Schemas::of(&before, None);
        assert_eq!(Schemas::of(&hidden, Some(&known)), known, "nor added when they are listed again");
        let warning = vec![("warning".to_owned(), "the endpoint is in beta".to_owned())];
        let warned = [Table { attributes: warning, ..table("a", r#"{"id": {}}"#) }];
        assert_eq!(differences(&before, &warned), ["a: cf_x removed"], "a host may ignore any attribute");
    }

    #[test]
    fn schemas_are_equal_after_they_were_stored() {
        let schemas = Schemas::of(&[table("a", r#"{"id": {}}"#)], None);
        let stored = serde_json::to_vec(&schemas).expect("stored");
        assert_eq!(serde_json::from_slice::<Schemas>(&stored).expect("read"), schemas);
    }
}
