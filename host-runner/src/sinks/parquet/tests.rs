//! Behavior of the Parquet sink alone: values, files, repeated steps, failures of the place. The rest is in
//! `conformance.rs`, how another program reads the files in `tests/e2e/tests/all/parquet.rs`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use object_server::{Mood, ObjectServer};
use serde_json::{Map, Value, json};

use super::file::convert_segment;
use super::manifest::{MANIFEST, Manifest, OWNER};
use super::stored::{published, read};
use super::tables::Tables;
use super::{KIND, Parquet, log_folder, rotation};
use crate::change::{Change, ChangeSource, Generation, Operation, Table};
use crate::error::{Kind, Result};
use crate::sinks::jsonl::Rotation;
use crate::sinks::{Commit, Counts, Location, Progress, Sink, SinkSettings};

const PROPERTIES: &str = r#"{"id": {"type": "string"}, "text": {"type": "string"},
    "number": {"type": "integer"}, "real": {"type": "number"}, "yes": {"type": "boolean"},
    "at": {"type": "string", "format": "date-time"}, "object": {"type": "object"},
    "cf_x": {"type": "string", "x-path": "/cf/x"}, "date": {"type": "string"}}"#;

fn table_of(properties: &str) -> Table {
    Table {
        name: "things".into(),
        primary_key: vec!["id".into()],
        schema: format!("{{\"properties\":{properties}}}"),
        schema_complete: true,
        attributes: vec![],
    }
}

fn settings(folder: &Path) -> SinkSettings {
    let settings = SinkSettings::of_test(&KIND, Location::Path(folder.to_owned()));
    SinkSettings { file_age_ms: 900_000, ..settings }
}

/// The same with files in an object store.
fn stored_settings(folder: &Path, server: &ObjectServer, prefix: &str) -> SinkSettings {
    let location = Location::Objects { url: server.url(prefix), path: folder.to_owned() };
    SinkSettings { location, ..settings(folder) }
}

fn open_with(folder: &Path, rotation: Rotation) -> Parquet {
    open_at(&settings(folder), rotation)
}

fn open_at(settings: &SinkSettings, rotation: Rotation) -> Parquet {
    let mut sink = Parquet::open(settings, rotation).expect("opened");
    sink.prepare(&[table_of(PROPERTIES)]).expect("prepared");
    sink
}

fn open(folder: &Path) -> Parquet {
    open_with(folder, rotation(&settings(folder)))
}

fn change(id: &str, row: Option<Value>) -> Change {
    Change {
        table: "things".into(),
        operation: if row.is_some() { Operation::Update } else { Operation::Delete },
        key: json!({ "id": id }).to_string(),
        before: None,
        after: row.map(|row| row.to_string()),
        source_updated_at_ms: Some(1_000),
        as_of_ms: Some(7),
        id: id.to_owned(),
        partial: false,
        source: ChangeSource::Webhook,
    }
}

fn commit(sink: &mut Parquet, changes: &[Change]) -> Result<Counts> {
    let progress = Progress::Table { name: "things", cursor: "c", generation: None };
    sink.commit(&Commit { changes, progress, as_of_ms: 9, epoch: 0 })
}

/// Commits one row.
fn put(sink: &mut Parquet, id: &str) {
    commit(sink, &[change(id, Some(json!({ "id": id })))]).expect("committed");
}

fn segment(folder: &Path, number: u64) -> PathBuf {
    log_folder(folder).join(format!("things/{number:06}.jsonl"))
}

/// The folder of the only day.
fn day(folder: &Path) -> PathBuf {
    let mut days = std::fs::read_dir(folder.join("things")).expect("a folder");
    days.next().expect("a day").expect("a day").path()
}

/// The names of all files of the only day.
fn names(folder: &Path) -> BTreeSet<String> {
    let files = std::fs::read_dir(day(folder)).expect("files");
    files.map(|file| file.expect("a file").file_name().into_string().expect("a name")).collect()
}

