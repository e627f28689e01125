//! The connector's parsers, native, behind a transport that answers from the input.

use std::collections::VecDeque;

use serde_json::Value;
use zoho_desk::connection::Connection;
use zoho_desk::reader::Limits;
use zoho_desk::transport::{Failure, Request, Response, Transport};
use zoho_desk::webhook::keys::Keys;
use zoho_desk::webhook::{Delivery, signature};

use super::{parts, text};

/// 2026-01-01, in Unix milliseconds.
const NOW_MS: u64 = 1_767_225_600_000;
const CONFIG: &str = r#"{"organization_id":"42","client_id":"id","client_secret":"secret"}"#;
/// A session whose token is valid for hours, so that calls need no renewal.
const SESSION: &str = include_str!("../session.json");
const LIMITS: Limits = Limits { max_changes: 100, max_bytes: 1 << 20, max_ms: 10_000 };
const TABLES: [&str; 4] = ["tickets", "departments", "contacts", "ticket_conversations"];
/// Calls of one input: the answers end before.
const CALLS_MAX: usize = 4;

/// Answers requests with the parts of the input, then with failures. The first line of a part is the status
/// and headers (`200 date: …; retry-after: 1`), the rest is the body.
struct Script {
    answers: VecDeque<Response>,
    ticks_ms: u64,
}

impl Script {
    fn new<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Self {
        Self { answers: parts.map(response).collect(), ticks_ms: 0 }
    }
}

fn response(part: &[u8]) -> Response {
    let end = part.iter().position(|byte| *byte == b'\n').unwrap_or(part.len());
    let (first, body) = part.split_at(end);
    let first = String::from_utf8_lossy(first);
    let (status, headers) = first.split_once(' ').unwrap_or((&first, ""));
    let header = |header: &str| {
        let (name, value) = header.split_once(':')?;
        Some((name.trim().to_lowercase(), value.trim().to_owned()))
    };
    Response {
        status: status.parse().unwrap_or(200),
        headers: headers.split(';').filter_map(header).collect(),
        body: body.get(1..).unwrap_or_default().to_vec(),
    }
}

impl Transport for Script {
    fn now_ms(&self) -> u64 {
        NOW_MS
    }

    fn ticks_ms(&self) -> u64 {
        self.ticks_ms
    }

    fn send(&mut self, requests: &[Request], _: usize) -> Vec<Result<Response, Failure>> {
        self.ticks_ms += 100;
        let none = || Failure::Broken("no further answer".to_owned());
        requests.iter().map(|_| self.answers.pop_front().ok_or_else(none)).collect()
    }
}

fn connect<'a>(answers: impl Iterator<Item = &'a [u8]>) -> Connection<Script> {
    Connection::open(Script::new(answers), CONFIG, Some(SESSION)).expect("the session of the tree")
}

/// Subscription, headers (a line each), body, answers.
pub(super) fn webhook(input: &[u8]) {
    let mut parts = parts(input);
    let (subscription, headers) = (text(parts.next()), text(parts.next()));
    let body = parts.next().unwrap_or_default().to_vec();
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_owned(), value.trim().as_bytes().to_vec()))
    };
    let headers = headers.lines().filter_map(header).collect();
    let delivery = Delivery { received_at_ms: NOW_MS, method: "POST".to_owned(), headers, body };
    let mut connection = connect(parts);
    let subscription = Some(subscription.as_str()).filter(|text| !text.is_empty());
    let receipts = connection.receive(subscription, &[delivery]);
    assert_eq!(receipts.len(), 1, "one result per delivery");
    for change in receipts.into_iter().flatten().flat_map(|receipt| receipt.changes) {
        assert_is_object(&change.key);
    }
}

/// Key set, token.
pub(super) fn jwt(input: &[u8]) {
    let mut parts = parts(input);
    let keys: Vec<Value> = serde_json::from_slice(parts.next().unwrap_or_default()).unwrap_or_default();
    // Only the outcome of other keys than the sender's matters, which the tests of the guest check.
    let _refusal = signature::verify(&text(parts.next()), &Keys::new(&keys), "42", Some("7"), NOW_MS);
}

/// The number of a call, answers.
pub(super) fn answers(input: &[u8]) {
    let (call, rest) = input.split_first().unwrap_or((&0, &[]));
    let mut connection = connect(parts(rest));
    // Errors are fine: only a panic, or a call without end, is not.
    match call % 8 {
        0 => drop(connection.check()),
        1 => drop(connection.discover()),
        2 => drop(connection.count("tickets")),
        3 => drop(connection.authorize(r#"{"code":"good"}"#)),
        4 => drop(connection.command("list-departments", "")),
        5 => drop(connection.command("refresh-token", "")),
        6 => drop(connection.subscribe("https://example.com/hook", &[], None)),
        _ => read(&mut connection, TABLES[usize::from(call / 8) % TABLES.len()], None),
    }
}

/// The number of a table, cursor, answers.
pub(super) fn cursor(input: &[u8]) {
    let (table, rest) = input.split_first().unwrap_or((&0, &[]));
    let mut parts = parts(rest);
    let cursor = text(parts.next());
    read(&mut connect(parts), TABLES[usize::from(*table) % TABLES.len()], Some(cursor));
}

fn read(connection: &mut Connection<Script>, table: &str, mut cursor: Option<String>) {
    for _ in 0..CALLS_MAX {
        let Ok(batch) = connection.read(table, cursor.as_deref(), LIMITS) else { return };
        batch.changes.iter().for_each(|change| assert_is_object(&change.key));
        if batch.caught_up {
            return;
        }
        // A cursor that the connector returns is one that it reads.
        cursor = Some(batch.cursor);
    }
}

/// Configuration, session, answers.
pub(super) fn session(input: &[u8]) {
    let mut parts = parts(input);
    let (config, session) = (text(parts.next()), text(parts.next()));
    let session = Some(session.as_str()).filter(|text| !text.is_empty());
    if let Ok(mut connection) = Connection::open(Script::new(parts), &config, session) {
        connection.check();
        let again = Connection::open(Script::new([].into_iter()), &config, Some(&connection.session()));
        assert!(again.is_ok(), "a session that the connector returns is one that it opens");
    }
}

/// Subscription, answers.
pub(super) fn subscription(input: &[u8]) {
    let mut parts = parts(input);
    let subscription = text(parts.next());
    let mut connection = connect(parts);
    drop(connection.check_subscription(&subscription));
    drop(connection.subscribe("https://example.com/hook", &["tickets".to_owned()], Some(&subscription)));
    drop(connection.unsubscribe(&subscription));
}

fn assert_is_object(key: &str) {
    let key: Result<Value, _> = serde_json::from_str(key);
    assert!(key.is_ok_and(|key| key.is_object()), "a key is a JSON object");
}
