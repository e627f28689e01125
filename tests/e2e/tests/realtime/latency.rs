//! Deliveries at given rates: each becomes a row. As a measurement, also the time from the POST to the row.
//!
//! The test sends for one second at 100 deliveries a second and asserts nothing about time. The measurement
//! prints a line of JSON for each rate; `cargo xtask bench latency` runs it with `E2E_LATENCY_RATES` and
//! `E2E_LATENCY_SECONDS`. Each delivery has a separate signature, which the component verifies, and brings a
//! whole row, so that none is refetched. The time is from the scheduled start of the POST, whether or not
//! the sender was ready by then, until another process reads the row from SQLite.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use crate::desk::Desk;
use crate::support::http::{Client, split};

/// Connections that deliveries are spread over.
const SENDERS: usize = 16;
/// First of the ids of tickets that the deliveries make.
const FIRST: u64 = 7_000_000_000_000;
/// Longest that the last row may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn setting(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

/// A delivery and when it is due.
struct Due {
    number: u64,
    at: Instant,
    token: String,
}

/// Sends a share of the deliveries, each at its time or as soon after it as possible; gives when the last one
/// was answered.
fn send(url: &str, share: &[&Due], body: impl Fn(u64) -> String) -> Instant {
    let (_, path) = split(url);
    let mut client = Client::connect(url);
    for due in share {
        let body = body(due.number);
        if let Some(wait) = due.at.checked_duration_since(Instant::now()) {
            std::thread::sleep(wait);
        }
        let answer = client.send("POST", path, &[("x-zdesk-jwt", &due.token)], body.as_bytes());
        assert_eq!(answer.expect("an answer").status, 200);
    }
    Instant::now()
}

/// Polls for new rows until all are there; gives when each was seen first.
fn watch(path: &Path, count: u64, ready: &Sender<()>) -> BTreeMap<u64, Instant> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the target");
    let mut newest = connection
        .prepare("SELECT rowid, CAST(id AS INTEGER) FROM tickets WHERE rowid > ?1 ORDER BY rowid")
        .expect("a query");
    let mut last = 0_i64;
    let mut seen = BTreeMap::new();
    let end = Instant::now() + PATIENCE * 2;
    let mut is_ready = false;
    while (seen.len() as u64) < count {
        let rows = newest.query_map([last], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)));
        let rows: Vec<_> = rows.and_then(Iterator::collect).expect("rows");
        let now = Instant::now();
        for (row, id) in rows {
            last = row;
            if let Some(number) = id.unsigned_abs().checked_sub(FIRST).filter(|number| *number < count) {
                seen.insert(number, now);
            }
        }
        if !is_ready {
            is_ready = ready.send(()).is_ok();
        }
        assert!(now < end, "{} of {count} rows", seen.len());
        std::thread::sleep(Duration::from_micros(300));
    }
    seen
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}

/// Measures one rate for some seconds.
fn measure(rate: u64, seconds: u64) -> Value {
    let desk = Desk::new(50);
    let (serve, hook) = desk.live_with_hook();
    let url = desk.hook_url(&serve);
    let template = desk.record("tickets", &desk.live_ids("tickets")[0]);
    let organization = &desk.setup.simulator.options().organization_id;
    let body = |number: u64| {
        let mut payload = template.clone();
        payload["id"] = Value::from((FIRST + number).to_string());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_millis().to_string();
        json!([{"eventType": "Ticket_Add", "payload": payload, "eventTime": now, "orgId": organization}])
            .to_string()
    };
    let count = rate * seconds;
    // Made before the clock starts: signing is the source's work.
    let tokens = desk.tokens(&hook, count);
    let (ready, is_ready) = channel();
    let path = desk.setup.path("out.db");
    let (dues, ended, seen) = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(&path, count, &ready));
        is_ready.recv_timeout(PATIENCE).expect("the watcher");
        let start = Instant::now() + Duration::from_millis(50);
        let at = |number: u64| start + Duration::from_secs_f64(number as f64 / rate as f64);
        let dues: Vec<Due> =
            (0..).zip(tokens).map(|(number, token)| Due { number, at: at(number), token }).collect();
        let ended = std::thread::scope(|senders| {
            let send = |sender| {
                let share: Vec<&Due> = dues.iter().skip(sender).step_by(SENDERS).collect();
                let (url, body) = (&url, &body);
                senders.spawn(move || send(url, &share, body))
            };
            let senders: Vec<_> = (0..SENDERS).map(send).collect();
            senders.into_iter().map(|sender| sender.join().expect("a sender")).max().expect("a sender")
        });
        (dues, ended, watcher.join().expect("a watcher"))
    });
    let mut took: Vec<Duration> = dues.iter().map(|due| seen[&due.number].duration_since(due.at)).collect();
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share).round() as usize];
    let reached = (count - 1) as f64 / ended.duration_since(dues[0].at).as_secs_f64();
    let report = json!({
        "deliveriesPerSecond": rate, "answeredPerSecond": reached.round(), "deliveries": count,
        "medianMs": milliseconds(at(0.5)), "p99Ms": milliseconds(at(0.99)), "maxMs": milliseconds(at(1.0)),
    });
    assert!(desk.dead_letters().is_empty());
    report
}

#[test]
fn every_delivery_becomes_a_row() {
    let seconds = setting("E2E_LATENCY_SECONDS", "1").parse().expect("E2E_LATENCY_SECONDS is a number");
    for rate in setting("E2E_LATENCY_RATES", "100").split(',') {
        println!("{}", measure(rate.trim().parse().expect("E2E_LATENCY_RATES are numbers"), seconds));
    }
}
