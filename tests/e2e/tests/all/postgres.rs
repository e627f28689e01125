//! The runner into PostgreSQL: the schema equals the source, after changes and while the server is killed.

use std::collections::BTreeMap;
use std::time::Duration;

use desk_simulator::Options;
use postgres_server::{Durability, Server};
use serde_json::json;

use crate::compare::{TABLES, Truth, check_sqlite, mirror, truths};
use crate::support::{Setup, sizes};

/// The shared server of `cargo xtask test`, or none: then these tests are not run.
fn database() -> Option<String> {
    std::env::var("TEST_DATABASE_URL").ok()
}

fn check(setup: &Setup, url: &str, known: &BTreeMap<&str, Truth>) {
    mirror(url, "demo", &TABLES, &setup.path("out.db"));
    check_sqlite(setup, &truths(&setup.simulator, true), known);
}

#[test]
fn a_schema_equals_the_truth_after_any_changes() {
    if database().is_none() {
        return;
    }
    let server = Server::start(Durability::None).expect("a server");
    let setup = Setup::authorized_with(300, |file| file.postgres(&server.url(), "demo"));
    setup.sync();
    let none = BTreeMap::new();
    check(&setup, &server.url(), &none);
    let known = truths(&setup.simulator, true);
    setup.simulator.mutate(json!({"seed": 5, "count": 300})).expect("changes");
    setup.sync();
    setup.host(&["sync", "--full-refresh"]).exits(0);
    check(&setup, &server.url(), &known);
}

#[test]
fn a_read_survives_a_database_that_is_killed_again_and_again() {
    if database().is_none() {
        return;
    }
    let mut server = Server::start(Durability::None).expect("a server");
    let url = server.url();
    let options = Options { sizes: sizes(1_500), ..Options::default() };
    let setup = Setup::with(options, |file| file.postgres(&url, "demo").set("batch.max_rows", 50));
    setup.authorize();
    let running = setup.start(&["sync"]);
    for pause in [300, 500, 700] {
        std::thread::sleep(Duration::from_millis(pause));
        server.kill();
        server.resume().expect("resumed");
    }
    // A run that cannot open or create anything ends; the next one continues.
    let first = setup.remember(running.wait());
    assert!(matches!(first.code(), 0 | 12), "{first}");
    setup.sync();
    check(&setup, &url, &BTreeMap::new());
}
