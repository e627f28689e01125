//! Tests of positions: what a connection continues with after its sink or the journal was restored.

use std::collections::BTreeSet;
use std::path::Path;

use super::{append, bodies, delivery, open, open_with, pending, raw};
use crate::inbox::Position;
use crate::journal::database::note_opening;
use crate::journal::limits::{KEPT_AGE, OPENINGS_MAX};
use crate::journal::{Journal, JournalLimits};
use crate::sinks::InboxPosition;

/// Appends and acknowledges; the position that a sink would store.
async fn applied(journal: &Journal, all: &[&str]) -> InboxPosition {
    let seqs = append(journal, "a", all).await;
    journal.acknowledge("a", &seqs).expect("acknowledged");
    journal.named(&Position::from(*seqs.last().expect("one")))
}

fn resumed(journal: &Journal, stored: Option<&InboxPosition>) -> (Vec<String>, bool) {
    let resumed = journal.resume("a", stored).expect("resumed");
    let after = resumed.position.through;
    let mut next = bodies(&journal.next("a", after, usize::MAX, usize::MAX).expect("read"));
    for seq in &resumed.position.waiting {
        next.extend(bodies(&journal.next("a", seq - 1, 1, usize::MAX).expect("read")));
    }
    (next, resumed.doubt.is_some())
}

fn backup(folder: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a folder");
    for entry in std::fs::read_dir(folder).expect("listed") {
        let path = entry.expect("an entry").path();
        std::fs::copy(&path, copy.path().join(path.file_name().expect("a name"))).expect("copied");
    }
    copy
}

#[tokio::test]
async fn a_sink_that_is_older_than_the_journal_gets_what_it_misses() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open(folder.path());
    let former = applied(&journal, &["1"]).await;
    let current = applied(&journal, &["2", "3"]).await;
    append(&journal, "a", &["4"]).await;
    assert_eq!(resumed(&journal, Some(&current)), (vec!["4".to_owned()], false));
    assert_eq!(resumed(&journal, Some(&former)).0, ["2", "3", "4"], "restored from a backup");
    assert_eq!(resumed(&journal, None).0, ["1", "2", "3", "4"], "a new sink");
    drop(journal);
    let (journal, _) = open(folder.path());
    assert_eq!(resumed(&journal, Some(&current)), (vec!["4".to_owned()], false), "after a restart");
}

#[tokio::test]
async fn a_sink_that_is_restored_after_a_long_downtime_gets_what_it_misses() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open(folder.path());
    let former = applied(&journal, &["1"]).await;
    applied(&journal, &["2", "3"]).await;
    append(&journal, "a", &["4"]).await;
    drop(journal);
    // No process runs for a month.
    let ago = "UPDATE deliveries SET appended_at_ms = appended_at_ms - ?1,
        acknowledged_at_ms = acknowledged_at_ms - ?1";
    raw(folder.path()).execute(ago, [31_i64 * 24 * 3_600_000]).expect("aged");
    let (journal, _) = open(folder.path());
    // The writer has looked at the file once it sees what another process adds.
    let mut arrivals = journal.arrivals("a");
    let other = Journal::join(folder.path().join("journal.db"), JournalLimits::default()).expect("joined");
    append(&other, "a", &["5"]).await;
    arrivals.changed().await.expect("seen");
    assert_eq!(resumed(&journal, Some(&former)).0, ["2", "3", "4", "5"]);
}

#[tokio::test]
async fn a_crash_between_commit_and_acknowledgment_repeats_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open(folder.path());
    let seqs = append(&journal, "a", &["1", "2", "3"]).await;
    let position = Position { through: seqs[1], waiting: BTreeSet::from([seqs[0]]) };
    let stored = journal.named(&position);
    drop(journal);
    let (journal, _) = open(folder.path());
    assert_eq!(resumed(&journal, Some(&stored)), (vec!["3".to_owned(), "1".to_owned()], false));
    assert_eq!(pending(&journal, "a"), ["1", "3"], "the second one is acknowledged");
}

