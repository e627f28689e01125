//! Listings: all rows of one parent, and the stored ones that they lack. A sink that does not compare rows
//! keeps these.

use super::case::{Case, on_every_sink, table_with};
use crate::change::{Change, ChangeSource, Listing, Operation, Table};
use crate::sinks::conformance::State;

const TABLE: &str = "parts";

/// A table whose rows name their parent by a column.
fn parts() -> Table {
    table_with(TABLE, "{\"id\": {\"type\": \"string\"}, \"of\": {\"type\": \"string\"}}")
}

/// A row of a parent, or its delete when `of` is none.
fn part(id: &str, of: Option<&str>, as_of: u64) -> Change {
    Change {
        table: TABLE.into(),
        operation: if of.is_some() { Operation::Update } else { Operation::Delete },
        key: serde_json::json!({ "id": id }).to_string(),
        before: None,
        after: of.map(|of| serde_json::json!({ "id": id, "of": of }).to_string()),
        partial: of.is_some(),
        source: ChangeSource::Incremental,
        source_updated_at_ms: None,
        as_of_ms: Some(as_of),
        id: format!("{id}:{of:?}"),
    }
}

fn listing(of: &str, ids: &[&str], as_of_ms: u64) -> Listing {
    let key = |id: &&str| serde_json::json!({ "id": id }).to_string();
    Listing {
        parent: serde_json::json!({ "of": of }).to_string(),
        keys: ids.iter().map(key).collect(),
        as_of_ms,
    }
}

/// The ids of the live rows.
fn live(case: &Case) -> String {
    let rows = case.stored(TABLE).into_iter().filter(|(_, state)| matches!(state, State::Live(_)));
    rows.map(|(id, _)| id).collect::<Vec<_>>().join(" ")
}

/// Runs a test on every sink that compares rows, with a table of parts.
#[track_caller]
fn on_every_table(test: impl Fn(&mut Case)) {
    on_every_sink(|case| {
        if case.compares_rows() {
            case.sink().prepare(&[parts()]).expect("prepared");
            test(case);
        }
    });
}

#[test]
fn rows_that_a_listing_of_their_parent_lacks_are_deleted_and_those_of_others_stay() {
    on_every_table(|case| {
        let rows = [part("a", Some("1"), 10), part("b", Some("1"), 10), part("c", Some("2"), 10)];
        case.list(TABLE, &rows, &[]);
        // In the batch that lists them again, unchanged.
        let again = Change { as_of_ms: Some(20), ..rows[0].clone() };
        let counts = case.list(TABLE, &[again], &[listing("1", &["a"], 20)]);
        assert_eq!((counts.deleted, counts.unchanged), (1, 1));
        assert_eq!(live(case), "a c");
        case.reopen();
        assert_eq!(case.list(TABLE, &[], &[listing("1", &["a"], 20)]).deleted, 0, "repeated");
        // Several parents, one of which has none any more.
        let counts = case.list(TABLE, &[], &[listing("1", &[], 30), listing("2", &["c"], 30)]);
        assert_eq!((counts.deleted, live(case).as_str()), (1, "c"));
    });
}

#[test]
fn a_row_that_moved_to_another_parent_in_the_same_batch_stays() {
    on_every_table(|case| {
        // Its new parent was listed with the old one, or a second before.
        for (id, moved_ms) in [("a", 20), ("b", 19)] {
            case.list(TABLE, &[part(id, Some("1"), 10)], &[]);
            let listings = [listing("1", &[], 20), listing("2", &[id], moved_ms)];
            let counts = case.list(TABLE, &[part(id, Some("2"), moved_ms)], &listings);
            assert_eq!((counts.updated, counts.deleted), (1, 0), "{id}");
        }
        assert_eq!(live(case), "a b");
    });
}

