//! Faults: each kind, and that they end.

use desk_simulator::FaultSettings;
use serde_json::json;

use crate::client::Client;
use crate::support::{by_id, start};

#[test]
fn each_fault_looks_like_what_it_is() {
    let mut fixture = start(20);
    let set = |fixture: &crate::support::Fixture, alter: fn(&mut FaultSettings)| {
        fixture.simulator.heal();
        fixture.simulator.set(|settings| alter(&mut settings.faults));
    };
    set(&fixture, |faults| faults.too_many_requests = 1.0);
    let reply = fixture.get("tickets");
    assert_eq!((reply.status, reply.header("retry-after")), (429, None));
    set(&fixture, |faults| faults.threshold_exceeded = 1.0);
    assert_eq!(fixture.get("tickets").header("retry-after"), Some("1"));
    set(&fixture, |faults| faults.internal_error = 1.0);
    assert_eq!(fixture.refusal("tickets"), (500, "INTERNAL_SERVER_ERROR".to_owned()));
    set(&fixture, |faults| faults.bad_gateway = 1.0);
    let reply = fixture.get("tickets");
    assert_eq!((reply.status, reply.header("content-type")), (502, Some("text/html")));
    set(&fixture, |faults| faults.malformed = 1.0);
    let reply = fixture.get("tickets");
    assert!(reply.status == 200 && reply.json().is_null() && !reply.body.is_empty());
    set(&fixture, |faults| faults.slow = 1.0);
    assert_eq!(fixture.get("tickets").status, 200);
    set(&fixture, |faults| faults.invalid_token = 1.0);
    assert_eq!(fixture.refusal("tickets"), (401, "INVALID_OAUTH".to_owned()));
    let counts = fixture.simulator.stats()["faults"].clone();
    assert_eq!((&counts["slow"], &counts["malformed"]), (&json!(1), &json!(1)));
}

#[test]
fn broken_connections_are_errors_and_a_third_try_succeeds() {
    let mut fixture = start(20);
    let headers = fixture.client.headers.clone();
    for truncated in [false, true] {
        fixture.simulator.set(|settings| {
            settings.faults = FaultSettings::default();
            settings.faults.dropped = if truncated { 0.0 } else { 1.0 };
            settings.faults.truncated = if truncated { 1.0 } else { 0.0 };
        });
        for expected in [false, false, true] {
            let mut client = Client::connect(&fixture.simulator.url()).expect("listens");
            client.headers.clone_from(&headers);
            assert_eq!(client.send("GET", "/api/v1/tickets?limit=7", "").is_ok(), expected);
        }
    }
    fixture.simulator.heal();
    assert_eq!(fixture.get("tickets?limit=7").status, 200);
}

#[test]
fn a_client_that_retries_reads_the_truth_under_every_seed() {
    for seed in 0..5 {
        let mut fixture = start(600);
        fixture.simulator.set(|settings| {
            settings.faults = FaultSettings::seeded(seed);
            settings.faults.invalid_token = 0.0;
            settings.faults.dropped = 0.1;
            settings.faults.slow_ms_max = 1;
        });
        let headers = fixture.client.headers.clone();
        let mut rows = Vec::new();
        let path = format!("/api/v1/tickets?{}&limit=20", crate::support::INCLUDE);
        while rows.len() < 600 {
            let from = rows.len() + 1;
            match fixture.client.send("GET", &format!("{path}&from={from}"), "") {
                Ok(reply) if reply.status == 200 && !reply.json().is_null() => {
                    rows.extend(reply.json()["data"].as_array().cloned().unwrap_or_default());
                }
                Ok(_) => {}
                Err(_) => {
                    fixture.client = Client::connect(&fixture.simulator.url()).expect("listens");
                    fixture.client.headers.clone_from(&headers);
                }
            }
        }
        assert_eq!(by_id(rows), by_id(fixture.truth("tickets", false)), "seed {seed}");
        assert!(fixture.simulator.stats()["faults"].as_object().is_some_and(|all| !all.is_empty()));
    }
}
