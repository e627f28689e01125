//! Behavior of the JSON lines sink alone: the form of lines, committed bytes, foreign files. The rest is in
//! `conformance.rs`.

use std::path::Path;

use serde_json::{Value, json};

use super::{KIND, NAME_BYTES_MAX};
use crate::change::{Change, ChangeSource, Generation, Operation, Table};
use crate::error::Result;
use crate::sinks::{Commit, Counts, Deletes, InboxPosition, Location, Progress, Sink, SinkSettings};

fn table() -> Table {
    Table { name: "things".into(), primary_key: vec!["id".into()], schema: "{}".into(), attributes: vec![] }
}

fn try_open(folder: &Path, owner: &str) -> Result<Box<dyn Sink>> {
    let location = Location::Path(folder.to_owned());
    crate::sinks::open(&SinkSettings { kind: &KIND, location, deletes: Deletes::Soft, owner: owner.into() })
}

fn open(folder: &Path) -> Box<dyn Sink> {
    let mut sink = try_open(folder, "acme").expect("opened");
    sink.prepare(&[table()]).expect("prepared");
    sink
}

fn change(id: u32, after: Option<&str>) -> Change {
    Change {
        table: "things".into(),
        operation: if after.is_some() { Operation::Read } else { Operation::Delete },
        key: format!("{{\"id\":\"{id}\"}}"),
        before: None,
        after: after.map(str::to_owned),
        source_updated_at_ms: Some(0),
        as_of_ms: None,
        id: format!("id \"{id}\""),
        partial: false,
        source: ChangeSource::Snapshot,
    }
}

fn commit(sink: &mut dyn Sink, changes: &[Change], cursor: &str, complete: bool) -> Result<Counts> {
    let generation = Some(Generation { id: 7, as_of_ms: Some(5), complete });
    let progress = Progress::Table { name: "things", cursor, generation };
    sink.commit(&Commit { changes, progress, as_of_ms: 9 })
}

fn lines(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("things.jsonl")).expect("a file");
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

fn cursor(sink: &dyn Sink) -> Option<String> {
    sink.table_state("things").expect("a state").expect("a state").cursor
}

#[test]
fn every_change_is_one_line_and_a_complete_snapshot_is_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = open(folder.path());
    let changes = [
        change(1, Some("{\n  \"id\": \"1\",\r\n \"a\": 1.50\n}")),
        Change {
            partial: true,
            source: ChangeSource::Webhook,
            source_updated_at_ms: None,
            ..change(2, Some("{}"))
        },
        change(3, None),
    ];
    let counts = commit(sink.as_mut(), &changes, "c1", true).expect("committed");
    assert_eq!((counts.read, counts.inserted, counts.deleted), (3, 2, 1));
    let text = std::fs::read_to_string(folder.path().join("things.jsonl")).expect("a file");
    let expected = [
        concat!(
            r#"{"table":"things","operation":"read","key":{"id":"1"},"#,
            r#""source_updated_at":"1970-01-01T00:00:00.000Z","id":"id \"1\"","as_of_ms":9,"#,
            r#""generation":7,"change_source":"snapshot","after":{   "id": "1",   "a": 1.50 }}"#,
        ),
        concat!(
            r#"{"table":"things","operation":"read","key":{"id":"2"},"source_updated_at":null,"#,
            r#""id":"id \"2\"","as_of_ms":9,"generation":7,"change_source":"webhook","partial":true,"#,
            r#""after":{}}"#,
        ),
        concat!(
            r#"{"table":"things","operation":"delete","key":{"id":"3"},"#,
            r#""source_updated_at":"1970-01-01T00:00:00.000Z","id":"id \"3\"","as_of_ms":9,"#,
            r#""generation":null,"change_source":"snapshot","after":null}"#,
        ),
        r#"{"table":"things","operation":"snapshot-complete","generation":7,"as_of_ms":5}"#,
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_change_from_elsewhere_has_the_generation_of_the_newest_snapshot_unless_it_is_older() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = open(folder.path());
    let generation = Some(Generation { id: 7, as_of_ms: Some(100), complete: false });
    let progress = Progress::Table { name: "things", cursor: "c", generation };
    sink.commit(&Commit { changes: &[], progress, as_of_ms: 9 }).expect("committed");
    let changes = [99, 100].map(|as_of| Change { as_of_ms: Some(as_of), ..change(1, Some("{}")) });
    let progress = Progress::Journal(&InboxPosition { journal: "j".into(), through: 1 });
    sink.commit(&Commit { changes: &changes, progress, as_of_ms: 9 }).expect("committed");
    let lines = lines(folder.path());
    let generations: Vec<&Value> = lines.iter().map(|line| &line["generation"]).collect();
    assert_eq!(generations, [&Value::Null, &Value::from(7)]);
}

