//! Credits, concurrency and the headers about them (reference, §5.2).

use std::sync::{Arc, Barrier};
use std::time::Duration;

use desk_simulator::Edition;
use serde_json::json;

use crate::client::Client;
use crate::support::{small, start, start_with};

#[test]
fn calls_cost_what_their_offset_says() {
    let mut fixture = start(50);
    let cases = [
        ("tickets?from=1", "3"),
        ("tickets?from=2001", "5"),
        ("tickets?from=10001", "10"),
        ("tickets?from=50001", "50"),
        ("tickets?from=100001", "100"),
        ("tickets/search", "3"),
        ("organizations", "1"),
    ];
    for (path, credits) in cases {
        assert_eq!(fixture.get(path).header("x-rate-limit-request-weight-v3"), Some(credits), "{path}");
    }
    let id = fixture.first_id("tickets");
    assert_eq!(fixture.get(&format!("tickets/{id}")).header("x-rate-limit-request-weight-v3"), Some("1"));
    let search = fixture.get(&format!("tickets/search?id={id}"));
    assert_eq!(search.header("x-rate-limit-request-weight-v3"), Some("1"));
    let trash = fixture.call("POST", "tickets/moveToTrash", &json!({"ticketIds": [id]}));
    assert_eq!((trash.status, trash.header("x-rate-limit-request-weight-v3")), (204, Some("6")));
}

#[test]
fn every_answer_tells_what_is_left_and_looks_like_the_service() {
    let mut fixture = start(5);
    let before = fixture.get("organizations");
    let left = |reply: &crate::client::Reply| -> u64 {
        reply.header("x-rate-limit-remaining-v3").and_then(|text| text.parse().ok()).expect("a number")
    };
    assert_eq!(left(&before), 100_000 + 12 * 1_000 - 1);
    let after = fixture.get("tickets?nonsense=1");
    assert_eq!((after.status, left(&after)), (422, left(&before) - 3));
    assert_eq!(after.header("content-type"), Some("application/json;charset=UTF-8"));
    assert_eq!(after.header("server"), Some("ZGS"));
    assert!(after.header("date").is_some() && after.header("cache-control").is_some());
}

#[test]
fn used_up_credits_are_429_and_say_when_to_come_back() {
    let mut options = small(5);
    options.settings.daily_credits = Some(7);
    let mut fixture = start_with(options);
    assert_eq!(fixture.get("tickets").status, 200);
    assert_eq!(fixture.get("tickets").status, 200);
    let reply = fixture.get("tickets");
    assert_eq!(reply.json()["errorCode"], json!("THRESHOLD_EXCEEDED"));
    let seconds: u64 = reply.header("retry-after").and_then(|text| text.parse().ok()).expect("seconds");
    assert!((1..=86_401).contains(&seconds));
    assert_eq!(fixture.get("organizations").status, 200, "one credit is left");
    fixture.simulator.advance(Duration::from_secs(seconds));
    fixture.simulator.set(|settings| settings.token_life_seconds = 200_000);
    let form = [("grant_type", "refresh_token"), ("refresh_token", fixture.refresh_token.as_str())];
    let token = crate::support::token(&mut fixture.client, &form)["access_token"].clone();
    fixture.client.headers[0].1 = format!("Bearer {}", token.as_str().expect("a token"));
    assert_eq!(fixture.get("tickets").status, 200, "a new day");
}

#[test]
fn editions_set_credits_and_concurrency() {
    let mut options = small(5);
    options.edition = Edition::Free;
    let mut fixture = start_with(options);
    let left = fixture.get("organizations").header("x-rate-limit-remaining-v3").map(str::to_owned);
    assert_eq!(left.as_deref(), Some("4999"));
}

#[test]
fn too_many_calls_at_once_are_429_without_retry_after() {
    let mut options = small(5);
    options.settings.concurrency = Some(2);
    options.settings.latency_ms = 300;
    let fixture = start_with(options);
    let barrier = Arc::new(Barrier::new(6));
    let calls: Vec<_> = (0..6)
        .map(|_| {
            let barrier = Arc::clone(&barrier);
            let mut client = Client::connect(&fixture.simulator.url()).expect("listens");
            client.headers = fixture.client.headers.clone();
            std::thread::spawn(move || {
                barrier.wait();
                client.send("GET", "/api/v1/tickets", "").expect("answers")
            })
        })
        .collect();
    let replies: Vec<_> = calls.into_iter().map(|call| call.join().expect("no panic")).collect();
    let refused: Vec<_> = replies.iter().filter(|reply| reply.status == 429).collect();
    assert!((3..=4).contains(&refused.len()), "{}", refused.len());
    assert_eq!(refused[0].json()["errorCode"], json!("TOO_MANY_REQUESTS"));
    assert!(refused.iter().all(|reply| reply.header("retry-after").is_none()));
    assert!(fixture.simulator.stats()["peakConcurrency"].as_u64() >= Some(3));
}
