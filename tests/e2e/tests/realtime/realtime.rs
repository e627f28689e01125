//! Changes at the source reach the sink through webhooks alone: polling is not due for minutes.

use std::time::Duration;

use desk_simulator::{Options, Sizes};
use serde_json::{Value, json};

use crate::desk::Desk;
use crate::rows::eventually;
use crate::serve::Serve;
use crate::support::http::request;
use crate::support::sizes;

fn column(table: &str, id: &str, column: &str) -> String {
    format!("SELECT {column} FROM {table} WHERE id = '{id}'")
}

/// Waits until a row is marked deleted, or is not.
#[track_caller]
fn until_deleted(desk: &Desk, table: &str, id: &str, deleted: bool) {
    desk.rows.until_number(&column(table, id, "_deleted"), deleted.into());
}

fn update(table: &str, id: &str, values: Value) -> Value {
    json!({"op": "update", "table": table, "id": id, "values": values})
}

fn moved(op: &str, table: &str, id: &str) -> Value {
    json!({"op": op, "table": table, "id": id})
}

#[test]
fn tickets_that_are_created_updated_trashed_and_restored_follow() {
    let desk = Desk::with(
        Options { sizes: Sizes { trashed_tickets: 2, ..sizes(60) }, ..Options::default() },
        |file| file,
    );
    let _serve = desk.live();
    let ids = desk.live_ids("tickets");
    desk.mutate(update("tickets", &ids[0], json!({"subject": "live 🎈", "cf": {"cf_order_number": "№ 7"}})));
    desk.rows.until_text(&column("tickets", &ids[0], "subject"), "live 🎈");
    desk.rows.until_text(&column("tickets", &ids[0], "cf_order_number"), "№ 7");
    let made = desk.mutate(json!({"op": "create", "table": "tickets", "values": {"subject": "new"}}));
    desk.rows.until_text(&column("tickets", &made, "subject"), "new");
    for id in [&ids[1], &made] {
        desk.mutate(moved("moveToTrash", "tickets", id));
        until_deleted(&desk, "tickets", id, true);
        desk.mutate(moved("restore", "tickets", id));
        until_deleted(&desk, "tickets", id, false);
    }
    desk.mutate(moved("moveToTrash", "tickets", &ids[2]));
    desk.mutate(moved("purge", "tickets", &ids[2]));
    until_deleted(&desk, "tickets", &ids[2], true);
    desk.rows.until_number("SELECT count(*) FROM tickets_live", 60);
}

#[test]
fn contacts_accounts_and_departments_follow() {
    let desk = Desk::new(20);
    let _serve = desk.live();
    for (table, title) in [("contacts", "lastName"), ("accounts", "accountName")] {
        let id = &desk.live_ids(table)[3];
        let values = json!({title: format!("renamed {table}")});
        desk.mutate(update(table, id, values));
        desk.rows.until_text(&column(table, id, title), &format!("renamed {table}"));
        desk.mutate(moved("moveToTrash", table, id));
        until_deleted(&desk, table, id, true);
        desk.mutate(moved("restore", table, id));
        until_deleted(&desk, table, id, false);
        let made = desk.mutate(json!({"op": "create", "table": table, "values": {title: "new"}}));
        desk.rows.until_text(&column(table, &made, title), "new");
    }
    let id = &desk.live_ids("departments")[0];
    desk.mutate(update("departments", id, json!({"name": "Umbenannt"})));
    desk.rows.until_text(&column("departments", id, "name"), "Umbenannt");
}

#[test]
fn a_delete_that_comes_as_an_update_is_a_delete() {
    let desk = Desk::new(20);
    desk.setup.simulator.set(|settings| settings.webhooks.delete_as_update = true);
    let _serve = desk.live();
    for table in ["tickets", "contacts"] {
        let id = &desk.live_ids(table)[0];
        desk.mutate(moved("moveToTrash", table, id));
        until_deleted(&desk, table, id, true);
        desk.mutate(moved("restore", table, id));
        until_deleted(&desk, table, id, false);
    }
}

