//! The command line: exit codes, messages, machine output, files it writes.

use std::process::Stdio;

use serde_json::json;

use crate::support::{Place, Ran, component, run};

#[test]
fn every_kind_of_failure_has_its_exit_code() {
    let place = Place::new("");
    for (kind, code) in [
        ("internal", 1),
        ("config", 3),
        ("auth", 4),
        ("permission", 5),
        ("not-found", 6),
        ("rate-limited", 7),
        ("unavailable", 8),
        ("data", 9),
        ("unsupported", 10),
    ] {
        let arguments = json!({ "kind": kind }).to_string();
        let ran = place.expect(&["invoke", "fail", &arguments], code);
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", "error: as asked\n"));
        let answer = place.json(&["invoke", "fail", &arguments], code);
        assert_eq!(answer["error"]["kind"], kind);
        assert_eq!(answer["error"]["exit"], code);
    }
    place.expect(&["nonsense"], 2);
    place.expect(&["sync", "--nonsense"], 2);
}

#[test]
fn help_names_the_exit_codes_and_needs_nothing() {
    let place = Place::new("");
    let ran = run(std::process::Command::new(env!("CARGO_BIN_EXE_host-runner")).arg("--help"));
    assert_eq!(ran.code, Some(0));
    assert!(ran.stdout.contains("130  interrupted") && ran.stdout.contains("First steps:"), "{ran:#?}");
    place.expect(&["completions", "bash"], 0);
}

#[test]
fn commands_answer_json_and_take_it_from_stdin() {
    let place = Place::new("");
    assert_eq!(place.json(&["invoke", "echo", "{\"a\":1}"], 0), json!({"a": 1}));
    let ran = place.expect(&["invoke", "echo", "nope"], 2);
    assert!(ran.stderr.starts_with("error: JSON: not JSON: "), "{ran:#?}");
}

#[test]
fn a_connection_is_authorized_checked_and_remembered() {
    let place = Place::new("");
    let items = place.json(&["check"], 4);
    assert_eq!(items["items"][0]["outcome"], "failed");
    let ran = place.expect(&["authorize", "--code", "expired-1"], 4);
    assert!(
        ran.stderr.contains("(invalid_code)") && ran.stderr.contains("hint: generate a new code"),
        "{ran:#?}"
    );
    place.expect(&["authorize", "--grant", "{\"code\":\"good-code\"}"], 0);
    place.expect(&["check"], 0);
    let ran = place.run(&["state", "show"]);
    assert!(ran.stdout.contains("tiny: authorized"), "{ran:#?}");
    place.expect(&["state", "reset", "--session"], 0);
    place.expect(&["check"], 4);
}

#[test]
fn another_key_does_not_open_the_session() {
    let place = Place::new("");
    place.expect(&["authorize", "--code", "good-code"], 0);
    let ran = run(place.command(&["check"]).env("HOST_RUNNER_KEY", "07".repeat(32)));
    assert_eq!(ran.code, Some(12), "{ran:#?}");
    assert!(ran.stderr.contains("does not open with this key"), "{ran:#?}");
}

#[test]
fn tables_are_discovered_and_counted() {
    let place = Place::new("rows = 12");
    let found = place.json(&["discover"], 0);
    assert_eq!(found["tables"][0]["schema"]["properties"]["count"]["type"], "integer");
    let counted = place.json(&["count"], 0);
    assert_eq!(counted["tables"], json!([{"table": "things", "rows": 12}, {"table": "pairs", "rows": null}]));
}

#[test]
fn init_writes_a_file_that_works_and_does_not_overwrite() {
    let place = Place::new("");
    let component = component();
    let component = component.to_str().expect("a path");
    let init = |more: &[&str]| -> Ran {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_host-runner"));
        let arguments = ["init", "--component", component, "-o", "new.toml"];
        run(command.args(arguments).args(more).current_dir(place.path("")))
    };
    let ran = init(&[]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    let ran = init(&[]);
    assert_eq!(ran.code, Some(2), "{ran:#?}");
    assert!(ran.stderr.contains("--force"), "{ran:#?}");
    assert_eq!(init(&["--force"]).code, Some(0));

    let mut check = std::process::Command::new(env!("CARGO_BIN_EXE_host-runner"));
    let check = check.args(["count", "-c", "new.toml", "--component", component]).current_dir(place.path(""));
    let ran = run(check.env_clear());
    assert_eq!(ran.code, Some(3), "{ran:#?}");
    assert!(ran.stderr.contains("environment variable TINY_CONNECTOR_SECRET is not set"), "{ran:#?}");
    let ran = run(check.env("TINY_CONNECTOR_SECRET", "x"));
    assert_eq!(ran.code, Some(0), "{ran:#?}");
}

#[test]
fn mistakes_in_the_file_are_named_with_their_line() {
    let place = Place::new("color = \"red\"");
    let ran = place.expect(&["check"], 3);
    assert!(ran.stderr.contains("unknown field `color`"), "{ran:#?}");
    place.configure("[bacth]");
    let ran = place.expect(&["check"], 3);
    assert_eq!(ran.stderr, "error: tiny.toml:5: bacth: unknown key\n\nhint: did you mean `batch`?\n");
    let ran = place.expect(&["check", "--json"], 3);
    assert_eq!(ran.stderr, "", "the error was printed twice");
    std::fs::remove_file(place.path("tiny.toml")).expect("removed");
    let ran = place.expect(&["check"], 3);
    assert!(ran.stderr.starts_with("error: connection file tiny.toml: "), "{ran:#?}");
}

#[test]
fn a_reader_that_goes_away_ends_the_program_quietly() {
    let place = Place::new("");
    let mut child = place
        .command(&["completions", "zsh"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("waited");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}
