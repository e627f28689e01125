//! Tables and columns: names of every kind, and schemas that change.

use serde_json::json;

use super::State;
use super::case::{TABLE, change, on_every_sink, table, table_with};
use crate::change::{Change, Table};

#[test]
fn rows_survive_every_change_of_the_schema() {
    on_every_sink(|case| {
        case.poll(&[change("a", Some(1), 10)]);
        for properties in [
            "{\"id\": {}, \"n\": {\"type\": \"integer\"}, \"other\": {\"type\": \"boolean\"}}",
            "{\"id\": {}, \"n\": {\"type\": \"string\"}}",
            "{\"id\": {}, \"n\": {\"type\": \"object\"}, \"later\": {\"x-path\": \"/n/later\"}}",
            "{}",
        ] {
            case.sink().prepare(&[table_with(TABLE, properties)]).expect("prepared");
            case.poll(&[change("b", Some(1), 10), change("a", Some(1), 10)]);
            case.expect("a=1 b=1");
        }
        case.reopen();
        case.sink().prepare(&[table()]).expect("prepared");
        case.poll(&[change("a", Some(2), 20)]);
        case.expect("a=2 b=1");
    });
}

#[test]
fn members_may_have_any_name() {
    let names = [
        "",
        " ",
        "select",
        "a\"b",
        "a'b",
        "a`b",
        "[a]",
        "a;b",
        "x\"; DROP TABLE things; --",
        "%",
        "?1",
        ":n",
        "漢字",
        "nul\0",
        "_raw",
        "_deleted",
        "_as_of",
        "rowid",
        "oid",
        "ID",
        "N",
        "n__2",
        "id__2",
    ];
    let properties: serde_json::Map<_, _> =
        names.iter().map(|name| ((*name).to_owned(), json!({ "type": "string" }))).collect();
    on_every_sink(|case| {
        let wide = table_with(TABLE, &serde_json::Value::Object(properties.clone()).to_string());
        case.sink().prepare(std::slice::from_ref(&wide)).expect("prepared");
        case.sink().prepare(std::slice::from_ref(&wide)).expect("prepared again");
        let mut row: serde_json::Map<_, _> =
            names.iter().map(|name| ((*name).to_owned(), json!(format!("<{name}>")))).collect();
        row.insert("id".into(), "a".into());
        row.insert("n".into(), "1".into());
        let after = Some(serde_json::Value::Object(row.clone()).to_string());
        case.poll(&[Change { after, ..change("a", Some(1), 10) }]);
        case.reopen();
        assert_eq!(case.stored(TABLE)["a"], State::Live(row.into()));
    });
}

#[test]
fn a_table_name_is_usable_or_refused_before_anything_is_stored() {
    let names = [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "/tmp/x",
        ".hidden",
        "_sync_state",
        "_x",
        "sqlite_master",
        "SQLITE_x",
        "nul\0",
        "a b",
        "select",
        "x\"; DROP TABLE things; --",
        "漢字",
        "Things",
        "things_live",
        &"x".repeat(300),
    ];
    on_every_sink(|case| {
        case.poll(&[change("a", Some(1), 10)]);
        for name in names {
            let prepared =
                case.sink().prepare(&[table(), table_with(name, "{\"n\": {\"type\": \"integer\"}}")]);
            if let Err(error) = prepared {
                assert!(error.message.contains(name.trim_end_matches('\0')), "{error}");
                continue;
            }
            case.deliver(&[Change { table: name.into(), ..change("b", Some(2), 10) }]);
            assert_eq!(case.stored(name).len(), 1, "{name}");
        }
        case.reopen();
        case.expect("a=1");
        for entry in std::fs::read_dir(case.folder.path()).expect("read") {
            let name = entry.expect("an entry").file_name();
            assert!(name.to_string_lossy().starts_with("rows"), "{name:?} is outside");
        }
    });
}

#[test]
fn tables_may_be_named_as_what_a_sink_keeps_about_others() {
    on_every_sink(|case| {
        let names = ["rows_things", "things_live", "key_things", "columns"];
        for name in names {
            case.sink().prepare(&[table(), table_with(name, "{}")]).expect(name);
            case.deliver(&[Change { table: name.into(), ..change("b", Some(2), 10) }]);
        }
        case.poll(&[change("a", Some(1), 10)]);
        case.reopen();
        case.expect("a=1");
        for name in names {
            assert_eq!(case.stored(name).len(), 1, "{name}");
        }
    });
}

#[test]
fn keys_of_several_members_are_rows_of_their_own() {
    on_every_sink(|case| {
        let table = Table { primary_key: vec!["order by".into(), "id".into()], ..table_with("pairs", "{}") };
        case.sink().prepare(&[table]).expect("prepared");
        let row = |left: &str, right: &str, as_of| Change {
            table: "pairs".into(),
            key: json!({ "order by": left, "id": right }).to_string(),
            after: Some(json!({ "n": as_of }).to_string()),
            ..change(&format!("{left}{right}"), Some(1), as_of)
        };
        case.deliver(&[row("1", "2", 10), row("1", "3", 10), row("12", "", 10), row("1", "2", 20)]);
        let keys: Vec<String> = case.stored("pairs").into_keys().collect();
        assert_eq!(keys, ["1/2", "1/3", "12/"]);
    });
}
