//! The sink of messages: every form of a line, in both protocols, and the progress that a tool gives back.

mod ended;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::{Level, Message, Messages, Output, Protocol, Saved, Status, airbyte, singer};
use crate::change::{Batch, Change, ChangeSource, Generation, Operation, Table};
use crate::describe::Describe;
use crate::error::{Error, Kind, Origin};
use crate::policy;
use crate::secret::Redactor;
use crate::sinks::{Commit, Counts, Sink, commit_batch};

/// When every batch is read, 2023-11-14T22:13:20Z.
const NOW_MS: u64 = 1_700_000_000_000;
/// Columns of a written record that hold the time of a change at 0.
const AT_0: &str = "1970-01-01T00:00:00.000Z";

/// The output, line by line.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Written {
    /// The lines since the last time.
    fn take(&self) -> Vec<Value> {
        let bytes = std::mem::take(&mut *self.0.lock().expect("no panic"));
        let text = String::from_utf8(bytes).expect("UTF-8");
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }
}

fn table() -> Table {
    let schema = json!({"title": "Things", "properties": {
        "id": {"type": "string"},
        "n": {"type": ["integer", "null"]},
        "price": {"type": ["number", "null"]},
        "at": {"type": ["string", "null"], "format": "date-time"},
        "who": {"type": ["object", "null"]},
        "tags": {"type": ["array", "null"]},
        "is_open": {"type": "boolean"},
        "cf_size": {"type": ["integer", "null"], "x-path": "/cf/cf_size"},
    }});
    let primary_key = vec!["id".to_owned()];
    let (schema, schema_complete) = (schema.to_string(), true);
    Table { name: "things".into(), primary_key, schema, schema_complete, attributes: vec![] }
}

fn change(id: &str, row: Option<Value>, as_of_ms: u64) -> Change {
    Change {
        table: "things".into(),
        operation: if row.is_some() { Operation::Read } else { Operation::Delete },
        key: json!({ "id": id }).to_string(),
        before: None,
        after: row.map(|row| row.to_string()),
        partial: false,
        source: ChangeSource::Snapshot,
        source_updated_at_ms: None,
        as_of_ms: Some(as_of_ms),
        id: format!("{id}:{as_of_ms}"),
    }
}

fn partial(id: &str, members: Value, as_of_ms: u64) -> Change {
    Change { partial: true, ..change(id, Some(members), as_of_ms) }
}

fn batch(changes: Vec<Change>, cursor: &str, snapshot: Option<(u64, bool)>) -> Batch {
    Batch {
        changes,
        cursor: cursor.into(),
        generation: snapshot.map(|(id, complete)| Generation { id, as_of_ms: None, complete }),
        caught_up: false,
        wait_ms: None,
        listings: Vec::new(),
        undelivered: None,
        attributes: vec![],
        called_at_ms: NOW_MS,
    }
}

/// A sink with the table prepared, and its output from then on.
fn sink(protocol: Protocol, saved: Saved) -> (Messages, Written) {
    let written = Written::default();
    let output = Output::new(protocol, Redactor::default(), written.clone());
    let mut sink = Messages::new(output, saved, Box::new(|| Some("sealed".to_owned())));
    sink.prepare(&[table()]).expect("prepared");
    written.take();
    (sink, written)
}

/// Commits a batch as the actor does.
fn commit(sink: &mut Messages, mut batch: Batch) -> Counts {
    commit_batch(sink, "things", &mut batch, 0).expect("committed")
}

/// The last state of these lines, as a tool gives it back.
fn given_back(protocol: Protocol, lines: &[Value]) -> Saved {
    let state = lines.iter().rfind(|line| line["type"] == "STATE").expect("a state");
    match protocol {
        Protocol::Airbyte => airbyte::saved(&json!([state["state"]])),
        Protocol::Singer => singer::saved(&state["value"]),
    }
}

fn records(lines: &[Value]) -> Vec<Value> {
    let data = |line: &Value| match line["type"].as_str() {
        Some("RECORD") if line["record"]["data"].is_object() => Some(line["record"]["data"].clone()),
        Some("RECORD") => Some(line["record"].clone()),
        _ => None,
    };
    lines.iter().filter_map(data).collect()
}

