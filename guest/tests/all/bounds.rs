//! The cost of deliveries: records of one call, records of unsigned deliveries, and no record twice.

use serde_json::{Value, json};
use zoho_desk::connection::Connection;
use zoho_desk::error::{Error, Kind};
use zoho_desk::limits::{REFETCHES_MAX, UNSIGNED_READS_MAX, UNSIGNED_WINDOW_MS};
use zoho_desk::webhook::Receipt;

use crate::desk::Desk;
use crate::setup::connect;
use crate::signer::delivery;

fn update(id: usize) -> Value {
    json!({"eventType": "Ticket_Update", "payload": {"id": id.to_string()}, "orgId": "42"})
}

fn receive(
    connection: &mut Connection<Desk>,
    at_ms: u64,
    bodies: impl IntoIterator<Item = Value>,
) -> Vec<Result<Receipt, Error>> {
    let deliveries: Vec<_> = bodies.into_iter().map(|body| delivery(at_ms, None, &body)).collect();
    connection.receive(None, &deliveries)
}

fn connect_to(desk: &Desk) -> Connection<Desk> {
    connect(desk, json!({"signature": "off"}))
}

#[test]
fn one_call_reads_a_bounded_number_of_records_and_those_behind_wait_in_order() {
    let desk = Desk::with_tickets(3 * REFETCHES_MAX as u32);
    let mut connection = connect_to(&desk);
    let ids: Vec<usize> = (1..=2 * REFETCHES_MAX + 10).collect();
    let mut left = &ids[..];
    let mut calls = 0;
    while !left.is_empty() {
        let before = desk.calls();
        let receipts = receive(&mut connection, desk.now_ms(), left.iter().map(|id| update(*id)));
        assert!(desk.calls() - before <= REFETCHES_MAX + 1, "{}", desk.calls() - before);
        let done = receipts.iter().take_while(|receipt| receipt.is_ok()).count();
        assert!(done > 0);
        for waiting in &receipts[done..] {
            let error = waiting.as_ref().unwrap_err();
            assert_eq!((error.kind, error.retry_after_ms), (Kind::Unavailable, Some(0)));
        }
        left = &left[done..];
        calls += 1;
    }
    assert_eq!(calls, 3);
}

#[test]
fn a_delivery_that_needs_more_records_than_a_call_is_read_alone() {
    let desk = Desk::with_tickets(1000);
    let mut connection = connect_to(&desk);
    let large = Value::from((1..=REFETCHES_MAX + 50).map(update).collect::<Vec<_>>());
    let receipts = receive(&mut connection, desk.now_ms(), [update(900), large.clone(), update(901)]);
    assert!(receipts[0].is_ok() && receipts[1].is_err() && receipts[2].is_err());
    let receipts = receive(&mut connection, desk.now_ms(), [large, update(901)]);
    assert_eq!(receipts[0].as_ref().unwrap().changes.len(), REFETCHES_MAX + 50);
    assert!(receipts[1].is_err());
}

#[test]
fn unsigned_deliveries_may_have_a_bounded_number_of_records_read_in_an_hour() {
    let desk = Desk::with_tickets(1000);
    let mut connection = connect(&desk, json!({}));
    let most = UNSIGNED_READS_MAX as usize;
    let at_ms = desk.now_ms();
    let receipts = receive(&mut connection, at_ms, (1..=most).map(update));
    assert!(receipts.iter().all(Result::is_ok));
    let before = desk.calls();
    let refused = receive(&mut connection, at_ms, [update(most + 1)]).remove(0).unwrap_err();
    assert_eq!((refused.kind, refused.code.as_deref()), (Kind::Permission, Some("UNSIGNED")));
    assert_eq!(desk.calls(), before);
    desk.advance_ms(UNSIGNED_WINDOW_MS);
    assert!(receive(&mut connection, desk.now_ms(), [update(most + 1)])[0].is_ok());
}

