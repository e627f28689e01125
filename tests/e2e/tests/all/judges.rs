//! The tools themselves as judges: PyAirbyte, dlt and Fivetran's SDK into DuckDB, `pyab validate`,
//! `singer-check-tap`, Meltano into files and PostgreSQL. Each tool runs the text of `docs/integrations.md`.
//!
//! `cargo xtask test` installs them from PyPI and sets `E2E_TOOLS`, the list of their virtual environments;
//! tests of others have nothing to run. Nothing but loopback is called.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use postgres_server::{Durability, Server};

use crate::compare::messages::Received;
use crate::compare::{TABLES, Truth, json_rows, truth, truths};
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

#[test]
fn the_documented_pyairbyte_program_loads_the_truth_twice() {
    let Some(python) = program("pyairbyte", "python") else { return };
    let setup = documented(200);
    script(&setup, "source-zoho-desk", "airbyte");
    write_documented(&setup, "pyairbyte", "desk_airbyte.py");
    let mut changed = BTreeSet::new();
    let mut requests = Vec::new();
    for _ in 0..2 {
        run(&setup, &python, &["desk_airbyte.py"]).exits(0);
        requests.push(setup.requests_to("GET /tickets/{id}"));
        let tables = DOCUMENTED.join(",");
        let received = in_duckdb(&setup, &python, Received::folding_case(), "desk.duckdb", "main", &tables);
        received.check(&setup, &documented_truths(&setup), &changed);
        if changed.is_empty() {
            changed = change_documented(&setup);
        }
    }
    assert!(requests[1] - requests[0] < 150, "the second read is incremental: {requests:?}");
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

/// A portal whose tool reads them.
fn documented(tickets: u32) -> Setup {
    documented_of(tickets, &DOCUMENTED)
}

/// The same of other tables.
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
    DOCUMENTED.into_iter().map(|table| (table, truth(&setup.simulator, table, true))).collect()
}

#[test]
fn the_documented_dlt_resource_loads_the_truth_twice() {
    let Some(python) = program("dlt", "python") else { return };
    let setup = documented(200);
    script(&setup, "source-zoho-desk", "airbyte");
    write_documented(&setup, "dlt", "desk_dlt.py");
    let mut changed = BTreeSet::new();
    for _ in 0..2 {
        run(&setup, &python, &["desk_dlt.py"]).exits(0);
        let received = loaded_by_dlt(&setup, &python, &DOCUMENTED);
        received.check(&setup, &documented_truths(&setup), &changed);
        if changed.is_empty() {
            changed = change_documented(&setup);
        }
    }
}

fn loaded_by_dlt(setup: &Setup, python: &Path, tables: &[&str]) -> Received {
    let folding = Received::folding_names(snake_case);
    in_duckdb(setup, python, folding, "zoho_desk.duckdb", "desk", &tables.join(","))
}

#[test]
fn the_documented_dlt_resource_keeps_what_was_read_before_a_failure() {
    let Some(python) = program("dlt", "python") else { return };
    let setup = documented(120);
    script(&setup, "source-zoho-desk", "airbyte");
    write_documented(&setup, "dlt", "desk_dlt.py");
    let truths = documented_truths(&setup);
    let departments = BTreeMap::from([("departments", truths["departments"].clone())]);
    let scopes = ["Desk.basic.READ", "Desk.settings.READ", "Desk.search.READ", "Desk.tickets.READ"];
    setup.simulator.set_scopes(&scopes[..3]);
    let failed = run(&setup, &python, &["desk_dlt.py"]).exits(5);
    assert!(failed.stderr.contains("error: table `tickets`: "), "{failed}");
    let received = loaded_by_dlt(&setup, &python, &["departments"]);
    received.check(&setup, &departments, &BTreeSet::new());
    setup.simulator.set_scopes(&scopes);
    run(&setup, &python, &["desk_dlt.py"]).exits(0);
    loaded_by_dlt(&setup, &python, &DOCUMENTED).check(&setup, &truths, &BTreeSet::new());
}

/// A table of which a part is refused once it was loaded. `load` loads it, and gives its rows.
fn keeps_a_part(setup: &Setup, load: impl Fn(u32) -> Received) {
    let table = PART[0];
    let all = BTreeMap::from([(table, truth(&setup.simulator, table, true))]);
    for number in 0..3 {
        load(number).check(setup, &all, &BTreeSet::new());
        if number == 0 {
            hide_a_part(setup, "/views");
        }
    }
}

/// The tables of [`keeps_a_part`].
const PART: [&str; 1] = ["views"];

#[test]
fn the_documented_dlt_resource_keeps_rows_of_a_table_that_is_not_read_whole() {
    let Some(python) = program("dlt", "python") else { return };
    let setup = documented_of(20, &PART);
    script(&setup, "source-zoho-desk", "airbyte");
    write_documented_of(&setup, "dlt", "desk_dlt.py", &PART);
    keeps_a_part(&setup, |_| {
        run(&setup, &python, &["desk_dlt.py"]).exits(0);
        loaded_by_dlt(&setup, &python, &PART)
    });
}