/// The ids of the rows in listed files, in their order.
fn ids(folder: &Path) -> Vec<String> {
    let mut rows = published(folder, "things");
    rows.sort_by_key(|row| row["_sequence"].as_i64());
    rows.iter().map(|row| row["id"].as_str().unwrap_or("-").to_owned()).collect()
}

/// The rows of one change after another.
fn rows_of(changes: &[Change]) -> Vec<Map<String, Value>> {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = open(folder.path());
    commit(&mut sink, changes).expect("committed");
    sink.finish().expect("published");
    published(folder.path(), "things")
}

#[test]
fn values_have_the_types_of_their_columns() {
    let row = json!({
        "id": "1", "text": "naïve\0", "number": "12", "real": 1.5, "yes": "true",
        "at": "2024-02-28T10:20:30+05:30", "object": {"a": [1]}, "cf": {"x": "deep"}, "date": "d",
    });
    let rows = rows_of(&[change("1", Some(row.clone())), change("1", None)]);
    let expected = json!({
        "id": "1", "_sequence": 1_u64 << 32, "_operation": "update", "_as_of_ms": 7, "_generation": null,
        "_change_source": "webhook", "_partial": false, "_source_updated_at": 1_000, "text": "naïve\0",
        "number": 12, "real": 1.5, "yes": true, "at": 1_709_095_830_000_u64, "object": "{\"a\":[1]}",
        "cf_x": "deep", "date__2": "d", "_raw": row.to_string(),
    });
    assert_eq!(Value::Object(rows[0].clone()), expected);
    let is_set = |(_, value): &(&String, &Value)| !value.is_null();
    let deleted: Vec<&str> = rows[1].iter().filter(is_set).map(|(name, _)| name.as_str()).collect();
    let meta = ["id", "_sequence", "_operation", "_as_of_ms", "_change_source", "_partial"];
    assert_eq!(deleted, [meta.as_slice(), &["_source_updated_at"]].concat());
}