#[test]
fn a_row_is_a_record_of_typed_columns_in_both_protocols() {
    let row = json!({"id": "1", "n": "12", "price": 2, "at": "2024-02-29T10:20:30+05:30", "who": {"a": 1},
                     "tags": [1], "is_open": "true", "cf": {"cf_size": 7}, "undeclared": 1});
    let data = json!({"id": "1", "n": 12, "price": 2.0, "at": "2024-02-29T04:50:30.000Z", "who": {"a": 1},
                      "tags": [1], "is_open": true, "cf_size": 7});
    let changes = batch(vec![change("1", Some(row), 0)], "c1", None);
    let (mut airbyte, written) = sink(Protocol::Airbyte, Saved::default());
    airbyte.commit(&Commit::of("things", &changes)).expect("committed");
    let mut expected = data.clone();
    expected["_ab_cdc_updated_at"] = json!(AT_0);
    expected["_ab_cdc_deleted_at"] = Value::Null;
    let record = json!({"stream": "things", "data": expected, "emitted_at": NOW_MS});
    assert_eq!(written.take()[0], json!({"type": "RECORD", "record": record}));
    let (mut singer, written) = sink(Protocol::Singer, Saved::default());
    singer.commit(&Commit::of("things", &changes)).expect("committed");
    let mut expected = data;
    expected["_sdc_deleted_at"] = Value::Null;
    assert_eq!(
        written.take()[0],
        json!({"type": "RECORD", "stream": "things", "record": expected,
               "time_extracted": "2023-11-14T22:13:20.000Z"})
    );
}

#[test]
fn half_of_a_surrogate_pair_in_an_object_or_a_list_leaves_a_line_that_every_reader_takes() {
    let row = r#"{"id":"1","who":{"a":"\ud83d","b":"\ud83e\udd80"},"tags":["\udd80x"]}"#;
    let change = Change { after: Some(row.to_owned()), ..change("1", Some(Value::Null), 0) };
    for protocol in [Protocol::Airbyte, Protocol::Singer] {
        let (mut sink, written) = sink(protocol, Saved::default());
        commit(&mut sink, batch(vec![change.clone()], "c1", None));
        let row = records(&written.take()).remove(0);
        assert_eq!(row["who"], json!({"a": "\u{fffd}", "b": "\u{1f980}"}), "{protocol:?}");
        assert_eq!(row["tags"], json!(["\u{fffd}x"]), "{protocol:?}");
    }
}

#[test]
fn nul_is_the_replacement_character_in_texts_objects_and_lists() {
    let row = r#"{"id":"1","name":"a\u0000b","who":{"a\u0000":"\u0000"},"tags":["\\u0000\u0000"]}"#;
    let change = Change { after: Some(row.to_owned()), ..change("1", Some(Value::Null), 0) };
    for protocol in [Protocol::Airbyte, Protocol::Singer] {
        let (mut sink, written) = sink(protocol, Saved::default());
        let mut named = table();
        named.schema = named.schema.replacen("\"id\":", "\"name\":{\"type\":\"string\"},\"id\":", 1);
        sink.prepare(&[named]).expect("prepared");
        written.take();
        commit(&mut sink, batch(vec![change.clone()], "c1", None));
        let row = records(&written.take()).remove(0);
        assert_eq!(row["name"], "a\u{fffd}b", "{protocol:?}");
        assert_eq!(row["who"], json!({"a\u{fffd}": "\u{fffd}"}), "{protocol:?}");
        assert_eq!(row["tags"], json!(["\\u0000\u{fffd}"]), "{protocol:?}");
    }
}

#[test]
fn a_delete_is_the_key_with_the_time_of_the_delete() {
    let changes = batch(vec![change("1", None, 0)], "c1", None);
    let (mut sink, written) = sink(Protocol::Airbyte, Saved::default());
    let counts = sink.commit(&Commit::of("things", &changes)).expect("committed");
    assert_eq!((counts.inserted, counts.deleted), (0, 1));
    let data = json!({"id": "1", "_ab_cdc_updated_at": AT_0, "_ab_cdc_deleted_at": AT_0});
    assert_eq!(records(&written.take()), [data]);
    let (mut singer, written) = self::sink(Protocol::Singer, Saved::default());
    singer.commit(&Commit::of("things", &changes)).expect("committed");
    assert_eq!(records(&written.take()), [json!({"id": "1", "_sdc_deleted_at": AT_0})]);
}

