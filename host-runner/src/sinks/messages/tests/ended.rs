//! Snapshots that end, complete or not: when a full refresh has all rows, and which listed rows are left out.

use serde_json::{Value, json};

use super::{NOW_MS, batch, change, commit, given_back, partial, records, sink};
use crate::change::{Batch, Change};
use crate::sinks::messages::{Messages, Protocol, Saved};

const BOTH: [Protocol; 2] = [Protocol::Airbyte, Protocol::Singer];

/// A row that was read whole.
fn whole(id: &str, as_of_ms: u64) -> Change {
    change(id, Some(json!({"id": id, "n": 1, "price": 2})), as_of_ms)
}

/// The same row as a list shows it, older than all that was read.
fn listed(id: &str) -> Change {
    partial(id, json!({"id": id, "n": 1}), 1)
}

/// The last batch of a table.
fn last(changes: Vec<Change>, snapshot: Option<(u64, bool)>) -> Batch {
    Batch { caught_up: true, ..batch(changes, "end", snapshot) }
}

/// A sink that reads the table in full.
fn refreshing(protocol: Protocol, mut saved: Saved) -> (Messages, super::Written) {
    saved.refresh("things");
    sink(protocol, saved)
}

fn ids(lines: &[Value]) -> String {
    let ids = records(lines).into_iter().map(|row| row["id"].as_str().expect("a key").to_owned());
    ids.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_full_refresh_has_all_rows_only_if_it_ended_a_complete_snapshot() {
    for (name, batches, is_part) in [
        ("complete", vec![batch(vec![], "1", Some((7, false))), last(vec![], Some((7, true)))], false),
        ("incomplete", vec![batch(vec![], "1", Some((7, false))), last(vec![], Some((7, false)))], true),
        ("skipped, or not due", vec![last(vec![], None)], true),
    ] {
        let (mut sink, _written) = refreshing(Protocol::Airbyte, Saved::default());
        for batch in batches.clone() {
            commit(&mut sink, batch);
        }
        assert_eq!(sink.parts().has("things"), is_part, "{name}");
        // An incremental run replaces no row.
        let (mut sink, _written) = super::sink(Protocol::Airbyte, Saved::default());
        for batch in batches {
            commit(&mut sink, batch);
        }
        assert!(!sink.parts().has("things"), "{name}");
    }
}

#[test]
fn a_full_refresh_that_was_interrupted_has_all_rows_after_its_rest() {
    let (mut sink, written) = refreshing(Protocol::Airbyte, Saved::default());
    commit(&mut sink, batch(vec![whole("1", 700)], "1", Some((7, false))));
    let (mut sink, _written) = refreshing(Protocol::Airbyte, given_back(Protocol::Airbyte, &written.take()));
    commit(&mut sink, last(vec![whole("2", 700)], Some((7, true))));
    assert!(!sink.parts().has("things"));
}

#[test]
fn a_full_refresh_is_not_held_by_a_row_that_changed_while_it_was_read() {
    let (mut sink, written) = refreshing(Protocol::Airbyte, Saved::default());
    commit(&mut sink, batch(vec![whole("1", 700)], "1", Some((7, false))));
    let changed = change("1", Some(json!({"id": "1", "n": 9})), 800);
    commit(&mut sink, last(vec![changed, whole("2", 800)], Some((7, true))));
    let lines = written.take();
    assert_eq!(ids(&lines), "1 2");
    assert!(!sink.parts().has("things"));
    // The next one starts again, not behind the first batch.
    let mut saved = given_back(Protocol::Airbyte, &lines);
    saved.refresh("things");
    assert_eq!(saved.progress().tables[0].cursor, None);
}

#[test]
fn a_snapshot_that_lists_rows_that_the_run_has_read_writes_none_again() {
    for protocol in BOTH {
        let (mut sink, written) = sink(protocol, Saved::default());
        commit(&mut sink, batch(vec![whole("1", 700)], "1", Some((7, false))));
        commit(&mut sink, last(vec![listed("1"), listed("2")], Some((7, true))));
        let lines = written.take();
        assert_eq!(ids(&lines), "1 2", "{protocol:?}");
        // It is not held: the state has the end.
        assert!(given_back(protocol, &lines).has_ended("things"), "{protocol:?}");
    }
}

#[test]
fn a_verification_after_an_incomplete_snapshot_writes_no_row_that_the_tool_has() {
    for protocol in BOTH {
        let (mut first, written) = sink(protocol, Saved::default());
        commit(&mut first, last(vec![whole("1", 700)], Some((7, false))));
        commit(&mut first, last(vec![], None));
        let lines = written.take();
        assert!(!lines.iter().any(|line| line["type"] == "ACTIVATE_VERSION"), "{protocol:?}");
        let (mut next, written) = sink(protocol, given_back(protocol, &lines));
        commit(&mut next, batch(vec![listed("1"), whole("2", 800)], "2", Some((8, false))));
        commit(&mut next, last(vec![listed("1")], Some((8, true))));
        let lines = written.take();
        assert_eq!(ids(&lines), "2", "{protocol:?}");
        // Rows of the incomplete snapshot live on.
        let versions: Vec<u64> = lines.iter().filter_map(|line| line["version"].as_u64()).collect();
        let expected: &[u64] = if protocol == Protocol::Singer { &[NOW_MS] } else { &[] };
        assert_eq!(versions, expected);
    }
}

#[test]
fn a_snapshot_that_starts_again_within_a_run_activates_no_version_that_lacks_rows() {
    let (mut sink, written) = sink(Protocol::Singer, Saved::default());
    commit(&mut sink, batch(vec![listed("1"), listed("2")], "1", Some((7, false))));
    commit(&mut sink, last(vec![listed("2"), listed("1")], Some((8, true))));
    let lines = written.take();
    let activated = lines.iter().find(|line| line["type"] == "ACTIVATE_VERSION").expect("an end");
    let of_version = lines.iter().filter(|line| line["version"] == activated["version"]).cloned();
    assert_eq!(ids(&of_version.collect::<Vec<_>>()), "2 1");
}

#[test]
fn a_snapshot_that_is_not_at_its_end_leaves_no_listed_row_out() {
    for protocol in BOTH {
        let (mut first, written) = sink(protocol, Saved::default());
        commit(&mut first, batch(vec![whole("1", 700)], "1", Some((7, false))));
        let (mut next, again) = sink(protocol, given_back(protocol, &written.take()));
        commit(&mut next, last(vec![listed("2")], Some((7, true))));
        assert_eq!(ids(&again.take()), "2", "{protocol:?}");
    }
}
