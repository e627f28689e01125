//! Following by search through a scripted transport: what is asked, what becomes a delete, and where it ends.

use std::collections::BTreeSet;

use serde_json::json;
use zoho_desk::connection::Connection;
use zoho_desk::reader::Batch;
use zoho_desk::row::Operation;

use crate::desk::Desk;
use crate::reading::{LIMITS, connect, read_all};

/// Reads from a cursor until nothing is left.
fn follow(connection: &mut Connection<Desk>, table: &str, mut cursor: String) -> Vec<Batch> {
    let mut batches = Vec::new();
    for _ in 0..300 {
        let batch = connection.read(table, Some(&cursor), LIMITS).unwrap();
        let done = batch.caught_up;
        cursor.clone_from(&batch.cursor);
        batches.push(batch);
        if done {
            return batches;
        }
    }
    panic!("following does not end");
}

/// The keys of all changes, each once.
fn keys(batches: &[Batch]) -> BTreeSet<&str> {
    batches.iter().flat_map(|batch| &batch.changes).map(|change| change.key.as_str()).collect()
}

#[test]
fn a_search_without_a_total_is_halved_at_its_cap_and_ends() {
    for same_second in [false, true] {
        let desk = Desk::with_tickets(6_000);
        desk.set(|state| state.count_of_page = true);
        let mut connection = connect(&desk, json!({"ticket_detail": false}));
        let (_, cursor) = read_all(&mut connection, "tickets", LIMITS);
        desk.advance_ms(10 * 60_000);
        for id in 1..=6_000 {
            desk.set(|state| state.modify_at(id, if same_second { 300_000 } else { u64::from(id) * 90 }));
        }
        let batches = follow(&mut connection, "tickets", cursor);
        let found = keys(&batches).len();
        let warned = batches.iter().flat_map(|batch| &batch.warnings).any(|text| text.contains("one second"));
        if same_second {
            assert!((4_900..=5_000).contains(&found) && warned, "{found}, warned: {warned}");
        } else {
            assert!(found == 6_000 && !warned, "{found}, warned: {warned}");
        }
    }
}

#[test]
fn a_delete_found_by_404_is_dated_by_the_sources_clock_and_differs_from_the_next() {
    let desk = Desk::with_tickets(9);
    desk.set(|state| state.ahead_ms = 600_000);
    let mut connection = connect(&desk, json!({}));
    let (_, mut cursor) = read_all(&mut connection, "tickets", LIMITS);
    let mut ids = Vec::new();
    for _ in 0..2 {
        desk.advance_ms(60_000);
        desk.set(|state| {
            state.modify("5");
            state.detail_status.insert("5".to_owned(), 404);
        });
        desk.advance_ms(10_000);
        let batch = connection.read("tickets", Some(&cursor), LIMITS).unwrap();
        let [change] = &batch.changes[..] else { panic!("{:?}", batch.changes) };
        assert_eq!(change.operation, Operation::Delete);
        assert_eq!(change.as_of_ms, Some((desk.now_ms() + 600_000) / 1000 * 1000 - 1000));
        ids.push(change.id.clone());
        cursor = batch.cursor;
    }
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn conversations_of_a_ticket_in_the_bin_are_buried_where_they_are_still_listed() {
    let desk = Desk::with_tickets(60);
    let mut connection = connect(&desk, json!({"department_ids": ["1"]}));
    let (_, cursor) = read_all(&mut connection, "ticket_conversations", LIMITS);
    desk.advance_ms(60_000);
    desk.set(|state| {
        state.move_to(9, 2);
        (5..=9).for_each(|id: u32| state.delete(&id.to_string()));
    });
    let deleted_ms = desk.now_ms();
    desk.advance_ms(30_000);
    let batch = connection.read("ticket_conversations", Some(&cursor), LIMITS).unwrap();
    let expected: Vec<String> = (5..=8).map(|id| format!(r#"{{"id":"t{id}"}}"#)).collect();
    assert_eq!(
        batch.changes.iter().map(|change| &change.key).collect::<Vec<_>>(),
        expected.iter().collect::<Vec<_>>()
    );
    assert!(batch.changes.iter().all(|change| change.operation == Operation::Delete));
    assert_eq!(batch.changes[0].as_of_ms, Some(deleted_ms + 999));
}

#[test]
fn conversations_in_the_bin_that_are_not_listed_cost_few_calls_and_no_words() {
    let desk = Desk::with_tickets(200);
    let mut connection = connect(&desk, json!({}));
    let (_, cursor) = read_all(&mut connection, "ticket_conversations", LIMITS);
    desk.advance_ms(60_000);
    desk.set(|state| {
        for id in 1..=150 {
            state.delete(&id.to_string());
            state.hidden.extend([format!("{id}/threads"), format!("{id}/comments")]);
        }
        state.asked.clear();
    });
    let batch = connection.read("ticket_conversations", Some(&cursor), LIMITS).unwrap();
    assert!(batch.changes.is_empty() && batch.warnings.is_empty(), "{:?}", batch.warnings);
    desk.set(|state| assert!(state.asked.len() < 50, "{} calls", state.asked.len()));
}
