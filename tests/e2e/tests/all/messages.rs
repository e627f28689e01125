//! `airbyte` and `singer` as a tool calls them: specification, catalog, rows equal to the truth over several
//! runs, kills, errors, and no secret in any output.

use std::collections::BTreeSet;

use desk_simulator::{GRANT_CODE, Options, Rule, Settings};
use serde_json::{Value, json};

use crate::compare::messages::Received;
use crate::compare::{TABLES, truth, truths};
use crate::hosts;
use crate::support::http::request;
use crate::support::process::Run;
use crate::support::{ConnectionFile, Setup, sizes, wait_until};

/// What a tool's configuration of a simulator is; the connection file only permits loopback.
fn tool(options: Options) -> Setup {
    let setup = Setup::new(options);
    let host = setup.simulator.url().trim_start_matches("http://").to_owned();
    setup.write("a.toml", &ConnectionFile::empty().allow(&host).set("batch.max_rows", 60).render());
    let config = config(&setup);
    setup.write("config.json", &config.to_string());
    // For the columns that the truth is compared by.
    setup.write("same.toml", &ConnectionFile::of(&setup.simulator).named("same").render());
    let words = ["authorize", "--code", GRANT_CODE, "-c", "same.toml", "--data", "D"];
    setup.raw(&words).exits(0);
    setup
}

/// A portal of so many tickets, and a tool's configuration of it.
pub(crate) fn portal(tickets: u32) -> Setup {
    tool(Options { sizes: sizes(tickets), ..Options::default() })
}

fn config(setup: &Setup) -> Value {
    let mut config = hosts::config(setup);
    config["grant"] = json!({"refresh_token": refresh_token(setup)});
    config
}

