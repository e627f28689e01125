//! The registration of webhooks: URL validation, subscriptions, plan limits (reference, §6.1 to §6.3).

use desk_simulator::Edition;
use serde_json::{Value, json};

use crate::receiver::Receiver;
use crate::support::{Fixture, small, start, start_with};

/// Registers a webhook and gives its id.
pub(crate) fn subscribe(fixture: &mut Fixture, receiver: &Receiver, subscriptions: &Value) -> String {
    let body = json!({"name": "n", "url": receiver.url, "subscriptions": subscriptions});
    let reply = fixture.call("POST", "webhooks", &body);
    assert_eq!(reply.status, 200, "{}", reply.json());
    assert_eq!(receiver.next().method, "GET", "the validation");
    reply.json()["id"].as_str().expect("an id").to_owned()
}

#[test]
fn a_url_is_validated_by_get_and_if_that_is_not_200_by_post() {
    let mut fixture = start(1);
    let register = |fixture: &mut Fixture, receiver: &Receiver| {
        let body = json!({"url": receiver.url, "subscriptions": {"Ticket_Add": null}});
        let reply = fixture.call("POST", "webhooks", &body);
        let requests: Vec<_> = receiver.drain().into_iter().map(|r| (r.method, r.body)).collect();
        (reply.status, reply.json()["errorCode"].clone(), requests)
    };
    let get = ("GET".to_owned(), Value::Null);
    let post = ("POST".to_owned(), json!([{}]));
    let receiver = Receiver::accepting();
    assert_eq!(register(&mut fixture, &receiver), (200, Value::Null, vec![get.clone()]));
    let receiver = Receiver::start(|method, _| if method == "POST" { 200 } else { 405 });
    assert_eq!(register(&mut fixture, &receiver), (200, Value::Null, vec![get.clone(), post.clone()]));
    let receiver = Receiver::start(|_, _| 404);
    assert_eq!(register(&mut fixture, &receiver), (422, json!("UNPROCESSABLE_ENTITY"), vec![get, post]));
    assert_eq!(fixture.rows("webhooks").len(), 2);
}

#[test]
fn an_invalid_subscription_is_rejected_before_the_url_is_called() {
    let mut fixture = start(1);
    let receiver = Receiver::accepting();
    let invalid = [
        json!({"Product_Add": null}),
        json!({"Ticket_Delete": {}}),
        json!({"Ticket_Update": {"fields": ["a", "b", "c", "d", "e", "f"]}}),
        json!({"Ticket_Thread_Add": {"direction": "sideways"}}),
        json!({}),
    ];
    for subscriptions in invalid {
        let body = json!({"url": receiver.url, "subscriptions": subscriptions});
        let reply = fixture.call("POST", "webhooks", &body);
        assert_eq!((reply.status, &reply.json()["errorCode"]), (422, &json!("INVALID_DATA")), "{body}");
    }
    assert_eq!(fixture.call("POST", "webhooks", &json!({"url": receiver.url})).status, 422);
    assert!(receiver.drain().is_empty());
    assert_eq!(fixture.get("webhooks").status, 204);
}

#[test]
fn texts_of_a_subscription_are_accepted_up_to_their_limit() {
    let mut fixture = start(1);
    let receiver = Receiver::accepting();
    let url =
        |characters: usize| format!("{}?{}", receiver.url, "x".repeat(characters - receiver.url.len() - 1));
    let body = |key: &str, value: String| {
        let mut body = json!({"url": receiver.url, "subscriptions": {"Ticket_Add": null}});
        body[key] = json!(value);
        body
    };
    let limits = [("name", 200), ("description", 3_000)];
    for (key, limit) in limits {
        assert_eq!(fixture.call("POST", "webhooks", &body(key, "é".repeat(limit))).status, 200, "{key}");
        assert_eq!(fixture.call("POST", "webhooks", &body(key, "é".repeat(limit + 1))).status, 422, "{key}");
    }
    assert_eq!(fixture.call("POST", "webhooks", &body("url", url(500))).status, 200);
    assert_eq!(fixture.call("POST", "webhooks", &body("url", url(501))).status, 422);
}

