//! SIGKILL at any time: after a restart the runner continues from its last commit and ends equal to the
//! truth.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use desk_simulator::{Options, Settings};

use crate::compare::{Differences, check_sqlite, read_log, truths};
use crate::support::rng::{Rng, seeds};
use crate::support::{ConnectionFile, Setup, sizes, wait_until};

/// Tickets of a portal; with pages of a hundred it takes some fifteen commits.
const TICKETS: u32 = 1_500;
/// Details that a kill may cost at most: one batch being committed, one being read, a page each and the
/// rows by which a batch may pass its bound.
const LOST_DETAILS_MAX: u64 = 300;

/// A portal that is read in small batches, slowly enough to be hit in the middle.
pub(crate) fn portal(seed: u64, alter: impl FnOnce(ConnectionFile) -> ConnectionFile) -> Setup {
    let settings = Settings { latency_ms: 1, ..Settings::default() };
    let options = Options { seed, sizes: sizes(TICKETS), settings, ..Options::default() };
    let setup = Setup::with(options, |file| alter(file.set("batch.max_rows", 60)));
    setup.note(format!("E2E_SEED={seed} repeats these kills alone"));
    setup.authorize();
    setup
}

/// Starts `sync` and kills it after a random number of requests and a random moment more, again and again.
/// Returns how often it was killed.
pub(crate) fn kill_repeatedly(setup: &Setup, rng: &mut Rng, kills_max: u64, words: &[&str]) -> u64 {
    let mut kills = 0;
    while kills < kills_max {
        let mut running = setup.start(words);
        let goal = setup.requests() + rng.within(1, 420);
        let moment = Duration::from_micros(rng.within(0, 4_000));
        wait_until("requests", || setup.requests() >= goal || running.has_ended());
        let then = Instant::now() + moment;
        wait_until("the moment of the kill", || Instant::now() >= then);
        running.kill();
        let run = setup.remember(running.wait());
        if !run.was_killed() {
            assert_eq!(run.code(), 0, "{run}");
            break;
        }
        kills += 1;
    }
    kills
}

#[test]
fn killed_at_random_points_the_database_ends_equal_to_the_truth() {
    for seed in seeds(0..4) {
        let setup = portal(seed, |file| file);
        let kills = kill_repeatedly(&setup, &mut Rng::new(seed), 9, &["sync"]);
        assert!(kills >= 3, "seed {seed}: only {kills} kills hit");
        setup.sync();
        let details = setup.requests_to("GET /tickets/{id}");
        check_sqlite(&setup, &truths(&setup.simulator, true), &BTreeMap::new());
        let most = u64::from(TICKETS) + kills * LOST_DETAILS_MAX;
        assert!(details <= most, "seed {seed}: {details} details after {kills} kills; {most} at most");
    }
}

#[test]
fn a_run_after_a_kill_does_not_begin_again() {
    let setup = portal(77, |file| file);
    let mut running = setup.start(&["sync"]);
    wait_until("most details", || setup.requests_to("GET /tickets/{id}") >= 1_200 || running.has_ended());
    running.kill();
    assert!(setup.remember(running.wait()).was_killed());
    let before = setup.requests_to("GET /tickets/{id}");
    setup.sync();
    let after = setup.requests_to("GET /tickets/{id}") - before;
    assert!(after <= u64::from(TICKETS) - 1_200 + LOST_DETAILS_MAX, "{after} details after the kill");
    check_sqlite(&setup, &truths(&setup.simulator, true), &BTreeMap::new());
}

#[test]
fn killed_during_a_full_refresh_known_rows_stay_until_the_snapshot_is_complete() {
    for seed in seeds(20..22) {
        let setup = portal(seed, |file| file);
        setup.sync();
        let known = truths(&setup.simulator, true);
        for (id, _) in known["tickets"].iter().step_by(50) {
            let mutation = serde_json::json!({"op": "moveToTrash", "table": "tickets", "id": id});
            setup.simulator.mutate(mutation).expect("a ticket that lives");
        }
        let kills = kill_repeatedly(&setup, &mut Rng::new(seed), 3, &["sync", "--full-refresh"]);
        assert!(kills > 0, "no kill hit");
        // The snapshot continues where it was killed, or starts again.
        let words: &[&str] = if seed % 2 == 0 { &["sync"] } else { &["sync", "--full-refresh"] };
        setup.host(words).exits(0);
        check_sqlite(&setup, &truths(&setup.simulator, true), &known);
    }
}

#[test]
fn killed_at_random_points_the_json_lines_end_equal_to_the_truth_without_duplicates() {
    for seed in seeds(40..43) {
        let setup = portal(seed, ConnectionFile::jsonl);
        let kills = kill_repeatedly(&setup, &mut Rng::new(seed), 9, &["sync"]);
        assert!(kills >= 3, "seed {seed}: only {kills} kills hit");
        setup.sync();
        let mut differences = Differences::default();
        for (table, truth) in truths(&setup.simulator, true) {
            let log = read_log(&setup.path("rows"), table);
            log.check(table, &truth, &mut differences);
            // Tables without a change filter are read again by each run; tickets and products are not.
            if ["tickets", "products"].contains(&table) {
                assert_eq!(log.repeated, 0, "{table}: lines that were committed twice");
                assert_eq!(log.lines, truth.values().flatten().count(), "{table}: one line for each row");
            }
        }
        differences.none();
    }
}

#[test]
fn bytes_that_a_kill_left_after_the_committed_ones_are_cut_off() {
    use std::io::Write;
    let setup = Setup::authorized_with(150, ConnectionFile::jsonl);
    setup.sync();
    let path = setup.path("rows/tickets/000001.jsonl");
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).expect("the log");
    file.write_all(br#"{"table":"tickets","operation":"upsert","key":{"id":"1"#).expect("half a line");
    drop(file);
    setup.sync();
    let mut differences = Differences::default();
    for (table, truth) in truths(&setup.simulator, true) {
        read_log(&setup.path("rows"), table).check(table, &truth, &mut differences);
    }
    differences.none();
}

#[test]
fn a_truncated_log_is_refused() {
    let setup = Setup::authorized_with(60, ConnectionFile::jsonl);
    setup.sync();
    let path = setup.path("rows/tickets/000001.jsonl");
    let file = std::fs::OpenOptions::new().write(true).open(&path).expect("the log");
    file.set_len(100).expect("a cut");
    let run = setup.host(&["sync"]).exits(12);
    assert!(run.stderr.contains("tickets/000001.jsonl: has 100 bytes, but"), "{run}");
    assert!(run.stderr.contains("hint: "), "{run}");
}

#[test]
fn killed_while_it_authorizes_the_session_is_whole_or_absent() {
    for seed in seeds(60..70) {
        let mut rng = Rng::new(seed);
        let options = Options { sizes: sizes(10), grant_code_reusable: true, ..Options::default() };
        let setup = Setup::new(options);
        let mut running = setup.start(&["authorize", "--code", desk_simulator::GRANT_CODE]);
        wait_until("the exchange", || setup.requests() >= 1 || running.has_ended());
        let then = Instant::now() + Duration::from_micros(rng.within(0, 3_000));
        wait_until("the moment of the kill", || Instant::now() >= then);
        running.kill();
        setup.remember(running.wait());
        // Either nothing was kept, and a person authorizes again, or all was.
        let code = setup.host(&["sync"]).code();
        assert!([0, 4].contains(&code), "seed {seed}: exit code {code}");
        setup.authorize();
        setup.sync();
    }
}
