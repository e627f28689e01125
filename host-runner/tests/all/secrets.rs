//! Secrets are planted and everything that is written is searched for them.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::serve::{Server, event, eventually, later};
use crate::support::{Place, SECRET, component, run};

/// The code handed to `authorize`; the session then holds `token-for-<code>`.
const CODE: &str = "planted-code-51c9";

#[test]
fn no_secret_is_ever_printed_or_stored_in_the_clear() {
    let place = Place::new("rows = 5\nbehavior = \"leak-secrets\"");
    let commands: [&[&str]; 9] = [
        &["authorize", "--code", CODE],
        &["authorize", "--code", &format!("expired-{CODE}")],
        &["check"],
        &["discover"],
        &["sync"],
        &["inspect"],
        &["spec"],
        &["state", "show"],
        &["invoke", "echo", &format!("{{\"a\":\"{SECRET} token-for-{CODE}\"}}")],
    ];
    let mut masked = 0;
    for command in commands {
        for form in [&["-vvv"][..], &["-vvv", "--json", "--log-format", "json"]] {
            let ran = run(&mut place.command(&[command, form].concat()));
            let all = format!("{}{}", ran.stdout, ran.stderr);
            for secret in [SECRET, CODE] {
                assert!(!all.contains(secret), "{command:?} printed {secret}: {ran:#?}");
            }
            masked += all.matches("[secret]").count();
        }
    }
    assert!(masked >= 6, "the test did not make anything try to print a secret");
    for (path, bytes) in place.files() {
        let text = String::from_utf8_lossy(&bytes);
        for secret in [SECRET, CODE] {
            assert!(!text.contains(secret), "{} holds {secret}", path.display());
        }
    }
}

#[test]
fn a_server_shows_no_secret_of_its_connections() {
    let place = Place::new("rows = 5\nbehavior = \"leak-secrets\"");
    place.expect(&["authorize", "--code", CODE], 0);
    let server = Server::start(&place);
    let last = || server.health()["connections"][0]["last_error"].to_string();
    eventually("the failure", || last().contains("secret [secret] session"));
    let shown = [server.health().to_string(), server.request("GET", "/-/metrics", "").1, server.log()];
    for secret in [SECRET, CODE] {
        assert!(!shown.iter().any(|text| text.contains(secret)), "{secret} in {shown:?}");
    }
    server.stop();
}

/// A connection that leaks its secret, which is in a file.
fn leaking_a_file(content: &str) -> Place {
    let place = Place::new("");
    let text = std::fs::read_to_string(place.path("tiny.toml")).expect("read");
    let text = text.replace("secret = \"${TINY_SECRET}\"", "secret_file = \"secret.txt\"");
    std::fs::write(place.path("tiny.toml"), text + "behavior = \"leak-secrets\"\n").expect("written");
    std::fs::write(place.path("secret.txt"), content).expect("written");
    place
}

#[test]
fn a_secret_of_several_lines_is_shown_nowhere() {
    let place = leaking_a_file("-----BEGIN KEY-----\nMIIEvQIBADANBg\r\nnext line\nfQ==\n-----END KEY-----\n");
    let ran = place.expect(&["sync", "-vvv"], 9);
    let server = Server::start(&place);
    let last = || server.health()["connections"][0]["last_error"].to_string();
    eventually("the failure", || last().contains("secret [secret] session none"));
    let shown = [ran.stderr, server.health().to_string(), server.log()];
    for line in ["BEGIN", "MIIEvQIBADANBg", "next", "fQ=="] {
        assert!(!shown.iter().any(|text| text.contains(line)), "{line} in {shown:?}");
    }
    server.stop();
}

#[test]
fn a_secret_of_one_connection_masks_no_line_of_another_and_breaks_no_json() {
    let place = Place::new("rows = 3");
    std::fs::create_dir(place.path("connections")).expect("made");
    let write = |name: &str, secret: &str| {
        let text = format!(
            "name = \"{name}\"\ncomponent = {:?}\n[config]\nsecret = '{secret}'\nrows = 3\n\
             behavior = \"leak-secrets\"\n[sink]\npath = \"{name}.db\"\n",
            component()
        );
        std::fs::write(place.path("connections").join(format!("{name}.toml")), text).expect("written");
    };
    write("bank", "of-the-bank");
    write("evil", "\"level\":\"INFO\"");
    write("worse", "running");
    let server = Server::start_with(&place, &["--connections", "connections", "--log-format", "json", "-v"]);
    let failed = |name: &str| {
        server.log().lines().any(|line| line.contains("\"failed\"") && line.contains(&format!("\"{name}\"")))
    };
    eventually("three failures", || ["bank", "evil", "worse"].into_iter().all(failed));
    let log = server.log();
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        assert!(line["level"].is_string(), "{line}");
        let message = line["message"].as_str().unwrap_or_default();
        assert!(line["connection"] != "bank" || !message.contains("[secret]"), "{line}");
    }
    assert!(!log.contains("of-the-bank"), "{log}");
    server.stop();
}

