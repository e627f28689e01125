//! The connector composed with a recording of its HTTP runs without network and without Zoho Desk.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};

use desk_simulator::{GRANT_CODE, Options};
use serde_json::{Value, json};

use crate::compare::{Database, TABLES};
use crate::support::process::Running;
use crate::support::{ConnectionFile, Setup, binaries, sizes};

/// Listens, passes requests on to `target`, and keeps each with its answer as an entry of a HAR file.
fn record(target: &str) -> (String, Arc<Mutex<Vec<Value>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (entries, target) = (Arc::new(Mutex::new(Vec::new())), target.to_owned());
    let kept = Arc::clone(&entries);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (target, kept) = (target.clone(), Arc::clone(&kept));
            std::thread::spawn(move || relay(client, &target, &kept));
        }
    });
    (url, entries)
}

/// One request of a connection, which is closed after its answer.
fn relay(client: TcpStream, target: &str, entries: &Mutex<Vec<Value>>) {
    let mut reader = BufReader::new(client);
    let (mut first, mut head, mut length) = (String::new(), String::new(), 0);
    if reader.read_line(&mut first).is_err() || first.is_empty() {
        return;
    }
    // HTTP/1.0 has no bodies in pieces.
    head.push_str(&first.replace("HTTP/1.1", "HTTP/1.0"));
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a header");
        if line.trim().is_empty() {
            break;
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        if !lower.starts_with("connection:") {
            head.push_str(&line);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    let mut server = TcpStream::connect(target).expect("the simulator");
    server.write_all(format!("{head}connection: close\r\n\r\n").as_bytes()).expect("sent");
    server.write_all(&body).expect("sent");
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).expect("an answer");
    entries.lock().expect("the entries").push(entry(&first, target, &answer));
    // Whether it came whole is the client's concern.
    let _ = reader.get_mut().write_all(&answer);
}

fn entry(first: &str, target: &str, answer: &[u8]) -> Value {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let mut lines = head.lines();
    let status: u16 = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
    let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(": ")).collect();
    let mut words = first.split(' ');
    let (method, path) = (words.next().expect("a method"), words.next().expect("a path"));
    let headers: Vec<Value> =
        headers.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    json!({
        "startedDateTime": format!("{:.3}", jiff::Timestamp::now()),
        "request": {"method": method, "url": format!("http://{target}{path}")},
        "response": {
            "status": status,
            "headers": headers,
            "content": {"text": std::str::from_utf8(&answer[end..]).expect("text")},
        },
    })
}

/// Composes the connector with a recording.
fn compose(setup: &Setup, entries: &[Value]) {
    setup.write("acme.har", &json!({"log": {"version": "1.2", "entries": entries}}).to_string());
    let mut command = Command::new(binaries::folder().join("componentize"));
    command.arg("--replay").arg(setup.path("acme.har")).arg(binaries::zoho_desk());
    command.arg(setup.path("replayed.wasm"));
    Running::start(command, b"").wait().exits(0);
}

#[test]
fn a_recorded_connector_reads_the_same_rows_without_a_network() {
    let setup = Setup::new(Options { sizes: sizes(120), ..Options::default() });
    let (url, entries) = record(setup.simulator.url().trim_start_matches("http://"));
    let file = |name: &str, sink: &str| {
        let file = ConnectionFile::of(&setup.simulator).named(name).sink("sqlite", sink);
        file.config_text("desk_url", &url).config_text("accounts_url", &url)
    };
    let address = url.trim_start_matches("http://");
    setup.write("live.toml", &file("live", "live.db").allow(address).render());
    setup.raw(&["authorize", "--code", GRANT_CODE, "-c", "live.toml", "--data", "D"]).exits(0);
    setup.raw(&["sync", "-c", "live.toml", "--data", "D"]).exits(0);

    compose(&setup, &entries.lock().expect("the entries"));
    let before = setup.requests();
    let replayed = file("replayed", "replayed.db").top("component", "\"replayed.wasm\"").deny_all();
    setup.write("replayed.toml", &replayed.render());
    let inspected = setup.raw(&["inspect", "-c", "replayed.toml", "--data", "D"]).exits(0);
    assert!(!inspected.stdout.contains("wasi:http"), "{}", inspected.stdout);
    setup.raw(&["authorize", "--code", GRANT_CODE, "-c", "replayed.toml", "--data", "D"]).exits(0);
    setup.raw(&["sync", "-c", "replayed.toml", "--data", "D"]).exits(0);
    assert_eq!(setup.requests(), before, "the recording is the only source");
    let (live, replayed) =
        (Database::open(&setup.path("live.db")), Database::open(&setup.path("replayed.db")));
    let mut rows = 0;
    for table in TABLES {
        let query = format!("SELECT _raw FROM {table}_live ORDER BY 1");
        let (expected, found) = (live.texts(&query), replayed.texts(&query));
        assert_eq!(found, expected, "{table}");
        rows += found.len();
    }
    assert!(rows > 120, "{rows}");
}

#[test]
fn a_request_that_was_not_recorded_is_an_error_that_names_it() {
    let setup = Setup::new(Options::default());
    let token = json!({
        "startedDateTime": "2026-11-26T06:00:00Z",
        "request": {"method": "POST", "url": "http://accounts.example/oauth/v2/token"},
        "response": {"status": 200, "content": {"text": json!({
            "access_token": "recorded-access-token", "refresh_token": "recorded-refresh-token",
            "expires_in": 3600, "token_type": "Bearer",
        }).to_string()}},
    });
    compose(&setup, &[token]);
    let file = ConnectionFile::of(&setup.simulator).top("component", "\"replayed.wasm\"").deny_all();
    setup.write("replayed.toml", &file.render());
    setup.raw(&["authorize", "--code", GRANT_CODE, "-c", "replayed.toml", "--data", "D"]).exits(0);
    let run = setup.raw(&["sync", "-c", "replayed.toml", "--data", "D", "--json"]);
    assert!(run.stdout.contains("not recorded: GET /api/v1/"), "{}", run.stdout);
}
