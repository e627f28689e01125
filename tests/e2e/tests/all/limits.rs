//! What a connection file bounds, seen from the source: never more than asked for, and everything arrives all
//! the same.

use std::collections::BTreeMap;

use desk_simulator::{Options, Settings};

use crate::compare::{check_sqlite, truths};
use crate::support::{Setup, sizes};

/// The most requests that the source saw at a time during a read of everything, which must end equal to the
/// truth.
fn peak_of_requests(limit: Option<u64>) -> u64 {
    // Slow enough for requests to meet.
    let settings = Settings { latency_ms: 5, ..Settings::default() };
    let setup =
        Setup::with(Options { sizes: sizes(80), settings, ..Options::default() }, |file| match limit {
            Some(limit) => file.set("sandbox.max_concurrent_requests", limit),
            None => file,
        });
    setup.authorize();
    setup.sync();
    check_sqlite(&setup, &truths(&setup.simulator, true), &BTreeMap::new());
    setup.simulator.stats()["peakConcurrency"].as_u64().expect("a peak")
}

#[test]
fn requests_at_a_time() {
    assert!(peak_of_requests(None) > 4, "details are not fetched side by side: this test proves nothing");
    for limit in [1, 3] {
        let peak = peak_of_requests(Some(limit));
        assert!(peak <= limit, "{peak} requests at a time, {limit} allowed");
    }
}

/// More requests than an instance may have handles: handles that leak with each must not add up.
#[test]
fn handles_of_many_requests() {
    // From 10,000 tickets on most come from searches, without a call for each.
    let options = Options { sizes: sizes(9_990), ..Options::default() };
    // One attempt: an instance that is stopped fails the read.
    let setup = Setup::with(options, |file| file.set("retry.max_attempts", 1));
    setup.authorize();
    setup.sync();
    let made = setup.simulator.stats()["requestsTotal"].as_u64().expect("a number");
    assert!(made > 10_000, "{made} requests: this test proves nothing");
}
