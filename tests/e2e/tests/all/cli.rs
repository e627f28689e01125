//! Manners of the command line: help, data on stdout, codes, files that it writes, pipes that close.

use std::process::{Command, Stdio};

use desk_simulator::{GRANT_CODE, Options};
use serde_json::Value;

use crate::compare::{TABLES, check_sqlite, truths};
use crate::component::IMPORTS;
use crate::support::{Setup, binaries, sizes, tables_as_toml};

const COMMANDS: [&[&str]; 13] = [
    &[],
    &["inspect"],
    &["spec"],
    &["init"],
    &["authorize"],
    &["check"],
    &["discover"],
    &["count"],
    &["sync"],
    &["invoke"],
    &["state"],
    &["state", "show"],
    &["state", "reset"],
];

fn small() -> Setup {
    Setup::new(Options { sizes: sizes(5), ..Options::default() })
}

#[test]
fn the_url_comes_with_the_steps_for_a_webhook_and_for_a_workflow_rule() {
    let setup = small();
    let words = ["webhook", "url", "--public-url", "https://hooks.example.com"];
    let shown = setup.host(&[&words[..], &["--json"]].concat()).exits(0).json();
    let url = shown["url"].as_str().expect("a URL");
    let run = setup.host(&words).exits(0);
    assert_eq!(run.stdout.trim(), url, "stdout is the URL and nothing else");
    let ways = shown["setup"].as_array().expect("ways");
    for (way, parts) in ways.iter().zip([
        ["Developer Space > Webhooks", "tickets: Ticket_Add, Ticket_Update, Ticket_Delete"],
        ["Automation > Workflows", "signature = \"off\" and refetch = \"always\""],
    ]) {
        let steps: Vec<&str> =
            way["steps"].as_array().expect("steps").iter().filter_map(Value::as_str).collect();
        assert!(steps.iter().any(|step| step.contains(url)), "{way}");
        assert!(steps.iter().all(|step| run.stderr.contains(step) && !step.contains("{url}")), "{run}");
        for part in parts {
            assert!(steps.iter().any(|step| step.contains(part)), "{part}: {way}");
        }
    }
    assert_eq!(ways.len(), 2);
}

#[test]
fn every_command_explains_itself() {
    let setup = small();
    for command in COMMANDS {
        for flag in ["--help", "-h"] {
            let run = setup.raw(&[command, &[flag]].concat()).exits(0);
            assert!(run.stdout.contains("Usage: host-runner"), "{run}");
            assert!(run.stderr.is_empty(), "{run}");
        }
    }
    let help = setup.raw(&["--help"]).exits(0).stdout;
    for command in COMMANDS.iter().filter(|command| command.len() == 1) {
        assert!(help.contains(&format!("\n  {}", command[0])), "{} is not listed", command[0]);
    }
    assert!(help.contains("Exit codes:"));
}

#[test]
fn a_wrong_command_line_exits_with_2_and_says_what_would_be_right() {
    let setup = small();
    for words in [["snyc"].as_slice(), &["sync", "--fulll"], &["sync", "extra"], &["authorize"], &[]] {
        let run = setup.raw(words).exits(2);
        assert!(run.stdout.is_empty() && run.stderr.contains("Usage"), "{run}");
    }
    assert!(setup.raw(&["snyc"]).stderr.contains("sync"), "a similar word is suggested");
}

#[test]
fn versions_are_printed() {
    let run = small().raw(&["--version"]).exits(0);
    assert!(run.stdout.starts_with("host-runner "), "{run}");
}

/// Members that `--json` promises, by JSON pointer.
#[track_caller]
fn holds(value: &Value, pointers: &[&str]) {
    for pointer in pointers {
        assert!(value.pointer(pointer).is_some(), "no {pointer} in {value}");
    }
}

