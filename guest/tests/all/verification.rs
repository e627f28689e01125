//! The verification: the list is compared with the rows that were read, without details.

use serde_json::json;
use zoho_desk::connection::Connection;
use zoho_desk::reader::Limits;

use crate::desk::Desk;
use crate::setup::{LIMITS, connect, read_all, read_round};

const DAY_MS: u64 = 86_400_000;

/// A page is a batch.
const PAGE: Limits = Limits { max_changes: 90, ..LIMITS };

/// A portal whose 250 contacts were read eight days ago.
fn old(config: serde_json::Value) -> (Desk, Connection<Desk>, String) {
    let desk = Desk::with_tickets(250);
    desk.set(|state| state.bin_type = "Contacts");
    let mut connection = connect(&desk, config);
    let (_, cursor) = read_all(&mut connection, "contacts", LIMITS);
    desk.advance_ms(60_000);
    let cursor = read_round(&mut connection, "contacts", &cursor).cursor;
    desk.advance_ms(8 * DAY_MS);
    (desk, connection, cursor)
}

#[test]
fn a_purged_row_is_found_after_a_week_and_no_detail_is_read_for_it() {
    let (desk, mut connection, cursor) = old(json!({}));
    desk.set(|state| state.purge(9));
    let since_ms = desk.now_ms() - 8 * DAY_MS;
    let calls = desk.calls();
    let batch = read_round(&mut connection, "contacts", &cursor);
    let generation = batch.generation.expect("a snapshot");
    assert!(generation.complete);
    assert!(generation.as_of_ms.is_some_and(|at_ms| at_ms > since_ms), "what is missing is deleted");
    assert_eq!(batch.changes.len(), 249);
    assert!(batch.changes.iter().all(|change| change.partial), "the members of details stay");
    let is_oldest = |at_ms: u64| at_ms == 1;
    assert!(batch.changes.iter().all(|change| change.as_of_ms.is_some_and(is_oldest)));
    assert!(desk.calls() - calls <= 8, "{} calls", desk.calls() - calls);
}

