//! Progress: cursors and the journal's position, together with rows or not at all; and the owner of a sink.

use super::case::{Case, TABLE, change, on_every_sink, on_every_sink_and, position, table, table_with};
use super::tool::TOOLS;
use crate::change::{Change, Generation};
use crate::clock::{now_ms, rfc3339_ms};
use crate::error::Kind;
use crate::sinks::{Commit, InboxPosition, Progress, SinkSettings, inspect, open, open_existing, reset};

/// Cursor, generation and completeness of the table.
fn state(case: &mut Case) -> Option<(Option<String>, u64, bool)> {
    let state = case.sink().table_state(TABLE).expect("a state");
    state.map(|state| (state.cursor, state.generation, state.complete))
}

fn applied(case: &mut Case) -> Option<InboxPosition> {
    case.sink().journal_state().expect("a state").map(|state| state.position)
}

#[test]
fn rows_and_cursor_are_stored_together() {
    on_every_sink_and(TOOLS, |case| {
        assert_eq!(state(case), None, "prepared, never committed");
        case.snapshot(100, false, &[change("a", Some(1), 10)]);
        case.reopen();
        case.expect("a=1");
        assert_eq!(state(case), Some((Some("cursor".into()), 1, false)));
        case.snapshot(100, true, &[]);
        case.poll(&[change("a", Some(2), 20)]);
        case.reopen();
        case.expect("a=2");
        assert_eq!(state(case), Some((Some("cursor".into()), 1, true)));
    });
}

#[test]
fn a_bad_row_is_refused_with_its_commit_and_loses_no_other_row() {
    let good = change("b", Some(1), 10);
    let bad = [
        Change { after: Some("[1]".into()), ..good.clone() },
        Change { after: Some("nonsense".into()), ..good.clone() },
        Change { key: "nonsense".into(), ..good.clone() },
    ];
    on_every_sink_and(TOOLS, |case| {
        for bad in &bad {
            let generation = Generation { id: 100, as_of_ms: None, complete: true };
            let error = case
                .try_read(&[change("a", Some(1), 10), bad.clone()], Some(generation))
                .expect_err("stored");
            assert!(error.message.starts_with("table `things`: "), "{error}");
            assert_eq!((case.rows().as_str(), state(case)), ("", None), "{error}");
            case.reopen();
            assert_eq!((case.rows().as_str(), state(case)), ("", None), "{error}");
        }
        case.snapshot(100, true, &[change("a", Some(1), 10), good.clone()]);
        case.expect("a=1 b=1");
    });
}

#[test]
fn a_batch_that_is_read_again_after_a_crash_changes_nothing() {
    on_every_sink_and(TOOLS, |case| {
        let batch = [change("a", Some(1), 10), change("b", None, 20)];
        case.snapshot(100, true, &batch);
        case.reopen();
        let counts = case.snapshot(100, true, &batch);
        if case.compares_rows() {
            // A tombstone holds no change id, so its delete counts as older than the snapshot.
            assert_eq!((counts.read, counts.unchanged + counts.stale), (2, 2));
        }
        case.expect("a=1 b-");
    });
}

#[test]
fn the_journals_position_is_stored_with_rows_and_apart_from_tables() {
    on_every_sink(|case| {
        assert_eq!(applied(case), None);
        case.deliver(&[change("a", Some(1), 10)]);
        // Another journal, as after a move to another machine.
        let far = InboxPosition { journal: "journal 2".into(), through: u64::MAX >> 1 };
        let commit = Commit { changes: &[], progress: Progress::Journal(&far), as_of_ms: 0, epoch: 0 };
        case.sink().commit(&commit).expect("committed");
        case.reopen();
        assert_eq!(applied(case), Some(far.clone()));
        case.expect("a=1");
        assert_eq!(case.sink().table_states().expect("states"), []);
        case.poll(&[]);
        assert_eq!(reset(case.sink(), &[]).expect("reset"), [TABLE]);
        assert_eq!(applied(case), Some(far.clone()), "a reset is about tables");
        let bad = Change { after: Some("[]".into()), ..change("a", Some(2), 20) };
        let near = position(3);
        let commit = Commit { changes: &[bad], progress: Progress::Journal(&near), as_of_ms: 0, epoch: 0 };
        case.sink().commit(&commit).expect_err("stored");
        assert_eq!(applied(case), Some(far.clone()));
    });
}

