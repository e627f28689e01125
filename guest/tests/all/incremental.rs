//! Incremental reading through a scripted transport: search windows, deletes, children, the recycle bin.

use std::collections::BTreeSet;

use serde_json::json;
use zoho_desk::change::Operation;
use zoho_desk::connection::Connection;
use zoho_desk::reader::{Batch, Limits};

use crate::desk::Desk;
use crate::setup::{LIMITS, connect, read_all, read_round};

/// Reads from a cursor until caught up.
fn read_changes(connection: &mut Connection<Desk>, table: &str, mut cursor: String) -> Vec<Batch> {
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
    panic!("never caught up");
}

/// The keys of all changes, each once.
fn keys(batches: &[Batch]) -> BTreeSet<&str> {
    batches.iter().flat_map(|batch| &batch.changes).map(|change| change.key.as_str()).collect()
}

#[test]
fn a_window_without_a_total_is_halved_at_the_search_cap_and_read_to_its_end() {
    for (same_second, by_created) in [(false, true), (true, false), (true, true)] {
        let desk = Desk::with_tickets(6_000);
        desk.set(|state| {
            state.count_of_page = true;
            state.created_every_min = 1;
            state.refuse_created_time = !by_created;
        });
        let mut connection = connect(&desk, json!({"ticket_detail": false}));
        let (_, cursor) = read_all(&mut connection, "tickets", LIMITS);
        desk.advance_ms(10 * 60_000);
        for id in 1..=6_000 {
            desk.set(|state| state.modify_at(id, if same_second { 300_000 } else { u64::from(id) * 90 }));
        }
        let batches = read_changes(&mut connection, "tickets", cursor);
        let found = keys(&batches).len();
        let warned = batches.iter().flat_map(|batch| &batch.warnings).any(|text| text.contains("one second"));
        if same_second && !by_created {
            assert!((4_900..=5_000).contains(&found) && warned, "{found}, warned: {warned}");
        } else {
            assert!(found == 6_000 && !warned, "{found}, warned: {warned}");
        }
    }
}