#[test]
fn the_edition_limits_enabled_webhooks_and_every_edition_configured_ones() {
    let receiver = Receiver::accepting();
    let register = |fixture: &mut Fixture, is_enabled: bool| {
        let body =
            json!({"url": receiver.url, "isEnabled": is_enabled, "subscriptions": {"Ticket_Add": null}});
        let reply = fixture.call("POST", "webhooks", &body);
        (reply.status, reply.json()["errorCode"].as_str().unwrap_or_default().to_owned())
    };
    let limited = (403, "LICENSE_ACCESS_LIMITED".to_owned());
    let mut options = small(1);
    options.edition = Edition::Standard;
    assert_eq!(register(&mut start_with(options.clone()), true), limited);
    options.edition = Edition::Professional;
    let mut fixture = start_with(options);
    for number in 1..=5 {
        assert_eq!(register(&mut fixture, true).0, 200, "enabled webhook {number}");
    }
    assert_eq!(register(&mut fixture, true), limited);
    for number in 6..=20 {
        assert_eq!(register(&mut fixture, false).0, 200, "configured webhook {number}");
    }
    assert_eq!(register(&mut fixture, false), limited);
}

#[test]
fn a_webhook_can_be_changed_and_deleted() {
    let mut fixture = start(1);
    let receiver = Receiver::accepting();
    let id = subscribe(&mut fixture, &receiver, &json!({"Ticket_Add": null}));
    let path = format!("webhooks/{id}");
    let patch = json!({"isEnabled": false, "subscriptions": {"Contact_Add": null}});
    let changed = fixture.call("PATCH", &path, &patch).json();
    assert_eq!(fixture.get(&path).json(), changed);
    let shown = (&changed["isEnabled"], &changed["subscriptions"], &changed["name"]);
    assert_eq!(shown, (&json!(false), &json!({"Contact_Add": null}), &json!("n")));
    assert!(receiver.drain().is_empty(), "an unchanged URL is not validated");
    assert_eq!(fixture.call("PATCH", &path, &json!({"isEnabled": true})).status, 422, "no subscriptions");
    assert_eq!(fixture.call("DELETE", &path, &json!({})).status, 200);
    assert_eq!(fixture.get(&path).status, 404);
}

#[test]
fn a_changed_url_is_validated() {
    let mut fixture = start(1);
    let (receiver, other) = (Receiver::accepting(), Receiver::start(|_, _| 404));
    let id = subscribe(&mut fixture, &receiver, &json!({"Ticket_Add": null}));
    let patch = json!({"url": other.url, "subscriptions": {"Ticket_Add": null}});
    assert_eq!(fixture.call("PATCH", &format!("webhooks/{id}"), &patch).status, 422);
    assert_eq!(fixture.get(&format!("webhooks/{id}")).json()["url"], json!(receiver.url));
}

#[test]
fn a_manual_webhook_is_delivered_to_but_neither_validated_nor_listed_by_the_api() {
    let mut fixture = start(1);
    let receiver = Receiver::accepting();
    let id = fixture.admin("POST", "webhooks", &json!({"url": receiver.url})).json()["id"].clone();
    assert!(receiver.drain().is_empty());
    assert_eq!(fixture.get("webhooks").status, 204);
    assert_eq!(fixture.get(&format!("webhooks/{}", id.as_str().expect("an id"))).status, 404);
    let listed = fixture.admin("GET", "webhooks", &Value::Null).json()["webhooks"].clone();
    assert_eq!((&listed[0]["id"], &listed[0]["isManual"]), (&id, &json!(true)));
    fixture.mutate(json!({"op": "create", "table": "tickets"}));
    assert_eq!(receiver.next_event()["eventType"], json!("Ticket_Add"));
    let unknown = json!({"url": receiver.url, "events": ["Product_Add"]});
    assert_eq!(fixture.admin("POST", "webhooks", &unknown).status, 422);
}