/// A refresh token, as the source's console gives it for a code.
fn refresh_token(setup: &Setup) -> String {
    let (url, options) = (setup.simulator.url(), setup.simulator.options());
    let code = json!({"code": "1000.tool", "reusable": true}).to_string();
    assert_eq!(request("POST", &format!("{url}/_admin/codes"), &[], code.as_bytes()).status, 200);
    let exchange = format!(
        "{url}/oauth/v2/token?grant_type=authorization_code&code=1000.tool&client_id={}&client_secret={}",
        options.client_id, options.client_secret
    );
    let answer: Value = serde_json::from_str(&request("POST", &exchange, &[], b"").body).expect("JSON");
    answer["refresh_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// A configured catalog of these tables.
fn catalog(tables: &[&str], mode: &str) -> String {
    let stream = |table: &&str| {
        json!({"stream": {"name": table, "json_schema": {}, "namespace": null}, "sync_mode": mode,
               "destination_sync_mode": "overwrite", "cursor_field": null, "primary_key": null})
    };
    json!({"streams": tables.iter().map(stream).collect::<Vec<_>>()}).to_string()
}

/// One run of `airbyte read`, as PyAirbyte makes it.
fn read(setup: &Setup, received: &mut Received, mode: &str) -> Run {
    setup.write("catalog.json", &catalog(&TABLES, mode));
    setup.write("state.json", &received.airbyte_state().to_string());
    let run = setup.host(&READ);
    received.traces.clear();
    received.apply(&run.stdout);
    run
}

const READ: [&str; 8] =
    ["airbyte", "read", "--config", "config.json", "--catalog", "catalog.json", "--state", "state.json"];

fn mutate(setup: &Setup, mutation: Value) {
    setup.simulator.mutate(mutation.clone()).unwrap_or_else(|error| panic!("{mutation}: {error}"));
}

fn live(setup: &Setup, table: &str) -> Vec<String> {
    truth(&setup.simulator, table, true).into_iter().filter_map(|(id, row)| row.map(|_| id)).collect()
}

/// Edits, creates, deletes and restores tickets; the ids that an incremental read finds.
pub(crate) fn change_tickets(setup: &Setup) -> BTreeSet<String> {
    let tickets = live(setup, "tickets");
    for (index, id) in tickets.iter().step_by(9).enumerate() {
        let values = json!({"subject": format!("changed {index} 🎈"), "priority": null});
        mutate(setup, json!({"op": "update", "table": "tickets", "id": id, "values": values}));
    }
    for number in 0..20 {
        let values = json!({"subject": format!("new {number}")});
        mutate(setup, json!({"op": "create", "table": "tickets", "values": values}));
    }
    mutate(setup, json!({"op": "moveToTrash", "table": "tickets", "id": tickets[1]}));
    mutate(setup, json!({"op": "moveToTrash", "table": "tickets", "id": tickets[2]}));
    mutate(setup, json!({"op": "restore", "table": "tickets", "id": tickets[2]}));
    let known: BTreeSet<String> = tickets.iter().cloned().collect();
    let new = live(setup, "tickets").into_iter().filter(|id| !known.contains(id));
    tickets.iter().step_by(9).cloned().chain([tickets[2].clone()]).chain(new).collect()
}

#[test]
fn a_tool_learns_specification_connection_and_tables() {
    let setup = portal(20);
    let mut config = config(&setup);
    // Forms leave null in fields that were not filled in.
    (config["sort"], config["grant"]["code"]) = (Value::Null, Value::Null);
    setup.write("config.json", &config.to_string());
    let spec = setup.host(&["airbyte", "spec"]).exits(0).json();
    let schema = &spec["spec"]["connectionSpecification"];
    assert_eq!(schema["properties"]["client_secret"]["airbyte_secret"], true);
    assert_eq!(schema["properties"]["grant"]["properties"]["refresh_token"]["airbyte_secret"], true);
    let check = setup.host(&["airbyte", "check", "--config", "config.json"]).exits(0).json();
    assert_eq!(check["connectionStatus"], json!({"status": "SUCCEEDED"}));
    let discovered = setup.host(&["airbyte", "discover", "--config", "config.json"]).exits(0).json();
    let streams = discovered["catalog"]["streams"].as_array().expect("streams");
    assert_eq!(
        streams.iter().map(|stream| stream["name"].as_str().expect("a name")).collect::<Vec<_>>(),
        TABLES
    );
    for stream in streams {
        assert!(stream["json_schema"]["properties"]["id"].is_object(), "{stream}");
        assert_eq!(stream["source_defined_primary_key"], json!([["id"]]));
    }
    let modes = |at: usize| streams[at]["supported_sync_modes"].as_array().expect("modes").len();
    assert_eq!((modes(0), modes(4)), (1, 2), "departments have no incremental read, tickets have");
}

#[test]
fn two_reads_of_airbyte_equal_the_truth_after_edits_and_deletes() {
    let setup = portal(400);
    let mut received = Received::default();
    read(&setup, &mut received, "incremental").exits(0);
    received.check(&setup, &truths(&setup.simulator, true), &BTreeSet::new());
    assert_eq!(received.statuses("tickets"), ["STARTED", "RUNNING", "COMPLETE"]);
    let estimate = |trace: &&Value| trace["estimate"]["name"] == "tickets";
    let estimate = received.traces.iter().find(estimate).expect("an estimate");
    assert_eq!(estimate["estimate"]["row_estimate"], 400);
    let changed = change_tickets(&setup);
    let (tokens, details) =
        (setup.requests_to("POST /oauth/v2/token"), setup.requests_to("GET /tickets/{id}"));
    let records = received.records;
    // Only the state is left of the first run.
    std::fs::remove_dir_all(setup.path("D/demo")).ok();
    read(&setup, &mut received, "incremental").exits(0);
    received.check(&setup, &truths(&setup.simulator, true), &changed);
    assert_eq!(setup.requests_to("POST /oauth/v2/token"), tokens, "the session of the state is used");
    assert!(setup.requests_to("GET /tickets/{id}") - details < 150, "only what changed is read again");
    assert!(received.records - records < 250, "only what changed is written again");
}

#[test]
fn rows_that_change_while_they_are_read_follow_in_the_next_run() {
    let settings = Settings { latency_ms: 1, ..Settings::default() };
    let setup = tool(Options { sizes: sizes(600), settings, ..Options::default() });
    setup.write("catalog.json", &catalog(&TABLES, "incremental"));
    setup.write("state.json", "[]");
    let mut running = setup.start(&READ);
    wait_until("details", || setup.requests_to("GET /tickets/{id}") >= 300 || running.has_ended());
    let changed = change_tickets(&setup);
    let run = setup.remember(running.wait()).exits(0);
    let mut received = Received::default();
    // Fails if a key comes twice.
    received.apply(&run.stdout);
    read(&setup, &mut received, "incremental").exits(0);
    received.check(&setup, &truths(&setup.simulator, true), &changed);
}

#[test]
fn a_full_refresh_of_airbyte_reads_every_row_again() {
    let setup = portal(120);
    let mut received = Received::default();
    read(&setup, &mut received, "full_refresh").exits(0);
    let first = received.records;
    let changed = BTreeSet::new();
    change_tickets(&setup);
    let mut again = Received::default();
    setup.write("state.json", &received.airbyte_state().to_string());
    again.apply(&setup.host(&READ).exits(0).stdout);
    again.check(&setup, &truths(&setup.simulator, true), &changed);
    assert!(again.records >= first, "{} records after {first}", again.records);
}

/// Refuses the list of contacts of a table that has a list for each module.
pub(crate) fn hide_a_part(setup: &Setup, path: &str) {
    let refused = Rule::new(path, 403).code("FORBIDDEN");
    setup.simulator.add_rule(Rule { query: "module=contacts".into(), ..refused });
}

#[test]
fn a_full_refresh_that_lacks_rows_is_incomplete_and_the_next_one_starts_again() {
    let setup = portal(20);
    let mut received = Received::default();
    read(&setup, &mut received, "full_refresh").exits(0);
    let all = truths(&setup.simulator, true);
    let table = "organization_fields";
    hide_a_part(&setup, "/organizationFields");
    let refresh = |received: &mut Received, destination: Value| {
        let stream = json!({"stream": {"name": table}, "sync_mode": "full_refresh",
                            "destination_sync_mode": destination});
        setup.write("catalog.json", &json!({"streams": [stream]}).to_string());
        setup.write("state.json", &received.airbyte_state().to_string());
        let (run, records) = (setup.host(&READ), received.records);
        (received.traces, received.logs) = (Vec::new(), Vec::new());
        received.apply(&run.stdout);
        assert!(received.records > records + 10, "all that can be read is read again\n{run}");
        run
    };
    for _ in 0..2 {
        let run = refresh(&mut received, Value::Null).exits(0);
        assert_eq!(received.statuses(table), ["STARTED", "RUNNING", "INCOMPLETE"], "{run}");
        let warns = |log: &&Value| log["message"].as_str().is_some_and(|text| text.contains("is incomplete"));
        assert_eq!(received.logs.iter().filter(warns).count(), 1, "{run}");
        received.check(&setup, &all, &BTreeSet::new());
    }
    // A tool that would replace the table fails.
    let run = refresh(&mut received, json!("overwrite")).exits(10);
    assert_eq!(received.statuses(table).last().map(String::as_str), Some("INCOMPLETE"), "{run}");
    assert_eq!(received.errors()[0].0, "config_error", "{run}");
    let message = format!("error: table `{table}`: not all of its rows could be read");
    assert_eq!(run.stderr.matches(&message).count(), 1, "{run}");
    setup.simulator.heal();
    let run = refresh(&mut received, json!("overwrite")).exits(0);
    assert_eq!(received.statuses(table), ["STARTED", "RUNNING", "COMPLETE"], "{run}");
}

/// Puts the last verification of every table that has one a week back, in the state that a tool keeps.
fn a_week_later(state: &mut Value) {
    match state {
        Value::Object(members) => {
            if let Some(Value::String(text)) = members.get_mut("cursor") {
                let mut cursor: Value = serde_json::from_str(text).expect("a cursor");
                if cursor["verified_ms"].is_u64() {
                    cursor["verified_ms"] = json!(1);
                    *text = cursor.to_string();
                }
            }
            members.values_mut().for_each(a_week_later);
        }
        Value::Array(values) => values.iter_mut().for_each(a_week_later),
        _ => {}
    }
}

#[test]
fn a_verification_leaves_the_rows_of_a_tool_as_they_are() {
    let setup = portal(40);
    let catalog = setup.host(&["singer", "--config", "config.json", "--discover"]).exits(0);
    let (mut airbyte, mut singer) = (Received::default(), Received::default());
    for run in 0..2 {
        let lists = setup.requests_to("GET /products");
        read(&setup, &mut airbyte, "incremental").exits(0);
        assert!(setup.requests_to("GET /products") > lists, "run {run} lists products");
        setup.write("catalog.json", &catalog.stdout);
        tap(&setup, &mut singer);
        for received in [&mut airbyte, &mut singer] {
            received.check(&setup, &truths(&setup.simulator, true), &BTreeSet::new());
            received.states().for_each(a_week_later);
        }
    }
}

#[test]
fn a_killed_read_continues_from_its_last_state() {
    let settings = Settings { latency_ms: 1, ..Settings::default() };
    let setup = tool(Options { sizes: sizes(1_000), settings, ..Options::default() });
    let mut received = Received::default();
    setup.write("catalog.json", &catalog(&TABLES, "full_refresh"));
    setup.write("state.json", "[]");
    let mut running = setup.start(&READ);
    wait_until("most details", || setup.requests_to("GET /tickets/{id}") >= 700 || running.has_ended());
    running.kill();
    let run = setup.remember(running.wait());
    assert!(run.was_killed());
    received.apply(&run.stdout);
    let before = setup.requests_to("GET /tickets/{id}");
    read(&setup, &mut received, "full_refresh").exits(0);
    received.check(&setup, &truths(&setup.simulator, true), &BTreeSet::new());
    let after = setup.requests_to("GET /tickets/{id}") - before;
    assert!(after <= 600, "{after} details after the kill");
}

#[test]
fn failures_are_error_traces_with_their_kind_and_an_exit_code() {
    let setup = portal(20);
    let mut received = Received::default();
    // A table that is not there.
    setup.write("catalog.json", &catalog(&["tickets", "nothing"], "incremental"));
    setup.write("state.json", "[]");
    received.apply(&setup.host(&READ).exits(6).stdout);
    assert_eq!(received.errors()[0].0, "config_error");
    assert!(received.errors()[0].1.contains("table `nothing`"), "{:?}", received.errors());
    // A table without its scope stops no other one.
    setup.simulator.set_scopes(&["Desk.basic.READ", "Desk.settings.READ", "Desk.search.READ"]);
    let run = read(&setup, &mut received, "incremental").exits(5);
    assert_eq!(received.errors()[0].0, "config_error", "{run}");
    assert_eq!(received.statuses("tickets").last().map(String::as_str), Some("INCOMPLETE"), "{run}");
    assert_eq!(received.statuses("products").last().map(String::as_str), Some("COMPLETE"), "{run}");
    assert_eq!(run.stderr.matches("error: table `tickets`: ").count(), 1, "{run}");
    // Singer has no message for it.
    let run = setup.host(&["singer", "--config", "config.json"]).exits(5);
    assert_eq!(run.stderr.matches("error: table `tickets`: ").count(), 1, "{run}");
    assert!(run.stderr.contains("hint: the grant lacks a scope") && !run.stdout.contains("hint: "), "{run}");
    // Revoked tokens.
    setup.simulator.revoke_tokens();
    let run = read(&setup, &mut received, "incremental").exits(4);
    assert_eq!(received.errors()[0].0, "config_error", "{run}");
    // A file that is no configuration.
    setup.write("config.json", "[]");
    let run = setup.host(&READ).exits(3);
    let mut received = Received::default();
    received.apply(&run.stdout);
    assert_eq!(received.errors()[0], ("config_error".into(), "--config: a JSON object is required".into()));
}

#[test]
fn a_source_that_is_down_is_a_transient_error() {
    let setup = portal(20);
    let closed =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let file = ConnectionFile::empty().allow(&closed.to_string());
    let host = setup.simulator.url().trim_start_matches("http://").to_owned();
    setup.write("a.toml", &file.allow(&host).set("retry.max_attempts", 1).render());
    let mut config = config(&setup);
    config["desk_url"] = json!(format!("http://{closed}"));
    setup.write("config.json", &config.to_string());
    let mut received = Received::default();
    let run = read(&setup, &mut received, "incremental").exits(8);
    assert_eq!(received.errors()[0].0, "transient_error", "{run}");
}

#[test]
fn a_connection_that_does_not_work_is_an_answer_of_check() {
    let setup = portal(5);
    let mut config = config(&setup);
    config["client_secret"] = json!("wrong");
    setup.write("config.json", &config.to_string());
    let status = setup.host(&["airbyte", "check", "--config", "config.json"]).exits(0).json();
    assert_eq!(status["connectionStatus"]["status"], "FAILED");
    let message = status["connectionStatus"]["message"].as_str().expect("a message");
    assert!(message.contains("client_secret"), "{message}");
}

#[test]
fn a_tools_configuration_names_no_file_of_this_machine() {
    let setup = portal(5);
    let mut config = config(&setup);
    config["client_secret_file"] = json!("/etc/passwd");
    config.as_object_mut().expect("members").remove("client_secret");
    setup.write("config.json", &config.to_string());
    let run = setup.host(&["airbyte", "discover", "--config", "config.json"]).exits(3);
    assert!(run.stderr.contains("config.client_secret_file: a file is not accepted here"), "{run}");
}

#[test]
fn no_output_of_a_tool_has_a_secret() {
    let setup = portal(30);
    let mut received = Received::default();
    let runs = [
        setup.host(&["airbyte", "check", "--config", "config.json", "-vvv"]),
        setup.host(&["singer", "--config", "config.json", "-vvv"]),
        read(&setup, &mut received, "incremental"),
    ];
    let config: Value =
        serde_json::from_str(&std::fs::read_to_string(setup.path("config.json")).expect("a file"))
            .expect("JSON");
    for secret in [&config["client_secret"], &config["grant"]["refresh_token"]] {
        let secret = secret.as_str().expect("a text");
        for run in &runs {
            assert!(!run.stdout.contains(secret) && !run.stderr.contains(secret), "{secret} in {run}");
        }
    }
    assert!(!runs.iter().any(|run| run.stdout.contains("access_token")));
}

/// One run of `singer`, as Meltano makes it.
fn tap(setup: &Setup, received: &mut Received) -> Run {
    let mut words = vec!["singer", "--config", "config.json", "--catalog", "catalog.json"];
    if let Some(state) = &received.state {
        setup.write("state.json", &state.to_string());
        words.extend(["--state", "state.json"]);
    }
    let run = setup.host(&words).exits(0);
    received.apply(&run.stdout);
    run
}

#[test]
fn two_runs_of_singer_equal_the_truth_after_edits_and_deletes() {
    let setup = portal(200);
    let catalog = setup.host(&["singer", "--config", "config.json", "--discover"]).exits(0);
    setup.write("catalog.json", &catalog.stdout);
    let mut received = Received::default();
    tap(&setup, &mut received);
    received.check(&setup, &truths(&setup.simulator, true), &BTreeSet::new());
    let changed = change_tickets(&setup);
    let tokens = setup.requests_to("POST /oauth/v2/token");
    tap(&setup, &mut received);
    received.check(&setup, &truths(&setup.simulator, true), &changed);
    assert_eq!(setup.requests_to("POST /oauth/v2/token"), tokens, "the session of the state is used");
    // No list of Zoho names a purged ticket: a full table is a snapshot, whose version leaves it out.
    mutate(&setup, json!({"op": "purge", "table": "tickets", "id": live(&setup, "tickets")[5]}));
    let mut catalog: Value = serde_json::from_str(&catalog.stdout).expect("a catalog");
    let tickets = catalog["streams"].as_array_mut().expect("streams").last_mut().expect("a stream");
    assert_eq!(tickets["tap_stream_id"], "tickets");
    tickets["metadata"][0]["metadata"]["replication-method"] = json!("FULL_TABLE");
    setup.write("catalog.json", &catalog.to_string());
    tap(&setup, &mut received);
    received.check(&setup, &truths(&setup.simulator, true), &BTreeSet::new());
}

#[test]
fn singer_refuses_a_catalog_that_is_none() {
    let setup = portal(5);
    for text in ["", "{}", "[]"] {
        setup.write("catalog.json", text);
        let run = setup.host(&["singer", "--config", "config.json", "--catalog", "catalog.json"]).exits(2);
        assert!(run.stderr.contains("error: --catalog: "), "`{text}`: {run}");
        assert!(run.stdout.is_empty(), "`{text}`: {run}");
    }
}

#[test]
fn without_a_catalog_singer_reads_every_table() {
    let setup = portal(30);
    let mut received = Received::default();
    received.apply(&setup.host(&["singer", "--config", "config.json"]).exits(0).stdout);
    assert_eq!(received.schemas.len(), TABLES.len());
    received.check(&setup, &truths(&setup.simulator, true), &BTreeSet::new());
}
