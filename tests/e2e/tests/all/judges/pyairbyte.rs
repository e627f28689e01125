//! PyAirbyte into DuckDB, and `pyab validate`.

use std::collections::{BTreeMap, BTreeSet};

use desk_simulator::Rule;

use super::{
    DOCUMENTED, PART, change_documented, documented, documented_of, documented_truth, documented_truths,
    in_duckdb, keeps_a_part, program, run, script, write_documented, write_documented_of,
};
use crate::compare::messages::Received;
use crate::messages::portal;

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

#[test]
fn the_documented_pyairbyte_program_reads_tables_of_either_kind_alone_and_once() {
    let Some(python) = program("pyairbyte", "python") else { return };
    let setup = documented(60);
    script(&setup, "source-zoho-desk", "airbyte");
    let tries = 5;
    write_documented_of(&setup, "pyairbyte", "desk_airbyte.py", &["departments"]);
    run(&setup, &python, &["desk_airbyte.py"]).exits(0);
    let before = setup.requests_to("GET /tickets/{id}");
    assert!(before < tries, "{before} details for departments");
    write_documented_of(&setup, "pyairbyte", "desk_airbyte.py", &["tickets"]);
    run(&setup, &python, &["desk_airbyte.py"]).exits(0);
    let details = setup.requests_to("GET /tickets/{id}") - before;
    assert!((60..60 + tries).contains(&details), "{details} details");
    for table in ["departments", "tickets"] {
        let received = in_duckdb(&setup, &python, Received::folding_case(), "desk.duckdb", "main", table);
        let truths = BTreeMap::from([(table, documented_truth(&setup, table))]);
        received.check(&setup, &truths, &BTreeSet::new());
    }
}

#[test]
fn the_documented_pyairbyte_program_keeps_the_tables_before_one_that_fails() {
    let Some(python) = program("pyairbyte", "python") else { return };
    let setup = documented_of(40, &["contacts", "tickets"]);
    script(&setup, "source-zoho-desk", "airbyte");
    write_documented_of(&setup, "pyairbyte", "desk_airbyte.py", &["contacts", "tickets"]);
    // Of more than the row that `check` reads.
    let refused = Rule::new("/tickets", 403).code("FORBIDDEN");
    setup.simulator.add_rule(Rule { query: "limit=100".into(), ..refused });
    let mut details = Vec::new();
    for code in [1, 0] {
        let run = run(&setup, &python, &["desk_airbyte.py"]).exits(code);
        assert!(code == 0 || run.stderr.contains("table `tickets`"), "{run}");
        details.push(setup.requests_to("GET /contacts/{id}"));
        setup.simulator.heal();
    }
    assert!(details[0] >= 40 && details[1] < details[0] + 10, "contacts are read once: {details:?}");
    let received = in_duckdb(&setup, &python, Received::folding_case(), "desk.duckdb", "main", "tickets");
    let truths = BTreeMap::from([("tickets", documented_truth(&setup, "tickets"))]);
    received.check(&setup, &truths, &BTreeSet::new());
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

#[test]
fn pyairbyte_validates_the_connector() {
    let Some(pyab) = program("pyairbyte", "pyab") else { return };
    let setup = portal(20);
    let source = script(&setup, "source-desk", "airbyte");
    run(&setup, &pyab, &["validate", &format!("--connector={source}"), "--config=config.json"]).exits(0);
}
