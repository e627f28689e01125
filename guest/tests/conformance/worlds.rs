//! Every table in unkind worlds: each conflict of the API document in its other reading, rows that shift
//! while they are read, a process that is killed, records that come back, and lists of the length of a page.

use desk_simulator::{Settings, Sizes};
use serde_json::json;
use zoho_desk::error::Kind;

use crate::portal::{Portal, sizes};
use crate::sink::Sink;
use crate::{AFTER_CHANGES, MODULES, Table, change, check, tables, truth};

/// Few records of everything, so that every table is read in every world.
fn small() -> Sizes {
    Sizes {
        tickets: 20,
        archived_tickets: 6,
        departments: 2,
        products: 12,
        contracts: 6,
        contacts: 30,
        accounts: 6,
        agents: 5,
        ..sizes(Some(12))
    }
}

/// Chooses a reading.
type Set = fn(&mut Settings);

/// The other readings (`zoho-desk-api.md` §9, §3.2, §3.3, §8).
const READINGS: [(&str, Set); 21] = [
    ("as the document says", |_| {}),
    ("recycle bin oldest first", |settings| settings.readings.recycle_bin_oldest_first = true),
    ("recycle bin of 100 rows", |settings| settings.readings.recycle_bin_limit_100 = true),
    ("times of deletes in milliseconds", |settings| settings.readings.recycle_bin_epoch_times = true),
    ("ids are numbers", |settings| settings.readings.ids_as_numbers = true),
    ("lists of children from zero", |settings| settings.readings.children_from_zero = true),
    ("the count of a search is of its page", |settings| settings.readings.search_count_of_page = true),
    ("the count of a search is text", |settings| settings.readings.search_count_as_text = true),
    ("the count has archived tickets", |settings| settings.readings.count_has_archived = true),
    ("the count has no lag", |settings| settings.readings.count_has_no_lag = true),
    ("no custom fields by name", |settings| settings.readings.no_custom_fields_by_name = true),
    ("older prices", |settings| settings.readings.older_prices = true),
    ("empty lists as 200", |settings| settings.empty_list_as_200 = true),
    ("`include` is refused", |settings| settings.refuse_include = true),
    ("`fields` is refused", |settings| settings.refuse_fields = true),
    ("tickets sorted by modified time", |settings| settings.tickets_sort_by_modified_time = true),
    ("a thread leaves its ticket as it was", |settings| settings.thread_moves_modified_time = false),
    ("a comment modifies its ticket", |settings| settings.comment_moves_modified_time = true),
    (NO_ORDER, |settings| settings.readings.lists_refuse_sort_by = true),
    (NO_RANGE, |settings| settings.readings.articles_refuse_modified_time_range = true),
    ("all that go together", Settings::choose_other_readings),
];

const CONVERSATIONS: &str = "ticket_conversations";

const NO_RANGE: &str = "articles refuse `modifiedTimeRange`";

const NO_ORDER: &str = "lists refuse `sortBy`";

/// Tables that such a portal does not give (`docs/limitations.md`): the API documents the order of their
/// lists.
const NEED_ORDER: [&str; 8] = [
    "tasks",
    "calls",
    "events",
    "custom_records",
    "article_translations",
    "slas",
    "contact_account_mapping",
    "cm_assets",
];

#[test]
fn tables_whose_lists_need_an_order_say_that_the_portal_refuses_it() {
    let mut portal = Portal::as_documented(small());
    portal.simulator.set(|settings| settings.readings.lists_refuse_sort_by = true);
    for table in NEED_ORDER {
        let error = Sink::default().read(&mut portal, table, 10_000).unwrap_err();
        assert!(error.kind == Kind::Data && error.message.contains("sortBy"), "{table}: {error}");
    }
}

#[test]
fn every_table_is_read_and_followed_in_each_reading_of_the_document() {
    for (reading, set) in READINGS {
        let mut portal = Portal::as_documented(small());
        portal.simulator.set(set);
        let left_out = |table: &Table| reading == NO_ORDER && NEED_ORDER.contains(&table.name.as_str());
        let mut sinks: Vec<(Table, Sink)> = tables()
            .into_iter()
            .filter(|table| !left_out(table))
            .map(|table| (table, Sink::default()))
            .collect();
        for (table, sink) in &mut sinks {
            sink.read(&mut portal, &table.name, 10_000)
                .unwrap_or_else(|error| panic!("{reading}: {}: {error}", table.name));
            check(&portal, sink, table, reading);
            assert_eq!(sink.snapshots, [true], "{reading}: {}: {:?}", table.name, sink.warnings);
        }
        portal.advance_hours(25);
        change(&portal);
        portal.advance_hours(1);
        // A poll that finds that a list has no order, or no range, is followed by a snapshot.
        let polls = if [NO_ORDER, NO_RANGE].contains(&reading) { 2 } else { 1 };
        for (table, sink) in &mut sinks {
            for _ in 0..polls {
                sink.read(&mut portal, &table.name, 50)
                    .unwrap_or_else(|error| panic!("{reading}: {}: {error}", table.name));
            }
            check(&portal, sink, table, AFTER_CHANGES);
        }
    }
}

