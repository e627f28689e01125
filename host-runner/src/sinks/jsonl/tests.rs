//! Behavior of the JSON lines sink alone: the form of lines, committed bytes, segments, the commit log,
//! foreign files. The rest is in `conformance.rs`.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::log::LOG;
use super::segments::Rotation;
use super::stored::committed;
use super::{DEBEZIUM_KIND, Jsonl, KIND, NAME_BYTES_MAX};
use crate::change::{Change, ChangeSource, Generation, Operation, Table};
use crate::error::Result;
use crate::sinks::{Commit, Counts, InboxPosition, Location, Progress, Sink, SinkSettings};

fn table() -> Table {
    Table {
        name: "things".into(),
        primary_key: vec!["id".into()],
        schema: "{}".into(),
        schema_complete: true,
        attributes: vec![],
    }
}

fn settings(folder: &Path, owner: &str) -> SinkSettings {
    let settings = SinkSettings::of_test(&KIND, Location::Path(folder.to_owned()));
    SinkSettings { owner: owner.into(), ..settings }
}

fn try_open(folder: &Path, owner: &str) -> Result<Box<dyn Sink>> {
    crate::sinks::open(&settings(folder, owner))
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
    sink.commit(&Commit { changes, progress, as_of_ms: 9, epoch: 0 })
}

/// The first segment of the table.
fn segment(folder: &Path) -> PathBuf {
    folder.join("things/000001.jsonl")
}

