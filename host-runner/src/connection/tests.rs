//! Tests of the connection file: accepted files, and the text of each problem.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::keys::{DefaultValue, KEYS};
use super::{Connection, name_in};
use crate::describe::Describe;
use crate::error::Error;
use crate::limits::Limits;
use crate::secret::Redactor;
use crate::sinks::{Deletes, KIND_NAMES, KINDS, SinkKind};

fn environment(name: &str) -> Option<String> {
    match name {
        "SECRET" => Some("s3cret-value".to_owned()),
        "DATABASE_URL" => Some("postgres://db/d".to_owned()),
        _ => None,
    }
}

fn parse(text: &str) -> Result<Connection, Error> {
    Connection::parse(Path::new("conf/acme.toml"), text, &environment, None)
}

fn fails(text: &str, message: &str, hint: Option<&str>) {
    let error = parse(text).expect_err("accepted");
    assert_eq!(error.message, message);
    assert_eq!(error.hint.as_deref(), hint);
}

#[test]
fn every_section_is_read_with_paths_relative_to_the_file() {
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
[batch]
max_bytes = "512KiB"
[retry]
max_wait = "0s"
[serve]
poll_interval = "90s"
[sandbox]
memory = "64MiB"
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
    assert_eq!(connection.limits.batch.max_bytes, 512 << 10);
    assert_eq!(connection.limits.retry.max_wait, Duration::ZERO);
    assert_eq!(connection.limits.serve.poll_interval, Some(Duration::from_secs(90)));
    assert_eq!(connection.limits.sandbox.memory, 64 << 20);
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
fn every_problem_names_file_line_and_key() {
    fails("name = \"a\"\n[bach]\n", "conf/acme.toml:2: bach: unknown key", Some("did you mean `batch`?"));
    fails(
        "name = \"a\"\n[sandbox]\nmemory_mib = 1\n",
        "conf/acme.toml:3: sandbox.memory_mib: unknown key",
        Some("did you mean `memory`?"),
    );
    fails(
        "name = \"a\"\n[batch]\npoll_interval = \"5m\"\n",
        "conf/acme.toml:3: batch.poll_interval: unknown key",
        Some("`poll_interval` belongs under [serve]"),
    );
    fails(
        "name = \"a\"\n[egress]\nproxy = \"x\"\n",
        "conf/acme.toml:3: egress.proxy: unknown key",
        Some("known keys: only, allow, ca_file"),
    );
    fails(
        "name = \"a\"\n[config]\nx = \"${NOPE}\"\n",
        "conf/acme.toml:3: config.x: environment variable NOPE is not set",
        Some("set it: export NOPE=…"),
    );
    fails(
        "name = \"a\"\n[sandbox]\nmemory = \"100GiB\"\n",
        "conf/acme.toml:3: sandbox.memory: 100GiB is out of range, 1MiB to 4GiB",
        None,
    );
    fails(
        "name = \"a\"\n[sandbox]\ncall_timeout = 120\n",
        "conf/acme.toml:3: sandbox.call_timeout: `120` is not a duration",
        Some("write a whole number and a unit (ms, s, m, h, d), for example \"30s\" or \"5m\""),
    );
    fails(
        "name = \"a\"\n[batch]\nmax_rows = \"5\"\n",
        "conf/acme.toml:3: batch.max_rows: a whole number is required",
        None,
    );
    fails(
        "name = \"a\"\n[sink]\nkind = \"oracle\"\n",
        "conf/acme.toml:3: sink.kind: `oracle` is not a known value",
        Some(&format!("use one of \"{}\"", KIND_NAMES.join("\", \""))),
    );
    fails(
        "name = \"a\"\n[sink]\nkind = \"jsonl\"\ndeletes = \"hard\"\n",
        "conf/acme.toml:4: sink.deletes: sink `jsonl` cannot delete rows, it can only record that they were \
         deleted",
        None,
    );
    fails(
        "name = \"a\"\n[egress]\nallow = [\"localhost\"]\n",
        "conf/acme.toml:3: egress.allow: `localhost` is not host:port",
        Some("write the port too, for example \"127.0.0.1:8080\"; no scheme, no path"),
    );
    fails("name = \"a\"\nbatch = 1\n", "conf/acme.toml:2: batch: a section is required: [batch]", None);
    let broken = parse("name = \"a\"\n[config\n").expect_err("accepted");
    assert!(broken.message.starts_with("conf/acme.toml:2: not TOML: "), "{}", broken.message);
}

#[test]
fn all_problems_of_a_file_are_reported_at_once_in_the_order_of_lines() {
    fails(
        "[config]\na = \"${NOPE}\"\nb = \"${\"\n[batch]\nmax_rows = 0\nmax_byte = 1\n[sink]\npath = 1\n",
        "conf/acme.toml: 6 problems
  conf/acme.toml:1: name: missing; add a line: name = \"acme\"
  conf/acme.toml:2: config.a: environment variable NOPE is not set; set it: export NOPE=…
  conf/acme.toml:3: config.b: `${` without `}`; write ${NAME}, or $${ for the two characters themselves
  conf/acme.toml:5: batch.max_rows: 0 is out of range, 1 to 1000000
  conf/acme.toml:6: batch.max_byte: unknown key; did you mean `max_bytes`?
  conf/acme.toml:8: sink.path: text in quotes is required",
        Some("`host-runner init` writes a file in which every key is explained"),
    );
}

#[test]
fn a_quoted_key_with_a_dot_is_not_a_key_of_a_section() {
    let error = parse("name = \"a\"\n\"batch.max_rows\" = 5\n").expect_err("accepted");
    assert!(error.message.contains("batch.max_rows"), "{}", error.message);
}

#[test]
fn every_default_and_example_is_accepted_by_its_own_key() {
    for key in KEYS {
        let text = match key.default {
            DefaultValue::Required => continue,
            DefaultValue::Value(text) | DefaultValue::Absent { example: text, .. } => text,
        };
        let value = key.kind.value(text);
        let line = match key.section() {
            "" => format!("name = \"a\"\n{} = {value}\n", key.short_name()),
            section => {
                let reads = |kind: &SinkKind| section == "sink" && kind.own_keys.contains(&key.short_name());
                let kind = KINDS.iter().copied().find(|kind| reads(kind));
                let kind = kind.map(|kind| format!("kind = {:?}\n", kind.name)).unwrap_or_default();
                let needs = match key.name {
                    "sink.schema" => "url = \"postgres://db/d\"\n",
                    "sink.attachments_max_bytes" | "sink.attachments_types" => "attachments = \"files\"\n",
                    // Its file is read at once.
                    "sink.url_file" => continue,
                    _ => "",
                };
                format!("name = \"a\"\n[{section}]\n{kind}{needs}{} = {value}\n", key.short_name())
            }
        };
        parse(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

#[test]
fn a_key_of_a_sink_is_refused_where_it_does_nothing() {
    let all = KIND_NAMES;
    for key in KEYS.iter().filter(|key| key.section() == "sink") {
        // The kinds whose code reads it.
        let kinds: &[&str] = match key.short_name() {
            "kind" | "deletes" | "attachments" => &all,
            "attachments_max_bytes" | "attachments_types" => &[],
            "path" => &["sqlite", "jsonl", "parquet"],
            "url" | "url_file" => &["postgres", "parquet"],
            "schema" => &["postgres"],
            "format" => &["jsonl"],
            "max_file_age" => &["parquet"],
            other => panic!("which kinds read `{other}`?"),
        };
        for kind in KIND_NAMES {
            let text = match key.default {
                DefaultValue::Required => continue,
                _ if key.short_name() == "kind" => kind,
                DefaultValue::Value(text) | DefaultValue::Absent { example: text, .. } => text,
            };
            let (value, written) = (key.kind.value(text), format!("sink.{}: ", key.short_name()));
            let kind_line =
                if key.short_name() == "kind" { String::new() } else { format!("kind = {kind:?}") };
            let file = format!("name = \"a\"\n[sink]\n{kind_line}\n{} = {value}\n", key.short_name());
            let message = parse(&file).err().map(|error| error.message).unwrap_or_default();
            let does_nothing = ["has no such key", "so it does nothing"]
                .iter()
                .any(|what| message.lines().any(|line| line.contains(&written) && line.contains(what)));
            assert_eq!(does_nothing, !kinds.contains(&kind), "{file}{message}");
        }
    }
}

#[test]
fn a_format_belongs_to_json_lines_and_the_keys_of_attachments_to_every_sink() {
    let with = |sink: &str| parse(&format!("name = \"a\"\n[sink]\n{sink}"));
    let jsonl = |format: &str| with(&format!("kind = \"jsonl\"\n{format}")).expect("a good file").sink.kind;
    assert_eq!((jsonl("").format, jsonl("format = \"debezium\"").format), ("changes", "debezium"));
    for kind in ["sqlite", "jsonl"] {
        let keys = "attachments = \"files\"\nattachments_max_bytes = \"1KiB\"\nattachments_types = [\"PDF\"]";
        let found = with(&format!("kind = {kind:?}\n{keys}")).expect("a good file").attachments;
        let found = found.expect("attachments");
        assert_eq!((found.limits.bytes_max, found.limits.types), (1024, vec!["pdf".to_owned()]));
        assert!(found.location.to_string().ends_with("files"));
    }
    assert_eq!(parse("name = \"a\"").expect("a good file").attachments, None);
}

#[test]
fn a_file_without_sections_has_the_documented_defaults() {
    let Limits { batch, retry, serve, sandbox } = parse("name = \"a\"").expect("a good file").limits;
    assert_eq!((batch.max_rows, batch.max_bytes, batch.max_time), (2_000, 8 << 20, Duration::from_secs(20)));
    assert_eq!((retry.max_attempts, retry.max_wait), (8, Duration::from_secs(300)));
    assert_eq!((serve.poll_interval, serve.max_batch_time), (None, Duration::from_secs(1)));
    assert_eq!((sandbox.memory, sandbox.max_response_bytes), (256 << 20, 32 << 20));
    assert_eq!((sandbox.call_timeout, sandbox.cpu_time), (Duration::from_secs(120), Duration::from_secs(30)));
    assert_eq!(sandbox.max_concurrent_requests, 16);
}

#[test]
fn names_that_leave_their_folder_are_refused() {
    for name in ["", "..", "../x", "a/b", ".hidden", "cache", "key", "serve.sock", "ü", &"x".repeat(65)] {
        assert!(parse(&format!("name = {name:?}")).is_err(), "{name}");
    }
}

#[test]
fn the_name_in_an_unusable_file_is_found_where_it_is_intact() {
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
        assert_eq!(name_in(&path, &environment, None).as_deref(), name, "{text:?}");
    }
    assert_eq!(name_in(&folder.path().join("none.toml"), &environment, None), None);
}

#[test]
fn key_files_are_read_unless_the_component_has_such_a_key() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("secret.txt"), "from-a-file\n").expect("written");
    let path = folder.path().join("acme.toml");
    let text = "name = \"a\"\n[config]\ntoken_file = \"secret.txt\"\nlog_file = \"kept\"\n";
    let mut connection = Connection::parse(&path, text, &environment, None).expect("a good file");
    let describe = json!({"name": "x", "configuration": {"properties": {"log_file": {}}}});
    let describe = Describe::parse(&describe.to_string()).expect("a document");
    let redactor = Redactor::default();
    connection.resolve_secrets(&describe, &redactor).expect("resolved");
    assert_eq!(connection.config["token"], "from-a-file");
    assert_eq!(connection.config["log_file"], "kept");
    assert_eq!(redactor.redact("it is from-a-file"), "it is [secret]");
}

#[test]
fn the_values_of_variables_in_the_configuration_are_secrets_whatever_the_component_says() {
    let lookup = |name: &str| {
        Some(match name {
            "TOKEN" => "s3cret-value".to_owned(),
            "REGION" => "eu".to_owned(),
            "API" => "https://api.example.com".to_owned(),
            _ => "a-folder".to_owned(),
        })
    };
    let text = "name = \"a\"\n[config]\ntoken = \"Bearer ${TOKEN}\"\nin = { region = \"${REGION}\" }\n\
                api = \"${API}/v1\"\n[sink]\npath = \"${FOLDER}/rows.db\"\n";
    let mut connection = Connection::parse(Path::new("acme.toml"), text, &lookup, None).expect("a good file");
    let describe = Describe::parse(r#"{"name": "x", "configuration": {"properties": {"token": {}}}}"#);
    let redactor = Redactor::default();
    connection.resolve_secrets(&describe.expect("a document"), &redactor).expect("resolved");
    let said = "Bearer s3cret-value of eu at https://api.example.com in a-folder";
    assert_eq!(redactor.redact(said), "Bearer [secret] of eu at https://api.example.com in a-folder");
}

#[test]
fn a_database_is_named_by_a_url_or_the_file_of_one() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("url"), "postgres://me:s3cret-value@db/d\n").expect("written");
    let load = |sink: &str| {
        let path = folder.path().join("acme.toml");
        std::fs::write(&path, format!("name = \"Acme\"\n[sink]\nkind = \"postgres\"\n{sink}"))
            .expect("written");
        Connection::load(&path, &|_| Some("postgres://me:s3cret-value@db/d".to_owned()))
    };
    for (sink, location) in [
        ("url = \"${DATABASE_URL}\"\n", "postgres://db/d schema acme"),
        ("url_file = \"url\"\nschema = \"desk\"\n", "postgres://db/d schema desk"),
    ] {
        let connection = load(sink).expect("a connection");
        assert_eq!(connection.sink.location.to_string(), location);
        let redactor = Redactor::default();
        redactor.learn(&connection.name, &connection.sink.location.secrets()[0]);
        assert!(!redactor.redact("of s3cret-value").contains("s3cret"));
        assert!(!format!("{connection:?}").contains("s3cret"));
    }
    let problem =
        |sink: &str| load(sink).expect_err("accepted").message.rsplit('/').next().map(str::to_owned);
    assert_eq!(problem("").as_deref(), Some("acme.toml:1: sink.url: missing"));
    let both = problem("url = \"postgres://db/d\"\nurl_file = \"url\"\n");
    assert_eq!(both.as_deref(), Some("acme.toml:5: sink.url_file: `url` is set too"));
    let path = problem("url_file = \"url\"\npath = \"x\"\n");
    assert_eq!(path.as_deref(), Some("acme.toml:5: sink.path: sink `postgres` has no such key"));
    fails(
        "name = \"a\"\n[sink]\nurl = \"postgres://db/d\"\n",
        "conf/acme.toml:3: sink.url: sink `sqlite` has no such key",
        Some("its own keys: path"),
    );
}

#[test]
fn a_database_and_its_files_are_within_the_policy() {
    let folder = tempfile::tempdir().expect("a folder");
    let policy = folder.path().join("policy.toml");
    std::fs::write(folder.path().join("url"), "postgres://db/d").expect("written");
    std::fs::write(&policy, "sinks = [\"postgres://db/d\"]\n").expect("written");
    let policy = std::sync::Arc::new(super::PolicyFile::load(&policy).expect("a policy"));
    let refused = |sink: &str| {
        let path = folder.path().join("acme.toml");
        std::fs::write(&path, format!("name = \"a\"\n[sink]\nkind = \"postgres\"\n{sink}\n"))
            .expect("written");
        let loaded = Connection::load_within(&path, &|_| None, Some(&policy));
        loaded.err().map(|error| error.message)
    };
    assert_eq!(refused("url = \"postgres://me:x@db/d\""), None);
    for (sink, key) in [
        ("url = \"postgres://elsewhere/d\"", "sink.url: postgres://elsewhere/d"),
        ("url = \"postgres://db/d?sslrootcert=/etc/passwd\"", "sink.url: sslrootcert: /etc/passwd"),
        ("url_file = \"url\"", "sink.url_file: "),
    ] {
        let message = refused(sink).expect("admitted");
        assert!(message.contains(key) && message.contains("is not in `"), "{message}");
    }
}