#[test]
fn a_count_that_has_archived_tickets_makes_the_first_snapshot_incomplete_and_the_second_whole() {
    let mut portal = Portal::as_documented(sizes(None));
    portal.simulator.set(|settings| settings.readings.count_has_archived = true);
    for table in tables().into_iter().filter(|table| table.name == "tickets" || table.name == CONVERSATIONS) {
        let mut sink = Sink::default();
        for _ in 0..2 {
            sink.cursor = None;
            sink.read(&mut portal, &table.name, 10_000).unwrap();
            check(&portal, &sink, &table, "of a count that has archived tickets");
            portal.advance_hours(1);
        }
        assert_eq!(sink.snapshots, [false, true], "{}: {:?}", table.name, sink.warnings);
        let says = |text: &&String| text.contains("has 60 rows, but the source counts 100");
        assert_eq!(sink.warnings.iter().filter(says).count(), 1, "{}: {:?}", table.name, sink.warnings);
    }
}

#[test]
fn a_count_that_lags_behind_deletes_proves_none_and_one_without_a_lag_all() {
    let table = tables().into_iter().find(|table| table.name == "tickets").unwrap();
    for has_no_lag in [false, true] {
        let mut portal = Portal::as_documented(sizes(None));
        portal.simulator.set(|settings| {
            settings.readings.count_has_no_lag = has_no_lag;
            settings.search_lag_ms = 3 * 3_600_000;
        });
        let mut sink = Sink::default();
        sink.read(&mut portal, &table.name, 10_000).unwrap();
        // More than a list may be shorter than its count.
        portal.mutate(json!({"op": "bulk", "table": "tickets", "change": "moveToTrash", "count": 12}));
        portal.advance_hours(1);
        sink.cursor = None;
        sink.read(&mut portal, &table.name, 10_000).unwrap();
        assert_eq!(sink.snapshots, [true, has_no_lag], "{:?}", sink.warnings);
        assert_eq!(sink.rows.len(), if has_no_lag { 48 } else { 60 }, "{:?}", sink.warnings);
    }
}

#[test]
fn killed_at_random_points_every_table_ends_equal_to_the_truth() {
    let mut portal = Portal::start(small());
    for seed in [1, 2] {
        for table in tables() {
            let mut sink = Sink::default();
            sink.read_with_kills(&mut portal, &table.name, seed);
            check(&portal, &sink, &table, &format!("killed, seed {seed}"));
        }
    }
}

/// The ids of a table's live rows.
fn ids(portal: &Portal, table: &Table) -> Vec<String> {
    truth(portal, table).into_keys().collect()
}

#[test]
fn rows_that_shift_while_a_table_is_read_leave_no_other_out() {
    for table in tables() {
        let Some((_, url, ..)) =
            MODULES.iter().find(|(known, _, _, delete)| *known == table.name && !delete.is_empty())
        else {
            continue;
        };
        let mut portal = Portal::start(sizes(Some(210)));
        let before = ids(&portal, &table);
        let mut sink = Sink::default();
        let mut deleted = 0;
        while !sink.read_at_most(&mut portal, &table.name, 40, 1).unwrap() {
            // Rows of pages that were read: all others move forward.
            if deleted < 6 {
                for id in &before[deleted..deleted + 2] {
                    portal.mutate(json!({"op": "purge", "table": url, "id": id}));
                }
                portal.mutate(json!({"op": "create", "table": url, "values": {}}));
                deleted += 2;
            }
        }
        let found = crate::read(&sink, &table);
        let missing: Vec<&String> = before[deleted..].iter().filter(|id| !found.contains_key(*id)).collect();
        assert!(missing.is_empty(), "{}: {missing:?} {:?}", table.name, sink.warnings);
    }
}

#[test]
fn records_of_the_recycle_bin_that_come_back_are_live_again() {
    let mut portal = Portal::start(small());
    let has_bin = |table: &Table| {
        MODULES.iter().any(|(name, .., delete)| *name == table.name && *delete == "moveToTrash")
            || table.name == "tickets"
    };
    for table in tables().into_iter().filter(has_bin) {
        let mut sink = Sink::default();
        sink.read(&mut portal, &table.name, 10_000).unwrap();
        portal.advance_hours(25);
        let id = ids(&portal, &table).remove(2);
        for (op, when) in [("moveToTrash", "deleted"), ("restore", "restored")] {
            portal.mutate(json!({"op": op, "table": table.name, "id": id}));
            portal.advance_hours(25);
            // A verification, where it is due, and a poll.
            for _ in 0..2 {
                sink.read(&mut portal, &table.name, 50).unwrap();
            }
            check(&portal, &sink, &table, when);
            assert_eq!(crate::read(&sink, &table).contains_key(&id), op == "restore", "{}", table.name);
        }
    }
}

#[test]
fn core_tables_of_every_length_are_read_whole() {
    // None, one, and one less than, exactly and one more than a page of each list.
    for rows in [0, 1, 49, 50, 51, 98, 99, 100, 101, 201] {
        let (some, most) = (rows.max(1), rows);
        let sizes = Sizes {
            tickets: most,
            departments: some,
            products: most,
            contracts: most,
            contacts: some,
            accounts: some,
            ..sizes(Some(0))
        };
        let mut portal = Portal::start(sizes);
        for table in tables().into_iter().filter(|table| table.is_core && table.parent.is_none()) {
            let mut sink = Sink::default();
            sink.read(&mut portal, &table.name, 10_000)
                .unwrap_or_else(|error| panic!("{} of {rows}: {error}", table.name));
            check(&portal, &sink, &table, &format!("{rows} rows"));
            assert_eq!(sink.snapshots, [true], "{} of {rows}: {:?}", table.name, sink.warnings);
        }
    }
}
