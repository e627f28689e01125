//! The tools themselves as judges: PyAirbyte, dlt and Fivetran's SDK into DuckDB, `pyab validate`,
//! `singer-check-tap`, Meltano into files and PostgreSQL. Each tool runs the text of `docs/integrations.md`.
//!
//! `cargo xtask test` installs them from PyPI and sets `E2E_TOOLS`, the list of their virtual environments;
//! tests of others have nothing to run. Nothing but loopback is called.

mod dlt;
mod fivetran;
mod meltano;
mod pyairbyte;
mod singer;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::compare::messages::Received;
use crate::compare::{Truth, truth};
use crate::messages::{change_tickets, hide_a_part, portal};
use crate::support::process::{Run, Running};
use crate::support::{ConnectionFile, Setup, binaries};

/// A program of a tool's environment; none if the tool is not installed.
pub(crate) fn program(tool: &str, name: &str) -> Option<PathBuf> {
    let installed = std::env::var_os("E2E_TOOLS")?;
    let folder = std::env::split_paths(&installed).find(|folder| folder.ends_with(tool))?;
    let path = folder.join("bin").join(name);
    assert!(path.is_file(), "{} is missing: run `cargo xtask test`", path.display());
    Some(path)
}

/// A script of two lines that a tool calls: the runner with `command` in front.
fn script(setup: &Setup, name: &str, command: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = setup.path(name);
    let (runner, folder) = (binaries::host_runner(), setup.folder());
    let line = format!(
        "exec {} {command} -c {folder}/a.toml --data {folder}/D \"$@\"",
        runner.display(),
        folder = folder.display()
    );
    std::fs::write(&path, format!("#!/bin/sh\n{line}\n")).expect("a script");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).expect("a program");
    path.display().to_string()
}

/// Runs a tool in the test's folder, without telemetry.
fn run(setup: &Setup, program: &Path, arguments: &[&str]) -> Run {
    run_beside(setup, &[program], program, arguments, &BTreeMap::new())
}

/// The same for a program that calls those of tools' environments, with variables.
fn run_beside(
    setup: &Setup,
    tools: &[&Path],
    program: &Path,
    arguments: &[&str],
    variables: &BTreeMap<String, String>,
) -> Run {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(setup.folder()).envs(variables);
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let own = tools.iter().map(|tool| tool.parent().expect("a folder").to_owned());
    let folders = std::iter::once(setup.folder().to_owned()).chain(own);
    let paths = std::env::join_paths(folders.chain(std::env::split_paths(&inherited))).expect("paths");
    command.env("PATH", paths).env("HOME", setup.folder());
    command.env("RUNTIME__DLTHUB_TELEMETRY", "false");
    // Else below /var for root, where earlier runs left their state.
    command.env("DLT_DATA_DIR", setup.path("dlt"));
    command.env("AIRBYTE_OFFLINE_MODE", "1").env("DO_NOT_TRACK", "1").env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("MELTANO_SEND_ANONYMOUS_USAGE_STATS", "false").env("AIRBYTE_NO_UV", "1");
    setup.remember(Running::start(command, b"").wait())
}

/// The rows of a DuckDB database.
fn in_duckdb(
    setup: &Setup,
    python: &Path,
    mut received: Received,
    database: &str,
    schema: &str,
    tables: &str,
) -> Received {
    let reader = binaries::workspace().join("tests/tools/duckdb_rows.py").display().to_string();
    let run = run(setup, python, &[&reader, database, schema, tables]).exits(0);
    for line in run.stdout.lines().filter_map(|line| line.strip_prefix("ROW ")) {
        let line: Value = serde_json::from_str(line).expect("JSON");
        received.row(line["table"].as_str().expect("a table"), line["row"].clone());
    }
    received
}

/// The tables of the texts of `docs/integrations.md`, and one whose key is not `id`.
const DOCUMENTED: [&str; 3] = ["tickets", "departments", "ticket_tags"];

/// A portal whose tool reads them. A ticket has NUL in a text, and in a member of an object.
fn documented(tickets: u32) -> Setup {
    let setup = documented_of(tickets, &DOCUMENTED);
    let with_nul = |table: &str, id: &str, member: &str| {
        let update = json!({"op": "update", "table": table, "id": id, "values": {member: "a\0b"}});
        setup.simulator.mutate(update).expect("updated");
    };
    let known = truth(&setup.simulator, "tickets", true);
    let (id, ticket) = known.first_key_value().expect("a ticket");
    with_nul("tickets", id, "subject");
    with_nul("contacts", ticket.as_ref().expect("a row")["contactId"].as_str().expect("an id"), "lastName");
    setup
}

