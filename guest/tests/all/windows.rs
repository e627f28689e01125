//! Snapshots of long lists: by search windows from a certain place on.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use zoho_desk::connection::Connection;
use zoho_desk::reader::{Batch, Limits};

use crate::desk::{Desk, State};
use crate::setup::connect;

const LONG: u32 = 16_000;

/// A portal with more tickets than are read as a list, one a minute.
fn portal(change: impl FnOnce(&mut State)) -> Desk {
    let desk = Desk::with_tickets(LONG);
    desk.set(|state| {
        state.created_every_min = 1;
        state.counted = u64::from(LONG);
        change(state);
    });
    desk
}

/// Reads a snapshot with an instance for each batch; the keys found, and all batches without their changes.
fn snapshot(desk: &Desk, table: &str, config: &Value) -> (BTreeSet<String>, Vec<Batch>) {
    to_its_end(|cursor, limits| connect(desk, config.clone()).read(table, cursor, limits).unwrap())
}

/// Reads a snapshot of the tickets over one connection.
fn snapshot_over(connection: &mut Connection<Desk>) -> (BTreeSet<String>, Vec<Batch>) {
    to_its_end(|cursor, limits| connection.read("tickets", cursor, limits).unwrap())
}

/// Reads batches until the snapshot is caught up.
fn to_its_end(mut read: impl FnMut(Option<&str>, Limits) -> Batch) -> (BTreeSet<String>, Vec<Batch>) {
    let limits = Limits { max_changes: 3_000, max_bytes: 64 << 20, max_ms: 60_000 };
    let (mut keys, mut batches, mut cursor) = (BTreeSet::new(), Vec::new(), None::<String>);
    for _ in 0..200 {
        let mut batch = read(cursor.as_deref(), limits);
        keys.extend(batch.changes.drain(..).map(|change| change.key));
        cursor = Some(batch.cursor.clone());
        batches.push(batch);
        if batches.last().unwrap().caught_up {
            return (keys, batches);
        }
    }
    panic!("the snapshot does not end");
}

/// Requests whose path has this.
fn asked(desk: &Desk, what: &str) -> usize {
    let mut count = 0;
    desk.set(|state| count = state.asked.iter().filter(|path| path.contains(what)).count());
    count
}

fn deepest(desk: &Desk) -> u64 {
    let mut deepest = 0;
    desk.set(|state| {
        let lists = state.asked.iter().filter(|path| path.starts_with("/api/v1/tickets?"));
        let from = |path: &String| path.split("from=").nth(1)?.split('&').next()?.parse().ok();
        deepest = lists.filter_map(from).max().unwrap_or(0);
    });
    deepest
}

#[test]
fn a_long_list_is_read_on_by_windows_whole_and_without_details_that_the_search_has() {
    for sort in ["oldest", "newest"] {
        let desk = portal(|_| {});
        let (keys, batches) = snapshot(&desk, "tickets", &json!({"sort": sort}));
        assert_eq!(keys.len(), LONG as usize, "{sort}");
        assert!(batches.last().unwrap().generation.unwrap().complete, "{sort}");
        assert!(deepest(&desk) < 10_500, "{sort}: page at {}", deepest(&desk));
        let details = asked(&desk, "/api/v1/tickets/") - asked(&desk, "/api/v1/tickets/search");
        // Those of the last day; newest first, also those of the first pages.
        let most = if sort == "oldest" { 1_600 } else { 13_500 };
        assert!(details < most, "{sort}: {details} details");
        let warnings =
            batches.iter().flat_map(|batch| &batch.warnings).filter(|text| text.contains("windows"));
        assert_eq!(warnings.count(), 1, "{sort}");
    }
}

#[test]
fn pages_of_a_window_are_asked_for_together_and_none_in_vain() {
    let desk = portal(|_| {});
    let (keys, _) = snapshot(&desk, "tickets", &json!({"ticket_detail": false}));
    assert_eq!(keys.len(), LONG as usize);
    let (mut searched, mut at_once) = (Vec::new(), 0);
    desk.set(|state| {
        at_once = state.searches_at_once;
        searched = state.asked.iter().filter(|path| path.contains("/search?")).cloned().collect();
    });
    assert_eq!(at_once, 4);
    let pages = searched.len();
    searched.sort_unstable();
    searched.dedup();
    assert_eq!(searched.len(), pages, "no page is asked for twice");
    // Each page has 99 new rows; the last one of a window has fewer, and each split asks for one page.
    let windows = asked(&desk, "from=0&limit=100");
    assert!(pages <= (LONG as usize - 10_000) / 99 + windows, "{pages} pages, {windows} windows");
}

