//! The truth as the simulator reports it.

use std::collections::BTreeMap;

use desk_simulator::{Simulator, TruthQuery};
use serde_json::{Map, Value};

use super::contacts::truth_of_contacts;
use crate::support::tables;

/// The tables that most tests of this folder read, because they take few requests. A new table need not be
/// here: [`truth_of_all`] has every table of the connector.
pub(crate) const TABLES: [&str; 5] =
    ["departments", "organization_fields", "products", "contracts", "tickets"];

/// A live row; none for a deleted one.
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

/// The truth of [`TABLES`].
pub(crate) fn truths(simulator: &Simulator, ticket_detail: bool) -> BTreeMap<&'static str, Truth> {
    TABLES.into_iter().map(|table| (table, truth(simulator, table, ticket_detail))).collect()
}

/// The truth of every table of the connector, tickets with detail.
pub(crate) fn truth_of_all(simulator: &Simulator) -> BTreeMap<&'static str, Truth> {
    let of = |table| match table {
        "contacts" => truth_of_contacts(simulator),
        "ticket_conversations" => truth_of_conversations(simulator),
        _ => truth(simulator, table, true),
    };
    tables().iter().map(|table| (*table, of(table))).collect()
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

/// Threads and comments, with the members that the connector adds so that both fit one table.
pub(crate) fn truth_of_conversations(simulator: &Simulator) -> Truth {
    let mut conversations = truth(simulator, "ticket_conversations", true);
    for row in conversations.values_mut().flatten() {
        let Some(commenter) = row.get("commenter").cloned() else {
            row.insert("kind".to_owned(), "thread".into());
            continue;
        };
        let visibility = if row["isPublic"] == true { "public" } else { "private" };
        let written = row["commentedTime"].clone();
        row.insert("kind".to_owned(), "comment".into());
        row.insert("author".to_owned(), commenter);
        row.insert("createdTime".to_owned(), written);
        row.insert("visibility".to_owned(), visibility.into());
    }
    conversations
}
