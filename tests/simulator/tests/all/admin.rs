//! The admin API over HTTP.

use desk_simulator::GRANT_CODE;
use serde_json::{Value, json};

use crate::client::Client;
use crate::support::{start, token};

#[test]
fn settings_are_merged_and_unknown_names_rejected() {
    let mut fixture = start(1);
    let patched = fixture.admin("PATCH", "settings", &json!({"faults": {"slow_ms_max": 3}})).json();
    assert_eq!((&patched["faults"]["slow_ms_max"], &patched["token_throttle"]), (&json!(3), &json!(10)));
    assert_eq!(fixture.admin("GET", "settings", &Value::Null).json(), patched);
    assert_eq!(fixture.admin("PATCH", "settings", &json!({"no_such": 1})).status, 422);
    assert_eq!(fixture.admin("GET", "settings", &Value::Null).json(), patched, "nothing has changed");
}

#[test]
fn a_seed_selects_the_plan_of_faults_and_heal_ends_it() {
    let mut fixture = start(1);
    let plan = fixture.admin("POST", "faults", &json!({"seed": 7, "dropped": 0.0})).json()["faults"].clone();
    assert_eq!((&plan["seed"], &plan["dropped"]), (&json!(7), &json!(0.0)));
    assert!(plan["bad_gateway"].as_f64() > Some(0.0));
    fixture.admin("POST", "heal", &json!({}));
    let plan = fixture.admin("GET", "settings", &Value::Null).json()["faults"].clone();
    assert_eq!((&plan["seed"], &plan["bad_gateway"]), (&json!(0), &json!(0.0)));
}

#[test]
fn the_truth_is_one_line_per_row_without_the_omitted_keys() {
    let mut fixture = start(10);
    let reply = fixture.admin("GET", "truth/tickets?detail=false&omit=contact,assignee", &Value::Null);
    let text = String::from_utf8(reply.body).expect("UTF-8");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 10);
    for line in lines {
        let row = &line["row"];
        assert!(row.get("contact").is_none() && row.get("assignee").is_none(), "{row}");
        assert!(row.get("department").is_some() && row.get("modifiedTime").is_none(), "{row}");
    }
    let unknown = fixture.admin("GET", "truth/nothing", &Value::Null);
    assert_eq!(unknown.status, 404);
    let named = unknown.json()["tables"].as_array().expect("the tables").clone();
    for table in ["tickets", "views", "ticket_metrics", "articles", "skills"] {
        assert!(named.contains(&json!(table)), "{table}: {named:?}");
    }
}

#[test]
fn an_added_code_can_be_exchanged_and_has_its_own_scopes() {
    let mut fixture = start(1);
    let body = json!({"scope": "Desk.tickets.READ"});
    let code = fixture.admin("POST", "codes", &body).json()["code"].as_str().expect("a code").to_owned();
    let form = [("grant_type", "authorization_code"), ("code", code.as_str())];
    let grant = token(&mut fixture.client, &form);
    fixture.client.headers[0].1 = format!("Bearer {}", grant["access_token"].as_str().expect("a token"));
    assert_eq!(fixture.get("tickets").status, 200);
    assert_eq!(fixture.error("contacts"), (403, "SCOPE_MISMATCH".to_owned()));
    assert_eq!(fixture.admin("POST", "codes", &json!({"scope": "Desk.nothing.READ"})).status, 422);
}

#[test]
fn scopes_are_replaced_for_tokens_in_use() {
    let mut fixture = start(1);
    assert_eq!(fixture.get("contacts").status, 200);
    assert_eq!(fixture.admin("POST", "scopes", &json!({"scope": "Desk.tickets.READ"})).status, 200);
    assert_eq!(fixture.error("contacts"), (403, "SCOPE_MISMATCH".to_owned()));
    assert_eq!(fixture.admin("POST", "scopes", &json!({})).status, 422);
}

#[test]
fn tokens_are_expired_and_revoked() {
    let mut fixture = start(1);
    let refresh = fixture.refresh_token.clone();
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    fixture.admin("POST", "tokens/expire", &json!({}));
    assert_eq!(fixture.error("tickets"), (401, "INVALID_OAUTH".to_owned()));
    assert!(token(&mut fixture.client, &form)["access_token"].is_string(), "the refresh token is valid");
    assert_eq!(fixture.admin("POST", "tokens/revoke", &json!({})).json(), json!({"revoked": true}));
    assert_eq!(token(&mut fixture.client, &form), json!({"error": "invalid_code"}));
}

#[test]
fn the_log_has_the_requests_and_no_secrets() {
    let mut fixture = start(1);
    fixture.get("tickets?limit=1");
    let path = format!("/oauth/v2/token?code={GRANT_CODE}&client_secret=simsecret");
    fixture.client.send("POST", &path, "").expect("an answer");
    let log = String::from_utf8(fixture.admin("GET", "log", &Value::Null).body).expect("UTF-8");
    assert!(log.contains("/api/v1/tickets?limit=1") && log.contains("/oauth/v2/token"), "{log}");
    assert!(!log.contains("simsecret") && !log.contains("1000."), "{log}");
}

#[test]
fn statistics_count_requests_and_credits_until_they_are_reset() {
    let mut fixture = start(1);
    fixture.get("tickets");
    fixture.get("tickets?limit=0");
    let stats = fixture.admin("GET", "stats", &Value::Null).json();
    assert_eq!(stats["requests"]["GET /tickets"], json!({"200": 1, "422": 1}));
    assert_eq!((&stats["creditsUsed"], &stats["tokensIssued"]), (&json!(6), &json!(1)));
    assert_eq!(stats["rows"]["tickets"], json!(1));
    let left = stats["creditsLeft"].clone();
    fixture.admin("POST", "stats/reset", &json!({}));
    let stats = fixture.admin("GET", "stats", &Value::Null).json();
    assert_eq!((&stats["requestsTotal"], &stats["creditsUsed"]), (&json!(0), &json!(0)));
    assert_eq!(stats["creditsLeft"], left, "the day's credits are not reset");
}

#[test]
fn unknown_calls_records_and_values_are_errors_with_a_message() {
    let mut fixture = start(1);
    let id = fixture.first_id("tickets");
    let cases = [
        ("GET", "nothing", json!({}), 404),
        ("POST", "webhooks/nothing", json!({}), 404),
        ("DELETE", "webhooks/1", json!({}), 404),
        ("POST", "mutate", json!({"op": "purge", "table": "tickets", "id": "1"}), 404),
        (
            "POST",
            "mutate",
            json!({"op": "update", "table": "tickets", "id": id, "values": {"status": 1}}),
            422,
        ),
        ("POST", "mutate", json!({"op": "nothing"}), 422),
        ("POST", "clock", json!({}), 422),
    ];
    for (method, path, body, status) in cases {
        let reply = fixture.admin(method, path, &body);
        assert_eq!(reply.status, status, "{method} {path} {body}");
        assert!(reply.json()["error"].as_str().is_some_and(|text| !text.is_empty()), "{method} {path}");
    }
}

#[test]
fn shutdown_stops_the_simulator() {
    let mut fixture = start(1);
    let url = fixture.simulator.url();
    assert_eq!(fixture.admin("POST", "shutdown", &json!({})).status, 200);
    fixture.simulator.wait();
    assert!(Client::connect(&url).is_err());
}
