//! Tests of the JSON lines sink: lines, exactly once in the file, foreign files.

use std::path::Path;

use serde_json::{Value, json};

use super::Jsonl;
use crate::change::{Change, ChangeSource, Generation, Operation, Table};
use crate::error::Error;
use crate::sinks::{Commit, Counts, JOURNAL, Sink};

fn table() -> Table {
    Table { name: "things".into(), primary_key: vec!["id".into()], schema: "{}".into(), attributes: vec![] }
}

fn open(folder: &Path) -> Jsonl {
    let mut sink = Jsonl::open(folder, "acme").expect("opened");
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

fn commit(sink: &mut Jsonl, changes: &[Change], cursor: &str, complete: bool) -> Result<Counts, Error> {
    let generation = Some(Generation { id: 7, as_of_ms: None, complete });
    sink.commit(&Commit { table: "things", changes, cursor: Some(cursor), generation, as_of_ms: 9 })
}

fn lines(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("things.jsonl")).expect("a file");
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn one_line_per_change_whatever_the_document_looks_like() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = open(folder.path());
    let changes = [change(1, Some("{\n  \"id\": \"1\",\r\n \"a\": 1.50\n}")), change(2, None)];
    let counts = commit(&mut sink, &changes, "c1", true).expect("committed");
    assert_eq!((counts.read, counts.inserted, counts.deleted), (2, 1, 1));
    let expected = json!({
        "table": "things", "operation": "read", "key": {"id": "1"},
        "source_updated_at": "1970-01-01T00:00:00.000Z", "id": "id \"1\"", "as_of_ms": 9, "generation": 7,
        "change_source": "snapshot", "after": {"id": "1", "a": 1.5}
    });
    let lines = lines(folder.path());
    assert_eq!(lines[0], expected);
    assert_eq!(lines[1]["after"], Value::Null);
    assert_eq!(lines[2], json!({"table": "things", "operation": "snapshot-complete", "generation": 7}));
    assert_eq!(lines.len(), 3);
}

#[test]
fn a_change_beside_a_snapshot_counts_as_shown_unless_it_is_older_than_the_snapshot() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = open(folder.path());
    let generation = Some(Generation { id: 7, as_of_ms: Some(100), complete: false });
    let begin = Commit { table: "things", changes: &[], cursor: Some("c"), generation, as_of_ms: 9 };
    sink.commit(&begin).expect("committed");
    let told = [99, 100].map(|as_of| Change { as_of_ms: Some(as_of), ..change(1, Some("{}")) });
    let beside = Commit { changes: &told, table: JOURNAL, cursor: Some("1"), generation: None, ..begin };
    sink.commit(&beside).expect("committed");
    let generations: Vec<Value> =
        lines(folder.path()).iter().map(|line| line["generation"].clone()).collect();
    assert_eq!(generations, [Value::Null, Value::from(7)]);
}

#[test]
fn the_state_before_is_written_where_it_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = open(folder.path());
    let before = Some("{\"a\":\n1}".to_owned());
    let told = Change { before, ..change(1, None) };
    commit(&mut sink, &[told, change(2, Some("{}"))], "c1", false).expect("committed");
    let lines = lines(folder.path());
    assert_eq!((&lines[0]["before"], &lines[0]["after"]), (&json!({"a": 1}), &Value::Null));
    assert!(lines[1].get("before").is_none(), "{}", lines[1]);
}

#[test]
fn what_lies_behind_the_committed_bytes_is_cut_off_at_every_length() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("things.jsonl");
    let mut sink = open(folder.path());
    commit(&mut sink, &[change(1, Some("{}"))], "c1", false).expect("committed");
    drop(sink);
    let committed = std::fs::read(&file).expect("read");
    let line = b"{\"table\":\"things\",\"half\":1}\n";
    for length in 0..=line.len() {
        std::fs::write(&file, [&committed, &line[..length]].concat()).expect("written");
        let mut sink = open(folder.path());
        assert_eq!(std::fs::read(&file).expect("read"), committed, "{length}");
        let position = sink.position("things").expect("asked").expect("a position");
        assert_eq!(position.cursor.as_deref(), Some("c1"));
        commit(&mut sink, &[], "c1", false).expect("committed");
    }
    let mut sink = open(folder.path());
    commit(&mut sink, &[change(2, Some("{}"))], "c2", false).expect("committed");
    assert_eq!(lines(folder.path()).len(), 2);
}

#[test]
fn a_shortened_or_foreign_file_is_not_touched() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("things.jsonl");
    std::fs::write(&file, "mine").expect("written");
    let mut sink = Jsonl::open(folder.path(), "acme").expect("opened");
    assert!(sink.prepare(&[table()]).is_err());
    assert_eq!(std::fs::read_to_string(&file).expect("read"), "mine");
    std::fs::remove_file(&file).expect("removed");

    let mut sink = open(folder.path());
    commit(&mut sink, &[change(1, Some("{}"))], "c1", false).expect("committed");
    drop(sink);
    std::fs::write(&file, "").expect("cut");
    assert!(Jsonl::open(folder.path(), "acme").is_err());
}

#[test]
fn a_bad_row_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = open(folder.path());
    let changes = [change(1, Some("{}")), change(2, Some("nope"))];
    let error = commit(&mut sink, &changes, "c1", false).expect_err("took it");
    assert_eq!(error.message, "table `things`: row {\"id\":\"2\"}: its document is not a JSON object");
    commit(&mut sink, &changes[..1], "c1", false).expect("committed");
    assert_eq!(lines(folder.path()).len(), 1);
}

#[test]
fn a_folder_belongs_to_one_connection_and_one_without_an_owner_to_who_asks_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = open(folder.path());
    commit(&mut sink, &[change(1, Some("{}"))], "c1", false).expect("committed");
    drop(sink);
    let error = Jsonl::open(folder.path(), "other").err().expect("opened for two");
    let place = folder.path().display();
    assert_eq!(error.message, format!("{place}: holds the rows of connection `acme`, not of `other`"));
    assert!(error.hint.is_some_and(|hint| hint.contains("remove \"owner\"")));
    let sidecar = folder.path().join("_sync_state.json");
    let text = std::fs::read_to_string(&sidecar).expect("read");
    std::fs::write(&sidecar, text.replace("\"owner\": \"acme\",", "")).expect("made older");
    let sink = Jsonl::open(folder.path(), "other").expect("nobody's");
    let position = sink.position("things").expect("asked").expect("a position");
    assert_eq!(position.cursor.as_deref(), Some("c1"));
    assert!(Jsonl::open(folder.path(), "acme").is_err());
}

#[test]
fn names_that_leave_the_folder_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = Jsonl::open(folder.path(), "acme").expect("opened");
    for name in ["../x", "a/b", "_sync_state", ".hidden", ""] {
        let result = sink.prepare(&[Table { name: name.into(), ..table() }]);
        assert!(result.is_err(), "{name}");
    }
}
