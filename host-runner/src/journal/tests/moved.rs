//! A journal whose file a person moves, deletes or exchanges while a process has it open.

use std::path::{Path, PathBuf};

use super::{AppendError, Database, Journal, append, delivery, open, pending, raw};

fn files(folder: &Path) -> [PathBuf; 2] {
    ["journal.db", "aside.db"].map(|name| folder.join(name))
}

/// Why a delivery is not taken.
async fn refusal(journal: &Journal) -> String {
    match journal.append("a", delivery("refused")).await {
        Err(AppendError::Failed(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_journal_that_was_moved_takes_no_delivery_until_it_is_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open(folder.path());
    let seqs = append(&journal, "a", &["1", "2"]).await;
    let [path, aside] = files(folder.path());
    std::fs::rename(&path, &aside).expect("moved");
    let why = refusal(&journal).await;
    assert!(why.contains("moved"), "{why}");
    journal.next("a", 0, 10, usize::MAX).expect_err("the position would be of another file");
    journal.acknowledge("a", &seqs).expect_err("nothing reads it");
    assert!(!path.exists(), "no empty journal takes its place");
    // It has all that was answered, without its log, which has the former name.
    let apart = tempfile::tempdir().expect("a folder");
    std::fs::copy(&aside, apart.path().join("journal.db")).expect("copied");
    let count = "SELECT count(*) FROM deliveries";
    let count: i64 = raw(apart.path()).query_row(count, [], |row| row.get(0)).expect("counted");
    assert_eq!(count, 2);
    std::fs::rename(&aside, &path).expect("moved back");
    append(&journal, "a", &["3"]).await;
    assert_eq!(pending(&journal, "a"), ["1", "2", "3"]);
}

#[tokio::test]
async fn a_journal_that_takes_the_place_of_an_open_one_gets_nothing_of_it() {
    for is_noticed in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let [path, backup] = files(folder.path());
        let (journal, _) = open(folder.path());
        append(&journal, "a", &["1"]).await;
        drop(journal);
        std::fs::copy(&path, &backup).expect("copied");
        let (journal, _) = open(folder.path());
        // Its log has this delivery.
        append(&journal, "a", &["2"]).await;
        std::fs::rename(&backup, &path).expect("exchanged");
        if is_noticed {
            refusal(&journal).await;
        }
        drop(journal);
        let (journal, report) = open(folder.path());
        assert_eq!((report.corrupt, &report.replaced), (0, &None), "{report}");
        assert_eq!(pending(&journal, "a"), ["1"], "noticed: {is_noticed}");
    }
}

#[tokio::test]
async fn a_journal_whose_place_is_taken_leaves_the_log_of_the_other_file_alone() {
    let (folder, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    drop(open(other.path()));
    let (journal, _) = open(folder.path());
    append(&journal, "a", &["x".repeat(100_000).as_str(); 5]).await;
    assert_eq!(pending(&journal, "a").len(), 5, "with a reader");
    let [path, aside] = files(folder.path());
    std::fs::rename(&path, &aside).expect("moved");
    std::fs::copy(other.path().join("journal.db"), &path).expect("another takes its place");
    refusal(&journal).await;

    let newer = raw(folder.path());
    let insert = |name: &str| newer.execute("INSERT INTO connections (name) VALUES (?1)", [name]);
    let inserted = || {
        let count = "SELECT count(*) FROM connections";
        raw(folder.path()).query_row(count, [], |row| row.get::<_, i64>(0)).expect("counted")
    };
    insert("first").expect("inserted");
    refusal(&journal).await;
    refusal(&journal).await;
    assert_eq!(inserted(), 1, "by another process, into the new file");
    drop(journal);
    insert("second").expect("inserted");
    assert_eq!(inserted(), 2);
    drop(newer);
    assert_eq!(inserted(), 2);
    let moved = Database::open(&aside).expect("opened");
    let found: String = moved.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("checked");
    assert_eq!(found, "ok");
    let count: i64 =
        moved.query_row("SELECT count(*) FROM deliveries", [], |row| row.get(0)).expect("counted");
    assert_eq!(count, 5);
}

/// A journal with three deliveries, of which a reader that stays has seen the first two.
async fn with_a_reader(folder: &Path) -> (Journal, Database) {
    let (journal, _) = open(folder);
    append(&journal, "a", &["1", "2"]).await;
    let reader = raw(folder);
    reader.execute_batch("BEGIN").expect("begun");
    assert_eq!(deliveries(&reader), 2);
    append(&journal, "a", &["3"]).await;
    (journal, reader)
}

fn deliveries(database: &Database) -> i64 {
    database.query_row("SELECT count(*) FROM deliveries", [], |row| row.get(0)).expect("counted")
}

#[tokio::test]
async fn a_journal_that_is_moved_and_moved_back_while_it_is_read_has_every_delivery() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, reader) = with_a_reader(folder.path()).await;
    let [path, aside] = files(folder.path());
    std::fs::rename(&path, &aside).expect("moved");
    refusal(&journal).await;
    std::fs::rename(&aside, &path).expect("moved back");
    append(&journal, "a", &["4"]).await;
    assert_eq!((deliveries(&reader), pending(&journal, "a").len()), (2, 4));
    drop(reader);
    drop(journal);
    assert_eq!(pending(&open(folder.path()).0, "a"), ["1", "2", "3", "4"]);
}

#[tokio::test]
async fn a_journal_in_the_place_of_one_that_is_read_gets_nothing_of_it() {
    let (folder, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    drop(open(other.path()));
    let (journal, reader) = with_a_reader(folder.path()).await;
    let [path, aside] = files(folder.path());
    std::fs::rename(&path, &aside).expect("moved");
    std::fs::copy(other.path().join("journal.db"), &path).expect("another takes its place");
    refusal(&journal).await;
    drop(journal);
    let (journal, report) = open(folder.path());
    assert_eq!((report.corrupt, &report.replaced), (0, &None), "{report}");
    assert_eq!(pending(&journal, "a"), [""; 0]);
    assert_eq!(deliveries(&reader), 2, "the reader continues");
}

#[tokio::test]
async fn after_a_failure_of_the_disk_nothing_is_appended_to_a_log_that_a_reader_needs() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, reader) = with_a_reader(folder.path()).await;
    // The writer closes the file.
    journal.fail_next(1);
    refusal(&journal).await;
    let why = refusal(&journal).await;
    assert!(why.contains("locked"), "{why}");
    drop(reader);
    append(&journal, "a", &["4"]).await;
    assert_eq!(pending(&journal, "a"), ["1", "2", "3", "4"]);
}

#[tokio::test]
async fn after_a_failure_of_the_disk_a_journal_that_was_moved_is_not_replaced_by_an_empty_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open(folder.path());
    append(&journal, "a", &["1"]).await;
    let [path, aside] = files(folder.path());
    // The writer closes the file.
    journal.fail_next(1);
    refusal(&journal).await;
    std::fs::rename(&path, &aside).expect("moved");
    refusal(&journal).await;
    assert!(!path.exists());

    std::fs::rename(&aside, &path).expect("moved back");
    append(&journal, "a", &["2"]).await;
    assert_eq!(pending(&journal, "a"), ["1", "2"]);
}
