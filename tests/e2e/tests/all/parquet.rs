//! Parquet files, in a folder and in an object store, as DuckDB reads them, by the query of `docs/sinks.md`,
//! against the truth: after changes, deletes and restored rows, and after kills. The store of most tests is
//! ours; one is rclone, from PyPI, which checks signatures by its own code.

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

use object_server::{KEY, Mood, ObjectServer, SECRET};
use serde_json::{Value, json};

use crate::compare::messages::key;
use crate::compare::{Differences, Log, Truth, truth, truths};
use crate::hosts::python;
use crate::judges::program;
use crate::kills::{kill_repeatedly, portal};
use crate::support::process::Running;
use crate::support::rng::{Rng, seeds};
use crate::support::{ConnectionFile, Setup, binaries, wait_until};

/// The query of the documentation, over the files of a table.
fn query(folder: &Path, table: &str) -> String {
    let page = std::fs::read_to_string(binaries::workspace().join("docs/sinks.md")).expect("a page");
    let (_, section) = page.split_once("\n## Parquet\n").expect("a section");
    let (_, text) = section.split_once("```sql\n").expect("its start");
    let (query, _) = text.split_once("\n```").expect("its end");
    assert!(query.contains("'acme/tickets/"), "{query}");
    let columns: Vec<String> = key(table).iter().map(|name| format!("'{name}': \"{name}\"")).collect();
    assert_eq!(query.matches("{'id': id}").count(), 1, "the key is in one place: {query}");
    let query = query.replace("{'id': id}", &format!("{{{}}}", columns.join(", ")));
    query.replace("acme/tickets/", &format!("{}/{table}/", folder.display()))
}

/// The changes in the files of a table, and the rows of the documented query.
fn read(setup: &Setup, table: &str) -> (Log, BTreeMap<String, Value>) {
    let folder = setup.path("rows");
    let mut command = Command::new(python());
    command.arg(binaries::workspace().join("tests/tools/parquet_rows.py"));
    command
        .arg(&folder)
        .arg(table)
        .arg(key(table).join(","))
        .arg(query(&folder, table))
        .current_dir(setup.folder());
    let run = Running::start(command, b"").wait().exits(0);
    let said = |prefix: &'static str| {
        let lines = run.stdout.lines().filter_map(move |line| line.strip_prefix(prefix));
        lines.map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
    };
    let log = Log::of(said("LINE "), table);
    let mut rows = BTreeMap::new();
    for row in said("ROW ") {
        let id = row["id"].as_str().expect("an id").to_owned();
        assert!(rows.insert(id, row["row"].clone()).is_none(), "{table}: two rows of one id");
    }
    (log, rows)
}

/// Compares the query with the rules, and with the truth where rows were read whole.
#[track_caller]
fn check(setup: &Setup, is_whole: bool) {
    check_tables(setup, truths(&setup.simulator, true), is_whole);
}

#[track_caller]
fn check_tables(setup: &Setup, truths: BTreeMap<&str, Truth>, is_whole: bool) {
    let mut differences = Differences::default();
    for (table, truth) in truths {
        let (log, rows) = read(setup, table);
        assert!(log.documents() == rows, "{table}: the query and the rules for readers differ");
        if is_whole {
            log.check(table, &truth, &mut differences);
        } else {
            let live = truth.iter().filter(|(_, row)| row.is_some()).map(|(id, _)| id);
            assert!(live.eq(rows.keys()), "{table}: other rows live");
        }
    }
    differences.none();
}

fn mutate(setup: &Setup, mutation: Value) {
    setup.simulator.mutate(mutation.clone()).unwrap_or_else(|error| panic!("{mutation}: {error}"));
}

#[test]
fn duckdb_reads_the_truth_after_changes_deletes_and_restored_rows() {
    let setup = Setup::authorized_with(300, ConnectionFile::parquet);
    setup.sync();
    check(&setup, true);
    let tickets = truths(&setup.simulator, true).remove("tickets").expect("tickets");
    let ids: Vec<&String> = tickets.iter().filter(|(_, row)| row.is_some()).map(|(id, _)| id).collect();
    for (index, id) in ids.iter().step_by(7).enumerate() {
        let values = json!({"subject": format!("changed {index} 🎈"), "priority": null});
        mutate(&setup, json!({"op": "update", "table": "tickets", "id": id, "values": values}));
    }
    for id in &ids[1..5] {
        mutate(&setup, json!({"op": "moveToTrash", "table": "tickets", "id": id}));
    }
    setup.sync();
    // Changed rows lack the members that only lists show.
    check(&setup, false);
    mutate(&setup, json!({"op": "restore", "table": "tickets", "id": ids[1]}));
    mutate(&setup, json!({"op": "purge", "table": "tickets", "id": ids[6]}));
    mutate(&setup, json!({"seed": 13, "count": 200}));
    setup.sync();
    setup.host(&["sync", "--full-refresh"]).exits(0);
    check(&setup, true);
}

