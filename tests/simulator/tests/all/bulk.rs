//! Changes of many records: equal times, imports, deletes of a page, huge tickets.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Fixture, ids, start};

/// The result count of a search.
fn found(fixture: &mut Fixture, path: &str) -> u64 {
    fixture.get(path).json()["count"].as_u64().unwrap_or(0)
}

#[test]
fn ten_thousand_tickets_get_one_modified_time_and_more_than_a_search_reaches() {
    let mut fixture = start(10_500);
    let changed =
        fixture.mutate(json!({"op": "bulk", "table": "tickets", "change": "update", "count": 10_000}));
    assert_eq!(changed, json!({"changed": 10_000}));
    let row = fixture.rows("tickets/search?sortBy=-modifiedTime&limit=1")[0].clone();
    let at = row["modifiedTime"].as_str().expect("a time");
    let range = format!("tickets/search?modifiedTimeRange={at},{at}&sortBy=modifiedTime&limit=100");
    assert_eq!(found(&mut fixture, &range), 10_000);
    assert_eq!(fixture.rows(&format!("{range}&from=4900")).len(), 100);
    assert_eq!(fixture.get(&format!("{range}&from=4950")).status, 422);
}

#[test]
fn an_import_creates_records_of_one_second() {
    let mut fixture = start(10);
    for (table, before) in [("tickets", 10), ("contacts", 50)] {
        let values = if table == "tickets" { json!({"subject": "imported"}) } else { json!({}) };
        let import =
            json!({"op": "bulk", "table": table, "change": "create", "count": 300, "values": values});
        fixture.mutate(import);
        let rows = fixture.scan(&format!("{table}?sortBy=-createdTime"), 90);
        assert_eq!(rows.len(), before + 300, "{table}");
        let times: BTreeSet<&str> =
            rows[..300].iter().filter_map(|row| row["createdTime"].as_str()).collect();
        assert_eq!(times.len(), 1, "{table}: {times:?}");
    }
}

#[test]
fn sixty_thousand_changes_are_spread_over_half_an_hour() {
    let mut fixture = start(60_000);
    let half_hour = 30 * 60 * 1000;
    fixture.mutate(json!({
        "op": "bulk", "table": "tickets", "change": "update", "count": 60_000, "spread_ms": half_hour,
    }));
    let newest = fixture.rows("tickets/search?sortBy=-modifiedTime&limit=1")[0].clone();
    let oldest = fixture.rows("tickets/search?sortBy=modifiedTime&limit=1")[0].clone();
    let range = |from: &Value, to: &Value| {
        let (from, to) = (from["modifiedTime"].as_str(), to["modifiedTime"].as_str());
        format!("tickets/search?modifiedTimeRange={},{}", from.expect("a time"), to.expect("a time"))
    };
    assert_eq!(found(&mut fixture, &range(&oldest, &newest)), 60_000);
    assert!(found(&mut fixture, &range(&newest, &newest)) < 100, "about 33 a second");
}

#[test]
fn a_bulk_change_sets_values_and_moves_departments() {
    let mut fixture = start(200);
    let department = fixture.first_id("departments");
    let bulk = json!({
        "op": "bulk", "table": "tickets", "change": "update", "from": 50, "count": 100,
        "values": {"departmentId": department, "subject": "moved"},
    });
    fixture.mutate(bulk);
    let moved: Vec<Value> =
        fixture.truth("tickets", true).into_iter().filter(|row| row["subject"] == "moved").collect();
    assert_eq!(moved.len(), 100);
    assert!(moved.iter().all(|row| row["departmentId"] == department.as_str()));
    let wrong = json!({"op": "bulk", "table": "tickets", "change": "update", "count": 5, "values": {"x": 1}});
    assert!(fixture.simulator.mutate(wrong).is_err());
}

#[test]
fn a_bulk_delete_takes_the_rows_of_a_page_boundary() {
    let mut fixture = start(300);
    let before = ids(&fixture.truth("tickets", false));
    fixture
        .mutate(json!({"op": "bulk", "table": "tickets", "change": "moveToTrash", "from": 94, "count": 12}));
    let after = ids(&fixture.truth("tickets", false));
    assert_eq!(after, [&before[..94], &before[106..]].concat());
    assert_eq!(fixture.rows("recycleBin?limit=50").len(), 12);
}

#[test]
fn a_ticket_has_three_hundred_threads_of_200_kb_with_distinct_ids() {
    let mut fixture = start(3);
    let ticket = fixture.first_id("tickets");
    let before = fixture.rows(&format!("tickets/{ticket}/threads")).len();
    fixture.mutate(json!({"op": "addThreads", "ticket": ticket, "count": 300, "bytes": 200_000}));
    let mut rows = fixture.rows(&format!("tickets/{ticket}/threads?limit=200"));
    rows.extend(fixture.rows(&format!("tickets/{ticket}/threads?limit=200&from=201")));
    assert_eq!(rows.len(), before + 300);
    assert_eq!(ids(&rows).iter().collect::<BTreeSet<_>>().len(), before + 300);
    for id in [&rows[0]["id"], &rows[299]["id"]] {
        let thread = fixture.get(&format!("tickets/{ticket}/threads/{}", id.as_str().expect("an id"))).json();
        let bytes = thread["content"].as_str().expect("content").len();
        assert!((200_000..201_000).contains(&bytes), "{bytes}");
    }
    let count = fixture.get(&format!("tickets/{ticket}")).json()["threadCount"].clone();
    assert_eq!(count, json!((before + 300).to_string()));
    let added = fixture.mutate(json!({"op": "addThread", "ticket": ticket, "content": "one more"}));
    assert!(!ids(&rows).contains(&added["id"].as_str().expect("an id").to_owned()));
}
