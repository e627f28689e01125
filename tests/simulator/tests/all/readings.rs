//! The conflicts of the reference: both readings of each.

use std::time::Duration;

use desk_simulator::Readings;
use serde_json::{Value, json};

use crate::support::{Fixture, ids, small, start, start_with};

/// Turns one reading on.
fn read_as(fixture: &Fixture, alter: impl FnOnce(&mut Readings)) {
    fixture.simulator.set(|settings| alter(&mut settings.readings));
}

/// A simulator whose recycle bin holds 60 tickets, trashed in the order of their ids.
fn with_recycle_bin() -> Fixture {
    let fixture = start(80);
    fixture.simulator.set(|settings| settings.time_resolution_ms = 1);
    let all = fixture.truth("tickets", false);
    for id in ids(&all).iter().take(60) {
        fixture.mutate(json!({"op": "moveToTrash", "table": "tickets", "id": id}));
    }
    fixture
}

#[test]
fn the_recycle_bin_is_newest_first_or_oldest_first() {
    let mut fixture = with_recycle_bin();
    let times = |fixture: &mut Fixture| -> Vec<String> {
        let rows = fixture.rows("recycleBin?limit=50");
        rows.iter().map(|row| row["deletedTime"].as_str().expect("ISO").to_owned()).collect()
    };
    let newest = times(&mut fixture);
    assert!(newest.is_sorted_by(|a, b| a >= b), "{newest:?}");
    read_as(&fixture, |readings| readings.recycle_bin_oldest_first = true);
    let oldest = times(&mut fixture);
    assert!(oldest.is_sorted() && oldest.first() < newest.last(), "{oldest:?}");
}

#[test]
fn the_recycle_bin_accepts_50_or_100_rows() {
    let mut fixture = with_recycle_bin();
    assert_eq!(fixture.get("recycleBin?limit=100").status, 422);
    read_as(&fixture, |readings| readings.recycle_bin_limit_100 = true);
    assert_eq!(fixture.rows("recycleBin?limit=100").len(), 60);
    assert_eq!(fixture.get("recycleBin?limit=101").status, 422);
}

#[test]
fn times_of_the_recycle_bin_are_text_or_milliseconds() {
    let mut fixture = with_recycle_bin();
    assert!(fixture.rows("recycleBin")[0]["deletedTime"].is_string());
    read_as(&fixture, |readings| readings.recycle_bin_epoch_times = true);
    let at = fixture.rows("recycleBin")[0]["deletedTime"].as_i64().expect("a number");
    assert!(at > 1_700_000_000_000, "{at}");
}

#[test]
fn ids_are_text_or_numbers_with_all_digits() {
    let mut fixture = start(5);
    let before = ids(&fixture.rows("tickets?include=contacts"));
    read_as(&fixture, |readings| readings.ids_as_numbers = true);
    let rows = fixture.rows("tickets?include=contacts");
    let numbers: Vec<String> =
        rows.iter().map(|row| row["id"].as_u64().expect("a number").to_string()).collect();
    assert_eq!(numbers, before);
    assert!(rows[0]["contact"]["id"].is_number() && rows[0]["contactId"].is_string());
}

#[test]
fn a_plain_list_has_no_cap_or_ends_at_one() {
    let mut fixture = start(80);
    assert_eq!(fixture.rows("tickets?from=61&limit=20").len(), 20);
    read_as(&fixture, |readings| readings.list_rows_max = Some(50));
    assert_eq!(fixture.rows("tickets?from=41&limit=20").len(), 10, "the page ends at the cap");
    let refused = fixture.get("tickets?from=51&limit=20");
    assert_eq!((refused.status, &refused.json()["errorCode"]), (422, &json!("UNPROCESSABLE_ENTITY")));
    assert!(refused.json()["message"].as_str().is_some_and(|text| text.contains("'0-49'")));
    assert_eq!(
        fixture.get("tickets/search?from=61&limit=10").status,
        200,
        "searches have a cap of their own"
    );
}

