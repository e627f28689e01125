//! Snapshots through a scripted transport: when one starts, and when it is complete.

use std::collections::BTreeSet;

use serde_json::json;

use zoho_desk::connection::Connection;
use zoho_desk::error::Kind;
use zoho_desk::reader::Batch;

use crate::desk::Desk;
use crate::setup::{LIMITS, connect, read_all, read_round};

const HOUR_MS: u64 = 3_600_000;

#[test]
fn a_full_refresh_does_not_start_before_it_is_due() {
    let desk = Desk::with_tickets(0);
    let mut connection = connect(&desk, json!({}));
    let (_, cursor) = read_all(&mut connection, "departments", LIMITS);
    let calls = desk.calls();
    desk.advance_ms(HOUR_MS / 4);
    let mut again = connect(&desk, json!({})); // as after a restart
    let authorized = desk.calls() - calls;
    let early = again.read("departments", Some(&cursor), LIMITS).unwrap();
    assert!(early.caught_up && early.changes.is_empty() && early.generation.is_none());
    assert_eq!((early.wait_ms, &early.cursor), (Some(HOUR_MS * 3 / 4), &cursor));
    assert_eq!(desk.calls(), calls + authorized, "no call");
    desk.advance_ms(HOUR_MS * 3 / 4 - 1000); // a host whose clock is a second fast
    let due = again.read("departments", Some(&cursor), LIMITS).unwrap();
    assert!(!due.changes.is_empty() && due.generation.is_some());
    let from_now = again.cursor_at("departments", desk.now_ms()).unwrap();
    assert!(again.read("departments", Some(&from_now), LIMITS).unwrap().generation.is_some());
}

/// One snapshot of the fields, which takes one batch.
fn fields(connection: &mut Connection<Desk>) -> Batch {
    let batch = connection.read("organization_fields", None, LIMITS).unwrap();
    assert!(batch.caught_up, "caught up, complete or not");
    batch
}

fn is_complete(batch: &Batch) -> bool {
    batch.generation.unwrap().complete
}

#[test]
fn a_snapshot_is_incomplete_when_a_module_is_refused_that_may_have_had_rows() {
    let desk = Desk::with_tickets(0);
    let mut connection = connect(&desk, json!({}));
    assert!(!is_complete(&fields(&mut connection)), "`timeEntry` is refused: it may have had rows");
    assert!(is_complete(&fields(&mut connection)), "refused again, and it never had a row");
    for (status, code) in
        [(422, "UNPROCESSABLE_ENTITY"), (403, "FORBIDDEN"), (404, "URL_NOT_FOUND"), (204, "no rows")]
    {
        desk.set(|state| state.answer_fields("contacts", status, code));
        for _ in 0..3 {
            let batch = fields(&mut connection);
            assert!(!is_complete(&batch), "{status}: contacts had fields");
            assert!(batch.warnings.iter().any(|text| text.contains("is incomplete")), "{:?}", batch.warnings);
        }
    }
    desk.set(|state| state.answer_fields("contacts", 403, "LICENSE_ACCESS_LIMITED"));
    assert!(is_complete(&fields(&mut connection)), "the edition has no contacts any more");
    desk.set(|state| state.field_status.clear());
    assert!(is_complete(&fields(&mut connection)));
}

#[test]
fn a_skipped_module_makes_every_later_batch_of_its_snapshot_incomplete() {
    let desk = Desk::with_tickets(0);
    let mut connection = connect(&desk, json!({}));
    fields(&mut connection);
    desk.set(|state| state.answer_fields("tickets", 404, "URL_NOT_FOUND"));
    let small = zoho_desk::reader::Limits { max_changes: 1, ..LIMITS };
    let (mut cursor, mut completes) = (None, Vec::new());
    loop {
        let batch = connection.read("organization_fields", cursor.as_deref(), small).unwrap();
        completes.push(is_complete(&batch));
        cursor = Some(batch.cursor);
        if batch.caught_up {
            break;
        }
    }
    assert!(completes.len() > 5 && !completes.contains(&true), "{completes:?}");
}

#[test]
fn an_empty_list_is_an_error_when_the_source_counts_rows() {
    let desk = Desk::with_tickets(0);
    desk.set(|state| state.counted = 12);
    let error = connect(&desk, json!({})).read("tickets", None, LIMITS).unwrap_err();
    assert_eq!(error.kind, Kind::Permission);
    assert!(error.message.contains("counts 12 rows"), "{error}");
    let departments = json!({"department_ids": ["7", "8"]});
    let error = connect(&desk, departments).read("tickets", None, LIMITS).unwrap_err();
    assert!(error.message.contains("counts 24 rows"), "each department is asked: {error}");
    desk.set(|state| state.modify("3"));
    let error = connect(&desk, json!({})).read("ticket_conversations", None, LIMITS).unwrap_err();
    assert!(error.message.contains("counts 1 rows"), "by the search, where there is no count: {error}");
    desk.set(|state| state.counted = 0);
    assert!(is_complete(&connect(&desk, json!({})).read("tickets", None, LIMITS).unwrap()));
    desk.set(|state| state.count_status = 404);
    let batch = connect(&desk, json!({})).read("tickets", None, LIMITS).unwrap();
    assert!(!is_complete(&batch), "an empty list that cannot be checked deletes no row");
    assert!(batch.warnings.iter().any(|text| text.contains("cannot be checked")), "{:?}", batch.warnings);
}

