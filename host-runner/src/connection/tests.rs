//! Tests of the connection file: what is read, and what each mistake says.

use std::path::Path;

use serde_json::json;

use super::{Connection, name_in};
use crate::describe::Describe;
use crate::error::Error;
use crate::secret::Redactor;
use crate::sinks::Deletes;

fn environment(name: &str) -> Option<String> {
    (name == "SECRET").then(|| "s3cret-value".to_owned())
}

fn parse(text: &str) -> Result<Connection, Error> {
    Connection::parse(Path::new("conf/acme.toml"), text, &environment)
}

fn fails(text: &str, message: &str, hint: Option<&str>) {
    let error = parse(text).expect_err("accepted");
    assert_eq!(error.message, message);
    assert_eq!(error.hint.as_deref(), hint);
}

#[test]
fn a_whole_file_is_read_with_paths_relative_to_it() {
    let connection = parse(
        r#"
name = "acme"
component = "x.wasm"
[config]
secret = "${SECRET}"
literal = "$${SECRET}"
tables = ["a", "b"]
detail = true
size = 100
[sink]
kind = "sqlite"
path = "acme.db"
deletes = "hard"
[limits]
memory_mib = 64
[egress]
allow = ["127.0.0.1:8080"]
ca_file = "ca.pem"
"#,
    )
    .expect("a good file");
    assert_eq!(connection.component.as_deref(), Some(Path::new("conf/x.wasm")));
    assert_eq!(
        serde_json::Value::Object(connection.config.clone()),
        json!({"secret": "s3cret-value", "literal": "${SECRET}", "tables": ["a", "b"],
               "detail": true, "size": 100})
    );
    assert_eq!(connection.sink.kind.name, "sqlite");
    assert_eq!(connection.sink.location.to_string(), "conf/acme.db");
    assert_eq!(connection.sink.deletes, Deletes::Hard);
    assert_eq!(connection.limits.memory_bytes, 64 << 20);
    assert_eq!(connection.allow.len(), 1);
    assert_eq!(connection.ca_file.as_deref(), Some(Path::new("conf/ca.pem")));
}

#[test]
fn only_the_name_is_required() {
    let connection = parse("name = \"acme\"").expect("a good file");
    assert_eq!(connection.sink.location.to_string(), "conf/acme.db");
    fails("", "conf/acme.toml:1: name: missing", Some("add a line: name = \"acme\""));
}

#[test]
fn every_mistake_names_file_line_and_key() {
    fails("name = \"a\"\n[limit]\n", "conf/acme.toml:2: limit: unknown key", Some("did you mean `limits`?"));
    fails(
        "name = \"a\"\n[limits]\nmemory_mb = 1\n",
        "conf/acme.toml:3: limits.memory_mb: unknown key",
        Some("did you mean `memory_mib`?"),
    );
    fails(
        "name = \"a\"\n[config]\nx = \"${NOPE}\"\n",
        "conf/acme.toml:3: config.x: environment variable NOPE is not set",
        Some("set it: export NOPE=…"),
    );
    fails(
        "name = \"a\"\n[limits]\nmemory_mib = 100000\n",
        "conf/acme.toml:3: limits.memory_mib: 100000 is not within 1 and 4096",
        None,
    );
    fails(
        "name = \"a\"\n[sink]\nkind = \"oracle\"\n",
        "conf/acme.toml:3: sink.kind: `oracle` is not a sink",
        Some("use \"sqlite\" or \"jsonl\""),
    );
    fails(
        "name = \"a\"\n[sink]\nkind = \"jsonl\"\ndeletes = \"hard\"\n",
        "conf/acme.toml:4: sink.deletes: sink `jsonl` cannot delete rows, it can only record that they were deleted",
        None,
    );
    fails(
        "name = \"a\"\n[egress]\nallow = [\"localhost\"]\n",
        "conf/acme.toml:3: egress.allow: `localhost` is not host:port",
        Some("write the port too, for example \"127.0.0.1:8080\"; no scheme, no path"),
    );
    let broken = parse("name = \"a\"\n[config\n").expect_err("accepted");
    assert!(broken.message.starts_with("conf/acme.toml:2: not TOML: "), "{}", broken.message);
}

#[test]
fn names_that_leave_their_folder_are_refused() {
    for name in ["", "..", "../x", "a/b", ".hidden", "cache", "key", "ü", &"x".repeat(65)] {
        assert!(parse(&format!("name = {name:?}")).is_err(), "{name}");
    }
}

#[test]
fn the_name_of_a_file_that_cannot_be_used_is_found_where_it_can_be_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("acme.toml");
    for (text, name) in [
        ("name = \"a\"\n[config\n", Some("a")),
        ("name = \"a\"\ncomponent = \n", Some("a")),
        ("unknown = 1\nname = 'a'\n", Some("a")),
        ("name = \"a\nkey = 1\n", None),
        ("name = \"../a\"\n", None),
        ("[config]\nname = \"a\"\n", None),
        ("", None),
    ] {
        std::fs::write(&path, text).expect("written");
        assert_eq!(name_in(&path, &environment).as_deref(), name, "{text:?}");
    }
    assert_eq!(name_in(&folder.path().join("none.toml"), &environment), None);
}

#[test]
fn key_files_are_read_unless_the_component_has_such_a_key() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("secret.txt"), "from-a-file\n").expect("written");
    let path = folder.path().join("acme.toml");
    let text = "name = \"a\"\n[config]\ntoken_file = \"secret.txt\"\nlog_file = \"kept\"\n";
    let mut connection = Connection::parse(&path, text, &environment).expect("a good file");
    let describe = json!({"name": "x", "configuration": {"properties": {"log_file": {}}}});
    let describe = Describe::parse(&describe.to_string()).expect("a document");
    let redactor = Redactor::default();
    connection.resolve_secrets(&describe, &redactor).expect("resolved");
    assert_eq!(connection.config["token"], "from-a-file");
    assert_eq!(connection.config["log_file"], "kept");
    assert_eq!(redactor.redact("it is from-a-file"), "it is [secret]");
}