#[test]
fn incremental_reading_continues_where_it_was_interrupted() {
    let (desk, mut connection, cursor) = old(json!({}));
    desk.set(|state| state.modify_at(9, DAY_MS));
    desk.set(|state| state.delete("8"));
    let verified = read_round(&mut connection, "contacts", &cursor);
    assert!(verified.generation.is_some());
    let batch = read_round(&mut connection, "contacts", &verified.cursor);
    let keys: Vec<&str> = batch.changes.iter().map(|change| change.key.as_str()).collect();
    assert_eq!(keys, [r#"{"id":"9"}"#, r#"{"id":"8"}"#], "the change, and the delete in the recycle bin");
    desk.advance_ms(300_000);
    assert!(read_round(&mut connection, "contacts", &batch.cursor).generation.is_none(), "for a week");
}

#[test]
fn a_verification_is_left_out_while_credits_are_short_and_where_it_is_turned_off() {
    let (desk, mut connection, cursor) = old(json!({"verify_days": 0}));
    assert!(read_round(&mut connection, "contacts", &cursor).generation.is_none());
    let (_, mut connection, cursor) = old(json!({"verify_days": 30}));
    assert!(read_round(&mut connection, "contacts", &cursor).generation.is_none());
    drop(desk);
    let (desk, mut connection, cursor) = old(json!({}));
    // Any answer says how many are left.
    for left in [99_000, 25_000] {
        desk.set(|state| state.credits_left = left);
        connection.count("tickets").unwrap();
    }
    assert!(read_round(&mut connection, "contacts", &cursor).generation.is_none());
}

#[test]
fn a_verification_that_fails_leaves_incremental_reading_alone() {
    let (desk, mut connection, cursor) = old(json!({}));
    desk.set(|state| {
        state.modify_at(9, DAY_MS);
        state.list_status = 403;
    });
    let batch = read_round(&mut connection, "contacts", &cursor);
    assert!(batch.warnings.iter().any(|text| text.contains("verification")), "{:?}", batch.warnings);
    assert_eq!(batch.changes.len(), 1, "the change");
    desk.set(|state| state.list_status = 0);
    desk.advance_ms(DAY_MS / 2);
    let batch = read_round(&mut connection, "contacts", &batch.cursor);
    assert!(batch.generation.is_none(), "not on the same day");
    desk.advance_ms(DAY_MS);
    assert!(read_round(&mut connection, "contacts", &batch.cursor).generation.is_some());
}

#[test]
fn a_clock_that_was_ahead_once_puts_off_no_verification() {
    let desk = Desk::with_tickets(9);
    let mut connection = connect(&desk, json!({}));
    let (_, cursor) = read_all(&mut connection, "contacts", LIMITS);
    let ahead = cursor
        .replace(&format!(r#""verified_ms":{}"#, &desk.now_ms().to_string()[..4]), r#""verified_ms":9999"#);
    assert_ne!(ahead, cursor, "{cursor}");
    let batch = read_round(&mut connection, "contacts", &ahead);
    assert!(batch.generation.is_some_and(|generation| generation.complete));
    desk.advance_ms(DAY_MS);
    assert!(read_round(&mut connection, "contacts", &batch.cursor).generation.is_none(), "for a week");
}

/// Reads batches of a page until caught up: the snapshots that they are of, and whether the list was
/// asked for from its start.
fn read_in_parts(desk: &Desk, connection: &mut Connection<Desk>, cursor: &mut String) -> (Vec<u64>, bool) {
    desk.set(|state| state.asked.clear());
    let mut generations = Vec::new();
    for _ in 0..20 {
        let batch = connection.read("contacts", Some(cursor), PAGE).unwrap();
        *cursor = batch.cursor;
        generations.extend(batch.generation.filter(|_| !batch.changes.is_empty()).map(|of| of.id));
        if batch.caught_up {
            break;
        }
    }
    let mut starts = false;
    desk.set(|state| starts = state.asked.iter().any(|path| path.starts_with("/api/v1/contacts?from=1&")));
    (generations, starts)
}

#[test]
fn a_verification_that_a_quota_interrupts_continues_at_its_place() {
    for by_reserve in [false, true] {
        let (desk, mut connection, mut cursor) = old(json!({}));
        desk.set(|state| state.purge(9));
        let first = connection.read("contacts", Some(&cursor), PAGE).unwrap();
        let generation = first.generation.unwrap().id;
        cursor = first.cursor;
        desk.set(|state| match by_reserve {
            true => state.credits_left = 25_000,
            false => state.refuse_once = Some(("/api/v1/contacts?", 429)),
        });
        if by_reserve {
            connection.count("tickets").unwrap();
        }
        let (generations, _) = read_in_parts(&desk, &mut connection, &mut cursor);
        assert!(generations.is_empty(), "{by_reserve}: {generations:?}");
        desk.set(|state| state.credits_left = 99_000);
        desk.advance_ms(if by_reserve { DAY_MS } else { 15 * 60_000 });
        let (generations, starts) = read_in_parts(&desk, &mut connection, &mut cursor);
        assert!(!generations.is_empty() && generations.iter().all(|id| *id == generation), "{by_reserve}");
        assert!(!starts, "{by_reserve}: from the first row again");
        let (generations, _) = read_in_parts(&desk, &mut connection, &mut cursor);
        assert!(generations.is_empty(), "{by_reserve}: it has ended");
    }
}

#[test]
fn a_verification_that_fails_long_after_it_was_due_is_tried_once_a_day() {
    let (desk, mut connection, cursor) = old(json!({}));
    desk.advance_ms(90 * DAY_MS);
    desk.set(|state| state.list_status = 403);
    let batch = read_round(&mut connection, "contacts", &cursor);
    assert_eq!(batch.warnings.len(), 1, "{:?}", batch.warnings);
    for _ in 0..3 {
        desk.advance_ms(DAY_MS / 4);
        let again = read_round(&mut connection, "contacts", &batch.cursor);
        assert!(again.warnings.is_empty(), "{:?}", again.warnings);
    }
}

#[test]
fn a_ticket_that_no_list_shows_may_be_archived_and_is_no_delete() {
    let desk = Desk::with_tickets(9);
    let mut connection = connect(&desk, json!({}));
    let (_, cursor) = read_all(&mut connection, "tickets", LIMITS);
    desk.set(|state| state.purge(9));
    desk.advance_ms(30 * DAY_MS);
    let batch = read_round(&mut connection, "tickets", &cursor);
    assert!(batch.generation.is_none() && batch.changes.is_empty());
}

#[test]
fn a_record_that_was_restored_without_a_new_modified_time_is_read_by_the_verification() {
    let desk = Desk::with_tickets(250);
    desk.set(|state| state.bin_type = "Contacts");
    let mut connection = connect(&desk, json!({}));
    let (_, cursor) = read_all(&mut connection, "contacts", LIMITS);
    desk.advance_ms(60_000);
    desk.set(|state| state.delete("8"));
    desk.advance_ms(60_000);
    let deleted = read_round(&mut connection, "contacts", &cursor);
    assert_eq!(deleted.changes.len(), 1);
    desk.set(|state| state.restore(8));
    desk.advance_ms(8 * DAY_MS);
    let verified = read_round(&mut connection, "contacts", &deleted.cursor);
    let is_whole = |change: &&zoho_desk::change::Change| !change.partial;
    let whole: Vec<_> = verified.changes.iter().filter(is_whole).collect();
    assert_eq!(whole.len(), 1, "its delete was the newest state");
    assert_eq!(whole[0].key, r#"{"id":"8"}"#);
    assert!(whole[0].as_of_ms > deleted.changes[0].as_of_ms);
    assert_eq!(verified.changes.len(), 250);
    // The next one has nothing to repair.
    desk.advance_ms(8 * DAY_MS);
    let cursor = read_round(&mut connection, "contacts", &verified.cursor).cursor;
    desk.advance_ms(8 * DAY_MS);
    let again = read_round(&mut connection, "contacts", &cursor);
    assert!(again.changes.iter().all(|change| change.partial));
}

#[test]
fn a_verification_whose_credits_end_gives_way_and_continues_from_its_place_the_next_day() {
    let (desk, mut connection, cursor) = old(json!({}));
    desk.set(|state| state.purge(9));
    let small = Limits { max_changes: 100, ..LIMITS };
    let first = connection.read("contacts", Some(&cursor), small).unwrap();
    let started = first.generation.expect("a verification");
    assert!(!first.caught_up);
    // Any answer says how many are left.
    desk.set(|state| {
        state.credits_left = 25_000;
    });
    connection.count("tickets").unwrap();
    let paused = read_round(&mut connection, "contacts", &first.cursor);
    assert!(paused.generation.is_none(), "incremental reading goes on");
    assert!(paused.warnings.iter().any(|text| text.contains("the verification")), "{:?}", paused.warnings);
    desk.set(|state| state.credits_left = 99_000);
    desk.advance_ms(2 * DAY_MS);
    connection.count("tickets").unwrap();
    let last = read_round(&mut connection, "contacts", &paused.cursor);
    let generation = last.generation.expect("the same verification");
    assert_eq!((generation.id, generation.complete), (started.id, true));
    assert!(last.changes.len() < 200, "{} rows: the first ones are not read again", last.changes.len());
    desk.advance_ms(DAY_MS);
    assert!(read_round(&mut connection, "contacts", &last.cursor).generation.is_none(), "for a week");
}

#[test]
fn a_record_that_a_404_deleted_is_read_by_the_verification_that_lists_it() {
    let desk = Desk::with_tickets(50);
    desk.set(|state| state.bin_type = "Contacts");
    let mut connection = connect(&desk, json!({}));
    let (_, cursor) = read_all(&mut connection, "contacts", LIMITS);
    desk.advance_ms(60_000);
    desk.set(|state| {
        [8, 9].iter().for_each(|id: &u32| state.modify(&id.to_string()));
        state.detail_status.insert("8".to_owned(), 404);
    });
    desk.advance_ms(30_000);
    let changed = read_round(&mut connection, "contacts", &cursor);
    let is_delete = |change: &&zoho_desk::change::Change| change.after.is_none();
    let deleted: Vec<_> = changed.changes.iter().filter(is_delete).collect();
    assert_eq!(deleted.len(), 1);
    desk.set(|state| state.detail_status.clear());
    desk.advance_ms(8 * DAY_MS);
    let calls = desk.calls();
    let verified = read_round(&mut connection, "contacts", &changed.cursor);
    assert!(verified.generation.is_some_and(|generation| generation.complete));
    let whole: Vec<_> = verified.changes.iter().filter(|change| !change.partial).collect();
    assert_eq!(whole.len(), 1);
    assert_eq!(whole[0].key, r#"{"id":"8"}"#);
    assert!(whole[0].as_of_ms > deleted[0].as_of_ms);
    assert!(desk.calls() - calls <= 8, "{} calls", desk.calls() - calls);
}