#[test]
fn an_outage_does_not_use_up_the_records_of_unsigned_deliveries() {
    let desk = Desk::with_tickets(1000);
    let mut connection = connect(&desk, json!({}));
    let at_ms = desk.now_ms();
    for _ in 0..3 {
        desk.set(|state| state.fail_details = true);
        for receipt in receive(&mut connection, at_ms, (1..=150).map(update)) {
            assert_eq!(receipt.unwrap_err().kind, Kind::Unavailable);
        }
        desk.advance_ms(10_000);
    }
    desk.set(|state| state.fail_details = false);
    assert!(receive(&mut connection, at_ms, (1..=150).map(update)).iter().all(Result::is_ok));
}

#[test]
fn answers_of_a_proxy_do_not_use_up_the_records_of_unsigned_deliveries() {
    for (status, text) in [(404, "<html>maintenance"), (200, "<html>maintenance"), (502, "<html>")] {
        let desk = Desk::with_tickets(10);
        let mut connection = connect(&desk, json!({}));
        desk.set(|state| state.detail_of_proxy = Some(("2".to_owned(), status, text)));
        for _ in 0..UNSIGNED_READS_MAX {
            let error = receive(&mut connection, desk.now_ms(), [update(2)]).remove(0).unwrap_err();
            assert_eq!(error.kind, Kind::Unavailable, "{error}");
            desk.advance_ms(1_000);
        }
        desk.set(|state| state.detail_of_proxy = None);
        let receipt = receive(&mut connection, desk.now_ms(), [update(3)]).remove(0);
        assert!(receipt.is_ok(), "{status}: {:?}", receipt.unwrap_err());
    }
}

#[test]
fn unsigned_deliveries_of_which_too_many_records_fail_wait_for_the_next_hour() {
    let desk = Desk::with_tickets(1000);
    let mut connection = connect(&desk, json!({}));
    desk.set(|state| state.fail_details = true);
    let fail = |_| {
        desk.advance_ms(60_000);
        let receipts = receive(&mut connection, desk.now_ms(), (1..=150).map(update));
        receipts.into_iter().map(Result::unwrap_err).find(|error| error.kind != Kind::Unavailable)
    };
    let error = (0..20).find_map(fail).unwrap();
    assert_eq!((error.kind, error.code.as_deref()), (Kind::RateLimited, Some("UNSIGNED_FAILED")), "{error}");
    assert!(error.hint.is_some());
    assert!(error.retry_after_ms.is_some_and(|wait_ms| wait_ms > 0 && wait_ms < UNSIGNED_WINDOW_MS));
    desk.set(|state| state.fail_details = false);
    desk.advance_ms(error.retry_after_ms.unwrap());
    assert!(receive(&mut connection, desk.now_ms(), (1..=150).map(update)).iter().all(Result::is_ok));
}

#[test]
fn with_signatures_off_unsigned_deliveries_have_no_such_bound() {
    let desk = Desk::with_tickets(1000);
    let mut connection = connect_to(&desk);
    for start in [1, 201, 401] {
        let ids = start..start + REFETCHES_MAX;
        assert!(receive(&mut connection, desk.now_ms(), ids.map(update)).iter().all(Result::is_ok));
    }
}

#[test]
fn a_record_that_was_read_after_a_delivery_arrived_is_not_read_for_it_again() {
    let desk = Desk::with_tickets(3);
    let mut connection = connect_to(&desk);
    let arrived_ms = desk.now_ms();
    desk.advance_ms(5);
    let mut reads_of = |at_ms: u64| {
        let before = desk.calls();
        let receipts = receive(&mut connection, at_ms, [update(2)]);
        assert_eq!(receipts[0].as_ref().unwrap().changes.len(), 1, "each has its change");
        desk.calls() - before
    };
    assert_eq!(reads_of(arrived_ms), 1);
    assert_eq!(reads_of(arrived_ms + 1), 0);
    assert_eq!(reads_of(desk.now_ms()), 1, "it may have changed since");
}
