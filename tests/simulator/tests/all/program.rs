//! The binary: its output, its exit codes, and the calls that its help shows.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use desk_simulator::{CLIENT_ID, CLIENT_SECRET, GRANT_CODE};
use serde_json::json;

use crate::client::Client;
use crate::support::token;

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_desk-simulator"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Kills the program when a test fails.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_first_line_is_the_url_and_shutdown_ends_with_code_0() {
    let mut program = Program(command().args(["--tickets", "3"]).spawn().expect("it starts"));
    let mut line = String::new();
    BufReader::new(program.0.stdout.take().expect("stdout")).read_line(&mut line).expect("a line");
    let url = line.trim().strip_prefix("listening on ").expect("the URL").to_owned();
    let mut client = Client::connect(&url).expect("it listens");
    let grant = token(&mut client, &[("grant_type", "authorization_code"), ("code", GRANT_CODE)]);
    let authorization = format!("Zoho-oauthtoken {}", grant["access_token"].as_str().expect("a token"));
    client.headers.push(("authorization".to_owned(), authorization));
    let count = client.send("GET", "/api/v1/ticketsCount", "").expect("an answer").json();
    assert_eq!(count, json!({"count": 3}));
    client.send("POST", "/_admin/shutdown", "").expect("an answer");
    assert_eq!(program.0.wait().expect("an end").code(), Some(0));
    let mut hints = String::new();
    program.0.stderr.take().expect("stderr").read_to_string(&mut hints).expect("UTF-8");
    for value in [url.as_str(), CLIENT_ID, CLIENT_SECRET, GRANT_CODE] {
        assert!(hints.contains(value), "{value}: {hints}");
    }
}

#[test]
fn a_port_in_use_ends_with_code_1_and_a_hint() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port().to_string();
    let output = command().args(["--tickets", "1", "--port", &port]).output().expect("it runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.starts_with(&format!("error: port {port}: cannot listen: ")), "{errors}");
    assert!(errors.contains("\n\nhint: choose another port"), "{errors}");
}

#[test]
fn wrong_flags_end_with_code_2() {
    let wrong = [
        ["--no-such-flag", "1"],
        ["--faults", "many"],
        ["--daily-credits", "none"],
        ["--set", "no.such.setting=1"],
        ["--set", "concurrency"],
    ];
    for flags in wrong {
        let output = command().args(flags).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{flags:?}");
    }
}

#[test]
fn set_changes_any_setting() {
    let flags = [
        "--set",
        "readings.list_rows_max=7",
        "--set",
        "faults.rules=[{\"path\":\"/agents\",\"answer\":403}]",
    ];
    let mut program = Program(command().args(["--tickets", "3"]).args(flags).spawn().expect("it starts"));
    let mut line = String::new();
    BufReader::new(program.0.stdout.take().expect("stdout")).read_line(&mut line).expect("a line");
    let url = line.trim().strip_prefix("listening on ").expect("the URL").to_owned();
    let mut client = Client::connect(&url).expect("it listens");
    let settings = client.send("GET", "/_admin/settings", "").expect("an answer").json();
    assert_eq!(settings["readings"]["list_rows_max"], json!(7));
    assert_eq!(settings["faults"]["rules"][0]["answer"], json!(403));
    client.send("POST", "/_admin/shutdown", "").expect("an answer");
    assert_eq!(program.0.wait().expect("an end").code(), Some(0));
}
