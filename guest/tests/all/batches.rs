//! Batches through a scripted transport: their rows, their bounds, and failed calls.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use zoho_desk::change::Operation;
use zoho_desk::check::Outcome;
use zoho_desk::error::Kind;
use zoho_desk::limits::TOKEN_YOUNG_MS;
use zoho_desk::reader::{Generation, Limits};

use crate::desk::Desk;
use crate::setup::{LIMITS, connect, read_all, read_round};

#[test]
fn tickets_with_detail_have_the_members_of_detail_and_list() {
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
fn a_projection_that_fails_for_now_costs_no_detail_and_is_asked_for_again() {
    for status in [429, 500, 503] {
        let desk = Desk::with_tickets(250);
        let mut connection =
            connect(&desk, json!({"ticket_detail": false, "custom_field_keys": ["cf_region"]}));
        desk.set(|state| state.fields_status = status);
        for _ in 0..5 {
            let error = connection.read("tickets", None, LIMITS).unwrap_err();
            assert!(matches!(error.kind, Kind::RateLimited | Kind::Unavailable), "{status}: {error}");
            desk.advance_ms(60_000);
        }
        assert!(desk.calls() < 60, "{status}: {} calls", desk.calls());
        desk.set(|state| {
            state.fields_status = 0;
            state.asked.clear();
        });
        let (rows, _) = read_all(&mut connection, "tickets", LIMITS);
        assert_eq!((rows.len(), &rows[2]["cf"]), (250, &json!({"cf_region": "r3"})));
        let is_detail = |path: &&String| path.starts_with("/api/v1/tickets/");
        desk.set(|state| assert_eq!(state.asked.iter().filter(is_detail).count(), 0, "{status}"));
    }
}

#[test]
fn a_failed_record_discards_no_other_and_is_written_in_part_when_it_keeps_failing() {
    let desk = Desk::with_tickets(250);
    let mut connection = connect(&desk, json!({}));
    desk.set(|state| state.fail_detail_of = Some("150".to_owned()));
    let batch = connection.read("tickets", None, LIMITS).unwrap();
    assert_eq!(batch.changes.len(), 198, "two pages but the failed one");
    assert!(!batch.caught_up && batch.wait_ms.is_some_and(|wait_ms| wait_ms >= 250), "{:?}", batch.wait_ms);
    assert!(batch.warnings[0].contains("500"), "{:?}", batch.warnings);
    let second = connection.read("tickets", Some(&batch.cursor), LIMITS).unwrap();
    assert_eq!(second.changes.len(), 49, "the page from the failed record on has rows up to 248");
    desk.set(|state| state.asked.clear());
    let error = connection.read("tickets", Some(&second.cursor), LIMITS).unwrap_err();
    assert_eq!(error.kind, Kind::Unavailable);
    desk.set(|state| assert!(state.asked.len() <= 4, "rows are not read again: {:?}", state.asked));
    desk.advance_ms(60_000);
    assert!(connection.session().contains("tickets.150"), "a restart does not forget its failures");
    let mut attempts = 0;
    let third = loop {
        attempts += 1;
        match connection.read("tickets", Some(&second.cursor), LIMITS) {
            Ok(batch) => break batch,
            Err(error) => assert!(attempts < 5, "{error}"),
        }
    };
    assert!(third.caught_up && third.changes.len() == 3, "the failed row and the last page");
    assert!(third.changes[0].key.contains("150") && third.changes[0].partial, "the sink keeps its detail");
    assert_eq!(third.partial_rows, 1);
    assert!(third.warnings.iter().any(|text| text.contains("`tickets` 150: only the members")));
    assert!(!third.generation.unwrap().complete);
}

/// Reads on from a cursor, as a host does, in at most so many calls: the cursor at the end, the keys found
/// and the partial rows.
fn read_on(
    desk: &Desk,
    connection: &mut zoho_desk::connection::Connection<Desk>,
    mut cursor: Option<String>,
    calls: usize,
) -> (String, BTreeSet<String>, u64) {
    let (mut keys, mut partial) = (BTreeSet::new(), 0);
    for _ in 0..calls {
        match connection.read("tickets", cursor.as_deref(), LIMITS) {
            Ok(batch) => {
                keys.extend(batch.changes.into_iter().map(|change| change.key));
                partial += batch.partial_rows;
                if batch.caught_up {
                    return (batch.cursor, keys, partial);
                }
                cursor = Some(batch.cursor);
                desk.advance_ms(batch.wait_ms.unwrap_or(0));
            }
            Err(_) => desk.advance_ms(60_000),
        }
    }
    panic!("not caught up after {calls} calls: {} rows, {partial} in part", keys.len());
}

#[test]
fn a_few_records_that_always_fail_stop_no_table() {
    let desk = Desk::with_tickets(250);
    let mut connection = connect(&desk, json!({}));
    desk.set(|state| state.fail_details_of(40..44));
    let (cursor, keys, partial) = read_on(&desk, &mut connection, None, 40);
    assert_eq!((keys.len(), partial), (250, 4));
    desk.advance_ms(60_000);
    desk.set(|state| (38..44).for_each(|id| state.modify(&id.to_string())));
    desk.advance_ms(60_000);
    let (_, keys, partial) = read_on(&desk, &mut connection, Some(cursor), 40);
    assert_eq!((keys.len(), partial), (6, 4), "they hold no search window open either");
}

#[test]
fn the_last_records_of_a_list_are_given_up_by_the_answers_of_the_batch_before() {
    let desk = Desk::with_tickets(103);
    let mut connection = connect(&desk, json!({}));
    desk.set(|state| state.fail_details_of(100..104));
    let small = Limits { max_changes: 90, ..LIMITS };
    let first = connection.read("tickets", None, small).unwrap();
    let (_, keys, partial) = read_on(&desk, &mut connection, Some(first.cursor), 40);
    assert!(partial == 4 && keys.len() >= 4, "{partial} of {keys:?}");
}

#[test]
fn an_outage_that_begins_within_a_page_writes_no_row_in_part() {
    let desk = Desk::with_tickets(250);
    let mut connection = connect(&desk, json!({}));
    desk.set(|state| state.fail_details_of(40..44));
    let first = connection.read("tickets", None, LIMITS).unwrap();
    desk.set(|state| state.fail_details = true);
    for _ in 0..20 {
        desk.advance_ms(60_000);
        assert_eq!(
            connection.read("tickets", Some(&first.cursor), LIMITS).unwrap_err().kind,
            Kind::Unavailable
        );
    }
    desk.set(|state| {
        state.fail_details = false;
        state.detail_status.clear();
    });
    let (_, keys, partial) = read_on(&desk, &mut connection, Some(first.cursor), 5);
    assert!(keys.contains(r#"{"id":"42"}"#) && partial == 0, "{partial}");
}

#[test]
fn a_record_that_is_refused_with_any_code_stops_no_table() {
    for (status, code) in [(401, "UNAUTHORIZED"), (403, "FORBIDDEN"), (403, "ANOTHER"), (422, "INVALID")] {
        let desk = Desk::with_tickets(9);
        let mut connection = connect(&desk, json!({}));
        desk.set(|state| state.refuse("/api/v1/tickets/3", status, code));
        let (_, keys, partial) = read_on(&desk, &mut connection, None, 10);
        assert_eq!((keys.len(), partial), (9, 1), "{status} {code}");
    }
    let desk = Desk::with_tickets(9);
    let mut connection = connect(&desk, json!({}));
    desk.set(|state| state.refuse("/api/v1/tickets/3", 403, "SCOPE_MISMATCH"));
    for _ in 0..5 {
        desk.advance_ms(60_000);
        let read = connection.read("tickets", None, LIMITS);
        assert!(read.is_ok_and(|batch| !batch.caught_up), "a missing scope is missing for all records");
    }
}

#[test]
fn lists_of_a_parent_that_are_refused_with_any_code_stop_no_table() {
    for (status, code) in [(401, "NOT_ALLOWED"), (403, "ACCESS_DENIED"), (403, "")] {
        let desk = Desk::with_tickets(9);
        let mut connection = connect(&desk, json!({}));
        for list in ["/api/v1/tickets/3/threads", "/api/v1/tickets/3/conversations"] {
            desk.set(|state| state.refuse(list, status, code));
        }
        let (mut cursor, mut keys) = (None::<String>, BTreeSet::new());
        for _ in 0..10 {
            desk.advance_ms(60_000);
            let Ok(batch) = connection.read("ticket_conversations", cursor.as_deref(), LIMITS) else {
                continue;
            };
            keys.extend(batch.changes.into_iter().map(|change| change.key));
            cursor = Some(batch.cursor);
            if batch.caught_up {
                assert!(!batch.generation.unwrap().complete, "{status} {code}");
                break;
            }
        }
        assert!(keys.len() == 8 && cursor.unwrap().contains("search"), "{status} {code}: {keys:?}");
    }
}

#[test]
fn records_that_were_given_up_are_read_again_an_hour_later() {
    let desk = Desk::with_tickets(9);
    let mut connection = connect(&desk, json!({}));
    desk.set(|state| state.fail_detail_of = Some("3".to_owned()));
    desk.set(|state| state.refuse("/api/v1/tickets/4/threads/t4", 500, "INTERNAL_SERVER_ERROR"));
    let mut given_up = |table: &str| {
        let (mut cursor, mut partial) = (None::<String>, 0);
        for _ in 0..20 {
            desk.advance_ms(20_000);
            let Ok(batch) = connection.read(table, cursor.as_deref(), LIMITS) else { continue };
            partial += batch.partial_rows;
            cursor = Some(batch.cursor);
            if batch.caught_up {
                assert_eq!(partial, 1, "{table}");
                return cursor.unwrap();
            }
        }
        panic!("{table} never ends");
    };
    let cursors = ["tickets", "ticket_conversations"].map(|table| (table, given_up(table)));
    desk.set(|state| {
        state.fail_detail_of = None;
        state.accept("/api/v1/tickets/4/threads/t4");
    });
    desk.advance_ms(60 * 60 * 1000);
    for (table, cursor) in cursors {
        let round = read_round(&mut connection, table, &cursor);
        let rows: Vec<Value> = round
            .changes
            .iter()
            .map(|change| serde_json::from_str(change.after.as_ref().unwrap()).unwrap())
            .collect();
        let has = |text: &str| rows.iter().any(|row| row.to_string().contains(text));
        assert!(has("text 3") || has("of 4"), "{table}: {rows:?}");
        assert!(round.changes.iter().all(|change| change.partial && change.operation == Operation::Update));
        assert_eq!(round.undelivered, None);
        desk.advance_ms(24 * 60 * 60 * 1000);
        assert!(read_round(&mut connection, table, &round.cursor).changes.is_empty(), "{table}: once");
    }
}

#[test]
fn an_outage_of_all_details_writes_no_row_in_part_and_costs_few_calls() {
    let desk = Desk::with_tickets(250);
    let mut connection = connect(&desk, json!({}));
    desk.set(|state| state.fail_details = true);
    for _ in 0..20 {
        assert_eq!(connection.read("tickets", None, LIMITS).unwrap_err().kind, Kind::Unavailable);
        desk.advance_ms(60_000);
    }
    assert!(desk.calls() < 20 * 25, "{} calls", desk.calls());
    desk.set(|state| state.fail_details = false);
    let batch = connection.read("tickets", None, LIMITS).unwrap();
    assert!(batch.changes.len() == 250 && batch.partial_rows == 0 && batch.generation.unwrap().complete);
}

#[test]
fn a_record_that_always_fails_stops_no_table_even_when_it_is_the_only_one() {
    let desk = Desk::with_tickets(1);
    let mut connection = connect(&desk, json!({}));
    desk.set(|state| state.fail_detail_of = Some("1".to_owned()));
    for attempt in 1..10 {
        if let Ok(batch) = connection.read("tickets", None, LIMITS) {
            assert!(attempt >= 5 && batch.caught_up && batch.partial_rows == 1, "{attempt}");
            return;
        }
        desk.advance_ms(10_000);
    }
    panic!("the table never goes on");
}

#[test]
fn a_deleted_record_is_skipped_and_a_hidden_one_has_only_the_members_of_the_list() {
    let desk = Desk::with_tickets(5);
    desk.set(|state| {
        state.detail_status.insert("2".to_owned(), 404);
        state.detail_status.insert("3".to_owned(), 403);
    });
    let (rows, _) = read_all(&mut connect(&desk, json!({})), "tickets", LIMITS);
    let ids: Vec<&str> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["1", "3", "4", "5"]);
    assert_eq!(rows[1]["subject"], "s");
    assert!(rows[1].get("description").is_none(), "the detail is hidden");
}

#[test]
fn an_optional_parameter_that_a_portal_refuses_is_dropped_for_good() {
    let desk = Desk::with_tickets(3);
    desk.set(|state| state.refuse_include = true);
    let mut connection = connect(&desk, json!({"ticket_detail": false}));
    assert_eq!(read_all(&mut connection, "tickets", LIMITS).0.len(), 3);
    assert!(connection.session().contains("tickets.include"));
}

#[test]
fn a_server_that_ignores_from_fails_the_read() {
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
    panic!("the read never fails");
}

#[test]
fn a_refused_token_is_renewed_once_and_the_call_is_retried_once() {
    let desk = Desk::with_tickets(3);
    let mut connection = connect(&desk, json!({}));
    desk.set(|state| state.token += 1);
    assert_eq!(read_all(&mut connection, "tickets", LIMITS).0.len(), 3);
    assert_eq!(desk.tokens(), 2);
    desk.advance_ms(TOKEN_YOUNG_MS);
    desk.set(|state| state.refuse_every_token = true);
    let error = connection.read("tickets", None, LIMITS).unwrap_err();
    assert_eq!((error.kind, error.code.as_deref()), (Kind::Unavailable, Some("INVALID_OAUTH")));
    assert_eq!(desk.tokens(), 3, "one renewal, not one for each refusal");
}

#[test]
fn a_batch_passes_max_changes_by_one_page_at_most_and_the_next_continues() {
    let desk = Desk::with_tickets(450);
    let mut connection = connect(&desk, json!({"ticket_detail": false}));
    let small = Limits { max_changes: 120, ..LIMITS };
    let (mut cursor, mut lengths, mut keys) = (None::<String>, Vec::new(), BTreeSet::new());
    loop {
        let batch = connection.read("tickets", cursor.as_deref(), small).unwrap();
        lengths.push(batch.changes.len());
        keys.extend(batch.changes.into_iter().map(|change| change.key));
        cursor = Some(batch.cursor);
        if batch.caught_up {
            break;
        }
    }
    assert!(lengths.len() > 2 && lengths.iter().all(|length| *length <= 220), "{lengths:?}");
    assert_eq!(keys.len(), 450);
}

#[test]
fn after_the_snapshot_only_changes_are_read() {
    let desk = Desk::with_tickets(30);
    let mut connection = connect(&desk, json!({}));
    let (_, cursor) = read_all(&mut connection, "tickets", LIMITS);
    desk.advance_ms(60_000);
    desk.set(|state| state.modify("17"));
    desk.set(|state| state.delete("4"));
    desk.advance_ms(90_000);
    let batch = read_round(&mut connection, "tickets", &cursor);
    assert!(batch.generation.is_none());
    let keys: Vec<(&str, Operation)> =
        batch.changes.iter().map(|change| (change.key.as_str(), change.operation)).collect();
    assert_eq!(keys, [(r#"{"id":"17"}"#, Operation::Update), (r#"{"id":"4"}"#, Operation::Delete)]);
    desk.advance_ms(300_000);
    let again = connection.read("tickets", Some(&batch.cursor), LIMITS).unwrap();
    assert!(again.changes.is_empty(), "the overlap returns row 17 again, and it is known");
}

#[test]
fn children_of_a_page_of_parents_larger_than_a_batch_are_read_in_several_batches() {
    let desk = Desk::with_tickets(160);
    let mut connection = connect(&desk, json!({}));
    let (rows, mut cursor) = read_all(&mut connection, "ticket_conversations", LIMITS);
    assert_eq!(rows.len(), 160);
    assert_eq!((&rows[0]["kind"], &rows[0]["ticketId"]), (&json!("thread"), &json!("1")));
    desk.advance_ms(60_000);
    (1..=160).for_each(|id: u32| desk.set(|state| state.modify(&id.to_string())));
    let small = Limits { max_changes: 50, ..LIMITS };
    let mut seen = BTreeSet::new();
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
    panic!("never caught up");
}

#[test]
fn only_the_last_batch_of_a_snapshot_is_complete() {
    let desk = Desk::with_tickets(150);
    let mut connection = connect(&desk, json!({"ticket_detail": false}));
    let first = connection.read("tickets", None, Limits { max_changes: 50, ..LIMITS }).unwrap();
    let generation = first.generation.unwrap();
    assert!(!generation.complete);
    let last = connection.read("tickets", Some(&first.cursor), LIMITS).unwrap();
    assert_eq!(last.generation, Some(Generation { complete: true, ..generation }));
}

#[test]
fn fields_of_every_module_are_tagged_and_a_missing_module_is_skipped() {
    let desk = Desk::with_tickets(0);
    let mut connection = connect(&desk, json!({}));
    let (rows, cursor) = read_all(&mut connection, "organization_fields", LIMITS);
    let modules: Vec<&str> = rows.iter().map(|row| row["module"].as_str().unwrap()).collect();
    assert!(modules.contains(&"tickets") && modules.contains(&"products"));
    assert!(!modules.contains(&"timeEntry"), "the portal answers 422 for it");
    assert!(cursor.contains(r#""phase":"idle""#), "{cursor}");
}

#[test]
fn discovery_finds_custom_fields_with_path_and_type() {
    let desk = Desk::with_tickets(0);
    let found = connect(&desk, json!({"tables": ["tickets"]})).discover().unwrap();
    let region = &found[0].schema["properties"]["cf_region"];
    assert_eq!((&region["x-path"], &region["x-type"]), (&json!("/cf/cf_region"), &json!("text")));
}

#[test]
fn the_connection_test_skips_items_that_depend_on_a_failed_one() {
    let desk = Desk::with_tickets(2);
    let outcomes = |more: Value| -> Vec<(String, Outcome)> {
        connect(&desk, more).check().into_iter().map(|item| (item.name, item.outcome)).collect()
    };
    let good = outcomes(json!({"tables": ["tickets", "departments"]}));
    let names: Vec<&str> = good.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "desk host",
        "accounts host",
        "token",
        "organization",
        "table departments",
        "table tickets",
        "webhooks",
    ];
    assert_eq!(names, expected);
    assert!(good.iter().all(|(_, outcome)| *outcome == Outcome::Passed), "{good:?}");
    let wrong = outcomes(json!({"tables": ["tickets"], "organization_id": "43"}));
    assert_eq!(wrong[3], ("organization".to_owned(), Outcome::Failed));
    assert_eq!(wrong[4], ("table tickets".to_owned(), Outcome::Skipped));
}

#[test]
fn an_outage_that_answers_404_for_every_record_deletes_none() {
    let deletes = |batch: &zoho_desk::reader::Batch| {
        batch.changes.iter().filter(|change| change.operation == Operation::Delete).count()
    };
    for (lost, deleted) in [(30, 0), (3, 3)] {
        let desk = Desk::with_tickets(30);
        let mut connection = connect(&desk, json!({}));
        let (_, cursor) = read_all(&mut connection, "tickets", LIMITS);
        desk.advance_ms(60_000);
        desk.set(|state| {
            (1..=30).for_each(|id: u32| state.modify(&id.to_string()));
            state.detail_status.extend((1..=lost).map(|id: u32| (id.to_string(), 404)));
        });
        desk.advance_ms(30_000);
        let changed = connection.read("tickets", Some(&cursor), LIMITS);
        if deleted > 0 {
            assert_eq!(deletes(&changed.unwrap()), deleted, "the others show that the API is there");
            continue;
        }
        assert!(changed.is_err(), "nothing moves");
        assert!(connection.read("tickets", None, LIMITS).is_err(), "no row is left out of a snapshot");
        desk.set(|state| state.detail_status.clear());
        let healed = connection.read("tickets", Some(&cursor), LIMITS).unwrap();
        assert_eq!((healed.changes.len(), deletes(&healed)), (30, 0));
    }
}
