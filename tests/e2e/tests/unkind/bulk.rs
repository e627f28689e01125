//! Many records at once: one second with more rows than a search reaches, imports, deletes, huge tickets.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::Setup;
use crate::world::{
    HOUR_MS, calls_of, equals_truth, has_the_rows, large_world, options, shows_the_changes, within, world,
    world_since,
};

fn change(setup: &Setup, mutation: Value) {
    setup.simulator.mutate(mutation).expect("a change");
}

#[test]
fn six_thousand_rows_of_one_second_are_all_found() {
    let mut options = options(5);
    options.sizes.contacts = 6_000;
    let setup = large_world(options, &["contacts"]);
    setup.sync();
    let values = json!({"lastName": "one second"});
    change(
        &setup,
        json!({"op": "bulk", "table": "contacts", "change": "update", "count": 6_000, "values": values}),
    );
    within(&setup, &["sync"], 8_000).exits(0);
    equals_truth(&setup, &["contacts"]);
}

#[test]
fn a_macro_over_4000_tickets_is_read_once() {
    let setup = world_since(HOUR_MS, options(4_000), &["tickets"]);
    setup.sync();
    change(&setup, json!({"op": "bulk", "table": "tickets", "change": "update", "count": 4_000}));
    let mut calls = 0;
    for _ in 0..4 {
        setup.simulator.advance(Duration::from_secs(300));
        calls += calls_of(&setup, &["sync"]);
    }
    assert!(calls <= 4_000 * 11 / 10 + 100, "{calls} calls for 4,000 changed rows");
    equals_truth(&setup, &["tickets"]);
}

#[test]
fn a_macro_over_2000_tickets_lists_their_conversations_once_and_reads_no_message() {
    let tables = ["ticket_conversations"];
    let setup = world_since(HOUR_MS, options(2_000), &tables);
    setup.sync();
    let read = setup.requests_to("GET /tickets/{id}/threads/{id}");
    change(&setup, json!({"op": "bulk", "table": "tickets", "change": "update", "count": 2_000}));
    let mut calls = 0;
    for _ in 0..4 {
        setup.simulator.advance(Duration::from_secs(300));
        calls += calls_of(&setup, &["sync"]);
    }
    assert!(calls <= 2_000 * 11 / 10 + 100, "{calls} calls for 2,000 changed tickets");
    assert_eq!(setup.requests_to("GET /tickets/{id}/threads/{id}"), read);
    equals_truth(&setup, &tables);
}

#[test]
fn very_many_changes_in_half_an_hour_are_read_to_the_end() {
    // All of them take minutes.
    let count = if std::env::var_os("E2E_FULL").is_some() { 60_000 } else { 6_000 };
    let mut options = options(5);
    options.sizes.contacts = count;
    options.settings.daily_credits = Some(10_000_000);
    let setup = large_world(options, &["contacts"]);
    setup.sync();
    let half_hour = 30 * 60 * 1_000;
    change(
        &setup,
        json!({
            "op": "bulk", "table": "contacts", "change": "update", "count": count, "spread_ms": half_hour,
        }),
    );
    within(&setup, &["sync"], u64::from(count) / 6 * 7).exits(0);
    equals_truth(&setup, &["contacts"]);
}

/// One ticket among twenty with many long mails is read.
fn ticket_with_threads(count: u32) {
    let setup = large_world(options(20), &["ticket_conversations"]);
    let id = crate::compare::truth(&setup.simulator, "tickets", true).into_keys().nth(3).expect("a ticket");
    change(&setup, json!({"op": "addThreads", "ticket": id, "count": count, "bytes": 200_000}));
    within(&setup, &["sync"], 1_500).exits(0);
    equals_truth(&setup, &["ticket_conversations"]);
}

#[test]
fn a_ticket_with_300_threads_of_200_kb_is_read() {
    ticket_with_threads(300);
}

#[test]
fn a_ticket_with_400_threads_of_200_kb_is_read() {
    ticket_with_threads(400);
}

#[test]
fn short_batches_fetch_no_page_of_parents_again() {
    let tables = ["ticket_conversations"];
    let setup =
        Setup::with(options(90), |own| crate::world::file(own, &tables).set("batch.max_time", "\"1ms\""));
    setup.authorize();
    within(&setup, &["sync"], 1_500).exits(0);
    equals_truth(&setup, &tables);
    let pages = setup.requests_to("GET /tickets");
    assert!(pages <= 3, "{pages} pages for 90 tickets");
}

#[test]
fn rows_deleted_at_a_page_boundary_do_not_restart_a_snapshot() {
    let usual = calls_of(&world(options(1_500), &["tickets"]), &["sync"]);
    let setup = world(options(1_500), &["tickets"]);
    let stop = desk_simulator::Rule { after: 12, ..desk_simulator::Rule::new("/tickets", 500) };
    setup.simulator.add_rule(stop);
    let before = setup.requests();
    setup.host(&["sync"]);
    setup.simulator.heal();
    let read = crate::world::live_ids(&setup, "tickets").len();
    assert!((300..1_400).contains(&read), "{read} rows before the delete");
    let from = read - 13;
    change(
        &setup,
        json!({"op": "bulk", "table": "tickets", "change": "moveToTrash", "from": from, "count": 26}),
    );
    within(&setup, &["sync"], usual).exits(0);
    let calls = setup.requests() - before;
    assert!(calls <= usual * 12 / 10, "{calls} calls, {usual} without the delete");
    setup.sync();
    has_the_rows(&setup, "tickets");
}

#[test]
fn tickets_that_move_between_departments_follow() {
    let setup = world(options(200), &["tickets"]);
    setup.sync();
    let department = crate::compare::truth(&setup.simulator, "departments", true).into_keys().next_back();
    let values = json!({"departmentId": department.expect("a department")});
    change(
        &setup,
        json!({"op": "bulk", "table": "tickets", "change": "update", "count": 90, "values": values}),
    );
    within(&setup, &["sync"], 400).exits(0);
    equals_truth(&setup, &["tickets"]);
}

#[test]
fn an_import_of_one_second_is_read() {
    let setup = large_world(options(50), &["tickets", "contacts"]);
    setup.sync();
    let import =
        |table: &str, count: u32| json!({"op": "bulk", "table": table, "change": "create", "count": count});
    change(&setup, import("tickets", 700));
    change(&setup, import("contacts", 400));
    within(&setup, &["sync"], 1_400).exits(0);
    // A search row lacks members that only a list shows: the rows are compared, not their members.
    shows_the_changes(&setup, "tickets");
    shows_the_changes(&setup, "contacts");
}
