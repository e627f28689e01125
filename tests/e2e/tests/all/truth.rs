//! The sink equals the source, row by row and field by field: in every way of reading, after changes, after
//! resets.

use std::collections::BTreeMap;

use desk_simulator::{Options, Sizes};
use serde_json::{Value, json};

use crate::compare::{
    Differences, Truth, check_sqlite, read_log, truth, truth_of_all, truth_with_custom_fields, truths,
};
use crate::support::{ConnectionFile, Run, Setup, sizes, tables_as_toml};

const NONE_KNOWN: BTreeMap<&str, Truth> = BTreeMap::new();

/// A portal of 5,000 tickets, authorized and read once.
fn read_five_thousand(alter: impl FnOnce(ConnectionFile) -> ConnectionFile) -> Setup {
    let sizes = Sizes { trashed_tickets: 20, archived_tickets: 20, ..Sizes::default() };
    let setup = Setup::with(Options { sizes, ..Options::default() }, alter);
    setup.authorize();
    setup.sync();
    setup
}

#[test]
fn five_thousand_tickets_with_detail_equal_the_truth() {
    let setup = read_five_thousand(|file| file);
    check_sqlite(&setup, &truths(&setup.simulator, true), &NONE_KNOWN);
    let requests = setup.requests_to("GET /tickets/{id}");
    assert_eq!(requests, 5_000, "one detail call for each ticket");
}

#[test]
fn five_thousand_tickets_with_detail_newest_first_equal_the_truth() {
    let setup = read_five_thousand(|file| file.config_text("sort", "newest"));
    check_sqlite(&setup, &truths(&setup.simulator, true), &NONE_KNOWN);
}

#[test]
fn five_thousand_tickets_without_detail_equal_the_list() {
    let setup = read_five_thousand(|file| file.config("ticket_detail", "false"));
    check_sqlite(&setup, &truths(&setup.simulator, false), &NONE_KNOWN);
    assert_eq!(setup.requests_to("GET /tickets/{id}"), 0);
}

#[test]
fn five_thousand_tickets_without_detail_newest_first_equal_the_list() {
    let setup =
        read_five_thousand(|file| file.config("ticket_detail", "false").config_text("sort", "newest"));
    check_sqlite(&setup, &truths(&setup.simulator, false), &NONE_KNOWN);
}

#[test]
fn five_thousand_tickets_without_detail_have_the_custom_fields_asked_for() {
    let keys = ["cf_quantity", "cf_follow_up_at", "cf_is_vip", "cf_severity", "cf_refund_amount"];
    let setup = read_five_thousand(|file| {
        file.config("ticket_detail", "false").config("custom_field_keys", &format!("{keys:?}"))
    });
    let mut truths = truths(&setup.simulator, false);
    truths.insert("tickets", truth_with_custom_fields(&setup.simulator, &keys));
    check_sqlite(&setup, &truths, &NONE_KNOWN);
}

#[test]
fn json_lines_equal_the_truth_and_hold_each_row_once() {
    let setup = read_five_thousand(ConnectionFile::jsonl);
    let mut differences = Differences::default();
    for (table, truth) in truths(&setup.simulator, true) {
        let log = read_log(&setup.path("rows"), table);
        log.check(table, &truth, &mut differences);
        assert_eq!(log.lines, log.documents().len(), "{table}: one line for each row");
        assert_eq!(log.snapshots, 1, "{table}: the generation is said to be complete");
    }
    differences.none();
}

#[test]
fn json_lines_in_the_envelope_of_debezium_follow_changes_and_deletions() {
    let setup = Setup::authorized_with(300, |file| file.jsonl().sink_text("format", "debezium"));
    json_lines_follow_changes(&setup, 12);
    setup.reconfigure(ConnectionFile::jsonl);
    let run = setup.host(&["sync"]).exits(3);
    assert!(run.stderr.contains("its lines are in the format `debezium`"), "{run}");
}

#[test]
fn every_table_of_the_connector_equals_the_truth() {
    let setup = Setup::authorized_with(300, |file| file.config("tables", &tables_as_toml()));
    setup.sync();
    check_sqlite(&setup, &truth_of_all(&setup.simulator), &NONE_KNOWN);
}

/// Rows of each table that a sync wrote.
fn written(run: &Run) -> Vec<(String, u64, u64, u64)> {
    let report = run.json();
    let tables = report["tables"].as_array().expect("tables").iter().map(|table| {
        let count = |name: &str| table["rows"][name].as_u64().expect(name);
        let name = table["table"].as_str().expect("a name").to_owned();
        (name, count("inserted"), count("updated"), count("deleted"))
    });
    tables.collect()
}

