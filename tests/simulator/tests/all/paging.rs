//! Paging, sorting, filters and strict parameters (reference, §3.1, §3.2, §3.4).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{INCLUDE, by_id, ids, small, start, start_with};

#[test]
fn lists_are_1_based_and_take_0_for_1() {
    let mut fixture = start(60);
    let first = fixture.get("tickets?from=1&limit=20");
    assert_eq!(fixture.get("tickets?from=0&limit=20").body, first.body);
    assert_eq!(fixture.get("tickets?limit=20").body, first.body);
    assert_eq!(fixture.rows("tickets").len(), 25, "the default limit");
    let first = ids(&fixture.rows("tickets?limit=20"));
    let second = ids(&fixture.rows("tickets?from=21&limit=20"));
    assert!(second.len() == 20 && second.iter().all(|id| !first.contains(id)));
}

#[test]
fn a_scan_of_all_pages_gives_every_row_of_the_truth_once() {
    let mut fixture = start(457);
    let rows = fixture.scan(&format!("tickets?{INCLUDE}"), 100);
    assert_eq!(by_id(rows), by_id(fixture.truth("tickets", false)));
    for (table, limit) in
        [("products", 100), ("contracts", 100), ("contacts", 100), ("accounts", 100), ("departments", 200)]
    {
        let rows = fixture.scan(table, limit);
        assert_eq!(ids(&by_id(rows)), ids(&by_id(fixture.truth(table, true))), "{table}");
    }
}

#[test]
fn an_empty_list_is_204_without_a_body_or_200_if_set() {
    let mut fixture = start(5);
    for path in ["tickets?from=6", "tickets/search?subject=nowhere to be found", "recycleBin", "webhooks"] {
        let reply = fixture.get(&path.replace(' ', "%20"));
        assert_eq!((reply.status, reply.body.len()), (204, 0), "{path}");
    }
    fixture.simulator.set(|settings| settings.empty_list_as_200 = true);
    assert_eq!(fixture.get("tickets?from=6").json(), json!({"data": []}));
}

#[test]
fn limits_out_of_range_and_unknown_parameters_are_422() {
    let mut fixture = start(5);
    let cases = [
        "tickets?limit=101",
        "tickets?limit=0",
        "tickets?limit=x",
        "tickets?from=-1",
        "tickets?offset=1",
        "tickets?sortOrder=asc",
        "tickets?sortBy=modifiedTime",
        "tickets?sortBy=subject",
        "tickets?include=x",
        "tickets?receivedInDays=7",
        "departments?limit=201",
        "agents?limit=9",
        "products?limit=101",
        "tickets/search?_all=ab",
        "tickets/search?modifiedTimeRange=yesterday",
        "recycleBin?limit=51",
        "organizationFields",
        "organizationFields?module=nothing",
        "contracts/count",
        "teams?from=1",
        "tickets/archivedTickets",
        "contacts?fields=id",
    ];
    for path in cases {
        assert_eq!(fixture.error(path), (422, "UNPROCESSABLE_ENTITY".to_owned()), "{path}");
    }
    let message = fixture.get("tickets?sortOrder=asc").json()["message"].clone();
    assert_eq!(message, json!("Extra query parameter 'sortOrder' is present in the input."));
    assert_eq!(fixture.error("tickets?viewId=17"), (422, "INVALID_DATA".to_owned()));
    assert_eq!(fixture.get("departments?limit=200&orgId=60001280952").status, 200);
}

#[test]
fn searches_are_0_based_and_end_at_5000() {
    let mut fixture = start(5_100);
    let all = fixture.get("tickets/search?sortBy=modifiedTime&limit=100").json();
    assert_eq!(all["count"], json!(5_100), "the total is a number");
    let second = fixture.rows("tickets/search?sortBy=modifiedTime&from=1&limit=1");
    assert_eq!(second[0], all["data"][1]);
    assert_eq!(fixture.rows("tickets/search").len(), 10, "the default limit");
    assert_eq!(fixture.get("tickets/search?from=4900&limit=100").status, 200);
    let beyond = fixture.get("tickets/search?from=5000").json()["message"].clone();
    assert_eq!(beyond, json!("The value passed for field 'from' exceeds the range of '0-4999'."));
    let last = fixture.get("tickets/search?from=4999").json()["message"].clone();
    assert_eq!(last, json!("Max search result iterable is 5000"));
}