fn lines(folder: &Path) -> Vec<Value> {
    let text = committed(folder, "things");
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
    let text = std::fs::read_to_string(segment(folder.path())).expect("a file");
    let expected = [
        concat!(
            r#"{"table":"things","operation":"read","key":{"id":"1"},"#,
            r#""source_updated_at":"1970-01-01T00:00:00.000Z","id":"id \"1\"","as_of_ms":9,"#,
            r#""generation":1,"change_source":"snapshot","after":{   "id": "1",   "a": 1.50 }}"#,
        ),
        concat!(
            r#"{"table":"things","operation":"read","key":{"id":"2"},"source_updated_at":null,"#,
            r#""id":"id \"2\"","as_of_ms":9,"generation":1,"change_source":"webhook","partial":true,"#,
            r#""after":{}}"#,
        ),
        concat!(
            r#"{"table":"things","operation":"delete","key":{"id":"3"},"#,
            r#""source_updated_at":"1970-01-01T00:00:00.000Z","id":"id \"3\"","as_of_ms":9,"#,
            r#""generation":null,"change_source":"snapshot","after":null}"#,
        ),
        r#"{"table":"things","operation":"snapshot-complete","generation":1,"as_of_ms":5}"#,
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_change_from_elsewhere_has_the_generation_of_the_newest_snapshot_unless_it_is_older() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = open(folder.path());
    let generation = Some(Generation { id: 7, as_of_ms: Some(100), complete: false });
    let progress = Progress::Table { name: "things", cursor: "c", generation };
    sink.commit(&Commit { changes: &[], progress, as_of_ms: 9, epoch: 0 }).expect("committed");
    let changes = [99, 100].map(|as_of| Change { as_of_ms: Some(as_of), ..change(1, Some("{}")) });
    let progress = Progress::Journal(&InboxPosition { journal: "j".into(), through: 1 });
    sink.commit(&Commit { changes: &changes, progress, as_of_ms: 9, epoch: 0 }).expect("committed");
    let lines = lines(folder.path());
    let generations: Vec<&Value> = lines.iter().map(|line| &line["generation"]).collect();
    assert_eq!(generations, [&Value::Null, &Value::from(1)]);
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

/// The same folder with lines in Debezium's envelope.
fn debezium(folder: &Path) -> SinkSettings {
    SinkSettings { kind: &DEBEZIUM_KIND, ..settings(folder, "acme") }
}

#[test]
fn lines_in_the_envelope_of_debezium_have_its_members() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = crate::sinks::open(&debezium(folder.path())).expect("opened");
    sink.prepare(&[table()]).expect("prepared");
    let updated = Change {
        operation: Operation::Update,
        before: Some(r#"{"a":0}"#.into()),
        partial: true,
        source: ChangeSource::Webhook,
        as_of_ms: Some(8),
        source_updated_at_ms: Some(4),
        ..change(1, Some("{\n\"a\":1}"))
    };
    commit(sink.as_mut(), &[updated, change(2, None)], "c1", true).expect("committed");
    let source = json!({
        "version": env!("CARGO_PKG_VERSION"), "connector": "host-runner", "name": "acme", "table": "things",
    });
    let with = |more: Value| {
        let mut source = source.clone();
        source.as_object_mut().expect("members").extend(more.as_object().expect("members").clone());
        source
    };
    let expected = [
        json!({
            "key": {"id": "1"}, "before": {"a": 0}, "after": {"a": 1}, "op": "u", "ts_ms": 9,
            "transaction": null,
            "source": with(json!({
                "as_of_ms": 8, "generation": 1, "ts_ms": 4, "snapshot": "false", "change_source": "webhook",
                "id": "id \"1\"", "partial": true,
            })),
        }),
        json!({
            "key": {"id": "2"}, "before": {"id": "2"}, "after": null, "op": "d", "ts_ms": 9,
            "transaction": null,
            "source": with(json!({
                "as_of_ms": 9, "generation": null, "ts_ms": 0, "snapshot": "true",
                "change_source": "snapshot", "id": "id \"2\"",
            })),
        }),
        json!({
            "op": "m", "ts_ms": 9, "message": {"prefix": "snapshot-complete", "content": ""},
            "source": with(json!({"as_of_ms": 5, "generation": 1, "snapshot": "last"})),
        }),
    ];
    assert_eq!(lines(folder.path()), expected);
    for row in [r#"{},"op":"d","x":{}"#, "nope"] {
        commit(sink.as_mut(), &[change(3, Some(row))], "c2", false).expect_err(row);
    }
}

#[test]
fn a_folder_keeps_the_format_of_its_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let envelopes = debezium(folder.path());
    let mut sink = crate::sinks::open(&envelopes).expect("opened");
    sink.prepare(&[table()]).expect("prepared");
    drop(sink);
    let error = try_open(folder.path(), "acme").err().expect("opened");
    assert!(error.message.ends_with("its lines are in the format `debezium`"), "{error}");
    crate::sinks::open(&envelopes).expect("opened");
    let folder = tempfile::tempdir().expect("a folder");
    drop(open(folder.path()));
    let error = crate::sinks::open(&debezium(folder.path())).err().expect("opened");
    assert!(error.hint.is_some_and(|hint| hint.starts_with("format = \"changes\" under [sink]")));
}

#[test]
fn bytes_after_the_committed_ones_are_replaced_by_the_next_commit_at_every_length() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = segment(folder.path());
    let mut sink = open(folder.path());
    commit(sink.as_mut(), &[change(1, Some("{}"))], "c1", false).expect("committed");
    drop(sink);
    let line = b"{\"table\":\"things\",\"half\":1}\n";
    for length in 0..=line.len() {
        let before = lines(folder.path()).len();
        let bytes = std::fs::read(&file).expect("read");
        std::fs::write(&file, [&bytes, &line[..length]].concat()).expect("written");
        assert_eq!(lines(folder.path()).len(), before, "a reader stops at the committed bytes");
        let mut sink = open(folder.path());
        assert_eq!(cursor(sink.as_ref()).as_deref(), Some("c1"));
        commit(sink.as_mut(), &[change(2, Some("{}"))], "c1", false).expect("committed");
        assert_eq!(lines(folder.path()).len(), before + 1);
        let text = std::fs::read_to_string(&file).expect("read");
        assert!(!text.contains("half") && text.ends_with('\n'), "{text}");
    }
}

