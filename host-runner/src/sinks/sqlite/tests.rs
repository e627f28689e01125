//! Behavior of the SQLite sink alone: typed columns, views, tombstones, names, versions. The rest is in
//! `conformance.rs`.

use rusqlite::Connection;

use super::{KIND, schema};
use crate::change::{Change, ChangeSource, Generation, Operation, Table};
use crate::error::Result;
use crate::sinks::{Commit, Counts, Deletes, InboxPosition, Location, Progress, Sink, SinkSettings};

struct Case {
    folder: tempfile::TempDir,
    sink: Box<dyn Sink>,
}

fn settings(folder: &tempfile::TempDir, deletes: Deletes, owner: &str) -> SinkSettings {
    SinkSettings {
        kind: &KIND,
        location: Location::path(folder.path(), "t.db"),
        deletes,
        owner: owner.into(),
    }
}

fn open(folder: &tempfile::TempDir, owner: &str) -> Result<Box<dyn Sink>> {
    crate::sinks::open(&settings(folder, Deletes::Soft, owner))
}

fn table(properties: &str) -> Table {
    Table {
        name: "things".into(),
        primary_key: vec!["id".into()],
        schema: format!("{{\"properties\":{{\"id\":{{\"type\":\"string\"}}{properties}}}}}"),
        attributes: vec![],
    }
}

fn case(deletes: Deletes) -> Case {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = crate::sinks::open(&settings(&folder, deletes, "acme")).expect("opened");
    sink.prepare(&[table(",\"n\":{\"type\":\"integer\"}")]).expect("prepared");
    Case { folder, sink }
}

/// A row in a state, or its delete when `n` is none.
fn change(id: &str, n: Option<i64>, as_of: u64) -> Change {
    Change {
        table: "things".into(),
        operation: if n.is_some() { Operation::Update } else { Operation::Delete },
        key: format!("{{\"id\":\"{id}\"}}"),
        before: None,
        after: n.map(|n| format!("{{\"id\":\"{id}\",\"n\":\"{n}\",\"other\":true}}")),
        source_updated_at_ms: Some(5),
        as_of_ms: Some(as_of),
        id: format!("{id}:{n:?}:{as_of}"),
        partial: false,
        source: ChangeSource::Snapshot,
    }
}

fn position() -> InboxPosition {
    InboxPosition { journal: "a journal".into(), through: 1 }
}

impl Case {
    fn commit(&mut self, changes: &[Change]) -> Counts {
        let commit = Commit { changes, progress: Progress::Journal(&position()), as_of_ms: 50 };
        self.sink.commit(&commit).expect("committed")
    }

    fn snapshot(&mut self, id: u64, changes: &[Change]) -> Counts {
        let generation = Some(Generation { id, as_of_ms: Some(id), complete: true });
        let progress = Progress::Table { name: "things", cursor: "c", generation };
        self.sink.commit(&Commit { changes, progress, as_of_ms: 50 }).expect("committed")
    }

    fn database(&self) -> Connection {
        Connection::open(self.folder.path().join("t.db")).expect("opened")
    }

    fn query(&self, sql: &str) -> String {
        let database = self.database();
        let mut select = database.prepare(sql).expect("prepared");
        let texts = select.query_map([], |row| row.get::<_, String>(0)).expect("queried");
        texts.collect::<Result<Vec<_>, _>>().expect("texts").join(" ")
    }
}

#[test]
fn a_row_is_stored_with_its_json_its_columns_and_its_metadata() {
    let mut case = case(Deletes::Soft);
    case.snapshot(7, &[change("a", Some(1), 10)]);
    let columns = "id || '|' || n || '|' || typeof(n) || '|' || _raw || '|' || _source_updated_at || '|' || \
                   _deleted || '|' || _change_source || '|' || _as_of || '|' || _generation || '|' || \
                   _change_id";
    assert_eq!(
        case.query(&format!("SELECT {columns} FROM things")),
        "a|1|integer|{\"id\":\"a\",\"n\":\"1\",\"other\":true}|1970-01-01T00:00:00.005Z|\
         0|snapshot|10|7|a:Some(1):10"
    );
}

