//! The verification of every table that has one: a week later the list shows which rows are missing, without
//! the record of each.

use std::collections::BTreeMap;

use desk_simulator::TruthQuery;
use serde_json::{Value, json};

use crate::portal::{Portal, sizes};
use crate::sink::Sink;
use crate::tables;

/// The calls of each endpoint that answers one record.
pub(crate) fn record_calls(portal: &Portal) -> BTreeMap<String, u64> {
    let credits = portal.simulator.credits();
    let endpoints = credits["endpoints"].as_object().unwrap();
    let of_records = endpoints.iter().filter(|(name, _)| name.ends_with("/{id}"));
    of_records.map(|(name, used)| (name.clone(), used["calls"].as_u64().unwrap())).collect()
}

/// Purges a row; none where the simulator cannot.
fn purge(portal: &Portal, table: &str) -> Option<String> {
    let truth = portal.simulator.truth(table, TruthQuery::default())?;
    let row: Value = serde_json::from_str(truth.last()?).unwrap();
    let id = row["id"].as_str().unwrap().to_owned();
    portal.simulator.mutate(json!({"op": "purge", "table": table, "id": id})).ok().map(|_| id)
}

#[test]
fn a_verification_finds_a_purged_row_of_every_table_and_reads_no_record() {
    let mut portal = Portal::start(sizes(None));
    let mut verified = Vec::new();
    for table in tables() {
        let mut sink = Sink::default();
        sink.read(&mut portal, &table.name, 10_000).unwrap();
        // The first poll.
        portal.advance_hours(1);
        sink.read(&mut portal, &table.name, 10_000).unwrap();
        let (snapshots, members) = (sink.snapshots.len(), widths(&sink));
        // Nor is a department purged: its activities would be in no list, and Zoho deletes no department.
        if table.is_refreshed {
            continue;
        }
        let Some(id) = purge(&portal, &table.name) else { continue };
        portal.advance_hours(8 * 24);
        let before = record_calls(&portal);
        sink.read(&mut portal, &table.name, 10_000).unwrap();
        if sink.snapshots.len() == snapshots {
            continue;
        }
        assert_eq!(record_calls(&portal), before, "{}: a call for each row", table.name);
        assert_eq!(sink.snapshots.last(), Some(&true), "{}: {:?}", table.name, sink.warnings);
        assert!(!sink.rows.keys().any(|key| key.contains(&id)), "{}: {id} is gone", table.name);
        let after = widths(&sink);
        assert!(
            after.iter().all(|(key, width)| members[key] == *width),
            "{}: members of details",
            table.name
        );
        verified.push(table.name);
    }
    for table in ["contacts", "accounts", "products", "contracts", "tasks", "calls", "events"] {
        assert!(verified.iter().any(|name| name == table), "{table} is verified, too: {verified:?}");
    }
}

/// The number of members of each row.
fn widths(sink: &Sink) -> BTreeMap<String, usize> {
    sink.rows.iter().map(|(key, row)| (key.clone(), row.len())).collect()
}
