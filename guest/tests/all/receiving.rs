//! Deliveries through a scripted transport: whose signature is believed, and when a delivery waits for a key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use zoho_desk::connection::Connection;
use zoho_desk::error::{Error, Kind};
use zoho_desk::limits::SIGNING_KEYS_PAUSE_MS;
use zoho_desk::webhook::Delivery;
use zoho_desk::webhook::keys::Keys;
use zoho_desk::webhook::signature::{Refusal, verify};

use crate::desk::Desk;
use crate::signer::{jwk, signed, token};

const NOW_MS: u64 = 1_795_368_310_000;

fn keys() -> Keys {
    Keys::of(&[json!({"kid": "other", "kty": "EC"}), jwk("k1"), json!("no key")])
}

fn check(kid: &str, iss: &str, aud: &str, exp: u64) -> Result<(), Refusal> {
    verify(&token(kid, iss, aud, exp), &keys(), "42", Some("7"), NOW_MS)
}

#[test]
fn a_signature_for_us_is_accepted_with_expiry_in_either_unit() {
    assert_eq!(check("k1", "orgId:42", "webhookId:7", NOW_MS / 1000 + 60), Ok(()));
    assert_eq!(check("k1", "orgId:42", "webhookId:7", NOW_MS + 60_000), Ok(()));
}

#[test]
fn every_other_signature_is_refused() {
    let soon = NOW_MS / 1000 + 60;
    assert_eq!(check("k2", "orgId:42", "webhookId:7", soon), Err(Refusal::UnknownKey("k2".into())));
    assert_eq!(check("k1", "orgId:43", "webhookId:7", soon), Err(Refusal::Foreign("organisation")));
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
fn a_key_that_is_too_short_or_no_key_is_not_used() {
    let short = json!({"kid": "short", "kty": "RSA", "n": URL_SAFE_NO_PAD.encode([255; 128]), "e": "AQAB"});
    let even = json!({"kid": "even", "kty": "RSA", "n": URL_SAFE_NO_PAD.encode([254; 256]), "e": "AQAB"});
    let keys = Keys::of(&[short, even, json!(null), json!({"kid": 7}), jwk("k1")]);
    assert!(keys.get("short").is_none() && keys.get("even").is_none() && keys.get("k1").is_some());
}

/// A connection that knows its webhook and has verified a delivery by the key `k1`.
fn connect(desk: &Desk) -> Connection<Desk> {
    desk.set(|state| state.jwks = vec![jwk("k1")]);
    let config = json!({"organization_id": "42", "client_id": "id", "client_secret": "secret"});
    let mut connection = Connection::open(desk.clone(), &config.to_string(), None).unwrap();
    connection.authorize(r#"{"code":"good"}"#).unwrap();
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
    let payload = json!({"id": "5", "name": "D", "createdTime": "x", "modifiedTime": "x"});
    let body = json!([{"eventType": "Department_Update", "payload": payload, "orgId": "42"}]);
    let delivery = Delivery {
        received_at_ms,
        method: "POST".to_owned(),
        headers: vec![("X-ZDesk-JWT".to_owned(), token.into_bytes())],
        body: body.to_string().into_bytes(),
    };
    let mut receipts = connection.receive(Some(subscription), &[delivery]);
    receipts.remove(0).map(|receipt| receipt.changes.len())
}

#[test]
fn a_delivery_by_a_new_key_is_taken_when_the_keys_have_changed() {
    let desk = Desk::with_tickets(1);
    let mut connection = connect(&desk);
    desk.advance_ms(SIGNING_KEYS_PAUSE_MS + 1);
    desk.set(|state| state.jwks = vec![jwk("k2")]);
    assert_eq!(deliver(&mut connection, &desk, "k2"), Ok(1));
    assert_eq!(deliver(&mut connection, &desk, "k2"), Ok(1));
    assert_eq!(desk.key_fetches(), 2);
}

#[test]
fn a_delivery_by_a_new_key_waits_while_keys_may_not_be_asked_for_and_is_not_lost() {
    let desk = Desk::with_tickets(1);
    let mut connection = connect(&desk);
    desk.advance_ms(SIGNING_KEYS_PAUSE_MS / 4);
    desk.set(|state| state.jwks = vec![jwk("k2")]);
    let arrived_ms = desk.now_ms();
    let waits = deliver_of(&mut connection, arrived_ms, "k2").unwrap_err();
    assert_eq!((waits.kind, desk.key_fetches()), (Kind::Unavailable, 1));
    desk.advance_ms(waits.retry_after_ms.unwrap());
    assert_eq!(deliver_of(&mut connection, arrived_ms, "k2"), Ok(1));
}

#[test]
fn a_key_that_is_unknown_to_keys_of_after_the_delivery_is_forged() {
    let desk = Desk::with_tickets(1);
    let mut connection = connect(&desk);
    desk.advance_ms(SIGNING_KEYS_PAUSE_MS + 1);
    let arrived_ms = desk.now_ms();
    desk.advance_ms(1);
    for _ in 0..3 {
        let refused = deliver_of(&mut connection, arrived_ms, "k9").unwrap_err();
        assert_eq!(refused.kind, Kind::Permission, "{refused}");
    }
    assert_eq!(desk.key_fetches(), 2, "asked for once for all of them");
}
