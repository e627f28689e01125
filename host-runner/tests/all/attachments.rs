//! Attachments: the bytes of rows in a folder, also where files fail, and while a server runs.

use rusqlite::Connection as Database;
use serde_json::Value;

use crate::serve::{Server, event, eventually, later, until_read};
use crate::support::Place;

const SINK: &str = "[sink]\nattachments = \"files\"\n";

fn place(config: &str) -> Place {
    Place::new(&format!("{config}\n{SINK}"))
}

/// A text of the manifest.
fn noted(place: &Place, sql: &str) -> String {
    let manifest = Database::open(place.path("files/manifest.db")).expect("the manifest");
    manifest.query_row(&format!("SELECT {sql}"), [], |row| row.get(0)).expect(sql)
}

/// Numbers of the rows whose files are there, each with as many bytes of its letter as its number says.
fn fetched(place: &Place) -> Vec<u64> {
    let manifest = Database::open(place.path("files/manifest.db")).expect("the manifest");
    let sql =
        "SELECT json_extract(key, '$.id'), sha256 FROM attachments WHERE sha256 IS NOT NULL AND NOT deleted";
    let mut select = manifest.prepare(sql).expect(sql);
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("queried");
    let mut numbers: Vec<u64> = Vec::new();
    for (id, sha256) in rows.collect::<Result<Vec<(String, String)>, _>>().expect("rows") {
        let number: u64 = id.parse().expect("a number");
        let path = place.path(&format!("files/{}/{sha256}", &sha256[..2]));
        let expected = vec![b'a' + (number % 26) as u8; number as usize];
        assert_eq!(std::fs::read(path).expect("the file"), expected, "{id}");
        numbers.push(number);
    }
    numbers.sort_unstable();
    numbers
}

fn warnings(report: &Value) -> String {
    report["tables"][0]["warnings"].to_string()
}

#[test]
fn the_bytes_of_every_row_arrive_once() {
    let place = place("rows = 30");
    let report = place.json(&["sync"], 0);
    assert_eq!(fetched(&place), (0..30).collect::<Vec<_>>());
    // Four bytes a call, and one call for the rows.
    let calls: u64 = (0..30_u64).map(|bytes| bytes.div_ceil(4).max(1)).sum();
    assert_eq!(report["credits_used"], calls + 1);
    assert_eq!(warnings(&report), "[]");
    assert_eq!(place.json(&["sync", "--full-refresh"], 0)["credits_used"], 1);
}

#[test]
fn files_that_fail_stop_nothing_and_are_named() {
    for (files, problem) in [
        ("files = \"short\"", "bytes came, and its size is"),
        ("files = \"endless\"", "more bytes came than its size"),
        ("files = \"stuck\"", "no bytes came"),
        ("files = \"fail\"\nkind = \"permission\"", "no file, as configured"),
        ("files = \"fail\"\nkind = \"not-found\"", "no file, as configured"),
        ("files = \"fail\"\nkind = \"data\"", "no file, as configured"),
        ("files = \"fail\"\nkind = \"internal\"", "no file, as configured"),
        ("crosses = \"piece\"", "fetch: piece of a file: 1025KiB, and at most 1MiB are accepted"),
    ] {
        let place = place(&format!("rows = 6\n{files}\n[retry]\nmax_attempts = 1"));
        let report = place.json(&["sync"], 0);
        let is_whole = !files.starts_with("crosses");
        assert_eq!(fetched(&place), if is_whole { vec![0, 2, 4] } else { Vec::new() }, "{files}");
        assert!(warnings(&report).contains(problem), "{files}: {report}");
        assert_eq!(place.query("SELECT count(*) || '' FROM pairs"), "3", "{files}");
        // They wait for their time; a person may shorten it.
        assert_eq!(place.json(&["sync"], 0)["credits_used"], 1, "{files}: the call for rows alone");
        place.configure(&format!("rows = 6\n{SINK}"));
        let manifest = Database::open(place.path("files/manifest.db")).expect("the manifest");
        manifest.execute("UPDATE attachments SET next_at_ms = 0 WHERE problem IS NOT NULL", []).expect("set");
        assert_eq!(warnings(&place.json(&["sync"], 0)), "[]", "{files}");
        assert_eq!(fetched(&place), [0, 1, 2, 3, 4, 5], "{files}");
    }
}

