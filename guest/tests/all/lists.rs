//! The selection of a list: its order, its filters and the parameters that a portal takes.

use serde_json::json;
use zoho_desk::connection::Connection;
use zoho_desk::reader::Limits;

use crate::desk::Desk;
use crate::setup::{LIMITS, connect, read_all, read_round};

#[test]
fn changing_the_order_or_the_departments_begins_the_snapshot_again() {
    for (before, after) in [
        (json!({"sort": "oldest"}), json!({"sort": "newest"})),
        (json!({"department_ids": ["2"]}), json!({"department_ids": ["1"]})),
    ] {
        let desk = Desk::with_tickets(1_000);
        desk.set(|state| (1..=1_000).filter(|id| id % 4 == 0).for_each(|id| state.move_to(id, 2)));
        let small = Limits { max_changes: 150, ..LIMITS };
        let first = connect(&desk, before.clone()).read("tickets", None, small).unwrap();
        let (mut rows, mut cursor) = (std::collections::BTreeSet::new(), first.cursor.clone());
        let mut connection = connect(&desk, after.clone());
        let generation = loop {
            let batch = connection.read("tickets", Some(&cursor), small).unwrap();
            rows.extend(batch.changes.into_iter().map(|change| change.key));
            cursor = batch.cursor;
            if batch.caught_up {
                break batch.generation.unwrap();
            }
        };
        let expected = if after.get("sort").is_some() { 1_000 } else { 750 };
        assert_eq!(rows.len(), expected, "{before} to {after}");
        assert!(generation.complete && generation.id > first.generation.unwrap().id);
    }
}

/// What the list is asked with.
fn asked(desk: &Desk, name: &str) -> usize {
    let mut count = 0;
    desk.set(|state| count = state.asked.iter().filter(|path| path.contains(name)).count());
    count
}

fn read(desk: &Desk, connection: &mut Connection<Desk>) {
    desk.set(|state| state.asked.clear());
    read_all(connection, "tickets", LIMITS);
}

#[test]
fn a_refusal_that_is_about_no_parameter_drops_none() {
    let desk = Desk::with_tickets(9);
    let mut connection = connect(&desk, json!({"ticket_detail": false}));
    desk.set(|state| state.list_status = 422);
    for _ in 0..3 {
        connection.read("tickets", None, LIMITS).unwrap_err();
    }
    desk.set(|state| state.list_status = 0);
    read(&desk, &mut connection);
    assert!(asked(&desk, "include=") > 0 && asked(&desk, "sortBy=") > 0);
}

#[test]
fn a_parameter_that_a_refusal_does_not_name_is_dropped_when_the_call_succeeds_without_it() {
    let desk = Desk::with_tickets(9);
    desk.set(|state| {
        state.refuse_include = true;
        state.vague = true;
    });
    let mut connection = connect(&desk, json!({"ticket_detail": false}));
    let batch = connection.read("tickets", None, LIMITS).unwrap();
    assert_eq!(batch.warnings.len(), 1, "{:?}", batch.warnings);
    assert!(batch.warnings[0].contains("without `include`"), "{:?}", batch.warnings);
    let again = connection.read("tickets", None, LIMITS).unwrap();
    assert!(again.warnings.is_empty(), "said once: {:?}", again.warnings);
    read(&desk, &mut connection);
    assert!(asked(&desk, "include=") == 0 && asked(&desk, "sortBy=") > 0);
    desk.set(|state| state.refuse_include = false);
    desk.advance_ms(8 * 86_400_000);
    read(&desk, &mut connection);
    assert!(asked(&desk, "include=") > 0, "tried again after a week");
}

#[test]
fn a_list_much_shorter_than_the_count_is_incomplete() {
    let desk = Desk::with_tickets(150);
    desk.set(|state| state.counted = 1_000);
    let batch = connect(&desk, json!({"ticket_detail": false})).read("tickets", None, LIMITS).unwrap();
    assert!(batch.caught_up && !batch.generation.unwrap().complete);
    assert!(
        batch.warnings.iter().any(|text| text.contains("the source counts 1000")),
        "{:?}",
        batch.warnings
    );
}

/// The last batch of a snapshot of contacts.
fn last_batch(connection: &mut Connection<Desk>) -> zoho_desk::reader::Batch {
    let mut cursor = None;
    loop {
        let batch = connection.read("contacts", cursor.as_deref(), LIMITS).unwrap();
        if batch.caught_up {
            return batch;
        }
        cursor = Some(batch.cursor);
    }
}