#[test]
fn rows_of_the_search_are_as_recent_as_its_index() {
    for config in [json!({}), json!({"ticket_detail": false})] {
        let desk = portal(|_| {});
        let started_ms = desk.now_ms();
        let limits = Limits { max_changes: 3_000, max_bytes: 64 << 20, max_ms: 60_000 };
        let mut cursor = None::<String>;
        loop {
            let batch = connect(&desk, config.clone()).read("tickets", cursor.as_deref(), limits).unwrap();
            let oldest = batch.changes.iter().filter_map(|change| change.as_of_ms).min();
            // A delete by an earlier snapshot is older, so that rows that came back replace it.
            assert!(oldest.is_none_or(|at_ms| at_ms + 86_400_000 + 2_000 >= started_ms), "{oldest:?}");
            if batch.caught_up {
                break;
            }
            cursor = Some(batch.cursor);
        }
    }
}

#[test]
fn a_count_of_the_page_proves_nothing_and_the_list_does() {
    for unindexed in [0..0, 12_000..12_100] {
        let is_whole = unindexed.is_empty();
        let desk = portal(|state| {
            state.count_of_page = true;
            state.unindexed = unindexed.collect();
        });
        let (keys, batches) = snapshot(&desk, "tickets", &json!({"ticket_detail": false}));
        let warnings = || batches.iter().flat_map(|batch| &batch.warnings).collect::<Vec<_>>();
        assert_eq!(batches.last().unwrap().generation.unwrap().complete, is_whole, "{:?}", warnings());
        assert!(keys.len() == LONG as usize || !is_whole, "{}", keys.len());
    }
}

#[test]
fn more_new_rows_than_a_list_with_a_cap_shows_are_read_by_windows() {
    for table in ["tickets", "ticket_conversations"] {
        let desk = Desk::with_tickets(6_500);
        desk.set(|state| {
            state.created_every_min = 1;
            state.counted = 6_500;
            // A day has 1,440 new ones.
            state.list_cap = 1_000;
            state.refuse_beyond_cap = true;
        });
        let (keys, batches) = snapshot(&desk, table, &json!({"ticket_detail": false}));
        assert_eq!(keys.len(), 6_500, "{table}: {:?}", batches.last().unwrap().warnings);
        assert!(!batches.last().unwrap().generation.unwrap().complete, "{table}: the index may lack some");
    }
}

#[test]
fn conversations_find_their_tickets_by_windows() {
    let desk = portal(|_| {});
    let (keys, batches) = snapshot(&desk, "ticket_conversations", &json!({}));
    assert_eq!(keys.len(), LONG as usize);
    let warnings: Vec<&String> = batches.iter().flat_map(|batch| &batch.warnings).collect();
    assert!(batches.last().unwrap().generation.unwrap().complete, "{warnings:?}");
    assert!(deepest(&desk) < 10_500, "page at {}", deepest(&desk));
}

#[test]
fn a_window_that_the_index_does_not_show_whole_makes_the_snapshot_incomplete() {
    let desk = portal(|state| state.unindexed = vec![12_345]);
    let (keys, batches) = snapshot(&desk, "tickets", &json!({"ticket_detail": false}));
    assert_eq!(keys.len(), LONG as usize - 1);
    assert!(!batches.last().unwrap().generation.unwrap().complete);
}

#[test]
fn no_snapshot_is_complete_whose_windows_find_fewer_tickets_than_the_source_counts() {
    // Archived ones, and those that the search lacks.
    for (archived, unindexed) in [(11_000..13_000, 0..0), (0..0, 10_500..10_505)] {
        let desk = portal(|state| {
            archived.clone().for_each(|id| state.purge(id));
            state.archived = archived.clone();
            state.unindexed = unindexed.clone().collect();
        });
        let mut connection = connect(&desk, json!({"ticket_detail": false}));
        for round in 0..2 {
            let (keys, batches) = snapshot_over(&mut connection);
            assert_eq!(keys.len(), LONG as usize - archived.len() - unindexed.len());
            let warnings: Vec<&String> = batches.iter().flat_map(|batch| &batch.warnings).collect();
            let is_complete = batches.last().unwrap().generation.unwrap().complete;
            assert!(!is_complete, "{archived:?}, {unindexed:?}, {round}: {warnings:?}");
            let short = warnings.iter().filter(|text| text.contains("more than the search finds"));
            assert_eq!(short.count(), 1, "{warnings:?}");
        }
    }
}

