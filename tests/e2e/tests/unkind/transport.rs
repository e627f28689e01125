//! Faults of transport: required lengths, resets of connections, bodies that drip or are too large.

use desk_simulator::{Broken, Rule};

use crate::support::Setup;
use crate::world::{TABLES, equals_truth, file, is_for_a_person, options, within, world};

#[test]
fn requests_with_a_body_carry_its_length() {
    let mut options = options(20);
    options.settings.require_content_length = true;
    let setup = world(options, &TABLES);
    setup.sync();
    equals_truth(&setup, &TABLES);
}

#[test]
fn connections_that_reset_now_and_then_cost_attempts_and_no_rows() {
    let setup = Setup::with(options(80), |own| file(own, &TABLES).set("retry.max_attempts", 20));
    setup.authorize();
    setup.simulator.add_rule(Rule::new("*", Broken::Reset).fraction(0.02, 1));
    within(&setup, &["sync"], 1_200).exits(0);
    setup.simulator.heal();
    equals_truth(&setup, &TABLES);
}

#[test]
fn answers_that_drip_are_read() {
    let setup = world(options(20), &TABLES);
    setup.simulator.set(|settings| settings.faults.hang_ms = 200);
    setup.simulator.add_rule(Rule::new("/tickets", Broken::Drip));
    setup.simulator.add_rule(Rule::new("/products", Broken::Drip));
    within(&setup, &["sync"], 300).exits(0);
    equals_truth(&setup, &TABLES);
}

#[test]
fn an_answer_that_is_too_large_stops_its_table_alone_and_names_the_limit() {
    let setup = world(options(20), &TABLES);
    setup.simulator.add_rule(Rule::new("/products", Broken::Huge));
    let run = within(&setup, &["sync"], 300);
    assert_ne!(run.code(), 0, "{run}");
    is_for_a_person(&run, "products", "huge");
    equals_truth(&setup, &["tickets", "contacts"]);
    setup.simulator.heal();
    setup.host(&["sync"]).exits(0);
    equals_truth(&setup, &TABLES);
}