#[test]
fn a_value_that_does_not_fit_is_null_and_in_the_row() {
    let row = json!({ "id": "1", "number": "many", "real": [], "yes": "perhaps", "at": "soon" });
    let rows = rows_of(&[change("1", Some(row.clone()))]);
    for column in ["number", "real", "yes", "at"] {
        assert_eq!(rows[0][column], Value::Null, "{column}");
    }
    assert_eq!(rows[0]["_raw"], row.to_string());
    let half =
        Change { after: Some(r#"{"text":"\ud83e","object":{"a":"\ud83e"}}"#.into()), ..change("1", None) };
    let rows = rows_of(&[Change { operation: Operation::Update, ..half }]);
    assert_eq!(rows[0]["text"], Value::Null);
    assert_eq!(rows[0]["object"], r#"{"a":"\ufffd"}"#);
    assert_eq!(rows[0]["_raw"], r#"{"text":"\ufffd","object":{"a":"\ufffd"}}"#);
}

#[test]
fn the_end_of_a_snapshot_is_a_row_without_a_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = open(folder.path());
    let generation = Some(Generation { id: 1, as_of_ms: Some(5), complete: true });
    let progress = Progress::Table { name: "things", cursor: "c", generation };
    sink.commit(&Commit { changes: &[], progress, as_of_ms: 9, epoch: 0 }).expect("committed");
    sink.finish().expect("published");
    let row = published(folder.path(), "things").remove(0);
    assert_eq!(row["_operation"], "snapshot-complete");
    assert_eq!((&row["id"], &row["_generation"], &row["_as_of_ms"]), (&Value::Null, &json!(1), &json!(5)));
}

#[test]
fn new_columns_are_in_later_files_and_a_new_type_is_a_column_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = open(folder.path());
    put(&mut sink, "1");
    sink.finish().expect("published");
    sink.prepare(&[table_of(r#"{"id": {}, "text": {"type": "integer"}, "later": {}}"#)]).expect("prepared");
    let row = json!({ "id": "2", "text": "5", "later": "x" });
    commit(&mut sink, &[change("2", Some(row))]).expect("committed");
    sink.finish().expect("published");
    let mut rows = published(folder.path(), "things");
    rows.sort_by_key(|row| row["_sequence"].as_i64());
    assert!(rows[0].get("later").is_none());
    assert_eq!((&rows[1]["text"], &rows[1]["text__2"]), (&json!("5"), &json!(5)));
    assert_eq!(rows[1]["later"], "x");
}

#[test]
fn a_file_is_a_pure_function_of_lines_and_columns_and_is_written_group_by_group() {
    let folder = tempfile::tempdir().expect("a folder");
    let properties: Map<String, Value> =
        (0..1_000).map(|n| (format!("p{n}"), json!({ "type": "integer" }))).collect();
    let mut tables = Tables::open(folder.path()).expect("tables");
    tables.extend(&[table_of(&Value::Object(properties).to_string())]).expect("extended");
    let layout = tables.layout("things").expect("a layout");
    let line = |n: u64| {
        format!(
            "{{\"table\":\"things\",\"operation\":\"read\",\"key\":{{\"id\":\"{n}\"}},\"as_of_ms\":{n},\
                 \"generation\":1,\"change_source\":\"snapshot\",\"after\":{{\"p7\":{n}}}}}\n"
        )
    };
    let lines: String = (0..3_000).map(line).collect();
    let [first, second] = [(); 2].map(|()| convert_segment(lines.as_bytes(), 3, layout).expect("converted"));
    assert!(first.bytes == second.bytes && first.lines == second.lines);
    assert_eq!((first.rows, first.as_of_ms), (3_000, Some((0, 2_999))));
    let rows = read(first.bytes);
    for (at, row) in rows.iter().enumerate() {
        assert_eq!((&row["p7"], &row["_sequence"]), (&json!(at), &json!((3_u64 << 32) + at as u64)));
    }
    let other = convert_segment(line(1).as_bytes(), 3, layout).expect("converted");
    assert_ne!(other.lines, first.lines);
    convert_segment(&b"{\"operation\":\"read\"\n"[..], 3, layout).err().expect("not a line");
}

/// Writes the owner as it is before a segment is published.
fn forget_newest(folder: &Path) {
    let path = folder.join(OWNER);
    let mut owner: Value = serde_json::from_slice(&std::fs::read(&path).expect("read")).expect("JSON");
    assert_eq!(owner["newest"]["things"].take(), json!(1), "{owner}");
    owner["newest"] = json!({});
    std::fs::write(&path, owner.to_string()).expect("written");
}

#[test]
fn a_crash_between_two_steps_repeats_them_and_no_row_is_there_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let mut sink = open(path);
    put(&mut sink, "1");
    let lines = std::fs::read(segment(path, 1)).expect("a segment");
    sink.finish().expect("published");
    drop(sink);
    assert!(!segment(path, 1).exists());
    let before = names(path);
    assert_eq!(before.len(), 2, "{before:?}");
    let manifest = day(path).join(MANIFEST);
    for (is_listed, is_noted) in [(true, true), (true, false), (false, false)] {
        // As a kill leaves it: the file is there, listed and noted or not, and so is the segment.
        std::fs::write(segment(path, 1), &lines).expect("written");
        if !is_noted {
            forget_newest(path);
        }
        if !is_listed {
            std::fs::remove_file(&manifest).expect("removed");
        }
        open(path).finish().expect("published");
        assert_eq!((names(path), ids(path)), (before.clone(), vec!["1".to_owned()]), "{is_listed}");
        assert!(!segment(path, 1).exists());
    }
    let mut sink = open(path);
    put(&mut sink, "2");
    sink.finish().expect("published");
    assert_eq!(ids(path), ["1", "2"]);
}

#[test]
fn a_name_that_is_no_unicode_stops_no_file() {
    let row = r#"{"id":"1","\ud800":1,"text":"x"}"#;
    let rows = rows_of(&[Change { after: Some(row.into()), ..change("1", Some(json!({}))) }]);
    assert_eq!(
        (&rows[0]["text"], &rows[0]["_raw"]),
        (&json!("x"), &json!(r#"{"id":"1","\ufffd":1,"text":"x"}"#))
    );
}

#[test]
fn without_new_rows_there_is_no_new_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = open(folder.path());
    sink.finish().expect("nothing");
    put(&mut sink, "1");
    sink.finish().expect("published");
    let before = names(folder.path());
    commit(&mut sink, &[]).expect("committed");
    sink.finish().expect("nothing");
    assert_eq!(names(folder.path()), before);
}

#[test]
fn an_old_segment_becomes_a_file_while_the_sink_is_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = open_with(folder.path(), Rotation { bytes: u64::MAX, age_ms: 0, daily: true });
    put(&mut sink, "1");
    // It would have slept for longer than this.
    sink.shared.wake();
    let started = Instant::now();
    while ids(folder.path()).is_empty() {
        assert!(started.elapsed() < Duration::from_secs(60), "not published");
        std::thread::yield_now();
    }
    assert_eq!(ids(folder.path()), ["1"]);
}

#[test]
fn a_place_that_fails_delays_files_and_refuses_commits_only_when_many_rows_wait() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let mut sink = open(path);
    // A file where the table's folder is to be.
    std::fs::write(path.join("things"), "in the way").expect("written");
    for id in ["1", "2"] {
        put(&mut sink, id);
        let error = sink.finish().expect_err("in the way");
        assert!(error.message.contains("bytes of rows wait in the sink's log"), "{error}");
        assert!(error.hint.is_some_and(|hint| hint.starts_with("no row is lost")));
    }
    sink.shared.lock().waiting_bytes_max = 100;
    let error = commit(&mut sink, &[change("3", None)]).expect_err("too much waits");
    assert_eq!(error.kind, Kind::Unavailable, "{error}");
    std::fs::remove_file(path.join("things")).expect("removed");
    sink.finish().expect("published");
    put(&mut sink, "3");
    sink.finish().expect("published");
    assert_eq!(ids(path), ["1", "2", "3"]);
}

#[test]
fn what_waits_since_the_last_process_is_published_before_the_tables_are_known() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let each = Rotation { bytes: 1, age_ms: 900_000, daily: true };
    let mut sink = open_with(path, each);
    std::fs::write(path.join("things"), "in the way").expect("written");
    for id in ["1", "2", "3"] {
        put(&mut sink, id);
    }
    drop(sink);
    std::fs::remove_file(path.join("things")).expect("removed");
    // As under `serve` while the source cannot be reached: deliveries come, and nothing is discovered.
    let mut sink = Parquet::open(&settings(path), each).expect("opened");
    sink.shared.lock().waiting_bytes_max = 100;
    put(&mut sink, "4");
    sink.finish().expect("published");
    assert_eq!(ids(path), ["1", "2", "3", "4"]);
}

#[test]
fn a_table_that_cannot_be_published_delays_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let mut sink = open_with(path, Rotation { bytes: 1, age_ms: 900_000, daily: true });
    let others = Table { name: "others".into(), ..table_of(PROPERTIES) };
    sink.prepare(&[table_of(PROPERTIES), others]).expect("prepared");
    std::fs::write(path.join("others"), "in the way").expect("written");
    let late = sink.late_files();
    for id in ["1", "2", "3"] {
        let both =
            [change(id, Some(json!({ "id": id }))), Change { table: "others".into(), ..change(id, None) }];
        commit(&mut sink, &both).expect("committed");
    }
    let error = sink.finish().expect_err("in the way");
    assert!(error.message.contains("others"), "{error}");
    assert_eq!(ids(path), ["1", "2", "3"], "every segment of the other table");
    assert!(late.get().is_some_and(|(_, message)| message.contains("others")), "{late:?}");
    std::fs::remove_file(path.join("others")).expect("removed");
    sink.finish().expect("published");
    assert!(late.get().is_none());
}

#[test]
fn sinks_that_have_nothing_to_publish_hold_no_thread() {
    let folders: Vec<_> = (0..20).map(|_| tempfile::tempdir().expect("a folder")).collect();
    let _sinks: Vec<_> = folders.iter().map(|folder| open(folder.path())).collect();
    let tasks = std::fs::read_dir("/proc/self/task").expect("listed").flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    let publishers = names.filter(|name| name.starts_with("parquet")).count();
    assert_eq!(publishers, 1, "one for all tasks");
}

#[test]
fn the_files_of_another_log_are_not_mixed_with_these() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let mut sink = open(path);
    put(&mut sink, "1");
    sink.finish().expect("published");
    drop(sink);
    // The log was lost; the folder of the table has files.
    std::fs::rename(log_folder(path), path.join("lost")).expect("moved");
    let mut sink = Parquet::open(&settings(path), rotation(&settings(path))).expect("opened");
    let error = sink.prepare(&[table_of(PROPERTIES)]).expect_err("files that are not its own");
    assert!(error.message.ends_with("things: not written by this sink"), "{error}");
    drop(sink);
    std::fs::rename(path.join("things"), path.join("moved")).expect("moved");
    let mut sink = open(path);
    put(&mut sink, "1");
    let error = sink.finish().expect_err("another log");
    assert_eq!(error.kind, Kind::Config, "{error}");
    assert!(error.message.contains("holds the files of another log of connection `acme`"), "{error}");
}