#[test]
fn a_portal_whose_search_takes_no_created_time_is_read_on_as_a_list() {
    let desk = portal(|state| state.refuse_created_time = true);
    let (keys, batches) = snapshot(&desk, "tickets", &json!({"ticket_detail": false}));
    assert_eq!(keys.len(), LONG as usize);
    assert!(batches.last().unwrap().generation.unwrap().complete);
    assert!(deepest(&desk) > 15_000);
}

#[test]
fn custom_fields_come_from_the_search_rows() {
    let desk = portal(|_| {});
    let config = json!({"ticket_detail": false, "custom_field_keys": ["cf_region"]});
    let (keys, _) = snapshot(&desk, "tickets", &config);
    assert_eq!(keys.len(), LONG as usize);
    assert!(asked(&desk, "fields=") < 130, "{}", asked(&desk, "fields="));
}

#[test]
fn rows_deleted_while_the_newest_are_read_skip_no_other() {
    let desk = portal(|state| {
        // The page before the one that reaches the windows.
        state.purge_after = Some(("from=1288&limit=100&sortBy=-createdTime", vec![15_990, 15_991]));
    });
    let (keys, _) = snapshot(&desk, "tickets", &json!({"ticket_detail": false}));
    assert_eq!(keys.len(), LONG as usize, "each was there when its page was read, or is still there");
}

#[test]
fn a_search_that_finds_fewer_rows_than_the_list_has_makes_the_snapshot_incomplete() {
    for unindexed in [11_000..11_050, 10_000..16_000] {
        let desk = portal(|state| {
            state.unindexed = unindexed.collect();
            state.bin_type = "Contacts";
        });
        let (_, batches) = snapshot(&desk, "contacts", &json!({}));
        assert!(!batches.last().unwrap().generation.unwrap().complete);
        let warnings: Vec<&String> = batches.iter().flat_map(|batch| &batch.warnings).collect();
        assert!(warnings.iter().any(|text| text.contains("the search lacks rows")), "{warnings:?}");
    }
    let desk = portal(|state| state.bin_type = "Contacts");
    let (keys, batches) = snapshot(&desk, "contacts", &json!({}));
    assert_eq!(keys.len(), LONG as usize);
    assert!(batches.last().unwrap().generation.unwrap().complete);
}

#[test]
fn windows_that_cannot_be_counted_are_compared_with_the_list() {
    let desk = portal(|state| {
        state.unindexed = (11_000..11_050).collect();
        state.count_status = 403;
    });
    let (_, batches) = snapshot(&desk, "tickets", &json!({"ticket_detail": false}));
    assert!(!batches.last().unwrap().generation.unwrap().complete);
}

#[test]
fn rows_behind_the_cap_of_a_list_are_read_by_windows() {
    for (table, refuses_beyond) in [("tickets", false), ("tickets", true), ("ticket_conversations", false)] {
        let desk = Desk::with_tickets(6_500);
        desk.set(|state| {
            state.created_every_min = 1;
            state.counted = 6_500;
            state.list_cap = 5_000;
            state.refuse_beyond_cap = refuses_beyond;
        });
        let (keys, batches) = snapshot(&desk, table, &json!({"ticket_detail": false}));
        assert_eq!(keys.len(), 6_500, "{table} {refuses_beyond}: {:?}", batches.last().unwrap().warnings);
        let is_complete = batches.last().unwrap().generation.unwrap().complete;
        assert_eq!(is_complete, refuses_beyond, "a list that ends by itself may lack others, too");
    }
}

#[test]
fn rows_that_were_created_in_one_second_are_split_by_their_modified_times() {
    for spread_ms in [60_000, 0] {
        let desk = Desk::with_tickets(6_500);
        desk.set(|state| {
            (state.created_every_min, state.created_together) = (10, 6_000);
            state.counted = 6_500;
            state.list_cap = 1_000;
            state.refuse_beyond_cap = true;
            (1..=6_500).for_each(|id| state.modify_at(id, 1_000 + u64::from(id) * spread_ms));
        });
        let (keys, batches) = snapshot(&desk, "tickets", &json!({"ticket_detail": false}));
        let is_complete = batches.last().unwrap().generation.unwrap().complete;
        let warns = batches.iter().flat_map(|batch| &batch.warnings).any(|text| text.contains("one second"));
        let is_whole = keys.len() == 6_500;
        assert_eq!(
            (is_whole, is_complete, warns),
            (spread_ms > 0, spread_ms > 0, spread_ms == 0),
            "{}",
            keys.len()
        );
    }
}