#[test]
fn a_key_comes_once_in_a_commit_with_its_newest_state() {
    let changes = vec![
        change("1", Some(json!({"id": "1", "n": 1, "price": 5})), 10),
        change("2", Some(json!({"id": "2", "n": 2})), 10),
        partial("1", json!({"n": 3}), 20),
        change("2", None, 20),
        change("1", Some(json!({"id": "1", "n": 4})), 15),
    ];
    let (mut sink, written) = sink(Protocol::Singer, Saved::default());
    sink.commit(&Commit::of("things", &batch(changes, "c1", None))).expect("committed");
    let records = records(&written.take());
    assert_eq!(records.len(), 2);
    assert_eq!(records[0], json!({"id": "1", "n": 3, "price": 5.0, "_sdc_deleted_at": null}));
    assert_eq!((&records[1]["id"], records[1]["_sdc_deleted_at"].is_string()), (&json!("2"), true));
}

#[test]
fn a_run_of_airbyte_holds_a_key_once_and_its_state_stays_before_a_row_that_changed() {
    let (mut sink, written) = sink(Protocol::Airbyte, Saved::default());
    let mut commit = |changes: Vec<Change>, cursor: &str| {
        sink.commit(&Commit::of("things", &batch(changes, cursor, None))).expect("committed");
        let lines = written.take();
        let is_state = |line: &&Value| line["type"] == "STATE";
        let cursor = lines.iter().find(is_state).map(|line| {
            line["state"]["stream"]["stream_state"]["cursor"].as_str().expect("a cursor").to_owned()
        });
        let ids: Vec<String> = records(&lines).iter().map(|row| row["id"].to_string()).collect();
        (ids.join(" "), cursor)
    };
    let row = |n: u64| Some(json!({"id": "1", "n": n}));
    assert_eq!(commit(vec![change("1", row(1), 10)], "c1"), ("\"1\"".into(), Some("c1".into())));
    // The same row, known to hold at a later time.
    assert_eq!(commit(vec![change("1", row(1), 20)], "c2"), (String::new(), Some("c2".into())));
    // It has changed: the next run reads on from `c2`.
    assert_eq!(commit(vec![change("1", row(2), 30), change("2", row(2), 30)], "c3"), ("\"2\"".into(), None));
    assert_eq!(commit(vec![change("3", row(3), 40)], "c4"), ("\"3\"".into(), None));
}

#[test]
fn a_value_that_does_not_fit_and_a_member_that_was_not_read_are_null_and_named() {
    let changes = vec![partial("1", json!({"id": "1", "n": "many", "who": "nobody", "price": 1}), 0)];
    let (mut sink, written) = sink(Protocol::Airbyte, Saved::default());
    let counts = sink.commit(&Commit::of("things", &batch(changes, "c1", None))).expect("committed");
    assert_eq!(counts.unconverted, 2);
    let line = written.take().remove(0);
    assert_eq!((&line["record"]["data"]["n"], &line["record"]["data"]["price"]), (&Value::Null, &json!(1.0)));
    let changes = line["record"]["meta"]["changes"].as_array().expect("changes");
    let reasons: Vec<String> = changes
        .iter()
        .map(|change| format!("{} {} {}", change["field"], change["change"], change["reason"]))
        .collect();
    assert_eq!(
        reasons.join("\n").replace('"', ""),
        "n NULLED SOURCE_SERIALIZATION_ERROR\nat NULLED SOURCE_RETRIEVAL_ERROR\n\
         who NULLED SOURCE_SERIALIZATION_ERROR\ntags NULLED SOURCE_RETRIEVAL_ERROR\n\
         is_open NULLED SOURCE_RETRIEVAL_ERROR\ncf_size NULLED SOURCE_RETRIEVAL_ERROR"
    );
}

#[test]
fn the_state_of_a_table_follows_its_records_and_continues_the_next_run() {
    let (mut sink, written) = sink(Protocol::Airbyte, Saved::default());
    let changes = vec![change("1", Some(json!({"id": "1"})), 0), change("1", Some(json!({"id": "1"})), 1)];
    sink.commit(&Commit::of("things", &batch(changes, "c1", Some((7, false))))).expect("committed");
    let lines = written.take();
    let state = lines.last().expect("a line");
    assert_eq!(state["type"], "STATE");
    assert_eq!(state["state"]["type"], "STREAM");
    assert_eq!(state["state"]["stream"]["stream_descriptor"], json!({"name": "things"}));
    assert_eq!(state["state"]["sourceStats"], json!({"recordCount": 1}));
    let kept = &state["state"]["stream"]["stream_state"];
    assert_eq!((&kept["cursor"], &kept["session"]), (&json!("c1"), &json!("sealed")));
    // As PyAirbyte gives it back.
    let given = json!([{"type": "STREAM", "data": null, "global": null, "global_": null,
        "stream": {"stream_descriptor": {"name": "things", "namespace": null}, "stream_state": kept},
        "sourceStats": null, "destinationStats": null}]);
    let saved = airbyte::saved(&given);
    assert_eq!(saved.session.as_deref(), Some("sealed"));
    let (sink, _written) = self::sink(Protocol::Airbyte, saved);
    let progress = sink.progress().expect("progress");
    assert_eq!(progress.tables.len(), 1);
    assert_eq!((progress.tables[0].cursor.as_deref(), progress.tables[0].complete), (Some("c1"), false));
}

