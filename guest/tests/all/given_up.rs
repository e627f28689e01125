//! Records and lists that were given up, because their calls kept failing while others could be read: they
//! are read again.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use zoho_desk::connection::Connection;

use crate::desk::{Desk, State};
use crate::setup::{LIMITS, connect};

const HOUR_MS: u64 = 3_600_000;
const TABLE: &str = "ticket_conversations";

/// The lists of a ticket's conversations.
fn lists_of(ticket: u32) -> [&'static str; 3] {
    ["threads", "comments", "conversations"]
        .map(|list| format!("/api/v1/tickets/{ticket}/{list}").leak() as &str)
}

fn refuse(desk: &Desk, paths: &[&'static str]) {
    desk.set(|state| paths.iter().for_each(|path| state.refuse(path, 500, "INTERNAL_SERVER_ERROR")));
}

fn accept(desk: &Desk, paths: &[&'static str]) {
    desk.set(|state| paths.iter().for_each(|path| state.accept(path)));
}

/// A portal whose messages were all sent two hours before.
fn portal(tickets: u32, change: impl FnOnce(&mut State)) -> (Desk, Connection<Desk>) {
    let desk = Desk::with_tickets(tickets);
    let now_ms = desk.now_ms();
    desk.set(|state| {
        state.threads_at_ms = Some(now_ms - 2 * HOUR_MS);
        change(state);
    });
    let connection = connect(&desk, json!({}));
    (desk, connection)
}

/// Reads until caught up, twenty seconds after each batch; the rows by their ids.
fn read(
    desk: &Desk,
    connection: &mut Connection<Desk>,
    cursor: &mut Option<String>,
) -> BTreeMap<String, Value> {
    let mut rows = BTreeMap::new();
    for _ in 0..30 {
        if let Ok(batch) = connection.read(TABLE, cursor.as_deref(), LIMITS) {
            for change in batch.changes {
                let row: Value = serde_json::from_str(&change.after.unwrap()).unwrap();
                rows.insert(row["id"].as_str().unwrap().to_owned(), row);
            }
            *cursor = Some(batch.cursor);
            if batch.caught_up {
                return rows;
            }
        }
        desk.advance_ms(20_000);
    }
    panic!("not caught up: {} rows", rows.len());
}

#[test]
fn a_ticket_whose_lists_failed_for_a_while_is_read_an_hour_later() {
    let (desk, mut connection) = portal(9, |_| {});
    refuse(&desk, &lists_of(5));
    let mut cursor = None;
    let rows = read(&desk, &mut connection, &mut cursor);
    assert!(rows.len() == 8 && !rows.contains_key("t5"), "{rows:?}");
    accept(&desk, &lists_of(5));
    desk.advance_ms(HOUR_MS);
    let calls = desk.calls();
    let rows = read(&desk, &mut connection, &mut cursor);
    assert_eq!((rows.len(), &rows["t5"]["content"]), (1, &json!("of 5")));
    assert!(desk.calls() - calls <= 7, "{} calls", desk.calls() - calls);
    desk.advance_ms(24 * HOUR_MS);
    assert!(read(&desk, &mut connection, &mut cursor).is_empty(), "once");
}

#[test]
fn a_ticket_whose_lists_failed_for_days_comes_whole_when_it_changes() {
    let (desk, mut connection) = portal(9, |_| {});
    refuse(&desk, &lists_of(5));
    let mut cursor = None;
    read(&desk, &mut connection, &mut cursor);
    for wait_ms in [HOUR_MS, 24 * HOUR_MS, 24 * HOUR_MS] {
        desk.advance_ms(wait_ms);
        let calls = desk.calls();
        assert!(read(&desk, &mut connection, &mut cursor).is_empty());
        assert!(desk.calls() - calls <= 20, "{} calls", desk.calls() - calls);
    }
    accept(&desk, &lists_of(5));
    desk.set(|state| ["4", "5"].iter().for_each(|id| state.modify(id)));
    desk.advance_ms(60_000);
    let rows = read(&desk, &mut connection, &mut cursor);
    assert_eq!(rows["t5"]["content"], "of 5");
    assert!(rows["t4"].get("content").is_none(), "it is known");
}

#[test]
fn lists_of_a_changed_ticket_that_failed_for_a_while_are_read_an_hour_later() {
    let (desk, mut connection) = portal(9, |_| {});
    let mut cursor = None;
    assert_eq!(read(&desk, &mut connection, &mut cursor).len(), 9);
    desk.advance_ms(HOUR_MS);
    desk.set(|state| (5..=7).for_each(|id: u32| state.modify(&id.to_string())));
    desk.set(|state| state.comment_on(5));
    desk.advance_ms(60_000);
    refuse(&desk, &lists_of(5));
    assert!(!read(&desk, &mut connection, &mut cursor).contains_key("c5-0"));
    accept(&desk, &lists_of(5));
    desk.advance_ms(HOUR_MS);
    assert!(read(&desk, &mut connection, &mut cursor).contains_key("c5-0"));
}

#[test]
fn a_failing_list_of_one_ticket_puts_off_no_other_that_is_read_again() {
    let (desk, mut connection) = portal(20, |state| state.threads_of = Some((7, 250)));
    let records = ["/api/v1/tickets/7/threads/t7", "/api/v1/tickets/9/threads/t9"];
    refuse(&desk, &records);
    let mut cursor = None;
    let rows = read(&desk, &mut connection, &mut cursor);
    let unread: Vec<&str> = rows
        .values()
        .filter(|row| row.get("content").is_none())
        .filter_map(|row| row["id"].as_str())
        .collect();
    assert_eq!(unread, ["t7", "t9"]);
    accept(&desk, &records);
    refuse(&desk, &lists_of(9));
    desk.advance_ms(HOUR_MS);
    let mut rows = BTreeMap::new();
    for _ in 0..4 {
        rows.extend(read(&desk, &mut connection, &mut cursor));
        desk.advance_ms(HOUR_MS / 6);
    }
    assert_eq!(rows.len(), 250, "all of ticket 7 within the hour");
    assert!(rows.values().all(|row| row.get("content").is_some()));
    accept(&desk, &lists_of(9));
    desk.advance_ms(24 * HOUR_MS);
    assert_eq!(read(&desk, &mut connection, &mut cursor)["t9"]["content"], "of 9");
}

#[test]
fn two_failures_of_a_list_that_was_read_in_between_give_it_up_neither_time() {
    let (desk, mut connection) = portal(9, |_| {});
    let mut cursor = None;
    read(&desk, &mut connection, &mut cursor);
    for comment in ["c5-0", "c5-1"] {
        desk.advance_ms(24 * HOUR_MS);
        desk.set(|state| (5..=7).for_each(|id: u32| state.modify(&id.to_string())));
        desk.set(|state| state.comment_on(5));
        desk.advance_ms(60_000);
        refuse(&desk, &lists_of(5));
        let failed = connection.read(TABLE, cursor.as_deref(), LIMITS).unwrap();
        assert!(!failed.caught_up, "{:?}", failed.warnings);
        cursor = Some(failed.cursor);
        accept(&desk, &lists_of(5));
        desk.advance_ms(20_000);
        assert!(read(&desk, &mut connection, &mut cursor).contains_key(comment));
    }
}
