//! Each case of the table in `recovery.rs`.

use std::path::Path;

use super::{append, give_up, open, pending, raw};
use crate::inbox::Cause;
use crate::journal::{Journal, JournalLimits, RecoveryReport};

/// Moves the write-ahead log into the file. No process may have it open.
fn settle(folder: &Path) {
    let database = raw(folder);
    let busy: i64 =
        database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).expect("checkpointed");
    assert_eq!(busy, 0);
}

#[tokio::test]
async fn fresh_and_whole_files_are_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, found) = open(folder.path());
    assert_eq!(found.to_string(), "0 deliveries pending, 0 dead letters");
    let seqs = append(&journal, "b", &["1", "2", "3"]).await;
    append(&journal, "a", &["1"]).await;
    give_up(&journal, "b", seqs[0], "data", "x").expect("given up");
    drop(journal);
    let (_journal, found) = open(folder.path());
    let summary: Vec<_> =
        found.connections.iter().map(|found| (found.name.as_str(), found.pending, found.dead)).collect();
    assert_eq!(summary, [("a", 1, 0), ("b", 2, 1)]);
    assert_eq!((found.corrupt, &found.replaced), (0, &None));
    assert_eq!(found.to_string(), "3 deliveries pending, 1 dead letters");
}

#[tokio::test]
async fn a_torn_tail_loses_only_what_was_not_committed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open(folder.path());
    // Each in a separate transaction.
    append(&journal, "a", &["0", "1", "2", "3", "4", "5"]).await;
    let [file, log] =
        ["journal.db", "journal.db-wal"].map(|name| std::fs::read(folder.path().join(name)).expect("read"));
    drop(journal);
    let mut counts = Vec::new();
    for cut in (0..=log.len()).step_by(997).chain([log.len()]) {
        let copy = tempfile::tempdir().expect("a folder");
        std::fs::write(copy.path().join("journal.db"), &file).expect("written");
        std::fs::write(copy.path().join("journal.db-wal"), &log[..cut]).expect("written");
        let (journal, found) = open(copy.path());
        assert_eq!((found.corrupt, &found.replaced), (0, &None), "cut at {cut}: {found}");
        let found = pending(&journal, "a");
        assert_eq!(found, (0..found.len()).map(|n| n.to_string()).collect::<Vec<_>>(), "cut at {cut}");
        append(&journal, "a", &["more"]).await;
        counts.push(found.len());
    }
    assert!(counts.is_sorted(), "{counts:?}");
    assert_eq!((counts.first(), counts.last()), (Some(&0), Some(&6)));
}

#[tokio::test]
async fn a_damaged_record_becomes_a_dead_letter_at_start_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open(folder.path());
    let seqs = append(&journal, "a", &["1", "2", "3"]).await;
    drop(journal);
    let damage = "UPDATE deliveries SET body = 'X' WHERE seq = ?1";
    raw(folder.path()).execute(damage, [seqs[1].cast_signed()]).expect("damaged");
    let (journal, found) = open(folder.path());
    assert_eq!((found.corrupt, &found.replaced), (1, &None));
    assert_eq!(journal.letter_counts("a").stored, 1);
    assert_eq!(pending(&journal, "a"), ["1", "3"]);
    let letters = journal.dead_letters(None, 0, 10).expect("listed");
    assert_eq!((letters[0].failure.cause, letters[0].seq), (Cause::Corrupt, seqs[1]));
    let shown = journal.dead_letter(letters[0].id).expect("read").expect("there");
    assert_eq!(shown.delivery.body, b"X", "the damaged body can be shown");
    assert!(shown.corrupt.is_some());
    let error = journal.replay(&[letters[0].id]).expect_err("replayed a damaged letter");
    assert!(error.message.contains("damaged on disk"), "{}", error.message);
    drop(journal);
    let (_journal, found) = open(folder.path());
    assert_eq!(found.corrupt, 0, "found again");
}

#[tokio::test]
async fn a_record_damaged_while_queued_becomes_a_dead_letter_when_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open(folder.path());
    let seqs = append(&journal, "a", &["1", "2", "3"]).await;
    // Other types in these columns.
    let damage = "UPDATE deliveries SET method = x'ff00', headers = 7 WHERE seq = ?1";
    raw(folder.path()).execute(damage, [seqs[0].cast_signed()]).expect("damaged");
    assert_eq!(pending(&journal, "a"), ["2", "3"]);
    let depth = journal.depth("a");
    assert_eq!((depth.count, depth.dead), (2, 1));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_set_aside() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal.db");
    std::fs::write(&path, "this is not a database").expect("written");
    let (journal, found) = open(folder.path());
    let replaced = found.replaced.expect("replaced");
    let kept = std::fs::read_to_string(&replaced.moved_to).expect("read");
    assert!(kept.starts_with("this is not a database"));
    assert_eq!((replaced.saved, replaced.lost), (0, 0));
    append(&journal, "a", &["1"]).await;
    assert_eq!(pending(&journal, "a"), ["1"]);
}

