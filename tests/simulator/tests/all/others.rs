//! What the client shares: credits and calls of other users, the credit account, the source's clock.

use desk_simulator::Edition;
use serde_json::json;

use crate::client::Client;
use crate::support::{Fixture, LONG_MS, eventually, occupy, small, start, start_with};

#[test]
fn the_credit_account_names_calls_and_credits_of_each_endpoint() {
    let mut fixture = start(50);
    fixture.simulator.reset_stats();
    fixture.get("tickets");
    fixture.get("tickets?from=2001");
    fixture.get("tickets?limit=0");
    let id = fixture.first_id("contacts");
    fixture.get(&format!("contacts/{id}"));
    let credits = fixture.admin("GET", "credits", &json!({})).json();
    let want = json!({
        "GET /tickets": {"calls": 3, "credits": 11},
        "GET /contacts": {"calls": 1, "credits": 3},
        "GET /contacts/{id}": {"calls": 1, "credits": 1},
    });
    assert_eq!(credits["endpoints"], want);
    assert_eq!((&credits["total"], &credits["budget"]), (&json!(15), &json!(112_000)));
    assert_eq!(credits, fixture.simulator.credits());
}

#[test]
fn the_control_api_sets_the_credits_used_today() {
    let mut options = small(5);
    options.settings.token_life_seconds = 200_000;
    let mut fixture = start_with(options);
    fixture.start_next_day();
    let set = fixture.admin("POST", "credits", &json!({"used": 111_996})).json();
    assert_eq!(set["left"], json!(4));
    assert_eq!(fixture.get("tickets").header("x-rate-limit-remaining-v3"), Some("1"));
    assert_eq!(fixture.error("tickets"), (429, "THRESHOLD_EXCEEDED".to_owned()));
}

#[test]
fn others_use_credits_at_once_and_by_the_hour() {
    let mut options = small(5);
    options.edition = Edition::Free;
    options.settings.token_life_seconds = 200_000;
    let mut fixture = start_with(options);
    fixture.start_next_day();
    fixture.simulator.set(|settings| settings.others.credits = 3_000);
    assert_eq!(fixture.simulator.credits()["left"], json!(2_000));
    fixture.simulator.set(|settings| settings.others.credits_per_hour = 500);
    fixture.admin("POST", "clock", &json!({"advance_ms": 3 * 3_600_000}));
    let left = fixture.simulator.credits()["left"].as_u64().expect("a number");
    assert!((495..=500).contains(&left), "{left}");
    fixture.admin("POST", "clock", &json!({"advance_ms": 3_600_000}));
    assert_eq!(fixture.error("tickets"), (429, "THRESHOLD_EXCEEDED".to_owned()));
    fixture.start_next_day();
    assert_eq!(fixture.get("tickets").status, 200);
}

#[test]
fn calls_of_others_leave_fewer_to_the_client() {
    let mut options = small(5);
    options.settings.others.concurrency = 22;
    options.settings.latency_ms = LONG_MS;
    let mut fixture = start_with(options);
    let _calls = occupy(&fixture, 3);
    assert_eq!(fixture.error("tickets"), (429, "TOO_MANY_REQUESTS".to_owned()));
}

#[test]
fn the_clock_jumps_runs_fast_and_the_date_may_be_wrong() {
    let mut fixture = start(5);
    let now = |fixture: &mut Fixture, body| {
        fixture.admin("POST", "clock", &body).json()["nowMs"].as_i64().expect("a time")
    };
    let start = now(&mut fixture, json!({"advance_ms": 0}));
    let ahead = now(&mut fixture, json!({"offset_ms": 3_600_000}));
    assert!(ahead >= start + 3_600_000);
    let behind = now(&mut fixture, json!({"offset_ms": -3_600_000}));
    assert!(behind < start, "a jump back");
    now(&mut fixture, json!({"offset_ms": 0, "speed": 100_000.0}));
    eventually("an hour has passed", || {
        let mut client = Client::connect(&fixture.simulator.url()).expect("it listens");
        let reply = client.send("POST", "/_admin/clock", "{\"advance_ms\":0}").expect("an answer").json();
        reply["nowMs"].as_i64().expect("a time") > start + 3_600_000
    });
    fixture.simulator.set_clock_offset_ms(0);
    let date = fixture.get("departments").header("date").expect("a date").to_owned();
    fixture.simulator.set(|settings| settings.date_skew_ms = -86_400_000);
    let skewed = fixture.get("departments").header("date").expect("a date").to_owned();
    assert_ne!(date[..16], skewed[..16], "another day");
}
