//! Behavior of the SQLite sink alone: typed columns, views, tombstones, names, versions. The rest is in
//! `conformance.rs`.

mod batches;
mod exchanged;

use rusqlite::Connection;

use super::{KIND, Sqlite};
use crate::change::{Change, ChangeSource, Generation, Operation, Table};
use crate::error::{Kind, Origin, Result};
use crate::sinks::{Commit, Counts, Deletes, InboxPosition, Load, Location, Progress, Sink, SinkSettings};

struct Case {
    folder: tempfile::TempDir,
    sink: Box<dyn Sink>,
}

fn settings(folder: &tempfile::TempDir, deletes: Deletes, owner: &str) -> SinkSettings {
    let settings = SinkSettings::of_test(&KIND, Location::path(folder.path(), "t.db"));
    SinkSettings { deletes, owner: owner.into(), ..settings }
}

fn open(folder: &tempfile::TempDir, owner: &str) -> Result<Box<dyn Sink>> {
    crate::sinks::open(&settings(folder, Deletes::Soft, owner))
}

fn table(properties: &str) -> Table {
    Table {
        name: "things".into(),
        primary_key: vec!["id".into()],
        schema: format!("{{\"properties\":{{\"id\":{{\"type\":\"string\"}}{properties}}}}}"),
        schema_complete: true,
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
        let commit = Commit { changes, progress: Progress::Journal(&position()), as_of_ms: 50, epoch: 0 };
        self.sink.commit(&commit).expect("committed")
    }

    fn snapshot(&mut self, id: u64, changes: &[Change]) -> Counts {
        let generation = Some(Generation { id, as_of_ms: Some(id), complete: true });
        let progress = Progress::Table { name: "things", cursor: "c", generation };
        self.sink.commit(&Commit { changes, progress, as_of_ms: 50, epoch: 0 }).expect("committed")
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
                   _change_source || '|' || _as_of || '|' || _generation || '|' || o._deleted";
    assert_eq!(
        case.query(&format!("SELECT {columns} FROM things JOIN _sync_rows_things AS o USING (_row)")),
        "a|1|integer|{\"id\":\"a\",\"n\":\"1\",\"other\":true}|1970-01-01T00:00:00.005Z|\
         snapshot|10|1|0"
    );
}

#[test]
fn a_member_may_have_the_name_of_a_column_of_the_runner() {
    let mut case = case(Deletes::Soft);
    let members =
        ["as_of", "generation", "change", "deleted", "_as_of", "_generation", "_change", "_deleted"];
    let properties: String =
        members.iter().map(|name| format!(",\"{name}\":{{\"type\":\"integer\"}}")).collect();
    case.sink.prepare(&[table(&properties)]).expect("prepared");
    let row = |id: &str| {
        let values: String = members.iter().map(|name| format!(",\"{name}\":7")).collect();
        Change { after: Some(format!("{{\"id\":\"{id}\"{values}}}")), ..change(id, Some(1), 10) }
    };
    case.snapshot(100, &[row("a"), row("b")]);
    case.commit(&[change("a", None, 20)]);
    case.snapshot(200, &[row("c")]);
    let columns = "id || _deleted || generation || deleted || _as_of__2 || _deleted__2";
    assert_eq!(case.query(&format!("SELECT {columns} FROM things ORDER BY id")), "a17777 b17777 c07777");
}

#[test]
fn the_document_is_the_last_column_so_that_typed_columns_do_not_lie_behind_it() {
    let case = case(Deletes::Soft);
    let columns = case.query("SELECT name FROM pragma_table_info('things')");
    assert_eq!(columns, "_row id _source_updated_at _deleted _change_source n _raw");
}

#[test]
fn rows_keep_their_state_after_a_vacuum() {
    let mut case = case(Deletes::Soft);
    let rows: Vec<Change> = (0..50).map(|n| change(&n.to_string(), Some(n), 10)).collect();
    case.snapshot(100, &rows);
    let database = case.database();
    // A hole, so that rows would get other numbers.
    database.execute("DELETE FROM things WHERE id = '0'", []).expect("deleted");
    database.execute_batch("VACUUM").expect("vacuumed");
    assert_eq!(case.snapshot(200, &rows).unchanged, 49);
    assert_eq!(case.commit(&[change("7", Some(8), 9)]).stale, 1);
}

#[test]
fn an_unchanged_snapshot_writes_a_fraction_of_the_database() {
    let mut case = case(Deletes::Soft);
    // A ticket of a list is as large: 3 KiB, half of it in typed columns.
    case.sink
        .prepare(&[table(",\"n\":{\"type\":\"integer\"},\"text\":{\"type\":\"string\"}")])
        .expect("prepared");
    let filler = "x".repeat(1_500);
    let row = |n: i64| Change {
        after: Some(format!("{{\"id\":\"{n}\",\"n\":{n},\"text\":\"{filler}\"}}")),
        ..change(&n.to_string(), Some(n), 10)
    };
    let rows: Vec<Change> = (0..20_000).map(row).collect();
    let read = |case: &mut Case, id| {
        for batch in rows.chunks(2_000) {
            let complete = batch.last().map(|change| &change.id) == rows.last().map(|change| &change.id);
            let generation = Some(Generation { id, as_of_ms: Some(id), complete });
            let progress = Progress::Table { name: "things", cursor: "c", generation };
            let commit = Commit { changes: batch, progress, as_of_ms: id, epoch: 0 };
            case.sink.commit(&commit).expect("committed");
        }
    };
    read(&mut case, 100);
    let database = case.database();
    database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("checkpointed");
    let file = std::fs::metadata(case.folder.path().join("t.db")).expect("a file").len();
    let page =
        |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("a number").unsigned_abs();
    let page_bytes = page("PRAGMA page_size");
    read(&mut case, 200);
    // Every page that was written is in the WAL, and goes to the file once more at most.
    let wal = std::fs::metadata(case.folder.path().join("t.db-wal")).expect("a WAL").len();
    assert!(wal >= page_bytes, "the WAL was emptied meanwhile");
    let written = 2 * wal;
    assert!(written * 100 <= file * 5, "{written} bytes written, the database has {file}");
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
    let commit = Commit {
        changes: &[change("a", None, 20)],
        progress: Progress::Journal(&position()),
        as_of_ms: 50,
        epoch: 0,
    };
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
        let commit =
            Commit { changes: &[bad], progress: Progress::Journal(&position()), as_of_ms: 50, epoch: 0 };
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
fn a_table_may_have_the_name_of_the_view_of_another() {
    let mut case = case(Deletes::Soft);
    let live = |properties: &str| Table { name: "things_live".into(), ..table(properties) };
    let kind = "SELECT type FROM sqlite_schema WHERE name = 'things_live'";
    assert_eq!(case.query(kind), "view");
    case.sink.prepare(&[table(""), live("")]).expect("a table instead of the view");
    assert_eq!(case.query(kind), "table");
    let wider = ",\"n\":{\"type\":\"integer\"},\"other\":{\"type\":\"boolean\"}";
    case.sink.prepare(&[table(wider), live(wider)]).expect("new columns of both");
    let widest = ",\"more\":{\"type\":\"boolean\"}";
    case.sink.prepare(&[table(widest)]).expect("the connector no longer has the other");
    assert_eq!(case.query(kind), "table", "its rows stay");
    assert_eq!(case.query("SELECT name FROM pragma_table_info('things') WHERE name = 'more'"), "more");
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
fn a_database_that_is_locked_or_full_is_unavailable_and_the_sink_stays_usable() {
    let mut case = case(Deletes::Soft);
    let position = position();
    let rows: Vec<Change> = (0..200).map(|n| change(&n.to_string(), Some(n), 10)).collect();
    let commit = Commit { changes: &rows, progress: Progress::Journal(&position), as_of_ms: 50, epoch: 0 };
    // A page more than it has.
    let sink = Sqlite::open(&settings(&case.folder, Deletes::Soft, "acme"));
    assert!(sink.is_err_and(|error| error.kind == Kind::Unavailable), "two writers");
    drop(case.sink);
    let mut sink = Sqlite::open(&settings(&case.folder, Deletes::Soft, "acme")).expect("opened");
    let pages: i64 = sink
        .file
        .open()
        .expect("open")
        .database
        .query_row("PRAGMA page_count", [], |row| row.get(0))
        .expect("a count");
    let limit = |sink: &Sqlite, pages: i64| {
        let set = sink.file.open().expect("open").database.pragma_update_and_check(
            None,
            "max_page_count",
            pages,
            |_| Ok(()),
        );
        set.expect("limited");
    };
    limit(&sink, pages + 1);
    let error = sink.commit(&commit).expect_err("stored");
    assert_eq!((error.origin, error.kind), (Origin::Sink, Kind::Unavailable), "{error}");
    assert_eq!(error.hint.as_deref(), Some("free space on the disk"));
    limit(&sink, 1_000_000);

    let other = Connection::open(case.folder.path().join("t.db")).expect("opened");
    other.execute_batch("BEGIN IMMEDIATE").expect("begun");
    sink.file.open().expect("open").database.busy_timeout(std::time::Duration::ZERO).expect("set");
    let error = sink.commit(&commit).expect_err("stored");
    assert_eq!((error.origin, error.kind), (Origin::Sink, Kind::Unavailable), "{error}");
    assert!(error.hint.is_some_and(|hint| hint.contains("another program holds the database")));
    other.execute_batch("ROLLBACK").expect("ended");
    assert_eq!(sink.commit(&commit).expect("committed").inserted, 200);
    case.sink = Box::new(sink);
    assert_eq!(case.query("SELECT count(*) || '' FROM things_live"), "200");
}

#[test]
fn a_first_bulk_read_leaves_a_database_with_a_wal() {
    let folder = tempfile::tempdir().expect("a folder");
    let bulk = SinkSettings { load: Load::Bulk, ..settings(&folder, Deletes::Soft, "acme") };
    let mode = || -> String {
        let database = Connection::open(folder.path().join("t.db")).expect("opened");
        database.query_row("PRAGMA journal_mode", [], |row| row.get(0)).expect("a mode")
    };
    let mut sink = Sqlite::open(&bulk).expect("opened");
    assert!(sink.is_filling);
    sink.prepare(&[table("")]).expect("prepared");
    assert_eq!(mode(), "delete", "no WAL while it is filled");
    let generation = Some(Generation { id: 1, as_of_ms: Some(1), complete: true });
    let progress = Progress::Table { name: "things", cursor: "c", generation };
    let commit = Commit { changes: &[change("a", Some(1), 10)], progress, as_of_ms: 50, epoch: 0 };
    sink.commit(&commit).expect("committed");
    drop(sink);
    assert_eq!(mode(), "wal");
    assert!(!folder.path().join("t.db-journal").exists(), "the journal of filling is left behind");
    assert!(!Sqlite::open(&bulk).expect("opened").is_filling, "it has rows");
}

#[test]
fn inspecting_leaves_no_file_behind() {
    let Case { folder, sink } = case(Deletes::Soft);
    drop(sink);
    let names = || {
        let entries = std::fs::read_dir(folder.path()).expect("read");
        let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name()).collect();
        names.sort();
        names
    };
    let before = (names(), std::fs::read(folder.path().join("t.db")).expect("read"));
    let settings = settings(&folder, Deletes::Soft, "acme");
    crate::sinks::inspect(&settings).expect("inspected").expect("a sink");
    assert_eq!((names(), std::fs::read(folder.path().join("t.db")).expect("read")), before);
    let writer = Sqlite::open(&settings).expect("opened");
    crate::sinks::inspect(&settings).expect("inspected beside a writer").expect("a sink");
    drop(writer);
}

#[test]
fn names_are_quoted() {
    assert_eq!(crate::sinks::columns::quote("a\"; DROP TABLE x; --"), "\"a\"\"; DROP TABLE x; --\"");
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

/// The names of the files in `folder` that this process has open.
fn open_files(folder: &std::path::Path) -> Vec<String> {
    let descriptors = std::fs::read_dir("/proc/self/fd").expect("listed").flatten();
    let paths = descriptors.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    let mut names: Vec<String> = paths
        .filter(|path| path.starts_with(folder))
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn an_idle_sink_has_its_lock_open_and_no_other_file() {
    let mut case = case(Deletes::Soft);
    case.snapshot(7, &[change("a", Some(1), 10)]);
    assert!(open_files(case.folder.path()).len() > 1);
    case.sink.rest();
    assert_eq!(open_files(case.folder.path()), ["t.db-lock"]);
    assert!(open(&case.folder, "acme").is_err(), "the lock stays");
    assert_eq!(case.snapshot(8, &[change("a", Some(1), 10), change("b", Some(2), 10)]).unchanged, 1);
    assert_eq!(case.sink.table_states().expect("read")[0].generation, 2);
}

#[test]
fn a_log_that_a_power_cut_tore_at_any_length_holds_whole_commits() {
    let mut case = case(Deletes::Soft);
    case.snapshot(7, &[]);
    let folder = case.folder.path().to_owned();
    case.sink.rest();
    for through in 1..=4_u32 {
        let position = InboxPosition { through: through.into(), ..position() };
        let progress = Progress::Journal(&position);
        let rows = [
            change(&format!("row {through}"), Some(1), 10),
            change("last", Some(through.into()), 10 + u64::from(through)),
        ];
        case.sink.commit(&Commit { changes: &rows, progress, as_of_ms: 50, epoch: 0 }).expect("committed");
    }
    let [database, log] = ["t.db", "t.db-wal"].map(|name| std::fs::read(folder.join(name)).expect("read"));
    let mut seen = std::collections::BTreeSet::new();
    for length in (0..=log.len()).rev().step_by(1_000) {
        let torn = tempfile::tempdir().expect("a folder");
        std::fs::write(torn.path().join("t.db"), &database).expect("written");
        std::fs::write(torn.path().join("t.db-wal"), &log[..length]).expect("written");
        let settings = SinkSettings {
            location: Location::Path(torn.path().join("t.db")),
            ..SinkSettings::of_test(&KIND, Location::Path(torn.path().join("t.db")))
        };
        let sink = Sqlite::open(&settings).expect("opened");
        let through = sink.progress().expect("read").journal.map_or(0, |journal| journal.position.through);
        drop(sink);
        let rows = "SELECT count(*) FROM things WHERE id LIKE 'row %'";
        let rows: u64 = Connection::open(torn.path().join("t.db"))
            .expect("opened")
            .query_row(rows, [], |row| row.get::<_, i64>(0).map(i64::unsigned_abs))
            .expect("counted");
        assert_eq!(rows, through, "{length} of {} bytes", log.len());
        seen.insert(through);
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
}

#[test]
fn a_backup_that_is_copied_over_the_file_of_an_idle_sink_is_not_written_to() {
    let mut case = case(Deletes::Soft);
    let path = case.folder.path().join("t.db");
    let backup = case.folder.path().join("backup.db");
    case.snapshot(7, &[change("a", Some(1), 10)]);
    case.sink.rest();
    std::fs::copy(&path, &backup).expect("copied");
    let position = |through| InboxPosition { through, ..position() };
    let deliver = |case: &mut Case, through| {
        let position = position(through);
        let progress = Progress::Journal(&position);
        case.sink.commit(&Commit { changes: &[], progress, as_of_ms: 50, epoch: 0 })
    };
    deliver(&mut case, 8).expect("it was closed and is the same");
    case.sink.rest();
    std::fs::copy(&backup, &path).expect("restored");
    let error = deliver(&mut case, 9).expect_err("the position of 9 would cover 8");
    assert!(error.message.contains("restored from a backup"), "{error}");
    assert!(deliver(&mut case, 9).is_err(), "until the connection starts again");
}

#[test]
fn a_file_that_takes_the_place_of_an_idle_sinks_is_not_written_to() {
    let mut case = case(Deletes::Soft);
    case.snapshot(7, &[change("a", Some(1), 10)]);
    case.sink.rest();
    let path = case.folder.path().join("t.db");
    let copy = case.folder.path().join("copy.db");
    std::fs::copy(&path, &copy).expect("copied");
    std::fs::rename(&copy, &path).expect("exchanged");
    let position = position();
    let commit = Commit { changes: &[], progress: Progress::Journal(&position), as_of_ms: 50, epoch: 0 };
    let error = case.sink.commit(&commit).unwrap_err();
    assert!(error.to_string().contains("another file has taken its place"), "{error}");
    std::fs::remove_file(&path).expect("deleted");
    assert!(case.sink.commit(&commit).is_err());
    assert!(!path.exists(), "no empty database takes the place of a deleted one");
}
