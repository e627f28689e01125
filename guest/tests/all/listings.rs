//! Listings: when the lists of a changed ticket prove that it has no other rows, and when they do not.

use serde_json::json;
use zoho_desk::change::Listing;
use zoho_desk::connection::Connection;
use zoho_desk::limits::{LISTING_KEYS_MAX, LISTING_LAG_MS};
use zoho_desk::reader::Limits;

use crate::desk::{Desk, State, Together};
use crate::setup::{LIMITS, connect, read_all, read_round};

const TABLE: &str = "ticket_conversations";

/// A portal whose ticket 5 has a thread and two comments, all of which were read; and the cursor.
fn portal() -> (Desk, Connection<Desk>, String) {
    let desk = Desk::with_tickets(9);
    desk.set(|state| (0..2).for_each(|_| state.comment_on(5)));
    let mut connection = connect(&desk, json!({}));
    let (_, cursor) = read_all(&mut connection, TABLE, LIMITS);
    desk.advance_ms(600_000);
    (desk, connection, cursor)
}

/// What a poll says of ticket 5 after this change, which modifies it.
fn listings_after(change: impl FnOnce(&mut State)) -> Vec<Listing> {
    let (desk, mut connection, cursor) = portal();
    desk.set(|state| {
        change(state);
        state.modify("5");
    });
    desk.advance_ms(60_000);
    read_round(&mut connection, TABLE, &cursor).listings
}

fn keys(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| format!(r#"{{"id":"{id}"}}"#)).collect()
}

#[test]
fn a_changed_ticket_has_the_rows_that_its_lists_show_and_no_others() {
    let (desk, mut connection, cursor) = portal();
    desk.set(|state| {
        state.delete_comment_of(5);
        state.modify("5");
    });
    desk.advance_ms(60_000);
    let round = read_round(&mut connection, TABLE, &cursor);
    let listed_ms = desk.now_ms() / 1000 * 1000 - 1000;
    let as_of_ms = listed_ms - LISTING_LAG_MS;
    let parent = r#"{"ticketId":"5"}"#.to_owned();
    assert_eq!(round.listings, [Listing { parent, keys: keys(&["t5", "c5-0"]), as_of_ms }]);
    assert!(round.changes.iter().all(|change| change.as_of_ms >= Some(listed_ms)));
}

#[test]
fn a_counter_of_zero_counts_as_of_the_time_of_its_ticket_because_the_index_lags() {
    let (desk, mut connection, cursor) = portal();
    desk.set(|state| {
        (0..2).for_each(|_| state.delete_comment_of(5));
        state.modify("5");
    });
    let modified_ms = desk.now_ms();
    desk.advance_ms(2 * LISTING_LAG_MS);
    let listings = read_round(&mut connection, TABLE, &cursor).listings;
    assert_eq!(listings.len(), 1);
    assert_eq!((&listings[0].keys, listings[0].as_of_ms), (&keys(&["t5"]), modified_ms));
}

#[test]
fn separate_lists_prove_as_much_as_one_of_both() {
    let listings = listings_after(|state| {
        state.together = Together::Refused(404);
        state.delete_comment_of(5);
    });
    assert_eq!(listings.iter().map(|listing| &listing.keys).collect::<Vec<_>>(), [&keys(&["t5", "c5-0"])]);
}

#[test]
fn a_list_that_is_empty_short_refused_or_cut_proves_nothing() {
    let separate = |state: &mut State| state.together = Together::Refused(404);
    let refused = |status: u16, code: &'static str| {
        move |state: &mut State| {
            state.together = Together::Refused(404);
            state.refuse("/api/v1/tickets/5/comments", status, code);
        }
    };
    let empty = |state: &mut State| {
        separate(state);
        state.silent = vec![5];
    };
    let cut = |state: &mut State| {
        separate(state);
        state.endless = Some("5".to_owned());
    };
    assert_eq!(listings_after(empty), [], "no threads, of which the counter says that there is one");
    assert_eq!(listings_after(cut), [], "more threads than are read");
    for (status, code) in [(403, "FORBIDDEN"), (404, "URL_NOT_FOUND")] {
        assert_eq!(listings_after(refused(status, code)), [], "comments: {status}");
    }
}

#[test]
fn a_ticket_that_is_read_in_several_batches_is_listed_whole_by_the_last() {
    let (desk, mut connection, mut cursor) = portal();
    desk.set(|state| {
        state.together = Together::Refused(404);
        state.threads_of = Some((5, 250));
        state.modify("5");
    });
    desk.advance_ms(60_000);
    let limits = Limits { max_changes: 60, ..LIMITS };
    let mut found = Vec::new();
    loop {
        let batch = connection.read(TABLE, Some(&cursor), limits).unwrap();
        cursor = batch.cursor;
        found.push((batch.changes.len(), batch.listings));
        if batch.caught_up {
            break;
        }
    }
    let listed: Vec<usize> = found.iter().flat_map(|(_, listings)| listings).map(|l| l.keys.len()).collect();
    assert_eq!(listed, [252], "{found:?}");
    let before = found.iter().take_while(|(_, listings)| listings.is_empty());
    assert!(before.map(|(changes, _)| changes).sum::<usize>() >= 60, "{found:?}");
}

#[test]
fn a_ticket_with_very_many_rows_is_not_listed() {
    let many = |count: usize| {
        listings_after(|state| {
            state.together = Together::Refused(404);
            state.threads_of = Some((5, count));
        })
    };
    assert_eq!(many(LISTING_KEYS_MAX - 2).len(), 1);
    assert_eq!(many(LISTING_KEYS_MAX - 1), []);
}

#[test]
fn a_snapshot_has_no_listings_because_all_its_rows_are_compared() {
    let desk = Desk::with_tickets(9);
    let mut connection = connect(&desk, json!({}));
    let mut cursor: Option<String> = None;
    loop {
        let batch = connection.read(TABLE, cursor.as_deref(), LIMITS).unwrap();
        assert_eq!(batch.listings, []);
        if batch.generation.is_some_and(|generation| generation.complete) {
            return;
        }
        cursor = Some(batch.cursor);
    }
}