#[test]
fn a_full_refresh_starts_again_after_a_snapshot_that_ended_and_continues_an_interrupted_one() {
    for protocol in [Protocol::Airbyte, Protocol::Singer] {
        for (complete, caught_up, expected) in
            [(true, true, None), (false, true, None), (false, false, Some("c".to_owned()))]
        {
            let (mut sink, written) = sink(protocol, Saved::default());
            let row = vec![change("1", Some(json!({"id": "1"})), 1)];
            let batch = Batch { caught_up, ..batch(row, "c", Some((7, complete))) };
            commit(&mut sink, batch);
            let mut saved = given_back(protocol, &written.take());
            saved.refresh("things");
            assert_eq!(saved.progress().tables[0].cursor, expected, "{protocol:?} {complete} {caught_up}");
        }
    }
}

#[test]
fn states_of_any_other_shape_count_as_none() {
    for state in [
        json!(null),
        json!([]),
        json!({}),
        json!([1, null, {"stream": 1}]),
        json!("x"),
        json!([{"stream": {"stream_descriptor": {"name": "things"}, "stream_state": null}}]),
        json!([{"stream": {"stream_descriptor": {"name": "things"}, "stream_state": {"cursor": 1}}}]),
    ] {
        assert_eq!(airbyte::saved(&state), Saved::default(), "{state}");
        assert_eq!(singer::saved(&state), Saved::default(), "{state}");
    }
}

#[test]
fn the_session_of_the_newest_state_counts() {
    let own = |at: u64| json!({"cursor": "c", "session": format!("s{at}"), "session_at": at});
    let of = |name: &str, at: u64| {
        let stream = json!({"stream_descriptor": {"name": name}, "stream_state": own(at)});
        json!({"type": "STREAM", "stream": stream})
    };
    assert_eq!(airbyte::saved(&json!([of("a", 3), of("b", 9), of("c", 4)])).session.as_deref(), Some("s9"));
}

#[test]
fn a_snapshot_has_a_version_that_is_activated_when_it_is_complete() {
    let (mut sink, written) = sink(Protocol::Singer, Saved::default());
    let row = |id: &str| vec![change(id, Some(json!({ "id": id })), 0)];
    for (number, (id, snapshot)) in
        [("1", Some((7, false))), ("2", Some((7, true))), ("3", None), ("1", Some((8, true)))]
            .into_iter()
            .enumerate()
    {
        let cursor = format!("c{number}");
        sink.commit(&Commit::of("things", &batch(row(id), &cursor, snapshot))).expect("committed");
    }
    let lines = written.take();
    let said: Vec<String> = lines
        .iter()
        .map(|line| format!("{} {}", line["type"].as_str().expect("a type"), line["version"]))
        .collect();
    let (first, second) = (NOW_MS, NOW_MS + 1);
    assert_eq!(
        said,
        [
            format!("RECORD {first}"),
            "STATE null".to_owned(),
            format!("RECORD {first}"),
            format!("ACTIVATE_VERSION {first}"),
            "STATE null".to_owned(),
            format!("RECORD {first}"),
            "STATE null".to_owned(),
            format!("RECORD {second}"),
            format!("ACTIVATE_VERSION {second}"),
            "STATE null".to_owned(),
        ]
    );
    let state = &lines.last().expect("a line")["value"];
    assert_eq!(state["session"], "sealed");
    assert_eq!(singer::saved(state), singer::saved(&json!({"type": "STATE", "value": state})));
    assert!(singer::saved(state).has_ended("things"));
}