#[test]
fn the_state_before_is_written_where_the_source_sends_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = open(folder.path());
    let first = Change { before: Some("{\"a\":\n1}".to_owned()), ..change(1, None) };
    commit(sink.as_mut(), &[first, change(2, Some("{}"))], "c1", false).expect("committed");
    let lines = lines(folder.path());
    assert_eq!((&lines[0]["before"], &lines[0]["after"]), (&json!({"a": 1}), &Value::Null));
    assert!(lines[1].get("before").is_none(), "{}", lines[1]);
}

#[test]
fn bytes_after_the_committed_ones_are_cut_off_at_every_length() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("things.jsonl");
    let mut sink = open(folder.path());
    commit(sink.as_mut(), &[change(1, Some("{}"))], "c1", false).expect("committed");
    drop(sink);
    let committed = std::fs::read(&file).expect("read");
    let line = b"{\"table\":\"things\",\"half\":1}\n";
    for length in 0..=line.len() {
        std::fs::write(&file, [&committed, &line[..length]].concat()).expect("written");
        let mut sink = open(folder.path());
        assert_eq!(std::fs::read(&file).expect("read"), committed, "{length}");
        assert_eq!(cursor(sink.as_ref()).as_deref(), Some("c1"));
        commit(sink.as_mut(), &[], "c1", false).expect("committed");
    }
    let mut sink = open(folder.path());
    commit(sink.as_mut(), &[change(2, Some("{}"))], "c2", false).expect("committed");
    assert_eq!(lines(folder.path()).len(), 2);
}

#[test]
fn a_shortened_or_foreign_file_is_not_touched() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("things.jsonl");
    std::fs::write(&file, "mine").expect("written");
    let mut sink = try_open(folder.path(), "acme").expect("opened");
    assert!(sink.prepare(&[table()]).is_err());
    assert_eq!(std::fs::read_to_string(&file).expect("read"), "mine");
    std::fs::remove_file(&file).expect("removed");

    let mut sink = open(folder.path());
    commit(sink.as_mut(), &[change(1, Some("{}"))], "c1", false).expect("committed");
    drop(sink);
    std::fs::write(&file, "").expect("cut");
    let error = try_open(folder.path(), "acme").err().expect("opened a shortened file");
    assert!(error.message.contains("things.jsonl: has 0 bytes, but"), "{error}");
}

#[test]
fn a_bad_row_leaves_no_line_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = open(folder.path());
    let changes = [change(1, Some("{}")), change(2, Some("nope"))];
    let error = commit(sink.as_mut(), &changes, "c1", false).expect_err("stored");
    assert_eq!(error.message, "table `things`: row {\"id\":\"2\"}: is not a JSON object");
    commit(sink.as_mut(), &changes[..1], "c1", false).expect("committed");
    assert_eq!(lines(folder.path()).len(), 1);
}

#[test]
fn a_folder_whose_owner_was_deleted_belongs_to_the_next_connection() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = open(folder.path());
    commit(sink.as_mut(), &[change(1, Some("{}"))], "c1", false).expect("committed");
    drop(sink);
    let error = try_open(folder.path(), "other").err().expect("opened for two");
    assert!(error.hint.is_some_and(|hint| hint.contains("delete \"owner\"")));
    let sidecar = folder.path().join("_sync_state.json");
    let text = std::fs::read_to_string(&sidecar).expect("read");
    std::fs::write(&sidecar, text.replace("\"owner\": \"acme\",", "")).expect("released");
    let sink = try_open(folder.path(), "other").expect("its own");
    assert_eq!(cursor(sink.as_ref()).as_deref(), Some("c1"));
    assert!(try_open(folder.path(), "acme").is_err());
}

#[test]
fn a_folder_of_another_version_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(open(folder.path()));
    let sidecar = folder.path().join("_sync_state.json");
    let text = std::fs::read_to_string(&sidecar).expect("read");
    for (version, writer) in [(1, "an older"), (99, "a newer")] {
        let other = text.replace("\"version\": 3", &format!("\"version\": {version}"));
        assert_ne!(other, text);
        std::fs::write(&sidecar, &other).expect("changed");
        let error = try_open(folder.path(), "acme").err().expect("opened another version");
        assert!(error.message.ends_with(&format!("_sync_state.json: written by {writer} runner")), "{error}");
        assert_eq!(std::fs::read_to_string(&sidecar).expect("read"), other);
    }
}

#[test]
fn names_that_leave_the_folder_or_are_too_long_are_refused_and_the_folder_still_opens() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = try_open(folder.path(), "acme").expect("opened");
    let long = "x".repeat(NAME_BYTES_MAX + 1);
    for name in ["../x", "a/b", "_sync_state", ".hidden", "", &long] {
        let result = sink.prepare(&[Table { name: name.into(), ..table() }]);
        assert!(result.is_err(), "{name}");
    }
    sink.prepare(&[Table { name: long[1..].into(), ..table() }]).expect("the longest name");
    drop(sink);
    open(folder.path());
}
