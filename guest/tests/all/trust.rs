//! How far deliveries are trusted: first use, tokens, deletes, clocks, and keys that cannot be fetched.

use serde_json::{Value, json};
use zoho_desk::change::{Change, ChangeSource, Operation};
use zoho_desk::connection::Connection;
use zoho_desk::error::{Error, Kind};
use zoho_desk::limits::{
    SIGNING_KEYS_INTERVAL_MS, SIGNING_KEYS_LIFE_MS, SIGNING_KEYS_RETRY_MS, SIGNING_KEYS_STALE_MS,
    TOKEN_SHARED_MS,
};

use crate::desk::Desk;
use crate::setup::connect;
use crate::signer::{delivery, jwk, token};

const SUBSCRIPTION: &str = r#"{"version":1,"webhook_id":"7","url":"https://x","events":[]}"#;
const BY_HAND: &str = r#"{"version":1,"webhook_id":null,"url":"https://x","events":[]}"#;

const HOUR_MS: u64 = 60 * 60 * 1000;

fn desk() -> Desk {
    let desk = Desk::with_tickets(5);
    desk.set(|state| state.jwks = vec![jwk("k1")]);
    desk
}

/// Zoho's token for this webhook, issued at a time of its clock.
fn token_at(issued_ms: u64) -> String {
    token("k1", "orgId:42", "webhookId:7", issued_ms / 1000 + 60)
}

fn event(name: &str, payload: Value) -> Value {
    json!([{"eventType": name, "payload": payload, "orgId": "42"}])
}

/// A payload with every member that lets it be applied unread.
fn ticket(id: &str) -> Value {
    json!({"id": id, "subject": "by Zoho", "createdTime": "2026-11-22T17:25:10.000Z",
        "modifiedTime": "2026-11-22T17:25:10.000Z", "cf": {}})
}

fn receive(
    connection: &mut Connection<Desk>,
    subscription: Option<&str>,
    at_ms: u64,
    token: Option<&str>,
    body: &Value,
) -> Result<Vec<Change>, Error> {
    let mut receipts = connection.receive(subscription, &[delivery(at_ms, token, body)]);
    receipts.remove(0).map(|receipt| receipt.changes)
}

