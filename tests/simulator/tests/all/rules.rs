//! Rules of faults: every kind of answer, for the calls they name, as often as they say.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use desk_simulator::{Broken, Rule};
use serde_json::json;

use crate::support::{Fixture, ids, start};

#[test]
fn a_rule_answers_with_the_status_code_and_header_it_names() {
    let mut fixture = start(20);
    let cases = [
        (Rule::new("/tickets", 400), "BAD_REQUEST", None),
        (Rule::new("/tickets", 401), "UNAUTHORIZED", None),
        (Rule::new("/tickets", 403), "FORBIDDEN", None),
        (Rule::new("/tickets", 403).code("SCOPE_MISMATCH"), "SCOPE_MISMATCH", None),
        (Rule::new("/tickets", 404), "URL_NOT_FOUND", None),
        (Rule::new("/tickets", 422), "INVALID_DATA", None),
        (Rule::new("/tickets", 429), "TOO_MANY_REQUESTS", None),
        (Rule::new("/tickets", 429).retry_after(7), "THRESHOLD_EXCEEDED", Some("7")),
        (Rule::new("/tickets", 500), "INTERNAL_SERVER_ERROR", None),
    ];
    for (rule, code, retry_after) in cases {
        fixture.simulator.heal();
        fixture.simulator.add_rule(rule.clone());
        let reply = fixture.get("tickets");
        let desk_simulator::RuleAnswer::Status(status) = rule.answer else { panic!("a status") };
        assert_eq!((reply.status, &reply.json()["errorCode"]), (status, &json!(code)), "{rule:?}");
        assert_eq!(reply.header("retry-after"), retry_after, "{rule:?}");
        assert_eq!(fixture.get("departments").status, 200, "{rule:?}: another endpoint");
    }
    fixture.simulator.heal();
    fixture.simulator.add_rule(Rule::new("/tickets", 503));
    let reply = fixture.get("tickets");
    assert_eq!((reply.status, reply.header("content-type")), (503, Some("text/html")));
}

#[test]
fn a_rule_with_a_count_ends_and_one_without_stays() {
    let mut fixture = start(5);
    fixture.simulator.add_rule(Rule { after: 1, ..Rule::new("/tickets", 500).times(2) });
    let statuses: Vec<u16> = (0..5).map(|_| fixture.get("tickets").status).collect();
    assert_eq!(statuses, [200, 500, 500, 200, 200]);
    fixture.simulator.heal();
    fixture.simulator.add_rule(Rule::new("/tickets", 500));
    assert!((0..20).all(|_| fixture.get("tickets").status == 500));
}

#[test]
fn a_rule_names_a_record_a_method_or_a_part_of_the_query() {
    let mut fixture = start(5);
    let all = ids(&fixture.rows("tickets"));
    fixture.simulator.add_rule(Rule::new(&format!("/tickets/{}", all[1]), 500));
    let statuses: Vec<u16> = all.iter().map(|id| fixture.get(&format!("tickets/{id}")).status).collect();
    assert_eq!(statuses, [200, 500, 200, 200, 200]);
    fixture.simulator.heal();
    fixture.simulator.add_rule(Rule { query: "from=3".to_owned(), ..Rule::new("/tickets", 422) });
    assert_eq!((fixture.get("tickets?from=1").status, fixture.get("tickets?from=3").status), (200, 422));
    fixture.simulator.heal();
    fixture.simulator.add_rule(Rule { method: "POST".to_owned(), ..Rule::new("*", 400) });
    assert_eq!(fixture.get("tickets").status, 200);
    assert_eq!(fixture.call("POST", "tickets", &json!({})).status, 400);
}

#[test]
fn a_fraction_is_about_that_part_and_the_same_with_the_same_seed() {
    let draw = |seed| -> Vec<bool> {
        let mut fixture = start(5);
        fixture.simulator.add_rule(Rule::new("/tickets", 500).fraction(0.1, seed));
        (0..300).map(|at| fixture.get(&format!("tickets?from={at}")).status == 500).collect()
    };
    let (first, again, other) = (draw(3), draw(3), draw(4));
    let hits = first.iter().filter(|hit| **hit).count();
    assert!((15..=45).contains(&hits), "{hits} of 300");
    assert_eq!(first, again);
    assert_ne!(first, other);
}

#[test]
fn a_sticky_fraction_fails_the_same_records_every_time() {
    let mut fixture = start(60);
    fixture.simulator.add_rule(Rule::new("/tickets/{id}", 403).sticky(0.3, 1));
    let all = ids(&fixture.rows("tickets?limit=60"));
    let mut statuses =
        || -> Vec<u16> { all.iter().map(|id| fixture.get(&format!("tickets/{id}")).status).collect() };
    let first = statuses();
    let hidden = first.iter().filter(|status| **status == 403).count();
    assert!((8..=28).contains(&hidden), "{hidden} of 60");
    assert_eq!(statuses(), first);
}

