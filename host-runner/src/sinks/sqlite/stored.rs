//! Reads a table back for the conformance suite.

use rusqlite::{Connection, Row};

use crate::sinks::Location;
use crate::sinks::columns::{Layout, MISSING, quote};
use crate::sinks::conformance::{State, StoredRows};

pub(super) fn rows(location: &Location, table: &str) -> StoredRows {
    let database = Connection::open(location.as_path().expect("a path")).expect("opened");
    let sql = "SELECT layout FROM _sync_columns WHERE \"table\" = ?1";
    let layout: String = database.query_row(sql, [table], |row| row.get(0)).expect("a layout");
    let layout: Layout = serde_json::from_str(&layout).expect("a layout");
    let keys: Vec<String> = layout.key.into_iter().map(|column| column.name).collect();
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
