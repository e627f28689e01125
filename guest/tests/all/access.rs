//! The permissions of user and grant: refused calls, the connection test, schemas, departments.

use serde_json::json;
use zoho_desk::check::{Item, Outcome};
use zoho_desk::describe;
use zoho_desk::error::Kind;
use zoho_desk::limits::{FAILED_RECORD_MS, TOKEN_NEW_MS};

use crate::desk::Desk;
use crate::setup::connect;

#[test]
fn a_call_that_is_always_refused_renews_the_token_once_and_is_not_permitted() {
    for code in ["UNAUTHORIZED", ""] {
        let desk = Desk::with_tickets(1);
        let mut connection = connect(&desk, json!({}));
        desk.set(|state| state.refuse("/api/v1/departments", 401, code));
        let tokens = desk.tokens();
        let mut refused = || connection.command("list-departments", "").unwrap_err();
        assert_eq!((refused().kind, desk.tokens()), (Kind::Permission, tokens), "the token is young");
        desk.advance_ms(TOKEN_NEW_MS);
        assert_eq!((refused().kind, desk.tokens()), (Kind::Permission, tokens + 1));
        (0..10).for_each(|_| drop(refused()));
        assert_eq!(desk.tokens(), tokens + 1);
    }
}

#[test]
fn every_department_is_listed() {
    let desk = Desk::with_tickets(1);
    desk.set(|state| state.more_departments = 449);
    let listed = connect(&desk, json!({})).command("list-departments", "").unwrap();
    assert_eq!(listed["data"].as_array().unwrap().len(), 450);
}

#[test]
fn fields_that_this_user_may_not_see_cost_their_columns_and_nothing_else() {
    for code in ["SCOPE_MISMATCH", "FORBIDDEN"] {
        let desk = Desk::with_tickets(1);
        desk.set(|state| state.answer_fields("tickets", 403, code));
        let found = connect(&desk, json!({"tables": ["contacts", "tickets"]})).discover().unwrap();
        let has_custom = |index: usize| found[index].schema.to_string().contains("cf_region");
        assert_eq!((has_custom(0), has_custom(1)), (true, false), "{code}");
        let warning = found[1].warning.as_ref().unwrap();
        assert!(warning.contains("tickets") && warning.contains(code), "{warning}");
        assert!(found[0].warning.is_none());
    }
}

#[test]
fn a_module_whose_fields_fail_costs_its_columns_and_all_of_them_the_connection() {
    let desk = Desk::with_tickets(1);
    desk.set(|state| state.answer_fields("accounts", 500, ""));
    let mut connection = connect(&desk, json!({"tables": ["accounts", "contacts"]}));
    assert_eq!(connection.discover().unwrap_err().kind, Kind::Unavailable, "it may pass");
    desk.advance_ms(FAILED_RECORD_MS);
    let found = connection.discover().unwrap();
    assert!(found[0].warning.as_ref().is_some_and(|text| text.contains("`accounts`")), "{found:?}");
    assert!(found[1].warning.is_none() && found[1].schema.to_string().contains("cf_region"));
    let error = connect(&desk, json!({"tables": ["accounts"]})).discover().unwrap_err();
    assert_eq!(error.kind, Kind::Unavailable);
}

#[test]
fn fields_that_were_listed_before_are_not_gone_because_one_answer_is_a_refusal() {
    let desk = Desk::with_tickets(1);
    let mut connection = connect(&desk, json!({"tables": ["contacts"]}));
    desk.set(|state| state.answer_fields("contacts", 422, "INVALID_DATA"));
    assert!(connection.discover().unwrap()[0].warning.is_none(), "the portal lacks the module");
    desk.set(|state| state.field_status.clear());
    assert!(connection.discover().unwrap()[0].warning.is_none());
    desk.set(|state| state.answer_fields("contacts", 422, "INVALID_DATA"));
    assert!(connection.discover().unwrap()[0].warning.is_some());
}

#[test]
fn the_scopes_of_a_table_cover_its_fields_and_the_recycle_bin() {
    for name in ["tickets", "ticket_conversations", "contacts", "accounts", "products", "contracts"] {
        let document = describe::document();
        let tables = document["tables"].as_array().unwrap();
        let table = tables.iter().find(|table| table["name"] == name).unwrap();
        assert!(table["scopes"].as_array().unwrap().contains(&json!("Desk.settings.READ")), "{name}");
    }
}

/// The item of the connection test with these paths refused for lack of a scope.
fn item(table: &str, name: &str, refused: &[&'static str]) -> Item {
    let desk = Desk::with_tickets(1);
    desk.set(|state| {
        for path in refused {
            state.refuse(path, 403, "SCOPE_MISMATCH");
        }
    });
    let items = connect(&desk, json!({"tables": [table]})).check();
    items.into_iter().find(|item| item.name == name).unwrap()
}

#[test]
fn the_connection_test_looks_for_a_parent_that_has_children() {
    let desk = Desk::with_tickets(9);
    desk.set(|state| {
        state.lists_counters = true;
        state.silent = vec![1, 2, 3];
        state.refuse("/api/v1/tickets/4/threads/t4", 403, "SCOPE_MISMATCH");
    });
    let items = connect(&desk, json!({"tables": ["ticket_conversations"]})).check();
    let item = items.into_iter().find(|item| item.name == "table ticket_conversations").unwrap();
    assert_eq!(item.outcome, Outcome::Failed, "the record of a message of the fourth: {}", item.message);
}

#[test]
fn the_connection_test_tries_whatever_reading_needs() {
    let tickets = |refused: &[&'static str]| item("tickets", "table tickets", refused);
    let of_threads =
        |refused: &[&'static str]| item("ticket_conversations", "table ticket_conversations", refused);
    assert_eq!(tickets(&[]).outcome, Outcome::Passed);
    let fields = tickets(&["/api/v1/organizationFields"]);
    assert_eq!(fields.outcome, Outcome::Warning);
    assert!(fields.message.contains("custom fields"), "{}", fields.message);
    let recycle_bin = tickets(&["/api/v1/recycleBin"]);
    assert_eq!(recycle_bin.outcome, Outcome::Warning);
    assert!(recycle_bin.message.contains("deletes"), "{}", recycle_bin.message);
    assert_eq!(of_threads(&[]).outcome, Outcome::Passed);
    for path in ["/api/v1/tickets/1/threads", "/api/v1/tickets/1/threads/t1", "/api/v1/tickets/1/comments"] {
        assert_eq!(of_threads(&[path]).outcome, Outcome::Failed, "{path}");
    }
    assert_eq!(item("tickets", "webhooks", &[]).outcome, Outcome::Passed);
    assert_eq!(item("tickets", "webhooks", &["/api/v1/webhooks"]).outcome, Outcome::Skipped);
}