#[test]
fn a_verification_writes_no_row_that_the_tool_has_and_activates_no_version() {
    let row = |id: &str, as_of_ms: u64| change(id, Some(json!({"id": id, "n": 1, "price": 2})), as_of_ms);
    let commit = |sink: &mut Messages, changes: Vec<Change>, snapshot: Option<(u64, bool)>| {
        let mut batch = batch(changes, "c", snapshot);
        if let Some(generation) = &mut batch.generation {
            generation.as_of_ms = Some(generation.id * 100);
        }
        sink.commit(&Commit::of("things", &batch)).expect("committed")
    };
    for protocol in [Protocol::Airbyte, Protocol::Singer] {
        let (mut first, _written) = sink(protocol, Saved::default());
        commit(&mut first, vec![row("1", 700), row("2", 700)], Some((7, true)));
        // The next run lists row 1, and reads row 3, which was restored. Then row 1 changes.
        let (mut next, written) = sink(protocol, first.saved.clone());
        let listed = || vec![partial("1", json!({"id": "1", "n": 1}), 1)];
        let counts = commit(&mut next, listed(), Some((8, false)));
        assert_eq!((counts.read, counts.inserted), (1, 0));
        commit(&mut next, [listed(), vec![row("3", 850)]].concat(), Some((8, true)));
        commit(&mut next, vec![partial("1", json!({"id": "1", "n": 5}), 900)], None);
        let lines = written.take();
        let ids: Vec<String> = records(&lines).iter().map(|row| row["id"].to_string()).collect();
        assert_eq!(ids, ["\"3\"", "\"1\""], "{protocol:?}");
        let kinds: Vec<&str> = lines.iter().map(|line| line["type"].as_str().expect("a type")).collect();
        assert_eq!(kinds, ["STATE", "RECORD", "STATE", "RECORD", "STATE"], "{protocol:?}");
        let versions: BTreeSet<u64> = lines.iter().filter_map(|line| line["version"].as_u64()).collect();
        assert!(versions.iter().all(|version| *version == NOW_MS), "{versions:?}");
    }
}

#[test]
fn a_full_refresh_in_the_middle_of_a_verification_reads_every_row_again() {
    let (mut sink, written) = sink(Protocol::Airbyte, Saved::default());
    let row = |as_of_ms: u64| vec![change("1", Some(json!({"id": "1"})), as_of_ms)];
    sink.commit(&Commit::of("things", &batch(row(1), "c1", Some((7, true))))).expect("committed");
    let listed = vec![partial("1", json!({"id": "1"}), 1)];
    sink.commit(&Commit::of("things", &batch(listed.clone(), "c2", Some((8, false))))).expect("committed");
    let state = written.take().pop().expect("a state")["state"].take();
    let mut saved = airbyte::saved(&json!([state]));
    saved.refresh("things");
    assert_eq!(saved.progress().tables[0].cursor, None);
    // A row whose detail cannot be read is written with the members of its list row.
    let (mut sink, written) = self::sink(Protocol::Airbyte, saved);
    sink.commit(&Commit::of("things", &batch(listed, "c1", Some((9, true))))).expect("committed");
    assert_eq!(records(&written.take()).len(), 1);
}

#[test]
fn an_empty_snapshot_activates_a_version_that_has_no_row() {
    let (mut sink, written) = sink(Protocol::Singer, Saved::default());
    let row = vec![change("1", Some(json!({"id": "1"})), 1)];
    sink.commit(&Commit::of("things", &batch(row, "c1", Some((7, true))))).expect("committed");
    written.take();
    sink.commit(&Commit::of("things", &batch(vec![], "c2", Some((8, true))))).expect("committed");
    assert_eq!(written.take()[0]["version"], NOW_MS + 1);
}

#[test]
fn a_schema_comes_before_the_records_and_lists_every_column() {
    let written = Written::default();
    let output = Output::new(Protocol::Singer, Redactor::default(), written.clone());
    let mut sink = Messages::new(output, Saved::default(), Box::new(|| None));
    sink.prepare(&[table()]).expect("prepared");
    let schema = written.take().remove(0);
    assert_eq!((&schema["type"], &schema["key_properties"]), (&json!("SCHEMA"), &json!(["id"])));
    let properties = &schema["schema"]["properties"];
    assert_eq!(properties["id"], json!({"type": "string"}));
    assert_eq!(properties["cf_size"], json!({"type": ["null", "integer"]}));
    assert_eq!(properties["at"], json!({"type": ["null", "string"], "format": "date-time"}));
    assert_eq!(properties["who"]["type"], json!(["null", "object"]));
    assert_eq!(properties["tags"]["type"], json!(["null", "array"]));
    assert!(properties["_sdc_deleted_at"].is_object());
}

