//! Tests of the journal as its users see it; `tests/recovery.rs` has the cases of start-up.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection as Database;

use super::{AppendError, Cause, Failure, Journal, JournalLimits, RecoveryReport, Stored, summary};
use crate::delivery::Delivery;
use crate::error::{Error, Kind, Origin, Result};

mod moved;
mod positions;
mod recovery;

fn delivery(body: &str) -> Delivery {
    Delivery {
        received_at_ms: 1_700_000_000_000,
        method: "POST".to_owned(),
        path_with_query: "/hooks/acme".to_owned(),
        headers: vec![("x-signature".to_owned(), b"abc".to_vec())],
        body: body.as_bytes().to_vec(),
    }
}

/// Moves a delivery that the component rejected with this kind to the dead letters.
fn give_up(journal: &Journal, connection: &str, seq: u64, kind: &str, reason: &str) -> Result<()> {
    let kind = serde_json::from_value(kind.into()).expect("a kind");
    let error = Error::new(Origin::Component, kind, reason);
    journal.give_up(connection, seq, Failure::of(Cause::Refused, &error, 3, 1_700_000_000_500))
}

fn open_with(folder: &Path, limits: JournalLimits) -> (Journal, RecoveryReport) {
    Journal::open(folder.join("journal.db"), limits).expect("opened")
}

fn open(folder: &Path) -> (Journal, RecoveryReport) {
    open_with(folder, JournalLimits::default())
}

fn raw(folder: &Path) -> Database {
    Database::open(folder.join("journal.db")).expect("opened")
}

async fn append(journal: &Journal, connection: &str, bodies: &[&str]) -> Vec<u64> {
    let mut seqs = Vec::new();
    for body in bodies {
        seqs.push(journal.append(connection, delivery(body)).await.expect("appended"));
    }
    seqs
}

fn bodies(stored: &[Stored]) -> Vec<String> {
    stored.iter().map(|stored| String::from_utf8_lossy(&stored.delivery.body).into_owned()).collect()
}

fn pending(journal: &Journal, connection: &str) -> Vec<String> {
    bodies(&journal.next(connection, 0, usize::MAX, usize::MAX).expect("read"))
}

#[tokio::test]
async fn deliveries_are_read_in_order_and_per_connection() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, found) = open(folder.path());
    assert_eq!(found, RecoveryReport::default());
    let a = append(&journal, "a", &["a1", "a2"]).await;
    let b = append(&journal, "b", &["b1"]).await;
    append(&journal, "a", &["a3"]).await;
    assert!(a[0] < a[1] && a[1] < b[0]);
    let stored = journal.next("a", 0, 10, usize::MAX).expect("read");
    assert_eq!(stored[0], Stored { seq: a[0], delivery: delivery("a1") });
    assert_eq!(bodies(&stored), ["a1", "a2", "a3"]);
    assert_eq!(pending(&journal, "b"), ["b1"]);
    assert_eq!(pending(&journal, "unknown"), [""; 0]);
    assert_eq!(bodies(&journal.next("a", a[0], 10, usize::MAX).expect("read")), ["a2", "a3"]);
    assert_eq!(bodies(&journal.next("a", 0, 2, usize::MAX).expect("read")), ["a1", "a2"]);
    assert_eq!(bodies(&journal.next("a", 0, 10, 1).expect("read")), ["a1"], "one of any size");
}

#[tokio::test]
async fn acknowledged_deliveries_leave_the_queue_and_others_stay() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open(folder.path());
    let a = append(&journal, "a", &["a1", "a2", "a3"]).await;
    append(&journal, "b", &["b1"]).await;
    let full = journal.depth("a");
    assert_eq!((full.count, full.oldest_ms, full.dead), (3, Some(1_700_000_000_000), 0));
    journal.acknowledge("a", &a[..2]).expect("acknowledged");
    journal.acknowledge("a", &a[..1]).expect("again does no harm");
    journal.acknowledge("unknown", &a).expect("nor for an unknown connection");
    assert_eq!(pending(&journal, "a"), ["a3"]);
    assert_eq!(pending(&journal, "b"), ["b1"]);
    let depth = journal.depth("a");
    assert_eq!((depth.count, depth.bytes), (1, full.bytes / 3));
}