#[test]
fn a_second_sync_without_changes_writes_nothing() {
    let setup = Setup::authorized(600);
    setup.sync();
    for words in [["sync", "--json"].as_slice(), &["sync", "--full-refresh", "--json"]] {
        let run = setup.host(words).exits(0);
        for (table, inserted, updated, deleted) in written(&run) {
            assert_eq!((inserted, updated, deleted), (0, 0, 0), "{words:?}: {table}");
        }
    }
    check_sqlite(&setup, &truths(&setup.simulator, true), &NONE_KNOWN);
}

/// The id of what a mutation made, if it made something.
fn mutate(setup: &Setup, mutation: Value) -> Option<String> {
    let said = setup.simulator.mutate(mutation.clone());
    let said = said.unwrap_or_else(|error| panic!("{mutation}: {error}"));
    said["id"].as_str().map(str::to_owned)
}

/// Ids of tickets that live, in the order of the truth.
fn live(setup: &Setup, table: &str) -> Vec<String> {
    let rows = truth(&setup.simulator, table, true).into_iter();
    rows.filter_map(|(id, row)| row.map(|_| id)).collect()
}

#[test]
fn a_plain_sync_brings_what_was_updated_created_and_restored() {
    let sizes = Sizes { trashed_tickets: 3, ..sizes(400) };
    let setup = Setup::new(Options { sizes, ..Options::default() });
    setup.authorize();
    setup.sync();
    let (tickets, products) = (live(&setup, "tickets"), live(&setup, "products"));
    let trashed: Vec<String> = truth(&setup.simulator, "tickets", true)
        .into_iter()
        .filter(|(_, row)| row.is_none())
        .map(|(id, _)| id)
        .collect();
    assert_eq!(trashed.len(), 3);
    for (index, id) in tickets.iter().step_by(7).enumerate() {
        let values = json!({"subject": format!("changed {index} 🎈"), "priority": null});
        mutate(&setup, json!({"op": "update", "table": "tickets", "id": id, "values": values}));
    }
    for number in 0..150 {
        let values = json!({"subject": format!("new {number}")});
        mutate(&setup, json!({"op": "create", "table": "tickets", "values": values}));
    }
    mutate(&setup, json!({"op": "restore", "table": "tickets", "id": trashed[0]}));
    let values = json!({"productName": "Umbenannt ß"});
    mutate(&setup, json!({"op": "create", "table": "products", "values": values}));
    let values = json!({"unitPrice": "12.5"});
    mutate(&setup, json!({"op": "update", "table": "products", "id": products[0], "values": values}));
    let before = setup.requests_to("GET /tickets/{id}");
    setup.sync();
    // A search finds the changed rows, and their details complete them. Neither shows `relationshipType`,
    // which only lists have; a search adds `childTicketCount`.
    let database = rusqlite::Connection::open(setup.path("out.db")).expect("the target");
    let unlisted = "UPDATE tickets SET relationshipType = 'None', _raw = \
                    json_set(json_remove(_raw, '$.childTicketCount'), '$.relationshipType', 'None') \
                    WHERE _change_source = 'incremental'";
    let polled = database.execute(unlisted, []).expect("an update");
    drop(database);
    assert_eq!(polled, tickets.len().div_ceil(7) + 150 + 1);
    check_sqlite(&setup, &truths(&setup.simulator, true), &NONE_KNOWN);
    let details = setup.requests_to("GET /tickets/{id}") - before;
    assert!(details < 400, "{details} details: only what changed is read again");
}

#[test]
fn after_any_changes_a_full_sync_equals_the_truth_with_tombstones() {
    let setup = Setup::authorized(500);
    setup.sync();
    let known = truths(&setup.simulator, true);
    mutate(&setup, json!({"seed": 5, "count": 600}));
    let ids = live(&setup, "tickets");
    mutate(&setup, json!({"op": "moveToTrash", "table": "tickets", "id": ids[0]}));
    mutate(&setup, json!({"op": "moveToTrash", "table": "tickets", "id": ids[1]}));
    mutate(&setup, json!({"op": "restore", "table": "tickets", "id": ids[1]}));
    mutate(&setup, json!({"op": "purge", "table": "tickets", "id": ids[2]}));
    setup.sync();
    setup.host(&["sync", "--full-refresh"]).exits(0);
    check_sqlite(&setup, &truths(&setup.simulator, true), &known);
    let gone = truth(&setup.simulator, "tickets", true).values().filter(|row| row.is_none()).count();
    assert!(gone > 2, "the random changes include deletions");
}

#[test]
fn a_full_sync_after_a_reset_keeps_the_tombstones_and_finds_new_deletions() {
    let setup = Setup::authorized(300);
    setup.sync();
    let known = truths(&setup.simulator, true);
    let ids = live(&setup, "tickets");
    mutate(&setup, json!({"op": "purge", "table": "tickets", "id": ids[10]}));
    setup.host(&["sync", "--full-refresh"]).exits(0);
    check_sqlite(&setup, &truths(&setup.simulator, true), &known);
    setup.host(&["state", "reset"]).exits(0);
    mutate(&setup, json!({"op": "moveToTrash", "table": "tickets", "id": ids[20]}));
    setup.host(&["sync", "--full-refresh"]).exits(0);
    check_sqlite(&setup, &truths(&setup.simulator, true), &known);
}