#[test]
fn a_range_of_modified_times_includes_both_ends() {
    let mut fixture = start(800);
    let truth = fixture.truth("tickets", true);
    let times: BTreeSet<&str> = truth.iter().filter_map(|row| row["modifiedTime"].as_str()).collect();
    let times: Vec<&str> = times.into_iter().collect();
    let middle = times[times.len() / 2];
    let window = |from: &str, to: &str| {
        format!("tickets/search?modifiedTimeRange={from},{to}&sortBy=modifiedTime&limit=100")
    };
    let count = |value: &Value| value["count"].as_u64().unwrap_or(0);
    let lower = count(&fixture.get(&window(times[0], middle)).json());
    let upper = count(&fixture.get(&window(middle, times[times.len() - 1])).json());
    let both = count(&fixture.get(&window(middle, middle)).json());
    assert!(lower < 800 && upper < 800 && both > 0, "{lower} {upper} {both}");
    assert_eq!(lower + upper - both, 800);
}

#[test]
fn equal_sort_keys_ascend_by_id() {
    let mut fixture = start(600);
    for path in ["tickets", "tickets?sortBy=-createdTime", "tickets?sortBy=createdTime"] {
        let rows = fixture.scan(path, 100);
        let ascending = path.ends_with("=createdTime");
        let mut ties = 0;
        for pair in rows.windows(2) {
            let key = |at: usize| (pair[at]["createdTime"].as_str(), pair[at]["id"].as_str());
            let (a, b) = (key(0), key(1));
            assert!(if ascending { a.0 <= b.0 } else { a.0 >= b.0 }, "{path}");
            ties += usize::from(a.0 == b.0);
            assert!(a.0 != b.0 || a.1 < b.1, "{path}: {a:?} {b:?}");
        }
        assert!(ties > 10, "{ties} tickets share a second");
    }
}

#[test]
fn filters_select_tickets_by_department_status_and_assignee() {
    let mut fixture = start(300);
    let department = fixture.first_id("departments");
    let rows = fixture.scan(&format!("tickets?departmentIds={department}&status=$%7BCLOSED%7D"), 100);
    assert!(!rows.is_empty());
    for row in rows {
        assert_eq!((&row["departmentId"], &row["statusType"]), (&json!(department), &json!("Closed")));
    }
    let rows = fixture.scan("tickets?assignee=Unassigned", 100);
    assert!(!rows.is_empty() && rows.iter().all(|row| row["assigneeId"].is_null()));
    assert_eq!(fixture.get("tickets?status=Nonsense").status, 204);
}

#[test]
fn switches_reject_or_ignore_parameters() {
    let mut fixture = start(60);
    let first = fixture.get("tickets?limit=20").body;
    fixture.simulator.set(|settings| {
        settings.ignore_from = true;
        settings.refuse_include = true;
        settings.refuse_fields = true;
    });
    assert_eq!(fixture.get("tickets?from=41&limit=20").body, first);
    assert_eq!(fixture.get("tickets?include=contacts").status, 422);
    assert_eq!(fixture.get("tickets?fields=subject").status, 422);
    fixture.simulator.set(|settings| settings.refuse_sort_by = true);
    assert_eq!(fixture.get("tickets?sortBy=createdTime").status, 422);
    fixture.simulator.set(|settings| *settings = Default::default());
    fixture.simulator.set(|settings| settings.tickets_sort_by_modified_time = true);
    assert_eq!(fixture.get("tickets?sortBy=-modifiedTime").status, 200);
}

#[test]
fn churn_makes_a_scan_repeat_or_miss_tickets_and_is_in_the_truth() {
    let mut options = small(500);
    options.settings.churn_every_pages = 1;
    let mut fixture = start_with(options);
    let mut scanned = Vec::new();
    for from in (1..500).step_by(50) {
        scanned.extend(ids(&fixture.rows(&format!("tickets?from={from}&limit=50"))));
    }
    fixture.simulator.set(|settings| settings.churn_every_pages = 0);
    let distinct: BTreeSet<&String> = scanned.iter().collect();
    let live = ids(&fixture.truth("tickets", false));
    let missed = live.iter().filter(|id| !distinct.contains(id)).count();
    assert!(distinct.len() < scanned.len(), "no ticket was repeated");
    assert!(missed > 0, "no ticket was missed");
    let rows = fixture.scan(&format!("tickets?{INCLUDE}"), 100);
    assert_eq!(by_id(rows), by_id(fixture.truth("tickets", false)));
}
