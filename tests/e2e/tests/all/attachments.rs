//! Attachments of tickets: the folder holds the simulator's bytes, also after kills and broken answers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use desk_simulator::{Broken, Options, Rule, RuleAnswer};
use object_server::{Mood, ObjectServer};
use rusqlite::Connection as Database;
use serde_json::{Value, json};

use crate::compare::truth;
use crate::support::rng::{Rng, seeds};
use crate::support::{ConnectionFile, Run, Setup, sizes, wait_until};

const CONTENT: &str = "GET /tickets/{id}/attachments/{id}/content";

/// Reads tickets and their attachments, with the bytes in `files`.
fn with_bytes(file: ConnectionFile) -> ConnectionFile {
    let file = file.config("tables", "[\"tickets\", \"ticket_attachments\"]");
    file.config("ticket_detail", "false").sink_text("attachments", "files").set("retry.max_attempts", 2)
}

fn portal(tickets: u32) -> Setup {
    Setup::authorized_with(tickets, with_bytes)
}

/// The attachments of the portal by id, with their tickets.
fn attachments(setup: &Setup) -> BTreeMap<String, String> {
    let rows = truth(&setup.simulator, "ticket_attachments", true).into_values().flatten();
    let text = |row: &serde_json::Map<String, Value>, name: &str| row[name].as_str().expect(name).to_owned();
    rows.map(|row| (text(&row, "id"), text(&row, "ticketId"))).collect()
}

/// The ids of attachments whose bytes are in the folder, each equal to the simulator's.
fn fetched(setup: &Setup) -> BTreeSet<String> {
    let manifest = Database::open(setup.path("files/manifest.db")).expect("the manifest");
    let sql = "SELECT json_extract(key, '$.id'), sha256 FROM attachments WHERE sha256 IS NOT NULL";
    let mut select = manifest.prepare(sql).expect(sql);
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("queried");
    let rows: Vec<(String, String)> = rows.collect::<Result<_, _>>().expect("rows");
    let tickets = attachments(setup);
    for (id, sha256) in &rows {
        let bytes = std::fs::read(setup.path(&format!("files/{}/{sha256}", &sha256[..2]))).expect("the file");
        let expected = setup.simulator.attachment(&tickets[id], id).expect("an attachment");
        assert!(bytes == expected, "{id}: {} bytes, {} expected", bytes.len(), expected.len());
    }
    rows.into_iter().map(|(id, _)| id).collect()
}

/// Every attachment has its bytes, and nothing else is in the folder.
fn complete(setup: &Setup) {
    let wanted: BTreeSet<String> = attachments(setup).into_keys().collect();
    assert!(wanted.len() >= 5, "{} attachments", wanted.len());
    assert_eq!(fetched(setup), wanted);
    assert_eq!(std::fs::read_dir(setup.path("files/partial")).expect("the folder").count(), 0);
}

/// The number of whole files in the folder.
fn files(setup: &Setup) -> usize {
    let entries = |path: std::path::PathBuf| std::fs::read_dir(path).expect("a folder").flatten();
    let folders = entries(setup.path("files")).filter(|entry| entry.file_name().len() == 2);
    folders.map(|folder| entries(folder.path()).count()).sum()
}

fn warnings(run: &Run) -> String {
    let report = run.json();
    let tables = report["tables"].as_array().expect("tables").iter();
    tables.map(|table| table["warnings"].to_string()).collect()
}

