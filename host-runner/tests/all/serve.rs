//! `serve` with the tiny connector: deliveries become rows or dead letters, whatever they do to the component.

mod many;
mod process;
mod stopping;
mod tls;

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use self::process::{Server, eventually};
use crate::support::Place;

fn until_read(server: &Server) {
    let complete = "snapshot_complete{connection=\"tiny\",table=\"things\"}";
    eventually("the first pass", || server.metric(complete) == Some(1.0));
}

/// A time after everything that has been read.
fn later() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time");
    u64::try_from(now.as_millis()).expect("a time") + 60_000
}

fn event(table: &str, id: &str, op: &str, time: u64) -> Value {
    json!([{"table": table, "id": id, "op": op, "time": time}])
}

fn live(place: &Place) -> String {
    place.query("SELECT coalesce(group_concat(id, ' '), '') FROM (SELECT id FROM things_live ORDER BY id)")
}

#[test]
fn deliveries_become_rows_and_what_cannot_be_used_a_dead_letter() {
    let place = Place::new("rows = 3");
    let server = Server::start(&place);
    until_read(&server);
    let base = later();
    server.deliver(&place, &event("things", "9", "create", base));
    server.deliver(&place, &json!("nonsense"));
    server.deliver(&place, &event("weather", "1", "update", base));
    server.deliver(&place, &event("trap", "1", "update", base));
    server.deliver(&place, &event("things", "1", "delete", base + 1));
    server.deliver(&place, &event("things", "9", "update", base + 2));
    eventually("the last delivery", || server.metric("journal_deliveries") == Some(0.0));
    assert_eq!(live(&place), "0 2 9");
    assert_eq!(place.query("SELECT _lineage FROM things WHERE id = '9'"), "webhook");
    assert_eq!(server.metric("events_ignored_total{connection=\"tiny\",event=\"weather\"}"), Some(1.0));
    let dead = place.json(&["dead-letters", "list"], 0)["dead_letters"].clone();
    let kinds: Vec<&str> =
        dead.as_array().expect("a list").iter().filter_map(|one| one["kind"].as_str()).collect();
    assert_eq!(kinds, ["data", "internal"], "{dead}");
    // Older than what is there: it changes nothing.
    server.deliver(&place, &event("things", "1", "update", base));
    eventually("the late delivery", || server.metric("deliveries_applied_total") == Some(5.0));
    assert_eq!(live(&place), "0 2 9");
    place.expect(&["dead-letters", "drop", "--all"], 0);
    server.stop();
    let items = place.json(&["check"], 4)["items"].clone();
    let item =
        |name: &str| items.as_array().and_then(|all| all.iter().find(|item| item["name"] == name).cloned());
    assert_eq!(item("webhook-deliveries").expect("an item")["outcome"], "passed", "{items}");
    assert_eq!(item("webhook-dead-letters").expect("an item")["outcome"], "passed", "{items}");
}

#[test]
fn what_may_be_taken_later_waits_in_its_order_and_outlives_a_kill() {
    let place = Place::new("rows = 3");
    let server = Server::start(&place);
    until_read(&server);
    server.deliver(&place, &event("things", "7", "create", later()));
    eventually("the first delivery", || live(&place) == "0 1 2 7");
    server.deliver(&place, &event("fail", "1", "unavailable", later()));
    server.deliver(&place, &event("things", "8", "create", later()));
    eventually("a failure", || {
        server.metric("errors_total{connection=\"tiny\",kind=\"unavailable\"}") > Some(0.0)
    });
    assert_eq!(live(&place), "0 1 2 7", "one overtook another");
    server.signal("-KILL");
    drop(server);
    let server = Server::start(&place);
    assert_eq!(server.metric("journal_deliveries"), Some(2.0));
    server.stop();
}

#[test]
fn a_subscription_is_made_and_undone_beside_the_server() {
    let place = Place::new("rows = 3");
    let server = Server::start(&place);
    until_read(&server);
    let busy = place.run(&["check"]);
    assert!(busy.stderr.contains("in use by process"), "{busy:?}");
    let public = format!("http://{}", server.address);
    place.expect(&["webhook", "subscribe", "--public-url", &public], 0);
    place.expect(&["webhook", "unsubscribe"], 0);
    place.expect(&["webhook", "unsubscribe"], 6);
    let before = place.json(&["webhook", "url"], 0)["url"].clone();
    let after = place.json(&["webhook", "url", "--rotate", "--grace-h", "0"], 0)["url"].clone();
    assert_ne!(before, after);
    let path =
        |url: &Value| url.as_str().and_then(|url| url.strip_prefix("https://YOUR-HOST")).map(str::to_owned);
    assert_eq!(server.request("GET", &path(&before).expect("a path"), "").0, 404, "without grace it is gone");
    assert_eq!(server.request("GET", &path(&after).expect("a path"), "").0, 200);
    server.stop();
}