#[tokio::test]
async fn a_dead_letter_with_an_unknown_cause_is_an_error_and_no_corrupt_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open(folder.path());
    let seqs = append(&journal, "a", &["1"]).await;
    give_up(&journal, "a", seqs[0], "data", "not JSON").expect("given up");
    raw(folder.path()).execute("UPDATE dead_letters SET cause = 'newer'", []).expect("updated");
    let error = journal.dead_letters(None, 0, 10).expect_err("unknown");
    let expected = ": unknown cause `newer` of a dead letter; another version may know it";
    assert!(error.message.ends_with(expected) && error.origin == Origin::State, "{error}");
    assert_eq!(journal.depth("a").dead, 1, "it stays");
}

#[tokio::test]
async fn a_seq_is_never_used_twice_not_even_by_another_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = |now_ms: u64| {
        let path = folder.path().join("journal.db");
        Journal::open_at(&path, JournalLimits::default(), now_ms).expect("opened").0
    };
    let journal = open(1_700_000_000_000);
    let seqs = append(&journal, "a", &["1", "2"]).await;
    let last = seqs[1];
    assert_eq!(last, 1_700_000_000_000_002, "microseconds of the file's creation, plus two");
    journal.acknowledge("a", &seqs).expect("acknowledged");
    drop(journal);
    let journal = open(1_700_000_000_001);
    let next = append(&journal, "a", &["3"]).await[0];
    assert_eq!(next, last + 1, "numbers continue when the file exists");
    drop(journal);
    for suffix in ["", "-wal", "-shm"] {
        let _missing = std::fs::remove_file(folder.path().join(format!("journal.db{suffix}")));
    }
    let journal = open(1_700_000_000_001);
    assert!(append(&journal, "a", &["4"]).await[0] > next, "a new file used numbers of the former one");
}

#[tokio::test]
async fn a_full_queue_rejects_keeps_its_deliveries_and_does_not_affect_others() {
    let by_count = JournalLimits { count: 2, ..JournalLimits::default() };
    let by_bytes = JournalLimits { bytes: 400, ..JournalLimits::default() };
    for limits in [by_count, by_bytes] {
        let folder = tempfile::tempdir().expect("a folder");
        let (journal, _) = open_with(folder.path(), limits);
        let long = "x".repeat(80);
        let seqs = append(&journal, "a", &[&long, &long]).await;
        assert_eq!(journal.append("a", delivery(&long)).await, Err(AppendError::Full));
        append(&journal, "b", &[&long]).await;
        assert_eq!(pending(&journal, "a").len(), 2);
        journal.acknowledge("a", &seqs[..1]).expect("acknowledged");
        append(&journal, "a", &[&long]).await;
        assert_eq!(journal.append("a", delivery(&long)).await, Err(AppendError::Full));
    }
}

#[tokio::test]
async fn dead_letters_are_listed_shown_replayed_at_the_end_and_dropped() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open(folder.path());
    let seqs = append(&journal, "a", &["1", "2", "3"]).await;
    append(&journal, "b", &["b"]).await;
    give_up(&journal, "a", seqs[0], "permission", "no access to `x`").expect("given up");
    give_up(&journal, "a", seqs[1], "data", "not JSON").expect("given up");
    give_up(&journal, "a", seqs[1], "data", "twice does no harm").expect("given up");
    give_up(&journal, "b", seqs[2], "data", "of another connection").expect("nothing to give up");
    assert_eq!(pending(&journal, "a"), ["3"]);
    let depth = journal.depth("a");
    assert_eq!((depth.count, depth.dead), (1, 2));

    let letters = journal.dead_letters(None, 0, 10).expect("listed");
    assert_eq!(letters, journal.dead_letters(Some("a"), 0, 10).expect("listed"));
    assert_eq!(journal.dead_letters(Some("b"), 0, 10).expect("listed"), []);
    assert_eq!(letters.len(), 2);
    let failure = &letters[0].failure;
    assert_eq!((failure.kind.as_str(), failure.reason.as_str()), ("permission", "no access to `x`"));
    assert_eq!((failure.cause, failure.attempts), (Cause::Refused, 3));
    assert_eq!(failure.first_failed_at_ms, 1_700_000_000_500);
    assert_eq!((letters[0].seq, letters[0].connection.as_str()), (seqs[0], "a"));
    assert_eq!(journal.dead_letters(None, letters[0].id, 10).expect("listed"), letters[1..]);
    let shown = journal.dead_letter(letters[0].id).expect("read").expect("there");
    assert_eq!((shown.delivery, shown.corrupt), (delivery("1"), None));

    let mut arrivals = journal.arrivals("a");
    arrivals.mark_unchanged();
    let again = journal.replay(&[letters[0].id]).expect("replayed");
    assert!(again[0] > seqs[2]);
    assert!(arrivals.has_changed().expect("open"), "readers are not woken by the replay");
    assert_eq!(pending(&journal, "a"), ["3", "1"]);
    let error = journal.replay(&[letters[1].id, letters[0].id]).expect_err("replayed twice");
    assert_eq!(error.kind, Kind::NotFound);
    assert_eq!(pending(&journal, "a"), ["3", "1"], "all or none");

    assert_eq!(journal.drop_dead(&[letters[1].id, 999]).expect("dropped"), 1);
    let depth = journal.depth("a");
    assert_eq!((depth.count, depth.dead), (2, 0));
    assert_eq!(journal.dead_letter(letters[1].id).expect("read"), None);
}

