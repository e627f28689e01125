//! Signatures of deliveries, verified with a second implementation (reference, §6.5).

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use desk_simulator::ORGANIZATION_ID;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde_json::{Value, json};

use crate::receiver::Receiver;
use crate::support::{Fixture, start};
use crate::webhooks::subscribe;

/// The claims of a token that a served key has signed; none when it does not verify.
fn verify(fixture: &mut Fixture, token: &str) -> Option<Value> {
    let parts: Vec<&str> = token.split('.').collect();
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
    let header: Value = serde_json::from_slice(&decode(parts[0])?).ok()?;
    let keys = fixture.client.send("GET", "/.well-known/jwks.json", "").ok()?.json();
    let key = keys["keys"].as_array()?.iter().find(|key| key["kid"] == header["kid"])?.clone();
    let key = RsaPublicKeyComponents { n: decode(key["n"].as_str()?)?, e: decode(key["e"].as_str()?)? };
    let signed = format!("{}.{}", parts[0], parts[1]);
    key.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &decode(parts[2])?).ok()?;
    serde_json::from_slice(&decode(parts[1])?).ok()
}

/// The signature of the delivery of a new ticket.
fn next_signature(fixture: &Fixture, receiver: &Receiver) -> String {
    fixture.mutate(json!({"op": "create", "table": "tickets"}));
    let signature = receiver.next().signature.expect("a signature");
    fixture.settle();
    signature
}

fn subscribed() -> (Fixture, Receiver, String) {
    let mut fixture = start(1);
    let receiver = Receiver::accepting();
    let id = subscribe(&mut fixture, &receiver, &json!({"Ticket_Add": null}));
    (fixture, receiver, id)
}

#[test]
fn a_delivery_is_signed_for_its_webhook_by_the_organization() {
    let (mut fixture, receiver, id) = subscribed();
    let token = next_signature(&fixture, &receiver);
    let claims = verify(&mut fixture, &token).expect("a valid signature");
    assert_eq!(claims["iss"], json!(format!("orgId:{ORGANIZATION_ID}")));
    assert_eq!(claims["aud"], json!(format!("webhookId:{id}")));
    let (issued, expires) = (claims["iat"].as_i64().expect("iat"), claims["exp"].as_i64().expect("exp"));
    assert_eq!(expires - issued, 300);
    fixture.simulator.set(|settings| settings.webhooks.signature_in_milliseconds = true);
    let token = next_signature(&fixture, &receiver);
    let claims = verify(&mut fixture, &token).expect("a valid signature");
    assert_eq!(claims["exp"].as_i64().expect("exp") - claims["iat"].as_i64().expect("iat"), 300_000);
}

#[test]
fn each_forged_signature_has_its_flaw() {
    let (mut fixture, receiver, id) = subscribed();
    let now = fixture.admin("POST", "clock", &json!({"advance_ms": 0})).json()["nowMs"].as_i64();
    let now = now.expect("a time") / 1000;
    let mut forge = |signature: &str| {
        let body = json!({"url": receiver.url, "webhook_id": id, "signature": signature});
        let reply = fixture.admin("POST", "webhooks/forge", &body);
        assert_eq!(reply.json(), json!({"status": 200}), "{signature}");
        receiver.next().signature.and_then(|token| verify(&mut fixture, &token))
    };
    let audience = json!(format!("webhookId:{id}"));
    let valid = forge("valid").expect("it verifies");
    assert!(valid["aud"] == audience && valid["exp"].as_i64() > Some(now), "{valid}");
    let other = forge("wrong-audience").expect("it verifies");
    assert!(other["aud"] != audience && other["exp"].as_i64() > Some(now), "{other}");
    let expired = forge("expired").expect("it verifies");
    assert!(expired["aud"] == audience && expired["exp"].as_i64() < Some(now), "{expired}");
    for flaw in ["none", "wrong-key", "unknown-kid", "garbage"] {
        assert_eq!(forge(flaw), None, "{flaw}");
    }
}

#[test]
fn after_a_rotation_old_signatures_verify_only_if_the_previous_key_is_served() {
    let (mut fixture, receiver, _) = subscribed();
    for (serve_previous, verifies) in [(true, true), (false, false)] {
        let old = next_signature(&fixture, &receiver);
        assert!(verify(&mut fixture, &old).is_some());
        fixture.admin("POST", "webhooks/rotate", &json!({"serve_previous": serve_previous}));
        assert_eq!(verify(&mut fixture, &old).is_some(), verifies);
        let new = next_signature(&fixture, &receiver);
        assert!(verify(&mut fixture, &new).is_some());
    }
}

#[test]
fn a_replay_has_a_new_signature_or_its_original_one() {
    let (mut fixture, receiver, _) = subscribed();
    let original = next_signature(&fixture, &receiver);
    fixture.admin("POST", "webhooks/rotate", &json!({"serve_previous": false}));
    fixture.admin("POST", "webhooks/replay", &json!({"original_signature": true}));
    assert_eq!(receiver.next().signature, Some(original));
    fixture.admin("POST", "webhooks/replay", &json!({}));
    let token = receiver.next().signature.expect("a signature");
    assert!(verify(&mut fixture, &token).is_some());
}

#[test]
fn signatures_for_other_programs_verify_and_no_two_are_equal() {
    let (mut fixture, _receiver, id) = subscribed();
    let mut issued = BTreeSet::new();
    for from_ms in [0, 20] {
        let body = json!({"webhook_id": id, "count": 20, "from_ms": from_ms});
        let reply = fixture.admin("POST", "webhooks/tokens", &body).json();
        let tokens = reply["tokens"].as_array().expect("tokens").iter().filter_map(Value::as_str);
        for token in tokens {
            let claims = verify(&mut fixture, token).expect("a valid signature");
            assert_eq!(claims["aud"], json!(format!("webhookId:{id}")));
            issued.insert(claims["iat"].as_i64());
        }
    }
    assert_eq!(issued.len(), 40);
}