#[test]
fn opening_and_inspecting_change_no_byte() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = open(folder.path());
    commit(sink.as_mut(), &[change(1, Some("{}"))], "c1", false).expect("committed");
    drop(sink);
    for file in [segment(folder.path()), folder.path().join(LOG)] {
        let mut file = std::fs::OpenOptions::new().append(true).open(file).expect("opened");
        file.write_all(b"{\"not yet").expect("written");
    }
    let before = contents(folder.path());
    let sink = try_open(folder.path(), "acme").expect("opened");
    let settings = settings(folder.path(), "acme");
    let found = crate::sinks::inspect(&settings).expect("inspected").expect("a sink");
    assert_eq!(found, sink.progress().expect("progress"));
    drop(sink);
    assert_eq!(contents(folder.path()), before);
}

/// Every file below a folder.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("read") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            let bytes = std::fs::read(&path).expect("read");
            found.push((path, bytes));
        }
    }
    found.sort();
    found
}

#[test]
fn a_segment_or_log_that_is_cut_moved_or_deleted_while_it_is_open_is_refused_in_words() {
    let damages: [fn(&Path); 3] = [
        |path| std::fs::write(path, "").expect("cut"),
        |path| std::fs::rename(path, path.with_extension("1")).expect("moved"),
        |path| std::fs::remove_file(path).expect("deleted"),
    ];
    for name in ["things/000001.jsonl", LOG] {
        for damage in damages {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join(name);
            let mut sink = open(folder.path());
            commit(sink.as_mut(), &[change(1, Some("{}"))], "c1", false).expect("committed");
            damage(&path);
            let error = commit(sink.as_mut(), &[change(2, Some("{}"))], "c2", false).expect_err("stored");
            assert!(error.message.contains(name), "{error}");
            let bytes = std::fs::read(segment(folder.path())).unwrap_or_default();
            assert!(!bytes.contains(&0), "filled with zeros");
            drop(sink);
            if name != LOG {
                let error = try_open(folder.path(), "acme").err().expect("opened");
                assert!(error.message.contains("but"), "{error}");
                assert!(error.hint.is_some_and(|hint| hint.contains("only sealed segments")));
            }
        }
    }
}

#[test]
fn segments_are_sealed_by_size_and_by_age_and_a_reader_may_delete_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = settings(folder.path(), "acme");
    let mut sink = Jsonl::open(&settings).expect("opened");
    sink.prepare(&[table()]).expect("prepared");
    let row = change(1, Some("{\"text\":\"of some length, one of twelve lines\"}"));
    let mut line = Vec::new();
    super::write::change(&mut line, &row, 9, 1).expect("a line");
    for (rotation, expected) in [
        (Rotation { bytes: 2 * line.len() as u64, age_ms: u64::MAX, daily: false }, 2),
        (Rotation { bytes: u64::MAX, age_ms: 0, daily: false }, 6),
        (Rotation { bytes: u64::MAX, age_ms: u64::MAX, daily: false }, 6),
    ] {
        sink.rotation = rotation;
        for _ in 0..4 {
            // A clock of milliseconds must move on before a segment has an age.
            let now = crate::clock::now_ms();
            while rotation.age_ms == 0 && crate::clock::now_ms() == now {}
            commit(&mut sink, std::slice::from_ref(&row), "c", false).expect("committed");
        }
        assert_eq!(sink.log.state.segments["things"].number, expected);
    }
    assert_eq!(lines(folder.path()).len(), 12);
    std::fs::remove_file(segment(folder.path())).expect("deleted");
    drop(sink);
    let mut sink = open(folder.path());
    commit(sink.as_mut(), &[row], "c", false).expect("committed");
    assert!(lines(folder.path()).len() < 13);
}