#[tokio::test]
async fn a_dead_letter_named_twice_is_replayed_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open(folder.path());
    let seqs = append(&journal, "a", &["1"]).await;
    give_up(&journal, "a", seqs[0], "data", "x").expect("given up");
    let id = journal.dead_letters(None, 0, 10).expect("listed")[0].id;
    assert_eq!(journal.replay(&[id, id]).expect("replayed").len(), 1);
    assert_eq!(pending(&journal, "a"), ["1"]);
}

#[tokio::test]
async fn replays_respect_the_limits_of_their_connection() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open_with(folder.path(), JournalLimits { count: 1, ..JournalLimits::default() });
    let seqs = append(&journal, "a", &["1"]).await;
    give_up(&journal, "a", seqs[0], "data", "x").expect("given up");
    append(&journal, "a", &["2"]).await;
    let id = journal.dead_letters(None, 0, 10).expect("listed")[0].id;
    let error = journal.replay(&[id]).expect_err("full");
    assert_eq!(error.message, "connection `a`: its journal is full");
    assert_eq!(journal.dead_letters(None, 0, 10).expect("listed").len(), 1);
}

#[tokio::test]
async fn a_delivery_stays_queued_while_dead_letters_are_full() {
    let folder = tempfile::tempdir().expect("a folder");
    let limits = JournalLimits { dead_count: 1, age: Duration::from_secs(60), ..JournalLimits::default() };
    let (journal, _) = open_with(folder.path(), limits);
    let seqs = append(&journal, "a", &["1", "2"]).await;
    give_up(&journal, "a", seqs[0], "data", "x").expect("given up");
    let error = give_up(&journal, "a", seqs[1], "data", "x").expect_err("full");
    assert_eq!(error.message, "connection `a`: its dead letters are full");
    assert_eq!(journal.expire(u64::MAX).expect("looked"), 0);
    assert_eq!(pending(&journal, "a"), ["2"], "deleted");
}

#[tokio::test]
async fn unproved_dead_letters_are_evicted_first_and_an_unproved_delivery_without_room_is_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    let limits = JournalLimits { dead_count: 2, ..JournalLimits::default() };
    let (journal, _) = open_with(folder.path(), limits.clone());
    let seqs = append(&journal, "a", &["1", "2", "3", "4", "5", "6", "7"]).await;
    append(&journal, "b", &["b"]).await;
    let reject = |index: usize, kind: &str| give_up(&journal, "a", seqs[index], kind, "x");
    let kinds = || -> Vec<String> {
        let letters = journal.dead_letters(Some("a"), 0, 10).expect("listed");
        letters
            .into_iter()
            .map(|letter| format!("{} {}", letter.seq - seqs[0] + 1, letter.failure.kind))
            .collect()
    };
    let evicted = || journal.letter_counts("a").evicted;
    assert_eq!((reject(0, "permission"), reject(1, "permission"), evicted()), (Ok(()), Ok(()), 0));
    let summary = summary(journal.path(), "a", &limits).expect("read next to the writer");
    assert_eq!((summary.dead_percent, summary.depth), (100, journal.depth("a")));
    assert_eq!(summary.last_dead.map(|letter| letter.seq), Some(seqs[1]));
    assert_eq!((reject(2, "permission"), evicted()), (Ok(()), 1), "the oldest is evicted");
    assert_eq!(kinds(), ["2 permission", "3 permission"]);
    assert_eq!((reject(3, "data"), reject(4, "data")), (Ok(()), Ok(())));
    assert_eq!(evicted(), 3, "unproved ones are evicted for others");
    assert_eq!(kinds(), ["4 data", "5 data"]);
    assert_eq!((reject(5, "permission"), evicted()), (Ok(()), 4), "and others are not evicted for them");
    assert_eq!(kinds(), ["4 data", "5 data"]);
    let error = reject(6, "data").expect_err("full");
    assert_eq!(error.kind, Kind::Unavailable);
    assert!(error.hint.is_some_and(|hint| hint.contains("dead-letters drop")));
    assert_eq!(pending(&journal, "a"), ["7"]);
    let depth = journal.depth("a");
    assert_eq!((depth.count, depth.dead), (1, 2));
    assert_eq!(pending(&journal, "b"), ["b"], "another connection is not affected");
    drop(journal);
    let (journal, found) = open(folder.path());
    assert_eq!((found.connections[0].pending, found.connections[0].dead), (1, 2), "counted as on disk");
    assert_eq!(journal.drop_dead(&[4]).expect("dropped"), 1);
}