#[test]
fn a_partial_row_keeps_the_text_of_the_members_that_it_does_not_replace() {
    let mut case = case(Deletes::Soft);
    case.commit(&[change("a", Some(1), 10)]);
    let partial = Change { partial: true, after: Some("{\"n\":7}".into()), ..change("a", Some(0), 20) };
    case.commit(&[partial]);
    assert_eq!(case.query("SELECT n || ' ' || _raw FROM things"), "7 {\"id\":\"a\",\"n\":7,\"other\":true}");
}

#[test]
fn a_deleted_row_keeps_its_json_and_leaves_the_view() {
    let mut case = case(Deletes::Soft);
    case.snapshot(100, &[change("a", Some(1), 10), change("b", Some(2), 10), change("c", Some(3), 10)]);
    case.commit(&[
        Change { source: ChangeSource::Webhook, ..change("a", None, 20) },
        change("new", None, 20),
    ]);
    case.snapshot(200, &[change("c", Some(4), 210)]);
    assert_eq!(
        case.query(
            "SELECT id || ':' || _change_source || (_raw IS NOT NULL) FROM things WHERE _deleted ORDER BY id"
        ),
        "a:webhook1 b:missing1 new:snapshot0"
    );
    assert_eq!(case.query("SELECT id FROM things_live"), "c");
}

#[test]
fn hard_deletes_leave_tombstones_that_a_newer_row_removes() {
    let mut case = case(Deletes::Hard);
    case.snapshot(100, &[change("a", Some(1), 10), change("b", Some(2), 10)]);
    case.commit(&[change("a", None, 20), change("never", None, 20)]);
    case.snapshot(200, &[]);
    assert_eq!(case.query("SELECT count(*) || '' FROM things"), "0");
    let tombstones = "SELECT key || as_of FROM _sync_tombstones ORDER BY key";
    assert_eq!(case.query(tombstones), "[\"a\"]200 [\"b\"]200 [\"never\"]200");
    case.commit(&[change("a", Some(3), 300)]);
    assert_eq!(case.query(tombstones), "[\"b\"]200 [\"never\"]200");
}

#[test]
fn rows_marked_before_hard_deletes_were_chosen_are_deleted_by_the_next_snapshot() {
    let Case { folder, mut sink } = case(Deletes::Soft);
    let commit =
        Commit { changes: &[change("a", None, 20)], progress: Progress::Journal(&position()), as_of_ms: 50 };
    sink.commit(&commit).expect("committed");
    drop(sink);
    let sink = crate::sinks::open(&settings(&folder, Deletes::Hard, "acme")).expect("opened");
    let mut case = Case { folder, sink };
    case.snapshot(100, &[]);
    assert_eq!(case.query("SELECT count(*) || '' FROM things"), "0");
    assert_eq!(case.commit(&[change("a", Some(1), 99)]).stale, 1);
}

#[test]
fn new_columns_are_filled_from_the_rows_json_and_old_ones_stay() {
    let mut case = case(Deletes::Soft);
    let rows: Vec<Change> = (0..2500).map(|n| change(&format!("{n:04}"), Some(n), 10)).collect();
    case.commit(&rows);
    case.commit(&[change("0007", None, 20)]);
    let wider = table(",\"other\":{\"type\":\"boolean\"},\"late\":{\"type\":\"string\"}");
    case.sink.prepare(&[wider]).expect("prepared");
    assert_eq!(case.query("SELECT count(*) || '' FROM things WHERE other = 1"), "2500");
    assert_eq!(case.query("SELECT n || '' FROM things WHERE id = '2499'"), "2499");
    case.commit(&[change("x", Some(1), 10)]);
    assert_eq!(case.query("SELECT n || '/' || other FROM things WHERE id = 'x'"), "1/1");
    assert_eq!(case.query("SELECT id FROM things_live WHERE other AND n = 2499"), "2499");
}

