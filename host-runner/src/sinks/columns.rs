//! A table's columns: from the discovered schema to names and types that are added to and never dropped.
//!
//! Pure, and shared by every sink with typed columns. A database's rules for names are its [`Naming`];
//! statements are the sinks' own. Knows nothing of rows.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::members::{MemberPaths, scan};
use super::value::{ColumnType, text};
use crate::boundary::limits::PATH_PARTS;
use crate::change::Table;
use crate::error::{Error, Result};

/// The columns that every table has, besides those of its key and its schema.
pub(super) const METADATA_COLUMNS: [&str; 5] =
    ["_row", "_raw", "_source_updated_at", "_deleted", "_change_source"];

/// The `_change_source` of rows that a complete snapshot did not contain.
pub(super) const MISSING: &str = "missing";

/// A database's rules for names, and how many columns it has room for.
pub(super) struct Naming {
    /// Names that no column can have, besides [`METADATA_COLUMNS`].
    pub(super) reserved: &'static [&'static str],
    /// The name in the spelling that all names have which are one to it.
    pub(super) fold: fn(&str) -> String,
    /// The name as the database keeps it: the name itself, or a shorter one.
    pub(super) fit: fn(&str) -> String,
    /// Whether a table with these columns takes another one.
    pub(super) has_room: fn(&[Column]) -> bool,
}

/// The columns of one table. Stored with the table, so that a column's name never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layout {
    pub(super) table: String,
    pub(super) key: Vec<KeyColumn>,
    pub(super) columns: Vec<Column>,
}

/// A column of the primary key, as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeyColumn {
    /// The member of a change's key.
    pub(super) member: String,
    pub(super) name: String,
}

/// A typed column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Column {
    /// The schema's property.
    pub(super) property: String,
    /// The members that lead to the value in a row.
    pub(super) path: Vec<String>,
    #[serde(rename = "type")]
    pub(super) column_type: ColumnType,
    pub(super) name: String,
}

impl Layout {
    /// The layout of a new table, with the columns of its key alone.
    pub(super) fn new(table: &Table, naming: &Naming) -> Result<Self> {
        // Sinks' own tables start with an underscore.
        if table.name.is_empty() || table.name.starts_with('_') || table.name.contains('\0') {
            return Err(Error::data(format!("table `{}`: its name cannot be used", table.name)));
        }
        if table.primary_key.is_empty() {
            return Err(Error::data(format!("table `{}`: has no primary key", table.name)));
        }
        let mut names = Names::new(naming, std::iter::empty());
        let key = table.primary_key.iter();
        let key = key.map(|member| KeyColumn { member: member.clone(), name: names.take(member) }).collect();
        Ok(Self { table: table.name.clone(), key, columns: Vec::new() })
    }

    /// Adds a column for each property that has none of its type yet. Returns how many were added or moved.
    ///
    /// A property that changes its type gets a second column; the first keeps its values. One that changes
    /// its path keeps its column, which later rows fill from there.
    pub(super) fn extend(&mut self, table: &Table, naming: &Naming) -> Result<usize> {
        if !self.key.iter().map(|column| &column.member).eq(&table.primary_key) {
            return Err(Error::sink(format!("table `{}`: its primary key has changed", table.name))
                .hint("name another `path` or `schema` under [sink], and sync again from the start"));
        }
        let schema: Schema = serde_json::from_str(&table.schema).map_err(|error| {
            Error::data(format!("table `{}`: its schema is not JSON Schema: {error}", table.name))
        })?;
        let keys = self.key.iter().map(|column| column.name.as_str());
        let mut names =
            Names::new(naming, keys.chain(self.columns.iter().map(|column| column.name.as_str())));
        let known = self.columns.iter().enumerate();
        let known: HashMap<(String, ColumnType), usize> =
            known.rev().map(|(at, column)| ((column.property.clone(), column.column_type), at)).collect();
        let (before, mut moved) = (self.columns.len(), 0);
        for (property, description) in schema.properties {
            let path = path(&property, &description);
            PATH_PARTS
                .admit("discover", path.len())
                .map_err(|error| error.about(format_args!("table `{}`", table.name)))?;
            let is_key = matches!(path.as_slice(), [member] if table.primary_key.contains(member));
            let wanted = (property, column_type(&description));
            if let Some(column) = known.get(&wanted).and_then(|at| self.columns.get_mut(*at)) {
                moved += usize::from(column.path != path);
                column.path = path;
            } else if !is_key {
                if !(naming.has_room)(&self.columns) {
                    tracing::warn!(table = %table.name, columns = self.columns.len(),
                        "more properties than columns; the rest is in `_raw` only");
                    break;
                }
                let (property, column_type) = wanted;
                let name = names.take(&property);
                self.columns.push(Column { property, path, column_type, name });
            }
        }
        Ok(self.columns.len() - before + moved)
    }

