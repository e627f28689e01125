//! Deliveries: their events, filters, order and faults (reference, §6.1, §6.3, §6.4, §6.6, §7).

use desk_simulator::ORGANIZATION_ID;
use serde_json::{Value, json};

use crate::receiver::Receiver;
use crate::support::{Fixture, start};
use crate::webhooks::subscribe;

/// Sets the subject of a ticket to each number below `count`, in order.
fn number_subjects(fixture: &Fixture, ticket: &str, count: usize) {
    for number in 0..count {
        let values = json!({"subject": number.to_string()});
        fixture.mutate(json!({"op": "update", "table": "tickets", "id": ticket, "values": values}));
    }
}

/// The subjects in these events.
fn subjects(events: &[Value]) -> Vec<String> {
    let subjects = events.iter().filter_map(|event| event["payload"]["subject"].as_str());
    subjects.map(str::to_owned).collect()
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[test]
fn an_update_is_delivered_with_the_previous_state_if_asked() {
    let mut fixture = start(10);
    let receiver = Receiver::accepting();
    let (with, without) =
        (json!({"Ticket_Update": {"includePrevState": true}}), json!({"Ticket_Update": null}));
    subscribe(&mut fixture, &receiver, &with);
    let plain = Receiver::accepting();
    subscribe(&mut fixture, &plain, &without);
    let ticket = fixture.first_id("tickets");
    let before = fixture.get(&format!("tickets/{ticket}")).json();
    fixture.update_ticket(&ticket, &json!({"subject": "new"}));
    let event = receiver.next_event();
    assert_eq!((&event["eventType"], &event["orgId"]), (&json!("Ticket_Update"), &json!(ORGANIZATION_ID)));
    assert_eq!((&event["payload"]["id"], &event["payload"]["subject"]), (&json!(ticket), &json!("new")));
    assert_eq!(event["prevState"]["subject"], before["subject"]);
    assert!(event["payload"]["contact"].is_object() && event["payload"]["cf"].is_object());
    assert_eq!(plain.next_event()["prevState"], Value::Null);
}

#[test]
fn a_new_ticket_is_delivered_with_its_first_thread_without_addresses() {
    let mut fixture = start(10);
    let receiver = Receiver::accepting();
    subscribe(&mut fixture, &receiver, &json!({"Ticket_Add": null}));
    let created = fixture.mutate(json!({"op": "create", "table": "tickets"}));
    let payload = receiver.next_event()["payload"].clone();
    assert_eq!(payload["id"], created["id"]);
    let thread = &payload["firstThread"];
    assert_eq!((&thread["ticketId"], &thread["direction"]), (&created["id"], &json!("in")));
    assert!(thread["content"].is_string());
    for absent in ["to", "cc", "bcc", "fromEmailAddress", "replyTo"] {
        assert!(thread.get(absent).is_none(), "{absent}");
    }
}

#[test]
fn a_deletion_is_delivered_with_the_id_alone_or_as_an_update_if_set() {
    let mut fixture = start(10);
    let receiver = Receiver::accepting();
    subscribe(&mut fixture, &receiver, &json!({"Ticket_Update": null, "Ticket_Delete": null}));
    let trash = |id: &Value| json!({"op": "moveToTrash", "table": "tickets", "id": id});
    let rows = fixture.rows("tickets?limit=2");
    fixture.mutate(trash(&rows[0]["id"]));
    let event = receiver.next_event();
    let deletion = (&json!("Ticket_Delete"), &json!({"id": rows[0]["id"]}), &Value::Null);
    assert_eq!((&event["eventType"], &event["payload"], &event["prevState"]), deletion);
    fixture.simulator.set(|settings| settings.webhooks.delete_as_update = true);
    fixture.mutate(trash(&rows[1]["id"]));
    let event = receiver.next_event();
    assert_eq!(event["eventType"], json!("Ticket_Update"));
    let payload = &event["payload"];
    assert_eq!((&payload["id"], &payload["isTrashed"]), (&rows[1]["id"], &json!(true)));
}

#[test]
fn an_update_is_delivered_only_if_a_subscribed_field_changed() {
    let mut fixture = start(10);
    let ticket = fixture.first_id("tickets");
    fixture.update_ticket(&ticket, &json!({"priority": "Low"}));
    let receiver = Receiver::accepting();
    subscribe(&mut fixture, &receiver, &json!({"Ticket_Update": {"fields": ["priority"]}}));
    fixture.update_ticket(&ticket, &json!({"subject": "unsubscribed"}));
    fixture.update_ticket(&ticket, &json!({"priority": "Low"}));
    fixture.update_ticket(&ticket, &json!({"priority": "Urgent"}));
    fixture.settle();
    let priorities: Vec<Value> =
        receiver.drain_events().iter().map(|event| event["payload"]["priority"].clone()).collect();
    assert_eq!(priorities, [json!("Urgent")]);
}

#[test]
fn an_event_is_delivered_only_for_a_subscribed_department() {
    let mut fixture = start(50);
    let rows = fixture.rows("tickets?limit=50");
    let department = rows[0]["departmentId"].clone();
    let other = rows.iter().find(|row| row["departmentId"] != department).expect("another department");
    let receiver = Receiver::accepting();
    subscribe(&mut fixture, &receiver, &json!({"Ticket_Update": {"departmentIds": [department]}}));
    for row in [other, &rows[0]] {
        fixture.update_ticket(row["id"].as_str().expect("an id"), &json!({"subject": "new"}));
    }
    fixture.settle();
    let delivered: Vec<Value> =
        receiver.drain_events().iter().map(|event| event["payload"]["id"].clone()).collect();
    assert_eq!(delivered, [rows[0]["id"].clone()]);
}

#[test]
fn a_thread_is_delivered_only_in_a_subscribed_direction() {
    let mut fixture = start(1);
    let ticket = fixture.first_id("tickets");
    let receiver = Receiver::accepting();
    subscribe(&mut fixture, &receiver, &json!({"Ticket_Thread_Add": {"direction": "in"}}));
    for (content, outgoing) in [("sent", true), ("received", false)] {
        fixture
            .mutate(json!({"op": "addThread", "ticket": ticket, "content": content, "outgoing": outgoing}));
    }
    fixture.settle();
    let contents: Vec<Value> =
        receiver.drain_events().iter().map(|event| event["payload"]["content"].clone()).collect();
    assert_eq!(contents, [json!("received")]);
}

#[test]
fn a_change_with_the_ignored_source_id_is_not_delivered() {
    const SOURCE: &str = "0b6e4c7e-5b0e-4c39-8a8e-8d5d1c1f0f11";
    let mut fixture = start(1);
    let ticket = fixture.first_id("tickets");
    let receiver = Receiver::accepting();
    let body =
        json!({"url": receiver.url, "ignoreSourceId": SOURCE, "subscriptions": {"Ticket_Update": null}});
    assert_eq!(fixture.call("POST", "webhooks", &body).status, 200);
    receiver.next();
    fixture.client.headers.push(("sourceId".to_owned(), SOURCE.to_owned()));
    fixture.update_ticket(&ticket, &json!({"subject": "own"}));
    fixture.client.headers.pop();
    fixture.update_ticket(&ticket, &json!({"subject": "foreign"}));
    fixture.settle();
    assert_eq!(subjects(&receiver.drain_events()), ["foreign"]);
}

#[test]
fn a_disabled_webhook_gets_no_deliveries() {
    let mut fixture = start(1);
    let ticket = fixture.first_id("tickets");
    let receiver = Receiver::accepting();
    let id = subscribe(&mut fixture, &receiver, &json!({"Ticket_Update": null}));
    let patch = json!({"isEnabled": false, "subscriptions": {"Ticket_Update": null}});
    fixture.call("PATCH", &format!("webhooks/{id}"), &patch);
    fixture.update_ticket(&ticket, &json!({"subject": "new"}));
    fixture.settle();
    assert!(receiver.drain().is_empty());
}

#[test]
fn delayed_events_of_a_module_keep_their_order() {
    let mut fixture = start(10);
    let receiver = Receiver::accepting();
    subscribe(&mut fixture, &receiver, &json!({"Ticket_Update": null}));
    fixture.simulator.set(|settings| {
        settings.webhooks.delay = 0.3;
        settings.webhooks.delay_ms_max = 3;
    });
    let ticket = fixture.first_id("tickets");
    number_subjects(&fixture, &ticket, 60);
    fixture.settle();
    assert_eq!(subjects(&receiver.drain_events()), numbers(0..60));
}

#[test]
fn batched_events_are_delivered_in_arrays_of_at_most_batch_max_in_order() {
    let mut fixture = start(10);
    let (receiver, gate) = Receiver::gated();
    subscribe(&mut fixture, &receiver, &json!({"Ticket_Update": null}));
    fixture.simulator.set(|settings| {
        settings.webhooks.batch = 1.0;
        settings.webhooks.batch_max = 10;
        settings.webhooks.delay_ms_max = 1;
        settings.webhooks.timeout_ms = 600_000;
    });
    let ticket = fixture.first_id("tickets");
    number_subjects(&fixture, &ticket, 1);
    gate.wait();
    // All others are queued while the first is unanswered.
    for number in 1..=40 {
        let values = json!({"subject": number.to_string()});
        fixture.mutate(json!({"op": "update", "table": "tickets", "id": ticket, "values": values}));
    }
    drop(gate);
    fixture.settle();
    let sizes: Vec<usize> =
        receiver.drain().iter().map(|request| request.body.as_array().map_or(0, Vec::len)).collect();
    assert_eq!(sizes, [1, 10, 10, 10, 10]);
}

#[test]
fn events_of_one_module_do_not_wait_for_those_of_another() {
    let mut fixture = start(10);
    let (receiver, gate) = Receiver::gated();
    subscribe(&mut fixture, &receiver, &json!({"Ticket_Update": null, "Contact_Update": null}));
    fixture.simulator.set(|settings| settings.webhooks.timeout_ms = 600_000);
    let (ticket, contact) = (fixture.first_id("tickets"), fixture.first_id("contacts"));
    number_subjects(&fixture, &ticket, 1);
    gate.wait();
    let values = json!({"lastName": "New"});
    fixture.mutate(json!({"op": "update", "table": "contacts", "id": contact, "values": values}));
    assert_eq!(receiver.next_event()["eventType"], json!("Contact_Update"));
    drop(gate);
    assert_eq!(receiver.next_event()["eventType"], json!("Ticket_Update"));
}

/// The subjects delivered with dropped and duplicated events under a seed, sorted, and the statistics.
fn with_faults(seed: u64) -> (Vec<String>, Value) {
    let mut fixture = start(10);
    let receiver = Receiver::accepting();
    subscribe(&mut fixture, &receiver, &json!({"Ticket_Update": null}));
    fixture.simulator.set(|settings| {
        settings.webhooks.seed = seed;
        settings.webhooks.drop = 0.2;
        settings.webhooks.duplicate = 0.2;
        settings.webhooks.delay_ms_max = 2;
    });
    let ticket = fixture.first_id("tickets");
    number_subjects(&fixture, &ticket, 50);
    fixture.settle();
    let mut delivered = subjects(&receiver.drain_events());
    delivered.sort();
    (delivered, fixture.simulator.stats()["webhooks"].clone())
}

#[test]
fn a_seed_drops_and_duplicates_the_same_events_and_another_seed_others() {
    let (delivered, stats) = with_faults(1);
    let count = |key: &str| stats[key].as_u64().unwrap_or(0);
    assert!(count("dropped") > 0 && count("duplicated") > 0, "{stats}");
    assert_eq!(count("deliveries"), 50 - count("dropped") + count("duplicated"));
    assert_eq!(delivered.len() as u64, count("deliveries"));
    assert_eq!(with_faults(1).0, delivered);
    assert_ne!(with_faults(2).0, delivered);
}

#[test]
fn a_410_removes_the_webhook() {
    let mut fixture = start(10);
    let receiver = Receiver::start(|method, _| if method == "GET" { 200 } else { 410 });
    let id = subscribe(&mut fixture, &receiver, &json!({"Ticket_Add": null}));
    fixture.mutate(json!({"op": "create", "table": "tickets"}));
    fixture.settle();
    assert_eq!(fixture.get(&format!("webhooks/{id}")).status, 404);
}

#[test]
fn a_failed_delivery_is_retried_as_often_as_set_and_by_default_never() {
    let mut fixture = start(10);
    let receiver = Receiver::start(|method, _| if method == "GET" { 200 } else { 500 });
    subscribe(&mut fixture, &receiver, &json!({"Ticket_Add": null}));
    for (retries, attempts) in [(0, 1), (2, 3)] {
        fixture.simulator.set(|settings| settings.webhooks.retries = retries);
        fixture.mutate(json!({"op": "create", "table": "tickets"}));
        fixture.settle();
        assert_eq!(receiver.drain().len(), attempts, "{retries} retries");
    }
    assert_eq!(fixture.simulator.stats()["webhooks"]["byStatus"], json!({"500": 4}));
}

#[test]
fn a_delivery_without_an_answer_before_the_timeout_counts_as_unanswered() {
    let mut fixture = start(10);
    let (receiver, gate) = Receiver::gated();
    subscribe(&mut fixture, &receiver, &json!({"Ticket_Add": null}));
    fixture.simulator.set(|settings| settings.webhooks.timeout_ms = 20);
    fixture.mutate(json!({"op": "create", "table": "tickets"}));
    fixture.settle();
    drop(gate);
    assert_eq!(fixture.simulator.stats()["webhooks"]["unanswered"], json!(1));
}

#[test]
fn the_event_time_is_text_in_milliseconds_or_iso_if_set() {
    let mut fixture = start(10);
    let receiver = Receiver::accepting();
    subscribe(&mut fixture, &receiver, &json!({"Ticket_Add": null}));
    fixture.mutate(json!({"op": "create", "table": "tickets"}));
    let time = receiver.next_event()["eventTime"].clone();
    assert!(time.as_str().is_some_and(|text| text.len() == 13 && text.parse::<u64>().is_ok()), "{time}");
    fixture.simulator.set(|settings| settings.webhooks.event_time_iso = true);
    fixture.mutate(json!({"op": "create", "table": "tickets"}));
    let time = receiver.next_event()["eventTime"].clone();
    assert!(time.as_str().is_some_and(|text| text.len() == 24 && text.ends_with('Z')), "{time}");
}

#[test]
fn the_last_deliveries_are_listed_with_their_bodies_and_replayed_in_order() {
    let mut fixture = start(10);
    let receiver = Receiver::accepting();
    subscribe(&mut fixture, &receiver, &json!({"Ticket_Update": null}));
    let ticket = fixture.first_id("tickets");
    number_subjects(&fixture, &ticket, 3);
    fixture.settle();
    assert_eq!(subjects(&receiver.drain_events()), numbers(0..3));
    let listed = fixture.admin("GET", "webhooks/deliveries", &Value::Null).json()["deliveries"].clone();
    let bodies = listed.as_array().expect("deliveries").iter().map(|delivery| delivery["body"][0].clone());
    assert_eq!(subjects(&bodies.collect::<Vec<_>>()), numbers(0..3));
    let replayed = fixture.admin("POST", "webhooks/replay", &json!({"count": 2})).json();
    assert_eq!(replayed, json!({"statuses": [200, 200]}));
    assert_eq!(subjects(&receiver.drain_events()), numbers(1..3));
}
