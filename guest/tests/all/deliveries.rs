//! Deliveries through a scripted transport: signatures and their keys, refetched records, departments.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use zoho_desk::change::Operation;
use zoho_desk::connection::Connection;
use zoho_desk::error::{Error, Kind};
use zoho_desk::limits::{
    EVENT_SKEW_MS, EVENTS_MAX, SIGNING_KEYS_INTERVAL_MS, SIGNING_KEYS_LIFE_MS, SIGNING_KEYS_OUTAGE_MS,
    SIGNING_KEYS_RECHECK_MS, SIGNING_KEYS_STALE_MS,
};
use zoho_desk::webhook::keys::Keys;
use zoho_desk::webhook::signature::{Refusal, verify};
use zoho_desk::webhook::{Delivery, Receipt};

use crate::desk::Desk;
use crate::setup::connect;
use crate::signer::{jwk, signed, token};

const NOW_MS: u64 = 1_795_368_310_000;

fn keys() -> Keys {
    Keys::new(&[json!({"kid": "other", "kty": "EC"}), jwk("k1"), json!("no key")])
}

fn check(kid: &str, iss: &str, aud: &str, exp: u64) -> Result<u64, Refusal> {
    verify(&token(kid, iss, aud, exp), &keys(), "42", Some("7"), NOW_MS)
}

#[test]
fn a_signature_for_this_webhook_is_accepted_with_expiry_in_either_unit() {
    let ends_ms = NOW_MS + 60_000;
    assert_eq!(check("k1", "orgId:42", "webhookId:7", ends_ms / 1000), Ok(ends_ms));
    assert_eq!(check("k1", "orgId:42", "webhookId:7", ends_ms), Ok(ends_ms));
}

#[test]
fn every_other_signature_is_refused() {
    let soon = NOW_MS / 1000 + 60;
    assert_eq!(check("k2", "orgId:42", "webhookId:7", soon), Err(Refusal::UnknownKey("k2".into())));
    assert_eq!(check("k1", "orgId:43", "webhookId:7", soon), Err(Refusal::Foreign("organization")));
    assert_eq!(check("k1", "orgId:42", "webhookId:8", soon), Err(Refusal::Foreign("webhook")));
    assert_eq!(check("k1", "orgId:42", "webhookId:7", soon - 3600), Err(Refusal::Expired));
    assert_eq!(check("k1", "orgId:42", "webhookId:7", NOW_MS - 3_600_000), Err(Refusal::Expired));
    let good = token("k1", "orgId:42", "webhookId:7", soon);
    let (content, signature) = good.rsplit_once('.').unwrap();
    let other = token("k1", "orgId:42", "webhookId:7", soon + 3600);
    let (longer, _) = other.rsplit_once('.').unwrap();
    let claims = json!({"iss": "orgId:42", "aud": "webhookId:7", "exp": soon});
    for forged in [
        format!("{content}.{}", "A".repeat(342)),
        format!("{content}.AAAA"),
        format!("{longer}.{signature}"),
        "nonsense".to_owned(),
        "eyJhbGciOiJub25lIiwia2lkIjoiazEifQ.e30.".to_owned(),
        signed(&json!({"alg": "HS256", "kid": "k1"}), &claims),
    ] {
        let outcome = verify(&forged, &keys(), "42", Some("7"), NOW_MS);
        assert!(matches!(outcome, Err(Refusal::Forged(_))), "{forged}: {outcome:?}");
    }
}

#[test]
fn keys_that_are_too_short_or_malformed_are_ignored() {
    let short = json!({"kid": "short", "kty": "RSA", "n": URL_SAFE_NO_PAD.encode([255; 128]), "e": "AQAB"});
    let even = json!({"kid": "even", "kty": "RSA", "n": URL_SAFE_NO_PAD.encode([254; 256]), "e": "AQAB"});
    let keys = Keys::new(&[short, even, json!(null), json!({"kid": 7}), jwk("k1")]);
    assert!(keys.get("short").is_none() && keys.get("even").is_none() && keys.get("k1").is_some());
}