#[test]
fn duckdb_reads_every_row_of_tables_with_other_keys() {
    let names = ["tickets", "teams", "team_members", "ticket_tags", "channels"];
    let setup = Setup::authorized_with(60, |file| file.parquet().config("tables", &format!("{names:?}")));
    let truths = || names.map(|table| (table, truth(&setup.simulator, table, true))).into();
    setup.sync();
    check_tables(&setup, truths(), false);
    setup.host(&["sync", "--full-refresh"]).exits(0);
    let (_, tags) = read(&setup, "ticket_tags");
    assert!(tags.len() > 1, "{tags:?}");
    check_tables(&setup, truths(), false);
}

#[test]
fn killed_at_random_points_the_files_end_equal_to_the_truth_without_duplicates() {
    for seed in seeds(80..82) {
        let setup = portal(seed, ConnectionFile::parquet);
        let kills = kill_repeatedly(&setup, &mut Rng::new(seed), 9, &["sync"]);
        assert!(kills >= 3, "seed {seed}: only {kills} kills hit");
        setup.sync();
        check(&setup, true);
        let (log, rows) = read(&setup, "tickets");
        assert_eq!((log.repeated, log.lines), (0, rows.len()), "one row for each ticket");
    }
}

/// Copies the objects below a prefix of the store into the folder `rows`.
fn download(server: &ObjectServer, prefix: &str, setup: &Setup) {
    for (name, bytes) in server.objects() {
        let name = name.strip_prefix(prefix).and_then(|name| name.strip_prefix('/')).expect("the prefix");
        let path = setup.path("rows").join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("created");
        std::fs::write(path, bytes).expect("written");
    }
}

#[test]
fn files_in_an_object_store_equal_the_truth_after_it_was_away_and_after_kills() {
    let server = ObjectServer::start();
    let url = server.url("acme/rows");
    let setup = portal(90, |file| file.parquet().sink_text("url", &url));
    server.set_mood(Mood::Refuses(503, "SlowDown"));
    let run = setup.host(&["sync"]).exits(12);
    assert!(run.stderr.contains("SlowDown") && run.stderr.contains("rows wait in the sink's log"), "{run}");
    assert!(server.objects().is_empty());
    // What the source gave is not asked for again.
    let details = setup.requests_to("GET /tickets/{id}");
    server.set_mood(Mood::RefusesNext(3, 500));
    setup.sync();
    assert_eq!(setup.requests_to("GET /tickets/{id}"), details);
    setup.simulator.mutate(json!({"seed": 17, "count": 300})).expect("changes");
    setup.sync();
    kill_repeatedly(&setup, &mut Rng::new(90), 5, &["sync", "--full-refresh"]);
    setup.host(&["sync", "--full-refresh"]).exits(0);
    download(&server, "acme/rows", &setup);
    check(&setup, true);
    for words in [["check"].as_slice(), &["state", "show"], &["spec"], &["sync", "--json"]] {
        let run = setup.host(words);
        assert!(!format!("{run}").contains(SECRET), "{run}");
    }
}

#[test]
fn the_keys_of_an_object_store_may_be_in_the_environment() {
    let server = ObjectServer::start();
    let url = server.url_without_key("acme");
    let setup = Setup::authorized_with(40, |file| file.parquet().sink_text("url", &url));
    let wrong = [("AWS_ACCESS_KEY_ID", "OTHER"), ("AWS_SECRET_ACCESS_KEY", "wrong-secret")];
    let run = setup.host_with_env(&["sync"], &wrong).exits(12);
    assert!(run.stderr.contains("hint: the keys need s3:GetObject"), "{run}");
    assert!(!format!("{run}").contains("wrong-secret"), "{run}");
    let right = [("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", SECRET)];
    setup.host_with_env(&["sync"], &right).exits(0);
    download(&server, "acme", &setup);
    check(&setup, true);
}

#[test]
fn files_in_the_store_of_another_program_equal_the_truth() {
    let Some(rclone) = program("rclone", "rclone") else { return };
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let file = |file: ConnectionFile, secret: &str| {
        let url = format!("s3://{KEY}:{secret}@desk/acme?endpoint=http://{address}");
        file.parquet().sink_text("url", &url)
    };
    let setup = Setup::authorized_with(200, |plain| file(plain, "another/secret"));
    std::fs::create_dir_all(setup.path("store/desk")).expect("a bucket");
    let mut command = Command::new(rclone);
    command.args(["serve", "s3", "store", "--config", "/dev/null", "--addr", &address.to_string()]);
    command.args(["--auth-key", &format!("{KEY},{SECRET}")]).current_dir(setup.folder());
    let _server = Running::start(command, b"");
    wait_until("rclone listens", || TcpStream::connect(address).is_ok());
    let refused = setup.host(&["sync"]).exits(12);
    assert!(refused.stderr.contains("hint: the keys need s3:GetObject"), "{refused}");
    setup.write("a.toml", &file(ConnectionFile::of(&setup.simulator), SECRET).render());
    setup.sync();
    setup.simulator.mutate(json!({"seed": 23, "count": 200})).expect("changes");
    setup.sync();
    setup.host(&["sync", "--full-refresh"]).exits(0);
    let mut copy = Command::new("cp");
    copy.args(["-R", "store/desk/acme/.", "rows"]).current_dir(setup.folder());
    Running::start(copy, b"").wait().exits(0);
    check(&setup, true);
}
