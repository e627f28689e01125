//! The truth of a table as the target should hold it, without a call of the API: the API is unkind.

use desk_simulator::Simulator;
use serde_json::Value;

use crate::compare::expected::truth_of_conversations;
use crate::compare::{Truth, truth};

/// The truth of a table, with the members that the connector adds.
pub(crate) fn truth_of(simulator: &Simulator, table: &str) -> Truth {
    match table {
        "contacts" => contacts(simulator),
        "ticket_conversations" => truth_of_conversations(simulator),
        table => truth(simulator, table, true),
    }
}

/// Contacts with the members of `include=accounts`.
fn contacts(simulator: &Simulator) -> Truth {
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