/// A connection that has verified a delivery signed by the key `k1`.
fn connect_with_key(desk: &Desk) -> Connection<Desk> {
    desk.set(|state| state.jwks = vec![jwk("k1")]);
    let mut connection = connect(desk, json!({}));
    deliver(&mut connection, desk, "k1").unwrap();
    assert_eq!(desk.key_fetches(), 1);
    connection
}

/// A delivery that arrives now, signed by a key of this name.
fn deliver(connection: &mut Connection<Desk>, desk: &Desk, kid: &str) -> Result<usize, Error> {
    deliver_of(connection, desk.now_ms(), kid)
}

fn deliver_of(connection: &mut Connection<Desk>, received_at_ms: u64, kid: &str) -> Result<usize, Error> {
    let subscription = r#"{"version":1,"webhook_id":"7","url":"https://x","events":[]}"#;
    let token = token(kid, "orgId:42", "webhookId:7", received_at_ms / 1000 + 60);
    let body = json!([{"eventType": "Department_Update", "payload": {"id": "5"}, "orgId": "42"}]);
    let headers = vec![("X-ZDesk-JWT".to_owned(), token.into_bytes())];
    let mut receipts = connection.receive(Some(subscription), &[delivery(received_at_ms, headers, &body)]);
    receipts.remove(0).map(|receipt| receipt.changes.len())
}

fn delivery(received_at_ms: u64, headers: Vec<(String, Vec<u8>)>, body: &Value) -> Delivery {
    Delivery { received_at_ms, method: "POST".to_owned(), headers, body: body.to_string().into_bytes() }
}

/// Receipts of unsigned deliveries with these bodies.
fn unsigned(connection: &mut Connection<Desk>, at_ms: u64, bodies: &[Value]) -> Vec<Result<Receipt, Error>> {
    let deliveries: Vec<Delivery> = bodies.iter().map(|body| delivery(at_ms, Vec::new(), body)).collect();
    connection.receive(None, &deliveries)
}

#[test]
fn a_delivery_signed_by_a_new_key_is_accepted_after_one_fetch() {
    let desk = Desk::with_tickets(1);
    let mut connection = connect_with_key(&desk);
    desk.advance_ms(SIGNING_KEYS_INTERVAL_MS + 1);
    desk.set(|state| state.jwks = vec![jwk("k2")]);
    assert_eq!(deliver(&mut connection, &desk, "k2"), Ok(1));
    assert_eq!(deliver(&mut connection, &desk, "k2"), Ok(1));
    assert_eq!(desk.key_fetches(), 2);
}

#[test]
fn a_delivery_signed_by_a_new_key_waits_until_keys_may_be_fetched_again() {
    let desk = Desk::with_tickets(1);
    let mut connection = connect_with_key(&desk);
    desk.advance_ms(SIGNING_KEYS_INTERVAL_MS / 4);
    desk.set(|state| state.jwks = vec![jwk("k2")]);
    let arrived_ms = desk.now_ms();
    let waits = deliver_of(&mut connection, arrived_ms, "k2").unwrap_err();
    assert_eq!((waits.kind, desk.key_fetches()), (Kind::Unavailable, 1));
    desk.advance_ms(waits.retry_after_ms.unwrap());
    assert_eq!(deliver_of(&mut connection, arrived_ms, "k2"), Ok(1));
}

#[test]
fn a_delivery_signed_with_an_unknown_key_is_rejected_once_newer_keys_were_fetched() {
    let desk = Desk::with_tickets(1);
    let mut connection = connect_with_key(&desk);
    desk.advance_ms(SIGNING_KEYS_INTERVAL_MS + 1);
    let arrived_ms = desk.now_ms();
    desk.advance_ms(1);
    for _ in 0..3 {
        let refused = deliver_of(&mut connection, arrived_ms, "k9").unwrap_err();
        assert_eq!(refused.kind, Kind::Permission, "{refused}");
    }
    assert_eq!(desk.key_fetches(), 2, "one fetch for all of them");
}

