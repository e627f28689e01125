//! Rejected requests get a status, rejected deliveries become dead letters. Neither stops the runner.

mod dead_letters;
mod requests;
mod slow;

use std::time::{SystemTime, UNIX_EPOCH};

use desk_simulator::{Options, Simulator};
use serde_json::{Value, json};

use crate::desk::Desk;
use crate::serve::Serve;
use crate::support::http::request;
use crate::support::sizes;

/// A served and subscribed connection with all that a forger needs to know.
struct Receiver {
    desk: Desk,
    serve: Serve,
    hook: String,
    url: String,
    /// The ticket that forgeries are about.
    ticket: String,
}

impl Receiver {
    fn new() -> Receiver {
        let desk = Desk::new(20);
        let (serve, hook) = desk.live_with_hook();
        let url = desk.hook_url(&serve);
        let ticket = desk.live_ids("tickets").swap_remove(0);
        Receiver { desk, serve, hook, url, ticket }
    }

    /// The body of a delivery that changes the subject of the ticket.
    fn update_body(&self, subject: &str) -> Value {
        let mut payload = self.desk.record("tickets", &self.ticket);
        payload["subject"] = Value::from(subject);
        let organization = &self.desk.setup.simulator.options().organization_id;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_millis().to_string();
        json!([{"eventType": "Ticket_Update", "payload": payload, "eventTime": now, "orgId": organization}])
    }

    fn subject(&self) -> Option<String> {
        self.desk.rows.text(&format!("SELECT subject FROM tickets WHERE id = '{}'", self.ticket))
    }

    /// A change at the source still reaches its row.
    #[track_caller]
    fn applies_change(&self, subject: &str) {
        let values = json!({"subject": subject});
        self.desk.mutate(json!({"op": "update", "table": "tickets", "id": self.ticket, "values": values}));
        let sql = format!("SELECT subject FROM tickets WHERE id = '{}'", self.ticket);
        self.desk.rows.until_text(&sql, subject);
    }

    /// The only dead letter has this reason, and nothing was changed by it.
    #[track_caller]
    fn expect_dead_letter(&self, reason: &str, before: Option<&str>) {
        self.desk.settle(&self.serve);
        let dead = self.desk.dead_letters();
        assert_eq!(dead.len(), 1, "{reason}: {dead:?}");
        let said = dead[0]["reason"].as_str().unwrap_or_default();
        assert!(said.contains(reason), "{said:?} does not say {reason:?}");
        assert_eq!(self.subject().as_deref(), before);
        let id = dead[0]["id"].to_string();
        self.desk.setup.host(&["dead-letters", "drop", &id]).exits(0);
        assert!(self.desk.dead_letters().is_empty());
    }
}

#[test]
fn forged_signatures_become_dead_letters_with_their_reason() {
    let receiver = Receiver::new();
    receiver.applies_change("before");
    for (signature, reason) in [
        ("none", "X-ZDesk-JWT is missing"),
        ("garbage", "it is not a JWT"),
        ("wrong-key", "it does not match its content"),
        ("unknown-kid", "unknown key `unknown-key`"),
        ("wrong-audience", "another webhook"),
        ("expired", "has expired"),
    ] {
        let requests = || receiver.serve.metric("host_runner_source_requests_total").unwrap_or_default();
        let before = requests();
        let status =
            receiver.desk.forge(&receiver.url, &receiver.hook, signature, &receiver.update_body(signature));
        assert_eq!(status, 200, "{signature}: the answer tells a forger nothing");
        receiver.expect_dead_letter(reason, Some("before"));
        // The keys are fetched for it: a flood of forgeries shows in the metric.
        assert!(signature != "unknown-kid" || requests() > before, "the call's cost is not counted");
    }
    receiver.applies_change("after");
}