#[test]
fn after_one_signed_delivery_unsigned_ones_are_refused_also_after_a_restart_and_a_new_grant() {
    for (signature, is_refused) in [("auto", true), ("when-present", false)] {
        let desk = desk();
        let config = json!({"signature": signature});
        let mut connection = connect(&desk, config.clone());
        let body = event("Ticket_Update", json!({"id": "2"}));
        let now_ms = desk.now_ms();
        let unsigned = |connection: &mut Connection<Desk>| receive(connection, None, now_ms, None, &body);
        assert_eq!(unsigned(&mut connection).unwrap().len(), 1);
        receive(&mut connection, None, now_ms, Some(&token_at(now_ms)), &body).unwrap();
        assert_eq!(unsigned(&mut connection).is_err(), is_refused, "{signature}");
        connection.authorize(r#"{"code":"another"}"#).unwrap();
        let mut full = json!({"organization_id": "42", "client_id": "id", "client_secret": "secret"});
        full.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
        let session = connection.session();
        let mut again = Connection::open(desk.clone(), &full.to_string(), Some(&session)).unwrap();
        let outcome = unsigned(&mut again).map_err(|error| error.kind);
        assert_eq!(outcome.is_err(), is_refused, "{signature}");
        assert!(!is_refused || outcome == Err(Kind::Permission));
    }
}

#[test]
fn a_delete_is_read_before_it_is_applied_whatever_the_form_of_its_event() {
    let trashed = json!({"id": "2", "isTrashed": true});
    for (name, payload) in [("Ticket_Delete", json!({"id": "2"})), ("Ticket_Update", trashed)] {
        let desk = desk();
        let mut connection = connect(&desk, json!({}));
        let at_ms = desk.now_ms();
        let body = event(name, payload);
        let mut changes =
            || receive(&mut connection, Some(SUBSCRIPTION), at_ms, Some(&token_at(at_ms)), &body).unwrap();
        assert_eq!(changes()[0].operation, Operation::Update, "{name}: the ticket is there");
        desk.set(|state| state.refuse("/api/v1/tickets/2", 404, "URL_NOT_FOUND"));
        assert_eq!(changes()[0].operation, Operation::Delete, "{name}");
    }
}

#[test]
fn a_signature_for_a_webhook_that_is_not_known_does_not_prove_a_body() {
    for (subscription, expected) in [
        (Some(SUBSCRIPTION), ChangeSource::Webhook),
        (Some(BY_HAND), ChangeSource::Refetch),
        (None, ChangeSource::Refetch),
    ] {
        let desk = desk();
        let mut connection = connect(&desk, json!({}));
        let at_ms = desk.now_ms();
        let token = token_at(at_ms);
        let body = event("Ticket_Update", ticket("2"));
        let changes = receive(&mut connection, subscription, at_ms, Some(&token), &body).unwrap();
        assert_eq!(changes[0].source, expected, "{subscription:?}");
    }
}

#[test]
fn another_body_under_a_used_token_is_refetched_unless_both_are_of_one_moment_also_in_another_instance() {
    let desk = desk();
    let mut session = connect(&desk, json!({})).session();
    let config = json!({"organization_id": "42", "client_id": "id", "client_secret": "secret"}).to_string();
    let first_ms = desk.now_ms();
    let token = token_at(first_ms);
    let mut source = |id: &str, at_ms: u64| {
        let body = event("Ticket_Update", ticket(id));
        let mut connection = Connection::open(desk.clone(), &config, Some(&session)).unwrap();
        let changes = receive(&mut connection, Some(SUBSCRIPTION), at_ms, Some(&token), &body).unwrap();
        session = connection.session();
        changes[0].source
    };
    assert_eq!(source("1", first_ms), ChangeSource::Webhook);
    assert_eq!(source("2", first_ms + TOKEN_SHARED_MS), ChangeSource::Webhook);
    assert_eq!(source("3", first_ms + TOKEN_SHARED_MS + 1), ChangeSource::Refetch);
    assert_eq!(source("1", first_ms + TOKEN_SHARED_MS + 1), ChangeSource::Webhook, "a repeated delivery");
}

/// It could not be read after an upgrade and a downgrade; deliveries must not become dead letters.
#[test]
fn a_subscription_that_cannot_be_read_still_requires_signatures() {
    for unreadable in [r#"{"version":99}"#, "nonsense"] {
        let desk = desk();
        let mut connection = connect(&desk, json!({}));
        let at_ms = desk.now_ms();
        let body = event("Ticket_Update", ticket("2"));
        let unsigned = receive(&mut connection, Some(unreadable), at_ms, None, &body);
        assert_eq!(unsigned.unwrap_err().kind, Kind::Permission);
        let signed = receive(&mut connection, Some(unreadable), at_ms, Some(&token_at(at_ms)), &body);
        assert_eq!(signed.unwrap()[0].source, ChangeSource::Refetch);
    }
}

#[test]
fn arrival_times_are_corrected_by_the_sources_clock() {
    const OFF_MS: u64 = 15 * 60 * 1000;
    for is_behind in [false, true] {
        let desk = desk();
        let mut connection = connect(&desk, json!({}));
        desk.set(|state| match is_behind {
            true => state.behind_ms = OFF_MS,
            false => state.ahead_ms = OFF_MS,
        });
        // Any call of the API shows the difference.
        connection.discover().unwrap();
        let host_ms = desk.now_ms();
        let source_ms = if is_behind { host_ms - OFF_MS } else { host_ms + OFF_MS };
        let body = json!([{"eventType": "Ticket_Update", "payload": ticket("2"), "orgId": "42",
            "eventTime": source_ms.to_string()}]);
        let token = token_at(source_ms);
        let changes = receive(&mut connection, Some(SUBSCRIPTION), host_ms, Some(&token), &body).unwrap();
        assert_eq!(changes[0].as_of_ms, Some(source_ms), "behind: {is_behind}");
    }
}

/// A desk, and a connection that knows keys and clocks: the host's is an hour slow, or an hour fast.
fn an_hour_off(is_slow: bool) -> (Desk, Connection<Desk>) {
    let desk = desk();
    desk.set(|state| match is_slow {
        true => state.ahead_ms = HOUR_MS,
        false => state.behind_ms = HOUR_MS,
    });
    let mut connection = connect(&desk, json!({}));
    connection.discover().unwrap();
    let source_ms = if is_slow { desk.now_ms() + HOUR_MS } else { desk.now_ms() - HOUR_MS };
    receive_at(&mut connection, desk.now_ms(), source_ms, "1").unwrap();
    // Not in the same second, nor soon after keys were fetched.
    desk.advance_ms(SIGNING_KEYS_RETRY_MS + 1);
    (desk, connection)
}

/// Sets the host's clock right.
fn correct(desk: &Desk, is_slow: bool) {
    desk.set(|state| (state.ahead_ms, state.behind_ms) = (0, 0));
    if is_slow { desk.advance_ms(HOUR_MS) } else { desk.set_back_ms(HOUR_MS) }
}

/// A signed delivery with an event, both of a time of the source's clock.
fn receive_at(
    connection: &mut Connection<Desk>,
    host_ms: u64,
    source_ms: u64,
    id: &str,
) -> Result<Change, Error> {
    let body = json!([{"eventType": "Ticket_Update", "payload": ticket(id), "orgId": "42",
        "eventTime": source_ms.to_string()}]);
    receive(connection, Some(SUBSCRIPTION), host_ms, Some(&token_at(source_ms)), &body)
        .map(|mut changes| changes.remove(0))
}

#[test]
fn a_host_whose_clock_is_set_right_accepts_deliveries_before_it_calls_the_api() {
    for is_slow in [true, false] {
        let (desk, mut connection) = an_hour_off(is_slow);
        correct(&desk, is_slow);
        let (now_ms, api_calls) = (desk.now_ms(), || desk.calls() - desk.key_fetches());
        let calls = api_calls();
        let change = receive_at(&mut connection, now_ms, now_ms, "2").unwrap();
        assert_eq!((change.source, change.as_of_ms), (ChangeSource::Webhook, Some(now_ms)), "{is_slow}");
        assert_eq!(api_calls(), calls, "keys cost no credits");
    }
}

#[test]
fn a_delivery_that_waited_while_the_clock_was_set_right_is_accepted_and_a_repeated_one_is_not() {
    for is_slow in [true, false] {
        let (desk, mut connection) = an_hour_off(is_slow);
        let received_ms = desk.now_ms();
        let source_ms = if is_slow { received_ms + HOUR_MS } else { received_ms - HOUR_MS };
        correct(&desk, is_slow);
        connection.discover().unwrap();
        for waited_ms in [0, 20 * 60 * 1000, 24 * HOUR_MS] {
            desk.advance_ms(waited_ms);
            let change = receive_at(&mut connection, received_ms, source_ms, "2").unwrap();
            let latest_ms = change.as_of_ms.unwrap();
            assert!(latest_ms >= source_ms, "slow: {is_slow}, waited {waited_ms}: {latest_ms} {source_ms}");
        }
        // Not at once: the clocks are compared before it is refused.
        desk.advance_ms(SIGNING_KEYS_INTERVAL_MS);
        let repeated = receive_at(&mut connection, desk.now_ms(), source_ms, "2").unwrap_err();
        assert_eq!(repeated.kind, Kind::Permission);
    }
}

#[test]
fn keys_are_fetched_for_a_delivery_that_a_clock_which_was_set_back_makes_seem_older_than_they_are() {
    let (desk, mut connection) = an_hour_off(false);
    correct(&desk, false);
    desk.set(|state| state.jwks.push(jwk("k2")));
    let now_ms = desk.now_ms();
    let newer = token("k2", "orgId:42", "webhookId:7", now_ms / 1000 + 60);
    let body = event("Ticket_Update", ticket("2"));
    receive(&mut connection, Some(SUBSCRIPTION), now_ms, Some(&newer), &body).unwrap();
}

#[test]
fn the_source_is_asked_for_keys_once_a_minute_while_it_gives_none() {
    let without_keys: [fn(&Desk); 2] =
        [|desk| desk.set(|state| state.keys_fail = true), |desk| desk.set(|state| state.jwks.clear())];
    for break_it in without_keys {
        let desk = desk();
        let mut connection = connect(&desk, json!({}));
        let mut deliver = || {
            let at_ms = desk.now_ms();
            let body = event("Ticket_Update", ticket("2"));
            receive(&mut connection, Some(SUBSCRIPTION), at_ms, Some(&token_at(at_ms)), &body)
        };
        deliver().unwrap();
        break_it(&desk);
        desk.advance_ms(SIGNING_KEYS_LIFE_MS + 1);
        let fetches = desk.key_fetches();
        (0..20).for_each(|_| drop(deliver().expect("the known keys are trusted")));
        assert_eq!(desk.key_fetches() - fetches, 1);
        desk.advance_ms(SIGNING_KEYS_RETRY_MS);
        deliver().unwrap();
        assert_eq!(desk.key_fetches() - fetches, 2);
        // Too old to be trusted: deliveries wait, and still one attempt a minute is made.
        desk.advance_ms(SIGNING_KEYS_STALE_MS);
        let waits: Vec<Error> = (0..20).map(|_| deliver().unwrap_err()).collect();
        assert!(waits.iter().all(|error| error.kind == Kind::Unavailable));
        assert_eq!(waits[1].retry_after_ms, Some(SIGNING_KEYS_RETRY_MS));
        assert_eq!(desk.key_fetches() - fetches, 3);
    }
}