/// A dead letter is replayed whose key was published after it had arrived.
#[test]
fn a_rejected_delivery_is_accepted_when_its_key_is_published_and_fetched_later() {
    let desk = Desk::with_tickets(1);
    let mut connection = connect_with_key(&desk);
    desk.advance_ms(SIGNING_KEYS_INTERVAL_MS + 1);
    let arrived_ms = desk.now_ms();
    desk.advance_ms(1);
    assert_eq!(deliver_of(&mut connection, arrived_ms, "k2").unwrap_err().kind, Kind::Permission);
    desk.set(|state| state.jwks = vec![jwk("k2")]);
    desk.advance_ms(SIGNING_KEYS_RECHECK_MS + 1);
    assert_eq!(deliver_of(&mut connection, arrived_ms, "k2"), Ok(1));
}

/// Any sender with the URL can name any key; that must not block signed deliveries while keys cannot be
/// fetched.
#[test]
fn an_unknown_key_waits_for_a_limited_time_while_keys_cannot_be_fetched_and_known_keys_do_not() {
    let desk = Desk::with_tickets(1);
    let mut connection = connect_with_key(&desk);
    desk.advance_ms(SIGNING_KEYS_INTERVAL_MS + 1);
    desk.set(|state| state.keys_fail = true);
    let arrived_ms = desk.now_ms();
    assert_eq!(deliver_of(&mut connection, arrived_ms, "k9").unwrap_err().kind, Kind::Unavailable);
    assert_eq!(deliver(&mut connection, &desk, "k1"), Ok(1), "known keys are trusted");
    desk.advance_ms(SIGNING_KEYS_OUTAGE_MS + 1);
    assert_eq!(deliver_of(&mut connection, arrived_ms, "k9").unwrap_err().kind, Kind::Permission);
    desk.advance_ms(SIGNING_KEYS_LIFE_MS);
    assert_eq!(
        deliver(&mut connection, &desk, "k1"),
        Ok(1),
        "old keys are trusted while there are no others"
    );
    desk.advance_ms(SIGNING_KEYS_STALE_MS);
    assert_eq!(deliver(&mut connection, &desk, "k1").unwrap_err().kind, Kind::Unavailable);
}

#[test]
fn an_unsigned_event_is_refetched_and_one_that_no_table_declares_is_ignored() {
    let desk = Desk::with_tickets(1);
    let mut connection = connect(&desk, json!({}));
    let body =
        json!([{"eventType": "Department_Update", "payload": {"id": "5", "name": "a lie"}, "orgId": "42"}]);
    let receipts = unsigned(&mut connection, desk.now_ms(), &[body]);
    let after = receipts[0].as_ref().unwrap().changes[0].after.clone().unwrap();
    assert!(after.contains("by the API"), "{after}");
    let body = json!([{"eventType": "Department_Delete", "payload": {"id": "5"}, "orgId": "42"}]);
    let receipts = unsigned(&mut connection, desk.now_ms(), &[body]);
    let receipt = receipts[0].as_ref().unwrap();
    assert!(receipt.changes.is_empty() && receipt.ignored == ["Department_Delete"], "{receipt:?}");
}

#[test]
fn an_event_of_the_far_future_is_dated_shortly_after_its_arrival_at_most() {
    for refetch in ["always", "never"] {
        let desk = Desk::with_tickets(3);
        let mut connection = connect(&desk, json!({"refetch": refetch}));
        let event = |name: &str, id: &str| {
            let payload = json!({"id": id});
            json!([{"eventType": name, "payload": payload, "orgId": "42", "eventTime": "9999999999999"}])
        };
        let bodies = [event("Ticket_Update", "2"), event("Ticket_Delete", "1")];
        for receipt in unsigned(&mut connection, desk.now_ms(), &bodies) {
            let as_of_ms = receipt.unwrap().changes[0].as_of_ms.unwrap();
            assert!(as_of_ms <= desk.now_ms() + EVENT_SKEW_MS, "{refetch}: {as_of_ms}");
        }
    }
}

