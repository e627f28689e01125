//! Snapshots: rows that a complete one did not contain, and changes from elsewhere while it is read.

use super::case::{Case, change, kinds, on_every_sink, on_every_sink_and, partial, still};
use super::tool::SINGER;
use crate::change::Generation;
use crate::sinks::{Deletes, Load};

#[test]
fn rows_that_a_complete_snapshot_does_not_contain_are_missing_until_they_show_again() {
    on_every_sink(|case| {
        let first = [change("a", Some(1), 1), change("b", Some(2), 1), change("c", Some(3), 1)];
        case.snapshot(100, true, &first);
        // Unchanged rows count as contained.
        case.snapshot(200, false, &[first[0].clone()]);
        case.expect("a=1 b=2 c=3");
        let counts = case.snapshot(200, true, &[first[2].clone()]);
        assert_eq!(counts.deleted, u64::from(case.compares_rows()));
        case.expect("a=1 b? c=3");
        // From before the snapshot.
        case.deliver(&[change("b", Some(9), 150)]);
        case.expect("a=1 b? c=3");
        case.snapshot(300, true, &first.map(|change| still(&change, 300)));
        case.expect("a=1 b=2 c=3");
    });
}

/// As a verification lists rows: in part, and as old as can be.
#[test]
fn a_row_that_was_missing_is_back_once_a_snapshot_lists_it_however_old_it_is_there() {
    for kind in kinds() {
        let case = &mut Case::new(kind, Deletes::Soft, Load::Live);
        case.snapshot(100, true, &[change("a", Some(1), 110), change("b", Some(2), 110)]);
        case.deliver(&[change("gone", None, 120)]);
        case.snapshot(200, true, &[]);
        case.expect("a? b? gone-");
        let listed = ["a", "b", "gone"].map(|id| partial(id, "{}", 1));
        case.snapshot(300, false, &listed[..1]);
        case.expect("a=1 b? gone-");
        case.snapshot(300, true, &listed[1..]);
        case.expect("a=1 b=2 gone-");
        case.deliver(&[change("a", Some(9), 150)]);
        case.expect("a=1 b=2 gone-");
    }
}

#[test]
fn a_snapshot_that_does_not_complete_deletes_nothing() {
    on_every_sink_and(&[&SINGER], |case| {
        case.snapshot(100, true, &[change("a", Some(1), 1), change("b", Some(1), 1)]);
        case.snapshot(200, false, &[change("a", Some(2), 210)]);
        case.poll(&[]);
        case.reopen();
        // The next snapshot takes the place of the one that did not complete.
        case.snapshot(300, false, &[]);
        case.expect("a=2 b=1");
        case.snapshot(300, true, &[change("b", Some(1), 310)]);
        case.expect("a? b=1");
    });
}

#[test]
fn a_row_delivered_during_a_snapshot_survives_it_and_a_delete_during_it_stays() {
    on_every_sink(|case| {
        case.snapshot(100, true, &[change("a", Some(1), 10), change("b", Some(1), 10)]);
        case.snapshot(200, false, &[change("a", Some(1), 210)]);
        // A new row, which the snapshot may have passed, and a delete.
        case.deliver(&[change("new", Some(7), 220), change("b", None, 230)]);
        // The snapshot read b before it was deleted.
        case.snapshot(200, true, &[change("b", Some(1), 215)]);
        case.expect("a=1 b- new=7");
    });
}

#[test]
fn a_late_change_from_before_the_snapshot_does_not_hide_a_delete() {
    on_every_sink(|case| {
        let rows = [change("a", Some(1), 10), change("b", Some(1), 10), change("same", Some(1), 10)];
        case.snapshot(100, true, &rows);
        case.snapshot(200, false, &[]);
        // These were deleted before the snapshot started, and changed before that; the changes come now.
        case.deliver(&[change("a", Some(2), 150), change("new", Some(7), 199), still(&rows[2], 150)]);
        case.expect("a=2 b=1 new=7 same=1");
        let counts = case.snapshot(200, true, &[change("b", Some(1), 210)]);
        assert_eq!(counts.deleted, if case.compares_rows() { 3 } else { 0 });
        case.expect("a? b=1 new? same?");
        // They are deleted as of the snapshot, so a repetition does not bring them back.
        case.deliver(&[change("a", Some(2), 150), still(&rows[2], 150)]);
        case.expect("a? b=1 new? same?");
    });
}

#[test]
fn a_row_that_a_snapshot_contained_survives_it_whatever_comes_late() {
    on_every_sink_and(&[&SINGER], |case| {
        let row = change("a", Some(1), 10);
        case.snapshot(100, true, std::slice::from_ref(&row));
        case.snapshot(200, false, &[still(&row, 120)]);
        case.deliver(&[change("a", Some(2), 130)]);
        case.snapshot(200, true, &[]);
        case.expect("a=2");
    });
}

#[test]
fn an_older_row_that_a_snapshot_reads_is_contained_in_it() {
    on_every_sink(|case| {
        case.deliver(&[change("a", Some(2), 500)]);
        case.snapshot(200, true, &[change("a", Some(1), 250)]);
        case.expect("a=2");
    });
}

#[test]
fn a_late_change_from_after_the_start_of_the_snapshot_shows_that_its_row_exists() {
    on_every_sink(|case| {
        case.snapshot(100, true, &[change("a", Some(2), 500)]);
        case.snapshot(200, false, &[]);
        case.deliver(&[change("a", Some(1), 300)]);
        case.snapshot(200, true, &[]);
        case.expect("a=2");
    });
}

#[test]
fn a_late_delete_in_a_snapshot_does_not_show_that_its_row_exists() {
    on_every_sink(|case| {
        case.snapshot(100, true, &[change("a", Some(2), 150)]);
        case.snapshot(200, true, &[change("a", None, 120)]);
        case.expect("a?");
    });
}

#[test]
fn a_snapshot_without_a_time_deletes_as_of_the_rows_own_time() {
    on_every_sink(|case| {
        case.snapshot(100, true, &[change("a", Some(1), 10)]);
        let generation = Generation { id: 200, as_of_ms: None, complete: true };
        case.try_read(&[], Some(generation)).expect("committed");
        case.deliver(&[change("a", Some(2), 9)]);
        case.expect("a?");
        case.deliver(&[change("a", Some(3), 11)]);
        case.expect("a=3");
    });
}

#[test]
fn a_full_refresh_keeps_known_deletes_and_finds_new_ones() {
    on_every_sink(|case| {
        let rows = [change("a", Some(1), 10), change("b", Some(1), 10), change("c", Some(1), 10)];
        case.snapshot(100, true, &rows);
        case.deliver(&[change("b", None, 120)]);
        assert!(case.sink().reset("things").expect("reset"));
        case.expect("a=1 b- c=1");
        case.snapshot(200, true, &[still(&rows[0], 210)]);
        case.expect("a=1 b- c?");
        // A state from before the delete, and one from before the refresh.
        case.deliver(&[change("b", Some(2), 115), change("c", Some(2), 190)]);
        case.expect("a=1 b- c?");
    });
}