#[test]
fn the_documented_fivetran_connector_keeps_rows_of_a_table_that_is_not_read_whole() {
    let Some(fivetran) = program("fivetran", "fivetran") else { return };
    let setup = documented_of(20, &PART);
    write_fivetran(&setup, &PART);
    keeps_a_part(&setup, |_| loaded_by_fivetran(&setup, &fivetran, &PART));
}

#[test]
fn the_documented_pyairbyte_program_fails_for_a_table_that_is_not_read_whole_and_keeps_it() {
    let Some(python) = program("pyairbyte", "python") else { return };
    let tables = [PART[0], "tickets"];
    let setup = documented_of(20, &tables);
    script(&setup, "source-zoho-desk", "airbyte");
    write_documented_of(&setup, "pyairbyte", "desk_airbyte.py", &tables);
    keeps_a_part(&setup, |number| {
        run(&setup, &python, &["desk_airbyte.py"]).exits(i32::from(number > 0));
        in_duckdb(&setup, &python, Received::folding_case(), "desk.duckdb", "main", PART[0])
    });
}

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

/// Writes the documented connector, and the files that it needs.
fn write_fivetran(setup: &Setup, tables: &[&str]) {
    script(setup, "source-zoho-desk", "airbyte");
    write_documented_of(setup, "fivetran", "connector.py", tables);
    setup.write("requirements.txt", "");
    let config = std::fs::read_to_string(setup.path("config.json")).expect("a file");
    setup.write("configuration.json", &json!({"config": config}).to_string());
}

fn loaded_by_fivetran(setup: &Setup, fivetran: &Path, tables: &[&str]) -> Received {
    run(setup, fivetran, &["debug", "--configuration", "configuration.json"]).exits(0);
    let (python, folding) = (fivetran.with_file_name("python"), Received::folding_names(snake_case));
    in_duckdb(setup, &python, folding, "files/warehouse.db", "tester", &tables.join(","))
}

#[test]
fn the_documented_fivetran_connector_loads_the_truth_twice() {
    let Some(fivetran) = program("fivetran", "fivetran") else { return };
    let setup = documented(200);
    write_fivetran(&setup, &DOCUMENTED);
    let mut changed = BTreeSet::new();
    for _ in 0..2 {
        let received = loaded_by_fivetran(&setup, &fivetran, &DOCUMENTED);
        received.check(&setup, &documented_truths(&setup), &changed);
        if changed.is_empty() {
            changed = change_documented(&setup);
        }
    }
}

#[test]
fn pyairbyte_validates_the_connector() {
    let Some(pyab) = program("pyairbyte", "pyab") else { return };
    let setup = portal(20);
    let source = script(&setup, "source-desk", "airbyte");
    run(&setup, &pyab, &["validate", &format!("--connector={source}"), "--config=config.json"]).exits(0);
}

#[test]
fn singer_check_tap_accepts_every_message_of_two_runs() {
    let Some(check) = program("singer-tools", "singer-check-tap") else { return };
    let setup = portal(200);
    let mut words = vec!["singer", "--config", "config.json"];
    for number in 0..2 {
        // Not `--tap`: it prints its summary before it has read all, when the tap is faster than it.
        let messages = setup.host(&words).exits(0).stdout;
        let mut command = Command::new(&check);
        command.current_dir(setup.folder());
        let run = setup.remember(Running::start(command, messages.as_bytes()).wait()).exits(0);
        assert!(run.stdout.contains("The output is valid."), "{run}");
        let mut received = Received::default();
        received.apply(&messages);
        let said = format!("{:7} record messages", received.records);
        assert!(run.stdout.contains(&said), "{said}\n{run}");
        assert!(number == 1 || received.records > 200, "{run}");
        setup.write("state.json", &received.state.expect("a state").to_string());
        words = vec!["singer", "--config", "config.json", "--state", "state.json"];
        change_tickets(&setup);
    }
}

#[test]
fn the_tap_into_target_jsonl_twice_makes_files_that_equal_the_truth() {
    let Some(target) = program("target-jsonl", "target-jsonl") else { return };
    let setup = portal(200);
    setup.write("target.json", "{\"destination_path\": \"rows\", \"do_timestamp_file\": false}");
    std::fs::create_dir(setup.path("rows")).expect("a folder");
    let mut words = vec!["singer", "--config", "config.json"];
    let mut changed = BTreeSet::new();
    for _ in 0..2 {
        let messages = setup.host(&words).exits(0).stdout;
        let mut command = Command::new(&target);
        command.args(["--config", "target.json"]).current_dir(setup.folder());
        let run = setup.remember(Running::start(command, messages.as_bytes()).wait()).exits(0);
        in_files(&setup, &TABLES).check(&setup, &truths(&setup.simulator, true), &changed);
        setup.write("state.json", run.stdout.lines().last().expect("a state"));
        words = vec!["singer", "--config", "config.json", "--state", "state.json"];
        changed = change_tickets(&setup);
    }
}