#[test]
fn a_record_is_refetched_once_for_all_deliveries_of_a_call() {
    let desk = Desk::with_tickets(3);
    let mut connection = connect(&desk, json!({}));
    let body = json!([{"eventType": "Ticket_Update", "payload": {"id": "2"}, "orgId": "42"}]);
    let before = desk.calls();
    let receipts = unsigned(&mut connection, desk.now_ms(), &vec![body; 20]);
    assert!(receipts.iter().all(|receipt| receipt.as_ref().is_ok_and(|receipt| receipt.changes.len() == 1)));
    assert_eq!(desk.calls() - before, 1);
}

#[test]
fn a_record_that_cannot_be_refetched_fails_its_delivery_and_no_other() {
    let desk = Desk::with_tickets(3);
    desk.set(|state| state.fail_detail_of = Some("2".to_owned()));
    let mut connection = connect(&desk, json!({}));
    let of = |id: &str| json!([{"eventType": "Ticket_Update", "payload": {"id": id}, "orgId": "42"}]);
    let receipts = unsigned(&mut connection, desk.now_ms(), &[of("1"), of("2"), of("3")]);
    let kinds: Vec<Option<Kind>> =
        receipts.iter().map(|receipt| receipt.as_ref().err().map(|e| e.kind)).collect();
    assert_eq!(kinds, [None, Some(Kind::Unavailable), None]);
}

#[test]
fn a_delivery_of_too_many_events_is_refused_without_a_call() {
    let desk = Desk::with_tickets(1);
    let mut connection = connect(&desk, json!({}));
    let event = json!({"eventType": "Ticket_Update", "payload": {"id": "1"}});
    let before = desk.calls();
    let receipts = unsigned(&mut connection, desk.now_ms(), &[Value::from(vec![event; EVENTS_MAX + 1])]);
    assert_eq!(receipts[0].as_ref().unwrap_err().kind, Kind::Data);
    assert_eq!(desk.calls(), before);
}

#[test]
fn an_event_without_an_organization_must_be_signed_or_refetched() {
    let body = json!([{"eventType": "Ticket_Update", "payload": {"id": "1"}}]);
    for (refetch, is_accepted) in [("auto", true), ("always", true), ("never", false)] {
        let desk = Desk::with_tickets(1);
        let mut connection = connect(&desk, json!({"refetch": refetch}));
        let receipts = unsigned(&mut connection, desk.now_ms(), std::slice::from_ref(&body));
        assert_eq!(receipts[0].is_ok(), is_accepted, "{refetch}");
    }
}

#[test]
fn an_update_event_with_any_delete_flag_is_a_delete() {
    let desk = Desk::with_tickets(1);
    let mut connection = connect(&desk, json!({"refetch": "never"}));
    for flag in ["isDeleted", "isTrashed", "IsDel"] {
        let body =
            json!([{"eventType": "Ticket_Update", "payload": {"id": "1", flag: "true"}, "orgId": "42"}]);
        let receipts = unsigned(&mut connection, desk.now_ms(), &[body]);
        assert_eq!(receipts[0].as_ref().unwrap().changes[0].operation, Operation::Delete, "{flag}");
    }
}

#[test]
fn a_delete_found_by_a_refetch_is_dated_by_the_answer_not_by_the_event() {
    let desk = Desk::with_tickets(3);
    desk.set(|state| {
        state.detail_status.insert("2".to_owned(), 404);
    });
    let mut connection = connect(&desk, json!({}));
    let event_ms = desk.now_ms() - 3_600_000;
    let body = |name: &str| {
        let event_time = event_ms.to_string();
        json!([{"eventType": name, "payload": {"id": "2"}, "orgId": "42", "eventTime": event_time}])
    };
    let receipts = unsigned(&mut connection, event_ms, &[body("Ticket_Delete"), body("Ticket_Update")]);
    let change = &receipts[0].as_ref().unwrap().changes[0];
    assert_eq!(change.operation, Operation::Delete);
    assert!(change.as_of_ms.unwrap() > event_ms + 3_000_000, "{:?}", change.as_of_ms);
    let changes = &receipts[1].as_ref().unwrap().changes;
    assert!(
        changes.is_empty(),
        "no event says that it is deleted, and a 404 may be of an outage: {changes:?}"
    );
}