#[test]
fn every_json_output_is_one_value_with_the_promised_members() {
    let setup = Setup::authorized(30);
    let json = |words: &[&str]| {
        let run = setup.host(&[words, &["--json"]].concat()).exits(0);
        assert!(run.stderr.is_empty(), "stderr is quiet when all is well: {run}");
        assert_eq!(run.stdout.lines().count(), 1, "{run}");
        run.json()
    };
    holds(
        &json(&["inspect"]),
        &[
            "/name",
            "/version",
            "/contract",
            "/sha256",
            "/imports/0",
            "/exports/0",
            "/hosts/0",
            "/limits/memory_bytes",
        ],
    );
    holds(
        &json(&["spec"]),
        &[
            "/name",
            "/configuration/properties",
            "/authorization/scope_text",
            "/hosts/0/name",
            "/tables/0/name",
            "/commands",
        ],
    );
    holds(&json(&["spec", "--docs"]), &["/language", "/help"]);
    holds(&json(&["init"]), &["/connection_file"]);
    holds(&json(&["completions", "bash"]), &["/shell", "/script"]);
    holds(
        &json(&["check"]),
        &["/connection", "/exit", "/items/0/name", "/items/0/outcome", "/items/0/message"],
    );
    holds(
        &json(&["discover"]),
        &["/connection", "/tables/0/name", "/tables/0/primary_key/0", "/tables/0/schema/properties"],
    );
    holds(&json(&["count"]), &["/connection", "/tables/0/table", "/tables/0/rows"]);
    let sync = json(&["sync"]);
    holds(
        &sync,
        &[
            "/connection",
            "/exit",
            "/interrupted",
            "/elapsed_ms",
            "/requests",
            "/credits_used",
            "/credits_left",
            "/rows/inserted",
        ],
    );
    holds(
        &sync,
        &[
            "/tables/0/table",
            "/tables/0/ending",
            "/tables/0/rows/read",
            "/tables/0/batches",
            "/tables/0/warnings",
        ],
    );
    assert_eq!(sync["requests"].as_u64().map(|n| n > 30), Some(true));
    holds(
        &json(&["state", "show"]),
        &["/connection", "/authorized", "/sink", "/tables/0/table", "/tables/0/cursor", "/tables/0/complete"],
    );
    holds(&json(&["state", "reset"]), &["/connection", "/reset/0"]);
    json(&["invoke", "list-departments"]);
}

#[test]
fn failures_as_json_are_data_too() {
    let setup = small();
    let run = setup.host(&["sync", "--json"]).exits(4);
    holds(&run.json(), &["/error/kind", "/error/message", "/error/hint", "/error/code", "/error/origin"]);
    assert_eq!(run.json()["error"]["exit"], 4);
    let run = setup.raw(&["sync", "--json"]).exits(2);
    assert_eq!(run.json()["error"]["origin"], "usage");
}

#[test]
fn errors_go_to_stderr_and_data_to_stdout() {
    let setup = small();
    let run = setup.host(&["sync"]).exits(4);
    assert!(run.stdout.is_empty() && run.stderr.starts_with("error: "), "{run}");
    setup.authorize();
    let run = setup.sync();
    assert!(run.stderr.is_empty() && run.stdout.starts_with("table"), "{run}");
}

#[test]
fn the_file_that_init_writes_works_once_it_is_filled_in() {
    let setup = small();
    let printed = setup.raw(&["init", "--data", "D"]).exits(0).stdout;
    toml::from_str::<toml::Table>(&printed).expect("what `init` prints is TOML");
    setup.raw(&["init", "-o", "acme.toml", "--data", "D"]).exits(0);
    let again = setup.raw(&["init", "-o", "acme.toml", "--data", "D"]);
    assert_ne!(again.code(), 0, "a file is not overwritten");
    setup.raw(&["init", "-o", "acme.toml", "--force", "--data", "D"]).exits(0);
    let written = std::fs::read_to_string(setup.path("acme.toml")).expect("the file");
    let table: toml::Table = written.parse().expect("TOML");
    assert_eq!(table["name"].as_str(), Some("acme"));
    for key in ["organization_id", "client_id", "client_secret", "ticket_detail", "data_center", "desk_url"] {
        assert!(written.contains(key), "{key} is not explained");
    }
    // A person fills in the required keys and the address of the simulator.
    let options = setup.simulator.options().clone();
    let (url, mut filled) = (setup.simulator.url(), String::new());
    for line in written.lines() {
        let key = line.trim_start_matches(['#', ' ']).split('=').next().unwrap_or_default().trim();
        let value = match key {
            "organization_id" => &options.organization_id,
            "client_id" => &options.client_id,
            "client_secret" => &options.client_secret,
            "desk_url" | "accounts_url" => &url,
            _ => {
                filled.push_str(line);
                filled.push('\n');
                continue;
            }
        };
        filled.push_str(&format!("{key} = {value:?}\n"));
    }
    let table: toml::Table = filled.parse().unwrap_or_else(|error| panic!("{error}\n{filled}"));
    let allowed = table.get("egress").and_then(|egress| egress.get("allow"));
    assert!(allowed.is_none(), "nothing is allowed by default:\n{filled}");
    let allow = format!("[egress]\nallow = [{:?}]\n", url.trim_start_matches("http://"));
    let filled = filled.replace("[egress]\n", &allow);
    setup.write("acme.toml", &filled);
    let on = |words: &[&str]| setup.raw(&[words, &["-c", "acme.toml", "--data", "D"]].concat());
    on(&["authorize", "--code", GRANT_CODE]).exits(0);
    on(&["sync"]).exits(0);
    assert!(setup.path("acme.db").is_file(), "the target is named after the connection");
}