fn describe() -> Describe {
    let document = json!({
        "name": "x", "title": "X",
        "configuration": {"type": "object", "required": ["secret"], "additionalProperties": false,
            "properties": {"secret": {"type": "string", "writeOnly": true, "x-order": 1},
                           "n": {"type": "integer"}}},
        "grant": {"type": "object", "properties": {"code": {"type": "string", "writeOnly": true}}},
        "tables": [
            {"name": "things", "capabilities": ["incremental", "count"], "incremental": "search"},
            {"name": "few", "capabilities": ["incremental"], "incremental": "full-refresh"},
        ],
    });
    Describe::parse(&document.to_string()).expect("a document")
}

#[test]
fn the_specification_has_the_components_keys_and_the_grant_with_secrets_marked() {
    let spec = airbyte::spec(&describe());
    let schema = &spec["spec"]["connectionSpecification"];
    assert_eq!(spec["type"], "SPEC");
    assert_eq!(schema["required"], json!(["secret"]));
    assert_eq!(schema["properties"]["secret"]["airbyte_secret"], true);
    assert_eq!(schema["properties"]["secret"]["order"], 1);
    assert_eq!(schema["properties"]["n"], json!({"type": "integer"}));
    assert_eq!(schema["properties"]["grant"]["properties"]["code"]["airbyte_secret"], true);
}

#[test]
fn a_catalog_says_key_cursor_and_modes_of_each_table() {
    let few = Table { name: "few".into(), ..table() };
    let catalog = airbyte::catalog(&[table(), few.clone()], &describe()).expect("a catalog");
    let streams = catalog["catalog"]["streams"].as_array().expect("streams");
    assert_eq!(streams[0]["supported_sync_modes"], json!(["full_refresh", "incremental"]));
    assert_eq!(streams[1]["supported_sync_modes"], json!(["full_refresh"]));
    assert_eq!(streams[0]["source_defined_primary_key"], json!([["id"]]));
    assert_eq!(streams[0]["default_cursor_field"], json!(["_ab_cdc_updated_at"]));
    assert!(streams[0]["json_schema"]["properties"]["_ab_cdc_updated_at"].is_object());
    let catalog = singer::catalog(&[table(), few], &describe()).expect("a catalog");
    let (things, few) = (&catalog["streams"][0], &catalog["streams"][1]);
    assert_eq!(things["metadata"][0]["metadata"]["forced-replication-method"], "INCREMENTAL");
    assert_eq!(few["metadata"][0]["metadata"]["forced-replication-method"], "FULL_TABLE");
    assert_eq!(things["metadata"][1]["breadcrumb"], json!(["properties", "id"]));
    assert_eq!(things["metadata"][1]["metadata"]["inclusion"], "automatic");
}

#[test]
fn a_catalog_selects_tables_and_columns() {
    let mut catalog =
        singer::catalog(&[table(), Table { name: "few".into(), ..table() }], &describe()).expect("ok");
    let all = singer::selected(&catalog).expect("a catalog");
    assert_eq!(all.tables, [("things".to_owned(), false), ("few".to_owned(), true)]);
    catalog["streams"][1]["metadata"][0]["metadata"]["selected"] = json!(false);
    for entry in catalog["streams"][0]["metadata"].as_array_mut().expect("metadata") {
        entry["metadata"]["selected"] = json!(entry["breadcrumb"] == json!([]));
    }
    let some = singer::selected(&catalog).expect("a catalog");
    assert_eq!(some.tables, [("things".to_owned(), false)]);
    let unwanted: BTreeSet<&str> = some.unwanted["things"].iter().map(String::as_str).collect();
    assert!(unwanted.contains("n") && !unwanted.contains("id"), "{unwanted:?}");
    let written = Written::default();
    let output = Output::new(Protocol::Singer, Redactor::default(), written.clone());
    let unwanted = BTreeMap::from([("things".to_owned(), some.unwanted["things"].clone())]);
    let mut sink = Messages::new(output, Saved::default(), Box::new(|| None)).without(unwanted);
    sink.prepare(&[table()]).expect("prepared");
    let changes = batch(vec![change("1", Some(json!({"id": "1", "n": 1})), 0)], "c", None);
    sink.commit(&Commit::of("things", &changes)).expect("committed");
    assert_eq!(records(&written.take()), [json!({"id": "1", "_sdc_deleted_at": null})]);
}

