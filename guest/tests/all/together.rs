//! Threads and comments of a ticket by one list, where the portal has it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::desk::{Desk, Together};
use crate::setup::{LIMITS, connect, read_all, read_round};

const READINGS: [Together; 7] = [
    Together::Whole,
    Together::Refused(404),
    Together::Refused(403),
    Together::Refused(422),
    Together::Refused(500),
    Together::Empty,
    Together::Partial,
];

fn desk(together: Together, comments: u32) -> Desk {
    let desk = Desk::with_tickets(60);
    desk.set(|state| {
        state.together = together;
        for id in 1..=60 {
            (0..comments).for_each(|_| state.comment_on(id));
        }
    });
    desk
}

fn calls(desk: &Desk, text: &str) -> usize {
    let mut calls = 0;
    desk.set(|state| calls = state.asked.iter().filter(|path| path.contains(text)).count());
    calls
}

/// The rows by id, as text.
fn by_id(rows: &[Value]) -> BTreeMap<String, String> {
    rows.iter().map(|row| (row["id"].as_str().unwrap().to_owned(), row.to_string())).collect()
}

#[test]
fn the_rows_are_the_same_however_a_portal_answers_the_list_of_both() {
    let expected = {
        let desk = desk(Together::Refused(404), 2);
        by_id(&read_all(&mut connect(&desk, json!({})), "ticket_conversations", LIMITS).0)
    };
    assert_eq!(expected.len(), 60 * 3);
    for together in READINGS {
        let desk = desk(together, 2);
        let (rows, _) = read_all(&mut connect(&desk, json!({})), "ticket_conversations", LIMITS);
        assert_eq!(by_id(&rows), expected, "{together:?}");
    }
}

#[test]
fn one_list_of_both_saves_the_two_lists_and_one_that_cannot_be_used_is_not_asked_for_again() {
    let desk_of = |together| {
        let desk = desk(together, 2);
        read_all(&mut connect(&desk, json!({})), "ticket_conversations", LIMITS);
        desk
    };
    let desk = desk_of(Together::Whole);
    assert_eq!(
        (calls(&desk, "/conversations?"), calls(&desk, "/threads?"), calls(&desk, "/comments?")),
        (60, 0, 0)
    );
    for together in &READINGS[1..] {
        let desk = desk_of(*together);
        let most = if *together == Together::Refused(500) { 60 } else { 20 };
        assert!(calls(&desk, "/conversations?") <= most, "{together:?}: {}", calls(&desk, "/conversations?"));
        assert_eq!((calls(&desk, "/threads?"), calls(&desk, "/comments?")), (60, 60), "{together:?}");
    }
}

#[test]
fn a_list_of_both_that_lacks_rows_is_noticed_by_the_counters() {
    let desk = desk(Together::Whole, 0);
    let mut connection = connect(&desk, json!({}));
    let (_, cursor) = read_all(&mut connection, "ticket_conversations", LIMITS);
    desk.advance_ms(600_000);
    desk.set(|state| {
        state.together = Together::Short;
        state.comment_on(7);
        state.modify("7");
    });
    let batch = read_round(&mut connection, "ticket_conversations", &cursor);
    let keys: Vec<&str> = batch.changes.iter().map(|change| change.key.as_str()).collect();
    assert_eq!(keys, [r#"{"id":"t7"}"#, r#"{"id":"c7-0"}"#]);
    assert!(batch.warnings[0].contains("each kind is listed separately"), "{:?}", batch.warnings);
}