#[tokio::test]
async fn a_delivery_that_is_rejected_or_not_applied_is_reported_as_missed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open_with(folder.path(), JournalLimits { count: 2, ..JournalLimits::default() });
    let mut missed = journal.missed_deliveries().subscribe("a");
    let mut others = journal.missed_deliveries().subscribe("b");
    let mut next = || missed.has_changed().expect("open").then(|| *missed.borrow_and_update());
    let seqs = append(&journal, "a", &["1", "2"]).await;
    assert_eq!(next(), None);
    assert_eq!(journal.append("a", delivery("3")).await, Err(AppendError::Full));
    assert_eq!(next(), Some("the journal is full"));
    give_up(&journal, "a", seqs[0], "permission", "forged").expect("given up");
    assert_eq!(next(), None, "a forgery is not a missed delivery");
    give_up(&journal, "a", seqs[1], "data", "not JSON").expect("given up");
    assert_eq!(next(), Some("a delivery could not be applied"));
    append(&journal, "a", &["4"]).await;
    assert_eq!(journal.expire(u64::MAX / 2).expect("looked"), 1);
    assert_eq!(next(), Some("a delivery could not be applied"));
    assert!(!others.has_changed().expect("open"));
    journal.inner.queue.abandon();
    others.mark_unchanged();
    assert!(journal.append("b", delivery("1")).await.is_err());
    assert!(others.has_changed().expect("open"));
}

#[tokio::test]
async fn a_delivery_queued_for_too_long_becomes_a_dead_letter() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open(folder.path());
    append(&journal, "a", &["1", "2"]).await;
    let now_ms = crate::clock::now_ms();
    assert_eq!(journal.expire(now_ms).expect("looked"), 0);
    let week_ms = 7 * 24 * 3600 * 1000;
    assert_eq!(journal.expire(now_ms + week_ms + 60_000).expect("looked"), 2);
    assert_eq!(pending(&journal, "a"), [""; 0]);
    let letters = journal.dead_letters(Some("a"), 0, 10).expect("listed");
    assert_eq!(letters[1].failure.cause, Cause::Expired);
    assert_eq!(letters[1].failure.reason, "queued for longer than 604800 s");
    // The age of a replayed delivery counts from its replay.
    journal.replay(&[letters[0].id]).expect("replayed");
    assert_eq!(journal.expire(now_ms + 60_000).expect("looked"), 0);
}

#[tokio::test]
async fn a_delivery_that_a_clock_ahead_appended_does_not_keep_those_behind_it_from_expiring() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open(folder.path());
    let seqs = append(&journal, "a", &["ahead", "old"]).await;
    let ahead = "UPDATE deliveries SET appended_at_ms = 4000000000000 WHERE seq = ?1";
    raw(folder.path()).execute(ahead, [seqs[0].cast_signed()]).expect("updated");
    let week_ms = 7 * 24 * 3600 * 1000;
    assert_eq!(journal.expire(crate::clock::now_ms() + week_ms + 60_000).expect("looked"), 1);
    assert_eq!(pending(&journal, "a"), ["ahead"]);
}

#[tokio::test]
async fn a_connection_whose_dead_letters_are_full_does_not_keep_others_from_expiring() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open_with(folder.path(), JournalLimits { dead_count: 1, ..JournalLimits::default() });
    let seqs = append(&journal, "full", &["1"]).await;
    give_up(&journal, "full", seqs[0], "data", "x").expect("given up");
    // More deliveries than one transaction expires.
    let tasks: Vec<_> = (0..super::limits::EXPIRE_COUNT_MAX + 1)
        .map(|number| {
            let journal = journal.clone();
            tokio::spawn(async move { journal.append("full", delivery(&number.to_string())).await })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic").expect("appended");
    }
    append(&journal, "b", &["b1"]).await;
    assert_eq!(journal.expire(u64::MAX / 2).expect("looked"), 1);
    assert_eq!(pending(&journal, "b"), [""; 0]);
    assert_eq!(pending(&journal, "full").len(), super::limits::EXPIRE_COUNT_MAX + 1);
}