#[test]
fn the_bytes_of_all_attachments_equal_the_truth_and_cost_a_call_each() {
    let setup = portal(60);
    let report = setup.host(&["sync", "--json"]).exits(0).json();
    complete(&setup);
    let all = attachments(&setup).len() as u64;
    assert_eq!(setup.requests_to(CONTENT), all);
    let account = setup.simulator.credits();
    let spent: u64 = account["endpoints"]
        .as_object()
        .expect("endpoints")
        .values()
        .map(|endpoint| endpoint["credits"].as_u64().expect("credits"))
        .sum();
    assert!(report["credits_used"].as_u64().expect("credits") + 10 >= spent, "{report}\n{account}");
    // Equal files are there once.
    let manifest = Database::open(setup.path("files/manifest.db")).expect("the manifest");
    let distinct: i64 = manifest
        .query_row("SELECT count(DISTINCT sha256) FROM attachments", [], |row| row.get(0))
        .expect("a number");
    assert!(distinct < all as i64, "{distinct} of {all}");
    setup.sync();
    assert_eq!(setup.requests_to(CONTENT), all, "read again without need");
}

#[test]
fn killed_at_random_points_every_byte_arrives_and_few_are_asked_for_twice() {
    for seed in seeds(0..3) {
        let settings = desk_simulator::Settings { latency_ms: 2, ..Default::default() };
        let options = Options { seed, sizes: sizes(80), settings, ..Options::default() };
        let setup = Setup::with(options, with_bytes);
        setup.note(format!("E2E_SEED={seed} repeats these kills alone"));
        setup.authorize();
        setup.simulator.set(|settings| settings.readings.attachment_ranges = seed % 2 == 0);
        let mut rng = Rng::new(seed);
        let mut kills = 0;
        while kills < 8 {
            let mut running = setup.start(&["sync"]);
            let goal = setup.requests() + rng.within(1, 60);
            wait_until("requests", || setup.requests() >= goal || running.has_ended());
            running.kill();
            let run = setup.remember(running.wait());
            if !run.was_killed() {
                break;
            }
            kills += 1;
        }
        assert!(kills >= 2, "seed {seed}: only {kills} kills hit");
        setup.sync();
        complete(&setup);
        let (all, asked) = (attachments(&setup).len() as u64, setup.requests_to(CONTENT));
        assert!(asked <= all + kills, "seed {seed}: {asked} calls for {all} files after {kills} kills");
    }
}

#[test]
fn a_file_that_is_broken_for_ever_stops_nothing_and_is_fetched_once_it_is_whole() {
    let broken: [(RuleAnswer, &str); 6] = [
        (Broken::Html.into(), "its size is"),
        (Broken::Short.into(), "its size is"),
        (Broken::Endless.into(), "more bytes came than its size"),
        (Broken::Truncated.into(), "broke off"),
        (403.into(), "HTTP 403"),
        (404.into(), "HTTP 404"),
    ];
    for (answer, problem) in broken {
        let setup = portal(60);
        let (id, ticket) = attachments(&setup).into_iter().next().expect("an attachment");
        let rule = Rule::new(&format!("/tickets/{ticket}/attachments/{id}/content"), answer);
        setup.simulator.add_rule(rule);
        let run = setup.host(&["sync", "--json"]).exits(0);
        assert!(
            warnings(&run).contains("1 attachments are not there; the first: `file"),
            "{answer:?}: {run}"
        );
        assert!(warnings(&run).contains(problem), "{answer:?}: {run}");
        let mut wanted: BTreeSet<String> = attachments(&setup).into_keys().collect();
        wanted.remove(&id);
        assert_eq!(fetched(&setup), wanted, "{answer:?}");
        setup.simulator.heal();
        let manifest = Database::open(setup.path("files/manifest.db")).expect("the manifest");
        manifest.execute("UPDATE attachments SET next_at_ms = 0 WHERE problem IS NOT NULL", []).expect("set");
        drop(manifest);
        assert_eq!(warnings(&setup.host(&["sync", "--json"]).exits(0)), "[][]", "{answer:?}");
        complete(&setup);
    }
}

#[test]
fn an_answer_that_breaks_off_is_asked_for_again() {
    for has_ranges in [true, false] {
        let setup = portal(60);
        setup.simulator.set(|settings| settings.readings.attachment_ranges = has_ranges);
        let rule = Rule::new("/tickets/{id}/attachments/{id}/content", Broken::Truncated);
        setup.simulator.add_rule(rule.times(1));
        setup.sync();
        complete(&setup);
    }
}

