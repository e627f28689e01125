//! Webhooks: registration, deliveries, signatures and their faults (reference, §6).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use desk_simulator::{Edition, ORGANIZATION_ID};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde_json::{Value, json};

use crate::receiver::Hook;
use crate::support::{Fixture, small, start, start_with};

fn subscribe(fixture: &mut Fixture, hook: &Hook, subscriptions: &Value) -> String {
    let body = json!({"name": "n", "url": hook.url, "subscriptions": subscriptions});
    let reply = fixture.call("POST", "webhooks", &body);
    assert_eq!(reply.status, 200, "{}", reply.json());
    reply.json()["id"].as_str().expect("an id").to_owned()
}

fn settle(fixture: &Fixture) {
    assert!(fixture.simulator.wait_for_deliveries(Duration::from_secs(10)));
}

/// Verifies a token with another implementation and gives its claims.
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

#[test]
fn urls_are_validated_by_get_and_then_post() {
    let mut fixture = start(1);
    let get = Hook::start(|_, _| 200);
    subscribe(&mut fixture, &get, &json!({"Ticket_Add": null}));
    assert_eq!(get.drain().iter().map(|d| d.method.as_str()).collect::<Vec<_>>(), ["GET"]);
    let post = Hook::start(|method, _| if method == "POST" { 200 } else { 405 });
    subscribe(&mut fixture, &post, &json!({"Ticket_Add": null}));
    let seen: Vec<_> = post.drain().into_iter().map(|d| (d.method, d.body)).collect();
    assert_eq!(seen[1], ("POST".to_owned(), json!([{}])));
    let neither = Hook::start(|_, _| 404);
    let body = json!({"url": neither.url, "subscriptions": {"Ticket_Add": null}});
    let reply = fixture.call("POST", "webhooks", &body);
    assert_eq!((reply.status, &reply.json()["errorCode"]), (422, &json!("UNPROCESSABLE_ENTITY")));
    assert_eq!(fixture.rows("webhooks").len(), 2);
}

#[test]
fn subscriptions_are_checked() {
    let mut fixture = start(1);
    let hook = Hook::start(|_, _| 200);
    let refused = [
        json!({"Product_Add": null}),
        json!({"Ticket_Delete": {}}),
        json!({"Ticket_Update": {"fields": ["a", "b", "c", "d", "e", "f"]}}),
        json!({"Ticket_Thread_Add": {"direction": "sideways"}}),
        json!({}),
    ];
    for subscriptions in refused {
        let body = json!({"url": hook.url, "subscriptions": subscriptions});
        let reply = fixture.call("POST", "webhooks", &body);
        assert_eq!((reply.status, &reply.json()["errorCode"]), (422, &json!("INVALID_DATA")), "{body}");
    }
    assert_eq!(fixture.call("POST", "webhooks", &json!({"url": hook.url})).status, 422);
    assert!(hook.drain().is_empty(), "nothing was validated");
}

#[test]
fn plans_limit_webhooks_and_they_can_be_changed_and_removed() {
    let mut options = small(1);
    options.edition = Edition::Standard;
    let mut fixture = start_with(options);
    let hook = Hook::start(|_, _| 200);
    let body = json!({"url": hook.url, "subscriptions": {"Ticket_Add": null}});
    let reply = fixture.call("POST", "webhooks", &body);
    assert_eq!(reply.json()["errorCode"], json!("LICENSE_ACCESS_LIMITED"));
    let mut fixture = start(1);
    let id = subscribe(&mut fixture, &hook, &json!({"Ticket_Add": null}));
    let path = format!("webhooks/{id}");
    let patch = json!({"isEnabled": false, "subscriptions": {"Contact_Add": null}});
    let changed = fixture.call("PATCH", &path, &patch).json();
    assert_eq!(
        (&changed["isEnabled"], &changed["subscriptions"]),
        (&json!(false), &json!({"Contact_Add": null}))
    );
    assert_eq!(fixture.call("PATCH", &path, &json!({"isEnabled": true})).status, 422);
    assert_eq!(fixture.call("DELETE", &path, &json!({})).status, 200);
    assert_eq!(fixture.get(&path).status, 404);
}

