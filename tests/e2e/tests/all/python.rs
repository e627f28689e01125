//! The same artifact in another host: PyPI `wasmtime`, WASI HTTP and the contract, nothing of ours.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use desk_simulator::{GRANT_CODE, Options};
use serde_json::{Value, json};

use crate::compare::{TABLES, read_log};
use crate::support::process::{Run, Running};
use crate::support::{ConnectionFile, Setup, binaries, sizes};

/// A Python that has `wasmtime`: `$E2E_PYTHON`, else that of `target/venv`, which is made if it is missing.
fn python() -> PathBuf {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| std::env::var_os("E2E_PYTHON").map_or_else(make_environment, PathBuf::from)).clone()
}

fn make_environment() -> PathBuf {
    let root = binaries::workspace();
    let venv = root.join("target/venv");
    let python = venv.join("bin/python");
    let requirements = root.join("tests/hosts/python/requirements.txt");
    let has_all = |python: &PathBuf| {
        let check = Command::new(python).args(["-c", "import wasmtime.component"]).output();
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
    assert!(has_all(&python), "{} has no usable `wasmtime`", python.display());
    python
}

/// Runs the Python host on a simulator; `code` authorizes.
fn connector_host(setup: &Setup, config: &Value, arguments: &[&str]) -> Run {
    setup.write("config.json", &config.to_string());
    let mut command = Command::new(python());
    command.arg(binaries::workspace().join("tests/hosts/python/connector_host.py"));
    command.arg(binaries::zoho_desk()).arg("config.json").args(arguments);
    // Nothing is written into the workspace.
    command.current_dir(setup.folder()).env("PYTHONDONTWRITEBYTECODE", "1");
    setup.remember(Running::start(command, b"").wait())
}

fn config(setup: &Setup) -> Value {
    let options = setup.simulator.options();
    json!({
        "organization_id": options.organization_id, "client_id": options.client_id,
        "client_secret": options.client_secret, "desk_url": setup.simulator.url(),
        "accounts_url": setup.simulator.url(), "tables": TABLES,
    })
}

#[test]
fn another_host_reads_the_rows_that_the_runner_reads() {
    let options = Options { sizes: sizes(420), grant_code_reusable: true, ..Options::default() };
    let setup = Setup::with(options, ConnectionFile::jsonl);
    setup.authorize();
    setup.sync();
    let run =
        connector_host(&setup, &config(&setup), &["--code", GRANT_CODE, "--max-changes", "150"]).exits(0);
    let mut rows: Vec<(String, String, Value)> = Vec::new();
    let mut lines = 0;
    for line in run.stdout.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        lines += 1;
        if let Some(row) = line.get("row") {
            let text = |value: &Value| value.as_str().expect("a text").to_owned();
            rows.push((text(&row["table"]), text(&row["key"]["id"]), row["after"].clone()));
        }
        if let Some(items) = line.get("check").and_then(Value::as_array) {
            assert!(
                items.iter().all(|item| item["outcome"].as_str().is_some_and(|o| o.ends_with("passed"))),
                "{line}"
            );
        }
    }
    assert_eq!(lines, rows.len() + 2 + 2 * TABLES.len(), "describe, check, and two lines for each table");
    for table in TABLES {
        let written = read_log(&setup.path("rows"), table).documents();
        let read: std::collections::BTreeMap<String, Value> = rows
            .iter()
            .filter(|(of, ..)| of == table)
            .map(|(_, id, row)| (id.clone(), row.clone()))
            .collect();
        assert_eq!(read.len(), written.len(), "{table}");
        assert!(read == written, "{table}: rows differ");
        assert!(!read.is_empty(), "{table}");
    }
}

#[test]
fn another_host_gets_errors_in_the_words_of_the_contract() {
    let setup = Setup::new(Options { sizes: sizes(5), ..Options::default() });
    let mut config = config(&setup);
    config["client_secret"] = "wrong".into();
    let run = connector_host(&setup, &config, &["--code", GRANT_CODE]).exits(1);
    assert!(run.stderr.contains("error: `client_secret` is wrong for this client"), "{run}");
    assert!(run.stderr.contains("hint: copy the Client Secret again"), "{run}");
    config["color"] = 1.into();
    let run = connector_host(&setup, &config, &[]).exits(1);
    assert!(run.stderr.contains("color"), "{run}");
}