#[test]
fn deliveries_of_another_organization_become_dead_letters() {
    let receiver = Receiver::new();
    receiver.applies_change("before");
    let mut body = receiver.update_body("a lie");
    body[0]["orgId"] = Value::from("60009999999");
    assert_eq!(receiver.desk.forge(&receiver.url, &receiver.hook, "valid", &body), 200);
    receiver.expect_dead_letter("another organization", Some("before"));
    // Signed by the right key, but for another portal.
    let organization_id = "60009999999".to_owned();
    let other = Options { sizes: sizes(1), organization_id, ..Options::default() };
    let other = Simulator::start(other).expect("a simulator");
    let body = receiver.update_body("a lie");
    let call = json!({"url": receiver.url, "webhook_id": receiver.hook, "signature": "valid", "body": body});
    let forge = format!("{}/_admin/webhooks/forge", other.url());
    let answer = request("POST", &forge, &[], call.to_string().as_bytes());
    assert_eq!(answer.body, r#"{"status":200}"#);
    receiver.expect_dead_letter("another organization", Some("before"));
    receiver.applies_change("after");
}

/// The first element of a delivery must not be taken when the second is foreign.
#[test]
fn a_delivery_is_taken_whole_or_not_at_all() {
    let receiver = Receiver::new();
    receiver.applies_change("before");
    let mut body = receiver.update_body("half a delivery");
    let mut foreign = body[0].clone();
    foreign["orgId"] = Value::from("1");
    body.as_array_mut().expect("an array").push(foreign);
    assert_eq!(receiver.desk.forge(&receiver.url, &receiver.hook, "valid", &body), 200);
    receiver.expect_dead_letter("another organization", Some("before"));
    receiver.applies_change("after");
}

#[test]
fn bodies_that_cannot_be_read_become_dead_letters() {
    let receiver = Receiver::new();
    receiver.applies_change("before");
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let deep_payload = format!(
        r#"[{{"eventType":"Ticket_Update","payload":{}1{}}}]"#,
        r#"{"a":"#.repeat(100_000),
        "}".repeat(100_000)
    );
    for (body, reason) in [
        (b"not JSON at all".as_slice(), "the body is"),
        (b"<xml/>", "the body is"),
        (b"42", "neither an array nor an object"),
        (b"[{\"eventType\":", "not JSON of events"),
        (b"\xff\xfe[{}]", "not UTF-8"),
        (b"[{\"eventType\":\"Ticket_Update\",\"payload\":{\"id\":\"\xc3\x28\"}}]", "not UTF-8"),
        (deep.as_bytes(), "webhook delivery: "),
        (deep_payload.as_bytes(), "webhook delivery: "),
        (b"[{\"payload\":{\"id\":\"1\"}}]", "no `eventType`"),
    ] {
        let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        let token = receiver.desk.tokens(&receiver.hook, 1).remove(0);
        let signed = request("POST", &receiver.url, &[("x-zdesk-jwt", &token)], body);
        assert_eq!(signed.status, 200, "{shown}");
        receiver.expect_dead_letter(reason, Some("before"));
        // Of what a stranger sent, no more is said than that.
        assert_eq!(request("POST", &receiver.url, &[], body).status, 200, "{shown}");
        receiver.expect_dead_letter("X-ZDesk-JWT is missing", Some("before"));
    }
    receiver.applies_change("after");
}

#[test]
fn an_old_delivery_sent_again_changes_nothing() {
    let receiver = Receiver::new();
    for subject in ["one", "two", "three"] {
        receiver.applies_change(subject);
    }
    let all = "SELECT * FROM tickets ORDER BY id";
    receiver.desk.settle(&receiver.serve);
    let before = receiver.desk.rows.dump(all);
    for original in [true, false] {
        let call = json!({"count": 3, "original_signature": original});
        let said = receiver.desk.admin("POST", "webhooks/replay", &call);
        assert_eq!(said["statuses"], json!([200, 200, 200]));
        receiver.desk.settle(&receiver.serve);
        assert_eq!(receiver.desk.rows.dump(all), before);
    }
    assert!(receiver.desk.dead_letters().is_empty());
}

#[test]
fn the_first_delivery_signed_with_a_new_key_is_applied_and_none_becomes_a_dead_letter() {
    let receiver = Receiver::new();
    receiver.applies_change("by the first key");
    receiver.desk.admin("POST", "webhooks/rotate", &json!({"serve_previous": true}));
    // The delivery waits until the keys may be fetched again, at most a second later.
    receiver.applies_change("by the second key");
    assert!(receiver.desk.dead_letters().is_empty());
}

/// Applied as received: signatures are off, and no record is refetched.
#[test]
fn a_deeply_nested_record_does_no_harm() {
    let options = Options { sizes: sizes(5), ..Options::default() };
    let desk =
        Desk::with(options, |file| file.config_text("signature", "off").config_text("refetch", "never"));
    let serve = desk.serve();
    desk.until_read();
    let url = desk.hook_url(&serve);
    let organization = desk.setup.simulator.options().organization_id.clone();
    for depth in [100, 200, 100_000] {
        let payload = format!("{}1{}", r#"{"id":"77","a":"#.repeat(depth), "}".repeat(depth));
        let body = format!(r#"[{{"eventType":"Ticket_Add","payload":{payload},"orgId":"{organization}"}}]"#);
        assert_eq!(request("POST", &url, &[], body.as_bytes()).status, 200, "{depth}");
        desk.settle(&serve);
    }
    let ticket = &desk.live_ids("tickets")[0];
    let payload = json!({"id": ticket, "subject": "after"});
    let body = json!([{"eventType": "Ticket_Update", "payload": payload, "orgId": organization}]);
    assert_eq!(request("POST", &url, &[], body.to_string().as_bytes()).status, 200);
    desk.rows.until_text(&format!("SELECT subject FROM tickets WHERE id = '{ticket}'"), "after");
    let dead = desk.dead_letters();
    assert!(
        dead.iter().all(|letter| letter["reason"].as_str().is_some_and(|said| !said.is_empty())),
        "{dead:?}"
    );
}
