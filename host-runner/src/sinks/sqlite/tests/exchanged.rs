//! A file that a person exchanges, deletes or hides, while the sink has it open and while it rests.

use std::path::PathBuf;

use rusqlite::Connection;
use tempfile::TempDir;

use super::{Case, Commit, Deletes, Kind, Progress, case, change, open, position};

impl Case {
    /// Commits a row; the message if it failed.
    fn try_commit(&mut self, id: &str) -> Result<(), String> {
        let (rows, position) = ([change(id, Some(1), 30)], position());
        let progress = Progress::Journal(&position);
        let commit = Commit { changes: &rows, progress, as_of_ms: 50, epoch: 0 };
        self.sink.commit(&commit).map(drop).map_err(|error| error.to_string())
    }
}

#[test]
fn a_file_that_takes_the_place_of_an_open_one_gets_no_row_and_no_log_of_it() {
    for rests in [false, true] {
        let mut case = case(Deletes::Soft);
        let [path, copy] = ["t.db", "copy.db"].map(|name| case.folder.path().join(name));
        case.snapshot(7, &[change("a", Some(1), 10)]);
        case.sink.rest();
        std::fs::copy(&path, &copy).expect("copied");
        // The log has this row.
        case.try_commit("b").expect("committed");
        std::fs::rename(&copy, &path).expect("exchanged");
        if rests {
            case.sink.rest();
        }
        let error = case.try_commit("c").expect_err("committed to a deleted file");
        assert!(error.contains("another file has taken its place"), "{error}");
        let Case { folder, sink } = case;
        drop(sink);
        let case = Case { sink: open(&folder, "acme").expect("opened"), folder };
        assert_eq!(case.query("PRAGMA integrity_check"), "ok");
        assert_eq!(case.query("SELECT id FROM things"), "a", "rests: {rests}");
    }
}

#[test]
fn a_log_that_a_reader_of_the_former_file_needs_is_not_applied_to_the_file_in_its_place() {
    // The sink rests before the exchange, after it, or not.
    for rests in [[false, false], [false, true], [true, false]] {
        let mut case = case(Deletes::Soft);
        let [path, copy] = ["t.db", "copy.db"].map(|name| case.folder.path().join(name));
        case.snapshot(7, &[change("a", Some(1), 10)]);
        case.sink.rest();
        std::fs::copy(&path, &copy).expect("copied");
        case.try_commit("b").expect("committed");
        let reader = case.database();
        reader.execute_batch("BEGIN").expect("begun");
        let count = || -> i64 {
            reader.query_row("SELECT count(*) FROM things", [], |row| row.get(0)).expect("counted")
        };
        assert_eq!(count(), 2);
        // The reader needs the pages that this row replaces.
        case.try_commit("c").expect("committed");
        if rests[0] {
            case.sink.rest();
        }
        std::fs::rename(&path, case.folder.path().join("former.db")).expect("moved");
        std::fs::rename(&copy, &path).expect("exchanged");
        if rests[1] {
            case.sink.rest();
        }
        case.try_commit("d").expect_err("committed to a file that was moved");
        let Case { folder, sink } = case;
        drop(sink);
        let case = Case { sink: open(&folder, "acme").expect("opened"), folder };
        assert_eq!(case.query("PRAGMA integrity_check"), "ok");
        assert_eq!(case.query("SELECT id FROM things"), "a", "rests: {rests:?}");
        assert_eq!(count(), 2, "the reader continues");
        // With its log, the former file has all of its rows.
        let log = entry(&case.folder, "t.db-wal-of-inode-");
        std::fs::rename(log, case.folder.path().join("former.db-wal")).expect("moved");
        let former = Connection::open(case.folder.path().join("former.db")).expect("opened");
        let rows: i64 =
            former.query_row("SELECT count(*) FROM things", [], |row| row.get(0)).expect("counted");
        assert_eq!(rows, 3);
    }
}

#[test]
fn a_log_that_an_idle_reader_keeps_is_not_applied_to_a_file_that_takes_the_place_of_an_idle_one() {
    let mut case = case(Deletes::Soft);
    let [path, copy] = ["t.db", "copy.db"].map(|name| case.folder.path().join(name));
    case.snapshot(7, &[change("a", Some(1), 10)]);
    case.sink.rest();
    std::fs::copy(&path, &copy).expect("copied");
    let reader = case.database();
    let _: i64 = reader.query_row("SELECT count(*) FROM things", [], |row| row.get(0)).expect("counted");
    case.try_commit("b").expect("committed");
    case.sink.rest();
    std::fs::rename(&copy, &path).expect("exchanged");
    let Case { folder, sink } = case;
    drop(sink);
    let case = Case { sink: open(&folder, "acme").expect("opened"), folder };
    assert_eq!(case.query("PRAGMA integrity_check"), "ok");
    assert_eq!(case.query("SELECT id FROM things"), "a");
    drop(reader);
}

/// The file of a folder whose name begins in this way.
fn entry(folder: &TempDir, start: &str) -> PathBuf {
    let mut entries =
        std::fs::read_dir(folder.path()).expect("listed").map(|entry| entry.expect("one").path());
    let is_wanted = |path: &PathBuf| path.to_string_lossy().contains(start);
    entries.find(is_wanted).expect("a file")
}

#[test]
fn a_file_that_is_deleted_while_it_is_open_is_not_written_to() {
    let mut case = case(Deletes::Soft);
    case.try_commit("a").expect("committed");
    let path = case.folder.path().join("t.db");
    std::fs::remove_file(&path).expect("deleted");
    case.try_commit("b").expect_err("committed to a deleted file");
    assert!(!path.exists());
}

#[test]
fn a_file_that_cannot_be_opened_again_for_now_does_not_end_the_connection() {
    let mut case = case(Deletes::Soft);
    case.try_commit("a").expect("committed");
    case.sink.rest();
    // SQLite fails in the same way as in a process without another file descriptor.
    let log = case.folder.path().join("t.db-wal");
    std::fs::create_dir(&log).expect("in its way");
    let error = case.sink.progress().expect_err("opened");
    assert!(error.message.contains("unable to open database file"), "{error}");
    assert_eq!(error.kind, Kind::Unavailable, "{error}");
    assert!(error.hint.is_some_and(|hint| hint.contains("open files")), "not the key `path`");
    std::fs::remove_dir(&log).expect("removed");
    case.try_commit("b").expect("committed");
}
