//! The same artifact in other hosts: PyPI `wasmtime` and npm `jco-transpile`, WASI HTTP and the contract,
//! nothing of ours; and in the example of a program that embeds the runner's sandbox.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use desk_simulator::{GRANT_CODE, Options, Rule};
use serde_json::{Map, Value, json};

use crate::compare::{TABLES, read_log, truth};
use crate::support::http::request;
use crate::support::process::{Run, Running};
use crate::support::{ConnectionFile, Setup, binaries, sizes, wait_until};

/// A Python that has `wasmtime` and `duckdb`: `$E2E_PYTHON`, else that of `target/venv`, which is made if it
/// is missing.
pub(crate) fn python() -> PathBuf {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| std::env::var_os("E2E_PYTHON").map_or_else(make_environment, PathBuf::from)).clone()
}

fn make_environment() -> PathBuf {
    let root = binaries::workspace();
    let venv = root.join("target/venv");
    let python = venv.join("bin/python");
    let requirements = root.join("tests/hosts/python/requirements.txt");
    let has_all = |python: &PathBuf| {
        let check = Command::new(python).args(["-c", "import duckdb, wasmtime.component"]).output();
        check.is_ok_and(|output| output.status.success())
    };
    if !has_all(&python) {
        let mut make = Command::new("python3");
        make.args(["-m", "venv"]).arg(&venv);
        Running::start(make, b"").wait().exits(0);
        let mut install = Command::new(&python);
        install.args(["-m", "pip", "install", "--quiet", "-r"]).arg(&requirements);
        Running::start(install, b"").wait().exits(0);
    }
    assert!(has_all(&python), "{} has no usable `wasmtime` and `duckdb`", python.display());
    python
}

/// A copy of the Node.js host in the folder of its packages, where Node.js looks for them: `$E2E_NODE`, else
/// `target/node-host`.
fn node_program() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let install = || {
        let root = binaries::workspace();
        let packages =
            std::env::var_os("E2E_NODE").map_or_else(|| root.join("target/node-host"), PathBuf::from);
        let present = packages.join("node_modules").is_dir();
        assert!(present, "{} has no packages: run `cargo xtask test` once", packages.display());
        let program = packages.join("connector_host.js");
        std::fs::copy(root.join("tests/hosts/node/connector_host.js"), &program).expect("a copy");
        program
    };
    PROGRAM.get_or_init(install).clone()
}

/// Another host than the runner.
#[derive(Clone, Copy)]
enum Host {
    Python,
    Node,
    /// `host-runner/examples/embed.rs`.
    Embedding,
}

impl Host {
    /// Starts it on a simulator; `--code` authorizes.
    fn start(self, setup: &Setup, config: &Value, arguments: &[&str]) -> Running {
        setup.write("config.json", &config.to_string());
        let mut command = match self {
            Host::Python => {
                let mut command = Command::new(python());
                command.arg(binaries::workspace().join("tests/hosts/python/connector_host.py"));
                command
            }
            Host::Node => {
                let mut command = Command::new("node");
                command.arg(node_program());
                command
            }
            Host::Embedding => Command::new(binaries::embed()),
        };
        command.arg(binaries::zoho_desk()).arg("config.json").args(arguments);
        // Nothing is written into the workspace.
        command.current_dir(setup.folder()).env("PYTHONDONTWRITEBYTECODE", "1");
        Running::start(command, b"")
    }

    fn run(self, setup: &Setup, config: &Value, arguments: &[&str]) -> Run {
        setup.remember(self.start(setup, config, arguments).wait())
    }
}

/// `[config]` as a program hands it to the component.
pub(crate) fn config(setup: &Setup) -> Value {
    let options = setup.simulator.options();
    json!({
        "organization_id": options.organization_id, "client_id": options.client_id,
        "client_secret": options.client_secret, "desk_url": setup.simulator.url(),
        "accounts_url": setup.simulator.url(), "tables": TABLES,
    })
}

fn lines(run: &Run) -> impl Iterator<Item = Value> {
    run.stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
}

#[track_caller]
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text is expected: {value}")).to_owned()
}

