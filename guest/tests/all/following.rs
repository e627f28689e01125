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