#[tokio::test]
async fn a_damaged_page_loses_its_records_and_the_others_are_copied() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open(folder.path());
    let bodies: Vec<String> = (0..200).map(|number| format!("{number} {}", "x".repeat(1_000))).collect();
    let seqs = append(&journal, "a", &bodies.iter().map(String::as_str).collect::<Vec<_>>()).await;
    give_up(&journal, "a", seqs[0], "data", "kept too").expect("given up");
    drop(journal);
    // As if the file had been created with a clock an hour ahead.
    let ahead = seqs[199].cast_signed() + 3_600_000_000;
    raw(folder.path()).execute("UPDATE sqlite_sequence SET seq = ?1", [ahead]).expect("set");
    settle(folder.path());
    let path = folder.path().join("journal.db");
    let mut file = std::fs::read(&path).expect("read");
    let middle = file.len() / 2 / 8192 * 8192;
    file[middle..middle + 8192].fill(0xa5);
    std::fs::write(&path, &file).expect("written");

    let (journal, found) = open(folder.path());
    let replaced = found.replaced.clone().expect("replaced");
    assert!(replaced.saved >= 150, "{found}");
    assert!(replaced.saved + replaced.lost <= 199, "{found}");
    assert_eq!(replaced.saved_dead, 1, "{found}");
    let stored = journal.next("a", 0, usize::MAX, usize::MAX).expect("read");
    assert_eq!(stored.len() as u64, replaced.saved);
    assert!(stored[0].seq.cast_signed() > ahead, "numbers of the former file were used again");
    let numbers: Vec<usize> = stored
        .iter()
        .map(|stored| {
            String::from_utf8_lossy(&stored.delivery.body).split(' ').next().expect("a number").parse()
        })
        .collect::<Result<_, _>>()
        .expect("numbers");
    assert!(numbers.is_sorted(), "order is lost");
}

#[tokio::test]
async fn a_kill_while_an_unreadable_file_is_copied_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open(folder.path());
    let seqs = append(&journal, "a", &["1", "2"]).await;
    give_up(&journal, "a", seqs[0], "data", "x").expect("given up");
    // The state after the kill: file and log have their new name, and a fresh file may exist.
    for (from, to) in [("journal.db", ""), ("journal.db-wal", "-wal")] {
        let to = folder.path().join(format!("journal.db.salvaging-123{to}"));
        std::fs::copy(folder.path().join(from), to).expect("copied");
    }
    journal.acknowledge("a", &seqs).expect("acknowledged");
    append(&journal, "b", &["3"]).await;
    drop(journal);
    let (journal, found) = open(folder.path());
    let replaced = found.replaced.expect("saved");
    assert_eq!((replaced.saved, replaced.saved_dead, replaced.lost), (1, 1, 0));
    assert!(replaced.moved_to.ends_with("journal.db.unreadable-123"), "{:?}", replaced.moved_to);
    assert!(replaced.moved_to.exists());
    assert_eq!(
        (pending(&journal, "a"), pending(&journal, "b")),
        (vec!["2".to_owned()], vec!["3".to_owned()])
    );
    assert_eq!(journal.depth("a").dead, 2);
    drop(journal);
    let (_journal, found) = open(folder.path());
    assert_eq!(found.replaced, None, "copied once more");
}

#[tokio::test]
async fn a_log_without_its_file_is_not_applied_to_a_new_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open(folder.path());
    append(&journal, "a", &["1"]).await;
    let log = std::fs::read(folder.path().join("journal.db-wal")).expect("read");
    drop(journal);
    std::fs::remove_file(folder.path().join("journal.db")).expect("removed");
    std::fs::write(folder.path().join("journal.db-wal"), log).expect("written");
    let (journal, found) = open(folder.path());
    assert_eq!(found, RecoveryReport::default());
    append(&journal, "a", &["2"]).await;
    assert_eq!(pending(&journal, "a"), ["2"]);
}

#[test]
fn a_database_of_another_program_or_layout_is_an_error_and_stays_as_it_is() {
    for change in ["CREATE TABLE theirs (x)", "PRAGMA user_version = 1", "PRAGMA application_id = 77"] {
        let folder = tempfile::tempdir().expect("a folder");
        raw(folder.path()).execute_batch(change).expect("created");
        let before = std::fs::read(folder.path().join("journal.db")).expect("read");
        let error = Journal::open(folder.path().join("journal.db"), JournalLimits::default())
            .expect_err("opened a database of another program");
        assert!(error.message.ends_with("a database of another program"), "{}", error.message);
        let after = std::fs::read(folder.path().join("journal.db")).expect("read");
        assert!(before == after, "{change}: changed");
    }
    for layout in [2, 4] {
        let folder = tempfile::tempdir().expect("a folder");
        drop(open(folder.path()));
        raw(folder.path()).execute_batch(&format!("PRAGMA user_version = {layout}")).expect("set");
        let error =
            Journal::open(folder.path().join("journal.db"), JournalLimits::default()).expect_err("opened");
        let expected = format!("layout {layout} belongs to another version of this program");
        assert!(error.message.ends_with(&expected), "{}", error.message);
    }
}

#[tokio::test]
async fn a_command_beside_a_server_repairs_nothing_and_the_next_server_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open(folder.path());
    append(&journal, "a", &["1"]).await;
    raw(folder.path()).execute("UPDATE deliveries SET body = 'X'", []).expect("damaged");
    drop(journal);
    // Also when no server runs.
    let path = folder.path().join("journal.db");
    let joined = Journal::join(&path, JournalLimits::default()).expect("joined");
    assert_eq!(joined.depth("a").count, 1);
    drop(joined);
    let (_journal, found) = open(folder.path());
    assert_eq!(found.corrupt, 1);
}

#[tokio::test]
async fn a_second_server_waits_until_the_first_has_stopped() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open(folder.path());
    let path = folder.path().join("journal.db");
    let second = std::thread::spawn(move || Journal::open(path, JournalLimits::default()).map(drop));
    append(&journal, "a", &["1"]).await;
    drop(journal);
    assert_eq!(second.join().expect("no panic"), Ok(()));
}

#[test]
fn a_missing_folder_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("missing").join("journal.db");
    let error = Journal::open(&path, JournalLimits::default()).expect_err("created a folder");
    assert!(error.message.contains("missing"), "{}", error.message);
}