#[test]
fn a_limit_above_the_largest_is_refused_or_cut() {
    let mut fixture = start(120);
    assert_eq!(fixture.get("tickets?limit=101").status, 422);
    read_as(&fixture, |readings| readings.limit_is_clamped = true);
    assert_eq!(fixture.rows("tickets?limit=500").len(), 100);
    read_as(&fixture, |readings| readings.limit_max = Some(50));
    assert_eq!(fixture.rows("tickets?limit=100").len(), 50, "cut to a smaller largest limit");
    read_as(&fixture, |readings| readings.limit_is_clamped = false);
    assert_eq!(
        (fixture.get("tickets?limit=51").status, fixture.get("tickets/search?limit=51").status),
        (422, 422)
    );
}

#[test]
fn threads_and_comments_start_at_one_or_at_zero() {
    let mut fixture = start(5);
    let ticket = fixture.first_id("tickets");
    for number in 0..3 {
        fixture.mutate(json!({"op": "addComment", "ticket": ticket, "content": number.to_string()}));
    }
    for list in ["comments", "threads"] {
        let all = fixture.rows(&format!("tickets/{ticket}/{list}"));
        assert_eq!(fixture.rows(&format!("tickets/{ticket}/{list}?from=1")), all, "{list}");
        read_as(&fixture, |readings| readings.children_from_zero = true);
        assert_eq!(fixture.rows(&format!("tickets/{ticket}/{list}?from=0")), all, "{list}");
        assert_eq!(fixture.rows(&format!("tickets/{ticket}/{list}?from=1")), all[1..], "{list}");
        read_as(&fixture, |readings| readings.children_from_zero = false);
    }
}

#[test]
fn the_count_of_a_search_is_of_all_or_of_the_page_and_a_number_or_text() {
    let mut fixture = start(30);
    for path in ["tickets/search?limit=10", "contacts/search?limit=10"] {
        read_as(&fixture, |readings| *readings = Readings::default());
        let all = fixture.get(path).json()["count"].as_u64().expect("a number");
        assert!(all >= 30, "{path}: {all}");
        read_as(&fixture, |readings| readings.search_count_of_page = true);
        assert_eq!(fixture.get(path).json()["count"], json!(10), "{path}");
        read_as(&fixture, |readings| readings.search_count_as_text = true);
        assert_eq!(fixture.get(path).json()["count"], json!("10"), "{path}");
    }
}

/// The numbers of tickets by their count, and by a search.
fn counts(fixture: &mut Fixture) -> [Option<u64>; 2] {
    let range = "createdTimeRange=1970-01-01T00:00:00.000Z,2100-01-01T00:00:00.000Z";
    let paths = [format!("ticketsCount?{range}"), format!("tickets/search?limit=1&{range}")];
    let all = fixture.get("ticketsCount").json()["count"].as_u64();
    let counts = paths.map(|path| fixture.get(&path).json()["count"].as_u64());
    assert_eq!(counts[0], all, "with and without a range");
    counts
}

#[test]
fn the_count_of_tickets_leaves_archived_ones_out_or_has_them() {
    let mut options = small(30);
    options.sizes.archived_tickets = 7;
    options.sizes.trashed_tickets = 2;
    let mut fixture = start_with(options);
    assert_eq!(counts(&mut fixture), [Some(30), Some(30)]);
    read_as(&fixture, |readings| readings.count_has_archived = true);
    assert_eq!(counts(&mut fixture), [Some(37), Some(30)]);
    assert_eq!(fixture.rows("tickets?limit=100").len(), 30);
}

#[test]
fn the_count_of_tickets_has_the_lag_of_the_search_or_none() {
    let mut options = small(20);
    options.settings.search_lag_ms = 3_600_000;
    options.settings.token_life_seconds = 7_200;
    let mut fixture = start_with(options);
    fixture.mutate(json!({"op": "create", "table": "tickets"}));
    assert_eq!(counts(&mut fixture), [Some(20), Some(20)]);
    read_as(&fixture, |readings| readings.count_has_no_lag = true);
    assert_eq!(counts(&mut fixture), [Some(21), Some(20)]);
    fixture.simulator.advance(Duration::from_secs(3_601));
    assert_eq!(counts(&mut fixture), [Some(21), Some(21)]);
}

