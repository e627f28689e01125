//! The truth as the simulator tells it.

use std::collections::BTreeMap;

use desk_simulator::{Simulator, TruthQuery};
use serde_json::{Map, Value};

/// The tables of the connector.
pub(crate) const TABLES: [&str; 5] = ["departments", "organization_fields", "products", "contracts", "tickets"];

/// A row that lives, or none of one that is gone.
pub(crate) type Row = Option<Map<String, Value>>;

/// Rows by id.
pub(crate) type Truth = BTreeMap<String, Row>;

/// The truth of one table.
pub(crate) fn truth(simulator: &Simulator, table: &str, detail: bool) -> Truth {
    let query = TruthQuery { detail, omit: Vec::new() };
    let lines = simulator.truth(table, query).expect("a table of the simulator");
    let parse = |line: &String| {
        let line: Value = serde_json::from_str(line).expect("a line of the truth");
        let id = line["id"].as_str().expect("an id").to_owned();
        (id, line["row"].as_object().cloned())
    };
    lines.iter().map(parse).collect()
}

/// The truth of all tables.
pub(crate) fn truths(simulator: &Simulator, ticket_detail: bool) -> BTreeMap<&'static str, Truth> {
    TABLES.into_iter().map(|table| (table, truth(simulator, table, ticket_detail))).collect()
}

/// Tickets as the list shows them, with some custom fields of their details; a field that a ticket's layout
/// lacks is null, as lists with `fields` show it.
pub(crate) fn truth_with_custom_fields(simulator: &Simulator, keys: &[&str]) -> Truth {
    let details = truth(simulator, "tickets", true);
    let mut listed = truth(simulator, "tickets", false);
    for (id, row) in &mut listed {
        let (Some(row), Some(Some(detail))) = (row, details.get(id)) else { continue };
        let all = detail["cf"].as_object().expect("cf");
        let chosen =
            keys.iter().map(|key| ((*key).to_owned(), all.get(*key).cloned().unwrap_or(Value::Null)));
        row.insert("cf".to_owned(), Value::Object(chosen.collect()));
    }
    listed
}
