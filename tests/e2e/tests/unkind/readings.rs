//! Each conflict of the API's description, read the other way: the target is the same.

use std::time::Duration;

use desk_simulator::{Readings, Settings};
use serde_json::json;

use crate::support::Setup;
use crate::world::{
    HOUR_MS, equals_truth, has_the_rows, live_ids, options, within, world, world_since, world_with,
};

const ALL: [&str; 4] = ["tickets", "contacts", "products", "ticket_conversations"];

/// A world with one reading turned the other way, read once, changed, and read again.
fn read_with(alter: impl FnOnce(&mut Readings)) -> Setup {
    let mut readings = Readings::default();
    alter(&mut readings);
    read_in(|settings| settings.readings = readings)
}

fn read_in(alter: impl FnOnce(&mut Settings)) -> Setup {
    let mut options = options(130);
    alter(&mut options.settings);
    let setup = world(options, &ALL);
    within(&setup, &["sync"], 2_000).exits(0);
    setup
}

/// Deletes 70 tickets, more than a page of the recycle bin, one after the other.
fn delete_many(setup: &Setup) {
    setup.simulator.set(|settings| settings.time_resolution_ms = 1);
    let trash = json!({"op": "bulk", "table": "tickets", "change": "moveToTrash", "from": 20, "count": 70});
    setup.simulator.mutate(trash).expect("a change");
    within(setup, &["sync"], 500).exits(0);
}

#[test]
fn a_recycle_bin_newest_first_shows_every_delete() {
    let setup = read_with(|_| {});
    delete_many(&setup);
    has_the_rows(&setup, "tickets");
}

#[test]
fn a_recycle_bin_oldest_first_shows_every_delete() {
    let mut options = options(130);
    options.settings.readings.recycle_bin_oldest_first = true;
    let setup = world_since(6 * HOUR_MS, options, &["tickets"]);
    let trash = |count: u32| {
        let bulk = json!({"op": "bulk", "table": "tickets", "change": "moveToTrash", "count": count});
        setup.simulator.mutate(bulk).expect("a change");
    };
    setup.sync();
    trash(60);
    setup.sync();
    setup.simulator.advance(Duration::from_millis(3 * HOUR_MS));
    setup.sync();
    // The first page of the recycle bin is older than the last look.
    trash(5);
    within(&setup, &["sync"], 500).exits(0);
    has_the_rows(&setup, "tickets");
}

#[test]
fn deletes_show_whether_their_times_are_text_or_milliseconds() {
    let setup = read_with(|readings| readings.recycle_bin_epoch_times = true);
    delete_many(&setup);
    has_the_rows(&setup, "tickets");
}

#[test]
fn a_recycle_bin_that_accepts_100_rows_shows_every_delete() {
    let setup = read_with(|readings| readings.recycle_bin_limit_100 = true);
    delete_many(&setup);
    has_the_rows(&setup, "tickets");
}

#[test]
fn ids_may_be_numbers() {
    let setup = read_with(|readings| readings.ids_as_numbers = true);
    for table in ["tickets", "contacts", "products"] {
        has_the_rows(&setup, table);
    }
    delete_many(&setup);
    has_the_rows(&setup, "tickets");
}

#[test]
fn a_list_that_ends_at_a_cap_is_not_taken_for_the_whole_table() {
    let setup = world(options(130), &["tickets"]);
    setup.sync();
    setup.simulator.set(|settings| settings.readings.list_rows_max = Some(100));
    let run = within(&setup, &["sync", "--full-refresh"], 800);
    assert_eq!(live_ids(&setup, "tickets").len(), 130, "{run}");
}

#[test]
fn pages_may_be_smaller_than_asked_for() {
    let setup = read_with(|readings| {
        readings.limit_is_clamped = true;
        readings.limit_max = Some(30);
    });
    equals_truth(&setup, &ALL);
}

#[test]
fn threads_and_comments_may_start_at_zero() {
    let setup = read_with(|readings| readings.children_from_zero = true);
    equals_truth(&setup, &ALL);
}

/// A bulk change is found by search.
#[track_caller]
fn search_with(alter: impl FnOnce(&mut Readings)) {
    let setup = read_with(alter);
    let bulk = json!({"op": "bulk", "table": "tickets", "change": "update", "count": 120});
    setup.simulator.mutate(bulk).expect("a change");
    within(&setup, &["sync"], 2_000).exits(0);
    equals_truth(&setup, &ALL);
}

#[test]
fn the_count_of_a_search_may_be_that_of_the_page() {
    search_with(|readings| readings.search_count_of_page = true);
}

#[test]
fn the_count_of_a_search_may_be_text() {
    search_with(|readings| readings.search_count_as_text = true);
}

#[test]
fn a_count_that_has_archived_tickets_lets_no_snapshot_of_a_long_table_delete_and_a_warning_says_so() {
    // More than are read as a list; the others are read by search windows, each with a count.
    const TICKETS: u32 = 11_000;
    for has_archived in [true, false] {
        let mut options = options(TICKETS);
        options.sizes.archived_tickets = 2_000;
        options.settings.readings.count_has_archived = has_archived;
        let setup = world_with(options, &["tickets"], |file| {
            file.config("ticket_detail", "false").set("sandbox.call_timeout", "\"2m\"")
        });
        let first = within(&setup, &["sync"], 300).exits(0);
        assert_eq!(live_ids(&setup, "tickets").len(), TICKETS as usize, "every row is there\n{first}");
        let purged = live_ids(&setup, "tickets").swap_remove(4_000);
        setup.simulator.mutate(json!({"op": "purge", "table": "tickets", "id": purged})).expect("a change");
        let second = within(&setup, &["sync", "--full-refresh"], 300).exits(0);
        let ids = live_ids(&setup, "tickets");
        assert_eq!(ids.contains(&purged), has_archived, "{second}");
        assert_eq!(ids.len(), (TICKETS - u32::from(!has_archived)) as usize, "{second}");
        for run in [first, second] {
            let text = "rows more than the search finds: they are archived, or skipped";
            assert_eq!(run.stderr.contains(text), has_archived, "{run}");
            let is_incomplete = run.stderr.contains("the snapshot of `tickets` is incomplete");
            assert_eq!(is_incomplete, has_archived, "{run}");
        }
    }
}

#[test]
fn older_refusals_of_parameters_and_empty_lists_as_200() {
    let setup = read_in(|settings| {
        settings.empty_list_as_200 = true;
        settings.refuse_fields = true;
        settings.refuse_sort_by = true;
    });
    equals_truth(&setup, &ALL);
}