/// A change from a webhook has no wrong member; not every one has all members.
#[track_caller]
fn has_the_members_of(change: &Value, row: Option<&Map<String, Value>>) {
    let members = change["after"].as_object().into_iter().flatten();
    let differing = members.filter(|(name, value)| row.and_then(|row| row.get(*name)) != Some(*value));
    assert_eq!(differing.collect::<Vec<_>>(), [], "{change}");
    assert_eq!(change["after"].is_null(), row.is_none(), "{change}");
}

/// Reads every table with the runner and with another host, and compares.
fn reads_the_rows_that_the_runner_reads(host: Host) {
    let options = Options { sizes: sizes(420), grant_code_reusable: true, ..Options::default() };
    let setup = Setup::with(options, ConnectionFile::jsonl);
    setup.authorize();
    setup.sync();
    let address = setup.simulator.url().replace("http://", "");
    let arguments: &[&str] = match host {
        Host::Python | Host::Node => &["--code", GRANT_CODE, "--max-changes", "150"],
        Host::Embedding => &[GRANT_CODE, &address],
    };
    let run = host.run(&setup, &config(&setup), arguments).exits(0);
    let mut tables: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
    let (mut count, mut rows) = (0, 0);
    for line in lines(&run) {
        count += 1;
        if let Some(row) = line.get("row") {
            rows += 1;
            let id = text(&row["key"]["id"]);
            tables.entry(text(&row["table"])).or_default().insert(id, row["after"].clone());
        }
        if let Some(items) = line.get("check").and_then(Value::as_array) {
            assert!(
                !items.is_empty() && items.iter().all(|item| text(&item["outcome"]).ends_with("passed")),
                "{line}"
            );
        }
    }
    assert_eq!(count, rows + 2 + 2 * TABLES.len(), "describe, check, and two lines for each table");
    for table in TABLES {
        let written = read_log(&setup.path("rows"), table).documents();
        let read = tables.remove(table).unwrap_or_default();
        assert_eq!(read.len(), written.len(), "{table}");
        assert!(read == written, "{table}: rows differ");
        assert!(!read.is_empty(), "{table}");
    }
}

/// Reads a table of a source that refuses a page as one too many.
fn waits_as_long_as_the_source_asks(host: Host) {
    let options = Options { sizes: sizes(420), grant_code_reusable: true, ..Options::default() };
    let setup = Setup::new(options);
    // After the page of `check` and two of the first batch.
    let refusal = Rule { after: 3, times: Some(1), ..Rule::new("/tickets", 429) };
    setup.simulator.add_rule(Rule { retry_after_seconds: Some(1), ..refusal });
    let mut config = config(&setup);
    config["tables"] = json!(["tickets"]);
    let address = setup.simulator.url().replace("http://", "");
    let arguments: &[&str] = match host {
        Host::Python | Host::Node => &["--code", GRANT_CODE],
        Host::Embedding => &[GRANT_CODE, &address],
    };
    let run = host.run(&setup, &config, arguments).exits(0);
    let rows = lines(&run).filter_map(|line| Some(text(&line.get("row")?["key"]["id"])));
    let read: BTreeSet<String> = rows.collect();
    assert_eq!(read, truth(&setup.simulator, "tickets", false).into_keys().collect(), "{run}");
    assert!(setup.simulator.stats()["faults"].as_object().is_some_and(|faults| !faults.is_empty()));
}

#[test]
fn other_hosts_wait_as_long_as_the_source_asks() {
    for host in [Host::Python, Host::Node, Host::Embedding] {
        waits_as_long_as_the_source_asks(host);
    }
}

/// Errors of the configuration and of the source.
fn gets_errors_in_the_words_of_the_contract(host: Host) {
    let setup = Setup::new(Options { sizes: sizes(5), ..Options::default() });
    let mut config = config(&setup);
    config["client_secret"] = "wrong".into();
    let run = host.run(&setup, &config, &["--code", GRANT_CODE]).exits(1);
    assert!(run.stderr.contains("error: `client_secret` is wrong for this client"), "{run}");
    assert!(run.stderr.contains("hint: copy the Client Secret again"), "{run}");
    config["color"] = 1.into();
    let run = host.run(&setup, &config, &[]).exits(1);
    assert!(run.stderr.contains("color"), "{run}");
}