#[test]
fn deletes_found_by_404_are_dated_by_the_sources_clock_and_have_distinct_ids() {
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
        let batch = read_round(&mut connection, "tickets", &cursor);
        let [change] = &batch.changes[..] else { panic!("{:?}", batch.changes) };
        assert_eq!(change.operation, Operation::Delete);
        assert_eq!(change.as_of_ms, Some((desk.now_ms() + 600_000) / 1000 * 1000 - 1000));
        ids.push(change.id.clone());
        cursor = batch.cursor;
    }
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn conversations_of_a_ticket_in_the_recycle_bin_are_deleted_where_they_are_still_listed() {
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
fn conversations_of_tickets_in_the_recycle_bin_that_are_refused_cost_few_calls_and_no_warning() {
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

#[test]
fn lists_of_tickets_in_the_recycle_bin_that_are_refused_with_any_code_cost_few_calls() {
    for (status, code) in [(422, "INVALID_DATA"), (403, "ANOTHER"), (404, "ANOTHER")] {
        let desk = Desk::with_tickets(200);
        let mut connection = connect(&desk, json!({}));
        let (_, cursor) = read_all(&mut connection, "ticket_conversations", LIMITS);
        desk.advance_ms(60_000);
        desk.set(|state| {
            state.delete_together(1..151);
            for id in 1..=150 {
                for list in ["threads", "comments"] {
                    state.refuse(format!("/api/v1/tickets/{id}/{list}").leak(), status, code);
                }
            }
            state.asked.clear();
        });
        let round = read_round(&mut connection, "ticket_conversations", &cursor);
        assert!(round.changes.is_empty() && round.warnings.is_empty(), "{code}: {:?}", round.warnings);
        desk.set(|state| assert!(state.asked.len() < 50, "{code}: {} calls", state.asked.len()));
    }
}

#[test]
fn tickets_of_the_recycle_bin_that_never_had_conversations_hide_none_of_the_others() {
    let desk = Desk::with_tickets(60);
    desk.set(|state| state.silent = (1..=40).collect());
    let mut connection = connect(&desk, json!({}));
    let (_, cursor) = read_all(&mut connection, "ticket_conversations", LIMITS);
    desk.advance_ms(60_000);
    for id in 1..=42 {
        desk.set(|state| state.delete(&id.to_string()));
        desk.advance_ms(1_000);
    }
    let batch = read_round(&mut connection, "ticket_conversations", &cursor);
    let keys: Vec<&str> = batch.changes.iter().map(|change| change.key.as_str()).collect();
    assert_eq!(keys, [r#"{"id":"t41"}"#, r#"{"id":"t42"}"#]);
}

#[test]
fn a_short_outage_of_their_lists_leaves_no_conversation_of_a_ticket_in_the_recycle_bin() {
    let desk = Desk::with_tickets(60);
    let mut connection = connect(&desk, json!({}));
    let (_, cursor) = read_all(&mut connection, "ticket_conversations", LIMITS);
    desk.advance_ms(60_000);
    let lists = ["/api/v1/tickets/5/threads", "/api/v1/tickets/5/comments"];
    desk.set(|state| {
        state.delete("5");
        lists.iter().for_each(|list| state.refuse(list, 503, "SERVICE_UNAVAILABLE"));
    });
    desk.advance_ms(30_000);
    let mut cursor = match connection.read("ticket_conversations", Some(&cursor), LIMITS) {
        Ok(batch) => {
            assert!(batch.changes.is_empty() && !batch.caught_up, "{:?}", batch.warnings);
            batch.cursor
        }
        Err(_) => cursor,
    };
    desk.set(|state| lists.iter().for_each(|list| state.accept(list)));
    desk.advance_ms(30_000);
    assert_eq!(next(&mut connection, "ticket_conversations", &mut cursor), [r#"{"id":"t5"}"#]);
}

#[test]
fn a_change_that_the_index_shows_late_is_found_by_the_second_search_without_a_detail() {
    let desk = Desk::with_tickets(30);
    let mut connection = connect(&desk, json!({}));
    let (_, mut cursor) = read_all(&mut connection, "tickets", LIMITS);
    desk.advance_ms(3 * 3_600_000);
    desk.set(|state| state.modify("5"));
    desk.advance_ms(60_000);
    assert_eq!(next(&mut connection, "tickets", &mut cursor), [r#"{"id":"5"}"#]);
    desk.set(|state| state.modify_at(7, 50 * 60_000));
    let late_ms = desk.now_ms() - 50 * 60_000;
    assert!(next(&mut connection, "tickets", &mut cursor).is_empty(), "the index showed it too late");
    let mut found = Vec::new();
    for _ in 0..9 {
        desk.advance_ms(86_400_000);
        desk.set(|state| state.asked.clear());
        let batch = read_round(&mut connection, "tickets", &cursor);
        cursor = batch.cursor;
        desk.set(|state| assert!(state.asked.len() <= 5, "{:?}", state.asked));
        found.extend(batch.changes);
    }
    let keys: Vec<&str> = found.iter().map(|change| change.key.as_str()).collect();
    assert_eq!(keys, [r#"{"id":"5"}"#, r#"{"id":"7"}"#], "once, and the sink knows the first one");
    assert!(found.iter().all(|change| change.partial));
    assert_eq!(found[1].as_of_ms, Some(late_ms - 2_000));
}

#[test]
fn more_deletes_than_one_step_reads_are_all_found() {
    for newest_first in [false, true] {
        let desk = Desk::with_tickets(2_700);
        desk.set(|state| state.newest_deleted_first = newest_first);
        let mut connection = connect(&desk, json!({"ticket_detail": false}));
        let start = connection.cursor_at("tickets", desk.now_ms()).unwrap();
        for id in 1..=2_500 {
            desk.advance_ms(100);
            desk.set(|state| state.delete(&id.to_string()));
        }
        let mut cursor = start.clone();
        let mut found = BTreeSet::new();
        for round in 0..3 {
            desk.advance_ms(5 * 60_000);
            // One more is deleted while the others are read.
            desk.set(|state| state.delete(&(2_600 + round).to_string()));
            let batch = read_round(&mut connection, "tickets", &cursor);
            cursor = batch.cursor;
            found.extend(batch.changes.into_iter().map(|change| change.key));
            assert!(batch.warnings.is_empty(), "{:?}", batch.warnings);
        }
        assert_eq!(found.len(), 2_503, "newest first: {newest_first}");
    }
}

#[test]
fn conversations_of_more_tickets_than_one_step_lists_are_deleted() {
    let desk = Desk::with_tickets(300);
    let mut connection = connect(&desk, json!({}));
    let (_, mut cursor) = read_all(&mut connection, "ticket_conversations", LIMITS);
    desk.advance_ms(60_000);
    desk.set(|state| state.delete_together(1..251));
    desk.advance_ms(30_000);
    assert_eq!(next(&mut connection, "ticket_conversations", &mut cursor).len(), 250);
}

/// The keys of the next batch.
fn next(connection: &mut Connection<Desk>, table: &str, cursor: &mut String) -> Vec<String> {
    let batch = read_round(connection, table, cursor);
    *cursor = batch.cursor;
    batch.changes.into_iter().map(|change| change.key).collect()
}

#[test]
fn a_ticket_is_read_once_for_a_customer_response_that_did_not_modify_it() {
    let desk = Desk::with_tickets(9);
    let mut connection = connect(&desk, json!({}));
    let (_, mut cursor) = read_all(&mut connection, "ticket_conversations", LIMITS);
    desk.advance_ms(60_000);
    desk.set(|state| {
        state.modify("6");
        state.respond_to(5);
        state.respond_to(6);
    });
    desk.advance_ms(30_000);
    let found = next(&mut connection, "ticket_conversations", &mut cursor);
    assert_eq!(
        found,
        [r#"{"id":"t6"}"#, r#"{"id":"t5"}"#],
        "by modified time, then by response time; none twice"
    );
    desk.advance_ms(60_000);
    assert!(next(&mut connection, "ticket_conversations", &mut cursor).is_empty(), "both are known");
    desk.set(|state| state.respond_to(6));
    desk.advance_ms(30_000);
    let again = next(&mut connection, "ticket_conversations", &mut cursor);
    assert_eq!(again.len(), 0, "the same counts and modified time: nothing was added");
}

#[test]
fn a_comment_on_a_ticket_in_the_overlap_is_found_by_its_count() {
    let desk = Desk::with_tickets(9);
    let mut connection = connect(&desk, json!({}));
    let (_, mut cursor) = read_all(&mut connection, "ticket_conversations", LIMITS);
    desk.advance_ms(60_000);
    desk.set(|state| state.modify("6"));
    desk.advance_ms(30_000);
    assert_eq!(next(&mut connection, "ticket_conversations", &mut cursor), [r#"{"id":"t6"}"#]);
    desk.set(|state| state.comment_on(6));
    desk.advance_ms(300_000);
    let found = next(&mut connection, "ticket_conversations", &mut cursor);
    assert_eq!(found, [r#"{"id":"t6"}"#, r#"{"id":"c6-0"}"#]);
    desk.advance_ms(300_000);
    assert!(next(&mut connection, "ticket_conversations", &mut cursor).is_empty());
}

#[test]
fn a_portal_whose_search_takes_only_modified_times_is_asked_once_for_others() {
    let desk = Desk::with_tickets(9);
    desk.set(|state| state.refuse_response_time = true);
    let mut connection = connect(&desk, json!({}));
    let (_, mut cursor) = read_all(&mut connection, "ticket_conversations", LIMITS);
    for _ in 0..2 {
        desk.advance_ms(60_000);
        desk.set(|state| state.modify("6"));
        desk.advance_ms(30_000);
        assert_eq!(next(&mut connection, "ticket_conversations", &mut cursor), [r#"{"id":"t6"}"#]);
    }
    let asked =
        |state: &crate::desk::State| state.asked.iter().filter(|path| path.contains("customerRes")).count();
    desk.set(|state| assert_eq!(asked(state), 1));
}

#[test]
fn cursors_of_version_1_are_read() {
    let desk = Desk::with_tickets(9);
    let mut connection = connect(&desk, json!({}));
    let at = desk.now_ms();
    desk.set(|state| state.modify("6"));
    desk.advance_ms(30_000);
    let snapshot = json!({"version": 1, "table": "tickets", "phase": "snapshot", "started_at_ms": at,
        "source_started_at_ms": at, "partition": 0, "pages_at_once": 1,
        "offset": {"from": 3, "last_ids": ["1", "2", "3"]}});
    let search = json!({"version": 1, "table": "ticket_conversations", "phase": "search", "since_ms": at,
        "window": {"from_ms": at - 60_000, "to_ms": at + 20_000, "end_ms": at + 20_000,
            "source_now_ms": null, "offset": {"from": 1, "last_ids": []}},
        "recycle_bin_since_ms": at, "seen": {"5": at}});
    let idle = json!({"version": 1, "table": "departments", "phase": "idle",
        "last_snapshot_ms": at - 7_200_000});
    for (table, cursor, changes) in
        [("tickets", snapshot, 6), ("ticket_conversations", search, 1), ("departments", idle, 1)]
    {
        let cursor = cursor.to_string();
        let batch = read_round(&mut connection, table, &cursor);
        assert_eq!(batch.changes.len(), changes, "{table}");
    }
}

#[test]
fn a_macro_that_changes_many_tickets_is_read_once() {
    let desk = Desk::with_tickets(10_000);
    let mut connection = connect(&desk, json!({}));
    let from_now = connection.cursor_at("tickets", desk.now_ms()).unwrap();
    desk.advance_ms(60_000);
    (1..=10_000).for_each(|id| desk.set(|state| state.modify_at(id, u64::from(id) * 5)));
    desk.advance_ms(10_000);
    desk.set(|state| state.asked.clear());
    let mut cursor = from_now;
    for _ in 0..8 {
        cursor = read_changes(&mut connection, "tickets", cursor).pop().unwrap().cursor;
        desk.advance_ms(5 * 60_000);
    }
    desk.set(|state| {
        let is_detail = |path: &&String| path.starts_with("/api/v1/tickets/") && !path.contains("search");
        let details = state.asked.iter().filter(is_detail).count();
        assert!(details <= 11_000, "{details} details");
    });
}

#[test]
fn the_conversations_of_many_tickets_that_a_macro_changes_are_listed_once_and_no_message_is_read() {
    let desk = Desk::with_tickets(10_000);
    let sent_ms = desk.now_ms() - 24 * 3_600_000;
    desk.set(|state| {
        state.threads_at_ms = Some(sent_ms);
        (1..=10_000).step_by(2).for_each(|id| state.comment_on(id));
    });
    let mut connection = connect(&desk, json!({}));
    let mut cursor = connection.cursor_at("ticket_conversations", desk.now_ms()).unwrap();
    desk.advance_ms(60_000);
    (1..=10_000).for_each(|id| desk.set(|state| state.modify_at(id, u64::from(id) * 5)));
    desk.advance_ms(10_000);
    desk.set(|state| state.asked.clear());
    let mut found = BTreeSet::new();
    for _ in 0..8 {
        let batches = read_changes(&mut connection, "ticket_conversations", cursor);
        found.extend(keys(&batches).into_iter().map(str::to_owned));
        cursor = batches.last().unwrap().cursor.clone();
        desk.advance_ms(5 * 60_000);
    }
    assert_eq!(found.len(), 15_000, "every thread and comment");
    desk.set(|state| {
        let is_message = |path: &&String| path.contains("/threads/");
        assert_eq!(state.asked.iter().filter(is_message).count(), 0);
        assert!(state.asked.len() <= 11_000, "{} calls", state.asked.len());
    });
}

#[test]
fn a_recycle_bin_that_cannot_be_read_delays_deletes_and_nothing_else() {
    for status in [403, 404, 422, 500] {
        let desk = Desk::with_tickets(9);
        let mut connection = connect(&desk, json!({}));
        let (_, mut cursor) = read_all(&mut connection, "tickets", LIMITS);
        desk.set(|state| state.recycle_bin_status = status);
        desk.advance_ms(60_000);
        desk.set(|state| state.delete("4"));
        for _ in 0..10 {
            desk.advance_ms(5 * 60_000);
            desk.set(|state| state.modify("5"));
            desk.advance_ms(60_000);
            let calls = desk.calls();
            let batch = read_round(&mut connection, "tickets", &cursor);
            assert_eq!(batch.changes.len(), 1, "{status}");
            assert!(batch.warnings.iter().any(|text| text.contains("recycle bin")), "{status}");
            assert!(desk.calls() - calls <= 6, "{status}: {} calls", desk.calls() - calls);
            cursor = batch.cursor;
        }
        desk.set(|state| state.recycle_bin_status = 0);
        desk.advance_ms(5 * 60_000);
        assert_eq!(next(&mut connection, "tickets", &mut cursor), [r#"{"id":"4"}"#], "{status}");
    }
}

#[test]
fn a_recycle_bin_that_fails_one_table_keeps_its_last_reading_for_the_others() {
    let desk = Desk::with_tickets(9);
    desk.set(|state| state.bin_type = "Contacts");
    let mut connection = connect(&desk, json!({}));
    let (_, contacts) = read_all(&mut connection, "contacts", LIMITS);
    let (_, mut tickets) = read_all(&mut connection, "tickets", LIMITS);
    desk.advance_ms(60_000);
    desk.set(|state| state.delete("4"));
    desk.advance_ms(3_600_000);
    tickets = read_round(&mut connection, "tickets", &tickets).cursor;
    desk.set(|state| state.recycle_bin_status = 500);
    desk.advance_ms(1_000);
    let failed = read_round(&mut connection, "tickets", &tickets);
    assert!(failed.warnings.iter().any(|text| text.contains("recycle bin")), "{:?}", failed.warnings);
    let round = read_round(&mut connection, "contacts", &contacts);
    let keys: Vec<&str> = round.changes.iter().map(|change| change.key.as_str()).collect();
    assert_eq!(keys, [r#"{"id":"4"}"#], "{:?}", round.warnings);
}

#[test]
fn deletes_are_found_in_either_order_of_the_recycle_bin_and_once() {
    for newest_first in [true, false] {
        let desk = Desk::with_tickets(700);
        desk.set(|state| state.newest_deleted_first = newest_first);
        desk.set(|state| (1..=600).for_each(|id: u32| state.delete(&id.to_string())));
        desk.advance_ms(24 * 3_600_000);
        let mut connection = connect(&desk, json!({}));
        let (_, mut cursor) = read_all(&mut connection, "tickets", LIMITS);
        desk.advance_ms(60_000);
        desk.set(|state| (601..=660).for_each(|id: u32| state.delete(&id.to_string())));
        desk.advance_ms(60_000);
        let calls = desk.calls();
        assert_eq!(next(&mut connection, "tickets", &mut cursor).len(), 60, "newest first: {newest_first}");
        assert!(desk.calls() - calls <= 14, "{} calls", desk.calls() - calls);
        desk.advance_ms(5 * 60_000);
        assert!(next(&mut connection, "tickets", &mut cursor).is_empty(), "newest first: {newest_first}");
    }
}

#[test]
fn the_recycle_bin_is_read_once_for_all_tables_of_a_round() {
    let desk = Desk::with_tickets(9);
    let mut connection = connect(&desk, json!({}));
    let mut cursors =
        ["tickets", "ticket_conversations"].map(|table| (table, read_all(&mut connection, table, LIMITS).1));
    for round in 1..=3 {
        desk.advance_ms(5 * 60_000);
        desk.set(|state| state.asked.clear());
        for (table, cursor) in &mut cursors {
            next(&mut connection, table, cursor);
        }
        let mut scans = 0;
        desk.set(|state| scans = state.asked.iter().filter(|path| path.contains("recycleBin")).count());
        assert_eq!(scans, 1, "round {round}");
    }
}

/// The searches by modified time.
fn searches(desk: &Desk) -> Vec<String> {
    let mut searches = Vec::new();
    desk.set(|state| {
        let is_it = |path: &&String| path.contains("/tickets/search") && path.contains("modifiedTimeRange");
        searches = state.asked.iter().filter(is_it).cloned().collect();
    });
    searches
}

#[test]
fn one_search_of_a_round_serves_a_table_and_its_children() {
    let desk = Desk::with_tickets(300);
    let mut connection = connect(&desk, json!({}));
    let mut cursors =
        ["tickets", "ticket_conversations"].map(|table| (table, read_all(&mut connection, table, LIMITS).1));
    for round in 0..6 {
        desk.advance_ms(5 * 60_000);
        let changed: u32 = [1, 0, 250, 1, 3, 0][round];
        desk.set(|state| {
            (1..=changed).for_each(|id| state.modify_at(id, 60_000));
            state.asked.clear();
        });
        // They are not polled at the same time, nor always in the same order.
        cursors.reverse();
        let found: Vec<usize> = cursors
            .iter_mut()
            .map(|(table, cursor)| {
                desk.advance_ms(60_000);
                next(&mut connection, table, cursor).len()
            })
            .collect();
        assert_eq!(found, [changed as usize; 2], "round {round}");
        let asked = searches(&desk);
        let range = |path: &String| path.split('&').next().unwrap().to_owned();
        let ranges: BTreeSet<String> = asked.iter().map(range).collect();
        assert!(round == 0 || ranges.len() == 1, "round {round}: {asked:?}");
        assert_eq!(asked.iter().collect::<BTreeSet<_>>().len(), asked.len(), "round {round}: {asked:?}");
    }
}

#[test]
fn a_table_that_was_not_read_for_long_searches_by_itself() {
    let desk = Desk::with_tickets(9);
    let mut connection = connect(&desk, json!({}));
    let (_, tickets) = read_all(&mut connection, "tickets", LIMITS);
    let (_, mut conversations) = read_all(&mut connection, "ticket_conversations", LIMITS);
    desk.set(|state| state.modify("5"));
    let mut cursor = tickets;
    for _ in 0..12 {
        desk.advance_ms(10 * 60_000);
        next(&mut connection, "tickets", &mut cursor);
    }
    desk.set(|state| state.modify("6"));
    desk.advance_ms(60_000);
    next(&mut connection, "tickets", &mut cursor);
    let found = next(&mut connection, "ticket_conversations", &mut conversations);
    assert_eq!(found, [r#"{"id":"t5"}"#, r#"{"id":"t6"}"#]);
}

#[test]
fn a_table_without_its_family_keeps_no_pages_and_finds_its_changes() {
    let desk = Desk::with_tickets(9);
    let mut connection = connect(&desk, json!({"tables": ["ticket_conversations"]}));
    let (_, mut cursor) = read_all(&mut connection, "ticket_conversations", LIMITS);
    for _ in 0..2 {
        desk.advance_ms(60_000);
        desk.set(|state| state.modify("6"));
        desk.advance_ms(60_000);
        assert_eq!(next(&mut connection, "ticket_conversations", &mut cursor), [r#"{"id":"t6"}"#]);
    }
}

#[test]
fn rows_that_leave_a_search_that_is_shared_stop_no_table() {
    let desk = Desk::with_tickets(300);
    let mut connection = connect(&desk, json!({"tables": ["tickets", "ticket_conversations"]}));
    let (_, tickets) = read_all(&mut connection, "tickets", LIMITS);
    let (_, conversations) = read_all(&mut connection, "ticket_conversations", LIMITS);
    desk.advance_ms(60_000);
    desk.set(|state| (1..=300).for_each(|id| state.modify_at(id, 10_000)));
    // One page of the tickets; meanwhile some of its rows change again.
    connection.read("tickets", Some(&tickets), Limits { max_changes: 50, ..LIMITS }).unwrap();
    desk.advance_ms(60_000);
    desk.set(|state| (1..=20).for_each(|id| state.modify(&id.to_string())));
    let batches = read_changes(&mut connection, "ticket_conversations", conversations);
    assert!(keys(&batches).len() >= 300, "{} keys", keys(&batches).len());
}

#[test]
fn a_search_by_another_time_that_is_refused_for_no_stated_reason_stops_no_table() {
    let desk = Desk::with_tickets(9);
    let mut connection = connect(&desk, json!({}));
    let (_, cursor) = read_all(&mut connection, "ticket_conversations", LIMITS);
    desk.set(|state| {
        state.refuse_response_time = true;
        state.vague = true;
    });
    desk.advance_ms(60_000);
    desk.set(|state| state.modify("5"));
    desk.advance_ms(60_000);
    let batches = read_changes(&mut connection, "ticket_conversations", cursor);
    assert!(batches.last().unwrap().caught_up);
    let warnings: Vec<&String> = batches.iter().flat_map(|batch| &batch.warnings).collect();
    assert!(warnings.iter().any(|text| text.contains("customerResponseTimeRange")), "{warnings:?}");
}

#[test]
fn records_that_were_deleted_together_long_ago_cost_no_search_of_the_recycle_bin() {
    for newest_deleted_first in [true, false] {
        let desk = Desk::with_tickets(9_000);
        desk.set(|state| state.newest_deleted_first = newest_deleted_first);
        // The last page is not full: one that is costs another call.
        let batches = if newest_deleted_first { [1..8_000, 8_000..8_060] } else { [1..61, 61..8_020] };
        for ids in batches {
            desk.set(|state| state.delete_together(ids));
            desk.advance_ms(24 * 3_600_000);
        }
        let mut connection = connect(&desk, json!({"ticket_detail": false}));
        let (_, mut cursor) = read_all(&mut connection, "tickets", LIMITS);
        desk.advance_ms(3 * 3_600_000);
        desk.set(|state| state.asked.clear());
        assert!(next(&mut connection, "tickets", &mut cursor).is_empty());
        let scans =
            |state: &crate::desk::State| state.asked.iter().filter(|path| path.contains("Bin")).count();
        let most = if newest_deleted_first { 4 } else { 20 };
        desk.set(|state| assert!(scans(state) <= most, "{newest_deleted_first}: {} pages", scans(state)));
        desk.advance_ms(3 * 3_600_000);
        desk.set(|state| state.asked.clear());
        assert!(next(&mut connection, "tickets", &mut cursor).is_empty());
        desk.set(|state| assert!(scans(state) <= 4, "{newest_deleted_first}: {} pages", scans(state)));
        desk.set(|state| state.delete("8500"));
        desk.advance_ms(60_000);
        assert_eq!(next(&mut connection, "tickets", &mut cursor), [r#"{"id":"8500"}"#]);
    }
}

#[test]
fn a_delete_is_found_once_by_polls_that_are_far_apart() {
    let desk = Desk::with_tickets(9);
    let mut connection = connect(&desk, json!({}));
    let (_, mut cursor) = read_all(&mut connection, "tickets", LIMITS);
    desk.advance_ms(60_000);
    desk.set(|state| state.delete("5"));
    desk.advance_ms(60_000);
    assert_eq!(next(&mut connection, "tickets", &mut cursor), [r#"{"id":"5"}"#]);
    for _ in 0..3 {
        desk.advance_ms(3_600_000);
        assert!(next(&mut connection, "tickets", &mut cursor).is_empty());
    }
}
