//! The registration of the webhook through a scripted transport: made once, found again, put right, and looked at.

use serde_json::{Value, json};
use zoho_desk::check::Outcome;
use zoho_desk::connection::Connection;

use crate::desk::Desk;

const URL: &str = "https://hooks.example.com/hooks/acme/first-secret";
const ROTATED: &str = "https://hooks.example.com/hooks/acme/second-secret";

fn connect(desk: &Desk) -> Connection<Desk> {
    let config = json!({"organization_id": "42", "client_id": "id", "client_secret": "secret"});
    let mut connection = Connection::open(desk.clone(), &config.to_string(), None).unwrap();
    connection.authorize(r#"{"code":"good"}"#).unwrap();
    connection
}

fn hooks(desk: &Desk) -> Vec<Value> {
    let mut hooks = Vec::new();
    desk.set(|state| hooks.clone_from(&state.webhooks));
    hooks
}

fn outcome(connection: &mut Connection<Desk>, subscription: &str) -> Outcome {
    connection.check_subscription(subscription)[0].outcome
}

#[test]
fn asked_again_nothing_is_made_twice_and_the_answer_is_the_same() {
    let desk = Desk::with_tickets(1);
    let mut connection = connect(&desk);
    let first = connection.subscribe(URL, &[], None).unwrap();
    desk.advance_ms(1000);
    assert_eq!(connection.subscribe(URL, &[], Some(&first)).unwrap(), first);
    assert_eq!(hooks(&desk).len(), 1);
    assert_eq!(outcome(&mut connection, &first), Outcome::Passed);
}

#[test]
fn another_secret_changes_the_webhook_that_is_there() {
    for keeps_state in [true, false] {
        let desk = Desk::with_tickets(1);
        let mut connection = connect(&desk);
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
fn another_outside_name_changes_the_webhook_that_is_known() {
    let desk = Desk::with_tickets(1);
    let mut connection = connect(&desk);
    let first = connection.subscribe(URL, &[], None).unwrap();
    connection.subscribe("https://other.example.com/hooks/acme/first-secret", &[], Some(&first)).unwrap();
    assert_eq!(hooks(&desk).len(), 1);
}

#[test]
fn webhooks_of_others_are_left_alone_and_left_overs_of_ours_are_removed() {
    let desk = Desk::with_tickets(1);
    let mut connection = connect(&desk);
    let ours = connection.subscribe(URL, &[], None).unwrap();
    desk.set(|state| {
        let mut left_over = state.webhooks[0].clone();
        left_over["id"] = json!("800");
        left_over["url"] = json!("https://hooks.example.com/hooks/acme/zeroth-secret");
        state.webhooks.push(left_over);
        for (id, name, url) in [
            ("801", "Somebody else's", "https://hooks.example.com/hooks/acme/their-own"),
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
fn what_somebody_changed_is_seen_and_put_right_and_told() {
    let break_it: [fn(&mut Vec<Value>); 4] = [
        |hooks| hooks[0]["isEnabled"] = json!(false),
        |hooks| hooks[0]["subscriptions"] = json!({"Ticket_Add": null}),
        |hooks| hooks[0]["url"] = json!("https://elsewhere.example.com/"),
        |hooks| hooks.clear(),
    ];
    for (index, change) in break_it.into_iter().enumerate() {
        let desk = Desk::with_tickets(1);
        let mut connection = connect(&desk);
        let first = connection.subscribe(URL, &[], None).unwrap();
        desk.advance_ms(1000);
        desk.set(|state| change(&mut state.webhooks));
        assert_eq!(outcome(&mut connection, &first), Outcome::Failed, "change {index}");
        let second = connection.subscribe(URL, &[], Some(&first)).unwrap();
        assert_ne!(second, first, "change {index}: the host must learn that events may be missing");
        assert_eq!(outcome(&mut connection, &second), Outcome::Passed, "change {index}");
        assert_eq!(hooks(&desk).len(), 1);
    }
}
