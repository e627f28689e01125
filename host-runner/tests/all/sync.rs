//! `sync`: rows, snapshots, deletes, new columns; kills, interrupts and locks.

use serde_json::{Value, json};

use crate::serve;
use crate::server::Server;
use crate::support::Place;

/// Long enough for a kill to come in between.
const MANY: &str = "rows = 60000\npage = 250\npadding = 300";

fn rows(report: &Value) -> [u64; 4] {
    ["inserted", "updated", "unchanged", "deleted"]
        .map(|name| report["tables"][0]["rows"][name].as_u64().expect("a number"))
}

#[test]
fn rows_arrive_typed_with_their_documents() {
    let place = Place::new("rows = 100");
    let report = place.json(&["sync"], 0);
    assert_eq!(rows(&report), [100, 0, 0, 0]);
    assert_eq!(report["credits_used"], 4);
    assert_eq!(
        place.query(
            "SELECT json_array(id, name, version, count, price, active, changed, tags, cf_size, \
             \"Name__2\", _source_updated_at, _deleted, _change_source) FROM things WHERE id = '7'"
        ),
        json!([
            "7",
            "Thing 7 \"é\" 🎉",
            1,
            7,
            1.75,
            0,
            "2024-02-29T04:50:30.000Z",
            "[\"a\",7]",
            7,
            "other",
            "2023-11-14T22:13:27.000Z",
            0,
            "snapshot"
        ])
        .to_string()
    );
    assert_eq!(place.query("SELECT _raw ->> '$.unknown.kept' || '' FROM things WHERE id = '7'"), "1");
    assert_eq!(place.query("SELECT \"left\" || sum FROM pairs WHERE \"right\" = '2'"), "l24");
    let again = place.json(&["sync"], 0);
    assert_eq!(rows(&again), [0, 0, 0, 0], "read again without need");
}

#[test]
fn changes_follow_the_snapshot() {
    let place = Place::new("rows = 10");
    place.expect(&["sync"], 0);
    place.configure("rows = 10\nchanges = 3");
    assert_eq!(rows(&place.json(&["sync"], 0)), [0, 2, 0, 1]);
    assert_eq!(place.query("SELECT group_concat(version) FROM things_live WHERE version > 1"), "2,3");
    assert_eq!(
        place.query("SELECT id || _change_source || (_raw IS NOT NULL) FROM things WHERE _deleted"),
        "2incremental1"
    );
}

#[test]
fn a_full_refresh_finds_deletes_and_keeps_known_deletes() {
    let place = Place::new("rows = 10");
    place.expect(&["sync"], 0);
    place.configure("rows = 10\ndeleted = [3, 4]");
    assert_eq!(rows(&place.json(&["sync", "--full-refresh"], 0)), [0, 0, 8, 2]);
    assert_eq!(
        place.query("SELECT group_concat(id || _change_source) FROM things WHERE _deleted"),
        "3missing,4missing"
    );
    assert_eq!(rows(&place.json(&["sync", "--full-refresh"], 0)), [0, 0, 8, 0]);
    place.configure("rows = 10");
    assert_eq!(rows(&place.json(&["sync", "--full-refresh"], 0)), [0, 2, 8, 0]);
    assert_eq!(place.query("SELECT count(*) || '' FROM things_live"), "10");
}

#[test]
fn hard_deletes_remove_rows() {
    let place = Place::new("rows = 10");
    place.expect(&["sync", "--hard-deletes"], 0);
    place.configure("rows = 10\ndeleted = [3, 4]\n[sink]\ndeletes = \"hard\"");
    assert_eq!(rows(&place.json(&["sync", "--full-refresh"], 0)), [0, 0, 8, 2]);
    assert_eq!(place.query("SELECT count(*) || '' FROM things"), "8");
}

#[test]
fn a_new_property_becomes_a_column_of_old_rows_too() {
    let place = Place::new("rows = 10");
    place.expect(&["sync"], 0);
    place.configure("rows = 10\nextra_column = true");
    place.expect(&["sync"], 0);
    assert_eq!(place.query("SELECT extra FROM things_live WHERE id = '7'"), "late 7");
}

#[test]
fn a_reset_reads_again_and_changes_nothing() {
    let place = Place::new("rows = 10");
    place.expect(&["sync"], 0);
    assert_eq!(place.json(&["state", "reset", "--table", "things"], 0)["reset"], json!(["things"]));
    assert_eq!(rows(&place.json(&["sync"], 0)), [0, 0, 10, 0]);
    place.expect(&["state", "reset", "--table", "nope"], 6);
}

#[test]
fn tables_are_picked_by_name_or_alias() {
    let place = Place::new("rows = 10");
    let report = place.json(&["sync", "--table", "Things"], 0);
    assert_eq!(report["tables"].as_array().map(Vec::len), Some(1));
    let ran = place.expect(&["sync", "--table", "nope"], 6);
    assert!(ran.stderr.contains("hint: tables: things, pairs"), "{ran:#?}");
}

#[test]
fn json_lines_hold_every_row_once() {
    let place = Place::new("rows = 100\n[sink]\nkind = \"jsonl\"\npath = \"out\"");
    place.expect(&["sync"], 0);
    place.expect(&["sync"], 0);
    let text = std::fs::read_to_string(place.path("out/things/000001.jsonl")).expect("a file");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 101);
    assert_eq!(lines[7]["after"]["id"], "7");
    assert_eq!(lines[100]["operation"], "snapshot-complete");
}