#[test]
fn a_manifest_says_what_is_in_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = open(folder.path());
    let changes = [3, 9].map(|as_of| Change { as_of_ms: Some(as_of), ..change("1", Some(json!({}))) });
    commit(&mut sink, &changes).expect("committed");
    sink.finish().expect("published");
    let json = std::fs::read(day(folder.path()).join(MANIFEST)).expect("a manifest");
    let manifest = Manifest::of(Some(&json), "", "", "").expect("a manifest");
    let [file] = manifest.files() else { panic!("{manifest:?}") };
    let range = file.as_of_ms.expect("a range");
    assert_eq!((file.rows, file.segment, range.min, range.max), (2, 1, 3, 9));
    assert_eq!((file.columns["at"].as_str(), file.columns["_raw"].as_str()), ("timestamp", "json"));
    let today = crate::clock::rfc3339_ms(crate::clock::now_ms()).expect("a time");
    let date = day(folder.path()).file_name().expect("a name").to_string_lossy().into_owned();
    assert!(date.starts_with("date=20") && date.len() == "date=".len() + 10, "{date} {today}");
}

#[test]
fn columns_without_their_file_are_not_made_up() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(open(folder.path()));
    std::fs::remove_file(log_folder(folder.path()).join("_tables.json")).expect("removed");
    let error = Parquet::open(&settings(folder.path()), Rotation::DEFAULT).err().expect("opened");
    assert!(error.message.contains("_tables.json"), "{error}");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("created");
    for entry in std::fs::read_dir(from).expect("read") {
        let (from, name) = entry.map(|entry| (entry.path(), entry.file_name())).expect("an entry");
        match from.is_dir() {
            true => copy(&from, &to.join(name)),
            false => drop(std::fs::copy(&from, to.join(name)).expect("copied")),
        }
    }
}

