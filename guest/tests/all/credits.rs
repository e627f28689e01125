//! The day's credits: the reserve for others, and polls that cost less while nothing changes.

use serde_json::json;
use zoho_desk::connection::Connection;
use zoho_desk::error::Kind;

use crate::desk::Desk;
use crate::setup::{LIMITS, connect, read_all, read_round};
use crate::signer::{delivery, jwk, token};

const MINUTE_MS: u64 = 60_000;

/// Tickets that are read, and followed once when so many credits are left; with the cursor.
fn followed_with_credits(desk: &Desk, left: u64) -> (Connection<Desk>, String) {
    let mut connection = connect(desk, json!({}));
    let (_, cursor) = read_all(&mut connection, "tickets", LIMITS);
    desk.set(|state| state.credits_left = left);
    desk.advance_ms(5 * MINUTE_MS);
    let cursor = read_round(&mut connection, "tickets", &cursor).cursor;
    (connection, cursor)
}

#[test]
fn a_snapshot_waits_for_credits_before_incremental_reading_does() {
    let desk = Desk::with_tickets(30);
    let (mut connection, cursor) = followed_with_credits(&desk, 29_000);
    let calls = desk.calls();
    let error = connection.read("tickets", None, LIMITS).unwrap_err();
    assert_eq!(error.kind, Kind::RateLimited);
    assert!(error.message.starts_with("29000 of 100000 credits are left today"), "{error}");
    assert!(error.retry_after_ms.is_some() && error.hint.is_some());
    assert_eq!(desk.calls(), calls, "no call");
    desk.set(|state| state.credits_left = 19_000);
    desk.advance_ms(5 * MINUTE_MS);
    let batch = connection.read("tickets", Some(&cursor), LIMITS).unwrap();
    assert!(connection.read("tickets", Some(&batch.cursor), LIMITS).is_err(), "below the reserve");
    desk.set(|state| state.credits_left = 99_000);
    desk.advance_ms(31 * MINUTE_MS);
    read_round(&mut connection, "tickets", &batch.cursor);
    read_all(&mut connection, "tickets", LIMITS);
}

#[test]
fn another_instance_asks_for_the_credits_left_before_it_uses_more() {
    let desk = Desk::with_tickets(300);
    let (connection, cursor) = followed_with_credits(&desk, 29_000);
    let config = json!({"organization_id": "42", "client_id": "id", "client_secret": "secret"}).to_string();
    let again = |connection: &Connection<Desk>| {
        Connection::open(desk.clone(), &config, Some(&connection.session())).unwrap()
    };
    let calls = desk.calls();
    let mut second = again(&connection);
    assert_eq!(second.read("tickets", None, LIMITS).unwrap_err().kind, Kind::RateLimited);
    assert_eq!(desk.calls(), calls + 1, "one call, for the credits left");
    assert!(second.read("tickets", None, LIMITS).is_err());
    assert_eq!(desk.calls(), calls + 1, "the number is known for a while");
    read_round(&mut second, "tickets", &cursor);
    // Credits were bought, or another day started.
    desk.set(|state| state.credits_left = 99_000);
    let mut third = again(&second);
    read_all(&mut third, "tickets", LIMITS);
}

#[test]
fn files_wait_for_credits_as_snapshots_do_and_incremental_reading_does_not() {
    let desk = Desk::with_tickets(30);
    let (mut connection, cursor) = followed_with_credits(&desk, 29_000);
    let calls = desk.calls();
    let row = r#"{"id":"7","href":"/api/v1/tickets/1/attachments/7/content"}"#;
    let error = connection.fetch("ticket_attachments", row, 0, LIMITS).unwrap_err();
    assert_eq!(error.kind, Kind::RateLimited, "{error}");
    assert_eq!(desk.calls(), calls, "no call");
    desk.advance_ms(5 * MINUTE_MS);
    read_round(&mut connection, "tickets", &cursor);
}

#[test]
fn a_snapshot_whose_credits_end_keeps_its_rows_and_continues_from_there() {
    let desk = Desk::with_tickets(300);
    let mut connection = connect(&desk, json!({}));
    let first = connection.read("tickets", None, crate::setup::LIMITS).unwrap();
    assert!(!first.changes.is_empty());
    let small = zoho_desk::reader::Limits { max_changes: 50, ..LIMITS };
    let part = connection.read("tickets", None, small).unwrap();
    desk.set(|state| state.credits_left = 100);
    let last = connection.read("tickets", Some(&part.cursor), LIMITS).unwrap();
    assert!(!last.changes.is_empty() && !last.caught_up);
    assert!(last.wait_ms.is_some_and(|ms| ms >= 30 * MINUTE_MS), "{:?}", last.wait_ms);
    assert!(last.warnings.iter().any(|text| text.contains("credits are left today")), "{:?}", last.warnings);
    assert!(connection.read("tickets", Some(&last.cursor), LIMITS).is_err());
}

