//! Records that fail always, records that are hidden, and parameters that a passing refusal must not cost.

use desk_simulator::Rule;

use crate::compare::{Database, truth};
use crate::support::Setup;
use crate::world::{
    TABLES, calls_of, equals_truth, has_the_rows, is_for_a_person, live_ids, options, within, world,
};

/// One ticket of thirty fails with this status; the others are read, and the table becomes incremental.
fn one_failing_ticket(status: u16) -> Setup {
    let setup = world(options(30), &TABLES);
    let id = truth(&setup.simulator, "tickets", true).keys().nth(7).cloned().expect("a ticket");
    setup.simulator.add_rule(Rule::new(&format!("/tickets/{id}"), status));
    let run = within(&setup, &["sync"], 200);
    is_for_a_person(&run, "tickets", "one failing ticket");
    let found = live_ids(&setup, "tickets");
    let others = truth(&setup.simulator, "tickets", true).into_keys().filter(|other| *other != id);
    let missing = others.filter(|other| found.binary_search(other).is_err()).count();
    assert_eq!(missing, 0, "{status}: other tickets are missing\n{run}");
    setup.simulator.heal();
    setup.host(&["sync", "--full-refresh"]).exits(0);
    equals_truth(&setup, &["tickets"]);
    setup
}

#[test]
fn a_ticket_that_is_always_500_stops_no_other() {
    one_failing_ticket(500);
}

#[test]
fn a_ticket_that_is_always_422_stops_no_other() {
    one_failing_ticket(422);
}

#[test]
fn a_ticket_that_is_always_403_stops_no_other() {
    one_failing_ticket(403);
}

#[test]
fn a_ticket_that_is_always_401_stops_no_other() {
    one_failing_ticket(401);
}

#[test]
fn hidden_contacts_are_left_out_without_a_flood_of_warnings() {
    let setup = world(options(5), &["contacts"]);
    setup.simulator.add_rule(Rule::new("/contacts/{id}", 403).sticky(0.5, 3));
    let run = within(&setup, &["sync"], 150);
    let warnings = run.stderr.lines().filter(|line| line.contains("WARN")).count();
    assert!(warnings <= 5, "{warnings} warnings for forty contacts\n{run}");
    setup.simulator.heal();
    setup.host(&["sync", "--full-refresh"]).exits(0);
    has_the_rows(&setup, "contacts");
}

#[test]
fn tickets_of_a_hidden_department_are_not_taken_for_deleted_ones() {
    let setup = world(options(120), &["tickets"]);
    setup.sync();
    let before = live_ids(&setup, "tickets").len();
    let database = Database::open(&setup.path("out.db"));
    let department =
        database.texts("SELECT departmentId FROM tickets GROUP BY 1 ORDER BY count(*) DESC")[0].clone();
    drop(database);
    setup.simulator.set(|settings| {
        settings.hidden_departments = vec![department];
        settings.hidden_make_pages_short = true;
    });
    // Incremental reads never conclude from silence.
    within(&setup, &["sync"], 60);
    assert_eq!(live_ids(&setup, "tickets").len(), before);
}

#[test]
fn a_profile_that_loses_tickets_empties_no_table() {
    let setup = world(options(60), &TABLES);
    setup.sync();
    let every: Vec<String> = truth(&setup.simulator, "departments", true).into_keys().collect();
    setup.simulator.set(|settings| settings.hidden_departments = every);
    setup.simulator.add_rule(Rule::new("/ticketsCount", 403));
    let run = within(&setup, &["sync", "--full-refresh"], 400);
    assert_eq!(live_ids(&setup, "tickets").len(), 60, "{run}");
}

#[test]
fn a_refusal_that_names_no_parameter_costs_none() {
    let setup = world(options(60), &["tickets"]);
    setup.simulator.add_rule(Rule::new("/tickets", 422).times(4));
    for _ in 0..3 {
        let run = within(&setup, &["sync"], 200);
        is_for_a_person(&run, "tickets", "422");
    }
    setup.simulator.heal();
    setup.host(&["sync", "--full-refresh"]).exits(0);
    equals_truth(&setup, &["tickets"]);
}

#[test]
fn another_order_in_the_middle_of_a_snapshot_loses_no_row() {
    let setup = world(options(900), &["tickets"]);
    setup.simulator.add_rule(Rule { after: 7, ..Rule::new("/tickets", 500) });
    setup.host(&["sync"]);
    let read = live_ids(&setup, "tickets").len();
    assert!((500..800).contains(&read), "{read} rows before the change");
    setup.simulator.heal();
    setup.reconfigure(|own| crate::world::file(own, &["tickets"]).config_text("sort", "newest"));
    setup.host(&["sync"]).exits(0);
    has_the_rows(&setup, "tickets");
}

#[test]
fn a_call_that_is_always_401_renews_the_token_once() {
    let setup = world(options(10), &TABLES);
    setup.sync();
    setup.simulator.add_rule(Rule::new("/contacts/search", 401));
    let before = setup.simulator.stats()["tokensIssued"].as_u64().expect("a number");
    for _ in 0..4 {
        within(&setup, &["sync"], 60);
    }
    let issued = setup.simulator.stats()["tokensIssued"].as_u64().expect("a number") - before;
    assert!(issued <= 1, "{issued} tokens");
}

#[test]
fn one_call_in_ten_failing_costs_few_more_calls() {
    let tables = ["tickets", "contacts", "ticket_conversations"];
    let usual = calls_of(&world(options(150), &tables), &["sync"]);
    let setup =
        Setup::with(options(150), |own| crate::world::file(own, &tables).set("retry.max_attempts", 12));
    setup.authorize();
    setup.simulator.add_rule(Rule::new("*", 500).fraction(0.1, 5));
    let most = usual * 13 / 10;
    within(&setup, &["sync"], most).exits(0);
    setup.simulator.heal();
    equals_truth(&setup, &["tickets", "contacts", "ticket_conversations"]);
}