#[test]
fn a_restored_log_is_refused_also_on_another_day() {
    let [folder, backup] = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let path = folder.path();
    let mut sink = open(path);
    put(&mut sink, "1");
    sink.finish().expect("published");
    drop(sink);
    copy(&log_folder(path), backup.path());
    let mut sink = open(path);
    put(&mut sink, "2");
    sink.finish().expect("published");
    drop(sink);
    std::fs::rename(day(path), path.join("things/date=2026-01-01")).expect("as written on another day");
    std::fs::remove_dir_all(log_folder(path)).expect("removed");
    copy(backup.path(), &log_folder(path));
    let mut sink = open(path);
    put(&mut sink, "3");
    let error = sink.finish().expect_err("an older log");
    assert_eq!(error.kind, Kind::Config, "{error}");
    assert!(error.message.contains("table `things`: its log is older than its files"), "{error}");
    assert_eq!(ids(path), ["1", "2"]);
}

/// The ids of the rows in the store, file by file.
fn stored_ids(server: &ObjectServer, prefix: &str) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in server.objects() {
        let Some(name) = name.strip_prefix(&format!("{prefix}/")) else { continue };
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("created");
        std::fs::write(path, bytes).expect("written");
    }
    ids(folder.path())
}

#[test]
fn files_go_to_an_object_store_and_wait_while_it_cannot_be_reached() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = ObjectServer::start();
    let settings = stored_settings(folder.path(), &server, "acme");
    let mut sink = open_at(&settings, rotation(&settings));
    put(&mut sink, "1");
    sink.finish().expect("published");
    assert_eq!(stored_ids(&server, "acme"), ["1"]);
    assert!(!folder.path().join("things").exists(), "nothing but the log is here");
    for (id, mood) in [
        ("2", Mood::Refuses(503, "SlowDown")),
        ("3", Mood::Refuses(403, "AccessDenied")),
        ("4", Mood::Forgets),
    ] {
        server.set_mood(mood);
        put(&mut sink, id);
        let error = sink.finish().expect_err("refused");
        assert_eq!(error.kind, Kind::Unavailable, "{error}");
    }
    drop(sink);
    server.set_mood(Mood::Well);
    open_at(&settings, rotation(&settings)).finish().expect("published");
    assert_eq!(stored_ids(&server, "acme"), ["1", "2", "3", "4"]);
    let segments = std::fs::read_dir(log_folder(folder.path()).join("things")).expect("a folder");
    assert_eq!(segments.count(), 0, "the log forgets what is in the store");
}