#[test]
fn a_refused_request_is_logged_with_its_connection_and_without_the_secrets_of_that_one_alone() {
    let place = Place::new("rows = 3");
    std::fs::create_dir(place.path("connections")).expect("made");
    let write = |name: &str, secret: &str, config: &str| {
        let text = format!(
            "name = \"{name}\"\ncomponent = {:?}\n[config]\nsecret = \"{secret}\"\nrows = 3\n{config}\n",
            component()
        );
        std::fs::write(place.path("connections").join(format!("{name}.toml")), text).expect("written");
    };
    write("bank", "forbidden.example", "");
    write("acme", "of-acme", "behavior = \"forbidden-host\"");
    let server = Server::start_with(&place, &["--connections", "connections"]);
    server.until_log_contains("egress refused");
    let log = server.log();
    let line = log.lines().find(|line| line.contains("egress refused")).unwrap_or_default();
    assert!(line.contains("connection=acme") && line.contains("forbidden.example:8443: refused"), "{line}");
    server.stop();
}

#[test]
fn a_dead_letter_holds_no_secret_that_its_reason_quotes() {
    let place = Place::new("rows = 3");
    let server = Server::start(&place);
    server.deliver(&place, &event("leak", "1", "update", later()));
    eventually("a dead letter", || server.metric("dead_letters{") == Some(1.0));
    let list = place.json(&["dead-letters", "list"], 0);
    let id = list["dead_letters"][0]["id"].to_string();
    let id = id.trim_matches('"');
    let shown = place.expect(&["dead-letters", "show", id], 0);
    assert!(shown.stdout.contains("the secret is [secret]"), "{shown:#?}");
    let metrics = server.request("GET", "/-/metrics", "").1;
    let texts = [list.to_string(), shown.stdout, server.health().to_string(), metrics, server.log()];
    server.stop();
    assert!(!texts.iter().any(|text| text.contains(SECRET)), "{texts:?}");
    for (path, bytes) in place.files() {
        assert!(!String::from_utf8_lossy(&bytes).contains(SECRET), "{} holds it", path.display());
    }
}

#[test]
fn a_secret_can_come_from_a_file() {
    let place = leaking_a_file(&format!("{SECRET}\n"));
    let ran = place.expect(&["sync"], 9);
    assert!(ran.stderr.contains("secret [secret] session none"), "{ran:#?}");
}

#[test]
fn a_renewed_session_is_stored_after_the_call() {
    let place = Place::new("rows = 100\nrenew = true");
    place.expect(&["sync"], 0);
    let ran = place.run(&["state", "show", "--json"]);
    assert!(ran.stdout.contains("\"authorized\":true"), "{ran:#?}");
}

#[test]
fn rows_and_connection_files_are_for_their_owner_alone_whatever_the_umask() {
    let place = Place::new("rows = 3");
    let lines = place.path("lines");
    std::fs::create_dir(&lines).expect("made");
    let lines_file = format!(
        "name = \"lines\"\ncomponent = {:?}\n[config]\nsecret = \"s3cret\"\nrows = 3\n\
         [sink]\nkind = \"jsonl\"\npath = \"lines\"\n",
        component()
    );
    std::fs::write(place.path("lines.toml"), lines_file).expect("written");
    let mut sync = place.command(&["sync"]);
    let open = ["-c", "umask 000; exec \"$0\" \"$@\""];
    let ran = |command: &mut Command| {
        let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        let mut shell = Command::new("sh");
        shell.args(open).arg(command.get_program()).args(arguments);
        shell.current_dir(place.path("")).env("TINY_SECRET", SECRET);
        assert!(shell.status().expect("started").success());
    };
    ran(&mut sync);
    ran(&mut place.command_of("lines.toml", &["sync"]));
    ran(&mut place.command(&["init", "-o", "new.toml"]));
    let written = |path: &std::path::Path| path.ends_with("tiny.toml") || path.ends_with("lines.toml");
    for (path, _) in place.files().into_iter().filter(|(path, _)| !written(path)) {
        let mode = std::fs::metadata(&path).expect("a file").permissions().mode() & 0o077;
        assert_eq!(mode, 0, "{}", path.display());
    }
}