#[tokio::test]
async fn a_delivery_that_waited_when_the_sink_was_backed_up_is_queued_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open(folder.path());
    let seqs = append(&journal, "a", &["1", "2"]).await;
    let waiting = Position { through: seqs[1], waiting: BTreeSet::from([seqs[0]]) };
    journal.acknowledge("a", &seqs[1..]).expect("acknowledged");
    assert_eq!(pending(&journal, "a"), ["1"]);
    journal.acknowledge("a", &seqs[..1]).expect("acknowledged");
    assert_eq!(resumed(&journal, Some(&journal.named(&waiting))), (vec!["1".to_owned()], false));
}

#[tokio::test]
async fn a_journal_that_is_older_than_the_sink_skips_no_delivery() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open(folder.path());
    applied(&journal, &["1"]).await;
    append(&journal, "a", &["2"]).await;
    drop(journal);
    let copy = backup(folder.path());
    let (journal, _) = open(folder.path());
    journal.resume("a", None).expect("resumed");
    let sink = applied(&journal, &["3", "4"]).await;
    let (journal, _) = open(copy.path());
    let mut missed = journal.missed_deliveries().subscribe("a");
    // The numbers of 3 and 4 are used again before the sink is asked.
    append(&journal, "a", &["5", "6", "7"]).await;
    let (next, is_doubted) = resumed(&journal, Some(&sink));
    assert_eq!((next.as_slice(), is_doubted), (["1", "2", "5", "6", "7"].map(String::from).as_slice(), true));
    assert_eq!(*missed.borrow_and_update(), "the sink's position belongs to another journal");
    let sink = applied(&journal, &["8"]).await;
    assert_eq!(resumed(&journal, Some(&sink)), (vec![], false), "from then on it is this journal's");
}

#[tokio::test]
async fn a_journal_restored_within_one_opening_is_recognized_by_its_last_number() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open(folder.path());
    applied(&journal, &["1"]).await;
    // Copied while the server runs.
    let copy = backup(folder.path());
    let sink = applied(&journal, &["2"]).await;
    let (journal, _) = open(copy.path());
    append(&journal, "a", &["3"]).await;
    assert_eq!(resumed(&journal, Some(&sink)), (vec!["1".to_owned(), "3".to_owned()], true));
}

#[tokio::test]
async fn a_command_between_a_restore_and_the_next_server_extends_no_opening() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open(folder.path());
    for seq in append(&journal, "a", &["dead", "dead too"]).await {
        super::give_up(&journal, "a", seq, "data", "x").expect("given up");
    }
    applied(&journal, &["1"]).await;
    let copy = backup(folder.path());
    let sink = applied(&journal, &["2"]).await;
    // Each is a separate process, as the command line's are.
    let joined = || Journal::join(copy.path().join("journal.db"), JournalLimits::default()).expect("joined");
    let letters = joined().dead_letters(Some("a"), 0, 10).expect("listed");
    let ids: Vec<u64> = letters.iter().map(|letter| letter.id).collect();
    let replayed = joined().replay(&ids).expect("replayed");
    assert!(replayed[0] == sink.through && replayed[1] > sink.through, "the number of 2 is used again");
    let openings = "SELECT count(*) FROM openings";
    let openings: i64 = raw(copy.path()).query_row(openings, [], |row| row.get(0)).expect("counted");
    assert_eq!(openings, 2, "the server's, and one end of it for all commands");
    let (journal, _) = open(copy.path());
    let (next, is_doubted) = resumed(&journal, Some(&sink));
    assert_eq!((next.as_slice(), is_doubted), (["1", "dead", "dead too"].map(String::from).as_slice(), true));
}

#[tokio::test]
async fn a_new_journal_skips_no_delivery_whatever_its_numbers() {
    let (old, new) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let sink = applied(&open(old.path()).0, &["1"]).await;
    for now_ms in [1_000, 4_000_000_000_000] {
        let path = new.path().join(format!("{now_ms}.db"));
        let (journal, _) = Journal::open_at(&path, JournalLimits::default(), now_ms).expect("opened");
        append(&journal, "a", &["2"]).await;
        assert_eq!(resumed(&journal, Some(&sink)), (vec!["2".to_owned()], true), "{now_ms}");
        drop(journal);
        std::fs::remove_file(path.with_extension("lock")).expect("removed");
    }
}