#[test]
fn a_store_that_says_nothing_does_not_hold_the_end_of_the_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("s3://id:secret@desk/x?endpoint=http://{}", silent.local_addr().expect("an address"));
    let location = Location::Objects { url, path: folder.path().to_owned() };
    let settings = SinkSettings { location, ..settings(folder.path()) };
    let mut sink = open_at(&settings, Rotation { bytes: 1, age_ms: 900_000, daily: true });
    put(&mut sink, "1");
    put(&mut sink, "2");
    let (mut connection, _) = silent.accept().expect("a connection");
    std::io::Read::read(&mut connection, &mut [0; 1]).expect("a request");
    let started = Instant::now();
    drop(sink);
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[test]
fn two_logs_do_not_share_a_prefix() {
    let [one, two] = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let server = ObjectServer::start();
    let mut sink = open_at(&stored_settings(one.path(), &server, "x"), Rotation::DEFAULT);
    put(&mut sink, "1");
    sink.finish().expect("published");
    let mut other = open_at(&stored_settings(two.path(), &server, "x"), Rotation::DEFAULT);
    put(&mut other, "2");
    let error = other.finish().expect_err("another log's");
    assert_eq!(error.kind, Kind::Config, "{error}");
    assert_eq!(stored_ids(&server, "x"), ["1"]);
}

#[test]
fn an_old_answer_of_a_store_neither_unlists_files_nor_takes_a_prefix_over() {
    let [one, two] = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let server = ObjectServer::start();
    let settings = stored_settings(one.path(), &server, "x");
    let mut sink = open_at(&settings, Rotation::DEFAULT);
    put(&mut sink, "1");
    sink.finish().expect("published");
    // It asks for the manifest of the day alone: it knows its owner.
    server.set_mood(Mood::HidesNext);
    put(&mut sink, "2");
    let error = sink.finish().expect_err("the manifest is another one");
    assert_eq!(error.kind, Kind::Unavailable, "{error}");
    assert!(error.message.contains("_manifest.json has changed meanwhile"), "{error}");
    sink.finish().expect("published");
    assert_eq!(stored_ids(&server, "x"), ["1", "2"]);
    let mut other = open_at(&stored_settings(two.path(), &server, "x"), Rotation::DEFAULT);
    server.set_mood(Mood::HidesNext);
    put(&mut other, "3");
    let error = other.finish().expect_err("the owner is another one");
    assert!(error.message.contains("_owner.json has changed meanwhile"), "{error}");
    assert_eq!(other.finish().expect_err("another log's").kind, Kind::Config);
    assert_eq!(stored_ids(&server, "x"), ["1", "2"]);
}