    /// The values of a key as texts, in the order of the key's columns; `paths` are [`Self::key_paths`].
    pub(super) fn key_of<'k>(&self, paths: &MemberPaths, key: &'k str) -> Result<Vec<Cow<'k, str>>> {
        let wrong =
            |problem: &dyn fmt::Display| Error::data(format!("table `{}`: key {key}: {problem}", self.table));
        let mut slots = vec![None; self.key.len()];
        scan(key, paths, &mut slots).map_err(|error| wrong(&error))?;
        let values = slots.into_iter().zip(&self.key).map(|(slot, column)| {
            let value = slot.filter(|raw| *raw != "null").and_then(text);
            value.ok_or_else(|| wrong(&format!("`{}` is missing", column.member)))
        });
        values.collect()
    }

    /// Where the columns' values are in a row. A stored path beyond the limit leads nowhere: each part is one
    /// level of recursion.
    pub(super) fn paths(&self) -> MemberPaths {
        let path = |column: &Column| column.path.len() <= PATH_PARTS.max;
        let paths = self.columns.iter().map(|column| if path(column) { column.path.as_slice() } else { &[] });
        MemberPaths::new(paths)
    }

    /// Where the key columns' values are in a key.
    pub(super) fn key_paths(&self) -> MemberPaths {
        MemberPaths::new(self.key.iter().map(|column| std::slice::from_ref(&column.member)))
    }
}

/// The names of a table's columns while further ones are added.
struct Names<'n> {
    naming: &'n Naming,
    /// Folded.
    taken: HashSet<String>,
    /// The number to try next, by the folded name that it is put behind: a table may have thousands of
    /// properties whose names are one.
    next: HashMap<String, usize>,
}

impl<'n> Names<'n> {
    fn new<'t>(naming: &'n Naming, taken: impl Iterator<Item = &'t str>) -> Self {
        let reserved = METADATA_COLUMNS.iter().chain(naming.reserved).copied();
        let taken = taken.chain(reserved).map(naming.fold).collect();
        Self { naming, taken, next: HashMap::new() }
    }

    /// The name itself, or `name__2`, `name__3` … when it is taken.
    fn take(&mut self, wanted: &str) -> String {
        let Naming { fold, fit, .. } = self.naming;
        let wanted = fit(&wanted.replace('\0', ""));
        let folded = fold(&wanted);
        if !wanted.is_empty() && self.taken.insert(folded.clone()) {
            return wanted;
        }
        let next = self.next.entry(folded).or_insert(2);
        loop {
            let name = fit(&format!("{wanted}__{next}"));
            *next += 1;
            if self.taken.insert(fold(&name)) {
                return name;
            }
        }
    }
}

/// A name as SQL writes it.
pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The part of a JSON Schema that columns come from. Its map keeps the schema's order.
#[derive(Deserialize)]
struct Schema {
    #[serde(default)]
    properties: Map<String, Json>,
}

