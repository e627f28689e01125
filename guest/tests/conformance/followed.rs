//! Lists that are followed in the order of modified times: of each custom module, and of translations.

use desk_simulator::{Rule, RuleAnswer, Sizes, TruthQuery};
use serde_json::{Value, json};

use crate::portal::{Portal, sizes};
use crate::sink::Sink;
use crate::{AFTER_CHANGES, Table, check, tables};

fn table(name: &str) -> Table {
    tables().into_iter().find(|table| table.name == name).unwrap()
}

fn ids(portal: &Portal, table: &str) -> Vec<String> {
    let lines = portal.simulator.truth(table, TruthQuery { detail: true, omit: Vec::new() }).unwrap();
    let rows = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap()["row"].take());
    rows.map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

/// Changes of records of both tables.
fn change(portal: &Portal) {
    let record = ids(portal, "custom_records").remove(3);
    let article = ids(portal, "articles").remove(3);
    for (url, id, title) in [("cm_assets", record, "name"), ("articles", article, "title")] {
        portal.mutate(json!({"op": "update", "table": url, "id": id, "values": {title: "changed"}}));
        portal.mutate(json!({"op": "create", "table": url, "values": {}}));
    }
}

fn spent(portal: &Portal) -> u64 {
    portal.simulator.credits()["total"].as_u64().unwrap()
}

const FOLLOWED: [&str; 2] = ["custom_records", "article_translations"];

#[test]
fn changes_come_within_the_hour_and_deletes_by_the_verification() {
    let mut portal = Portal::start(sizes(Some(130)));
    let mut sinks = FOLLOWED.map(|_| Sink::default());
    for (name, sink) in FOLLOWED.iter().zip(&mut sinks) {
        sink.read(&mut portal, name, 10_000).unwrap();
        assert_eq!(sink.snapshots, [true], "{name}: {:?}", sink.warnings);
    }
    for _ in 0..3 {
        portal.advance_minutes(30);
        change(&portal);
        portal.advance_minutes(30);
        for (name, sink) in FOLLOWED.iter().zip(&mut sinks) {
            let before = spent(&portal);
            sink.read(&mut portal, name, 1).unwrap();
            check(&portal, sink, &table(name), "an hour later");
            // A call for the modules, and one for each; or the list, and a call for each text that is new.
            assert!(spent(&portal) - before <= 40, "{name}: {} credits", spent(&portal) - before);
        }
    }
    let record = ids(&portal, "custom_records").remove(5);
    let article = ids(&portal, "articles").remove(5);
    portal.mutate(json!({"op": "purge", "table": "cm_assets", "id": record}));
    portal.mutate(json!({"op": "purge", "table": "articles", "id": article}));
    portal.advance_hours(8 * 24);
    for (name, sink) in FOLLOWED.iter().zip(&mut sinks) {
        sink.read(&mut portal, name, 10_000).unwrap();
        check(&portal, sink, &table(name), "after the verification");
        assert_eq!(sink.snapshots, [true, true], "{name}: {:?}", sink.warnings);
    }
}

#[test]
fn a_day_of_polls_costs_calls_for_lists_and_not_for_records() {
    let mut portal = Portal::start(Sizes { tickets: 3, contacts: 10, ..sizes(Some(2_000)) });
    let mut sink = Sink::default();
    sink.read(&mut portal, "custom_records", 10_000).unwrap();
    let before = spent(&portal);
    for _ in 0..24 {
        portal.advance_hours(1);
        sink.read(&mut portal, "custom_records", 10_000).unwrap();
    }
    // A call for the modules, and one for each of the two.
    assert!(spent(&portal) - before <= 24 * 9, "{} credits a day", spent(&portal) - before);
}

#[test]
fn a_portal_that_takes_neither_order_nor_range_is_read_whole_once_a_day() {
    for (name, query) in
        [("custom_records", "sortBy=-modifiedTime"), ("article_translations", "modifiedTimeRange")]
    {
        let mut portal = Portal::start(sizes(Some(60)));
        portal.simulator.add_rule(Rule {
            path: "/*".to_owned(),
            query: query.to_owned(),
            answer: RuleAnswer::Status(422),
            ..Rule::default()
        });
        let mut sink = Sink::default();
        sink.read(&mut portal, name, 10_000).unwrap();
        portal.advance_minutes(30);
        change(&portal);
        for _ in 0..25 {
            portal.advance_hours(1);
            sink.read(&mut portal, name, 10_000).unwrap();
        }
        check(&portal, &sink, &table(name), AFTER_CHANGES);
        assert!((2..=3).contains(&sink.snapshots.len()), "{name}: {:?}", sink.snapshots);
        assert_eq!(sink.warnings.iter().filter(|text| text.contains("full refresh")).count(), 1, "{name}");
    }
}
