//! Commands are requests to the connection's actor: the answers are the same from a server and from an actor
//! that lives for one request, which asks the source for nothing else and creates nothing.

use serde_json::{Value, json};

use crate::serve::{Server, eventually, until_read};
use crate::server;
use crate::support::{FILE, Place};

const PUBLIC: &str = "https://a.example";

/// A command with its exit code.
type Command = (&'static [&'static str], i32);

const AUTHORIZE: [Command; 2] =
    [(&["authorize", "--code", "expired-code"], 4), (&["authorize", "--code", "good-code"], 0)];

/// Requests that change nothing.
pub(crate) const QUESTIONS: [Command; 6] = [
    (&["check"], 0),
    (&["discover"], 0),
    (&["count"], 0),
    (&["count", "--table", "Things"], 0),
    (&["invoke", "echo", "{\"a\": [1]}"], 0),
    (&["invoke", "fail", "{\"kind\": \"permission\"}"], 5),
];

/// The other requests, in an order in which each finds something to do.
const CHANGES: [Command; 14] = [
    (&["state", "show"], 0),
    (&["state", "reset", "--table", "Things"], 0),
    (&["state", "reset", "--table", "nothing"], 6),
    (&["webhook", "unsubscribe"], 6),
    (&["webhook", "url", "--public-url", PUBLIC], 0),
    (&["webhook", "url", "--rotate", "--grace", "0s"], 0),
    (&["webhook", "subscribe", "--public-url", PUBLIC], 0),
    (&["webhook", "url", "--rotate", "--grace", "72h"], 0),
    (&["check"], 0),
    (&["webhook", "unsubscribe"], 0),
    (&["state", "reset", "--session"], 0),
    (&["state", "reset", "--session"], 0),
    (&["state", "show"], 0),
    (&["check"], 4),
];

/// Members that differ between two connections or over time.
fn masked(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let masked_key = |key: &str| {
                matches!(key, "url" | "setup" | "cursor" | "updated_at" | "generation" | "complete")
            };
            let members = members.into_iter().map(|(key, value)| {
                let value = if masked_key(&key) { Value::Null } else { masked(value) };
                (key, value)
            });
            Value::Object(members.collect())
        }
        Value::Array(items) => items.into_iter().map(masked).collect(),
        other => other,
    }
}

#[test]
fn every_command_answers_the_same_with_and_without_a_server() {
    let commands = [&AUTHORIZE[..], &QUESTIONS, &CHANGES].concat();
    let run = |place: &Place| -> Vec<Value> {
        commands.iter().map(|(arguments, code)| masked(place.json(arguments, *code))).collect()
    };
    let alone = Place::new("rows = 12");
    alone.expect(&["sync"], 0);
    let served = Place::new("rows = 12");
    let server = Server::start(&served);
    until_read(&server);
    eventually("the other table", || {
        server.metric("table_snapshot_complete{connection=\"tiny\",table=\"pairs\"}") == Some(1.0)
    });
    let answers = run(&alone).into_iter().zip(run(&served)).zip(&commands);
    for ((alone, served), (arguments, _)) in answers {
        assert_eq!(alone, served, "{arguments:?}");
    }
    server.stop();
}

#[test]
fn a_command_calls_for_nothing_but_its_request_and_creates_neither_sink_nor_journal() {
    // Listing the tables fails, so a command that succeeds has not tried to.
    let place = Place::new("rows = 5\nfails_discover = true\nkind = \"unavailable\"");
    let commands: [(&[&str], i32); 12] = [
        (&["state", "show"], 0),
        (&["check"], 4),
        (&["authorize", "--code", "good-code"], 0),
        (&["check"], 0),
        (&["count", "--table", "things"], 0),
        (&["invoke", "echo", "{}"], 0),
        (&["state", "reset"], 0),
        (&["state", "reset", "--table", "things"], 6),
        (&["webhook", "url", "--rotate"], 0),
        (&["webhook", "unsubscribe"], 6),
        (&["state", "show"], 0),
        (&["state", "reset", "--session"], 0),
    ];
    for (arguments, code) in commands {
        place.expect(arguments, code);
    }
    place.expect(&["discover"], 8);
    place.expect(&["webhook", "subscribe", "--public-url", PUBLIC], 8);
    assert!(!place.path("tiny.db").exists(), "a sink was created");
    assert!(!place.path("data/journal.db").exists(), "a journal was created");
}

#[test]
fn while_another_process_has_the_connection_the_url_can_be_rotated_and_the_rest_is_refused() {
    let silent = server::Server::new(None);
    let url = format!("http://{}", silent.address);
    let config = format!("behavior = \"http\"\nurl = {url:?}\n[egress]\nallow = [\"{}\"]\n", silent.address);
    let place = Place::new(&config);
    let sync = place.start(&["sync"]);
    silent.wait();
    let before = place.json(&["webhook", "url"], 0)["url"].clone();
    assert_ne!(place.json(&["webhook", "url", "--rotate"], 0)["url"], before);
    for arguments in [&["check"][..], &["state", "show"], &["state", "reset", "--session"], &["count"]] {
        let refused = place.expect(arguments, 12);
        assert!(refused.stderr.contains("connection `tiny`: in use by process "), "{refused:?}");
        assert!(refused.stderr.contains("hint: wait until it ends"), "{refused:?}");
    }
    sync.kill();
}

#[test]
fn a_session_of_another_key_can_be_deleted() {
    let place = Place::new("");
    place.expect(&["authorize", "--code", "good-code"], 0);
    std::fs::write(place.path("other.key"), "07".repeat(32)).expect("written");
    let other =
        |arguments: &[&str], code| place.json(&[arguments, &["--key-file", "other.key"]].concat(), code);
    other(&["check"], 12);
    assert_eq!(other(&["state", "reset", "--session"], 0)["session_deleted"], true);
    other(&["check"], 4);
}

#[test]
fn a_command_for_one_connection_works_while_a_server_has_the_journal_for_another() {
    let place = Place::new("rows = 3");
    let server = Server::start(&place);
    until_read(&server);
    let file = std::fs::read_to_string(place.path(FILE)).expect("read");
    std::fs::write(place.path("other.toml"), file.replace("\"tiny\"", "\"other\"")).expect("written");
    place.expect_of("other.toml", &["authorize", "--code", "good-code"], 0);
    place.expect_of("other.toml", &["check"], 0);
    server.stop();
}

#[test]
fn a_session_can_be_deleted_while_a_server_has_the_connection() {
    let place = Place::new("rows = 3");
    place.expect(&["authorize", "--code", "good-code"], 0);
    let server = Server::start(&place);
    until_read(&server);
    place.expect(&["check"], 0);
    assert_eq!(place.json(&["state", "reset", "--session"], 0)["session_deleted"], json!(true));
    place.expect(&["check"], 4);
    place.expect(&["authorize", "--code", "good-code"], 0);
    place.expect(&["check"], 0);
    server.stop();
}