#[test]
fn a_row_that_is_as_new_as_the_listing_of_its_parent_stays_and_an_older_one_does_not_come_back() {
    on_every_table(|case| {
        let rows = [part("a", Some("1"), 10), part("b", Some("1"), 20), part("c", Some("1"), 21)];
        case.deliver(&rows);
        case.list(TABLE, &[], &[listing("1", &[], 20)]);
        assert_eq!(live(case), "b c");
        // From before the listing, and from after it.
        case.deliver(&[part("a", Some("1"), 19)]);
        assert_eq!(live(case), "b c");
        case.deliver(&[part("a", Some("1"), 21)]);
        assert_eq!(live(case), "a b c");
    });
}

#[test]
fn a_row_without_its_own_change_in_the_batch_is_kept_by_its_key() {
    on_every_table(|case| {
        // The batch before was cut within the parent: its rows are older than the listing.
        case.list(TABLE, &[part("a", Some("1"), 10)], &[]);
        case.list(TABLE, &[part("b", Some("1"), 30)], &[listing("1", &["a", "b"], 30)]);
        assert_eq!(live(case), "a b");
    });
}

#[test]
fn the_parent_may_be_a_part_of_the_key() {
    on_every_table(|case| {
        let table = Table {
            name: "tags".into(),
            primary_key: vec!["of".into(), "id".into()],
            ..table_with("tags", "{\"of\": {\"type\": \"string\"}, \"id\": {\"type\": \"string\"}}")
        };
        case.sink().prepare(&[table]).expect("prepared");
        let key = |of: &str, id: &str| serde_json::json!({ "of": of, "id": id }).to_string();
        // A NUL and its sign, which PostgreSQL does not store as they are.
        let ids = ["x", "y\u{0}\u{2400}", "z'\""];
        let row = |of: &str, id: &str| Change {
            table: "tags".into(),
            key: key(of, id),
            after: Some(key(of, id)),
            ..part(&format!("{of}{id}"), Some(of), 10)
        };
        let rows: Vec<Change> = ["1", "2"].iter().flat_map(|of| ids.map(|id| row(of, id))).collect();
        case.list("tags", &rows, &[]);
        let kept = Listing { keys: vec![key("1", ids[1])], ..listing("1", &[], 20) };
        assert_eq!(case.list("tags", &[], &[kept]).deleted, 2);
        let stored = case.stored("tags");
        let live = stored.values().filter(|state| matches!(state, State::Live(_))).count();
        assert_eq!(live, 4, "{stored:?}");
    });
}

#[test]
fn a_listing_that_names_no_parent_of_the_table_deletes_nothing() {
    on_every_table(|case| {
        case.list(TABLE, &[part("a", Some("1"), 10)], &[]);
        for parent in ["{}", "{\"of\":null}", "{\"other\":\"1\"}", "{\"of\":\"1\",\"other\":\"1\"}"] {
            let listing = Listing { parent: parent.into(), ..listing("1", &[], 20) };
            assert_eq!(case.list(TABLE, &[], &[listing]).deleted, 0, "{parent}");
        }
        assert_eq!(live(case), "a");
    });
}

#[test]
fn a_batch_deletes_as_many_rows_by_its_listings_as_it_may_have_changes() {
    on_every_table(|case| {
        let rows: Vec<Change> = (0..10_001).map(|n| part(&n.to_string(), Some("1"), 10)).collect();
        case.list(TABLE, &rows, &[]);
        let deleted = [20, 30].map(|as_of| case.list(TABLE, &[], &[listing("1", &[], as_of)]).deleted);
        assert_eq!(deleted, [10_000, 1]);
    });
}

#[test]
fn a_sink_that_does_not_compare_rows_takes_a_batch_with_listings() {
    on_every_sink(|case| {
        if case.compares_rows() {
            return;
        }
        case.sink().prepare(&[parts()]).expect("prepared");
        case.list(TABLE, &[part("a", Some("1"), 10)], &[]);
        case.list(TABLE, &[], &[listing("1", &[], 20)]);
        assert_eq!(live(case), "a");
    });
}