#[test]
fn a_change_is_delivered_signed_and_with_the_state_before() {
    let mut fixture = start(10);
    let hook = Hook::start(|_, _| 200);
    let wanted =
        json!({"Ticket_Update": {"includePrevState": true}, "Ticket_Delete": null, "Ticket_Add": null});
    let id = subscribe(&mut fixture, &hook, &wanted);
    hook.next();
    let ticket = fixture.first_id("tickets");
    fixture.call("PATCH", &format!("tickets/{ticket}"), &json!({"subject": "new"}));
    let delivery = hook.next();
    let event = &delivery.body[0];
    assert_eq!((&event["eventType"], &event["orgId"]), (&json!("Ticket_Update"), &json!(ORGANIZATION_ID)));
    assert!(event["eventTime"].as_str().is_some_and(|text| text.len() == 13));
    assert_eq!(event["payload"]["subject"], json!("new"));
    assert_ne!(event["prevState"]["subject"], json!("new"));
    assert!(event["payload"]["contact"].is_object() && event["payload"]["cf"].is_object());
    let token = delivery.signature.expect("signed");
    let claims = verify(&mut fixture, &token).expect("a good signature");
    assert_eq!(claims["iss"], json!(format!("orgId:{ORGANIZATION_ID}")));
    assert_eq!(claims["aud"], json!(format!("webhookId:{id}")));
    assert!(claims["exp"].as_i64() > claims["iat"].as_i64());
    fixture
        .simulator
        .mutate(json!({"op": "moveToTrash", "table": "tickets", "id": ticket}))
        .expect("trashes");
    let event = hook.next().body[0].clone();
    assert_eq!((&event["eventType"], &event["payload"]), (&json!("Ticket_Delete"), &json!({"id": ticket})));
    assert_eq!(event["prevState"], Value::Null);
    fixture.simulator.mutate(json!({"op": "create", "table": "tickets"})).expect("creates");
    let event = hook.next().body[0].clone();
    assert!(event["payload"]["firstThread"]["content"].is_string());
    assert!(event["payload"]["firstThread"].get("to").is_none());
}

#[test]
fn filters_and_switches_decide_what_is_delivered() {
    let mut fixture = start(10);
    let hook = Hook::start(|_, _| 200);
    let ticket = fixture.first_id("tickets");
    subscribe(&mut fixture, &hook, &json!({"Ticket_Update": {"fields": ["priority"]}}));
    hook.next();
    fixture.call("PATCH", &format!("tickets/{ticket}"), &json!({"subject": "unwanted"}));
    fixture.call("PATCH", &format!("tickets/{ticket}"), &json!({"priority": null}));
    fixture.call("PATCH", &format!("tickets/{ticket}"), &json!({"priority": "Urgent"}));
    settle(&fixture);
    let seen = hook.drain();
    assert!(!seen.is_empty() && seen.iter().all(|delivery| delivery.body[0]["prevState"].is_null()));
    let all = Hook::start(|_, _| 200);
    let manual = json!({"url": all.url}).to_string();
    fixture.client.send("POST", "/_admin/webhooks", &manual).expect("answers");
    assert_eq!(fixture.rows("webhooks").len(), 1, "manual ones are not listed");
    fixture.simulator.set(|settings| settings.webhooks.delete_as_update = true);
    fixture
        .simulator
        .mutate(json!({"op": "moveToTrash", "table": "tickets", "id": ticket}))
        .expect("trashes");
    let event = all.next().body[0].clone();
    assert_eq!(
        (&event["eventType"], &event["payload"]["isTrashed"]),
        (&json!("Ticket_Update"), &json!(true))
    );
}

#[test]
fn order_is_kept_within_a_module() {
    let mut fixture = start(10);
    let hook = Hook::start(|_, _| 200);
    subscribe(&mut fixture, &hook, &json!({"Ticket_Update": null, "Contact_Update": null}));
    hook.next();
    fixture.simulator.set(|settings| {
        settings.webhooks.delay = 0.3;
        settings.webhooks.delay_ms_max = 3;
        settings.webhooks.batch = 0.2;
    });
    let ticket = fixture.first_id("tickets");
    for number in 0..60 {
        let values = json!({"subject": number.to_string()});
        fixture.call("PATCH", &format!("tickets/{ticket}"), &values);
    }
    settle(&fixture);
    let deliveries = hook.drain();
    let events = deliveries.iter().flat_map(|delivery| delivery.body.as_array().cloned().unwrap_or_default());
    let subjects: Vec<String> =
        events.filter_map(|event| event["payload"]["subject"].as_str().map(str::to_owned)).collect();
    assert_eq!(subjects, (0..60).map(|number| number.to_string()).collect::<Vec<_>>());
    assert!(deliveries.len() < 60, "some went out together");
}