/// The type of a property's column.
fn column_type(description: &Json) -> ColumnType {
    let types = &description["type"];
    let word = match types.as_array() {
        Some(types) => types.iter().filter_map(Json::as_str).find(|word| *word != "null"),
        None => types.as_str(),
    };
    match (word, description["format"].as_str()) {
        (Some("string"), Some("date-time")) => ColumnType::Time,
        (Some("integer"), _) => ColumnType::Integer,
        (Some("number"), _) => ColumnType::Real,
        (Some("boolean"), _) => ColumnType::Boolean,
        (Some("object" | "array"), _) => ColumnType::Json,
        _ => ColumnType::Text,
    }
}

/// The members that lead to a property's value: its JSON pointer `x-path`, or its own name.
fn path(property: &str, description: &Json) -> Vec<String> {
    match description["x-path"].as_str().and_then(|pointer| pointer.strip_prefix('/')) {
        Some(pointer) => pointer.split('/').map(|part| part.replace("~1", "/").replace("~0", "~")).collect(),
        None => vec![property.to_owned()],
    }
}

#[cfg(test)]
impl Naming {
    /// Names as they are, and room for any number.
    pub(super) const EXACT: Self =
        Self { reserved: &[], fold: str::to_owned, fit: |name| name.to_owned(), has_room: |_| true };
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::{Layout, Naming};
    use crate::change::Table;

    const NAMING: Naming = Naming { reserved: &["rowid"], fold: str::to_ascii_lowercase, ..Naming::EXACT };

    fn table(schema: &str) -> Table {
        Table {
            name: "things".into(),
            primary_key: vec!["id".into()],
            schema: schema.into(),
            schema_complete: true,
            attributes: vec![],
        }
    }

    fn columns(layout: &Layout) -> Vec<String> {
        let shown = |column: &super::Column| {
            format!("{} {:?} {}", column.name, column.column_type, column.path.join("/"))
        };
        layout.columns.iter().map(shown).collect()
    }