#[test]
fn a_list_whose_count_is_refused_proves_no_delete() {
    for status in [403, 404, 422, 429, 500] {
        let desk = Desk::with_tickets(150);
        desk.set(|state| state.count_status = status);
        let mut connection = connect(&desk, json!({"ticket_detail": false}));
        let first = connection.read("tickets", None, LIMITS).unwrap();
        let is_temporary = matches!(status, 429 | 500);
        assert_eq!(first.caught_up, !is_temporary, "{status}");
        assert!(!first.generation.unwrap().complete, "{status}: {:?}", first.warnings);
        if !is_temporary {
            let is_said = |text: &String| text.contains("has 150 rows, and that cannot be checked");
            assert!(first.warnings.iter().any(is_said), "{status}: {:?}", first.warnings);
            continue;
        }
        connection.read("tickets", Some(&first.cursor), LIMITS).unwrap_err();
        desk.set(|state| (state.count_status, state.counted) = (0, 150));
        let last = connection.read("tickets", Some(&first.cursor), LIMITS).unwrap();
        assert!(last.caught_up && last.generation.unwrap().complete, "{status}: {:?}", last.warnings);
    }
}

#[test]
fn a_count_that_always_fails_ends_the_snapshot_as_incomplete() {
    let desk = Desk::with_tickets(150);
    desk.set(|state| state.count_status = 500);
    let mut connection = connect(&desk, json!({"ticket_detail": false}));
    let mut cursor = connection.read("tickets", None, LIMITS).unwrap().cursor;
    for _ in 0..10 {
        desk.advance_ms(60_000);
        if let Ok(batch) = connection.read("tickets", Some(&cursor), LIMITS) {
            cursor = batch.cursor;
            if batch.caught_up {
                assert!(!batch.generation.unwrap().complete);
                return;
            }
        }
    }
    panic!("the snapshot never ends");
}

#[test]
fn a_list_without_a_count_that_ends_before_what_the_search_finds_is_incomplete() {
    let desk = Desk::with_tickets(700);
    desk.set(|state| {
        (1..=700).for_each(|id| state.modify_at(id, 1_000));
        state.list_cap = 500;
    });
    let mut connection = connect(&desk, json!({}));
    for _ in 0..2 {
        let batch = last_batch(&mut connection);
        assert!(batch.caught_up && !batch.generation.unwrap().complete, "{:?}", batch.warnings);
    }
    desk.set(|state| state.list_cap = 0);
    let batch = last_batch(&mut connection);
    assert!(batch.caught_up && batch.generation.unwrap().complete, "{:?}", batch.warnings);
}

#[test]
fn a_parent_with_many_children_is_read_in_several_batches_without_its_list_page_again() {
    let desk = Desk::with_tickets(60);
    desk.set(|state| (0..450).for_each(|_| state.comment_on(7)));
    let mut connection = connect(&desk, json!({}));
    let small = Limits { max_changes: 100, ..LIMITS };
    let (mut cursor, mut lengths, mut keys) = (None::<String>, Vec::new(), Vec::new());
    loop {
        let batch = connection.read("ticket_conversations", cursor.as_deref(), small).unwrap();
        lengths.push(batch.changes.len());
        keys.extend(batch.changes.into_iter().map(|change| change.key));
        cursor = Some(batch.cursor);
        if batch.caught_up {
            break;
        }
    }
    let distinct: std::collections::BTreeSet<&String> = keys.iter().collect();
    assert_eq!((distinct.len(), keys.len()), (510, 510), "each once");
    assert!(lengths.iter().all(|length| *length <= 200), "{lengths:?}");
    assert_eq!(asked(&desk, "/api/v1/tickets?"), 2, "the page, and the one that ends the list");
}

#[test]
fn only_new_messages_are_read_again() {
    let desk = Desk::with_tickets(9);
    let mut connection = connect(&desk, json!({}));
    let old_ms = desk.now_ms();
    desk.set(|state| state.threads_at_ms = Some(old_ms));
    let (_, cursor) = read_all(&mut connection, "ticket_conversations", LIMITS);
    desk.advance_ms(3 * 3_600_000);
    desk.set(|state| {
        state.modify("6");
        state.asked.clear();
    });
    let first = read_round(&mut connection, "ticket_conversations", &cursor);
    desk.advance_ms(3 * 3_600_000);
    desk.set(|state| state.modify("6"));
    desk.set(|state| state.asked.clear());
    let batch = read_round(&mut connection, "ticket_conversations", &first.cursor);
    assert!(batch.changes.len() == 1 && batch.changes[0].partial, "{:?}", batch.changes);
    assert_eq!(asked(&desk, "/threads/"), 0, "its message is hours old");
}
