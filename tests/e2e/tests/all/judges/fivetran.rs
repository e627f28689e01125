//! Fivetran's SDK into DuckDB.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json;

use super::{
    DOCUMENTED, PART, change_documented, documented, documented_of, documented_truths, in_duckdb,
    keeps_a_part, program, run, script, snake_case, write_documented_of,
};
use crate::compare::messages::Received;
use crate::support::Setup;

#[test]
fn the_documented_fivetran_connector_keeps_rows_of_a_table_that_is_not_read_whole() {
    let Some(fivetran) = program("fivetran", "fivetran") else { return };
    let setup = documented_of(20, &PART);
    write_fivetran(&setup, &PART);
    keeps_a_part(&setup, |_| loaded_by_fivetran(&setup, &fivetran, &PART));
}

/// Writes the documented connector, and the files that it needs.
fn write_fivetran(setup: &Setup, tables: &[&str]) {
    script(setup, "source-zoho-desk", "airbyte");
    write_documented_of(setup, "fivetran", "connector.py", tables);
    setup.write("requirements.txt", "");
    let config = std::fs::read_to_string(setup.path("config.json")).expect("a file");
    setup.write("configuration.json", &json!({"config": config}).to_string());
}

/// The words of a run of Fivetran's SDK.
const DEBUG: [&str; 3] = ["debug", "--configuration", "configuration.json"];

fn loaded_by_fivetran(setup: &Setup, fivetran: &Path, tables: &[&str]) -> Received {
    run(setup, fivetran, &DEBUG).exits(0);
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
fn the_documented_fivetran_connector_fails_for_a_table_that_is_not_there() {
    let Some(fivetran) = program("fivetran", "fivetran") else { return };
    let setup = documented_of(5, &["departments"]);
    write_fivetran(&setup, &["departments", "nothing"]);
    let run = run(&setup, &fivetran, &DEBUG);
    assert!(!run.status.success() && format!("{run}").contains("'nothing'"), "{run}");
}

#[test]
fn the_documented_fivetran_connector_says_that_the_runner_was_killed() {
    let Some(fivetran) = program("fivetran", "fivetran") else { return };
    let setup = documented_of(5, &["departments"]);
    write_fivetran(&setup, &["departments"]);
    let text = std::fs::read_to_string(setup.path("source-zoho-desk")).expect("a script");
    let killed = "if [ \"$1\" = read ]; then printf '{\"type\": \"REC'; kill -9 $$; fi\nexec ";
    setup.write("source-zoho-desk", &text.replacen("exec ", killed, 1));
    let run = run(&setup, &fivetran, &DEBUG);
    assert!(!run.status.success() && format!("{run}").contains("exit code -9"), "{run}");
}