#[test]
fn a_killed_run_continues_from_its_last_commit() {
    let place = Place::new(MANY);
    let mut done = 0;
    for batches in [3, 10, 40] {
        place.start_until(&["sync"], "batch read", batches).kill();
        let rows: u64 = place.query("SELECT count(*) || '' FROM things").parse().expect("a number");
        assert!(rows > done, "no progress: {rows} rows after {done}");
        assert_eq!(place.query("SELECT cursor ->> 'row' || '' FROM _sync_state"), rows.to_string());
        done = rows;
    }
    let report = place.json(&["sync"], 0);
    assert_eq!(rows(&report), [60_000 - done, 0, 0, 0], "rows were read twice");
    assert_eq!(place.query("SELECT count(*) || '/' || sum(count) FROM things_live"), "60000/1799970000");
}

#[test]
fn a_killed_run_into_json_lines_leaves_every_row_once() {
    let sink = "[sink]\nkind = \"jsonl\"\npath = \"out\"";
    let place = Place::new(&format!("{MANY}\n{sink}"));
    for batches in [3, 10, 40] {
        place.start_until(&["sync"], "batch read", batches).kill();
    }
    place.expect(&["sync"], 0);
    let text = std::fs::read_to_string(place.path("out/things/000001.jsonl")).expect("a file");
    let mut ids: Vec<u64> = text
        .lines()
        .filter_map(|line| {
            let line: Value = serde_json::from_str(line).expect("JSON");
            line["after"]["id"].as_str()?.parse().ok()
        })
        .collect();
    ids.sort_unstable();
    assert!(ids.iter().copied().eq(0..60_000), "{} rows", ids.len());
}

#[test]
fn a_batch_is_committed_while_the_next_one_is_read() {
    let order = |log: &str| {
        let of_things = log.lines().filter(|line| line.contains("table=\"things\""));
        let events = |line: &str| {
            ["read", "stored"].into_iter().find(|event| line.contains(&format!("batch {event}")))
        };
        of_things.filter_map(events).collect::<Vec<_>>().join(" ")
    };
    let pipelined = "read read stored read stored stored";
    let place = Place::new("rows = 90\npage = 30");
    let ran = place.expect(&["sync", "-vv"], 0);
    assert_eq!(order(&ran.stderr), pipelined, "{}", ran.stderr);
    place.expect(&["state", "reset"], 0);
    let server = serve::Server::start_with(&place, &["-v"]);
    serve::eventually("the snapshot", || order(&server.log()) == pipelined);
    server.stop();
}

#[test]
fn a_stop_does_not_wait_for_a_store_that_says_nothing_about_its_files() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address");
    let url = format!("s3://id:secret@desk/x?endpoint=http://{address}");
    let place = Place::new(&format!("rows = 3\n[sink]\nkind = \"parquet\"\nurl = \"{url}\""));
    let running = place.start(&["sync"]);
    let (mut held, _) = silent.accept().expect("a connection");
    std::io::Read::read(&mut held, &mut [0; 1]).expect("a request");
    running.signal("-TERM");
    assert_eq!(running.wait(), Some(130));
}

#[test]
fn an_interrupted_run_exits_130_and_the_next_one_continues() {
    let place = Place::new(MANY);
    let running = place.start_until(&["sync"], "batch read", 5);
    running.signal("-INT");
    assert_eq!(running.wait(), Some(130));
    let done: u64 = place.query("SELECT count(*) || '' FROM things").parse().expect("a number");
    assert!(done > 0 && done < 60_000, "{done}");
    assert_eq!(rows(&place.json(&["sync"], 0))[0], 60_000 - done);
}

#[test]
fn two_processes_cannot_run_one_connection() {
    let server = Server::new(None);
    let place = Place::new(&format!(
        "behavior = \"http\"\nurl = \"http://{0}\"\n[egress]\nallow = [\"{0}\"]",
        server.address
    ));
    let running = place.start(&["sync"]);
    server.wait();
    let ran = place.expect(&["check"], 12);
    assert!(ran.stderr.contains("connection `tiny`: in use by process"), "{ran:#?}");
    running.kill();
}

#[test]
fn a_table_that_fails_does_not_stop_the_others_unless_credentials_are_wrong() {
    let place = Place::new("behavior = \"fail\"\nkind = \"permission\"");
    let report = place.json(&["sync"], 5);
    assert_eq!(report["tables"][0]["error"]["kind"], "permission");
    assert_eq!(report["tables"][1]["ending"], "caught-up");

    let place = Place::new("behavior = \"fail\"\nkind = \"auth\"");
    let report = place.json(&["sync"], 4);
    assert_eq!(report["tables"][1]["ending"], "skipped");
}

#[test]
fn a_wait_that_is_too_long_is_reported_with_the_time_to_come_back() {
    let place = Place::new("behavior = \"fail\"\nkind = \"rate-limited\"\nretry_after_ms = 7200000");
    let ran = place.expect(&["sync"], 7);
    assert!(ran.stderr.contains("the source asks to wait 2 h"), "{ran:#?}");
    assert!(ran.stderr.contains("hint: run it again in 2 h"), "{ran:#?}");
}

#[test]
fn a_target_of_another_connection_is_refused_and_stays_as_it_is() {
    let place = Place::new("rows = 3\n[sink]\npath = \"rows.db\"");
    place.expect(&["sync"], 0);
    let file = place.path("tiny.toml");
    let text = std::fs::read_to_string(&file).expect("read").replace("name = \"tiny\"", "name = \"other\"");
    std::fs::write(&file, &text).expect("written");
    for command in [&["sync"][..], &["state", "show"], &["state", "reset"]] {
        let ran = place.expect(command, 3);
        assert!(
            ran.stderr.contains("rows.db: holds the rows of connection `tiny`, not of `other`"),
            "{ran:#?}"
        );
        assert!(ran.stderr.contains("path under [sink]"), "{ran:#?}");
    }
    std::fs::write(&file, text.replace("rows.db", "others.db")).expect("written");
    place.expect(&["sync"], 0);
}