#[tokio::test]
async fn acknowledged_deliveries_are_kept_for_an_hour_and_within_their_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    let body = "x".repeat(1_000);
    let (journal, _) =
        open_with(folder.path(), JournalLimits { kept_bytes: 2_500, ..JournalLimits::default() });
    let kept = || -> i64 {
        let sql = "SELECT count(*) FROM deliveries WHERE acknowledged_at_ms IS NOT NULL";
        raw(folder.path()).query_row(sql, [], |row| row.get(0)).expect("counted")
    };
    for _ in 0..4 {
        applied(&journal, &[&body]).await;
    }
    assert_eq!((kept(), journal.depth("a").count), (2, 0));
    append(&journal, "a", &["queued"]).await;
    let now_ms = crate::clock::now_ms();
    let hour_ms = u64::try_from(KEPT_AGE.as_millis()).expect("small");
    journal.expire(now_ms + hour_ms - 60_000).expect("looked");
    assert_eq!(kept(), 2);
    journal.expire(now_ms + hour_ms + 60_000).expect("looked");
    assert_eq!((kept(), pending(&journal, "a")), (0, vec!["queued".to_owned()]));
}

#[tokio::test]
async fn kept_deliveries_give_way_to_new_ones_in_a_full_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let limits = JournalLimits { file_bytes: 1 << 20, ..JournalLimits::default() };
    let (journal, _) = open_with(folder.path(), limits);
    let body = "x".repeat(100_000);
    for round in 0..30 {
        let seq = journal.append("a", delivery(&body)).await;
        let seq = seq.unwrap_or_else(|error| panic!("round {round}: {error}"));
        journal.acknowledge("a", &[seq]).expect("acknowledged");
    }
    assert!(std::fs::metadata(journal.path()).expect("a file").len() <= 1 << 20);
}

#[tokio::test]
async fn kept_deliveries_stay_when_a_commit_fails_for_another_reason_than_space() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open(folder.path());
    let former = applied(&journal, &["1"]).await;
    applied(&journal, &["2"]).await;
    journal.fail_next(1);
    journal.append("a", delivery("3")).await.expect_err("it fails");
    assert_eq!(resumed(&journal, Some(&former)), (vec!["2".to_owned()], false));
}

#[tokio::test]
async fn free_space_returns_to_the_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open(folder.path());
    let body = "x".repeat(1 << 20);
    let seqs = append(&journal, "a", &[body.as_str(); 24]).await;
    journal.acknowledge("a", &seqs).expect("acknowledged");
    journal.expire(u64::MAX / 4).expect("evicted");
    drop(journal);
    let database = raw(folder.path());
    crate::journal::writer::shrink(&database).expect("shrunk");
    database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("checkpoint");
    let after = std::fs::metadata(folder.path().join("journal.db")).expect("a file").len();
    // It had 24 MiB. The writer returns space as well, if a second passes before it ends.
    assert!(after < 14 << 20, "{after}");
}

#[tokio::test]
async fn a_move_that_fills_the_target_leaves_both_counts_right() {
    let folder = tempfile::tempdir().expect("a folder");
    let limits = JournalLimits { count: 3, dead_count: 2, ..JournalLimits::default() };
    let (journal, _) = open_with(folder.path(), limits);
    let counts = |connection: &str| {
        let depth = journal.depth(connection);
        (depth.count, depth.dead)
    };
    append(&journal, "old", &["1", "2", "3"]).await;
    append(&journal, "new", &["4", "5"]).await;
    journal.move_connection("old", "new").expect_err("full");
    assert_eq!((pending(&journal, "old"), counts("old")), (vec!["2".to_owned(), "3".to_owned()], (2, 0)));
    assert_eq!((pending(&journal, "new").len(), counts("new")), (3, (3, 0)));
    append(&journal, "old", &["6"]).await;

    for stored in journal.next("old", 0, 2, usize::MAX).expect("read") {
        super::give_up(&journal, "old", stored.seq, "data", "x").expect("given up");
    }
    let first = journal.next("new", 0, 1, usize::MAX).expect("read")[0].seq;
    super::give_up(&journal, "new", first, "data", "x").expect("given up");
    assert_eq!((counts("old"), counts("new")), ((1, 2), (2, 1)));
    journal.move_connection("old", "new").expect_err("its dead letters are full");
    assert_eq!((counts("old"), counts("new")), ((0, 1), (3, 2)));
}

