//! Meltano into files and PostgreSQL.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use postgres_server::{Durability, Server};
use serde_json::Value;

use super::singer::in_files;
use super::{
    DOCUMENTED, change_documented, documented, documented_truths, program, run, run_beside, script, snippet,
};
use crate::compare::json_rows;
use crate::compare::messages::Received;
use crate::messages::change_tickets;
use crate::support::{ConnectionFile, Setup};

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