#[test]
fn bytes_in_an_object_store_equal_the_truth_after_it_was_away() {
    let server = ObjectServer::start();
    let url = server.url("files");
    let setup = Setup::authorized_with(60, |file| with_bytes(file).sink_text("attachments", &url));
    server.set_mood(Mood::Refuses(503, "SlowDown"));
    let run = setup.host(&["sync", "--json"]).exits(0);
    assert!(warnings(&run).contains("attachments are not there"), "{run}");
    server.set_mood(Mood::Well);
    setup.sync();
    let manifest = Database::open(setup.path("demo-attachments/manifest.db")).expect("the manifest");
    let sql = "SELECT json_extract(key, '$.id'), sha256 FROM attachments";
    let mut select = manifest.prepare(sql).expect(sql);
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("queried");
    let rows: BTreeMap<String, String> = rows.collect::<Result<_, _>>().expect("rows");
    let (objects, tickets) = (server.objects(), attachments(&setup));
    assert!(rows.keys().eq(tickets.keys()), "other attachments");
    for (id, sha256) in &rows {
        let expected = setup.simulator.attachment(&tickets[id], id).expect("an attachment");
        assert!(objects[&format!("files/{}/{sha256}", &sha256[..2])] == expected, "{id}");
    }
    let distinct: BTreeSet<&String> = rows.values().collect();
    // Next to them the object that names the owner.
    assert_eq!(objects.len(), distinct.len() + 1, "equal files are there once, and nothing else is");
    assert_eq!(std::fs::read_dir(setup.path("demo-attachments/partial")).expect("a folder").count(), 0);
    let asked = setup.requests_to(CONTENT);
    setup.sync();
    assert_eq!(setup.requests_to(CONTENT), asked, "read again without need");
}

#[test]
fn an_attachment_that_was_deleted_goes_with_the_next_change_of_its_ticket_and_so_do_its_bytes() {
    for deletes in ["soft", "hard"] {
        let setup = Setup::authorized_with(60, |file| with_bytes(file).sink_text("deletes", deletes));
        setup.sync();
        complete(&setup);
        let (id, ticket) = attachments(&setup).into_iter().next().expect("an attachment");
        setup.simulator.advance(Duration::from_secs(60));
        for change in [
            json!({"op": "deletePart", "ticket": ticket, "list": "attachments", "id": id}),
            json!({"op": "update", "table": "tickets", "id": ticket, "values": {"subject": "changed"}}),
        ] {
            setup.simulator.mutate(change).expect("changed");
        }
        setup.simulator.advance(Duration::from_secs(60));
        setup.sync();
        let rows = Database::open(setup.path("out.db")).expect("the rows");
        let live: i64 = rows
            .query_row("SELECT count(*) FROM ticket_attachments_live WHERE id = ?1", [&id], |row| row.get(0))
            .expect("a number");
        let left: i64 = rows
            .query_row("SELECT count(*) FROM ticket_attachments_live", [], |row| row.get(0))
            .expect("a number");
        assert_eq!((live, left as usize), (0, attachments(&setup).len()), "{deletes}");
        let manifest = Database::open(setup.path("files/manifest.db")).expect("the manifest");
        let sql = "SELECT deleted FROM attachments WHERE json_extract(key, '$.id') = ?1";
        let is_deleted: bool = manifest.query_row(sql, [&id], |row| row.get(0)).expect("its note");
        assert!(is_deleted, "{deletes}: the manifest");
        // Equal files are there once, for as long as a row has them.
        let sql = "SELECT count(DISTINCT sha256) FROM attachments WHERE NOT deleted OR ?1";
        let wanted: i64 = manifest.query_row(sql, [deletes == "soft"], |row| row.get(0)).expect("a number");
        assert_eq!(files(&setup), wanted as usize, "{deletes}");
    }
}
