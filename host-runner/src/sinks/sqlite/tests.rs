//! Tests of the SQLite sink: the order of changes, snapshots, deletes, schema changes.

use rusqlite::Connection;

use super::Sqlite;
use crate::change::{Change, ChangeSource, Generation, Operation, Table};
use crate::sinks::{Commit, Counts, Sink};

struct Target {
    folder: tempfile::TempDir,
    sink: Sqlite,
}

fn schema(properties: &str) -> Table {
    Table {
        name: "things".into(),
        primary_key: vec!["id".into()],
        schema: format!("{{\"properties\":{{\"id\":{{\"type\":\"string\"}}{properties}}}}}"),
        attributes: vec![],
    }
}

fn target(hard_deletes: bool) -> Target {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = Sqlite::open(&folder.path().join("t.db"), "acme", hard_deletes).expect("opened");
    sink.prepare(&[schema(",\"n\":{\"type\":\"integer\"}")]).expect("prepared");
    Target { folder, sink }
}

/// A row in a state, or gone when `n` is none.
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

impl Target {
    fn commit(&mut self, changes: &[Change], generation: Option<(u64, bool)>) -> Counts {
        let generation = generation.map(|(id, complete)| Generation { id, as_of_ms: Some(id), complete });
        let commit = Commit {
            table: "things",
            changes,
            cursor: generation.is_some().then_some("cursor"),
            generation,
            as_of_ms: 50,
        };
        self.sink.commit(&commit).expect("committed")
    }

    /// `id=n` of living rows, `id-` of marked ones, in order.
    fn rows(&self) -> String {
        self.query("SELECT id || CASE WHEN _deleted THEN '-' ELSE '=' || n END FROM things ORDER BY id")
    }

    fn query(&self, sql: &str) -> String {
        let database = Connection::open(self.folder.path().join("t.db")).expect("opened");
        let mut select = database.prepare(sql).expect("prepared");
        let texts = select.query_map([], |row| row.get::<_, String>(0)).expect("queried");
        texts.collect::<Result<Vec<_>, _>>().expect("texts").join(" ")
    }
}

/// All orders of a few changes.
fn permutations(changes: &[Change]) -> Vec<Vec<Change>> {
    if changes.len() < 2 {
        return vec![changes.to_vec()];
    }
    let mut all = Vec::new();
    for index in 0..changes.len() {
        let mut rest = changes.to_vec();
        let first = rest.remove(index);
        for mut tail in permutations(&rest) {
            tail.insert(0, first.clone());
            all.push(tail);
        }
    }
    all
}

#[test]
fn the_newest_state_wins_in_every_order_and_a_replay_changes_nothing() {
    for hard in [false, true] {
        for last in [Some(4), None] {
            let history = [
                change("a", Some(1), 10),
                change("a", Some(2), 20),
                change("a", None, 30),
                change("a", last, 40),
            ];
            for order in permutations(&history) {
                let mut target = target(hard);
                for change in &order {
                    target.commit(std::slice::from_ref(change), None);
                }
                let expected = match (last, hard) {
                    (Some(_), _) => "a=4",
                    (None, false) => "a-",
                    (None, true) => "",
                };
                assert_eq!(target.rows(), expected, "{order:?}");
                target.commit(&order, None);
                assert_eq!(target.rows(), expected, "replayed {order:?}");
            }
        }
    }
}

#[test]
fn equal_times_apply_again_and_the_same_change_only_counts_as_seen() {
    let mut target = target(false);
    target.commit(&[change("a", Some(1), 10)], None);
    let counts = target.commit(&[change("a", Some(2), 10)], None);
    assert_eq!((counts.updated, counts.unchanged), (1, 0));
    let counts = target.commit(&[change("a", Some(2), 10)], None);
    assert_eq!((counts.updated, counts.unchanged), (0, 1));
    let counts = target.commit(&[change("a", Some(1), 9)], None);
    assert_eq!(counts.stale, 1);
    assert_eq!(target.rows(), "a=2");
}

#[test]
fn an_unchanged_row_still_advances_in_time() {
    let mut target = target(false);
    let mut seen = change("a", Some(1), 10);
    target.commit(std::slice::from_ref(&seen), None);
    seen.as_of_ms = Some(30);
    target.commit(std::slice::from_ref(&seen), None);
    // A change from between the two reads is older than what is known.
    let counts = target.commit(&[change("a", Some(2), 20)], None);
    assert_eq!(counts.stale, 1);
    assert_eq!(target.rows(), "a=1");
}

