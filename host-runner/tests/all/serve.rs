//! `serve` with the tiny connector: deliveries become rows or dead letters, also if they trap the component.

mod configuration;
mod following;
mod isolation;
mod many;
mod process;
mod retries;
mod stopping;
mod tls;
mod unblocked;

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

pub(crate) use self::process::{Server, answer, eventually};
use crate::support::Place;

pub(crate) fn until_read(server: &Server) {
    let complete = "table_snapshot_complete{connection=\"tiny\",table=\"things\"}";
    eventually("the first snapshot", || server.metric(complete) == Some(1.0));
}

/// A time after everything that has been read.
pub(crate) fn later() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time");
    u64::try_from(now.as_millis()).expect("a time") + 60_000
}

pub(crate) fn event(table: &str, id: &str, op: &str, time: u64) -> Value {
    json!([{"table": table, "id": id, "op": op, "time": time}])
}

fn live(place: &Place) -> String {
    place.query("SELECT coalesce(group_concat(id, ' '), '') FROM (SELECT id FROM things_live ORDER BY id)")
}

/// Repeats the only dead letter up to the limit of its connection.
fn fill_dead_letters(place: &Place) {
    let journal = place.files().into_iter().map(|(path, _)| path).find(|path| path.ends_with("journal.db"));
    let database = rusqlite::Connection::open(journal.expect("a journal")).expect("opened");
    let columns = "seq, connection, cause, kind, reason, attempts, first_failed_at_ms, dead_at_ms, bytes, \
         received_at_ms, checksum, method, path, headers, body";
    let many = format!(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 99999)
        INSERT INTO dead_letters ({columns}) SELECT {columns} FROM dead_letters JOIN n"
    );
    assert_eq!(database.execute(&many, []).expect("filled"), 99_999);
}

