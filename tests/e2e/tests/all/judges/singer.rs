//! `singer-check-tap`, and target-jsonl behind a pipe.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use desk_simulator::Rule;
use serde_json::Value;

use super::{DOCUMENTED, documented_of, program, run_beside, script, snippet};
use crate::compare::messages::Received;
use crate::compare::{TABLES, truths};
use crate::messages::{change_tickets, portal};
use crate::support::Setup;
use crate::support::process::Running;

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
    let setup = documented_of(60, &DOCUMENTED);
    script(&setup, "tap-zoho-desk", "singer");
    setup.write("commands", &format!("set -e\n{}", snippet("singer")));
    let mut details = Vec::new();
    for _ in 0..2 {
        run_beside(&setup, &[&target], Path::new("/bin/sh"), &["commands"], &BTreeMap::new()).exits(0);
        details.push(setup.requests_to("GET /tickets/{id}"));
    }
    assert!(details[0] > 0 && details[0] == details[1], "the second run continues: {details:?}");
    let state = std::fs::read_to_string(setup.path("state.json")).expect("a state");
    let newest = state.lines().last().expect("a line");
    assert!(serde_json::from_str::<Value>(newest).is_ok_and(|state| state.is_object()), "{state}");
}

#[test]
fn the_documented_singer_commands_keep_the_state_when_a_run_fails() {
    let Some(target) = program("target-jsonl", "target-jsonl") else { return };
    let setup = documented_of(60, &DOCUMENTED);
    script(&setup, "tap-zoho-desk", "singer");
    setup.write("commands", &snippet("singer"));
    let run = || run_beside(&setup, &[&target], Path::new("/bin/sh"), &["commands"], &BTreeMap::new());
    run().exits(0);
    let details = setup.requests_to("GET /tickets/{id}");
    assert!(details >= 60, "{details} details");
    // Every list and search, so that no table has a state; then tables cannot be discovered either.
    for paths in [["/tickets/search", "/departments"].as_slice(), &["/*"]] {
        for path in paths {
            setup.simulator.add_rule(Rule::new(path, 403).code("FORBIDDEN"));
        }
        let failed = run();
        assert!(failed.stderr.contains("error: "), "{failed}");
        setup.simulator.heal();
    }
    run().exits(0);
    assert_eq!(setup.requests_to("GET /tickets/{id}"), details, "no ticket is read again");
}

/// The rows that target-jsonl wrote.
pub(super) fn in_files(setup: &Setup, tables: &[&str]) -> Received {
    let mut received = Received::default();
    for table in tables {
        let text = std::fs::read_to_string(setup.path(&format!("rows/{table}.jsonl"))).unwrap_or_default();
        for line in text.lines() {
            received.row(table, serde_json::from_str(line).expect("JSON"));
        }
    }
    received
}
