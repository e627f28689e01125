//! Content of rows: every JSON object comes back as it was.

use serde_json::{Value, json};

use super::State;
use super::case::{TABLE, change, on_every_sink, on_every_sink_and};
use super::tool::{AIRBYTE, TOOLS};
use crate::change::Change;

/// Longer than a page, a read buffer and a line of most editors.
const HUGE_BYTES: usize = 3 * 1024 * 1024;

/// Objects, by the key of their row.
fn objects() -> [(&'static str, Value); 7] {
    [
        ("empty", json!({})),
        ("nul", json!({ "n": "a\0b", "\0": "\0" })),
        ("unicode", json!({ "n": "naïve 漢字 🦀 \u{202e}rtl \u{2028}line" })),
        ("control", json!({ "n": "\r\n\t\u{1b}[0m\"\\" })),
        ("huge", json!({ "n": "x".repeat(HUGE_BYTES) })),
        ("nested", json!({ "n": { "n": [{}, [], [null, true, 1.5]] } })),
        ("numbers", json!({ "n": [i64::MAX, u64::MAX, -0.0, 1e300] })),
    ]
}

#[test]
fn every_json_object_comes_back_as_it_was() {
    on_every_sink(|case| {
        let changes =
            objects().map(|(id, row)| Change { after: Some(row.to_string()), ..change(id, Some(0), 10) });
        let counts = case.poll(&changes);
        assert_eq!(counts.inserted, 7);
        case.reopen();
        let stored = case.stored(TABLE);
        for (id, row) in objects() {
            assert!(stored[id] == State::Live(row), "row `{id}` is different");
        }
    });
}

#[test]
fn every_json_object_comes_back_from_a_column() {
    on_every_sink_and(TOOLS, |case| {
        let row = |id: &str, object: &Value| json!({ "id": id, "o": object });
        let changes = objects()
            .map(|(id, o)| Change { after: Some(row(id, &o).to_string()), ..change(id, Some(0), 10) });
        case.poll(&changes);
        case.reopen();
        let stored = case.stored(TABLE);
        for (id, mut object) in objects() {
            if id == "nul" && case.is_tool() {
                // Databases behind tools take none.
                object = json!({ "n": "a\u{fffd}b", "\u{fffd}": "\u{fffd}" });
            }
            assert!(stored[id] == State::Live(row(id, &object)), "row `{id}` is different");
        }
    });
}

const KEYS: [&str; 14] =
    ["", " ", "a", "A", "a\0b", "a\0c", "é", "e\u{301}", "漢字", "'; --", "\"", "null", "1", "01"];

#[test]
fn every_key_is_one_row() {
    on_every_sink_and(TOOLS, |case| {
        let changes = KEYS.map(|key| change(key, Some(1), 10));
        case.poll(&changes);
        case.deliver(&changes);
        case.deliver(&KEYS.map(|key| change(key, Some(2), 20)));
        let stored = case.stored(TABLE);
        assert_eq!(stored.len(), KEYS.len());
        for key in KEYS {
            let State::Live(row) = &stored[key] else { panic!("key {key:?} is deleted") };
            assert_eq!((&row["id"], &row["n"]), (&Value::from(key), &Value::from("2")), "{key:?}");
        }
    });
}

#[test]
fn every_key_can_be_deleted_and_stays_so() {
    on_every_sink_and(&[&AIRBYTE], |case| {
        case.poll(&KEYS.map(|key| change(key, Some(2), 20)));
        case.deliver(&KEYS.map(|key| change(key, None, 30)));
        case.deliver(&KEYS.map(|key| change(key, Some(3), 25)));
        let is_deleted = |state: &State| *state == State::Deleted;
        assert!(case.stored(TABLE).values().all(is_deleted));
    });
}

#[test]
fn white_space_and_line_breaks_between_tokens_do_not_matter() {
    on_every_sink_and(TOOLS, |case| {
        let row = "\n{\r\n  \"id\" : \"a\",\n\t\"n\":\n\"1\"}\r\n ";
        let change =
            Change { after: Some(row.into()), key: "{ \"id\":\n\"a\" }".into(), ..change("a", Some(1), 10) };
        case.poll(&[change]);
        assert_eq!(case.stored(TABLE)["a"], State::Live(json!({ "id": "a", "n": "1" })));
    });
}