/// The same of other tables, without NUL.
fn documented_of(tickets: u32, tables: &[&str]) -> Setup {
    let setup = portal(tickets);
    let config = std::fs::read_to_string(setup.path("config.json")).expect("a file");
    let mut config: Value = serde_json::from_str(&config).expect("JSON");
    config["tables"] = json!(tables);
    setup.write("config.json", &config.to_string());
    let same = ConnectionFile::of(&setup.simulator).named("same");
    setup.write("same.toml", &same.config("tables", &format!("{tables:?}")).render());
    setup
}

/// Changes tickets, and purges a department: no list of changes shows that. The ids that an incremental read
/// finds.
fn change_documented(setup: &Setup) -> BTreeSet<String> {
    let changed = change_tickets(setup);
    let departments = truth(&setup.simulator, "departments", true);
    let (last, _) = departments.last_key_value().expect("a department");
    let purge = json!({"op": "purge", "table": "departments", "id": last});
    setup.simulator.mutate(purge).expect("purged");
    changed
}

/// A block of `docs/integrations.md`.
fn snippet(name: &str) -> String {
    let page = std::fs::read_to_string(binaries::workspace().join("docs/integrations.md")).expect("a page");
    let (_, text) = page.split_once(&format!("<!-- snippet: {name} -->")).expect("its mark");
    let (_, text) = text.split_once("```").expect("its start");
    let (_, text) = text.split_once('\n').expect("its language");
    text.split_once("```").expect("its end").0.to_owned()
}

/// Writes a program of `docs/integrations.md` to a file, with all tables.
fn write_documented(setup: &Setup, name: &str, path: &str) {
    write_documented_of(setup, name, path, &DOCUMENTED);
}

/// The same with other tables.
fn write_documented_of(setup: &Setup, name: &str, path: &str, tables: &[&str]) {
    let text = snippet(name);
    let (before, after) = text.split_once("TABLES = [\"tickets\", \"departments\"]").expect("its tables");
    setup.write(path, &format!("{before}TABLES = {tables:?}{after}"));
}

fn documented_truths(setup: &Setup) -> BTreeMap<&'static str, Truth> {
    DOCUMENTED.into_iter().map(|table| (table, documented_truth(setup, table))).collect()
}

/// The truth of a table as the page says that a tool sees it.
fn documented_truth(setup: &Setup, table: &str) -> Truth {
    let mut truth = truth(&setup.simulator, table, true);
    truth.values_mut().flatten().flat_map(|row| row.values_mut()).for_each(without_nul);
    truth
}

fn without_nul(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.replace('\0', "\u{fffd}"),
        Value::Array(values) => values.iter_mut().for_each(without_nul),
        Value::Object(members) => members.values_mut().for_each(without_nul),
        _ => {}
    }
}

#[test]
fn the_documented_configuration_has_the_tables_of_every_documented_program() {
    let config: Value = serde_json::from_str(&snippet("configuration")).expect("JSON");
    for name in ["pyairbyte", "dlt", "fivetran"] {
        let program = snippet(name);
        let tables = program.lines().find_map(|line| line.strip_prefix("TABLES = ")).expect("its tables");
        assert_eq!(serde_json::from_str::<Value>(tables).expect("a list"), config["tables"], "{name}");
    }
}

/// A table of which a part is refused once it was loaded. `load` loads it, and gives its rows.
fn keeps_a_part(setup: &Setup, load: impl Fn(u32) -> Received) {
    let table = PART[0];
    let all = BTreeMap::from([(table, documented_truth(setup, table))]);
    for number in 0..3 {
        load(number).check(setup, &all, &BTreeSet::new());
        if number == 0 {
            hide_a_part(setup, "/views");
        }
    }
}

/// The tables of [`keeps_a_part`].
const PART: [&str; 1] = ["views"];

/// `modified_time` for `modifiedTime`.
fn snake_case(name: &str) -> String {
    let mut written = String::new();
    for character in name.chars() {
        if character.is_uppercase() && written.ends_with(|last: char| last.is_lowercase()) {
            written.push('_');
        }
        written.extend(character.to_lowercase());
    }
    written
}
