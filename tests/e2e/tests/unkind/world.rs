//! What the tests of this folder share: a small world, a sync whose calls are bounded, what the target holds.

use std::collections::BTreeMap;
use std::time::Duration;

use desk_simulator::{GRANT_CODE, Options};
use serde_json::{Value, json};

use crate::compare::{Database, check_sqlite, truth};
use crate::support::http::request;
use crate::support::{ConnectionFile, Run, Setup, sizes};
use crate::truth::truth_of;

/// The tables of most tests.
pub(crate) const TABLES: [&str; 3] = ["tickets", "contacts", "products"];
/// One hour.
pub(crate) const HOUR_MS: u64 = 3_600_000;
/// Pause between two looks at a process that runs.
const LOOK: Duration = Duration::from_millis(5);

/// Options of a world with this many tickets.
pub(crate) fn options(tickets: u32) -> Options {
    let mut sizes = sizes(tickets);
    sizes.conversations_max = 4;
    Options { sizes, ..Options::default() }
}

/// The connection file: these tables, two attempts, and short waits.
pub(crate) fn file(file: ConnectionFile, tables: &[&str]) -> ConnectionFile {
    file.config("tables", &format!("{tables:?}"))
        .set("retry.max_attempts", 2)
        .set("retry.max_wait", "\"1s\"")
        .set("sandbox.call_timeout", "\"5s\"")
}

/// An authorized world.
pub(crate) fn world(options: Options, tables: &[&str]) -> Setup {
    world_with(options, tables, |file| file)
}

/// An authorized world with other keys in its connection file.
pub(crate) fn world_with(
    options: Options,
    tables: &[&str],
    alter: impl FnOnce(ConnectionFile) -> ConnectionFile,
) -> Setup {
    let setup = Setup::with(options, |own| alter(file(own, tables)));
    setup.authorize();
    setup
}

/// An authorized world of many rows: a call may take as long as it takes by default.
pub(crate) fn large_world(options: Options, tables: &[&str]) -> Setup {
    world_with(options, tables, |file| file.set("sandbox.call_timeout", "\"2m\""))
}

/// An authorized world whose clock is behind ours, so that a test can advance it: the connector reads nothing
/// that lies beyond its own time.
pub(crate) fn world_since(behind_ms: u64, mut options: Options, tables: &[&str]) -> Setup {
    options.settings.token_life_seconds = 1_000_000;
    let setup = Setup::with(options, |own| file(own, tables).set("sandbox.call_timeout", "\"2m\""));
    setup.simulator.set_clock_offset_ms(-(behind_ms as i64));
    setup.authorize();
    setup
}

/// The same world authorized again: rules may have made the session refuse or forget things.
pub(crate) fn authorize_again(setup: &Setup) {
    let code = format!("{GRANT_CODE}.{}", setup.requests());
    let url = format!("{}/_admin/codes", setup.simulator.url());
    let body = json!({"code": code}).to_string();
    assert_eq!(request("POST", &url, &[], body.as_bytes()).status, 200);
    setup.host(&["authorize", "--code", &code]).exits(0);
}

/// Runs a command that makes at most `most` calls; more end the run and the test.
#[track_caller]
pub(crate) fn within(setup: &Setup, words: &[&str], most: u64) -> Run {
    let before = setup.requests();
    let mut running = setup.start(words);
    while !running.has_ended() {
        if setup.requests() - before > most {
            running.kill();
            let run = setup.remember(running.wait());
            panic!("more than {most} calls\n{run}\n{:#}", setup.simulator.credits());
        }
        std::thread::sleep(LOOK);
    }
    let run = setup.remember(running.wait());
    let calls = setup.requests() - before;
    assert!(calls <= most, "{calls} calls, not {most}\n{run}\n{:#}", setup.simulator.credits());
    run
}

/// The calls of one command that ends well.
pub(crate) fn calls_of(setup: &Setup, words: &[&str]) -> u64 {
    let before = setup.requests();
    setup.host(words).exits(0);
    setup.requests() - before
}

/// No failure, or one that names the table and the call. Another test concerns hints.
#[track_caller]
pub(crate) fn is_for_a_person(run: &Run, table: &str, place: &str) {
    let said = &run.stderr;
    assert!(!said.contains("panicked"), "{place}\n{run}");
    if run.code() != 0 {
        let names_the_table = said.contains(&format!("table `{table}`"));
        assert!(said.contains("error: ") && names_the_table, "{place}\n{run}");
    }
}

/// The target equals the truth, row by row.
#[track_caller]
pub(crate) fn equals_truth(setup: &Setup, tables: &[&'static str]) {
    let truths = tables.iter().map(|table| (*table, truth_of(&setup.simulator, table))).collect();
    check_sqlite(setup, &truths, &BTreeMap::new());
}

/// Ids of the live rows, in order.
pub(crate) fn live_ids(setup: &Setup, table: &str) -> Vec<String> {
    Database::open(&setup.path("out.db"))
        .texts(&format!("SELECT id FROM {table} WHERE NOT _deleted ORDER BY id"))
}

/// The target has the live rows of the truth and no others.
#[track_caller]
pub(crate) fn has_the_rows(setup: &Setup, table: &str) {
    let truth = truth(&setup.simulator, table, true);
    let expected: Vec<&String> = truth.iter().filter(|(_, row)| row.is_some()).map(|(id, _)| id).collect();
    let found = live_ids(setup, table);
    let missing = expected.iter().filter(|id| found.binary_search(id).is_err()).count();
    let extra = found.iter().filter(|id| expected.binary_search(id).is_err()).count();
    assert_eq!((missing, extra), (0, 0), "{table}: rows missing, rows too many");
}

/// The target shows each live row as it was modified last, and no deleted row.
#[track_caller]
pub(crate) fn shows_the_changes(setup: &Setup, table: &str) {
    has_the_rows(setup, table);
    let modified = |row: &serde_json::Map<String, Value>| row["modifiedTime"].as_str().map(str::to_owned);
    let truth = truth(&setup.simulator, table, true);
    let expected: Vec<String> = truth.values().flatten().filter_map(modified).collect();
    let column = "json_extract(_raw, '$.modifiedTime')";
    let sql = format!("SELECT {column} FROM {table} WHERE NOT _deleted ORDER BY id");
    let found = Database::open(&setup.path("out.db")).texts(&sql);
    let stale = expected.iter().zip(&found).filter(|(expected, found)| expected != found).count();
    assert_eq!((stale, found.len()), (0, expected.len()), "{table}: stale rows");
}

/// Changes one row of a table so that a later read shows this text.
pub(crate) fn mark(setup: &Setup, table: &str, text: &str) {
    let id = truth(&setup.simulator, table, true)
        .iter()
        .find_map(|(id, row)| row.is_some().then(|| id.clone()))
        .expect("a live row");
    let values = json!({ key(table): text });
    let update = json!({"op": "update", "table": table, "id": id, "values": values});
    setup.simulator.mutate(update).expect("a change");
}

/// Whether the target holds that text.
pub(crate) fn is_marked(setup: &Setup, table: &str, text: &str) -> bool {
    let column = key(table);
    let sql = format!("SELECT count(*) FROM {table} WHERE json_extract(_raw, '$.{column}') = '{text}'");
    Database::open(&setup.path("out.db")).number(&sql) > 0
}

fn key(table: &str) -> &'static str {
    match table {
        "contacts" => "lastName",
        "products" => "productName",
        _ => "subject",
    }
}