#[test]
fn a_python_host_reads_the_rows_that_the_runner_reads() {
    reads_the_rows_that_the_runner_reads(Host::Python);
}

#[test]
fn a_python_host_gets_errors_in_the_words_of_the_contract() {
    gets_errors_in_the_words_of_the_contract(Host::Python);
}

#[test]
fn a_node_host_reads_the_rows_that_the_runner_reads() {
    reads_the_rows_that_the_runner_reads(Host::Node);
}

#[test]
fn a_node_host_gets_errors_in_the_words_of_the_contract() {
    gets_errors_in_the_words_of_the_contract(Host::Node);
}

#[test]
fn a_node_host_receives_webhooks() {
    let setup = Setup::new(Options { sizes: sizes(5), ..Options::default() });
    let hooks = || request("GET", &format!("{}/_admin/webhooks", setup.simulator.url()), &[], b"").body;
    let none = hooks();
    let ids: Vec<String> = truth(&setup.simulator, "tickets", false).into_keys().collect();
    let running = Host::Node.start(&setup, &config(&setup), &["--code", GRANT_CODE, "--webhook", "3"]);
    wait_until("the subscription", || hooks() != none);
    for (id, subject) in [(&ids[0], "first"), (&ids[1], "second")] {
        let update = json!({"op": "update", "table": "tickets", "id": id, "values": {"subject": subject}});
        setup.simulator.mutate(update).expect("an update");
    }
    setup.simulator.mutate(json!({"op": "moveToTrash", "table": "tickets", "id": ids[2]})).expect("a delete");
    let run = setup.remember(running.wait()).exits(0);
    let changes: Vec<Value> = lines(&run).filter_map(|line| line.get("change").cloned()).collect();
    assert_eq!(changes.len(), 3, "{run}");
    let truth = truth(&setup.simulator, "tickets", true);
    for (id, operation) in [(&ids[0], "update"), (&ids[1], "update"), (&ids[2], "delete")] {
        let change = changes.iter().find(|change| change["key"]["id"] == **id);
        let change = change.unwrap_or_else(|| panic!("no change of {id}\n{run}"));
        assert_eq!(change["operation"], operation, "{change}");
        has_the_members_of(change, truth[id].as_ref());
    }
    assert_eq!(hooks(), none, "unsubscribed");
}

#[test]
fn a_program_that_embeds_the_sandbox_reads_the_rows_that_the_runner_reads() {
    reads_the_rows_that_the_runner_reads(Host::Embedding);
}

#[test]
fn a_program_that_embeds_the_sandbox_receives_a_delivery_and_is_bound_by_its_egress_policy() {
    let setup = Setup::new(Options { sizes: sizes(5), grant_code_reusable: true, ..Options::default() });
    let tickets = truth(&setup.simulator, "tickets", true);
    let (id, row) = tickets.first_key_value().expect("a ticket");
    let organization = &setup.simulator.options().organization_id;
    let event = json!({"eventType": "Ticket_Update", "payload": {"id": id}, "orgId": organization});
    setup.write("delivery.json", &json!([event]).to_string());
    let address = setup.simulator.url().replace("http://", "");
    let run = Host::Embedding.run(&setup, &config(&setup), &[GRANT_CODE, &address, "delivery.json"]).exits(0);
    let changes: Vec<Value> = lines(&run).filter_map(|line| line.get("change").cloned()).collect();
    assert_eq!(changes.len(), 1, "{run}");
    has_the_members_of(&changes[0], row.as_ref());
    assert!(changes[0]["after"]["subject"].is_string(), "the record is read by its id\n{run}");

    let run = Host::Embedding.run(&setup, &config(&setup), &[GRANT_CODE, "localhost:1"]).exits(1);
    assert!(run.stderr.contains(&format!("egress: {address}: refused, http without TLS")), "{run}");
}
