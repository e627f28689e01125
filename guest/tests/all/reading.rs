//! Reading through a scripted transport: what a batch holds, where it ends, and what happens when a call fails.

use serde_json::{Value, json};
use zoho_desk::connection::Connection;
use zoho_desk::error::Kind;
use zoho_desk::reader::{Generation, Limits};
use zoho_desk::row::Operation;

use crate::desk::Desk;

pub(crate) const LIMITS: Limits = Limits { max_changes: 1000, max_bytes: 8 << 20, max_ms: 60_000 };

pub(crate) fn connect(desk: &Desk, more: Value) -> Connection<Desk> {
    let mut config = json!({"organization_id": "42", "client_id": "id", "client_secret": "secret"});
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    let mut connection = Connection::open(desk.clone(), &config.to_string(), None).unwrap();
    connection.authorize(r#"{"code":"good"}"#).unwrap();
    connection
}

/// Reads to the end; failures are asked again, as a host would.
pub(crate) fn read_all(
    connection: &mut Connection<Desk>,
    table: &str,
    limits: Limits,
) -> (Vec<Value>, String) {
    let (mut rows, mut cursor) = (Vec::new(), None);
    for _ in 0..1000 {
        match connection.read(table, cursor.as_deref(), limits) {
            Ok(batch) => {
                rows.extend(
                    batch
                        .changes
                        .iter()
                        .map(|change| serde_json::from_str(change.after.as_ref().unwrap()).unwrap()),
                );
                cursor = Some(batch.cursor);
                if batch.caught_up {
                    return (rows, cursor.unwrap());
                }
            }
            Err(error) => assert!(matches!(error.kind, Kind::Unavailable | Kind::RateLimited), "{error}"),
        }
    }
    panic!("the read does not end");
}

#[test]
fn tickets_with_detail_are_the_detail_with_what_only_the_list_has() {
    let desk = Desk::with_tickets(250);
    let (rows, _) = read_all(&mut connect(&desk, json!({})), "tickets", LIMITS);
    assert_eq!(rows.len(), 250);
    assert_eq!(rows[7]["description"], "text 8");
    assert_eq!(rows[7]["isRead"], true);
    assert_eq!(rows[7]["contact"]["id"], "c8");
}

#[test]
fn tickets_without_detail_cost_a_hundredth_of_the_calls() {
    let desk = Desk::with_tickets(250);
    let (rows, _) = read_all(&mut connect(&desk, json!({"ticket_detail": false})), "Tickets", LIMITS);
    assert_eq!(rows.len(), 250);
    assert!(rows[0].get("description").is_none());
    assert!(desk.calls() < 10, "{} calls", desk.calls());
}

#[test]
fn custom_fields_without_detail_come_from_a_projection_or_else_the_detail() {
    for refuse_fields in [false, true] {
        let desk = Desk::with_tickets(5);
        desk.set(|state| state.refuse_fields = refuse_fields);
        let config = json!({"ticket_detail": false, "custom_field_keys": ["cf_region"]});
        let (rows, _) = read_all(&mut connect(&desk, config), "tickets", LIMITS);
        assert_eq!(rows.len(), 5);
        assert_eq!(rows[2]["cf"], json!({"cf_region": "r3"}), "fields refused: {refuse_fields}");
        assert_eq!(rows[2]["contact"]["id"], "c3");
    }
}

#[test]
fn a_failure_in_the_middle_keeps_what_was_read_and_goes_on_there() {
    let desk = Desk::with_tickets(250);
    let mut connection = connect(&desk, json!({}));
    desk.set(|state| state.fail_detail_of = Some("150".to_owned()));
    let batch = connection.read("tickets", None, LIMITS).unwrap();
    assert_eq!(batch.changes.len(), 149);
    assert!(!batch.caught_up);
    assert!(batch.warnings[0].contains("500"), "{:?}", batch.warnings);
    assert_eq!(connection.read("tickets", Some(&batch.cursor), LIMITS).unwrap_err().kind, Kind::Unavailable);
    desk.set(|state| state.fail_detail_of = None);
    let next = connection.read("tickets", Some(&batch.cursor), LIMITS).unwrap();
    assert_eq!(next.changes[0].key, r#"{"id":"150"}"#);
    assert_eq!(next.changes.len(), 101);
}

#[test]
fn a_record_that_is_gone_or_hidden_does_not_stop_the_table() {
    let desk = Desk::with_tickets(5);
    desk.set(|state| {
        state.detail_status.insert("2".to_owned(), 404);
        state.detail_status.insert("3".to_owned(), 403);
    });
    let (rows, _) = read_all(&mut connect(&desk, json!({})), "tickets", LIMITS);
    let ids: Vec<&str> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["1", "3", "4", "5"]);
    assert!(rows[1].get("description").is_none(), "a hidden record is what the list shows");
}

#[test]
fn a_portal_that_refuses_an_optional_parameter_is_read_without_it() {
    let desk = Desk::with_tickets(3);
    desk.set(|state| state.refuse_include = true);
    let mut connection = connect(&desk, json!({"ticket_detail": false}));
    assert_eq!(read_all(&mut connection, "tickets", LIMITS).0.len(), 3);
    assert!(connection.session().contains("tickets.include"));
}

#[test]
fn a_server_that_ignores_the_position_is_refused() {
    let desk = Desk::with_tickets(300);
    desk.set(|state| state.ignore_from = true);
    let mut connection = connect(&desk, json!({"ticket_detail": false}));
    let mut cursor = None;
    for _ in 0..50 {
        match connection.read("tickets", cursor.as_deref(), LIMITS) {
            Ok(batch) => cursor = Some(batch.cursor),
            Err(error) => {
                assert_eq!(error.kind, Kind::Data);
                assert!(error.message.contains("repeats the same rows"), "{error}");
                return;
            }
        }
    }
    panic!("it was never found out");
}

#[test]
fn a_refused_token_is_renewed_once_and_the_call_repeated() {
    let desk = Desk::with_tickets(3);
    let mut connection = connect(&desk, json!({}));
    desk.set(|state| state.token += 1);
    assert_eq!(read_all(&mut connection, "tickets", LIMITS).0.len(), 3);
    assert_eq!(desk.tokens(), 2);
    desk.set(|state| state.refuse_every_token = true);
    let error = connection.read("tickets", None, LIMITS).unwrap_err();
    assert_eq!((error.kind, error.code.as_deref()), (Kind::Unavailable, Some("INVALID_OAUTH")));
    assert_eq!(desk.tokens(), 3, "one renewal, not one for each refusal");
}

#[test]
fn a_batch_stays_within_its_bounds_and_the_cursor_carries_on() {
    let desk = Desk::with_tickets(450);
    let mut connection = connect(&desk, json!({"ticket_detail": false}));
    let small = Limits { max_changes: 120, ..LIMITS };
    let (mut cursor, mut ids) = (None::<String>, Vec::new());
    loop {
        let batch = connection.read("tickets", cursor.as_deref(), small).unwrap();
        assert!(batch.changes.len() <= 220, "{}", batch.changes.len());
        ids.extend(batch.changes.into_iter().map(|change| change.key));
        cursor = Some(batch.cursor);
        if batch.caught_up {
            break;
        }
    }
    ids.dedup();
    assert_eq!(ids.len(), 450);
}

#[test]
fn after_the_first_pass_only_changes_are_read() {
    let desk = Desk::with_tickets(30);
    let mut connection = connect(&desk, json!({}));
    let (_, cursor) = read_all(&mut connection, "tickets", LIMITS);
    desk.advance_ms(60_000);
    desk.set(|state| state.modify("17"));
    desk.set(|state| state.delete("4"));
    desk.advance_ms(90_000);
    let batch = connection.read("tickets", Some(&cursor), LIMITS).unwrap();
    assert!(batch.caught_up && batch.generation.is_none());
    let keys: Vec<(&str, Operation)> =
        batch.changes.iter().map(|change| (change.key.as_str(), change.operation)).collect();
    assert_eq!(keys, [(r#"{"id":"17"}"#, Operation::Update), (r#"{"id":"4"}"#, Operation::Delete)]);
    desk.advance_ms(300_000);
    let again = connection.read("tickets", Some(&batch.cursor), LIMITS).unwrap();
    assert!(again.changes.is_empty(), "the overlap shows it again, and it is known");
}

#[test]
fn following_children_goes_on_when_a_page_of_parents_is_more_than_a_batch() {
    let desk = Desk::with_tickets(160);
    let mut connection = connect(&desk, json!({}));
    let (rows, mut cursor) = read_all(&mut connection, "ticket_conversations", LIMITS);
    assert_eq!(rows.len(), 160);
    assert_eq!((&rows[0]["kind"], &rows[0]["ticketId"]), (&json!("thread"), &json!("1")));
    desk.advance_ms(60_000);
    (1..=160).for_each(|id: u32| desk.set(|state| state.modify(&id.to_string())));
    let small = Limits { max_changes: 50, ..LIMITS };
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let batch = connection.read("ticket_conversations", Some(&cursor), small).unwrap();
        seen.extend(batch.changes.into_iter().map(|change| change.key));
        assert_ne!(batch.cursor, cursor, "the cursor moves");
        cursor = batch.cursor;
        if batch.caught_up {
            assert_eq!(seen.len(), 160);
            return;
        }
    }
    panic!("it is never caught up");
}

#[test]
fn a_pass_says_when_it_is_complete() {
    let desk = Desk::with_tickets(150);
    let mut connection = connect(&desk, json!({"ticket_detail": false}));
    let first = connection.read("tickets", None, Limits { max_changes: 50, ..LIMITS }).unwrap();
    let begun = first.generation.unwrap();
    assert!(!begun.complete);
    let last = connection.read("tickets", Some(&first.cursor), LIMITS).unwrap();
    assert_eq!(last.generation, Some(Generation { complete: true, ..begun }));
}

#[test]
fn fields_of_every_module_are_tagged_and_a_missing_module_is_left_out() {
    let desk = Desk::with_tickets(0);
    let mut connection = connect(&desk, json!({}));
    let (rows, cursor) = read_all(&mut connection, "organization_fields", LIMITS);
    let modules: Vec<&str> = rows.iter().map(|row| row["module"].as_str().unwrap()).collect();
    assert!(modules.contains(&"tickets") && modules.contains(&"products"));
    assert!(!modules.contains(&"timeEntry"), "the portal answers 422 for it");
    assert!(cursor.contains(r#""phase":"rest""#), "{cursor}");
}

#[test]
fn discovery_types_custom_fields() {
    let desk = Desk::with_tickets(0);
    let found = connect(&desk, json!({"tables": ["tickets"]})).discover().unwrap();
    let region = &found[0].schema["properties"]["cf_region"];
    assert_eq!(region["x-path"], "/cf/cf_region");
}

#[test]
fn the_connection_test_fails_what_does_not_work_and_skips_what_depends_on_it() {
    use zoho_desk::check::Outcome;
    let desk = Desk::with_tickets(2);
    let outcomes = |more: Value| -> Vec<(String, Outcome)> {
        connect(&desk, more).check().into_iter().map(|item| (item.name, item.outcome)).collect()
    };
    let good = outcomes(json!({"tables": ["tickets", "departments"]}));
    assert!(good.iter().all(|(_, outcome)| *outcome != Outcome::Failed), "{good:?}");
    let wrong = outcomes(json!({"tables": ["tickets"], "organization_id": "43"}));
    assert_eq!(wrong[3], ("organization".to_owned(), Outcome::Failed));
    assert_eq!(wrong[4], ("table tickets".to_owned(), Outcome::Skipped));
}