#[test]
fn the_documented_singer_commands_run_twice() {
    let Some(target) = program("target-jsonl", "target-jsonl") else { return };
    let setup = documented(60);
    script(&setup, "tap-zoho-desk", "singer");
    setup.write("commands", &format!("set -e\n{}", snippet("singer")));
    let mut details = Vec::new();
    for _ in 0..2 {
        run_beside(&setup, &[&target], Path::new("/bin/sh"), &["commands"], &BTreeMap::new()).exits(0);
        details.push(setup.requests_to("GET /tickets/{id}"));
    }
    assert!(details[0] > 0 && details[0] == details[1], "the second run continues: {details:?}");
    let state = std::fs::read_to_string(setup.path("state.json")).expect("a state");
    assert!(serde_json::from_str::<Value>(&state).is_ok_and(|state| state.is_object()), "{state}");
}

/// The rows that target-jsonl wrote.
fn in_files(setup: &Setup, tables: &[&str]) -> Received {
    let mut received = Received::default();
    for table in tables {
        let text = std::fs::read_to_string(setup.path(&format!("rows/{table}.jsonl"))).unwrap_or_default();
        for line in text.lines() {
            received.row(table, serde_json::from_str(line).expect("JSON"));
        }
    }
    received
}

/// Writes the documented project, and its commands without those of other targets. The values of its settings
/// are variables; those that only a simulator needs are in the connection file.
fn documented_project(setup: &Setup, target: &str) -> BTreeMap<String, String> {
    script(setup, "tap-zoho-desk", "singer");
    setup.write("meltano.yml", &snippet("meltano"));
    let commands = snippet("meltano-runs");
    let wanted = commands.lines().filter(|line| !line.starts_with("meltano ") || line.ends_with(target));
    let wanted: Vec<&str> = wanted.collect();
    assert!(wanted.len() == 2, "{wanted:?}");
    setup.write("commands", &format!("set -e\n{}\n", wanted.join("\n")));
    let url = setup.simulator.url();
    let file = ConnectionFile::empty().allow(url.trim_start_matches("http://"));
    let file = file.config_text("desk_url", &url).config_text("accounts_url", &url);
    setup.write("a.toml", &file.set("batch.max_rows", 60).render());
    let config = std::fs::read_to_string(setup.path("config.json")).expect("a file");
    let config: BTreeMap<String, Value> = serde_json::from_str(&config).expect("JSON");
    let variable = |(name, value): (String, Value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (format!("TAP_ZOHO_DESK_{}", name.to_uppercase()), text)
    };
    config.into_iter().filter(|(name, _)| !name.ends_with("_url")).map(variable).collect()
}

#[test]
fn the_documented_meltano_project_makes_files_that_equal_the_truth_twice() {
    let Some(meltano) = program("meltano", "meltano") else { return };
    let Some(target) = program("target-jsonl", "target-jsonl") else { return };
    let setup = documented(200);
    let variables = documented_project(&setup, "target-jsonl");
    let mut changed = BTreeSet::new();
    for _ in 0..2 {
        run_beside(&setup, &[&meltano, &target], Path::new("/bin/sh"), &["commands"], &variables).exits(0);
        in_files(&setup, &DOCUMENTED).check(&setup, &documented_truths(&setup), &changed);
        if changed.is_empty() {
            // Files hold no end of a snapshot, and so no department that was purged.
            changed = change_tickets(&setup);
        }
    }
    let printed = run(&setup, &meltano, &["config", "print", "tap-zoho-desk"]).exits(0);
    let secret = &setup.simulator.options().client_secret;
    assert!(!format!("{printed}").contains(secret.as_str()), "{printed}");
}

#[test]
fn the_documented_meltano_project_loads_the_truth_into_postgresql_twice() {
    let Some(meltano) = program("meltano", "meltano") else { return };
    let Some(target) = program("target-postgres", "target-postgres") else { return };
    let setup = documented(200);
    let mut variables = documented_project(&setup, "target-postgres");
    let server = Server::start(Durability::None).expect("a server");
    let url = format!("postgresql+psycopg://postgres@/postgres?host={}", server.folder().display());
    variables.insert("TARGET_POSTGRES_SQLALCHEMY_URL".to_owned(), url);
    let mut changed = BTreeSet::new();
    for _ in 0..2 {
        run_beside(&setup, &[&meltano, &target], Path::new("/bin/sh"), &["commands"], &variables).exits(0);
        let mut received = Received::default();
        for table in DOCUMENTED {
            for row in json_rows(&server.url(), "desk", table) {
                received.row(table, row);
            }
        }
        received.check(&setup, &documented_truths(&setup), &changed);
        if changed.is_empty() {
            changed = change_documented(&setup);
        }
    }
}