#[test]
fn a_change_without_a_time_counts_as_of_the_call() {
    let mut target = target(false);
    let mut timeless = change("a", Some(1), 0);
    timeless.as_of_ms = None;
    target.commit(&[timeless], None);
    assert_eq!(target.commit(&[change("a", Some(2), 49)], None).stale, 1);
    assert_eq!(target.commit(&[change("a", Some(3), 50)], None).updated, 1);
}

#[test]
fn what_a_completed_pass_did_not_show_is_gone_and_comes_back_when_it_shows_again() {
    for (hard, gone) in [(false, "a=1 b- c=3"), (true, "a=1 c=3")] {
        let mut target = target(hard);
        let first = [change("a", Some(1), 1), change("b", Some(2), 1), change("c", Some(3), 1)];
        target.commit(&first, Some((100, true)));
        // Unchanged rows count as shown; b is not shown.
        target.commit(&[first[0].clone()], Some((200, false)));
        assert_eq!(target.rows(), "a=1 b=2 c=3", "deleted before the generation was complete");
        let counts = target.commit(&[first[2].clone()], Some((200, true)));
        assert_eq!(counts.deleted, 1);
        assert_eq!(target.rows(), gone);
        // Older news of b does not bring it back; the row shown by a later snapshot does.
        target.commit(&[change("b", Some(9), 150)], None);
        assert_eq!(target.rows(), gone);
        let mut again = first.to_vec();
        again.iter_mut().for_each(|change| change.as_of_ms = Some(300));
        target.commit(&again, Some((300, true)));
        assert_eq!(target.rows(), "a=1 b=2 c=3");
    }
}

#[test]
fn a_row_written_during_a_pass_survives_it_and_a_delete_during_it_stays() {
    let mut target = target(false);
    target.commit(&[change("a", Some(1), 10), change("b", Some(1), 10)], Some((100, true)));
    target.commit(&[change("a", Some(1), 210)], Some((200, false)));
    // Learnt beside the snapshot: a new row that the snapshot may have overtaken, and a delete.
    target.commit(&[change("new", Some(7), 220), change("b", None, 230)], None);
    // The snapshot read b before it was deleted.
    let counts = target.commit(&[change("b", Some(1), 215)], Some((200, true)));
    assert_eq!(counts.stale, 1);
    assert_eq!(target.rows(), "a=1 b- new=7");
}

#[test]
fn a_change_from_before_the_pass_that_comes_late_does_not_hide_a_delete() {
    for (hard, gone) in [(false, "a- b=1 new- same-"), (true, "b=1")] {
        let mut target = target(hard);
        let rows = [change("a", Some(1), 10), change("b", Some(1), 10), change("same", Some(1), 10)];
        target.commit(&rows, Some((100, true)));
        target.commit(&[], Some((200, false)));
        // Deleted before the snapshot began; what was said of them before that arrives only now.
        let mut same = rows[2].clone();
        same.as_of_ms = Some(150);
        target.commit(&[change("a", Some(2), 150), change("new", Some(7), 199), same], None);
        assert!(target.rows().contains("a=2 b=1 new=7"), "{}", target.rows());
        let counts = target.commit(&[change("b", Some(1), 210)], Some((200, true)));
        assert_eq!((counts.deleted, target.rows().as_str()), (3, gone));
        // Gone as of the snapshot: told once more, it stays so.
        assert_eq!(target.commit(&[change("a", Some(2), 150)], None).updated, 0);
        assert_eq!(target.rows(), gone);
    }
}

#[test]
fn a_row_that_a_pass_has_shown_stays_shown_whatever_comes_late() {
    let mut target = target(false);
    target.commit(&[change("a", Some(1), 10)], Some((100, true)));
    let mut shown = change("a", Some(1), 10);
    shown.as_of_ms = Some(120);
    target.commit(&[shown], Some((200, false)));
    target.commit(&[change("a", Some(2), 130)], None);
    assert_eq!(target.commit(&[], Some((200, true))).deleted, 0);
    assert_eq!(target.rows(), "a=2");
}

