//! Backups: the rows in the sink after data folder, journal, sink or all of them were restored from a backup,
//! at once or after a long downtime, moved, or are new. `docs/operating.md` has the same table.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use self::Expected::{Applied, Rows};
use super::{Server, event, eventually, later, until_read};
use crate::support::Place;

/// A row that no poll brings. It is as new as a row can be whenever it is applied: a snapshot deletes no row
/// that is newer.
fn created(id: &str) -> Value {
    event("things", id, "create", later() + 24 * 3_600_000)
}

/// A kind of sink.
#[derive(Debug)]
struct Kind {
    name: &'static str,
    /// Its files.
    files: &'static [&'static str],
    live: fn(&Place) -> String,
}

const KINDS: [Kind; 3] = [
    Kind { name: "sqlite", files: &["tiny.db", "tiny.db-wal", "tiny.db-shm"], live: super::live },
    Kind { name: "jsonl", files: &["tiny"], live: |place| live_in(&place.path("tiny/things")) },
    // Its files come from the log, which has not been sealed.
    Kind { name: "parquet", files: &["tiny"], live: |place| live_in(&place.path("tiny/_log/things")) },
];

impl Kind {
    fn place(&self) -> Place {
        Place::new(&format!("rows = 3\n[sink]\nkind = \"{}\"", self.name))
    }

    /// The files of data folder and sink.
    fn all(&self) -> impl Iterator<Item = &'static str> {
        DATA.iter().chain(self.files).copied()
    }
}

/// The keys that are live in a folder of lines, by the rules of `docs/sinks.md`. No snapshot ends twice here.
fn live_in(folder: &Path) -> String {
    let mut newest: BTreeMap<String, (i64, bool)> = BTreeMap::new();
    let mut segments: Vec<_> = std::fs::read_dir(folder).expect("listed").flatten().collect();
    segments.sort_by_key(std::fs::DirEntry::file_name);
    for segment in segments {
        for line in std::fs::read_to_string(segment.path()).expect("read").lines() {
            // The last line may be half written.
            let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
            let Some(id) = line["key"]["id"].as_str() else { continue };
            let as_of = line["as_of_ms"].as_i64().unwrap_or(0);
            if newest.get(id).is_none_or(|(known, _)| *known <= as_of) {
                newest.insert(id.to_owned(), (as_of, line["after"].is_object()));
            }
        }
    }
    let live = newest.iter().filter(|(_, (_, is_live))| *is_live);
    live.map(|(id, _)| id.as_str()).collect::<Vec<_>>().join(" ")
}

/// Applies one delivery.
fn deliver(server: &Server, place: &Place, kind: &Kind, id: &str) {
    server.deliver(place, &created(id));
    eventually(id, || (kind.live)(place).split(' ').any(|row| row == id));
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

/// As long ago as no delivery is kept or queued: the time in which no server ran.
const DOWNTIME_MS: i64 = 31 * 24 * 3_600_000;

/// Lets a long time pass for a journal that no process has open.
fn age(journal: &Path) {
    if journal.exists() {
        let aged = "UPDATE deliveries SET appended_at_ms = appended_at_ms - ?1,
            acknowledged_at_ms = acknowledged_at_ms - ?1";
        rusqlite::Connection::open(journal).expect("opened").execute(aged, [DOWNTIME_MS]).expect("aged");
    }
}

/// A part with its origin, and the state at the end.
type Case = (&'static str, Vec<&'static str>, From, Expected);

fn cases(kind: &Kind) -> Vec<Case> {
    let (data, journal) = (|| DATA.to_vec(), || JOURNAL.to_vec());
    let (sink, all) = (|| kind.files.to_vec(), || kind.all().collect());
    // 5 was delivered elsewhere, 6 before the backup and 7 after it; 8 follows. A new sink starts with a
    // snapshot, which deletes these rows because the source does not have them: applied deliveries are
    // counted.
    vec![
        ("data folder", data(), From::Backup, Rows("0 1 2 6 7 8")),
        ("data folder", data(), From::Elsewhere, Rows("0 1 2 5 6 7 8")),
        ("data folder", data(), From::Nothing, Rows("0 1 2 6 7 8")),
        ("journal", journal(), From::Backup, Rows("0 1 2 6 7 8")),
        ("journal", journal(), From::Elsewhere, Rows("0 1 2 5 6 7 8")),
        ("journal", journal(), From::Nothing, Rows("0 1 2 6 7 8")),
        // The journal keeps acknowledged deliveries.
        ("sink", sink(), From::Backup, Rows("0 1 2 6 7 8")),
        ("sink", sink(), From::Elsewhere, Rows("0 1 2 5 6 7 8")),
        ("sink", sink(), From::Nothing, Applied(3.0)),
        // Nothing that is left has seen 7, or either.
        ("all", all(), From::Backup, Rows("0 1 2 6 8")),
        ("all", all(), From::Elsewhere, Rows("0 1 2 5 8")),
        ("all", all(), From::Nothing, Applied(1.0)),
    ]
}

fn no_delivery_is_skipped(kind: &Kind, is_late: bool) {
    let elsewhere = kind.place();
    let server = Server::start(&elsewhere);
    until_read(&server);
    deliver(&server, &elsewhere, kind, "5");
    server.stop();

    let (place, backup) = (kind.place(), tempfile::tempdir().expect("a folder"));
    let server = Server::start(&place);
    until_read(&server);
    deliver(&server, &place, kind, "6");
    server.stop();
    for part in kind.all().filter(|part| place.path(part).exists()) {
        copy(&place.path(part), &backup.path().join(part));
    }
    let server = Server::start(&place);
    deliver(&server, &place, kind, "7");
    server.stop();
    if is_late {
        for folder in [&elsewhere.path(""), &place.path(""), backup.path()] {
            age(&folder.join("data/journal.db"));
        }
    }

    for (part, files, from, expected) in cases(kind) {
        let case = format!("{kind:?}: {part} from {from:?}, late: {is_late}");
        let copied = kind.place();
        for file in kind.all().filter(|file| place.path(file).exists()) {
            copy(&place.path(file), &copied.path(file));
        }
        for file in files {
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
        eventually(&format!("{case}: {expected:?}"), || match &expected {
            Rows(rows) => (kind.live)(&copied) == *rows,
            Applied(count) => server.metric("deliveries_applied_total{") == Some(*count),
        });
        server.stop();
    }
}

#[test]
fn no_delivery_is_skipped_whatever_was_restored_moved_or_is_new() {
    no_delivery_is_skipped(&KINDS[0], false);
}

#[test]
fn no_delivery_is_skipped_after_a_long_downtime_either() {
    no_delivery_is_skipped(&KINDS[0], true);
}

#[test]
fn no_delivery_is_skipped_with_json_lines() {
    no_delivery_is_skipped(&KINDS[1], true);
}

#[test]
fn no_delivery_is_skipped_with_parquet_files() {
    no_delivery_is_skipped(&KINDS[2], true);
}
