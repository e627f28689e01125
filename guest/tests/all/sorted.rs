//! Incremental reading by a list that is sorted by modified time.

use serde_json::json;
use zoho_desk::connection::Connection;
use zoho_desk::reader::{Batch, Limits};

use crate::desk::Desk;
use crate::setup::{LIMITS, connect, read_all, read_round};

const HOUR_MS: u64 = 3_600_000;

/// A portal with this many contracts, read once, an hour later; the connection and its cursor.
fn read_once(count: u32) -> (Desk, Connection<Desk>, String) {
    let desk = Desk::with_tickets(0);
    let now_ms = desk.now_ms();
    desk.set(|state| state.contracts = (1..=count).map(|id| (id, now_ms - 100_000_000)).collect());
    let mut connection = connect(&desk, json!({}));
    let (rows, cursor) = read_all(&mut connection, "contracts", LIMITS);
    assert_eq!(rows.len(), count as usize);
    desk.advance_ms(HOUR_MS);
    (desk, connection, cursor)
}

/// Modifies contracts just now.
fn modify(desk: &Desk, ids: impl Iterator<Item = u32>) {
    let now_ms = desk.now_ms();
    desk.set(|state| state.contracts.extend(ids.map(|id| (id, now_ms))));
}

fn keys(batch: &Batch) -> Vec<&str> {
    batch.changes.iter().map(|change| change.key.as_str()).collect()
}

#[test]
fn a_quiet_round_costs_one_page_and_two_details() {
    let (desk, mut connection, cursor) = read_once(120);
    let calls = desk.calls();
    let batch = read_round(&mut connection, "contracts", &cursor);
    assert!(batch.changes.is_empty(), "{:?}", keys(&batch));
    assert_eq!(batch.wait_ms, Some(HOUR_MS));
    // The recycle bin, and a new token.
    assert!(desk.calls() - calls <= 5, "{} calls", desk.calls() - calls);
}

#[test]
fn changed_and_new_records_are_found_and_the_others_are_not_read() {
    let (desk, mut connection, cursor) = read_once(120);
    modify(&desk, (40..=42).chain([121]));
    desk.advance_ms(60_000);
    let calls = desk.calls();
    let batch = read_round(&mut connection, "contracts", &cursor);
    let mut found = keys(&batch);
    found.sort_unstable();
    assert_eq!(found, [r#"{"id":"121"}"#, r#"{"id":"40"}"#, r#"{"id":"41"}"#, r#"{"id":"42"}"#]);
    assert!(desk.calls() - calls <= 14, "{} calls", desk.calls() - calls);
    desk.advance_ms(HOUR_MS);
    assert!(read_round(&mut connection, "contracts", &batch.cursor).changes.is_empty());
}

#[test]
fn changes_of_several_pages_are_all_found_in_small_batches() {
    let (desk, mut connection, mut cursor) = read_once(300);
    modify(&desk, 10..=180);
    desk.advance_ms(60_000);
    let mut found = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let limits = Limits { max_changes: 7, ..LIMITS };
        let batch = connection.read("contracts", Some(&cursor), limits).unwrap();
        found.extend(keys(&batch).into_iter().map(str::to_owned));
        cursor = batch.cursor;
        if batch.caught_up {
            assert_eq!(found.len(), 171);
            return;
        }
    }
    panic!("never caught up");
}

#[test]
fn a_list_that_cannot_be_sorted_is_read_as_a_whole() {
    let (desk, mut connection, mut cursor) = read_once(60);
    desk.set(|state| state.refuse_modified_sort = true);
    for round in 0..3 {
        modify(&desk, [5].into_iter());
        desk.advance_ms(HOUR_MS);
        let batch = read_round(&mut connection, "contracts", &cursor);
        assert_eq!(batch.changes.len(), if round == 0 { 0 } else { 60 }, "round {round}");
        assert_eq!(batch.warnings.is_empty(), round > 0, "{:?}", batch.warnings);
        cursor = batch.cursor;
    }
}

#[test]
fn a_cursor_of_a_version_that_read_the_whole_list_continues() {
    let (desk, mut connection, _) = read_once(60);
    let at_ms = desk.now_ms() - HOUR_MS;
    modify(&desk, [5].into_iter());
    desk.advance_ms(60_000);
    let idle = json!({"version": 1, "table": "contracts", "phase": "idle", "last_snapshot_ms": at_ms});
    let batch = read_round(&mut connection, "contracts", &idle.to_string());
    assert_eq!(keys(&batch), [r#"{"id":"5"}"#]);
}

#[test]
fn a_deleted_record_is_found_by_the_verification_of_the_day() {
    let (desk, mut connection, cursor) = read_once(60);
    let cursor = read_round(&mut connection, "contracts", &cursor).cursor;
    desk.set(|state| state.contracts.retain(|id, _| *id != 7));
    desk.advance_ms(24 * HOUR_MS);
    let (calls, batch) = (desk.calls(), read_round(&mut connection, "contracts", &cursor));
    assert!(batch.generation.is_some_and(|generation| generation.complete));
    assert_eq!(batch.changes.len(), 59);
    assert!(desk.calls() - calls <= 6, "{} calls: details were read", desk.calls() - calls);
}
