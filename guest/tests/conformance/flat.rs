//! The flat shape of every table, compared with the same rows as documents, and with the discovered schema.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::portal::{Portal, sizes};
use crate::sink::Sink;
use crate::{change, tables};

type Row = Map<String, Value>;

/// The properties of each table's schema.
fn schemas(portal: &mut Portal) -> BTreeMap<&'static str, Map<String, Value>> {
    let mut connection = portal.connect();
    let found = connection.discover().unwrap();
    portal.keep(&connection);
    let properties = |schema: &Value| schema["properties"].as_object().unwrap().clone();
    found.iter().map(|found| (found.table.name, properties(&found.schema))).collect()
}

/// Fails unless the members of `flat` that begin with `name` are those of `value`.
fn compare(flat: &Row, name: &str, value: &Value) {
    if let Some(found) = flat.get(name) {
        assert_eq!(found, value, "{name}");
        return;
    }
    let path = format!("{name}__");
    let mut columns = flat.iter().filter(|(known, _)| known.starts_with(&path)).peekable();
    assert!(columns.peek().is_some(), "`{name}` is lost: {flat:?}");
    match value {
        Value::Object(members) => {
            for (member, value) in members {
                match &flat[&format!("{path}other")] {
                    Value::Object(other) if other.contains_key(member) => assert_eq!(&other[member], value),
                    _ => compare(flat, &format!("{path}{member}"), value),
                }
            }
        }
        _ => assert!(value.is_null() && columns.all(|(_, found)| found.is_null()), "{name}: {flat:?}"),
    }
}

/// Fails unless both sinks hold the same, and the schema has every member of the flat rows.
fn check(table: &str, documents: &Sink, flat: &Sink, properties: &Map<String, Value>, when: &str) {
    let mut missing: BTreeMap<&String, &Value> = BTreeMap::new();
    assert!(documents.rows.keys().eq(flat.rows.keys()), "{table}, {when}: other rows");
    for (key, document) in &documents.rows {
        let row = &flat.rows[key];
        let is_custom = |name: &str| name == "cf" && !properties.contains_key("cf");
        for (name, value) in document.iter().filter(|(name, _)| !is_custom(name)) {
            compare(row, name, value);
        }
        let custom = document.get("cf").filter(|_| is_custom("cf")).and_then(Value::as_object);
        for (field, value) in custom.into_iter().flatten() {
            assert_eq!(row.get(field), Some(value), "{table}, {when}: {key}: `{field}`");
        }
        for (name, value) in row {
            let Some(property) = properties.get(name) else {
                missing.insert(name, value);
                continue;
            };
            let is_object = property["type"][0] == "object";
            assert!(is_object || !value.is_object(), "{table}, {when}: {key}: `{name}` is {value}");
        }
    }
    assert!(missing.is_empty(), "{table}, {when}: the schema lacks {missing:?}");
}

#[test]
fn flat_rows_have_every_member_of_their_documents_and_the_columns_of_the_schema() {
    let mut portal = Portal::start(sizes(None));
    let mut sinks: Vec<(String, Sink, Sink)> =
        tables().into_iter().map(|table| (table.name, Sink::default(), Sink::default())).collect();
    portal.shape = "flat";
    let schemas = schemas(&mut portal);
    for when in ["first", crate::AFTER_CHANGES] {
        for (table, documents, flat) in &mut sinks {
            for (shape, sink) in [("document", &mut *documents), ("flat", &mut *flat)] {
                portal.shape = shape;
                sink.read(&mut portal, table, 1_000).unwrap();
            }
            check(table, documents, flat, &schemas[table.as_str()], when);
        }
        portal.advance_hours(25);
        if when == "first" {
            change(&portal);
            portal.advance_hours(1);
        }
    }
}

#[test]
fn a_switch_of_the_shape_reads_every_table_again_and_loses_nothing() {
    let mut portal = Portal::start(sizes(None));
    for table in tables() {
        let mut documents = Sink::default();
        documents.read(&mut portal, &table.name, 1_000).unwrap();
        for (from, to) in [("document", "flat"), ("flat", "document")] {
            // In the middle of a snapshot, and after it.
            for batches in [1, 1_000] {
                let mut switched = Sink::default();
                portal.shape = from;
                switched.read_at_most(&mut portal, &table.name, 7, batches).unwrap();
                portal.shape = to;
                switched.read(&mut portal, &table.name, 1_000).unwrap();
                let mut whole = Sink::default();
                whole.read(&mut portal, &table.name, 1_000).unwrap();
                assert!(switched.rows == whole.rows, "{} from {from} after {batches}", table.name);
            }
        }
        portal.shape = "document";
    }
}