#[test]
fn drops_and_duplicates_follow_the_seed() {
    let run = || {
        let mut fixture = start(10);
        let hook = Hook::start(|_, _| 200);
        subscribe(&mut fixture, &hook, &json!({"Ticket_Update": null}));
        fixture.simulator.set(|settings| {
            settings.webhooks.drop = 0.2;
            settings.webhooks.duplicate = 0.2;
            settings.webhooks.delay_ms_max = 2;
        });
        let ticket = fixture.first_id("tickets");
        for number in 0..50 {
            let values = json!({"subject": number.to_string()});
            fixture.call("PATCH", &format!("tickets/{ticket}"), &values);
        }
        settle(&fixture);
        let stats = fixture.simulator.stats()["webhooks"].clone();
        (stats["dropped"].clone(), stats["duplicated"].clone(), stats["deliveries"].clone())
    };
    let (dropped, duplicated, deliveries) = run();
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    assert!(number(&dropped) > 0 && number(&duplicated) > 0);
    assert_eq!(number(&deliveries), 50 - number(&dropped) + number(&duplicated));
    assert_eq!(run(), (dropped, duplicated, deliveries));
}

#[test]
fn gone_removes_the_subscription() {
    let mut fixture = start(10);
    let hook = Hook::start(|method, _| if method == "GET" { 200 } else { 410 });
    let id = subscribe(&mut fixture, &hook, &json!({"Ticket_Add": null}));
    fixture.simulator.mutate(json!({"op": "create", "table": "tickets"})).expect("creates");
    settle(&fixture);
    assert_eq!(fixture.get(&format!("webhooks/{id}")).status, 404);
}

#[test]
fn keys_rotate_and_forgeries_do_not_verify() {
    let mut fixture = start(10);
    let hook = Hook::start(|_, _| 200);
    let id = subscribe(&mut fixture, &hook, &json!({"Ticket_Add": null}));
    hook.next();
    let forge = |fixture: &mut Fixture, signature: &str| {
        let body = json!({"url": hook.url, "webhook_id": id, "signature": signature}).to_string();
        let reply = fixture.client.send("POST", "/_admin/webhooks/forge", &body).expect("answers");
        assert_eq!(reply.json(), json!({"status": 200}), "{signature}");
        let delivery = hook.next();
        delivery.signature.and_then(|token| verify(fixture, &token))
    };
    let audience = json!(format!("webhookId:{id}"));
    assert_eq!(forge(&mut fixture, "valid").map(|claims| claims["aud"].clone()), Some(audience.clone()));
    assert_ne!(forge(&mut fixture, "wrong-audience").map(|claims| claims["aud"].clone()), Some(audience));
    for bad in ["none", "wrong-key", "unknown-kid", "garbage"] {
        assert_eq!(forge(&mut fixture, bad), None, "{bad}");
    }
    fixture.simulator.mutate(json!({"op": "create", "table": "tickets"})).expect("creates");
    let before = hook.next().signature.expect("signed");
    settle(&fixture);
    assert!(verify(&mut fixture, &before).is_some());
    fixture.client.send("POST", "/_admin/webhooks/rotate", "{\"serve_previous\":false}").expect("answers");
    assert!(verify(&mut fixture, &before).is_none());
    fixture.client.send("POST", "/_admin/webhooks/replay", "{}").expect("answers");
    let again = hook.next().signature.expect("signed");
    assert!(verify(&mut fixture, &again).is_some());
}

#[test]
fn signatures_for_others_are_good_and_no_two_are_alike() {
    let mut fixture = start(1);
    let hook = Hook::start(|_, _| 200);
    let id = subscribe(&mut fixture, &hook, &json!({"Ticket_Add": null}));
    let mut claims = Vec::new();
    for from_ms in [0, 20] {
        let body = json!({"webhook_id": id, "count": 20, "from_ms": from_ms}).to_string();
        let reply = fixture.client.send("POST", "/_admin/webhooks/tokens", &body).expect("answers").json();
        let tokens = reply["tokens"].as_array().expect("tokens").iter().filter_map(Value::as_str);
        claims.extend(tokens.map(|token| verify(&mut fixture, token).expect("a good signature")));
    }
    assert_eq!(claims.len(), 40);
    assert!(claims.iter().all(|claims| claims["aud"] == json!(format!("webhookId:{id}"))));
    let mut issued: Vec<_> = claims.iter().filter_map(|claims| claims["iat"].as_i64()).collect();
    issued.dedup();
    assert_eq!(issued.len(), 40, "two deliveries are signed alike");
}