#[test]
fn a_row_restored_right_after_its_burial_lives_again() {
    let setup = Setup::authorized(50);
    setup.sync();
    let known = truths(&setup.simulator, true);
    let ids = live(&setup, "tickets");
    mutate(&setup, json!({"op": "moveToTrash", "table": "tickets", "id": ids[20]}));
    setup.host(&["sync", "--full-refresh"]).exits(0);
    check_sqlite(&setup, &truths(&setup.simulator, true), &known);
    mutate(&setup, json!({"op": "restore", "table": "tickets", "id": ids[20]}));
    setup.host(&["sync", "--full-refresh"]).exits(0);
    check_sqlite(&setup, &truths(&setup.simulator, true), &known);
}

#[test]
fn json_lines_follow_changes_and_deletions() {
    let setup = Setup::authorized_with(300, ConnectionFile::jsonl);
    json_lines_follow_changes(&setup, 11);
}

/// Reads, changes, reads again both ways, and compares the folder with the truth.
fn json_lines_follow_changes(setup: &Setup, seed: u64) {
    setup.sync();
    mutate(setup, json!({"seed": seed, "count": 300}));
    setup.sync();
    setup.host(&["sync", "--full-refresh"]).exits(0);
    let mut differences = Differences::default();
    for (table, truth) in truths(&setup.simulator, true) {
        read_log(&setup.path("rows"), table).check(table, &truth, &mut differences);
    }
    differences.none();
}

#[test]
fn a_custom_field_made_later_becomes_a_column_without_a_reset() {
    let setup = Setup::authorized(120);
    setup.sync();
    mutate(
        &setup,
        json!({
            "op": "addField", "module": "tickets", "apiName": "cf_floor", "label": "Floor", "type": "Number",
        }),
    );
    let ids = live(&setup, "tickets");
    let values = json!({"cf": {"cf_floor": "17"}});
    mutate(&setup, json!({"op": "update", "table": "tickets", "id": ids[3], "values": values}));
    setup.sync();
    let database = crate::compare::Database::open(&setup.path("out.db"));
    let sql = format!("SELECT cf_floor FROM tickets WHERE id = '{}'", ids[3]);
    assert_eq!(database.number(&sql), 17);
    setup.host(&["sync", "--full-refresh"]).exits(0);
    check_sqlite(&setup, &truths(&setup.simulator, true), &NONE_KNOWN);
}

#[test]
fn hard_deletes_remove_the_rows_and_nothing_else() {
    let setup = Setup::authorized(200);
    setup.sync();
    let ids = live(&setup, "tickets");
    for id in &ids[..5] {
        mutate(&setup, json!({"op": "purge", "table": "tickets", "id": id}));
    }
    setup.host(&["sync", "--full-refresh", "--hard-deletes"]).exits(0);
    let database = crate::compare::Database::open(&setup.path("out.db"));
    assert_eq!(database.texts("SELECT id FROM tickets ORDER BY id"), ids[5..]);
}

/// The checker itself: it must see every kind of damage.
#[test]
fn the_checker_sees_a_lost_row_a_changed_field_and_a_wrong_tombstone() {
    let setup = Setup::authorized(60);
    setup.sync();
    let truths = truths(&setup.simulator, true);
    check_sqlite(&setup, &truths, &NONE_KNOWN);
    let whole = std::fs::read(setup.path("out.db")).expect("the target");
    for damage in [
        "DELETE FROM tickets WHERE rowid = 7",
        "UPDATE tickets SET subject = subject || ' ' WHERE rowid = 7",
        "UPDATE products SET cf_quantity = coalesce(cf_quantity, 0) + 1 WHERE rowid = 3",
        "UPDATE tickets SET createdTime = replace(createdTime, 'Z', '+00:00') WHERE rowid = 7",
        "UPDATE tickets SET _raw = json_set(_raw, '$.cf.cf_x', 1) WHERE rowid = 7",
        "UPDATE tickets SET _deleted = 1 WHERE rowid = 7",
        "UPDATE tickets SET id = '1' || id WHERE rowid = 7",
        "UPDATE tickets SET ticketNumber = cast(ticketNumber AS TEXT) || 'x' WHERE rowid = 7",
        "UPDATE departments SET _source_updated_at = '2020-01-01T00:00:00.000Z' WHERE rowid = 1",
    ] {
        std::fs::write(setup.path("out.db"), &whole).expect("the target");
        let database = rusqlite::Connection::open(setup.path("out.db")).expect("the target");
        assert_eq!(database.execute(damage, []).expect(damage), 1, "{damage}");
        drop(database);
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            check_sqlite(&setup, &truths, &NONE_KNOWN);
        }));
        assert!(found.is_err(), "not noticed: {damage}");
    }
}