#[test]
fn hidden_conversations_are_skipped_and_make_the_snapshot_incomplete() {
    let desk = Desk::with_tickets(45);
    let mut connection = connect(&desk, json!({}));
    desk.set(|state| state.hidden = vec!["5/threads".to_owned(), "6/threads/t6".to_owned()]);
    let batch = connection.read("ticket_conversations", None, LIMITS).unwrap();
    assert!(batch.caught_up && !is_complete(&batch), "{:?}", batch.warnings);
    let row = |id: &str| batch.changes.iter().find(|change| change.key == format!(r#"{{"id":"{id}"}}"#));
    assert_eq!(batch.changes.len(), 44);
    assert!(row("t5").is_none());
    let listed = row("t6").unwrap();
    assert!(!listed.after.as_ref().unwrap().contains("content"));
    assert!(listed.partial, "the sink keeps its content");
    for warning in ["threads of 5 are skipped", "thread t6: only the members of the list"] {
        assert!(batch.warnings.iter().any(|text| text.contains(warning)), "{:?}", batch.warnings);
    }
    desk.set(|state| state.hidden.truncate(0));
    assert!(is_complete(&connection.read("ticket_conversations", None, LIMITS).unwrap()));
}

#[test]
fn incremental_reading_skips_hidden_conversations() {
    let desk = Desk::with_tickets(9);
    let mut connection = connect(&desk, json!({}));
    let (_, cursor) = read_all(&mut connection, "ticket_conversations", LIMITS);
    desk.advance_ms(60_000);
    desk.set(|state| {
        state.hidden = vec!["5/threads".to_owned()];
        (4..=6).for_each(|id: u32| state.modify(&id.to_string()));
    });
    let batch = read_round(&mut connection, "ticket_conversations", &cursor);
    assert_eq!(batch.changes.len(), 2, "{:?}", batch.changes);
}

#[test]
fn a_ticket_with_more_threads_than_the_limit_is_read_in_part_and_the_table_to_its_end() {
    let desk = Desk::with_tickets(3);
    let mut connection = connect(&desk, json!({}));
    desk.set(|state| state.endless = Some("2".to_owned()));
    let wide = zoho_desk::reader::Limits { max_changes: 100_000, ..LIMITS };
    let (mut cursor, mut changes, mut warnings) = (None, 0, Vec::new());
    let is_complete = loop {
        let batch = connection.read("ticket_conversations", cursor.as_deref(), wide).unwrap();
        changes += batch.changes.len();
        if batch.caught_up {
            break is_complete(&batch);
        }
        warnings.extend(batch.warnings);
        cursor = Some(batch.cursor);
    };
    assert_eq!((changes, is_complete), (4_953, false));
    assert!(warnings[0].contains("2 has more than 4951 threads"), "{warnings:?}");
}

#[test]
fn a_list_that_is_short_by_the_same_rows_twice_is_whole_and_one_with_a_cap_never_is() {
    for (tickets, counted, expected, (sort, every_min, age_ms)) in [
        // Zoho counts archived tickets, which no list shows.
        (230, [300, 300, 301], [false, true, true], ("oldest", 0, 0)),
        (230, [300, 300, 301], [false, true, true], ("newest", 1, 0)),
        // Windows are read behind the list.
        (230, [300, 300, 301], [false, true, true], ("oldest", 1, 2 * 86_400_000)),
        // Rows are lost in between.
        (230, [300, 500, 500], [false, false, true], ("oldest", 0, 0)),
        (500, [900, 900, 900], [false, false, false], ("oldest", 0, 0)),
        (499, [900, 900, 900], [false, false, false], ("oldest", 0, 0)),
        // The list lacks rows that the search finds.
        (300, [300, 300, 300], [false, false, false], ("oldest", 0, 0)),
    ] {
        let desk = Desk::with_tickets(tickets);
        desk.set(|state| {
            state.list_cap = if tickets == 300 { 230 } else { 0 };
            state.search_has_all = true;
            state.created_every_min = every_min;
        });
        desk.advance_ms(age_ms);
        let mut connection = connect(&desk, json!({"ticket_detail": false, "sort": sort}));
        let found = counted.map(|counted| {
            desk.set(|state| state.counted = counted);
            let mut cursor = None;
            loop {
                let batch = connection.read("tickets", cursor.as_deref(), LIMITS).unwrap();
                if batch.caught_up {
                    return is_complete(&batch);
                }
                cursor = Some(batch.cursor);
            }
        });
        assert_eq!(found, expected, "{tickets} of {counted:?}, {sort}, {every_min}, {age_ms}");
    }
}

#[test]
fn contacts_without_their_detail_cost_the_pages_of_their_list() {
    let desk = Desk::with_tickets(250);
    let mut connection = connect(&desk, json!({"contact_detail": false}));
    let (rows, cursor) = read_all(&mut connection, "contacts", LIMITS);
    assert_eq!(rows.len(), 250);
    assert!(desk.calls() < 10, "{} calls", desk.calls());
    desk.advance_ms(60_000);
    desk.set(|state| state.modify("9"));
    desk.advance_ms(60_000);
    let calls = desk.calls();
    let round = read_round(&mut connection, "contacts", &cursor);
    assert_eq!(round.changes.len(), 1);
    assert!(desk.calls() - calls <= 3, "a search and the recycle bin");
}

/// Reads a snapshot to its end: the keys in it, and whether it is complete.
fn snapshot(
    connection: &mut Connection<Desk>,
    table: &str,
    mut cursor: Option<String>,
) -> (BTreeSet<String>, bool) {
    let mut keys = BTreeSet::new();
    for _ in 0..100 {
        let batch = connection.read(table, cursor.as_deref(), LIMITS).unwrap();
        keys.extend(batch.changes.iter().map(|change| change.key.clone()));
        if batch.caught_up {
            return (keys, is_complete(&batch));
        }
        cursor = Some(batch.cursor);
    }
    panic!("the snapshot does not end");
}

#[test]
fn an_empty_list_of_a_table_that_had_rows_proves_no_delete() {
    let desk = Desk::with_tickets(3);
    desk.set(|state| state.contracts = [(1, 1), (2, 2)].into());
    let mut connection = connect(&desk, json!({}));
    for (table, path) in [
        ("contracts", "/api/v1/contracts"),
        ("contacts", "/api/v1/contacts"),
        ("ticket_conversations", "/api/v1/tickets"),
        ("departments", "/api/v1/departments"),
    ] {
        assert!(snapshot(&mut connection, table, None).1, "{table}");
        desk.set(|state| state.refuse(path, 204, ""));
        for _ in 0..2 {
            let (keys, is_complete) = snapshot(&mut connection, table, None);
            assert!(keys.is_empty() && !is_complete, "{table}");
            // Another user may see less.
            connection.authorize(r#"{"code":"good"}"#).unwrap();
        }
        desk.set(|state| state.accept(path));
        assert!(snapshot(&mut connection, table, None).1, "{table}");
    }
    desk.set(|state| state.silent = vec![1, 2, 3]);
    assert!(!snapshot(&mut connection, "ticket_conversations", None).1, "no ticket has any child left");
}

#[test]
fn a_list_that_becomes_empty_while_it_is_read_deletes_nothing() {
    let desk = Desk::with_tickets(0);
    desk.set(|state| state.contracts = (1..=150).map(|id| (id, 1)).collect());
    let mut connection = connect(&desk, json!({}));
    let page = zoho_desk::reader::Limits { max_changes: 10, ..LIMITS };
    let first = connection.read("contracts", None, page).unwrap();
    assert!(!first.caught_up && !first.changes.is_empty());
    desk.set(|state| state.refuse("/api/v1/contracts", 204, ""));
    assert!(!snapshot(&mut connection, "contracts", Some(first.cursor)).1);
}

#[test]
fn rows_that_the_list_leaves_out_and_the_search_finds_are_deleted_by_no_snapshot() {
    for (cap, created_every_min) in [(150, 30), (150, 0), (173, 0)] {
        let desk = Desk::with_tickets(400);
        desk.set(|state| {
            (1..=400).for_each(|id| state.modify_at(id, 1_000));
            (state.list_cap, state.created_every_min) = (cap, created_every_min);
        });
        let mut connection = connect(&desk, json!({"contact_detail": false}));
        for round in 0..3 {
            let (keys, is_complete) = snapshot(&mut connection, "contacts", None);
            let is_whole = keys.len() == 400;
            assert!(is_whole == (created_every_min > 0), "{cap}, {round}: {} rows", keys.len());
            assert!(is_whole || !is_complete, "{cap}, {round}");
        }
    }
}

#[test]
fn a_snapshot_that_another_shape_starts_deletes_no_archived_ticket_and_one_of_a_person_does() {
    for (table, has_archive) in [("tickets", true), ("ticket_conversations", true), ("contacts", false)] {
        let desk = Desk::with_tickets(9);
        let (_, cursor) = read_all(&mut connect(&desk, json!({})), table, LIMITS);
        desk.set(|state| state.purge(9));
        let mut connection = connect(&desk, json!({"shape": "flat"}));
        let (keys, is_complete) = snapshot(&mut connection, table, Some(cursor));
        assert_eq!((keys.len(), is_complete), (8, !has_archive), "{table}");
        assert!(snapshot(&mut connection, table, None).1, "{table}: as the person asked");
    }
}