#[test]
fn deliveries_count_as_applied_when_they_brought_changes() {
    on_every_sink(|case| {
        let applied_at = |case: &mut Case| {
            case.sink().journal_state().expect("a state").and_then(|state| state.applied_at)
        };
        case.deliver(&[]);
        assert_eq!(applied_at(case), None, "a rejected delivery");
        case.deliver(&[change("a", Some(1), 10)]);
        let applied = applied_at(case).expect("applied");
        assert!(applied.ends_with('Z'), "{applied}");
        while rfc3339_ms(now_ms()).as_ref() == Some(&applied) {}
        case.deliver(&[]);
        case.reopen();
        assert_eq!(applied_at(case), Some(applied));
    });
}

#[test]
fn a_delivery_may_change_several_tables() {
    on_every_sink_and(TOOLS, |case| {
        let mut other = table();
        other.name = "others".into();
        case.sink().prepare(&[table(), other]).expect("prepared");
        let rows = [
            change("a", Some(1), 10),
            Change { table: "others".into(), ..change("a", Some(2), 10) },
            change("b", Some(3), 10),
        ];
        assert_eq!(case.deliver(&rows).read, 3);
        case.expect("a=1 b=3");
        assert_eq!(case.stored("others").len(), 1);
    });
}

#[test]
fn a_reset_deletes_the_cursor_and_keeps_rows_and_generation() {
    on_every_sink(|case| {
        case.snapshot(100, true, &[change("a", Some(1), 10)]);
        assert!(case.sink().reset(TABLE).expect("reset"));
        assert!(!case.sink().reset(TABLE).expect("reset again"));
        assert!(!case.sink().reset("unknown").expect("no such table"));
        case.reopen();
        assert_eq!(state(case), Some((None, 1, false)));
        case.expect("a=1");
        let error = reset(case.sink(), &["unknown".into()]).expect_err("reset");
        assert_eq!(error.message, "table `unknown`: has no cursor");
    });
}

#[test]
fn a_table_that_was_not_discovered_takes_neither_rows_nor_a_cursor() {
    on_every_sink_and(TOOLS, |case| {
        let row = Change { table: "unknown".into(), ..change("a", Some(1), 10) };
        let error = case.try_read(&[change("b", Some(1), 10), row], None).expect_err("stored");
        assert!(error.message.starts_with("table `unknown`: was not discovered"), "{error}");
        let progress = Progress::Table { name: "unknown", cursor: "c", generation: None };
        let commit = Commit { changes: &[change("b", Some(1), 10)], progress, as_of_ms: 0, epoch: 0 };
        let error = case.sink().commit(&commit).expect_err("stored");
        assert!(error.message.starts_with("table `unknown`: was not discovered"), "{error}");
        assert_eq!(case.rows(), "");
        assert_eq!(case.sink().table_states().expect("states"), []);
    });
}

#[test]
fn a_sink_belongs_to_the_connection_that_used_it_first() {
    on_every_sink(|case| {
        case.poll(&[change("a", Some(1), 10)]);
        drop(case.take());
        let other = SinkSettings { owner: "other".into(), ..case.settings.clone() };
        let error = open(&other).err().expect("opened for two");
        let location = &case.settings.location;
        assert_eq!(error.message, format!("{location}: holds the rows of connection `acme`, not of `other`"));
        let key = case.settings.kind.own_keys.first().expect("a key");
        let hint = format!("give each connection its own sink: {key} under [sink]");
        assert!(error.hint.is_some_and(|shown| shown.contains(&hint)));
        case.reopen();
        case.expect("a=1");
    });
}

