//! dlt into DuckDB.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{
    DOCUMENTED, PART, change_documented, documented, documented_of, documented_truths, in_duckdb,
    keeps_a_part, program, run, script, snake_case, write_documented, write_documented_of,
};
use crate::compare::messages::Received;
use crate::support::Setup;

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
