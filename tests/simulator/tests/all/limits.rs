//! Credits, concurrency, body size, and the headers of answers (reference, §3.1, §5.2).

use std::time::Duration;

use desk_simulator::{Edition, ORGANIZATION_ID};
use serde_json::{Value, json};

use crate::client::Reply;
use crate::support::{Fixture, LONG_MS, occupy, small, start, start_with};

fn number(reply: &Reply, header: &str) -> u64 {
    reply.header(header).and_then(|text| text.parse().ok()).expect(header)
}

fn weight(reply: &Reply) -> u64 {
    number(reply, "x-rate-limit-request-weight-v3")
}

fn left(reply: &Reply) -> u64 {
    number(reply, "x-rate-limit-remaining-v3")
}

#[test]
fn a_call_costs_the_documented_credits() {
    let mut fixture = start(50);
    let id = fixture.first_id("tickets");
    let cases = [
        ("tickets?from=2000".to_owned(), 3),
        ("tickets?from=2001".to_owned(), 5),
        ("tickets?from=100001".to_owned(), 100),
        ("tickets/search".to_owned(), 3),
        (format!("tickets/search?id={id}"), 1),
        (format!("tickets/{id}"), 1),
        ("organizations".to_owned(), 1),
    ];
    for (path, credits) in cases {
        assert_eq!(weight(&fixture.get(&path)), credits, "{path}");
    }
    let rows = fixture.rows("tickets?limit=3");
    let ids: Vec<&Value> = rows.iter().map(|row| &row["id"]).collect();
    let one = fixture.call("POST", "tickets/moveToTrash", &json!({"ticketIds": [ids[0]]}));
    assert_eq!((one.status, weight(&one)), (204, 6));
    let two = fixture.call("POST", "tickets/moveToTrash", &json!({"ticketIds": ids[1..]}));
    assert_eq!((two.status, weight(&two)), (204, 12));
    let restored = fixture.call("POST", "recycleBin/restore", &json!({"ids": ids}));
    assert_eq!((restored.status, weight(&restored)), (200, 18));
}

/// One call of every endpoint that reads, with the ids of existing records.
fn reads(fixture: &mut Fixture) -> Vec<String> {
    let mut paths: Vec<String> = [
        "organizations",
        "accessibleOrganizations",
        "myinfo",
        "departments/count",
        "agents/count",
        "products/search",
        "contacts/search",
        "accounts/search",
        "organizationFields?module=tickets",
        "customFieldCount?module=tickets",
        "views?module=tickets",
        "recycleBin",
        "webhooks",
        "tickets/search",
        "ticketsCount",
    ]
    .map(str::to_owned)
    .to_vec();
    paths.push(format!("organizations/{ORGANIZATION_ID}"));
    for table in ["departments", "agents", "products", "contracts", "contacts", "accounts", "tickets"] {
        paths.push(table.to_owned());
        paths.push(format!("{table}/{}", fixture.first_id(table)));
    }
    let team = fixture.get("teams").json()["teams"][0]["id"].as_str().expect("a team").to_owned();
    paths.push("teams".to_owned());
    paths.push(format!("teams/{team}"));
    let field = fixture.first_id("organizationFields?module=tickets");
    paths.push(format!("organizationFields/{field}"));
    let department = fixture.first_id("departments");
    let view = fixture.first_id("views?module=contracts");
    paths.push(format!("contracts/count?viewId={view}&departmentId={department}"));
    let view = fixture.first_id("views?module=contacts");
    paths.push(format!("contacts/count?viewId={view}"));
    paths.push(format!("tickets/archivedTickets?departmentId={department}"));
    let conversations = fixture.truth("ticket_conversations", true);
    for (list, key) in [("threads", "direction"), ("comments", "commenter")] {
        let found = conversations.iter().find(|row| row.get(key).is_some()).expect(list);
        let (ticket, id) = (found["ticketId"].as_str().expect("an id"), found["id"].as_str().expect("an id"));
        paths.push(format!("tickets/{ticket}/{list}"));
        paths.push(format!("tickets/{ticket}/{list}/{id}"));
        if list == "threads" {
            paths.push(format!("tickets/{ticket}/latestThread"));
            paths.push(format!("tickets/{ticket}/conversations"));
        }
    }
    paths
}

fn check_headers(reply: &Reply, before: u64, call: &str) -> u64 {
    assert_eq!(left(reply), before - weight(reply), "{call}");
    assert_eq!(reply.header("server"), Some("ZGS"), "{call}");
    assert_eq!(reply.header("content-type"), Some("application/json;charset=UTF-8"), "{call}");
    for name in ["content-disposition", "cache-control", "set-cookie"] {
        assert!(reply.header(name).is_some(), "{call}: {name}");
    }
    let date = reply.header("date").expect("a date");
    assert!(date.len() == 29 && date.ends_with(" GMT"), "{call}: {date}");
    left(reply)
}

