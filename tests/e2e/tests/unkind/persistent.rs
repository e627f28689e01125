//! Every endpoint, with every persistent refusal: the calls are bounded, the other tables continue, the error
//! names table and call, and after the refusal no row is lost.

use desk_simulator::{Broken, Rule};

use crate::support::Setup;
use crate::world::{
    TABLES, authorize_again, calls_of, has_the_rows, is_for_a_person, is_marked, mark, options, within, world,
};

/// When an endpoint is called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Snapshot,
    Incremental,
}

fn refusals(path: &str) -> Vec<(&'static str, Rule)> {
    vec![
        ("400", Rule::new(path, 400)),
        ("401", Rule::new(path, 401)),
        ("403", Rule::new(path, 403)),
        ("403 of a scope", Rule::new(path, 403).code("SCOPE_MISMATCH")),
        ("404", Rule::new(path, 404)),
        ("422", Rule::new(path, 422)),
        ("429", Rule::new(path, 429)),
        ("429 with Retry-After", Rule::new(path, 429).retry_after(30)),
        ("500", Rule::new(path, 500)),
        ("dropped", Rule::new(path, Broken::Dropped)),
        ("truncated", Rule::new(path, Broken::Truncated)),
        ("HTML", Rule::new(path, Broken::Html)),
        ("hanging", Rule::new(path, Broken::Hang)),
    ]
}

/// Refuses the calls of `path`, which belong to `table`, in each way.
fn check(path: &str, table: &'static str, phase: Phase) {
    let mut tables = TABLES.to_vec();
    if !tables.contains(&table) {
        tables.push(table);
    }
    let setup = world(options(30), &tables);
    setup.sync();
    let words: &[&str] = if phase == Phase::Snapshot { &["sync", "--full-refresh"] } else { &["sync"] };
    let usual = calls_of(&setup, words);
    for (number, (name, rule)) in refusals(path).into_iter().enumerate() {
        let place = format!("{path}: {name}");
        setup.note(place.clone());
        let others: Vec<&str> = TABLES.into_iter().filter(|other| *other != table).collect();
        let text = format!("after refusal {number}");
        others.iter().for_each(|other| mark(&setup, other, &text));
        setup.simulator.add_rule(rule);
        let run = within(&setup, words, 3 * usual + 60);
        is_for_a_person(&run, table, &place);
        for other in others {
            assert!(is_marked(&setup, other, &text), "{place}: `{other}` did not continue\n{run}");
        }
        setup.simulator.heal();
    }
    // A refused token or a forgotten parameter is the subject of other tests.
    authorize_again(&setup);
    setup.host(&["sync", "--full-refresh"]).exits(0);
    rows_are_whole(&setup, &tables);
}

fn rows_are_whole(setup: &Setup, tables: &[&str]) {
    tables.iter().for_each(|table| has_the_rows(setup, table));
}

#[test]
fn every_refusal_says_what_to_try() {
    let setup = world(options(5), &["tickets"]);
    for (name, rule) in refusals("/tickets") {
        setup.simulator.add_rule(rule);
        let run = within(&setup, &["sync", "--full-refresh"], 60);
        assert_ne!(run.code(), 0, "{name}\n{run}");
        assert!(run.stderr.contains("hint: "), "{name}\n{run}");
        setup.simulator.heal();
    }
}

#[test]
fn a_refused_ticket_list_stops_tickets_alone() {
    check("/tickets", "tickets", Phase::Snapshot);
}

#[test]
fn refused_ticket_details_stop_tickets_alone() {
    check("/tickets/{id}", "tickets", Phase::Snapshot);
}

#[test]
fn a_refused_ticket_search_stops_tickets_alone() {
    check("/tickets/search", "tickets", Phase::Incremental);
}

#[test]
fn a_refused_contact_list_stops_contacts_alone() {
    check("/contacts", "contacts", Phase::Snapshot);
}

#[test]
fn refused_contact_details_stop_contacts_alone() {
    check("/contacts/{id}", "contacts", Phase::Snapshot);
}

#[test]
fn a_refused_contact_search_stops_contacts_alone() {
    check("/contacts/search", "contacts", Phase::Incremental);
}

#[test]
fn a_refused_product_list_stops_products_alone() {
    check("/products", "products", Phase::Snapshot);
}

#[test]
fn a_refused_list_of_threads_stops_conversations_alone() {
    check("/tickets/{id}/threads", "ticket_conversations", Phase::Snapshot);
}

#[test]
fn refused_threads_stop_conversations_alone() {
    check("/tickets/{id}/threads/{id}", "ticket_conversations", Phase::Snapshot);
}

#[test]
fn a_refused_list_of_comments_stops_conversations_alone() {
    check("/tickets/{id}/comments", "ticket_conversations", Phase::Snapshot);
}

#[test]
fn a_refused_list_of_departments_stops_departments_alone() {
    check("/departments", "departments", Phase::Snapshot);
}

#[test]
fn a_refused_list_of_contracts_stops_contracts_alone() {
    check("/contracts", "contracts", Phase::Snapshot);
}

#[test]
fn a_refused_account_list_stops_accounts_alone() {
    check("/accounts", "accounts", Phase::Snapshot);
}

#[test]
fn refused_account_details_stop_accounts_alone() {
    check("/accounts/{id}", "accounts", Phase::Snapshot);
}

#[test]
fn refused_contract_details_stop_contracts_alone() {
    check("/contracts/{id}", "contracts", Phase::Snapshot);
}

#[test]
fn refused_department_details_stop_departments_alone() {
    check("/departments/{id}", "departments", Phase::Snapshot);
}

#[test]
fn a_refused_list_of_both_kinds_stops_conversations_alone() {
    check("/tickets/{id}/conversations", "ticket_conversations", Phase::Snapshot);
}

/// A list and a detail of tables of the groups.
const GROUPS: [(&str, &str); 6] = [
    ("/agents", "agents"),
    ("/tickets/{id}/timeEntry", "ticket_time_entries"),
    ("/tasks", "tasks"),
    ("/tasks/{id}", "tasks"),
    ("/articles", "articles"),
    ("/articles/{id}", "articles"),
];

#[test]
fn a_refused_call_of_a_table_of_any_group_stops_that_table_alone() {
    GROUPS.into_iter().for_each(|(path, table)| check(path, table, Phase::Snapshot));
}

#[test]
fn a_refused_recycle_bin_costs_a_few_calls_and_stops_nothing() {
    let setup = world(options(30), &TABLES);
    setup.sync();
    let usual = calls_of(&setup, &["sync"]);
    for (number, (name, rule)) in refusals("/recycleBin").into_iter().enumerate() {
        setup.note(name);
        let text = format!("after refusal {number}");
        TABLES.iter().for_each(|table| mark(&setup, table, &text));
        setup.simulator.add_rule(rule);
        // A sweep of each table may be tried twice; each table has one changed row.
        let run = within(&setup, &["sync"], 2 * usual + 12);
        assert!(!run.stderr.contains("panicked"), "{name}\n{run}");
        for table in TABLES {
            assert!(is_marked(&setup, table, &text), "{name}: `{table}` did not continue\n{run}");
        }
        setup.simulator.heal();
    }
}

#[test]
fn fields_that_may_not_be_seen_stop_no_table() {
    for rule in
        [Rule::new("/organizationFields", 403), Rule::new("/organizationFields", 403).code("SCOPE_MISMATCH")]
    {
        let setup = world(options(30), &TABLES);
        setup.simulator.add_rule(rule);
        within(&setup, &["sync"], 300).exits(0);
        TABLES.iter().for_each(|table| has_the_rows(&setup, table));
    }
}