#[tokio::test]
async fn readers_are_woken_by_each_commit() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open(folder.path());
    let mut arrivals = journal.arrivals("a");
    append(&journal, "b", &["b"]).await;
    assert!(!arrivals.has_changed().expect("open"), "woken by another connection");
    let seq = append(&journal, "a", &["a"]).await[0];
    arrivals.changed().await.expect("open");
    assert_eq!(*arrivals.borrow_and_update(), seq);
    journal.acknowledge("a", &[seq]).expect("acknowledged");
    assert!(!arrivals.has_changed().expect("open"), "woken by an acknowledgement");
    drop(journal);
    let (journal, _) = open(folder.path());
    append(&journal, "a", &["a"]).await;
    assert!(*journal.arrivals("a").borrow() > seq);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_appends_each_get_their_own_number() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open(folder.path());
    let tasks: Vec<_> = (0..2_000)
        .map(|number| {
            let journal = journal.clone();
            tokio::spawn(async move { journal.append("a", delivery(&number.to_string())).await })
        })
        .collect();
    let mut seqs = Vec::new();
    for task in tasks {
        seqs.push(task.await.expect("no panic").expect("appended"));
    }
    seqs.sort_unstable();
    seqs.dedup();
    assert_eq!(seqs.len(), 2_000);
    let stored = journal.next("a", 0, usize::MAX, usize::MAX).expect("read");
    assert_eq!(stored.iter().map(|stored| stored.seq).collect::<Vec<_>>(), seqs);
}

#[tokio::test]
async fn a_full_file_rejects_appends_until_an_acknowledgment_frees_space() {
    let folder = tempfile::tempdir().expect("a folder");
    let limits = JournalLimits { file_bytes: 512 * 1024, ..JournalLimits::default() };
    let (journal, _) = open_with(folder.path(), limits);
    let long = "x".repeat(10_000);
    let mut seqs = Vec::new();
    let error = loop {
        match journal.append("a", delivery(&long)).await {
            Ok(seq) => seqs.push(seq),
            Err(error) => break error,
        }
    };
    let AppendError::Failed(reason) = error else { panic!("{error:?}") };
    assert!(reason.contains("full"), "{reason}");
    let depth = journal.depth("a");
    assert_eq!(pending(&journal, "a").len() as u64, depth.count, "an answered delivery is missing");
    assert!(journal.append("a", delivery(&long)).await.is_err());
    let error = give_up(&journal, "a", seqs[0], "data", "x").expect_err("no room");
    assert_eq!((error.origin, error.kind), (Origin::State, Kind::Unavailable), "{error}");
    journal.acknowledge("a", &seqs).expect("acknowledged although appends fail");
    assert_eq!(journal.depth("a").count, 0);
    append(&journal, "a", &[&long]).await;
    assert_eq!(pending(&journal, "a").len(), 1);
}

#[tokio::test]
async fn changes_by_another_process_are_noticed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, _) = open(folder.path());
    let seq = append(&server, "a", &["1"]).await[0];
    give_up(&server, "a", seq, "data", "x").expect("given up");
    let mut arrivals = server.arrivals("a");
    arrivals.mark_unchanged();

    let path = folder.path().join("journal.db");
    let other = Journal::join(path, JournalLimits::default()).expect("joined");
    let id = other.dead_letters(None, 0, 10).expect("listed")[0].id;
    other.replay(&[id]).expect("replayed");
    drop(other);

    let noticed = tokio::time::timeout(Duration::from_secs(30), arrivals.changed()).await;
    noticed.expect("noticed").expect("open");
    let depth = server.depth("a");
    assert_eq!((depth.count, depth.dead), (1, 0));
    assert_eq!(pending(&server, "a"), ["1"]);
    append(&server, "a", &["2"]).await;
    assert_eq!(server.depth("a").count, 2);
}

#[tokio::test]
async fn a_closed_journal_answers_with_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open(folder.path());
    journal.inner.queue.abandon();
    assert!(matches!(journal.append("a", delivery("1")).await, Err(AppendError::Failed(_))));
    assert!(journal.acknowledge("a", &[1]).is_err());
}

#[test]
fn only_the_owner_may_read_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let (_journal, _) = open(folder.path());
    for entry in std::fs::read_dir(folder.path()).expect("listed") {
        let entry = entry.expect("an entry");
        let mode = entry.metadata().expect("metadata").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.file_name());
    }
}
