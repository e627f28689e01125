//! A source on a bad day: seeded faults, rows that move between pages, answers the documentation does not
//! promise.

use std::collections::BTreeMap;

use desk_simulator::{FaultSettings, Options, Settings};
use serde_json::json;

use crate::compare::{Database, TABLES, check_sqlite, truth, truths};
use crate::support::rng::seeds;
use crate::support::{Setup, sizes};

/// Most runs until a sync under faults ends well; each gets further than the one before.
const RUNS_MAX: usize = 10;

/// Runs `sync` until it succeeds. Only failures that faults may cause are forgiven: over a quota,
/// unavailable, and a token refused twice in one call.
fn sync_until_done(setup: &Setup) -> usize {
    for run in 1..=RUNS_MAX {
        let code = setup.host(&["sync"]).code();
        if code == 0 {
            return run;
        }
        assert!([4, 7, 8, 20].contains(&code), "exit code {code}: faults are transient");
    }
    panic!("not done after {RUNS_MAX} runs");
}

/// One bad day for each seed: all that is read equals the truth, once.
fn bad_days(range: std::ops::Range<u64>) {
    for seed in seeds(range) {
        let tickets = 300 + (seed as u32 % 5) * 80;
        let options = Options { seed: 100 + seed, sizes: sizes(tickets), ..Options::default() };
        let setup = Setup::new(options);
        setup.note(format!("E2E_SEED={seed} repeats this day alone"));
        setup.authorize();
        setup.simulator.set(|settings| settings.faults = FaultSettings::seeded(seed));
        sync_until_done(&setup);
        let stats = setup.simulator.stats();
        let faults = stats["faults"].as_object().expect("faults");
        assert!(faults.len() > 3, "a day with few faults proves little: {faults:?}");
        setup.simulator.heal();
        let truths = truths(&setup.simulator, true);
        check_sqlite(&setup, &truths, &BTreeMap::new());
        let database = Database::open(&setup.path("out.db"));
        for table in TABLES {
            let sql = format!("SELECT count(*) - count(DISTINCT json_extract(_raw, '$.id')) FROM {table}");
            assert_eq!(database.number(&sql), 0, "{table}: duplicates");
        }
    }
}

#[test]
fn bad_days_1_to_5_end_equal_to_the_truth() {
    bad_days(0..5);
}

#[test]
fn bad_days_6_to_10_end_equal_to_the_truth() {
    bad_days(5..10);
}

#[test]
fn bad_days_11_to_15_end_equal_to_the_truth() {
    bad_days(10..15);
}

#[test]
fn bad_days_16_to_20_end_equal_to_the_truth() {
    bad_days(15..20);
}

/// Tickets are created and trashed between pages while the list is read.
fn churn(sort: &str, detail: bool) {
    for seed in 0..4 {
        let options = Options { seed: 200 + seed, sizes: sizes(1_500), ..Options::default() };
        let setup = Setup::with(options, |file| {
            file.config_text("sort", sort).config("ticket_detail", &detail.to_string())
        });
        setup.authorize();
        let before = truth(&setup.simulator, "tickets", detail);
        setup.simulator.set(|settings| settings.churn_every_pages = 1);
        setup.sync();
        setup.simulator.set(|settings| settings.churn_every_pages = 0);
        let after = truth(&setup.simulator, "tickets", detail);
        let changed = after.values().filter(|row| row.is_none()).count() + after.len() - before.len();
        assert!(changed >= 4, "seed {seed}: the list did not move: {changed}");
        let database = Database::open(&setup.path("out.db"));
        let found = database.texts("SELECT id FROM tickets WHERE NOT _deleted ORDER BY id");
        let survivors = before.iter().filter(|(id, row)| row.is_some() && after[*id].is_some());
        let lost: Vec<&String> =
            survivors.map(|(id, _)| id).filter(|id| found.binary_search(id).is_err()).collect();
        assert!(lost.is_empty(), "seed {seed}: rows that were there all along are lost: {lost:?}");
        // Once it is quiet, a second read makes the rest right too.
        setup.host(&["sync", "--full-refresh"]).exits(0);
        check_sqlite(&setup, &truths(&setup.simulator, detail), &BTreeMap::new());
    }
}

#[test]
fn rows_that_move_between_pages_are_not_lost_oldest_first() {
    churn("oldest", false);
}

#[test]
fn rows_that_move_between_pages_are_not_lost_newest_first() {
    churn("newest", false);
}

#[test]
fn rows_that_move_between_pages_are_not_lost_with_detail() {
    churn("oldest", true);
}

