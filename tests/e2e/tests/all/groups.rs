//! The tables that are read only when they, or their group, are named.

use std::collections::BTreeSet;

use desk_simulator::{Options, Sizes, TruthQuery};
use rusqlite::Connection;
use serde_json::{Map, Value};

use crate::support::{Setup, further_tables, sizes};

fn read_all(sizes: Sizes) -> Setup {
    let options = Options { sizes, ..Options::default() };
    let setup = Setup::with(options, |file| file.config("tables", "[\"all\"]"));
    setup.authorize();
    setup.sync();
    setup
}

/// Rows as texts with sorted members; the connector makes the `id` of an event.
fn texts(table: &str, rows: impl Iterator<Item = Map<String, Value>>) -> BTreeSet<String> {
    let text = |mut row: Map<String, Value>| {
        if table == "ticket_history" {
            row.remove("id");
        }
        let mut row = Value::Object(row);
        row.sort_all_objects();
        row.to_string()
    };
    rows.map(text).collect()
}

fn stored(database: &Connection, table: &str) -> Vec<Map<String, Value>> {
    let mut statement =
        database.prepare(&format!("SELECT _raw FROM {table} WHERE NOT _deleted")).expect(table);
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).expect(table);
    rows.map(|row| serde_json::from_str(&row.expect("a row")).expect("a raw row")).collect()
}

fn truth(setup: &Setup, table: &str) -> Vec<Map<String, Value>> {
    let lines = setup.simulator.truth(table, TruthQuery::default()).expect(table);
    let parse =
        |line: &String| serde_json::from_str::<Value>(line).expect("JSON")["row"].as_object().cloned();
    lines.iter().filter_map(parse).collect()
}

#[test]
fn every_table_of_every_group_equals_the_truth() {
    let setup = read_all(Sizes { archived_tickets: 30, contacts: 60, accounts: 12, ..sizes(40) });
    let database = Connection::open(setup.path("out.db")).expect("the sink");
    // The simulator has no truth of webhooks: there is none.
    for table in further_tables().into_iter().filter(|table| *table != "webhooks") {
        let (found, expected) = (stored(&database, table), truth(&setup, table));
        assert_eq!(found.len(), expected.len(), "{table}: rows");
        assert!(!found.is_empty() || table == "recycle_bin", "{table} is empty");
        assert_eq!(texts(table, found.into_iter()), texts(table, expected.into_iter()), "{table}");
    }
    let again = setup.host(&["sync", "--json"]).exits(0).json();
    for table in again["tables"].as_array().expect("tables") {
        assert_eq!(table["rows"]["inserted"], 0, "{table}");
        assert_eq!(table["rows"]["deleted"], 0, "{table}");
    }
}

#[test]
fn a_table_of_a_group_without_its_scope_is_skipped_and_the_others_are_read() {
    let scopes = ["Desk.basic.READ", "Desk.settings.READ"].map(str::to_owned).to_vec();
    let options = Options { sizes: sizes(5), scopes: Some(scopes), ..Options::default() };
    let setup = Setup::with(options, |file| file.config("tables", "[\"knowledge\", \"people\"]"));
    setup.authorize();
    let run = setup.host(&["sync"]).exits(0);
    assert!(run.stderr.contains("table `articles`: the table is skipped"), "{}", run.stderr);
    assert!(run.stderr.contains("this table needs Desk.articles.READ"), "{}", run.stderr);
    let database = Connection::open(setup.path("out.db")).expect("the sink");
    assert_eq!(stored(&database, "agents").len(), truth(&setup, "agents").len());
    let run = setup.host(&["check"]).exits(0);
    assert!(run.stdout.contains("skipped  table articles"), "{}", run.stdout);
}
