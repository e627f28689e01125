//! Events of a delivery, one by one: unusable ones, attachments of children, and deletes that are hidden.

use serde_json::{Value, json};
use zoho_desk::change::{ChangeSource, Operation};
use zoho_desk::connection::Connection;
use zoho_desk::error::{Error, Kind};
use zoho_desk::webhook::Receipt;

use crate::desk::Desk;
use crate::setup::connect;
use crate::signer::{delivery, jwk, token};

const SUBSCRIPTION: &str = r#"{"version":1,"webhook_id":"7","url":"https://x","events":[]}"#;

fn event(name: &str, payload: Value) -> Value {
    json!({"eventType": name, "payload": payload, "orgId": "42"})
}

fn unsigned(connection: &mut Connection<Desk>, desk: &Desk, body: &Value) -> Result<Receipt, Error> {
    connection.receive(None, &[delivery(desk.now_ms(), None, body)]).remove(0)
}

fn signed(connection: &mut Connection<Desk>, desk: &Desk, body: &Value) -> Result<Receipt, Error> {
    desk.set(|state| state.jwks = vec![jwk("k1")]);
    let at_ms = desk.now_ms();
    let token = token("k1", "orgId:42", "webhookId:7", at_ms / 1000 + 60);
    connection.receive(Some(SUBSCRIPTION), &[delivery(at_ms, Some(&token), body)]).remove(0)
}

#[test]
fn an_unusable_event_is_ignored_by_name_and_the_others_of_its_delivery_are_applied() {
    let desk = Desk::with_tickets(3);
    let mut connection = connect(&desk, json!({}));
    let good = event("Ticket_Update", json!({"id": "2"}));
    let no_payload = json!({"eventType": "Ticket_Add", "orgId": "42"});
    let without_id = event("Ticket_Thread_Add", json!({"subject": "s"}));
    let receipt = unsigned(&mut connection, &desk, &json!([no_payload, good, without_id])).unwrap();
    assert_eq!(receipt.changes.len(), 1);
    assert_eq!(receipt.ignored, ["Ticket_Add", "Ticket_Thread_Add"]);
    for only in [no_payload, without_id] {
        assert_eq!(unsigned(&mut connection, &desk, &only).unwrap_err().kind, Kind::Data, "{only}");
    }
}

#[test]
fn an_attachment_of_a_comment_refetches_the_comment_and_not_one_with_the_attachments_id() {
    let paths = |payload: Value| {
        let desk = Desk::with_tickets(3);
        let mut connection = connect(&desk, json!({}));
        connection.discover().unwrap();
        desk.set(|state| state.asked.clear());
        unsigned(&mut connection, &desk, &event("Ticket_Comment_Attachment_Add", payload)).unwrap();
        let mut asked = Vec::new();
        desk.set(|state| asked.clone_from(&state.asked));
        let path = |asked: &String| asked.split('?').next().unwrap().replace("/api/v1/", "");
        asked.iter().map(path).filter(|path| path.starts_with("tickets/")).collect::<Vec<_>>()
    };
    assert_eq!(paths(json!({"id": "77", "ticketId": 2})), ["tickets/2"]);
    let named = json!({"id": "77", "ticketId": "2", "commentId": "5"});
    assert_eq!(paths(named), ["tickets/2", "tickets/2/comments/5"]);
}

#[test]
fn a_hidden_record_is_deleted_only_where_that_is_how_the_source_tells_it_and_it_is_proved() {
    let path = |module: &str| if module == "Account" { "/api/v1/accounts/5" } else { "/api/v1/contacts/5" };
    for (module, is_signed, is_deleted) in [
        ("Account", true, true),
        ("Account", false, false),
        ("Contact", true, false),
        ("Contact", false, false),
    ] {
        let desk = Desk::with_tickets(1);
        desk.set(|state| state.refuse(path(module), 403, "FORBIDDEN"));
        let mut connection = connect(&desk, json!({}));
        let body = event(&format!("{module}_Delete"), json!({"id": "5"}));
        let receipt = match is_signed {
            true => signed(&mut connection, &desk, &body),
            false => unsigned(&mut connection, &desk, &body),
        };
        let operations: Vec<_> = receipt.unwrap().changes.iter().map(|change| change.operation).collect();
        let expected: &[Operation] = if is_deleted { &[Operation::Delete] } else { &[] };
        assert_eq!(operations, expected, "{module}, signed: {is_signed}");
    }
}

#[test]
fn the_first_thread_of_a_new_ticket_is_no_member_of_its_row() {
    let desk = Desk::with_tickets(1);
    let mut connection = connect(&desk, json!({}));
    let payload = json!({"id": "2", "createdTime": "2026-11-22T17:25:10.000Z", "subject": "s", "cf": {},
        "modifiedTime": "2026-11-22T17:25:10.000Z", "firstThread": {"id": "3"}});
    let receipt = signed(&mut connection, &desk, &event("Ticket_Add", payload)).unwrap();
    let change = &receipt.changes[0];
    let row: Value = serde_json::from_str(change.after.as_ref().unwrap()).unwrap();
    assert_eq!(change.source, ChangeSource::Webhook);
    assert!(row.get("firstThread").is_none() && row["subject"] == "s", "{row}");
}