#[test]
fn rows_trashed_in_bulk_during_the_read_do_not_hide_others() {
    let setup =
        Setup::authorized_with(900, |file| file.config("ticket_detail", "false").set("batch.max_rows", 100));
    let before = truth(&setup.simulator, "tickets", false);
    let ids: Vec<&String> = before.keys().collect();
    let mut running = setup.start(&["sync"]);
    let mut trashed = 0;
    // After each page, thirty of the rows that were already read go to the bin.
    while !running.has_ended() {
        let pages = setup.requests_to("GET /tickets");
        while trashed < 240 && trashed as u64 / 30 < pages {
            for id in &ids[trashed..trashed + 30] {
                let mutation = json!({"op": "moveToTrash", "table": "tickets", "id": id});
                setup.simulator.mutate(mutation).expect("a ticket that lives");
            }
            trashed += 30;
        }
    }
    setup.remember(running.wait()).exits(0);
    assert!(trashed > 0, "nothing was trashed in time");
    let database = Database::open(&setup.path("out.db"));
    let found = database.texts("SELECT id FROM tickets WHERE NOT _deleted ORDER BY id");
    let lost: Vec<_> = ids[trashed..].iter().filter(|id| found.binary_search(id).is_err()).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
}

/// A sync of a portal that behaves in some other way than the best documented one.
fn with_settings(alter: impl FnOnce(&mut Settings)) -> Setup {
    let mut settings = Settings::default();
    alter(&mut settings);
    let options = Options { sizes: sizes(350), settings, ..Options::default() };
    let setup = Setup::new(options);
    setup.authorize();
    setup
}

#[test]
fn a_server_that_ignores_from_is_refused_and_not_read_for_ever() {
    let setup = with_settings(|settings| settings.ignore_from = true);
    let run = setup.host(&["sync", "--table", "tickets"]).exits(9);
    assert!(run.stderr.contains("/api/v1/tickets repeats the same rows for every `from`"), "{run}");
    assert!(run.stderr.contains("hint: "), "{run}");
    let pages = setup.requests_to("GET /tickets");
    assert!(pages < 40, "{pages} pages of a table with four");
}

#[test]
fn empty_lists_may_answer_200() {
    let setup = with_settings(|settings| settings.empty_list_as_200 = true);
    setup.sync();
    check_sqlite(&setup, &truths(&setup.simulator, true), &BTreeMap::new());
}

#[test]
fn an_empty_portal_is_read_to_its_end() {
    for as_200 in [false, true] {
        let settings = Settings { empty_list_as_200: as_200, ..Settings::default() };
        let mut sizes = sizes(0);
        (sizes.products, sizes.contracts) = (0, 0);
        let setup = Setup::new(Options { sizes, settings, ..Options::default() });
        setup.authorize();
        setup.sync();
        setup.sync();
        check_sqlite(&setup, &truths(&setup.simulator, true), &BTreeMap::new());
    }
}

#[test]
fn lists_of_exactly_one_page_and_its_neighbors_are_whole() {
    for tickets in [1, 99, 100, 101, 198, 199, 200, 201] {
        let setup = Setup::authorized(tickets);
        setup.sync();
        check_sqlite(&setup, &truths(&setup.simulator, true), &BTreeMap::new());
    }
}

#[test]
fn a_portal_that_refuses_include_is_read_without_it() {
    let setup = with_settings(|settings| settings.refuse_include = true);
    setup.sync();
    let mut truths = truths(&setup.simulator, true);
    for row in truths.get_mut("tickets").expect("tickets").values_mut().flatten() {
        for included in ["contact", "product", "department", "team", "isRead", "assignee"] {
            row.remove(included);
        }
    }
    check_sqlite(&setup, &truths, &BTreeMap::new());
}

#[test]
fn a_portal_that_refuses_sort_by_is_read_in_its_own_order() {
    let setup = with_settings(|settings| settings.refuse_sort_by = true);
    setup.sync();
    check_sqlite(&setup, &truths(&setup.simulator, true), &BTreeMap::new());
}

#[test]
fn a_portal_that_refuses_fields_gives_custom_fields_by_details() {
    let keys = ["cf_quantity", "cf_severity"];
    let settings = Settings { refuse_fields: true, ..Settings::default() };
    let options = Options { sizes: sizes(250), settings, ..Options::default() };
    let setup = Setup::with(options, |file| {
        file.config("ticket_detail", "false").config("custom_field_keys", &format!("{keys:?}"))
    });
    setup.authorize();
    setup.sync();
    let details = truth(&setup.simulator, "tickets", true);
    let mut truths = truths(&setup.simulator, false);
    for (id, row) in truths.get_mut("tickets").expect("tickets") {
        // Details show only the fields that the ticket's layout has.
        let (Some(row), Some(detail)) = (row, &details[id]) else { continue };
        let mut cf = detail["cf"].as_object().expect("cf").clone();
        cf.retain(|key, _| keys.contains(&key.as_str()));
        row.insert("cf".to_owned(), cf.into());
    }
    check_sqlite(&setup, &truths, &BTreeMap::new());
}