#[test]
fn a_custom_field_in_fields_is_known_or_500() {
    let mut fixture = start(5);
    let row = fixture.rows("tickets?fields=cf_quantity")[0].clone();
    assert!(row["cf"].as_object().is_some_and(|cf| cf.contains_key("cf_quantity")), "{row}");
    read_as(&fixture, |readings| readings.no_custom_fields_by_name = true);
    assert_eq!(fixture.get("tickets?fields=cf_quantity").status, 500);
    assert_eq!(fixture.get("tickets?fields=subject").status, 200);
}

#[test]
fn the_list_of_articles_takes_a_range_of_modified_times_or_refuses_it_and_their_search_takes_it() {
    let mut fixture = start(5);
    let range = "modifiedTimeRange=1970-01-01T00:00:00.000Z,2100-01-01T00:00:00.000Z";
    assert_eq!(fixture.get(&format!("articles?{range}")).status, 200);
    read_as(&fixture, |readings| readings.articles_refuse_modified_time_range = true);
    assert_eq!(fixture.get(&format!("articles?{range}")).status, 422);
    assert_eq!(fixture.get(&format!("articles/search?{range}")).status, 200);
}

#[test]
fn a_search_of_a_department_finds_the_activities_of_that_department() {
    let mut fixture = start(5);
    let rows = fixture.rows("tasks/search?limit=100");
    let department = rows[0]["departmentId"].as_str().expect("a department").to_owned();
    let own = rows.iter().filter(|row| row["departmentId"] == department.as_str()).count();
    assert_eq!(fixture.rows(&format!("tasks/search?limit=100&departmentId={department}")).len(), own);
}

#[test]
fn lists_have_the_newer_or_the_older_prices() {
    let mut fixture = start(5);
    let prices = |fixture: &mut Fixture| -> Vec<String> {
        let offsets = [2_000, 2_001, 10_001, 50_001, 100_001];
        let price = |from: &u32| {
            let reply = fixture.get(&format!("tickets?from={from}"));
            reply.header("x-rate-limit-request-weight-v3").expect("a weight").to_owned()
        };
        offsets.iter().map(price).collect()
    };
    assert_eq!(prices(&mut fixture), ["3", "5", "10", "50", "100"]);
    read_as(&fixture, |readings| readings.older_prices = true);
    assert_eq!(prices(&mut fixture), ["3", "10", "50", "50", "100"]);
}

#[test]
fn hidden_departments_are_missing_from_lists_searches_and_counts_and_their_details_are_403() {
    let mut fixture = start(60);
    let all = fixture.rows("tickets?limit=100");
    let hidden = all[0]["departmentId"].as_str().expect("a department").to_owned();
    let visible: Vec<Value> =
        all.iter().filter(|row| row["departmentId"] != hidden.as_str()).cloned().collect();
    fixture.simulator.set(|settings| settings.hidden_departments = vec![hidden]);
    assert_eq!(fixture.rows("tickets?limit=100"), visible);
    assert_eq!(fixture.get("ticketsCount").json()["count"], json!(visible.len()));
    assert_eq!(fixture.get("tickets/search?limit=5").json()["count"], json!(visible.len()));
    let id = all[0]["id"].as_str().expect("an id");
    assert_eq!(fixture.error(&format!("tickets/{id}")), (403, "FORBIDDEN".to_owned()));
    assert_eq!(fixture.error(&format!("tickets/{id}/threads")), (403, "FORBIDDEN".to_owned()));
    fixture.simulator.set(|settings| settings.hidden_make_pages_short = true);
    let short = fixture.rows("tickets?limit=30");
    assert!(short.len() < 30 && short.len() < visible.len(), "{} rows", short.len());
}