#[test]
fn a_refusal_costs_as_much_as_the_call_unless_it_was_not_admitted() {
    let mut fixture = start(5);
    for (status, cost) in [(422, "3"), (403, "3"), (401, "0"), (429, "0"), (500, "0")] {
        fixture.simulator.heal();
        fixture.simulator.add_rule(Rule::new("/recycleBin", status));
        let reply = fixture.get("recycleBin");
        assert_eq!(reply.header("x-rate-limit-request-weight-v3"), Some(cost), "{status}");
    }
    let account = fixture.simulator.credits()["endpoints"]["GET /recycleBin"].clone();
    assert_eq!(account, json!({"calls": 5, "credits": 6}));
}

#[test]
fn broken_answers_break_where_they_say() {
    let mut fixture = start(20);
    let whole = fixture.get("tickets").body;
    for broken in [Broken::Dropped, Broken::Truncated, Broken::Reset] {
        fixture.simulator.heal();
        fixture.simulator.add_rule(Rule::new("/tickets", broken).times(1));
        let mut client = fixture.connect();
        let error = client.send("GET", "/api/v1/tickets", "").expect_err("a broken connection");
        let is_reset = error.kind() == ErrorKind::ConnectionReset;
        assert_eq!(is_reset, broken == Broken::Reset, "{broken:?}: {error}");
        assert_eq!(fixture.connect().send("GET", "/api/v1/tickets", "").expect("an answer").body, whole);
    }
    for (broken, is_json) in [(Broken::Malformed, false), (Broken::Html, false), (Broken::Huge, true)] {
        fixture.simulator.heal();
        fixture.simulator.add_rule(Rule::new("/tickets", broken));
        let reply = fixture.get("tickets");
        assert_eq!((reply.status, reply.json().is_object()), (200, is_json), "{broken:?}");
        assert_eq!(reply.body.len() > 32 << 20, broken == Broken::Huge, "{broken:?}");
    }
}

#[test]
fn an_answer_that_drips_arrives_whole_and_one_that_hangs_does_not() {
    let mut fixture = start(20);
    let whole = fixture.get("tickets").body;
    fixture.simulator.set(|settings| settings.faults.hang_ms = 40);
    fixture.simulator.add_rule(Rule::new("/tickets", Broken::Drip).times(1));
    assert_eq!(fixture.get("tickets").body, whole);
    fixture.simulator.add_rule(Rule::new("/tickets", Broken::Hang));
    assert!(fixture.connect().send("GET", "/api/v1/tickets", "").is_err());
    let faults = fixture.simulator.stats()["faults"].clone();
    assert_eq!(faults, json!({"ruleDrip": 1, "ruleHang": 1}));
}

#[test]
fn the_accounts_host_obeys_rules_and_the_control_api_sets_them() {
    let mut fixture = start(1);
    let rules = json!([{"path": "/oauth/v2/token", "answer": 429, "retry_after_seconds": 3}]);
    let patched = fixture.admin("PATCH", "settings", &json!({"faults": {"rules": rules}}));
    assert_eq!(patched.status, 200, "{}", patched.json());
    let reply = fixture.client.send("POST", "/oauth/v2/token", "").expect("an answer");
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("3")));
    let wrong = json!({"faults": {"rules": [{"pth": "/tickets"}]}});
    assert_eq!(fixture.admin("PATCH", "settings", &wrong).status, 422);
    let broken = json!({"faults": {"rules": [{"path": "/tickets", "answer": "html"}]}});
    fixture.admin("PATCH", "settings", &broken);
    assert_eq!(fixture.get("tickets").header("content-type"), Some("text/html"));
}

#[test]
fn a_body_without_a_length_is_411_when_that_is_required() {
    let mut fixture = start(1);
    let send = |fixture: &mut Fixture| {
        let url = fixture.simulator.url();
        let mut stream = TcpStream::connect(url.trim_start_matches("http://")).expect("it listens");
        let head = "POST /oauth/v2/token HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n";
        let request = format!("{head}connection: close\r\n\r\n3\r\na=b\r\n0\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("a connection");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok()).expect("a status")
    };
    assert_eq!(send(&mut fixture), 200);
    fixture.simulator.set(|settings| settings.require_content_length = true);
    assert_eq!(send(&mut fixture), 411);
    let with_length = fixture.client.send("POST", "/oauth/v2/token", "a=b").expect("an answer");
    assert_eq!((with_length.status, fixture.get("tickets").status), (200, 200));
}