#[test]
fn a_delivery_whose_record_a_proxy_answers_for_is_tried_again() {
    let desk = Desk::with_tickets(3);
    let mut connection = connect(&desk, json!({}));
    let body = json!([{"eventType": "Ticket_Update", "payload": {"id": "2"}, "orgId": "42"}]);
    for (status, text) in
        [(404, "<html>maintenance"), (404, r#"{"errorCode":"URL_NOT"#), (200, r#"{"id":"2"#)]
    {
        desk.set(|state| state.detail_of_proxy = Some(("2".to_owned(), status, text)));
        let receipts = unsigned(&mut connection, desk.now_ms(), std::slice::from_ref(&body));
        let kind = receipts[0].as_ref().map(|receipt| receipt.changes.len()).map_err(|error| error.kind);
        assert_eq!(kind, Err(Kind::Unavailable), "{status} {text}");
    }
    desk.set(|state| state.detail_of_proxy = None);
    let receipts = unsigned(&mut connection, desk.now_ms(), &[body]);
    assert_eq!(receipts[0].as_ref().unwrap().changes[0].operation, Operation::Update);
}

/// Zoho does not filter delete events by department, and a webhook that was registered by hand may have no
/// filter.
#[test]
fn events_apply_to_selected_departments_only_and_a_record_that_left_them_is_deleted() {
    let selected = json!({"department_ids": ["1"], "refetch": "never"});
    let take = |name: &str, payload: Value, previous: Value| {
        let desk = Desk::with_tickets(3);
        let mut connection = connect(&desk, selected.clone());
        let body = json!([{"eventType": name, "payload": payload, "prevState": previous, "orgId": "42"}]);
        let receipts = unsigned(&mut connection, desk.now_ms(), &[body]);
        receipts[0].as_ref().unwrap().changes.first().map(|change| change.operation)
    };
    let ticket = |department: &str| json!({"id": "2", "departmentId": department});
    assert_eq!(take("Ticket_Update", ticket("1"), Value::Null), Some(Operation::Update));
    assert_eq!(take("Ticket_Update", ticket("9"), ticket("1")), Some(Operation::Delete));
    assert_eq!(take("Ticket_Update", ticket("9"), ticket("9")), None);
    assert_eq!(take("Ticket_Add", ticket("9"), Value::Null), Some(Operation::Delete));
    assert_eq!(take("Ticket_Delete", ticket("9"), Value::Null), None);
    assert_eq!(take("Ticket_Delete", json!({"id": "2"}), Value::Null), Some(Operation::Delete));
}

#[test]
fn a_refetched_ticket_of_another_department_is_deleted_and_its_threads_are_not_applied() {
    let desk = Desk::with_tickets(3);
    desk.set(|state| state.move_to(2, 9));
    let mut connection = connect(&desk, json!({"department_ids": ["1"]}));
    let thread = |ticket: &str| {
        let payload = json!({"id": format!("7{ticket}"), "ticketId": ticket});
        json!([{"eventType": "Ticket_Thread_Add", "payload": payload, "orgId": "42"}])
    };
    let receipts = unsigned(&mut connection, desk.now_ms(), &[thread("1"), thread("2")]);
    let of = |index: usize| -> Vec<(&str, Operation)> {
        let receipt = receipts[index].as_ref().unwrap();
        receipt.changes.iter().map(|change| (change.table, change.operation)).collect()
    };
    assert_eq!(of(0), [("tickets", Operation::Update), ("ticket_conversations", Operation::Update)]);
    assert_eq!(of(1), [("tickets", Operation::Delete)]);
}