#[test]
fn one_writer_at_a_time_and_anybody_may_inspect() {
    on_every_sink(|case| {
        case.snapshot(100, true, &[change("a", Some(1), 10)]);
        let error = open(&case.settings).err().expect("opened twice");
        let location = &case.settings.location;
        assert_eq!(error.message, format!("{location}: another process is writing to it"));
        assert_eq!(error.kind, Kind::Unavailable);
        let found = inspect(&case.settings).expect("inspected").expect("a sink");
        assert_eq!(found, case.sink().progress().expect("progress"));
        assert_eq!(found.tables[0].cursor.as_deref(), Some("cursor"));
        case.poll(&[change("a", Some(2), 20)]);
        drop(case.take());
        assert_eq!(inspect(&case.settings).expect("inspected").expect("a sink").tables.len(), 1);
        let other = SinkSettings { owner: "other".into(), ..case.settings.clone() };
        assert!(inspect(&other).is_err(), "it is another connection's");
        case.reopen();
        case.expect("a=2");
    });
}

#[test]
fn a_commit_under_an_older_lease_is_refused() {
    on_every_sink(|case| {
        let progress = Progress::Table { name: TABLE, cursor: "c", generation: None };
        let (old, new) = ([change("a", Some(1), 10)], [change("a", Some(2), 20)]);
        let commit = |changes, epoch| Commit { changes, progress, as_of_ms: 0, epoch };
        case.sink().commit(&commit(&old, 3)).expect("committed");
        case.sink().commit(&commit(&new, 4)).expect("committed by a successor");
        case.reopen();
        let late = [change("a", Some(3), 30)];
        let error = case.sink().commit(&commit(&late, 3)).expect_err("stored");
        assert_eq!(error.message, "lease 3 is over: lease 4 has committed");
        assert_eq!(case.sink().progress().expect("progress").epoch, 4);
        case.expect("a=2");
    });
}

#[test]
fn generations_are_numbered_by_the_sink_although_the_clock_of_the_ids_goes_back() {
    on_every_sink(|case| {
        case.snapshot(4_000_000, true, &[change("a", Some(1), 10), change("b", Some(1), 10)]);
        let generation = |id, complete| Generation { id, as_of_ms: Some(300), complete };
        let row = change("a", Some(1), 10);
        case.try_read(std::slice::from_ref(&row), Some(generation(2_000, false))).expect("committed");
        case.try_read(&[], Some(generation(2_000, true))).expect("committed");
        case.expect("a=1 b?");
        assert_eq!(state(case), Some((Some("cursor".into()), 2, true)));
        // The same id after a reset is another snapshot.
        reset(case.sink(), &[]).expect("reset");
        case.try_read(&[], Some(generation(2_000, true))).expect("committed");
        case.expect("a? b?");
    });
}

#[test]
fn looking_for_a_sink_creates_none() {
    on_every_sink(|case| {
        drop(case.take());
        let found = open_existing(&case.settings).expect("looked");
        assert!(found.is_some(), "{}", case.settings.location);
        let names = || std::fs::read_dir(case.folder.path()).expect("read").count();
        let before = names();
        let settings = SinkSettings { location: case.place.free.clone(), ..case.settings.clone() };
        assert!(open_existing(&settings).expect("looked").is_none());
        assert!(inspect(&settings).expect("inspected").is_none());
        assert_eq!(names(), before);
    });
}

#[test]
fn a_reopened_sink_knows_its_tables() {
    on_every_sink(|case| {
        let wider = table_with(TABLE, "{\"id\": {}, \"other\": {\"type\": \"boolean\"}}");
        case.sink().prepare(&[wider]).expect("prepared");
        case.reopen();
        case.poll(&[change("a", Some(1), 10)]);
        case.expect("a=1");
    });
}
