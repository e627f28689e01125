//! The order of changes: newest state, equal and late changes, partial rows, deletes.

use super::case::{CALLED_AT_MS, Case, change, on_every_sink, on_every_sink_and, partial, still};
use super::tool::{AIRBYTE, TOOLS};
use crate::change::Change;

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

/// The keys of a test, and for each of them another order of the same states, of which `last` is the newest.
fn every_order(last: Option<i64>) -> (Vec<String>, Vec<Vec<Change>>) {
    let of = |id: &str| {
        [change(id, Some(1), 10), change(id, Some(2), 20), change(id, None, 30), change(id, last, 40)]
    };
    let keys: Vec<String> = (10..34).map(|n| n.to_string()).collect();
    let orders = keys.iter().enumerate().map(|(n, id)| permutations(&of(id)).swap_remove(n)).collect();
    (keys, orders)
}

#[test]
fn the_newest_state_wins_in_every_order_and_a_replay_changes_nothing() {
    for (last, expected) in [(Some(4), "=4"), (None, "-")] {
        on_every_sink_and(&[&AIRBYTE], |case| {
            let (keys, orders) = every_order(last);
            let rows = keys.iter().map(|id| format!("{id}{expected}")).collect::<Vec<_>>().join(" ");
            for step in 0..4 {
                let changes: Vec<Change> = orders.iter().map(|order| order[step].clone()).collect();
                case.deliver(&changes);
            }
            case.expect(&rows);
            for order in &orders {
                case.deliver(order);
            }
            case.expect(&rows);
        });
    }
}

#[test]
fn the_newest_state_of_a_commit_wins_in_every_order() {
    for (last, expected) in [(Some(4), "=4"), (None, "-")] {
        on_every_sink_and(TOOLS, |case| {
            let (keys, orders) = every_order(last);
            case.poll(&orders.concat());
            case.expect(&keys.iter().map(|id| format!("{id}{expected}")).collect::<Vec<_>>().join(" "));
        });
    }
}

#[test]
fn a_change_of_the_same_time_applies_again_and_a_repetition_does_not() {
    on_every_sink_and(&[&AIRBYTE], |case| {
        case.poll(&[change("a", Some(1), 10)]);
        let counts = [
            case.poll(&[change("a", Some(2), 10)]),
            case.poll(&[change("a", Some(2), 10)]),
            case.poll(&[change("a", Some(1), 9)]),
        ];
        if case.compares_rows() {
            let counts = counts.map(|counts| (counts.updated, counts.unchanged, counts.stale));
            assert_eq!(counts, [(1, 0, 0), (0, 1, 0), (0, 0, 1)]);
        }
        case.expect("a=2");
    });
}

#[test]
fn a_repetition_advances_the_time_of_its_row() {
    on_every_sink_and(&[&AIRBYTE], |case| {
        let seen = change("a", Some(1), 10);
        case.poll(&[seen.clone(), still(&seen, 30)]);
        // From between the two reads, so older than the stored state.
        case.poll(&[change("a", Some(2), 20)]);
        case.expect("a=1");
    });
}

#[test]
fn a_change_without_a_time_is_as_of_the_call() {
    on_every_sink_and(&[&AIRBYTE], |case| {
        case.poll(&[Change { as_of_ms: None, ..change("a", Some(1), 0) }]);
        case.poll(&[change("a", Some(2), CALLED_AT_MS - 1)]);
        case.expect("a=1");
        case.poll(&[change("a", Some(3), CALLED_AT_MS)]);
        case.expect("a=3");
    });
}

#[test]
fn a_partial_row_replaces_its_members_and_keeps_the_others() {
    on_every_sink(|case| {
        case.poll(&[change("a", Some(1), 10)]);
        case.deliver(&[partial("a", "{\"n\":7,\"more\":[1]}", 20), partial("a", "{\"n\":6}", 15)]);
        case.expect("a=7");
        let expected = serde_json::json!({ "id": "a", "n": 7, "other": true, "more": [1] });
        assert_eq!(case.stored("things")["a"], super::State::Live(expected));
    });
}

#[test]
fn a_partial_row_of_an_unknown_key_is_a_row() {
    on_every_sink_and(TOOLS, |case| {
        case.deliver(&[partial("a", "{\"id\":\"a\",\"n\":7}", 20)]);
        case.expect("a=7");
    });
}

#[test]
fn a_delete_before_its_row_keeps_the_row_from_coming_back() {
    on_every_sink_and(&[&AIRBYTE], |case| {
        case.deliver(&[change("a", None, 20)]);
        let counts = case.poll(&[change("a", Some(1), 10)]);
        assert_eq!(counts.stale, u64::from(case.compares_rows()));
        case.expect("a-");
        case.poll(&[change("a", Some(3), 30)]);
        case.expect("a=3");
    });
}

#[test]
fn a_deleted_row_stays_deleted_until_a_newer_state_comes() {
    on_every_sink_and(&[&AIRBYTE], |case: &mut Case| {
        case.poll(&[change("a", Some(1), 10), change("b", Some(1), 10)]);
        let deleted = case.deliver(&[change("a", None, 20)]).deleted;
        assert_eq!(deleted, 1);
        case.reopen();
        case.poll(&[change("a", Some(2), 19), change("b", Some(2), 19)]);
        case.expect("a- b=2");
        case.poll(&[change("a", Some(2), 20)]);
        case.expect("a=2 b=2");
    });
}

#[test]
fn a_delete_that_is_repeated_counts_once() {
    on_every_sink(|case| {
        if !case.compares_rows() {
            return;
        }
        case.poll(&[change("a", Some(1), 10)]);
        let deletes = [change("a", None, 20), change("a", None, 20), change("a", None, 30)];
        let counts = deletes.map(|delete| case.poll(&[delete]));
        assert_eq!(counts.map(|counts| (counts.deleted, counts.unchanged)), [(1, 0), (0, 1), (0, 1)]);
        // The time of the last one counts.
        case.poll(&[change("a", Some(2), 25)]);
        case.expect("a-");
    });
}

#[test]
fn a_whole_row_removes_members_that_a_partial_row_of_the_same_text_left() {
    on_every_sink(|case| {
        case.poll(&[change("a", Some(1), 10)]);
        let text = "{\"id\":\"a\",\"n\":\"1\"}";
        let shown = Change { id: "text".into(), ..partial("a", text, 20) };
        case.poll(std::slice::from_ref(&shown));
        let with_other = serde_json::json!({ "id": "a", "n": "1", "other": true });
        assert_eq!(case.stored("things")["a"], super::State::Live(with_other));
        // The complete row of the next snapshot has the same text and the same id.
        let whole = Change { partial: false, as_of_ms: Some(30), ..shown.clone() };
        case.snapshot(100, true, std::slice::from_ref(&whole));
        let expected = super::State::Live(serde_json::json!({ "id": "a", "n": "1" }));
        assert_eq!(case.stored("things")["a"], expected);
        let counts = [case.poll(&[still(&shown, 40)]), case.poll(&[still(&whole, 50)])];
        if case.compares_rows() {
            assert_eq!(counts.map(|counts| counts.unchanged), [1, 1]);
        }
        assert_eq!(case.stored("things")["a"], expected);
    });
}