#[test]
fn every_endpoint_answers_with_the_headers_of_the_api_and_the_credits_left() {
    let mut options = small(40);
    options.settings.token_life_seconds = 200_000;
    let mut fixture = start_with(options);
    let paths = reads(&mut fixture);
    assert_eq!(paths.len(), 42, "{paths:#?}");
    fixture.start_next_day();
    let mut credits = 100_000 + 12 * 1_000;
    for path in &paths {
        let reply = fixture.get(path);
        assert!(matches!(reply.status, 200 | 204), "{path}: {}", reply.status);
        assert!(weight(&reply) > 0, "{path}");
        credits = check_headers(&reply, credits, path);
    }
    let (ticket, contact) = (fixture.first_id("tickets"), fixture.first_id("contacts"));
    credits -= 6;
    let department = fixture.first_id("departments");
    credits -= 3;
    let new = json!({"subject": "s", "departmentId": department, "contactId": contact});
    let writes = [
        ("POST", "tickets".to_owned(), new),
        ("PATCH", format!("tickets/{ticket}"), json!({"subject": "new"})),
        ("PATCH", format!("contacts/{contact}"), json!({"lastName": "new"})),
        ("POST", format!("tickets/{ticket}/comments"), json!({"content": "hello"})),
        ("POST", "tickets/moveToTrash".to_owned(), json!({"ticketIds": [ticket]})),
        ("POST", "recycleBin/restore".to_owned(), json!({"ids": [ticket]})),
        ("POST", "contacts/moveToTrash".to_owned(), json!({"contactIds": [contact]})),
        ("POST", "recycleBin/deleteAll".to_owned(), json!({})),
    ];
    for (method, path, body) in writes {
        let reply = fixture.call(method, &path, &body);
        assert!((200..300).contains(&reply.status), "{method} {path}: {}", reply.json());
        credits = check_headers(&reply, credits, &path);
    }
}

#[test]
fn every_error_has_the_headers_of_the_api_and_the_credits_left() {
    let mut options = small(5);
    options.settings.token_life_seconds = 200_000;
    let mut fixture = start_with(options);
    fixture.start_next_day();
    let mut credits = left(&fixture.get("organizations"));
    let cases = [
        ("GET", "nothing", 404, 0),
        ("DELETE", "tickets", 405, 0),
        ("GET", "tickets?limit=0", 422, 3),
        ("GET", "tickets/1", 404, 1),
        ("GET", "organizations/1", 403, 1),
    ];
    for (method, path, status, cost) in cases {
        let reply = fixture.call(method, path, &json!({}));
        assert_eq!((reply.status, weight(&reply)), (status, cost), "{path}");
        credits = check_headers(&reply, credits, path);
    }
    fixture.simulator.set(|settings| settings.faults.internal_error = 1.0);
    let reply = fixture.get("tickets");
    assert_eq!((reply.status, weight(&reply)), (500, 0));
    credits = check_headers(&reply, credits, "500");
    fixture.simulator.heal();
    fixture.simulator.expire_tokens();
    let reply = fixture.get("tickets");
    assert_eq!((reply.status, weight(&reply)), (401, 0));
    check_headers(&reply, credits, "401");
}

#[test]
fn used_up_credits_are_429_until_the_next_day() {
    let mut options = small(5);
    options.settings.daily_credits = Some(7);
    options.settings.token_life_seconds = 300_000;
    let mut fixture = start_with(options);
    fixture.start_next_day();
    assert_eq!(fixture.get("tickets").status, 200);
    assert_eq!(fixture.get("tickets").status, 200);
    let reply = fixture.get("tickets");
    assert_eq!((reply.status, &reply.json()["errorCode"]), (429, &json!("THRESHOLD_EXCEEDED")));
    let seconds = number(&reply, "retry-after");
    assert!((1..=86_401).contains(&seconds), "{seconds}");
    assert_eq!(fixture.get("organizations").status, 200, "one credit is left");
    fixture.simulator.advance(Duration::from_secs(seconds));
    assert_eq!(fixture.get("tickets").status, 200);
}

#[test]
fn the_edition_sets_the_daily_credits_and_the_setting_replaces_them() {
    let mut options = small(5);
    options.edition = Edition::Free;
    let mut fixture = start_with(options);
    assert_eq!(left(&fixture.get("organizations")), 4_999);
    fixture.simulator.set(|settings| settings.daily_credits = Some(50));
    assert_eq!(left(&fixture.get("organizations")), 48);
}

#[test]
fn a_call_over_the_set_concurrency_is_429_without_retry_after() {
    let mut options = small(5);
    options.settings.concurrency = Some(2);
    options.settings.latency_ms = LONG_MS;
    let mut fixture = start_with(options);
    let _calls = occupy(&fixture, 2);
    let reply = fixture.get("tickets");
    assert_eq!((reply.status, &reply.json()["errorCode"]), (429, &json!("TOO_MANY_REQUESTS")));
    assert_eq!(reply.header("retry-after"), None);
}

#[test]
fn the_edition_sets_the_concurrency() {
    let mut options = small(5);
    options.edition = Edition::Free;
    options.settings.latency_ms = LONG_MS;
    let mut fixture = start_with(options);
    let _calls = occupy(&fixture, 5);
    assert_eq!(fixture.error("tickets"), (429, "TOO_MANY_REQUESTS".to_owned()));
}

#[test]
fn calls_one_after_the_other_never_exceed_a_concurrency_of_one() {
    let mut options = small(5);
    options.settings.concurrency = Some(1);
    let mut fixture = start_with(options);
    for _ in 0..100 {
        assert_eq!(fixture.get("tickets").status, 200);
    }
}

#[test]
fn a_body_over_4_mib_is_413() {
    let mut fixture = start(1);
    let subject = |bytes: usize| format!("{{\"subject\":\"{}\"}}", "x".repeat(bytes - 14));
    let id = fixture.first_id("tickets");
    let path = format!("/api/v1/tickets/{id}");
    let largest = fixture.client.send("PATCH", &path, &subject(4 << 20)).expect("an answer");
    assert_eq!(largest.status, 200);
    let reply = fixture.client.send("PATCH", &path, &subject((4 << 20) + 1)).expect("an answer");
    assert_eq!((reply.status, &reply.json()["errorCode"]), (413, &json!("RESOURCE_SIZE_EXCEEDED")));
}