#[test]
fn a_reserve_of_nothing_leaves_the_decision_to_the_source() {
    let desk = Desk::with_tickets(30);
    let mut connection = connect(&desk, json!({"credits_reserve": 0}));
    read_all(&mut connection, "tickets", LIMITS);
    desk.set(|state| state.credits_left = 1);
    read_all(&mut connection, "tickets", LIMITS);
    read_all(&mut connection, "tickets", LIMITS);
}

#[test]
fn a_table_in_which_nothing_changes_waits_longer_and_a_change_makes_it_usual() {
    let desk = Desk::with_tickets(9);
    let mut connection = connect(&desk, json!({}));
    let (_, mut cursor) = read_all(&mut connection, "tickets", LIMITS);
    let mut wait_min = |changed: bool| {
        desk.advance_ms(40 * MINUTE_MS);
        if changed {
            desk.set(|state| state.modify("5"));
            desk.advance_ms(10_000);
        }
        let batch = read_round(&mut connection, "tickets", &cursor);
        cursor = batch.cursor;
        batch.wait_ms.unwrap() / MINUTE_MS
    };
    assert_eq!([false, false, false, true, false].map(&mut wait_min), [10, 20, 20, 5, 10]);
}

/// The connection after a signed delivery of a change of a ticket.
fn deliver(connection: &mut Connection<Desk>, desk: &Desk, id: &str) {
    let at_ms = desk.now_ms();
    let payload = json!({"id": id, "subject": "s", "departmentId": "1"});
    let body = json!([{"eventType": "Ticket_Update", "payload": payload, "orgId": "42"}]);
    let token = token("k1", "orgId:42", "webhookId:7", at_ms / 1000 + 60);
    let subscription = r#"{"version":1,"webhook_id":"7","url":"https://x","events":[]}"#;
    let receipts = connection.receive(Some(subscription), &[delivery(at_ms, Some(&token), &body)]);
    assert_eq!(receipts[0].as_ref().unwrap().changes.len(), 1);
}

#[test]
fn changes_that_no_webhook_can_bring_make_no_table_polled_more_often() {
    let desk = Desk::with_tickets(9);
    desk.set(|state| {
        state.jwks = vec![jwk("k1")];
        state.contracts = (1..=3).map(|id| (id, 1)).collect();
    });
    let mut connection = connect(&desk, json!({"department_ids": ["1"]}));
    let (_, cursor) = read_all(&mut connection, "tickets", LIMITS);
    let (_, contracts) = read_all(&mut connection, "contracts", LIMITS);
    desk.advance_ms(5 * MINUTE_MS);
    let now_ms = desk.now_ms();
    desk.set(|state| {
        state.modify("5");
        // A ticket of another department, and a contract: neither has events here.
        state.move_to(7, 2);
        state.contracts.insert(2, now_ms);
    });
    deliver(&mut connection, &desk, "5");
    desk.advance_ms(60 * MINUTE_MS);
    let found = read_round(&mut connection, "contracts", &contracts);
    assert_eq!((found.changes.len(), found.undelivered), (1, None));
    let round = read_round(&mut connection, "tickets", &cursor);
    assert_eq!((round.changes.len(), round.undelivered), (2, Some(0)));
    assert_eq!(round.wait_ms, Some(40 * MINUTE_MS));
}

#[test]
fn tables_are_polled_less_often_while_signed_deliveries_bring_every_change_also_by_one_instance_each() {
    let desk = Desk::with_tickets(9);
    desk.set(|state| state.jwks = vec![jwk("k1")]);
    let config = json!({"organization_id": "42", "client_id": "id", "client_secret": "secret"}).to_string();
    let again = |connection: &Connection<Desk>| {
        Connection::open(desk.clone(), &config, Some(&connection.session())).unwrap()
    };
    let mut connection = connect(&desk, json!({}));
    let (_, mut cursor) = read_all(&mut connection, "tickets", LIMITS);
    let mut wait_min = |changed: &str, delivered: bool| {
        desk.advance_ms(5 * MINUTE_MS);
        connection = again(&connection);
        desk.set(|state| state.modify(changed));
        if delivered {
            deliver(&mut connection, &desk, changed);
        }
        desk.advance_ms(10_000);
        connection = again(&connection);
        let batch = read_round(&mut connection, "tickets", &cursor);
        assert_eq!(batch.changes.len(), 1);
        assert_eq!(batch.undelivered.is_some_and(|count| count == 0), delivered);
        cursor = batch.cursor;
        batch.wait_ms.unwrap() / MINUTE_MS
    };
    assert_eq!(wait_min("5", false), 5, "no webhook is known");
    assert_eq!(wait_min("5", true), 40);
    assert_eq!(wait_min("6", false), 5, "a delivery was missed");
    assert_eq!(wait_min("5", true), 5, "for a while");
}
