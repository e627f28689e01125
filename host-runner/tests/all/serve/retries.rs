//! How `serve` retries a table that fails: `max_attempts` and `max_wait` mean the same as for `sync`.

use super::process::{Server, eventually};
use crate::support::Place;

/// A connection whose table `things` is unavailable.
fn unavailable(limits: &str) -> Place {
    Place::new(&format!("behavior = \"fail\"\nkind = \"unavailable\"\n[retry]\n{limits}"))
}

/// The waits after the failures of `things` so far, in milliseconds.
fn waits(server: &Server) -> Vec<u64> {
    let log = server.log();
    let failures = log.lines().filter(|line| line.contains("table `things`: as configured"));
    let wait = |line: &str| line.split_once("wait_ms=")?.1.split_whitespace().next()?.parse().ok();
    failures.filter_map(wait).collect()
}

#[test]
fn a_table_that_used_up_its_attempts_is_retried_rarely() {
    let place = unavailable("max_attempts = 2");
    let server = Server::start(&place);
    eventually("two failures", || waits(&server).len() == 2);
    let waits = waits(&server);
    assert!(waits[0] <= 500 && waits[1] >= 15_000, "{waits:?}");
    server.stop();
}

#[test]
fn a_wait_that_the_source_did_not_ask_for_is_never_longer_than_the_longest_wait() {
    let place = unavailable("max_attempts = 100\nmax_wait = \"1s\"");
    let server = Server::start(&place);
    eventually("five failures", || waits(&server).len() >= 5);
    let waits = waits(&server);
    assert!(waits.iter().all(|wait| *wait <= 1_000), "{waits:?}");
    server.stop();
}