#[test]
fn an_outage_ends_the_fetching_of_a_run_and_not_its_reading() {
    for kind in ["unavailable", "rate-limited"] {
        // Rows whose files fail, and no others.
        let even: Vec<u64> = (0..30).map(|half| 2 * half).collect();
        let config = format!(
            "rows = 60\ndeleted = {even:?}\nfiles = \"fail\"\nkind = \"{kind}\"\nretry_after_ms = 3600000"
        );
        let place = place(&format!("{config}\n[retry]\nmax_attempts = 1"));
        let report = place.json(&["sync"], 0);
        assert!(warnings(&report).contains("attachments are not there; attachment `Thing"), "{report}");
        assert_eq!(place.query("SELECT count(*) || '' FROM things"), "30", "{kind}");
        let failed: u64 = noted(&place, "count(problem) || '' FROM attachments").parse().expect("a number");
        assert!(failed <= 3, "{failed} files were tried");
    }
}

#[test]
fn files_that_are_all_refused_end_the_fetching_of_a_run_after_a_few() {
    // Rows whose files fail, and no others.
    let even: Vec<u64> = (0..60).map(|half| 2 * half).collect();
    let config = format!("rows = 120\ndeleted = {even:?}\nfiles = \"fail\"\nkind = \"permission\"");
    let place = place(&config);
    let report = place.json(&["sync"], 0);
    assert!(warnings(&report).contains("60 attachments are not there; attachment `Thing"), "{report}");
    assert_eq!(noted(&place, "count(problem) || '' FROM attachments"), "20");
    // Another run tries others.
    place.expect(&["sync"], 0);
    assert_eq!(noted(&place, "count(problem) || '' FROM attachments"), "40");
}

#[test]
fn files_are_left_out_by_size_and_type_without_a_call() {
    let place = Place::new(&format!("rows = 6\n{SINK}attachments_max_bytes = \"3B\""));
    let report = place.json(&["sync"], 0);
    assert_eq!((fetched(&place), warnings(&report)), (vec![0, 1, 2, 3], "[]".to_owned()));
    assert_eq!(report["credits_used"], 5);
    place.configure(&format!("rows = 6\n{SINK}attachments_types = [\"pdf\"]"));
    place.expect(&["sync"], 0);
    assert_eq!(fetched(&place), [0, 1, 2, 3], "those that are there stay");
    assert!(noted(&place, "problem FROM attachments WHERE size = 4").contains("attachments_types"));
}

#[test]
fn a_folder_that_is_named_later_or_exchanged_gets_the_bytes_of_all_rows() {
    let place = Place::new("rows = 6");
    place.expect(&["sync"], 0);
    place.configure(&format!("rows = 6\n{SINK}"));
    place.expect(&["sync"], 0);
    assert_eq!(fetched(&place), [0, 1, 2, 3, 4, 5]);
    std::fs::rename(place.path("files"), place.path("old")).expect("moved");
    place.expect(&["sync"], 0);
    assert_eq!(fetched(&place), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn a_server_fetches_what_webhooks_bring_and_reports_which_files_fail() {
    let place = place("rows = 6\nfiles = \"fail\"\nkind = \"not-found\"");
    let server = Server::start(&place);
    until_read(&server);
    eventually("the files", || fetched(&place) == [0, 2, 4]);
    server.deliver(&place, &event("things", "8", "create", later()));
    server.deliver(&place, &event("things", "2", "delete", later()));
    eventually("the new file", || fetched(&place) == [0, 4, 8]);
    eventually("the problems", || noted(&place, "count(problem) || '' FROM attachments") == "3");
    server.stop();
}

#[test]
fn a_row_of_millions_of_values_costs_a_few_times_its_bytes() {
    // Of a type that is left out, so that the component does not read the row again.
    let config = format!("rows = 1\ncrosses = \"wide-row\"\n{SINK}attachments_types = [\"pdf\"]");
    let place = Place::new(&config);
    let server = Server::start(&place);
    until_read(&server);
    // 24 MiB of text; its values would take 36 times as much.
    let peak = server.peak_memory_kib() >> 10;
    assert!(peak < 400, "{peak} MiB");
    server.stop();
}

#[test]
fn a_name_of_a_megabyte_is_cut_wherever_it_is_read() {
    let place = place("rows = 6\ncrosses = \"file-name\"\nfiles = \"fail\"\nkind = \"data\"");
    let server = Server::start(&place);
    until_read(&server);
    eventually("the failures", || noted(&place, "count(problem) || '' FROM attachments") == "3");
    let health = server.health().to_string();
    assert!(health.contains("attachment `word word"), "{health}");
    assert!(health.len() < 20_000, "{} bytes", health.len());
    assert!(server.log().len() < 40_000, "{} bytes", server.log().len());
    assert_eq!(noted(&place, "(max(length(name)) < 1100) || '' FROM attachments"), "1");
    server.stop();
    let said = warnings(&place.json(&["sync"], 0));
    assert!(said.contains("word word") && said.len() < 8_000, "{} bytes", said.len());
}