#[test]
fn an_older_row_that_a_pass_shows_counts_as_shown() {
    let mut target = target(false);
    target.commit(&[change("a", Some(2), 500)], None);
    let counts = target.commit(&[change("a", Some(1), 250)], Some((200, true)));
    assert_eq!((counts.stale, counts.deleted), (1, 0));
    assert_eq!(target.rows(), "a=2");
}

#[test]
fn a_delete_that_overtakes_its_row_is_remembered() {
    for hard in [false, true] {
        let mut target = target(hard);
        target.commit(&[change("a", None, 20)], None);
        assert_eq!(target.commit(&[change("a", Some(1), 10)], None).stale, 1);
        assert_eq!(target.query("SELECT id FROM things_live"), "");
        target.commit(&[change("a", Some(3), 30)], None);
        assert_eq!(target.rows(), "a=3");
        assert_eq!(target.query("SELECT key FROM _sync_tombstones"), "");
    }
}

#[test]
fn partial_rows_replace_their_members_and_keep_the_rest() {
    let mut target = target(false);
    target.commit(&[change("a", Some(1), 10)], None);
    let mut partial = change("a", Some(0), 20);
    partial.after = Some("{\"n\":7}".into());
    partial.partial = true;
    target.commit(&[partial], None);
    assert_eq!(target.rows(), "a=7");
    assert_eq!(target.query("SELECT _raw FROM things"), "{\"id\":\"a\",\"n\":7,\"other\":true}");
}

#[test]
fn new_columns_are_filled_from_the_documents_and_old_ones_stay() {
    let mut target = target(false);
    let rows: Vec<Change> = (0..2500).map(|n| change(&format!("{n:04}"), Some(n), 10)).collect();
    target.commit(&rows, None);
    target.commit(&[change("0007", None, 20)], None);
    let wider = schema(",\"other\":{\"type\":\"boolean\"},\"late\":{\"type\":\"string\"}");
    target.sink.prepare(&[wider]).expect("prepared");
    assert_eq!(target.query("SELECT count(*) || '' FROM things WHERE other = 1"), "2500");
    assert_eq!(target.query("SELECT n || '' FROM things WHERE id = '2499'"), "2499");
    target.commit(&[change("x", Some(1), 10)], None);
    assert_eq!(target.query("SELECT n || '/' || other FROM things WHERE id = 'x'"), "1/1");
    assert_eq!(target.query("SELECT id FROM things_live WHERE other AND n = 2499"), "2499");
}

#[test]
fn values_that_do_not_fit_are_counted_and_the_document_has_them() {
    let mut target = target(false);
    let mut odd = change("a", Some(1), 10);
    odd.after = Some("{\"id\":\"a\",\"n\":\"many\"}".into());
    let counts = target.commit(&[odd], None);
    assert_eq!((counts.inserted, counts.unconverted), (1, 1));
    assert_eq!(target.query("SELECT _raw FROM things WHERE n IS NULL"), "{\"id\":\"a\",\"n\":\"many\"}");
}

#[test]
fn rows_and_cursor_are_stored_together_or_not_at_all() {
    let mut target = target(false);
    let mut bad = change("b", Some(1), 10);
    bad.after = Some("[1]".into());
    for bad in [bad.clone(), Change { key: "{}".into(), ..bad.clone() }] {
        let changes = [change("a", Some(1), 10), bad];
        let commit = Commit {
            table: "things",
            changes: &changes,
            cursor: Some("never"),
            generation: None,
            as_of_ms: 0,
        };
        let error = target.sink.commit(&commit).expect_err("took it");
        assert!(error.message.starts_with("table `things`: "), "{}", error.message);
        assert_eq!(target.rows(), "");
        assert_eq!(target.sink.position("things").expect("asked"), None);
    }
    target.commit(&[change("a", Some(1), 10)], Some((100, true)));
    let position = target.sink.position("things").expect("asked").expect("a position");
    assert_eq!(
        (position.cursor.as_deref(), position.generation, position.complete),
        (Some("cursor"), 100, true)
    );
}

#[test]
fn a_reset_forgets_the_cursor_and_keeps_rows_and_snapshots() {
    let mut target = target(false);
    target.commit(&[change("a", Some(1), 10)], Some((100, true)));
    assert!(target.sink.reset("things").expect("reset"));
    assert!(!target.sink.reset("things").expect("reset again"));
    let position = target.sink.position("things").expect("asked").expect("a position");
    assert_eq!((position.cursor, position.generation), (None, 100));
    assert_eq!(target.rows(), "a=1");
}