#[test]
fn deliveries_become_rows_and_unusable_ones_dead_letters() {
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
    eventually("the last delivery", || server.metric("delivery_queue_length") == Some(0.0));
    assert_eq!(live(&place), "0 2 9");
    assert_eq!(place.query("SELECT _change_source FROM things WHERE id = '9'"), "webhook");
    assert_eq!(server.metric("events_ignored_total{connection=\"tiny\",event=\"weather\"}"), Some(1.0));
    let dead = place.json(&["dead-letters", "list"], 0)["dead_letters"].clone();
    let kinds: Vec<&str> =
        dead.as_array().expect("a list").iter().filter_map(|one| one["kind"].as_str()).collect();
    assert_eq!(kinds, ["data", "internal"], "{dead}");
    // Older than the stored row: it changes nothing.
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
fn rejected_and_ignored_deliveries_do_not_count_as_rows_that_arrived() {
    let place = Place::new("rows = 3\nchanges = 2");
    let read = "rows_read_total{connection=\"tiny\",table=\"things\"}";
    // At the second time the sink has a position, and nothing new is read.
    for (dead_letters, rows) in [(1.0, 5.0), (2.0, 0.0)] {
        let server = Server::start(&place);
        until_read(&server);
        server.deliver(&place, &json!("nonsense"));
        server.deliver(&place, &event("weather", "1", "update", later()));
        eventually("both", || server.metric("events_ignored_total{") == Some(1.0));
        eventually("no queue", || server.metric("delivery_queue_length") == Some(0.0));
        assert_eq!(server.metric("dead_letters{"), Some(dead_letters));
        eventually("the changes", || server.metric(read).unwrap_or_default() == rows);
        place.expect(&["state", "reset", "--table", "things"], 0);
        // A snapshot of three rows, then two changes, of which each changes a row.
        eventually("polled changes", || server.metric(read) == Some(rows + 5.0));
        assert_eq!(server.metric("rows_repaired_total{connection=\"tiny\"").unwrap_or_default(), 0.0);
        assert_eq!(server.health()["connections"][0]["last_delivery_at"], json!(null));
        let items = place.json(&["check"], 4)["items"].clone();
        let is_deliveries = |item: &&Value| item["name"] == "webhook-deliveries";
        let item = items.as_array().and_then(|items| items.iter().find(is_deliveries));
        assert!(item.is_none_or(|item| item["message"] == "none applied yet"), "{items}");
        server.stop();
    }
}

#[test]
fn full_dead_letters_hold_back_only_what_would_become_one_until_some_are_dropped() {
    let place = Place::new("rows = 3\n[serve]\npoll_interval = \"1s\"");
    let server = Server::start(&place);
    until_read(&server);
    server.deliver(&place, &json!("nonsense"));
    eventually("a dead letter", || server.metric("dead_letters{") == Some(1.0));
    server.stop();
    fill_dead_letters(&place);
    let server = Server::start(&place);
    until_read(&server);
    server.deliver(&place, &event("things", "8", "create", later()));
    server.deliver(&place, &json!("nonsense"));
    server.deliver(&place, &event("things", "9", "create", later()));
    eventually("a delivery that waits", || server.metric("deliveries_waiting{") == Some(1.0));
    eventually("the others", || live(&place) == "0 1 2 8 9");
    // A start polls within seconds, not at once.
    eventually("a poll", || server.metric("table_last_poll_timestamp_seconds{").is_some());
    let polled = || server.metric("table_last_poll_timestamp_seconds{").expect("polled");
    let (before, failures) =
        (polled(), || server.metric("errors_total{connection=\"tiny\",kind=\"unavailable\"}"));
    let failed = failures();
    eventually("polling", || polled() > before && failures() > failed);
    assert_eq!(server.metric("connection_state{connection=\"tiny\",state=\"running\"}"), Some(1.0));
    assert_eq!(server.metric("delivery_queue_length"), Some(1.0));
    let items = place.json(&["check"], 4)["items"].clone();
    let is_letters = |item: &&Value| item["name"] == "webhook-dead-letters";
    let item = items.as_array().and_then(|items| items.iter().find(is_letters)).expect("an item");
    let message = item["message"].as_str().unwrap_or_default();
    assert!(message.contains("would become dead letters wait, and others are applied"), "{item}");
    place.expect(&["dead-letters", "drop", "1"], 0);
    eventually("the last delivery", || server.metric("delivery_queue_length") == Some(0.0));
    eventually("nothing that waits", || server.metric("deliveries_waiting{") == Some(0.0));
    server.stop();
}

#[test]
fn a_flood_of_dead_letters_does_not_flood_the_log() {
    let place = Place::new("rows = 3");
    let server = Server::start(&place);
    until_read(&server);
    server.deliver(&place, &event("fail", "0", "permission", later()));
    eventually("a dead letter", || server.metric("dead_letters{") == Some(1.0));
    server.stop();
    fill_dead_letters(&place);
    let server = Server::start(&place);
    until_read(&server);
    let path = server.webhook_path(&place);
    for number in 0..300 {
        let body = event("fail", &number.to_string(), "permission", later()).to_string();
        assert_eq!(server.request("POST", &path, &body).0, 200);
    }
    eventually("the dead letters", || server.metric("deliveries_dead_lettered_total{") == Some(300.0));
    assert_eq!(server.metric("dead_letters_evicted_total{"), Some(300.0));
    server.deliver(&place, &event("things", "9", "create", later()));
    eventually("the last delivery", || live(&place) == "0 1 2 9");
    let log = server.log();
    let lines = log.lines().filter(|line| line.contains("dead letter")).count();
    assert!((2..64).contains(&lines), "{lines} lines:\n{log}");
    server.stop();
}

#[test]
fn what_a_removed_connection_left_in_the_journal_is_cleared_unless_a_process_runs_it() {
    let place = Place::new("rows = 3");
    let server = Server::start(&place);
    until_read(&server);
    server.deliver(&place, &json!("nonsense"));
    eventually("a dead letter", || server.metric("dead_letters{") == Some(1.0));
    let refused = place.expect(&["dead-letters", "clear", "tiny"], 12);
    assert!(refused.stderr.contains("in use by process"), "{refused:?}");
    assert_eq!(place.json(&["dead-letters", "clear", "another"], 0)["records"], 0);
    server.stop();
    assert_eq!(place.json(&["dead-letters", "move", "another"], 0)["records"], 0);
    assert_eq!(place.json(&["dead-letters", "clear", "tiny"], 0)["records"], 1);
    assert_eq!(place.json(&["dead-letters", "list"], 0)["dead_letters"], json!([]));
}

#[test]
fn a_missed_delivery_causes_an_early_poll() {
    // The poll interval is five minutes; a delivery that cannot be applied causes a poll before.
    let place = Place::new("rows = 3");
    let server = Server::start(&place);
    let polled = || server.metric("table_last_poll_timestamp_seconds{connection=\"tiny\",table=\"things\"}");
    eventually("the first poll", || {
        server.metric("table_lag_seconds{connection=\"tiny\",table=\"things\"}").is_some()
    });
    let before = polled();
    server.deliver(&place, &event("things", "9", "create", later()));
    eventually("a row", || live(&place) == "0 1 2 9");
    assert_eq!(polled(), before, "polled although no delivery was missed");
    server.deliver(&place, &json!("nonsense"));
    eventually("an early poll", || polled() > before);
    server.stop();
}

#[test]
fn a_delivery_that_fails_for_now_waits_and_others_pass_it_also_after_a_kill() {
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
    eventually("the delivery behind it", || live(&place) == "0 1 2 7 8");
    eventually("its acknowledgment", || server.metric("delivery_queue_length") == Some(1.0));
    let applied = place.query("SELECT journal || ' ' || applied_seq FROM _sync_journal");
    server.signal("-KILL");
    drop(server);
    let server = Server::start(&place);
    server.deliver(&place, &event("things", "9", "create", later()));
    eventually("the next one", || live(&place) == "0 1 2 7 8 9");
    assert_eq!(server.metric("deliveries_applied_total{"), Some(1.0), "{applied}: others came again");
    assert_eq!(server.metric("deliveries_waiting{"), Some(1.0));
    server.stop();
}

#[test]
fn deliveries_are_applied_while_the_source_does_not_list_its_tables() {
    let place = Place::new("rows = 3");
    let server = Server::start(&place);
    until_read(&server);
    server.stop();
    place.configure("rows = 3\nfails_discover = true\nkind = \"unavailable\"\nretry_after_ms = 3600000");
    let server = Server::start(&place);
    eventually("a failure", || server.health()["connections"][0]["state"] == "waiting");
    server.deliver(&place, &event("things", "9", "create", later()));
    eventually("the delivery", || live(&place) == "0 1 2 9");
    server.stop();
}

#[test]
fn a_wrong_command_line_is_reported_before_anything_runs() {
    let place = Place::new("rows = 3");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = taken.local_addr().expect("an address").to_string();
    let ran = place.expect(&["serve", "--listen", &address], 2);
    assert!(ran.stderr.contains(&format!("error: --listen {address}: ")), "{ran:?}");
    let files = ["--tls-cert", "none.pem", "--tls-key", "none.pem"];
    let ran = place.expect(&[&["serve", "--listen", "127.0.0.1:0"], &files[..]].concat(), 3);
    assert!(ran.stderr.contains("error: TLS: none.pem: "), "{ran:?}");
    let server = Server::start(&place);
    let ran = place.expect(&["serve", "--listen", "127.0.0.1:0"], 12);
    assert!(ran.stderr.contains("another server has this data folder"), "{ran:?}");
    server.stop();
}

#[test]
fn subscribe_unsubscribe_and_rotate_work_while_the_server_runs() {
    let place = Place::new("rows = 3");
    let server = Server::start(&place);
    until_read(&server);
    let public = format!("http://{}", server.address);
    place.expect(&["webhook", "subscribe", "--public-url", &public], 0);
    place.expect(&["webhook", "unsubscribe"], 0);
    place.expect(&["webhook", "unsubscribe"], 6);
    let before = place.json(&["webhook", "url"], 0)["url"].clone();
    let after = place.json(&["webhook", "url", "--rotate", "--grace", "0s"], 0)["url"].clone();
    assert_ne!(before, after);
    let path =
        |url: &Value| url.as_str().and_then(|url| url.strip_prefix("https://YOUR-HOST")).map(str::to_owned);
    assert_eq!(
        server.request("GET", &path(&before).expect("a path"), "").0,
        404,
        "without grace it is unknown"
    );
    assert_eq!(server.request("GET", &path(&after).expect("a path"), "").0, 200);
    server.stop();
}
