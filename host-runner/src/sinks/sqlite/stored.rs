//! Reads a table back for the conformance suite.

use rusqlite::{Connection, Row};

use super::schema::quote;
use crate::sinks::Location;
use crate::sinks::columns::MISSING;
use crate::sinks::conformance::{State, StoredRows};

pub(super) fn rows(location: &Location, table: &str) -> StoredRows {
    let database = Connection::open(location.as_path().expect("a path")).expect("opened");
    let mut select = database
        .prepare("SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk")
        .expect("prepared");
    let keys = select.query_map([table], |row| row.get::<_, String>(0)).expect("queried");
    let keys: Vec<String> = keys.collect::<Result<_, _>>().expect("names");
    let mut select = database.prepare(&format!("SELECT * FROM {}", quote(table))).expect("prepared");
    let read = |row: &Row<'_>| {
        let key: Vec<String> =
            keys.iter().map(|name| row.get(name.as_str())).collect::<rusqlite::Result<_>>()?;
        let source: String = row.get("_change_source")?;
        let raw: Option<String> = row.get("_raw")?;
        let state = match row.get("_deleted")? {
            true if source == MISSING => State::Missing,
            true => State::Deleted,
            false => State::Live(serde_json::from_str(&raw.expect("a live row's JSON")).expect("JSON")),
        };
        Ok((key.join("/"), state))
    };
    let rows = select.query_map([], read).expect("queried");
    rows.collect::<Result<_, _>>().expect("rows")
}