#[test]
fn completions_are_scripts_for_every_shell() {
    let setup = small();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let run = setup.raw(&["completions", shell]).exits(0);
        assert!(run.stdout.contains("host-runner") && run.stdout.contains("authorize"), "{shell}");
    }
    let script = setup.raw(&["completions", "bash"]).stdout;
    setup.write("complete.bash", &script);
    let parsed = Command::new("bash").arg("-n").arg(setup.path("complete.bash")).status().expect("bash");
    assert!(parsed.success());
}

#[test]
fn a_pipe_that_closes_early_ends_it_quietly() {
    let setup = small();
    let mut child = Command::new(binaries::host_runner())
        .args(["completions", "zsh"])
        .current_dir(setup.folder())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the runner");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("its end");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn inspect_shows_exactly_what_the_component_may_touch() {
    let setup = small();
    let found = setup.host(&["inspect", "--json"]).exits(0).json();
    let address = setup.simulator.url().trim_start_matches("http://").to_owned();
    assert_eq!(found["hosts"], serde_json::json!([address]));
    assert_eq!(found["allowed_by_operator"], serde_json::json!([address]));
    let names = |key: &str| {
        let list = found[key].as_array().expect(key).iter();
        let mut names: Vec<String> = list
            .map(|name| name.as_str().expect("a name").split('@').next().unwrap_or_default().to_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names("imports"), IMPORTS);
    // Without overrides the hosts are those of the data center, and no other.
    setup.reconfigure(|file| {
        file.without("desk_url").without("accounts_url").deny_all().config_text("data_center", "eu")
    });
    let found = setup.host(&["inspect", "--json"]).exits(0).json();
    let mut hosts: Vec<&str> =
        found["hosts"].as_array().expect("hosts").iter().filter_map(Value::as_str).collect();
    hosts.sort_unstable();
    assert_eq!(hosts, ["accounts.zoho.eu:443", "desk.zoho.eu:443"]);
}

#[test]
fn spec_prints_the_scopes_to_paste() {
    let setup = small();
    let spec = setup.raw(&["spec", "--json", "--data", "D"]).exits(0).json();
    let text = spec["authorization"]["scope_text"].as_str().expect("scope_text");
    let listed: Vec<&str> = text.split(',').collect();
    let shown = setup.raw(&["spec", "--data", "D"]).exits(0).stdout;
    for table in spec["tables"].as_array().expect("tables") {
        let group = table["group"].as_str().expect("a group");
        let more = spec["authorization"]["group_scope_text"][group].as_str().unwrap_or_default();
        for scope in table["scopes"].as_array().expect("scopes") {
            let scope = scope.as_str().expect("a scope");
            let is_listed = listed.contains(&scope) || more.split(',').any(|other| other == scope);
            assert!(is_listed, "{scope} of {} is not in {text} or {more}", table["name"]);
        }
        assert!(shown.contains(&format!("Tables: {group} (")) && shown.contains(more), "{shown}");
        assert!(table["first_read_credits"].as_u64().is_some_and(|credits| credits > 0), "{table}");
    }
    assert!(shown.contains(text));
}

#[test]
fn the_scopes_that_spec_prints_suffice_and_the_others_fail_without_them() {
    let spec = small().raw(&["spec", "--json", "--data", "D"]).exits(0).json();
    let text = spec["authorization"]["scope_text"].as_str().expect("scope_text").to_owned();
    let all: Vec<String> = text.split(',').map(str::to_owned).collect();
    let outcome = |scopes: Vec<String>| {
        let options = Options { sizes: sizes(5), scopes: Some(scopes), ..Options::default() };
        let setup = Setup::with(options, |file| file.config("tables", &tables_as_toml()));
        setup.authorize();
        // The second sync follows changes, which is what the search scope is for.
        setup.host(&["sync"]).code().max(setup.host(&["sync"]).code())
    };
    assert_eq!(outcome(all.clone()), 0, "{text}");
    // Of `basic` and `settings` either lets departments be read; the others have no substitute.
    for scope in all.iter().filter(|scope| *scope != "Desk.basic.READ") {
        let rest = all.iter().filter(|other| *other != scope).cloned().collect();
        assert_ne!(outcome(rest), 0, "{scope} is asked for and not needed");
    }
}

#[test]
fn count_equals_the_truth() {
    let setup = Setup::authorized(137);
    let counted = setup.host(&["count", "--json"]).exits(0).json();
    let truths = truths(&setup.simulator, true);
    let mut known = 0;
    for table in counted["tables"].as_array().expect("tables") {
        let Some(rows) = table["rows"].as_u64() else { continue };
        let live = truths[table["table"].as_str().expect("a name")].values().flatten().count();
        assert_eq!(rows, live as u64, "{table}");
        known += 1;
    }
    assert!(known >= 2, "tickets and departments can be counted: {counted}");
}

#[test]
fn a_reset_reads_from_the_start_and_keeps_the_rows() {
    let setup = Setup::authorized(120);
    setup.sync();
    let before = setup.requests_to("GET /tickets/{id}");
    setup.host(&["state", "reset", "--table", "tickets"]).exits(0);
    let shown = setup.host(&["state", "show", "--json"]).exits(0).json();
    let tickets =
        shown["tables"].as_array().expect("tables").iter().find(|table| table["table"] == "tickets");
    assert!(tickets.expect("tickets")["cursor"].is_null(), "{shown}");
    check_sqlite(&setup, &truths(&setup.simulator, true), &std::collections::BTreeMap::new());
    setup.sync();
    assert_eq!(setup.requests_to("GET /tickets/{id}") - before, 120);
    setup.host(&["state", "reset", "--session"]).exits(0);
    setup.host(&["sync"]).exits(4);
}

#[test]
fn a_command_sends_the_source_no_requests_but_its_own() {
    let setup = small();
    let requests_of = |words: &[&str]| {
        let before = setup.requests();
        setup.host(words).exits(0);
        setup.requests() - before
    };
    assert_eq!(requests_of(&["authorize", "--code", GRANT_CODE]), 1, "the exchange of the code");
    let url = ["webhook", "url", "--rotate", "--grace", "1h"];
    for words in [&["state", "show"][..], &["state", "reset"], &url, &["state", "reset", "--session"]] {
        assert_eq!(requests_of(words), 0, "{words:?}");
    }
    assert!(!setup.path("out.db").exists(), "a sink was created");
}

#[test]
fn original_table_names_are_accepted() {
    let setup = Setup::authorized(20);
    let aliases = ["Tickets", "Departments", "Products", "OrganizationFields", "Contracts"];
    for alias in aliases {
        let run = setup.host(&["sync", "--table", alias, "--json"]).exits(0).json();
        let tables = run["tables"].as_array().expect("tables");
        assert_eq!(tables.len(), 1, "{alias}");
        assert!(TABLES.contains(&tables[0]["table"].as_str().expect("a name")), "{alias}");
    }
    setup.host(&["count", "--table", "Tickets"]).exits(0);
    setup.host(&["state", "reset", "--table", "tickets"]).exits(0);
    setup.reconfigure(|file| file.config("tables", r#"["Tickets", "Departments"]"#));
    let run = setup.host(&["sync", "--json"]).exits(0).json();
    assert_eq!(run["tables"].as_array().map(Vec::len), Some(2), "aliases in the configuration: {run}");
}

#[test]
fn a_code_comes_from_stdin_and_from_a_grant_as_well() {
    let setup = Setup::new(Options { sizes: sizes(5), grant_code_reusable: true, ..Options::default() });
    let flags = ["-c", "a.toml", "--data", "D"];
    let input = format!("{GRANT_CODE}\n");
    let stdin = [["authorize", "--code-file", "-"].as_slice(), &flags].concat();
    setup.raw_with_input(&stdin, input.as_bytes()).exits(0);
    let grant = format!(r#"{{"code":"{GRANT_CODE}"}}"#);
    setup.host(&["authorize", "--grant", &grant]).exits(0);
    setup.sync();
}

#[test]
fn the_simulator_as_a_program_serves_the_same() {
    let mut simulator = Command::new(binaries::desk_simulator())
        .args(["--tickets", "25", "--port", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the simulator");
    let mut line = String::new();
    let stdout = simulator.stdout.take().expect("stdout");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).expect("its address");
    let url = line.trim().trim_start_matches("listening on ").to_owned();
    let setup = small();
    let file = crate::support::ConnectionFile::at(&url, &Options::default());
    setup.write("a.toml", &file.render());
    let authorized = setup.host(&["authorize", "--code", GRANT_CODE]);
    let synced = setup.host(&["sync", "--json"]);
    simulator.kill().expect("its end");
    simulator.wait().expect("its end");
    authorized.exits(0);
    let report = synced.exits(0).json();
    assert!(report["rows"]["inserted"].as_u64() > Some(25), "{report}");
}
