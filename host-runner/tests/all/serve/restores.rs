//! Backups: the rows in the sink after data folder, journal, sink or all of them were restored from a backup,
//! moved, or are new. `docs/operating.md` has the same table.

use std::path::Path;

use serde_json::Value;

use self::Expected::{Applied, Rows};
use super::{Server, event, eventually, later, live, until_read};
use crate::support::Place;

/// A row that no poll brings. It is as new as a row can be whenever it is applied: a snapshot deletes no row
/// that is newer.
fn created(id: &str) -> Value {
    event("things", id, "create", later() + 24 * 3_600_000)
}

/// Applies one delivery.
fn deliver(server: &Server, place: &Place, id: &str) {
    server.deliver(place, &created(id));
    let is_applied = || live(place).split(' ').any(|row| row == id);
    eventually(id, is_applied);
    eventually("its acknowledgment", || server.metric("delivery_queue_length") == Some(0.0));
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        std::fs::create_dir_all(to).expect("made");
        for entry in std::fs::read_dir(from).expect("listed") {
            let name = entry.expect("an entry").file_name();
            copy(&from.join(&name), &to.join(&name));
        }
    } else if !from.to_string_lossy().ends_with(".sock") {
        std::fs::copy(from, to).expect("copied");
    }
}

fn remove(path: &Path) {
    if path.is_dir() {
        std::fs::remove_dir_all(path).expect("removed");
    } else if path.exists() {
        std::fs::remove_file(path).expect("removed");
    }
}

/// The files of each part.
const DATA: &[&str] = &["data"];
const JOURNAL: &[&str] = &["data/journal.db", "data/journal.db-wal", "data/journal.db-shm"];
const SINK: &[&str] = &["tiny.db", "tiny.db-wal", "tiny.db-shm"];
const ALL: &[&str] = &["data", "tiny.db", "tiny.db-wal", "tiny.db-shm"];

/// Where a part comes from.
#[derive(Clone, Copy, Debug)]
enum From {
    /// The backup, which was made before the second delivery.
    Backup,
    /// Another machine: a part that was made earlier, for another place.
    Elsewhere,
    /// Nowhere: it is new.
    Nothing,
}

/// The state at the end.
#[derive(Debug)]
enum Expected {
    /// These live rows.
    Rows(&'static str),
    /// This many deliveries were applied after the last start.
    Applied(f64),
}

#[test]
fn no_delivery_is_skipped_whatever_was_restored_moved_or_is_new() {
    let elsewhere = Place::new("rows = 3");
    let server = Server::start(&elsewhere);
    until_read(&server);
    deliver(&server, &elsewhere, "5");
    server.stop();

    let (place, backup) = (Place::new("rows = 3"), tempfile::tempdir().expect("a folder"));
    let server = Server::start(&place);
    until_read(&server);
    deliver(&server, &place, "6");
    server.stop();
    for part in ALL.iter().filter(|part| place.path(part).exists()) {
        copy(&place.path(part), &backup.path().join(part));
    }
    let server = Server::start(&place);
    deliver(&server, &place, "7");
    server.stop();

    // 5 was delivered elsewhere, 6 before the backup and 7 after it; 8 follows. A new sink starts with a
    // snapshot, which deletes these rows because the source does not have them: applied deliveries are
    // counted.
    let cases: &[(&str, &[&str], From, Expected)] = &[
        ("data folder", DATA, From::Backup, Rows("0 1 2 6 7 8")),
        ("data folder", DATA, From::Elsewhere, Rows("0 1 2 5 6 7 8")),
        ("data folder", DATA, From::Nothing, Rows("0 1 2 6 7 8")),
        ("journal", JOURNAL, From::Backup, Rows("0 1 2 6 7 8")),
        ("journal", JOURNAL, From::Elsewhere, Rows("0 1 2 5 6 7 8")),
        ("journal", JOURNAL, From::Nothing, Rows("0 1 2 6 7 8")),
        // The journal keeps acknowledged deliveries.
        ("sink", SINK, From::Backup, Rows("0 1 2 6 7 8")),
        ("sink", SINK, From::Elsewhere, Rows("0 1 2 5 6 7 8")),
        ("sink", SINK, From::Nothing, Applied(3.0)),
        // Nothing that is left has seen 7, or either.
        ("all", ALL, From::Backup, Rows("0 1 2 6 8")),
        ("all", ALL, From::Elsewhere, Rows("0 1 2 5 8")),
        ("all", ALL, From::Nothing, Applied(1.0)),
    ];
    for (part, files, from, expected) in cases {
        let case = format!("{part} from {from:?}");
        let copied = Place::new("rows = 3");
        for file in ALL.iter().filter(|file| place.path(file).exists()) {
            copy(&place.path(file), &copied.path(file));
        }
        for file in *files {
            remove(&copied.path(file));
            let source = match from {
                From::Backup => backup.path().join(file),
                From::Elsewhere => elsewhere.path(file),
                From::Nothing => continue,
            };
            if source.exists() {
                copy(&source, &copied.path(file));
            }
        }
        let server = Server::start(&copied);
        server.deliver(&copied, &created("8"));
        eventually(&format!("{case}: {expected:?}"), || match expected {
            Rows(rows) => live(&copied) == *rows,
            Applied(count) => server.metric("deliveries_applied_total{") == Some(*count),
        });
        server.stop();
    }
}