#[test]
fn a_file_that_is_no_catalog_selects_nothing_by_mistake() {
    for other in [Value::Null, json!({}), json!([]), json!({"streams": null}), json!({"data_center": "us"})] {
        let error = singer::selected(&other).expect_err("no catalog");
        assert!(error.message.starts_with("--catalog: not a catalog"), "{other}: {error}");
    }
    assert_eq!(singer::selected(&json!({"streams": []})).expect("a catalog").tables, []);
}

#[test]
fn a_configured_catalog_names_its_tables_and_which_are_read_in_full() {
    let catalog = json!({"streams": [
        {"stream": {"name": "a", "namespace": null}, "sync_mode": "incremental",
         "destination_sync_mode": "overwrite"},
        {"stream": {"name": "b"}, "sync_mode": "full_refresh", "generation_id": 3}, {"stream": null}]});
    let tables = airbyte::configured(&catalog).expect("a catalog");
    assert_eq!(tables, [("a".to_owned(), false), ("b".to_owned(), true)]);
    assert!(airbyte::configured(&json!([])).is_err());
}

#[test]
fn a_configured_catalog_says_which_tables_a_full_refresh_replaces() {
    let stream = |name: &str, mode: &str, kept: &str| {
        let stream = json!({ "name": name });
        json!({"stream": stream, "sync_mode": mode, "destination_sync_mode": kept})
    };
    let (full, overwrite) = ("full_refresh", "overwrite");
    let catalog = json!({"streams": [
        stream("a", full, overwrite), stream("b", full, "overwrite_dedup"), stream("c", full, "append"),
        stream("d", "incremental", overwrite), {"stream": {"name": "e"}, "sync_mode": full}, {}]});
    assert_eq!(airbyte::overwritten(&catalog), BTreeSet::from(["a".to_owned(), "b".to_owned()]));
    assert!(airbyte::overwritten(&json!([])).is_empty());
}

#[test]
fn other_messages_are_traces_and_logs_of_airbyte_without_secrets() {
    let written = Written::default();
    let redactor = Redactor::default();
    redactor.learn("acme", "very-secret");
    let output = Output::new(Protocol::Airbyte, redactor, written.clone());
    let error = Error::new(Origin::Component, Kind::Auth, "token very-secret was refused").hint("authorize");
    let failure = policy::failure(&error);
    for message in [
        Message::Status { table: "things", status: Status::Incomplete },
        Message::Estimate { table: "things", rows: 12 },
        Message::Log { level: Level::Warning, text: "very-secret" },
        Message::Failed { table: Some("things"), error: &error, failure },
    ] {
        output.say(message, 5).expect("said");
    }
    let lines = written.take();
    let status = json!({"stream_descriptor": {"name": "things"}, "status": "INCOMPLETE"});
    let trace = json!({"type": "STREAM_STATUS", "emitted_at": 5, "stream_status": status});
    assert_eq!(lines[0], json!({"type": "TRACE", "trace": trace}));
    let estimate = json!({"name": "things", "type": "STREAM", "row_estimate": 12});
    assert_eq!(lines[1]["trace"], json!({"type": "ESTIMATE", "emitted_at": 5, "estimate": estimate}));
    assert_eq!(lines[2], json!({"type": "LOG", "log": {"level": "WARN", "message": "[secret]"}}));
    let failed = &lines[3]["trace"]["error"];
    assert_eq!(failed["failure_type"], "config_error");
    assert_eq!(failed["message"], "token [secret] was refused; hint: authorize");
    assert_eq!(failed["stream_descriptor"], json!({"name": "things"}));
    assert!(!lines[3].to_string().contains("very-secret"));
}

#[test]
fn a_closed_output_fails_the_commit_and_keeps_the_progress() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _bytes: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let output = Output::new(Protocol::Airbyte, Redactor::default(), Closed);
    let mut sink = Messages::new(output, Saved::default(), Box::new(|| None));
    sink.prepare(&[table()]).expect("Airbyte needs no schema");
    let error = sink.commit(&Commit::of("things", &batch(vec![], "c", None))).expect_err("closed");
    assert_eq!(error.origin, Origin::Sink);
    assert!(sink.progress().expect("progress").tables.iter().all(|table| table.cursor.is_none()));
}
