//! Limits that others share: fewer concurrent calls than the edition has, and a day whose credits end.

use std::time::Duration;

use desk_simulator::{Edition, Options};

use crate::support::Setup;
use crate::world::{HOUR_MS, TABLES, calls_of, equals_truth, file, options, within, world, world_since};

/// A world whose calls take three milliseconds, so that they are in flight together.
fn slow(tickets: u32) -> Options {
    let mut options = options(tickets);
    options.settings.latency_ms = 3;
    options
}

#[test]
fn an_organization_that_allows_four_calls_at_once_costs_few_more_calls() {
    let usual = calls_of(&world(slow(300), &TABLES), &["sync"]);
    let mut options = slow(300);
    options.settings.concurrency = Some(4);
    let setup = Setup::with(options, |own| file(own, &TABLES).set("retry.max_attempts", 12));
    setup.authorize();
    within(&setup, &["sync"], usual * 115 / 100).exits(0);
    equals_truth(&setup, &TABLES);
}

#[test]
fn calls_of_others_slow_a_read_down_and_end_it_equal_to_the_truth() {
    let tables = ["tickets", "ticket_conversations"];
    let usual = calls_of(&world(slow(100), &tables), &["sync"]);
    let setup = Setup::with(slow(100), |own| file(own, &tables).set("retry.max_attempts", 12));
    setup.authorize();
    setup.simulator.set(|settings| settings.others.concurrency = 19);
    within(&setup, &["sync"], usual * 130 / 100).exits(0);
    equals_truth(&setup, &tables);
}

#[test]
fn credits_that_end_stop_the_read_with_a_time_and_the_next_day_ends_it() {
    let mut options = options(60);
    options.edition = Edition::Free;
    options.settings.token_life_seconds = 400_000;
    let setup = Setup::with(options, |own| file(own, &TABLES));
    setup.authorize();
    setup.simulator.set(|settings| settings.daily_credits = Some(80));
    let run = within(&setup, &["sync"], 200);
    assert_eq!(run.code(), 7, "{run}");
    assert!(run.stderr.contains("hint: "), "{run}");
    assert!(run.stderr.contains("again"), "when to run again is missing\n{run}");
    let used = setup.simulator.credits()["usedToday"].as_u64().expect("a number");
    assert!(used <= 80, "{used} credits");
    setup.simulator.set(|settings| settings.daily_credits = None);
    setup.host(&["sync"]).exits(0);
    equals_truth(&setup, &TABLES);
}

#[test]
fn credits_that_others_use_up_are_respected() {
    let setup = world(options(40), &TABLES);
    setup.simulator.set(|settings| settings.others.credits = 111_990);
    let run = within(&setup, &["sync"], 60);
    assert_eq!(run.code(), 7, "{run}");
    setup.simulator.heal();
    setup.simulator.set(|settings| settings.others.credits = 0);
    setup.host(&["sync"]).exits(0);
    equals_truth(&setup, &TABLES);
}

#[test]
fn a_quiet_round_costs_one_search_of_each_family_and_one_sweep_of_the_recycle_bin() {
    let tables = ["tickets", "contacts", "accounts", "products", "ticket_conversations"];
    let setup = world(options(20), &tables);
    setup.sync();
    setup.simulator.reset_stats();
    setup.sync();
    let account = setup.simulator.credits();
    assert_eq!(setup.requests_to("GET /recycleBin"), 1, "{account:#}");
    // Of the tickets by modified time for both tables, and by the customer's response for conversations.
    assert_eq!(setup.requests_to("GET /tickets/search"), 2, "{account:#}");
    for table in ["contacts", "accounts", "products"] {
        assert_eq!(setup.requests_to(&format!("GET /{table}/search")), 1, "{account:#}");
    }
}

#[test]
fn a_reply_to_a_long_ticket_costs_one_thread() {
    let setup = world_since(6 * HOUR_MS, options(10), &["ticket_conversations"]);
    let id = crate::compare::truth(&setup.simulator, "tickets", true).into_keys().next().expect("a ticket");
    let change = |op: serde_json::Value| setup.simulator.mutate(op).expect("a change");
    change(serde_json::json!({"op": "addThreads", "ticket": id, "count": 60, "bytes": 2_000}));
    setup.sync();
    // Beyond the overlap of two searches, in which rows are read again.
    setup.simulator.advance(Duration::from_millis(2 * HOUR_MS));
    setup.sync();
    setup.simulator.reset_stats();
    change(serde_json::json!({"op": "addThread", "ticket": id, "content": "a reply"}));
    setup.sync();
    let threads = setup.requests_to("GET /tickets/{id}/threads/{id}");
    assert!(threads <= 3, "{threads} threads read for one new one");
    equals_truth(&setup, &["ticket_conversations"]);
}

#[test]
fn a_quiet_round_of_contracts_costs_one_page_and_two_records() {
    let setup = world(options(5), &["contracts"]);
    setup.sync();
    setup.simulator.reset_stats();
    setup.sync();
    assert_eq!(setup.requests_to("GET /contracts"), 1, "{:#}", setup.simulator.credits());
    assert!(setup.requests_to("GET /contracts/{id}") <= 2, "{:#}", setup.simulator.credits());
    equals_truth(&setup, &["contracts"]);
}

#[test]
fn credits_below_the_reserve_are_left_for_others() {
    let setup = Setup::with(options(60), |own| file(own, &TABLES).config("credits_reserve", "30"));
    setup.authorize();
    setup.simulator.set(|settings| settings.daily_credits = Some(200));
    let run = within(&setup, &["sync"], 200);
    assert_eq!(run.code(), 7, "{run}");
    assert!(run.stderr.contains("credits are left today"), "{run}");
    let used = setup.simulator.credits()["usedToday"].as_u64().expect("a number");
    // A page of details is not cut in the middle.
    assert!((80..=190).contains(&used), "{used} credits of 200");
    setup.simulator.set(|settings| settings.daily_credits = None);
    setup.host(&["sync"]).exits(0);
    equals_truth(&setup, &TABLES);
}

#[test]
fn a_verification_finds_a_purged_row_and_leaves_the_members_of_details() {
    let tables = ["contacts", "contracts"];
    let setup = world(options(20), &tables);
    setup.sync();
    setup.sync();
    for table in tables {
        let id = crate::compare::truth(&setup.simulator, table, true).into_keys().nth(3).expect("a row");
        let purge = |op: &str| serde_json::json!({"op": op, "table": table, "id": id});
        setup.simulator.mutate(purge("moveToTrash")).expect("a change");
        setup.simulator.mutate(purge("purge")).expect("a change");
    }
    setup.sync();
    assert_eq!(crate::world::live_ids(&setup, "contacts").len(), 40, "no delivery came");
    // A week passes.
    let database = rusqlite::Connection::open(setup.path("out.db")).expect("the sink");
    let sql = "UPDATE _sync_state SET cursor = json_set(cursor, '$.verified_ms', 1)";
    assert_eq!(database.execute(sql, []).expect("cursors"), 2);
    drop(database);
    setup.simulator.reset_stats();
    setup.sync();
    assert_eq!(setup.requests_to("GET /contacts/{id}"), 0, "{:#}", setup.simulator.credits());
    equals_truth(&setup, &tables);
    setup.sync();
    equals_truth(&setup, &tables);
}