#[test]
fn a_reopened_file_knows_its_tables() {
    let target = target(true);
    let Target { folder, sink } = target;
    drop(sink);
    let sink = Sqlite::open(&folder.path().join("t.db"), "acme", true).expect("opened");
    let mut target = Target { folder, sink };
    target.commit(&[change("a", Some(1), 10)], None);
    assert_eq!(target.rows(), "a=1");
}

#[test]
fn a_file_of_an_older_runner_works_on_and_one_of_a_newer_is_left_alone() {
    let Target { folder, mut sink } = target(false);
    let path = folder.path().join("t.db");
    let generation = Some(Generation { id: 100, as_of_ms: Some(100), complete: false });
    let rows = [change("a", Some(1), 10), change("b", Some(1), 10)];
    let commit = Commit { table: "things", changes: &rows, cursor: Some("c"), generation, as_of_ms: 50 };
    sink.commit(&commit).expect("committed");
    drop(sink);
    let older = "ALTER TABLE _sync_state DROP COLUMN generation_as_of; PRAGMA user_version = 1";
    Connection::open(&path).expect("opened").execute_batch(older).expect("made older");
    let sink = Sqlite::open(&path, "acme", false).expect("opened");
    let mut target = Target { folder, sink };
    let position = target.sink.position("things").expect("asked").expect("a position");
    assert_eq!((position.cursor.as_deref(), position.generation), (Some("c"), 100));
    target.commit(&[change("a", Some(2), 210)], Some((200, false)));
    target.commit(&[change("b", Some(2), 150)], None);
    assert_eq!(target.commit(&[], Some((200, true))).deleted, 1);
    assert_eq!(target.rows(), "a=2 b-");

    let newer = "PRAGMA user_version = 99";
    Connection::open(&path).expect("opened").execute_batch(newer).expect("made newer");
    let error = Sqlite::open(&path, "acme", false).err().expect("opened a newer one");
    assert!(error.message.ends_with("written by a newer runner"), "{error}");
    assert_eq!(target.query("SELECT user_version || '' FROM pragma_user_version"), "99");
}

#[test]
fn a_file_belongs_to_one_connection_and_one_without_an_owner_to_who_asks_first() {
    let Target { folder, sink } = target(false);
    drop(sink);
    let path = folder.path().join("t.db");
    let error = Sqlite::open(&path, "other", false).err().expect("opened for two");
    assert_eq!(
        error.message,
        format!("{}: holds the rows of connection `acme`, not of `other`", path.display())
    );
    assert!(error.hint.is_some_and(|hint| hint.contains("'DELETE FROM _sync_owner'")));
    Sqlite::open(&path, "acme", false).expect("its own");
    Connection::open(&path).expect("opened").execute_batch("DROP TABLE _sync_owner").expect("made older");
    Sqlite::open(&path, "other", false).expect("nobody's");
    assert!(Sqlite::open(&path, "acme", false).is_err());
}

#[test]
fn names_that_sqlite_takes_for_one_are_refused_and_odd_names_are_quoted() {
    let mut target = target(false);
    let mut twin = schema("");
    twin.name = "THINGS".into();
    assert!(target.sink.prepare(&[twin]).is_err());
    let mut odd = schema(",\"a\\\"b\":{\"type\":\"string\"},\"select\":{\"type\":\"string\"}");
    odd.name = "x\"; DROP TABLE things; --".into();
    odd.primary_key = vec!["order by".into()];
    target.sink.prepare(&[odd]).expect("prepared");
    assert_eq!(target.query("SELECT name FROM sqlite_master WHERE name = 'things'"), "things");
}

#[test]
fn a_comparison_without_a_time_at_the_source_keeps_the_rows_own() {
    for hard in [false, true] {
        let mut target = target(hard);
        target.commit(&[change("a", Some(1), 10)], Some((100, true)));
        let generation = Some(Generation { id: 200, as_of_ms: None, complete: true });
        let commit = Commit { table: "things", changes: &[], cursor: None, generation, as_of_ms: 5000 };
        assert_eq!(target.sink.commit(&commit).expect("committed").deleted, 1);
        assert_eq!(target.commit(&[change("a", Some(2), 9)], None).stale, 1);
        target.commit(&[change("a", Some(3), 11)], None);
        assert_eq!(target.rows(), "a=3");
    }
}
