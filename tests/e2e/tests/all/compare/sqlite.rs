//! The database against the truth.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use super::cell::{Cell, Property, time};
use super::{Differences, Truth};
use crate::support::Setup;

/// A target that is read.
pub(crate) struct Database(Connection);

impl Database {
    pub(crate) fn open(path: &Path) -> Database {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        Database(Connection::open_with_flags(path, flags).expect("the target"))
    }

    /// One number.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        self.0.query_row(sql, [], |row| row.get(0)).expect(sql)
    }

    /// One column of texts.
    pub(crate) fn texts(&self, sql: &str) -> Vec<String> {
        let mut statement = self.0.prepare(sql).expect(sql);
        let rows = statement.query_map([], |row| row.get(0)).expect(sql);
        rows.collect::<Result<_, _>>().expect(sql)
    }

    /// Two columns of texts, row by row.
    #[allow(dead_code, reason = "the other binary of tests uses it")]
    pub(crate) fn for_each(&self, sql: &str, mut row: impl FnMut(&str, &str)) {
        let mut statement = self.0.prepare(sql).expect(sql);
        let mut rows = statement.query([]).expect(sql);
        let text = |row: &rusqlite::Row<'_>, at| row.get::<_, String>(at).expect(sql);
        while let Some(found) = rows.next().expect(sql) {
            row(&text(found, 0), &text(found, 1));
        }
    }

    /// All rows of a table by id, each by column.
    fn rows(&self, table: &str) -> BTreeMap<String, BTreeMap<String, Cell>> {
        let sql = format!("SELECT * FROM \"{table}\"");
        let mut statement = self.0.prepare(&sql).expect("a table");
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut found = BTreeMap::new();
        let mut rows = statement.query([]).expect("rows");
        while let Some(row) = rows.next().expect("a row") {
            let cell = |(index, name): (usize, &String)| {
                (name.clone(), Cell::of(row.get_ref(index).expect("a column")))
            };
            let cells: BTreeMap<String, Cell> = names.iter().enumerate().map(cell).collect();
            let Some(Cell::Text(id)) = cells.get("id") else { panic!("{table}: an id that is no text") };
            assert!(found.insert(id.clone(), cells).is_none(), "{table}: two rows of one id");
        }
        found
    }
}

/// The declared columns of each table of a connection file.
pub(super) fn properties(setup: &Setup, file: &str) -> BTreeMap<String, Vec<Property>> {
    let discovered = setup.raw(&["discover", "--json", "-c", file, "--data", "D"]).exits(0).json();
    let tables = discovered["tables"].as_array().expect("tables").iter().map(|table| {
        let schema = table["schema"]["properties"].as_object().expect("properties");
        let properties = schema.iter().map(|(name, schema)| Property::new(name, schema)).collect();
        (table["name"].as_str().expect("a name").to_owned(), properties)
    });
    tables.collect()
}

/// The tables of the truth against those of `out.db`. Rows of `known` must exist, marked when deleted.
#[track_caller]
pub(crate) fn check_sqlite(setup: &Setup, truths: &BTreeMap<&str, Truth>, known: &BTreeMap<&str, Truth>) {
    let properties = properties(setup, "a.toml");
    let database = Database::open(&setup.path("out.db"));
    let mut differences = Differences::default();
    for (table, truth) in truths {
        let properties = properties.get(*table).unwrap_or_else(|| panic!("{table} was not discovered"));
        let known = known.get(table);
        check_table(&database, table, properties, truth, known, &mut differences);
    }
    differences.none();
}

/// One table.
fn check_table(
    database: &Database,
    table: &str,
    properties: &[Property],
    truth: &Truth,
    known: Option<&Truth>,
    differences: &mut Differences,
) {
    let rows = database.rows(table);
    for id in rows.keys().filter(|id| !truth.contains_key(*id)) {
        differences.add(format!("{table} {id}: never existed"));
    }
    let mut live = 0;
    for (id, row) in truth {
        let was_known = known.is_some_and(|known| known.get(id).is_some_and(Option::is_some));
        match (row, rows.get(id)) {
            (None, None) if was_known => differences.add(format!("{table} {id}: its tombstone is missing")),
            (None, None) => {}
            (None, Some(cells)) if cells["_deleted"] != Cell::Integer(1) => {
                differences.add(format!("{table} {id}: is gone at the source, not marked deleted"));
            }
            (None, Some(_)) => {}
            (Some(_), None) => differences.add(format!("{table} {id}: missing")),
            (Some(row), Some(cells)) => {
                live += 1;
                let row = Value::Object(row.clone());
                check_row(&format!("{table} {id}"), properties, &row, cells, differences);
            }
        }
    }
    let shown = database.number(&format!("SELECT count(*) FROM \"{table}_live\""));
    if shown != live {
        differences.add(format!("{table}_live shows {shown} rows, not {live}"));
    }
}

/// One row that lives.
fn check_row(
    place: &str,
    properties: &[Property],
    row: &Value,
    cells: &BTreeMap<String, Cell>,
    differences: &mut Differences,
) {
    if cells["_deleted"] != Cell::Integer(0) {
        differences.add(format!("{place}: marked deleted, but it lives"));
    }
    let Cell::Text(document) = &cells["_raw"] else {
        return differences.add(format!("{place}: no document"));
    };
    match serde_json::from_str::<Value>(document) {
        Ok(document) if document == *row => {}
        Ok(document) => differences.add(format!("{place}: document: {}", unlike(&document, row))),
        Err(error) => differences.add(format!("{place}: document: {error}")),
    }
    let modified = row["modifiedTime"].as_str().and_then(time).map_or(Cell::Null, Cell::Text);
    if cells["_source_updated_at"] != modified {
        differences
            .add(format!("{place}: _source_updated_at {:?}, not {modified:?}", cells["_source_updated_at"]));
    }
    for property in properties {
        let name = &property.name;
        let Some(found) = cells.get(name) else {
            differences.add(format!("{place}: no column {name}"));
            continue;
        };
        match property.expected(row) {
            Ok(expected) if property.matches(found, &expected) => {}
            Ok(expected) => differences.add(format!("{place}: {name} is {found:?}, not {expected:?}")),
            Err(wrong) => differences.add(format!("{place}: {name}: the truth does not fit: {wrong}")),
        }
    }
}

/// The members that differ.
pub(super) fn unlike(found: &Value, expected: &Value) -> String {
    let (Some(left), Some(right)) = (found.as_object(), expected.as_object()) else {
        return format!("{found}, not {expected}");
    };
    let keys: std::collections::BTreeSet<_> = left.keys().chain(right.keys()).collect();
    let shown = |value: Option<&Value>| value.map_or_else(|| "absent".to_owned(), Value::to_string);
    let members = keys.into_iter().filter(|key| left.get(*key) != right.get(*key));
    let members =
        members.map(|key| format!("{key} is {}, not {}", shown(left.get(key)), shown(right.get(key))));
    members.collect::<Vec<_>>().join("; ")
}