#[test]
fn a_property_that_changes_its_type_keeps_the_old_column_and_fills_a_second() {
    let mut case = case(Deletes::Soft);
    case.commit(&[change("a", Some(1), 10)]);
    case.sink.prepare(&[table(",\"n\":{\"type\":\"string\"}")]).expect("prepared");
    let columns = "SELECT typeof(n) || n || ' ' || typeof(n__2) || n__2 FROM things_live";
    assert_eq!(case.query(columns), "integer1 text1");
    case.commit(&[change("a", Some(2), 20)]);
    assert_eq!(case.query(columns), "integer2 text2");
}

#[test]
fn values_that_do_not_fit_are_counted_and_stay_in_the_rows_json() {
    let mut case = case(Deletes::Soft);
    let odd = Change { after: Some("{\"id\":\"a\",\"n\":\"many\"}".into()), ..change("a", Some(1), 10) };
    let counts = case.commit(&[odd]);
    assert_eq!((counts.inserted, counts.unconverted), (1, 1));
    assert_eq!(case.query("SELECT _raw FROM things WHERE n IS NULL"), "{\"id\":\"a\",\"n\":\"many\"}");
}

#[test]
fn a_key_without_one_of_its_members_is_refused() {
    let mut case = case(Deletes::Soft);
    for key in ["{}", "{\"id\":null}"] {
        let bad = Change { key: key.into(), ..change("a", Some(1), 10) };
        let commit = Commit { changes: &[bad], progress: Progress::Journal(&position()), as_of_ms: 50 };
        let error = case.sink.commit(&commit).expect_err("stored");
        assert_eq!(error.message, format!("table `things`: key {key}: `id` is missing"));
    }
}

#[test]
fn a_file_of_another_version_is_left_alone() {
    let Case { folder, sink } = case(Deletes::Soft);
    drop(sink);
    let database = Connection::open(folder.path().join("t.db")).expect("opened");
    for (version, writer) in [(1, "an older"), (99, "a newer")] {
        database.pragma_update(None, "user_version", version).expect("changed");
        let error = open(&folder, "acme").err().expect("opened another version");
        assert!(error.message.ends_with(&format!("t.db: written by {writer} runner")), "{error}");
        assert!(error.hint.is_some_and(|hint| hint.contains("move the file away")));
        let found: i64 = database.query_row("PRAGMA user_version", [], |row| row.get(0)).expect("a version");
        assert_eq!(found, version);
    }
}

#[test]
fn a_file_whose_owner_was_deleted_belongs_to_the_next_connection() {
    let Case { folder, sink } = case(Deletes::Soft);
    drop(sink);
    let error = open(&folder, "other").err().expect("opened for two");
    let hint = error.hint.expect("a hint");
    let (_, release) = hint.split_once("'DELETE").expect("a statement");
    let release = format!("DELETE{}", release.trim_end_matches('\''));
    Connection::open(folder.path().join("t.db")).expect("opened").execute_batch(&release).expect("released");
    open(&folder, "other").expect("its own");
    assert!(open(&folder, "acme").is_err());
}

#[test]
fn tables_that_sqlite_cannot_tell_apart_or_keeps_for_itself_are_refused() {
    let mut case = case(Deletes::Soft);
    for name in ["THINGS", "sqlite_x", "SQLITE_master"] {
        let refused = case.sink.prepare(&[Table { name: name.into(), ..table("") }]);
        let error = refused.expect_err("prepared");
        assert!(error.message.starts_with(&format!("table `{name}`: ")), "{error}");
    }
}

#[test]
fn names_are_quoted() {
    assert_eq!(schema::quote("a\"; DROP TABLE x; --"), "\"a\"\"; DROP TABLE x; --\"");
}

#[test]
fn a_file_that_is_no_database_is_refused_with_its_path() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(
        folder.path().join("t.db"),
        "a text of some length that is not a database, of 100 bytes or more, \
        because a shorter file could be one that is being written",
    )
    .expect("written");
    let error = open(&folder, "acme").err().expect("opened a text");
    assert!(error.message.ends_with("t.db: file is not a database"), "{error}");
}