    #[test]
    fn columns_follow_the_schema_in_its_order() {
        let table = table(
            r#"{"properties": {"id": {"type": "string"}, "z": {"type": ["null", "integer"]},
                "a": {"type": "string", "format": "date-time"}, "n": {"type": "number"},
                "b": {"type": "boolean"}, "o": {"type": "object"}, "any": {}, "all": true,
                "cf_x": {"type": "string", "x-path": "/cf/cf~1x"}}}"#,
        );
        let mut layout = Layout::new(&table, &NAMING).expect("a layout");
        assert_eq!(layout.extend(&table, &NAMING).expect("extended"), 8);
        assert_eq!(
            columns(&layout),
            [
                "z Integer z",
                "a Time a",
                "n Real n",
                "b Boolean b",
                "o Json o",
                "any Text any",
                "all Text all",
                "cf_x Text cf/cf/x"
            ]
        );
        assert_eq!(layout.extend(&table, &NAMING).expect("extended again"), 0);
    }

    #[test]
    fn names_that_clash_are_numbered_and_stay_so() {
        let first = table(
            r#"{"properties": {"Name": {"type": "string"}, "name": {"type": "string"},
                "NAME": {"type": "string"}, "ID": {"type": "string"}, "_raw": {"type": "string"},
                "_row": {"type": "string"}, "rowid": {"type": "string"}}}"#,
        );
        let mut layout = Layout::new(&first, &NAMING).expect("a layout");
        layout.extend(&first, &NAMING).expect("extended");
        let names: Vec<&str> = layout.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["Name", "name__2", "NAME__3", "ID__2", "_raw__2", "_row__2", "rowid__2"]);
    }

    #[test]
    fn thousands_of_names_that_are_one_cost_a_few_steps_each() {
        thread_local! {
            static FOLDED: Cell<usize> = const { Cell::new(0) };
        }
        const COLUMNS: usize = 1_900;
        let naming = Naming {
            fold: |name| {
                FOLDED.set(FOLDED.get() + 1);
                name.to_ascii_lowercase()
            },
            ..Naming::EXACT
        };
        let letter = |bit: bool| if bit { 'A' } else { 'a' };
        let spelling = |number: usize| (0..11).map(|bit| letter(number >> bit & 1 == 1)).collect::<String>();
        let properties: Vec<String> = (0..COLUMNS).map(|n| format!("\"{}\":{{}}", spelling(n))).collect();
        let schema = table(&format!("{{\"properties\":{{{}}}}}", properties.join(",")));
        let mut layout = Layout::new(&schema, &naming).expect("a layout");
        assert_eq!(layout.extend(&schema, &naming).expect("extended"), COLUMNS);
        assert!(FOLDED.get() < 10 * COLUMNS, "{} names were compared", FOLDED.get());
        for (at, column) in layout.columns.iter().enumerate().skip(1) {
            assert_eq!(column.name, format!("{}__{}", spelling(at), at + 1));
        }
    }

    #[test]
    fn a_property_that_changes_its_type_gets_a_second_column() {
        let text = table(r#"{"properties": {"a": {"type": "string"}}}"#);
        let number = table(r#"{"properties": {"a": {"type": "integer"}}}"#);
        let mut layout = Layout::new(&text, &NAMING).expect("a layout");
        layout.extend(&text, &NAMING).expect("extended");
        assert_eq!(layout.extend(&number, &NAMING).expect("extended"), 1);
        assert_eq!(columns(&layout), ["a Text a", "a__2 Integer a"]);
        assert_eq!(layout.extend(&text, &NAMING).expect("back again"), 0);
    }

    #[test]
    fn a_property_that_moves_within_the_row_keeps_its_column() {
        let inner = table(r#"{"properties": {"cf_a": {"type": "string", "x-path": "/cf/cf_a"}}}"#);
        let outer = table(r#"{"properties": {"cf_a": {"type": "string"}}}"#);
        let mut layout = Layout::new(&inner, &NAMING).expect("a layout");
        layout.extend(&inner, &NAMING).expect("extended");
        assert_eq!(layout.extend(&outer, &NAMING).expect("moved"), 1, "the layout is to be stored");
        assert_eq!(columns(&layout), ["cf_a Text cf_a"]);
        assert_eq!(layout.extend(&outer, &NAMING).expect("again"), 0);
    }

    #[test]
    fn a_path_of_many_parts_is_refused_and_a_stored_one_leads_nowhere() {
        let deep = |parts: usize| {
            let schema = serde_json::json!({"properties": {"a": {"x-path": "/a".repeat(parts)}}});
            let table = table(&schema.to_string());
            let mut layout = Layout::new(&table, &NAMING).expect("a layout");
            layout.extend(&table, &NAMING).map(|_| layout)
        };
        let mut layout = deep(16).expect("accepted");
        let refused = deep(17).expect_err("too deep").message;
        assert_eq!(refused, "table `things`: discover: parts of an x-path: 17, and at most 16 are accepted");
        // As an earlier version stored it. Its rows are as deep: one recursion for each level is too many.
        layout.columns.first_mut().expect("a column").path = vec!["a".to_owned(); 100_000];
        let row = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
        let mut slots = [Some("")];
        crate::sinks::members::scan(&row, &layout.paths(), &mut slots).expect("a row");
        assert_eq!(slots, [None]);
    }

    #[test]
    fn tables_without_a_usable_name_key_or_schema_are_refused() {
        for name in ["", "_sync_state", "a\0b"] {
            let mut bad = table("{}");
            bad.name = name.into();
            assert!(Layout::new(&bad, &NAMING).is_err(), "{name}");
        }
        let mut keyless = table("{}");
        keyless.primary_key.clear();
        assert!(Layout::new(&keyless, &NAMING).is_err());
        let mut layout = Layout::new(&table("{}"), &NAMING).expect("a layout");
        let mut moved = table("{}");
        moved.primary_key = vec!["other".into()];
        assert!(layout.extend(&moved, &NAMING).is_err());
        assert!(layout.extend(&table("nonsense"), &NAMING).is_err());
    }
}