#[tokio::test]
async fn a_renamed_connections_records_are_moved_in_order_and_a_removed_ones_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open(folder.path());
    let count = 1_100;
    let all: Vec<String> = (0..count).map(|number| number.to_string()).collect();
    let appended = append(&journal, "old", &all.iter().map(String::as_str).collect::<Vec<_>>()).await;
    super::give_up(&journal, "old", appended[0], "data", "x").expect("given up");
    append(&journal, "new", &["first"]).await;
    assert_eq!(journal.move_connection("old", "new").expect("moved"), count);
    assert_eq!(pending(&journal, "old"), [""; 0]);
    let moved = pending(&journal, "new");
    assert_eq!((moved.len(), moved[0].as_str()), (count, "first"));
    assert_eq!(moved[1..], all[1..], "in their order, and readable under the new name");
    let letter = journal.dead_letters(Some("new"), 0, 10).expect("listed")[0].id;
    assert_eq!(journal.dead_letter(letter).expect("read").expect("there").corrupt, None);
    assert_eq!(journal.replay(&[letter]).expect("replayed").len(), 1);
    drop(journal);
    let (journal, found) = open(folder.path());
    assert_eq!(found.connections.len(), 1, "{found}");
    journal.acknowledge("new", &appended).expect("nothing");
    assert_eq!(journal.clear_connection("new").expect("cleared"), count + 1);
    let depth = journal.depth("new");
    assert_eq!((depth.count, depth.bytes, depth.dead), (0, 0, 0));
}

#[tokio::test]
async fn a_server_that_crashes_at_every_start_does_not_make_the_journal_forget_a_position() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open(folder.path());
    let first = applied(&journal, &["1"]).await;
    drop(journal);
    // What an opening leaves of a process that is killed.
    let crash = || {
        let database = raw(folder.path());
        database.execute_batch("BEGIN").expect("begun");
        for _ in 0..OPENINGS_MAX + 100 {
            note_opening(&database).expect("noted");
        }
        database.execute_batch("COMMIT").expect("committed");
    };
    crash();
    let (journal, _) = open(folder.path());
    assert_eq!(resumed(&journal, Some(&first)), (vec![], false), "its delivery is not applied again");
    let second = applied(&journal, &["2"]).await;
    drop(journal);
    crash();
    let (journal, _) = open(folder.path());
    let count = "SELECT count(*) FROM openings";
    let openings: i64 = raw(folder.path()).query_row(count, [], |row| row.get(0)).expect("counted");
    assert!(openings <= OPENINGS_MAX.cast_signed() + 1, "{openings}");
    assert_eq!(resumed(&journal, Some(&second)), (vec![], false));
    assert_eq!(resumed(&journal, Some(&first)), (vec!["2".to_owned()], false));
}

#[tokio::test]
async fn of_openings_with_deliveries_the_oldest_is_forgotten_and_its_deliveries_are_applied_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open(folder.path());
    let first = applied(&journal, &["1"]).await;
    drop(journal);
    let database = raw(folder.path());
    database.execute_batch("BEGIN").expect("begun");
    for _ in 0..=OPENINGS_MAX {
        note_opening(&database).expect("noted");
        let one = "UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'deliveries'";
        database.execute(one, []).expect("a number was used");
    }
    database.execute_batch("COMMIT").expect("committed");
    drop(database);
    let (journal, _) = open(folder.path());
    assert_eq!(resumed(&journal, Some(&first)), (vec!["1".to_owned()], true));
}
