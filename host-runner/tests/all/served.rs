//! Commands while a server has the connection, in each of its states, and its own reports: health, metrics.

use serde_json::{Value, json};

use crate::commands::QUESTIONS;
use crate::serve::{Server, event, eventually, later, until_read};
use crate::support::{Place, SECRET};

/// Each answer as text and as JSON.
fn answers(place: &Place) -> Vec<(String, String, Value)> {
    let answer = |(arguments, code): &(&[&str], i32)| {
        let plain = place.expect(arguments, *code);
        (plain.stdout, plain.stderr, place.json(arguments, *code))
    };
    QUESTIONS.iter().map(answer).collect()
}

#[test]
fn answers_are_the_same_before_while_and_after_a_server_runs() {
    let place = Place::new("rows = 12");
    place.expect(&["authorize", "--code", "good-code"], 0);
    let alone = answers(&place);
    let server = Server::start(&place);
    assert_eq!(answers(&place), alone, "while the server starts");
    until_read(&server);
    assert_eq!(answers(&place), alone, "while the server runs");
    place.expect(&["authorize", "--code", "expired-code"], 4);
    place.expect(&["authorize", "--code", "another-code"], 0);
    let shown = place.json(&["state", "show"], 0);
    assert_eq!((&shown["authorized"], shown["tables"].as_array().map(Vec::len)), (&json!(true), Some(2)));
    server.stop();
    assert_eq!(
        place.json(&["state", "show"], 0)["tables"],
        shown["tables"],
        "the tables after the server stopped"
    );
    assert_eq!(answers(&place), alone, "after the server stopped");
}

#[test]
fn check_reports_the_webhooks_of_a_server() {
    let place = Place::new("rows = 3");
    place.expect(&["authorize", "--code", "good-code"], 0);
    let server = Server::start(&place);
    // At once: the server reports its address after commands can reach it.
    let public = format!("http://{}", server.address);
    place.expect(&["webhook", "subscribe", "--public-url", &public], 0);
    server.deliver(&place, &event("things", "9", "create", later()));
    server.deliver(&place, &json!("nonsense"));
    eventually("both deliveries", || {
        server.metric("deliveries_dead_lettered_total{connection=\"tiny\"}") == Some(1.0)
    });
    let served = place.json(&["check"], 0);
    let names: Vec<&str> =
        served["items"].as_array().expect("items").iter().filter_map(|item| item["name"].as_str()).collect();
    assert_eq!(names, ["session", "webhook-subscription", "webhook-deliveries", "webhook-dead-letters"]);
    let last = |code| {
        let items = place.json(&["check", "--public-url", &public], code)["items"].clone();
        items.as_array().and_then(|items| items.last().cloned()).expect("an item")
    };
    let url = last(0);
    assert_eq!((&url["name"], &url["outcome"]), (&json!("webhook-url"), &json!("passed")));
    server.stop();
    assert_eq!(place.json(&["check"], 0), served);
    assert!(last(8)["message"].as_str().is_some_and(|said| said.contains("onnect")), "{}", last(8));
}

#[test]
fn a_reset_table_is_read_again_while_a_server_runs() {
    let place = Place::new("rows = 7");
    let server = Server::start(&place);
    until_read(&server);
    let read = "rows_read_total{connection=\"tiny\",table=\"things\"}";
    assert_eq!(server.metric(read), Some(7.0));
    let refused = place.expect(&["sync", "--full-refresh"], 12);
    assert!(refused.stderr.contains("host-runner state reset -c tiny.toml"), "{refused:?}");
    assert_eq!(place.json(&["state", "reset", "--table", "Things"], 0)["reset"], json!(["things"]));
    eventually("the second snapshot", || server.metric(read) == Some(14.0));
    until_read(&server);
    place.expect(&["state", "reset", "--table", "nothing"], 6);
    server.stop();
}

#[test]
fn commands_answer_while_the_source_does_not() {
    let place =
        Place::new("rows = 5\nfails_discover = true\nkind = \"unavailable\"\nretry_after_ms = 3600000");
    place.expect(&["authorize", "--code", "good-code"], 0);
    let server = Server::start(&place);
    eventually("a failure", || server.health()["connections"][0]["state"] == "waiting");
    place.expect(&["check"], 0);
    assert_eq!(place.json(&["count", "--table", "things"], 0)["tables"][0]["rows"], 5);
    place.expect(&["discover"], 8);
    let refused = place.expect(&["webhook", "subscribe", "--public-url", "https://a.example"], 8);
    assert!(refused.stderr.contains("no tables, as configured"), "{refused:?}");
    server.stop();
}

