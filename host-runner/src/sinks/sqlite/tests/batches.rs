//! Large batches: guessing entries and reading values ahead change nothing but the time.

use super::super::Sqlite;
use super::{Case, case, change, settings, table};
use crate::change::{Change, Generation};
use crate::sinks::{Commit, Counts, Deletes, Load, Progress, Sink};

/// Changes of few rows, of which neighbors often find the same: new, known at one time, changed, deleted.
fn changes(seed: u64) -> Vec<Change> {
    let mut state = seed;
    let mut below = |end: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % end
    };
    let one = |_| {
        let (id, n, as_of) = (below(30), below(8), 10 + below(2));
        let n = (n > 0).then_some(i64::from(n == 1));
        // The same change at another time.
        let id = format!("{id}");
        Change { id: format!("{id}:{n:?}"), ..change(&id, n, as_of) }
    };
    (0..200).map(one).collect()
}

/// Every row with its entry.
fn stored(case: &Case) -> String {
    case.query(
        "SELECT concat_ws('|', _row, id, n, things._deleted, _raw, _as_of, _generation, _change, o._deleted) \
         FROM things JOIN _sync_rows_things AS o USING (_row) ORDER BY _row",
    ) + &case.query("SELECT key || as_of FROM _sync_tombstones ORDER BY key")
}

#[test]
fn a_batch_is_applied_as_its_changes_one_by_one() {
    for (seed, deletes) in (0..4).flat_map(|seed| [(seed, Deletes::Soft), (seed, Deletes::Hard)]) {
        let (mut whole, mut single) = (case(deletes), case(deletes));
        for changes in [changes(seed), changes(seed + 1_000)] {
            let counts = whole.commit(&changes);
            let mut sum = Counts::default();
            changes.chunks(1).for_each(|change| sum += single.commit(change));
            assert_eq!(counts, sum, "seed {seed}, {deletes:?}");
            assert_eq!(stored(&whole), stored(&single), "seed {seed}, {deletes:?}");
        }
    }
}

#[test]
fn a_row_that_is_no_object_fails_its_batch_unless_it_is_older_than_the_stored_one() {
    let mut case = case(Deletes::Soft);
    case.commit(&[change("known", Some(1), 20)]);
    let broken = |id: &str| Change { after: Some("{".into()), ..change(id, Some(2), 10) };
    let new = |n: i64| change(&format!("new {n}"), Some(n), 10);
    let counts = case.commit(&[new(1), new(2), new(3), broken("known")]);
    assert_eq!((counts.inserted, counts.stale), (3, 1));
    let changes = [new(4), new(5), new(6), broken("other")];
    let progress = Progress::Table { name: "things", cursor: "c", generation: None };
    let commit = Commit { changes: &changes, progress, as_of_ms: 50, epoch: 0 };
    let error = case.sink.commit(&commit).expect_err("committed");
    assert!(error.message.starts_with("table `things`: row {\"id\":\"other\"}: is not"), "{error}");
    assert_eq!(case.query("SELECT count(*) || '' FROM things"), "4");
}

#[test]
fn a_first_snapshot_is_stored_the_same_whether_or_not_its_values_are_read_ahead() {
    let read = |load, rows: &[Change]| {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = crate::sinks::SinkSettings { load, ..settings(&folder, Deletes::Soft, "acme") };
        let mut sink = Sqlite::open(&settings).expect("opened");
        sink.prepare(&[table(",\"n\":{\"type\":\"integer\"}")]).expect("prepared");
        let generation = Some(Generation { id: 1, as_of_ms: Some(1), complete: true });
        let progress = Progress::Table { name: "things", cursor: "c", generation };
        let counts = sink.commit(&Commit { changes: rows, progress, as_of_ms: 50, epoch: 0 });
        let case = Case { folder, sink: Box::new(sink) };
        (counts.map_err(|error| error.to_string()), stored(&case))
    };
    let mut rows: Vec<Change> = (0..1_000).map(|n| change(&n.to_string(), Some(n), 10)).collect();
    rows[7].after = Some("{\"id\":\"7\",\"n\":\"many\"}".into());
    rows[500] = change("20", Some(-1), 11);
    rows[501] = change("501", None, 10);
    let (counts, bulk) = read(Load::Bulk, &rows);
    assert_eq!((counts.clone(), bulk), read(Load::Live, &rows));
    let counts = counts.expect("committed");
    assert_eq!((counts.inserted, counts.updated, counts.deleted, counts.unconverted), (998, 1, 1, 1));
    rows[900].after = Some("nonsense".into());
    let (refused, nothing) = read(Load::Bulk, &rows);
    assert!(refused.expect_err("committed").contains("row {\"id\":\"900\"}"));
    assert_eq!(nothing, "");
}
