//! The subscription through a scripted transport: created once, found again, repaired, and checked.

use serde_json::{Value, json};
use zoho_desk::check::Outcome;
use zoho_desk::connection::Connection;

use crate::desk::Desk;
use crate::setup::connect;

const URL: &str = "https://hooks.example.com/hooks/acme/first-secret";
const ROTATED: &str = "https://hooks.example.com/hooks/acme/second-secret";

fn hooks(desk: &Desk) -> Vec<Value> {
    let mut hooks = Vec::new();
    desk.set(|state| hooks.clone_from(&state.webhooks));
    hooks
}

fn outcome(connection: &mut Connection<Desk>, subscription: &str) -> Outcome {
    connection.check_subscription(subscription)[0].outcome
}

#[test]
fn subscribing_twice_creates_one_webhook_and_returns_the_same_subscription() {
    let desk = Desk::with_tickets(1);
    let mut connection = connect(&desk, json!({}));
    let first = connection.subscribe(URL, &[], None).unwrap();
    desk.advance_ms(1000);
    assert_eq!(connection.subscribe(URL, &[], Some(&first)).unwrap(), first);
    assert_eq!(hooks(&desk).len(), 1);
    assert_eq!(outcome(&mut connection, &first), Outcome::Passed);
}

#[test]
fn a_rotated_secret_changes_the_registered_webhook() {
    for keeps_state in [true, false] {
        let desk = Desk::with_tickets(1);
        let mut connection = connect(&desk, json!({}));
        let first = connection.subscribe(URL, &[], None).unwrap();
        let id = hooks(&desk)[0]["id"].clone();
        let kept = keeps_state.then_some(first.as_str());
        let second = connection.subscribe(ROTATED, &[], kept).unwrap();
        let hooks = hooks(&desk);
        assert_eq!(hooks.len(), 1, "kept: {keeps_state}");
        assert_eq!((&hooks[0]["id"], &hooks[0]["url"]), (&id, &json!(ROTATED)));
        assert_eq!(outcome(&mut connection, &second), Outcome::Passed);
    }
}

#[test]
fn a_new_host_name_changes_the_webhook_of_the_subscription() {
    let desk = Desk::with_tickets(1);
    let mut connection = connect(&desk, json!({}));
    let first = connection.subscribe(URL, &[], None).unwrap();
    connection.subscribe("https://other.example.com/hooks/acme/first-secret", &[], Some(&first)).unwrap();
    assert_eq!(hooks(&desk).len(), 1);
}

#[test]
fn webhooks_of_earlier_secrets_are_deleted_and_webhooks_of_others_are_kept() {
    let desk = Desk::with_tickets(1);
    let mut connection = connect(&desk, json!({}));
    let ours = connection.subscribe(URL, &[], None).unwrap();
    desk.set(|state| {
        let mut left_over = state.webhooks[0].clone();
        left_over["id"] = json!("800");
        left_over["url"] = json!("https://hooks.example.com/hooks/acme/zeroth-secret");
        state.webhooks.push(left_over);
        for (id, name, url) in [
            ("801", "Another program", "https://hooks.example.com/hooks/acme/their-own"),
            ("802", "Source connector", "https://hooks.example.com/hooks/beta/secret"),
        ] {
            state
                .webhooks
                .push(json!({"id": id, "name": name, "url": url, "isEnabled": true, "subscriptions": {}}));
        }
    });
    connection.subscribe(ROTATED, &[], Some(&ours)).unwrap();
    let ids: Vec<Value> = hooks(&desk).iter().map(|hook| hook["id"].clone()).collect();
    assert_eq!(ids, ["701", "801", "802"]);
}

#[test]
fn a_webhook_changed_at_the_source_fails_the_check_and_is_repaired_by_a_new_subscription() {
    let break_it: [fn(&mut Vec<Value>); 4] = [
        |hooks| hooks[0]["isEnabled"] = json!(false),
        |hooks| hooks[0]["subscriptions"] = json!({"Ticket_Add": null}),
        |hooks| hooks[0]["url"] = json!("https://elsewhere.example.com/"),
        |hooks| hooks.clear(),
    ];
    for (index, change) in break_it.into_iter().enumerate() {
        let desk = Desk::with_tickets(1);
        let mut connection = connect(&desk, json!({}));
        let first = connection.subscribe(URL, &[], None).unwrap();
        desk.advance_ms(1000);
        desk.set(|state| change(&mut state.webhooks));
        assert_eq!(outcome(&mut connection, &first), Outcome::Failed, "change {index}");
        let second = connection.subscribe(URL, &[], Some(&first)).unwrap();
        assert_ne!(second, first, "change {index}: the host must see that events may be missing");
        assert_eq!(outcome(&mut connection, &second), Outcome::Passed, "change {index}");
        assert_eq!(hooks(&desk).len(), 1);
    }
}