#[test]
fn threads_and_comments_are_rows_and_leave_their_ticket_to_the_api() {
    let desk = Desk::new(20);
    let _serve = desk.live();
    let ticket = &desk.live_ids("tickets")[4];
    let before = desk.record("tickets", ticket);
    let say = |op: &str, content: &str| json!({"op": op, "ticket": ticket, "content": content});
    let thread = desk.mutate(say("addThread", "a thread"));
    desk.rows.until_text(&column("ticket_conversations", &thread, "kind"), "thread");
    let comment = desk.mutate(say("addComment", "a comment"));
    desk.rows.until_text(&column("ticket_conversations", &comment, "content"), "a comment");
    let mut edit = say("updateComment", "another comment");
    edit["id"] = Value::from(comment.as_str());
    desk.mutate(edit);
    desk.rows.until_text(&column("ticket_conversations", &comment, "content"), "another comment");
    desk.rows.until_text(&column("ticket_conversations", &comment, "ticketId"), ticket);
    // The ticket is as the API shows it now: counts moved, nothing of its parts leaked into it.
    let after = desk.record("tickets", ticket);
    for count in ["threadCount", "commentCount"] {
        let number =
            |row: &Value| row[count].as_str().and_then(|text| text.parse::<i64>().ok()).expect(count);
        assert_eq!(number(&after), number(&before) + 1, "{count}");
        desk.rows
            .until_number(&column("tickets", ticket, &format!("CAST({count} AS INTEGER)")), number(&after));
    }
    for own in ["subject", "status"] {
        let found = desk.rows.text(&column("tickets", ticket, own));
        assert_eq!(found.as_deref(), before[own].as_str(), "{own}");
    }
    for foreign in ["content", "summary", "ticketId", "commenter", "direction"] {
        let leaked = format!("json_type(_raw, '$.{foreign}')");
        assert_eq!(desk.rows.text(&column("tickets", ticket, &leaked)), None, "{foreign}");
    }
}

#[test]
fn the_state_before_is_asked_for_and_never_becomes_the_row() {
    let desk = Desk::new(20);
    let serve = desk.live();
    let hooks = desk.admin("GET", "webhooks", &json!({}));
    let wanted = &hooks["webhooks"][0]["subscriptions"];
    for event in ["Ticket_Update", "Contact_Update", "Account_Update", "Department_Update"] {
        assert_eq!(wanted[event]["includePrevState"], true, "{event}: {wanted}");
    }
    let id = &desk.live_ids("tickets")[0];
    for number in 0..5 {
        desk.mutate(update("tickets", id, json!({"subject": format!("state {number}")})));
    }
    desk.settle(&serve);
    let delivered = desk.admin("GET", "webhooks/deliveries", &json!({}));
    let last = delivered["deliveries"].as_array().and_then(|all| all.last()).expect("a delivery");
    assert_eq!(last["body"][0]["prevState"]["subject"], "state 3");
    assert_eq!(desk.rows.text(&column("tickets", id, "subject")).as_deref(), Some("state 4"));
}

/// An event as the service sends it.
fn event(desk: &Desk, name: &str, payload: Value) -> Value {
    let organization = &desk.setup.simulator.options().organization_id;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time");
    let time = now.as_millis().to_string();
    json!([{"eventType": name, "payload": payload, "eventTime": time, "orgId": organization}])
}

#[test]
fn unknown_events_are_counted_by_name_and_fail_nothing() {
    let desk = Desk::new(20);
    let (serve, hook) = desk.live_with_hook();
    let url = desk.hook_url(&serve);
    for name in ["Something_New", "Article_Feedback_Add", "Agent_Presence_Update"] {
        let body = event(&desk, name, json!({"id": "1", "anything": [1, {"a": null}]}));
        assert_eq!(desk.forge(&url, &hook, "valid", &body), 200, "{name}");
    }
    desk.settle(&serve);
    assert_eq!(serve.metric_with("host_runner_events_ignored_total", "Something_New"), Some(1.0));
    assert_eq!(serve.metric("host_runner_events_ignored_total"), Some(3.0));
    assert!(desk.dead_letters().is_empty());
    let id = &desk.live_ids("tickets")[0];
    desk.mutate(update("tickets", id, json!({"subject": "still served"})));
    desk.rows.until_text(&column("tickets", id, "subject"), "still served");
}

