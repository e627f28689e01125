//! The truth as the simulator reports it.

use std::collections::BTreeMap;

use desk_simulator::{Simulator, TruthQuery};
use serde_json::{Map, Value};

/// The tables that most tests read; the connection file names them.
pub(crate) const TABLES: [&str; 5] =
    ["departments", "organization_fields", "products", "contracts", "tickets"];

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

/// Contacts: details with the members of `include=accounts`.
pub(crate) fn truth_of_contacts(simulator: &Simulator) -> Truth {
    let accounts = truth(simulator, "accounts", true);
    let mut contacts = truth(simulator, "contacts", true);
    for row in contacts.values_mut().flatten() {
        let id = row["accountId"].as_str().unwrap_or_default();
        let account = accounts.get(id).and_then(Option::as_ref).map(|account| {
            let members = ["id", "accountName", "website"];
            members.map(|key| (key.to_owned(), account[key].clone())).into_iter().collect()
        });
        row.insert("account".to_owned(), account.map_or(Value::Null, Value::Object));
    }
    contacts
}

/// Threads and comments, with the members that the connector adds so that both fit one table.
pub(crate) fn truth_of_conversations(simulator: &Simulator) -> Truth {
    let mut talks = truth(simulator, "ticket_conversations", true);
    for row in talks.values_mut().flatten() {
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
    talks
}
