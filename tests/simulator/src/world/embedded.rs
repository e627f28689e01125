//! Objects that rows embed from other records: the contact of a ticket, the owner of an account.

use serde_json::{Value, json};

use crate::json;
use crate::world::World;
use crate::world::table::{Row, Table, project};
use crate::world::ticket::NONE;

impl World {
    /// Appends a contact as tickets include it, with its account; null when there is none.
    pub(crate) fn embedded_contact(&self, out: &mut Vec<u8>, at: u32) {
        let Some(row) = self.contacts.rows.get(at as usize) else {
            return out.extend_from_slice(b"null");
        };
        self.contacts.cached_embedded().append(at as usize, out, |out| {
            let account = self.accounts.position(row.text("accountId"));
            let account = account.map_or(Value::Null, |at| account_summary(&self.accounts.rows[at]));
            let get = |key: &str| row.values.get(key);
            let contact = json!({
                "id": get("id"), "firstName": get("firstName"), "lastName": get("lastName"),
                "email": get("email"), "phone": get("phone"), "mobile": get("mobile"),
                "type": get("type"), "account": account,
            });
            json::value(out, &contact);
        });
    }

    /// Appends an agent, department, product or team as tickets include it; null when there is none.
    pub(crate) fn embedded(&self, out: &mut Vec<u8>, table: &Table, at: u32) {
        let Some(row) = table.rows.get(at as usize).filter(|_| at != NONE) else {
            return out.extend_from_slice(b"null");
        };
        let keys: &[&str] = match table.module.name {
            "agents" => &["id", "firstName", "lastName", "emailId", "photoURL", "zuid"],
            "products" => &["id", "productName"],
            "teams" => &["id", "name", "logoUrl"],
            _ => &["id", "name"],
        };
        table.cached_embedded().append(at as usize, out, |out| project(out, &row.values, keys));
    }

    /// The agent that owns a record.
    pub(crate) fn owner(&self, row: &Row) -> Value {
        let Some(agent) = self.agents.find(row.text("ownerId")) else { return Value::Null };
        let get = |key: &str| agent.values.get(key);
        json!({
            "id": get("id"), "firstName": get("firstName"), "lastName": get("lastName"),
            "name": get("name"), "email": get("emailId"), "photoURL": get("photoURL"),
        })
    }

    /// The account of a contact, as `include=accounts` shows it.
    pub(crate) fn account_of_contact(&self, row: &Row) -> Value {
        self.accounts.find(row.text("accountId")).map_or(Value::Null, account_summary)
    }

    /// The account of a contract.
    pub(crate) fn account_of_contract(&self, row: &Row) -> Value {
        referred(&self.accounts, row, "accountId", "accountName")
    }

    /// The product of a contract.
    pub(crate) fn product_of_contract(&self, row: &Row) -> Value {
        referred(&self.products, row, "productId", "productName")
    }

    /// The department of a record.
    pub(crate) fn department_of(&self, row: &Row) -> Value {
        referred(&self.departments, row, "departmentId", "name")
    }
}

fn account_summary(account: &Row) -> Value {
    let get = |key: &str| account.values.get(key);
    json!({"id": get("id"), "accountName": get("accountName"), "website": get("website")})
}

/// The id and the name of the record whose id a row holds under a key; null when there is none.
fn referred(table: &Table, row: &Row, key: &str, name: &str) -> Value {
    let found = table.find(row.text(key));
    found.map_or(Value::Null, |found| json!({"id": found.id.to_string(), name: found.values.get(name)}))
}