/// Changes fifty tickets four times each; the last subject must win.
fn change_in_bulk(desk: &Desk, serve: &Serve) {
    let ids = desk.live_ids("tickets");
    for round in 0..4 {
        for id in &ids {
            desk.mutate(update("tickets", id, json!({"subject": format!("round {round}")})));
        }
        // Two states of one record within a millisecond cannot be distinguished.
        desk.setup.simulator.advance(Duration::from_millis(2));
    }
    desk.settle(serve);
    let last = "SELECT count(*) FROM tickets_live WHERE subject = 'round 3'";
    assert_eq!(desk.rows.number(last), Some(ids.len() as i64));
    assert!(desk.dead_letters().is_empty());
}

#[test]
fn many_events_in_one_delivery_are_all_taken() {
    let desk = Desk::new(50);
    let serve = desk.live();
    desk.setup.simulator.set(|settings| {
        settings.webhooks.batch = 1.0;
        settings.webhooks.batch_max = 50;
        settings.webhooks.delay_ms_max = 10;
    });
    change_in_bulk(&desk, &serve);
    let made = desk.setup.simulator.stats()["webhooks"]["deliveries"].as_u64().expect("deliveries");
    assert!(made < 100, "{made} deliveries for 200 events");
}

#[test]
fn duplicates_that_come_late_change_nothing() {
    let desk = Desk::new(50);
    let serve = desk.live();
    desk.setup.simulator.set(|settings| settings.webhooks.duplicate = 1.0);
    change_in_bulk(&desk, &serve);
    let made = desk.setup.simulator.stats()["webhooks"]["deliveries"].as_u64().expect("deliveries");
    assert!(made >= 400, "{made} deliveries for 200 events");
}

#[test]
fn a_url_is_validated_without_a_trace() {
    let desk = Desk::new(10);
    let serve = desk.live();
    let url = desk.hook_url(&serve);
    for method in ["GET", "HEAD"] {
        assert_eq!(request(method, &url, &[], b"").status, 200, "{method}");
    }
    for body in ["[{}]", "{}", "[]", ""] {
        assert_eq!(request("POST", &url, &[], body.as_bytes()).status, 200, "{body:?}");
    }
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS"] {
        assert_eq!(request(method, &url, &[], b"").status, 405, "{method}");
    }
    desk.settle(&serve);
    assert!(desk.dead_letters().is_empty());
}

/// A connection whose webhook a person registered by hand, with a policy for signatures.
fn by_hand(policy: &str) -> (Desk, Serve, String) {
    let options = Options { sizes: sizes(20), ..Options::default() };
    let desk = Desk::with(options, |file| file.config_text("signature", policy));
    let serve = desk.serve();
    desk.until_read();
    let url = desk.hook_url(&serve);
    desk.admin("POST", "webhooks", &json!({"url": url, "include_previous": true}));
    (desk, serve, url)
}

#[test]
fn a_webhook_set_up_by_hand_works_with_every_policy() {
    for policy in ["auto", "when-present", "required", "off"] {
        let (desk, serve, _url) = by_hand(policy);
        let id = &desk.live_ids("tickets")[0];
        desk.mutate(update("tickets", id, json!({"subject": policy})));
        desk.rows.until_text(&column("tickets", id, "subject"), policy);
        desk.settle(&serve);
        assert!(desk.dead_letters().is_empty(), "{policy}");
    }
}

#[test]
fn the_policy_decides_about_deliveries_without_a_signature() {
    for (policy, is_taken) in [("auto", true), ("when-present", true), ("required", false), ("off", true)] {
        let (desk, serve, url) = by_hand(policy);
        let id = &desk.live_ids("tickets")[0];
        let before = desk.rows.text(&column("tickets", id, "_change_source"));
        let body = event(&desk, "Ticket_Update", desk.record("tickets", id));
        assert_eq!(desk.forge(&url, "0", "none", &body), 200, "{policy}");
        desk.settle(&serve);
        let dead = desk.dead_letters();
        assert_eq!(dead.is_empty(), is_taken, "{policy}: {dead:?}");
        let after = desk.rows.text(&column("tickets", id, "_change_source"));
        assert!(is_taken || before == after, "{policy}: {after:?}");
    }
}