#[test]
fn a_commit_of_deliveries_writes_no_cursor_and_the_log_stays_small() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join(LOG);
    let size = || std::fs::metadata(&log).expect("a log").len();
    let mut sink = open(folder.path());
    let long = "c".repeat(80_000);
    commit(sink.as_mut(), &[], &long, false).expect("committed");
    let before = size();
    let position = InboxPosition { journal: "j".into(), through: 1 };
    let progress = Progress::Journal(&position);
    sink.commit(&Commit { changes: &[change(1, Some("{}"))], progress, as_of_ms: 9, epoch: 0 })
        .expect("committed");
    assert!(size() - before < 300, "{} bytes", size() - before);
    for _ in 0..40 {
        commit(sink.as_mut(), &[change(1, Some("{}"))], &long, false).expect("committed");
        assert!(size() < 1_200_000, "{} bytes", size());
    }
    drop(sink);
    let sink = open(folder.path());
    assert_eq!(cursor(sink.as_ref()), Some(long));
    assert_eq!(sink.journal_state().expect("a state").expect("a state").position, position);
    assert_eq!(lines(folder.path()).len(), 41);
}

#[test]
fn a_log_that_is_damaged_before_its_last_line_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = open(folder.path());
    commit(sink.as_mut(), &[change(1, Some("{}"))], "c1", false).expect("committed");
    drop(sink);
    let log = folder.path().join(LOG);
    let text = std::fs::read_to_string(&log).expect("read");
    std::fs::write(&log, format!("{text}nonsense\n{text}")).expect("damaged");
    let error = try_open(folder.path(), "acme").err().expect("opened");
    assert!(error.message.contains("_sync_commits.jsonl: damaged after"), "{error}");
}

#[test]
fn a_foreign_file_is_not_touched() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = segment(folder.path());
    std::fs::create_dir(file.parent().expect("a folder")).expect("created");
    std::fs::write(&file, "mine").expect("written");
    let mut sink = try_open(folder.path(), "acme").expect("opened");
    assert!(sink.prepare(&[table()]).is_err());
    assert_eq!(std::fs::read_to_string(&file).expect("read"), "mine");
}

#[test]
fn a_row_cannot_add_members_to_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = open(folder.path());
    for row in [r#"{},"operation":"delete","x":{}"#, r#"{"a":1}}{"b":2}"#, r#"{"a":}"#, "{\"a\":\"\n\"}"] {
        let error = commit(sink.as_mut(), &[change(2, Some(row))], "c1", false).expect_err(row);
        assert!(error.message.ends_with("is not a JSON object"), "{row}: {error}");
    }
    let deep = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    commit(sink.as_mut(), &[change(3, Some(&deep))], "c1", false).expect("valid at any depth");
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
fn a_folder_that_is_given_to_another_connection_belongs_to_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = open(folder.path());
    commit(sink.as_mut(), &[change(1, Some("{}"))], "c1", false).expect("committed");
    drop(sink);
    let error = try_open(folder.path(), "other").err().expect("opened for two");
    let hint = error.hint.expect("a hint");
    let line = "{\"owner\":\"other\"}";
    assert!(hint.contains(&format!("append the line {line} to")), "{hint}");
    let mut log = std::fs::OpenOptions::new().append(true).open(folder.path().join(LOG)).expect("opened");
    writeln!(log, "{line}").expect("given away");
    let sink = try_open(folder.path(), "other").expect("its own");
    assert_eq!(cursor(sink.as_ref()).as_deref(), Some("c1"));
    drop(sink);
    assert!(try_open(folder.path(), "acme").is_err());
}

#[test]
fn a_folder_of_another_version_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(open(folder.path()));
    let log = folder.path().join(LOG);
    let text = std::fs::read_to_string(&log).expect("read");
    for (version, writer) in [(1, "an older"), (99, "a newer")] {
        let other = text.replace("\"version\":5", &format!("\"version\":{version}"));
        assert_ne!(other, text);
        std::fs::write(&log, &other).expect("changed");
        let error = try_open(folder.path(), "acme").err().expect("opened another version");
        assert!(
            error.message.ends_with(&format!("_sync_commits.jsonl: written by {writer} runner")),
            "{error}"
        );
        assert_eq!(std::fs::read_to_string(&log).expect("read"), other);
    }
    std::fs::remove_file(&log).expect("removed");
    std::fs::write(folder.path().join("_sync_state.json"), "{\"version\":3}").expect("written");
    let error = try_open(folder.path(), "acme").err().expect("opened another version");
    assert!(error.message.ends_with("_sync_state.json: written by an older runner"), "{error}");
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