#[test]
fn a_connection_that_waits_for_authorization_answers_commands_and_uses_a_new_session() {
    let place = Place::new("behavior = \"fail\"\nkind = \"auth\"\nrows = 5");
    let server = Server::start(&place);
    let failures = || server.metric("errors_total{connection=\"tiny\",kind=\"auth\"}");
    eventually("a refusal", || server.health()["connections"][0]["state"] == "waiting");
    let before = failures();
    assert_eq!(server.health()["status"], "degraded");
    place.expect(&["check"], 4);
    assert_eq!(place.json(&["count", "--table", "things"], 0)["tables"][0]["rows"], 5);
    // Without a new session the backoff would last minutes.
    place.expect(&["authorize", "--code", "good-code"], 0);
    eventually("another attempt", || failures() > before);
    let url = |words: &[&str]| place.json(&[&["webhook", "url"], words].concat(), 0)["url"].clone();
    let url = url(&["--rotate", "--grace", "0s"]);
    let path = url.as_str().and_then(|url| url.strip_prefix("https://YOUR-HOST")).expect("a URL").to_owned();
    eventually("the new URL", || server.request("GET", &path, "").0 == 200);
    server.stop();
}

#[test]
fn tables_that_appear_or_disappear_need_no_restart() {
    let place = Place::new("rows = 3");
    let server = Server::start(&place);
    until_read(&server);
    let pairs = || server.metric("table_snapshot_complete{connection=\"tiny\",table=\"pairs\"}");
    eventually("the other table", || pairs() == Some(1.0));
    place.expect(&["invoke", "hide", "{\"table\": \"pairs\"}"], 0);
    place.expect(&["discover"], 0);
    assert_eq!(pairs(), None);
    place.expect(&["invoke", "hide", "{}"], 0);
    place.expect(&["state", "reset", "--table", "pairs"], 0);
    place.expect(&["discover"], 0);
    eventually("the table to be read again", || pairs() == Some(1.0));
    let read = "rows_read_total{connection=\"tiny\",table=\"pairs\"}";
    assert_eq!(server.metric(read), Some(6.0), "the table was read again, and counters only rise");
    assert_eq!(server.metric("rows_read_total{connection=\"tiny\",table=\"things\"}"), Some(3.0));
    server.stop();
}

#[test]
fn health_reports_each_connection_without_secrets() {
    let place = Place::new("rows = 3");
    let server = Server::start(&place);
    until_read(&server);
    server.deliver(&place, &event("things", "9", "create", later()));
    // Counted when its rows are committed; acknowledged afterward.
    let is_done = || server.metric("deliveries_applied_total") == Some(1.0);
    eventually("the delivery", || is_done() && server.metric("delivery_queue_length") == Some(0.0));
    let health = server.health();
    assert_eq!((&health["status"], &health["invalid_files"]), (&json!("ok"), &json!([])));
    let connection = &health["connections"][0];
    assert_eq!(connection["connection"], "tiny");
    assert_eq!((&connection["state"], &connection["queued_deliveries"]), (&json!("running"), &json!(0)));
    assert!(connection["last_delivery_at"].is_string() && connection["last_error"].is_null(), "{connection}");
    assert!(connection["since"].is_string() && connection["reason"].is_null(), "{connection}");
    let things = &connection["tables"][1];
    assert_eq!((&things["table"], &things["snapshot_complete"]), (&json!("things"), &json!(true)));
    assert!(things["lag_seconds"].is_u64(), "{things}");
    server.stop();

    let place = Place::new("behavior = \"leak-secrets\"");
    place.expect(&["authorize", "--code", "good-code"], 0);
    let server = Server::start(&place);
    eventually("an error", || server.health()["connections"][0]["last_error"].is_string());
    let health = server.health().to_string();
    assert!(health.contains("[secret]") && !health.contains(SECRET), "{health}");
    assert!(!health.contains("token-for-good-code"), "{health}");
    server.stop();
}

#[test]
fn the_url_comes_with_the_connectors_own_steps() {
    let place = Place::new("");
    let shown = place.json(&["webhook", "url", "--public-url", "https://a.example"], 0);
    let url = shown["url"].as_str().expect("a URL");
    let steps = json!(["Open the box.", format!("Enter {url} twice: {url}")]);
    assert_eq!(shown["setup"], json!([{"title": "By hand", "steps": steps}]));
    let ran = place.expect(&["webhook", "url", "--public-url", "https://a.example"], 0);
    assert_eq!(ran.stdout.trim(), url);
    assert!(ran.stderr.contains(&format!("  2. Enter {url} twice: {url}")), "{ran:?}");
}
