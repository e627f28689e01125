//! Faults of answers: the form of each, and that a client that retries gets through.

use desk_simulator::FaultSettings;
use serde_json::json;

use crate::client::Client;
use crate::support::{Fixture, INCLUDE, by_id, start};

/// Replaces the faults by those that `set` switches on.
fn inject(fixture: &Fixture, set: impl FnOnce(&mut FaultSettings)) {
    fixture.simulator.heal();
    fixture.simulator.set(|settings| set(&mut settings.faults));
}

#[test]
fn each_fault_has_its_status_headers_and_body() {
    let mut fixture = start(20);
    inject(&fixture, |faults| faults.too_many_requests = 1.0);
    let reply = fixture.get("tickets");
    assert_eq!((reply.status, reply.header("retry-after")), (429, None));
    assert_eq!(reply.json()["errorCode"], json!("TOO_MANY_REQUESTS"));
    inject(&fixture, |faults| faults.threshold_exceeded = 1.0);
    let reply = fixture.get("tickets");
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("1")));
    assert_eq!(reply.json()["errorCode"], json!("THRESHOLD_EXCEEDED"));
    inject(&fixture, |faults| faults.internal_error = 1.0);
    assert_eq!(fixture.error("tickets"), (500, "INTERNAL_SERVER_ERROR".to_owned()));
    inject(&fixture, |faults| faults.bad_gateway = 1.0);
    let reply = fixture.get("tickets");
    assert_eq!((reply.status, reply.header("content-type")), (502, Some("text/html")));
    inject(&fixture, |faults| faults.malformed = 1.0);
    let reply = fixture.get("tickets");
    assert!(reply.status == 200 && reply.json().is_null() && !reply.body.is_empty());
    inject(&fixture, |faults| faults.slow = 1.0);
    assert_eq!(fixture.get("tickets").json()["data"].as_array().map(Vec::len), Some(20));
    let counts = fixture.simulator.stats()["faults"].clone();
    let once = json!({
        "tooManyRequests": 1, "thresholdExceeded": 1, "internalError": 1, "badGateway": 1, "malformed": 1,
        "slow": 1,
    });
    assert_eq!(counts, once);
}

#[test]
fn an_invalidated_token_stays_invalid_after_the_fault() {
    let mut fixture = start(20);
    inject(&fixture, |faults| faults.invalid_token = 1.0);
    assert_eq!(fixture.error("tickets"), (401, "INVALID_OAUTH".to_owned()));
    fixture.simulator.heal();
    assert_eq!(fixture.error("tickets"), (401, "INVALID_OAUTH".to_owned()));
}

#[test]
fn dropped_and_truncated_answers_break_the_connection_and_the_third_attempt_succeeds() {
    let mut fixture = start(20);
    let headers = fixture.client.headers.clone();
    for name in ["dropped", "truncated"] {
        inject(&fixture, |faults| match name {
            "dropped" => faults.dropped = 1.0,
            _ => faults.truncated = 1.0,
        });
        for expected in [false, false, true] {
            let mut client = Client::connect(&fixture.simulator.url()).expect("it listens");
            client.headers.clone_from(&headers);
            assert_eq!(client.send("GET", "/api/v1/tickets?limit=7", "").is_ok(), expected, "{name}");
        }
    }
    fixture.simulator.heal();
    assert_eq!(fixture.get("tickets?limit=7").status, 200);
}

#[test]
fn the_accounts_host_has_faults_as_well() {
    let mut fixture = start(1);
    inject(&fixture, |faults| faults.bad_gateway = 1.0);
    let reply = fixture.client.send("POST", "/oauth/v2/token", "").expect("an answer");
    assert_eq!((reply.status, reply.header("content-type")), (502, Some("text/html")));
    inject(&fixture, |faults| faults.dropped = 1.0);
    assert!(fixture.client.send("POST", "/oauth/v2/token", "").is_err());
}

#[test]
fn a_client_that_retries_reads_the_truth_under_five_seeds_of_faults() {
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
        let path = format!("/api/v1/tickets?{INCLUDE}&limit=20");
        while rows.len() < 600 {
            let from = rows.len() + 1;
            match fixture.client.send("GET", &format!("{path}&from={from}"), "") {
                Ok(reply) if reply.status == 200 && !reply.json().is_null() => {
                    rows.extend(reply.json()["data"].as_array().cloned().unwrap_or_default());
                }
                Ok(_) => {}
                Err(_) => {
                    fixture.client = Client::connect(&fixture.simulator.url()).expect("it listens");
                    fixture.client.headers.clone_from(&headers);
                }
            }
        }
        assert_eq!(by_id(rows), by_id(fixture.truth("tickets", false)), "seed {seed}");
        let faults = fixture.simulator.stats()["faults"].clone();
        assert!(faults.as_object().is_some_and(|faults| !faults.is_empty()), "seed {seed}: {faults}");
    }
}