#[test]
fn a_body_is_not_applied_when_nothing_proves_its_sender() {
    let (desk, serve, url) = by_hand("when-present");
    let id = &desk.live_ids("tickets")[0];
    let subject = desk.record("tickets", id)["subject"].clone();
    let mut lie = desk.record("tickets", id);
    lie["subject"] = Value::from("a lie");
    for body in [event(&desk, "Ticket_Update", lie), event(&desk, "Ticket_Delete", json!({"id": id}))] {
        assert_eq!(desk.forge(&url, "0", "none", &body), 200);
    }
    desk.settle(&serve);
    assert_eq!(desk.rows.text(&column("tickets", id, "subject")).as_deref(), subject.as_str());
    assert_eq!(desk.rows.number(&column("tickets", id, "_deleted")), Some(0));
}

#[test]
fn webhooks_alone_bring_every_creation_and_deletion() {
    let desk = Desk::new(80);
    let serve = desk.live();
    desk.setup.simulator.set(|settings| {
        let hooks = &mut settings.webhooks;
        (hooks.duplicate, hooks.delay, hooks.batch, hooks.delay_ms_max) = (0.2, 0.1, 0.2, 4);
    });
    let tables = ["tickets", "tickets", "ticket_conversations", "contacts", "accounts"];
    for seed in 0..6 {
        desk.mutate(json!({"seed": seed, "count": 150, "tables": tables}));
    }
    desk.settle(&serve);
    for table in ["tickets", "contacts", "accounts"] {
        let ids = desk.rows.dump(&format!("SELECT id FROM {table}_live ORDER BY id"));
        let truth: Vec<_> = desk.live_ids(table).iter().map(|id| format!("[Text({id:?})]")).collect();
        assert_eq!(ids, truth, "{table}");
    }
    for table in ["tickets", "contacts", "accounts"] {
        let modified =
            desk.rows.dump(&format!("SELECT id, _source_updated_at FROM {table}_live ORDER BY id"));
        let times = desk.live_ids(table).into_iter().map(|id| {
            let time = desk.record(table, &id)["modifiedTime"].as_str().expect("a time").to_owned();
            format!("[Text({id:?}), Text({time:?})]")
        });
        assert_eq!(modified, times.collect::<Vec<_>>(), "{table}");
    }
}

#[test]
fn polling_brings_what_no_webhook_brought_and_counts_it() {
    let options = Options { sizes: sizes(30), ..Options::default() };
    let desk = Desk::with(options, |file| file.set("serve.poll_interval", "\"1s\""));
    desk.setup.simulator.set(|settings| settings.webhooks.drop = 1.0);
    let serve = desk.live();
    let before = serve.metric_with("host_runner_rows_repaired_total", "\"tickets\"").unwrap_or_default();
    let ids = desk.live_ids("tickets");
    for id in &ids[..5] {
        desk.mutate(update("tickets", id, json!({"subject": "found by polling"})));
    }
    desk.mutate(moved("moveToTrash", "tickets", &ids[7]));
    desk.rows.until_number("SELECT count(*) FROM tickets_live WHERE subject = 'found by polling'", 5);
    until_deleted(&desk, "tickets", &ids[7], true);
    let repaired = serve.metric_with("host_runner_rows_repaired_total", "\"tickets\"").unwrap_or_default();
    assert!(repaired >= before + 6.0, "{before}, then {repaired}");
    let said = serve.stop();
    assert!(said.contains("polling repaired"), "{said}");
}

#[test]
fn tables_of_a_round_share_one_reading_of_search_and_recycle_bin() {
    let options = Options { sizes: sizes(30), ..Options::default() };
    let desk = Desk::with(options, |file| file.set("serve.poll_interval", "\"2s\""));
    let _serve = desk.serve();
    desk.until_read();
    let of = |call: &str| desk.setup.requests_to(&format!("GET /{call}"));
    // Contacts are searched once in each round. The tables meet in the first rounds.
    let rounds = |from: u64, more: u64| {
        eventually("rounds of polling", || {
            let rounds = of("contacts/search") - from;
            if rounds >= more { Ok(rounds) } else { Err(format!("{rounds} of {more}")) }
        })
    };
    rounds(0, 3);
    let before = [of("contacts/search"), of("recycleBin"), of("tickets/search")];
    let rounds = rounds(before[0], 5);
    let (sweeps, searches) = (of("recycleBin") - before[1], of("tickets/search") - before[2]);
    assert!(sweeps <= rounds + 1, "{sweeps} sweeps in {rounds} rounds");
    assert!(searches <= 2 * (rounds + 1), "{searches} searches in {rounds} rounds");
}
