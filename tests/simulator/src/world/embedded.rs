//! Objects that other records embed: the contact of a ticket, the owner of an account.

use serde_json::{Value, json};

use crate::json;
use crate::world::World;
use crate::world::table::{Row, Table, project};
use crate::world::ticket::NONE;

impl World {
    /// Appends the contact as tickets include it, its account within.
    pub(crate) fn embedded_contact(&self, out: &mut Vec<u8>, at: u32) {
        let Some(row) = self.contacts.rows.get(at as usize) else {
            return out.extend_from_slice(b"null");
        };
        self.contacts.embedded_slots().append(at as usize, out, |out| {
            let account = self.accounts.position(row.text("accountId"));
            let account = account.map_or(Value::Null, |at| {
                let account = &self.accounts.rows[at];
                json!({
                    "id": account.id.to_string(), "accountName": account.document.get("accountName"),
                    "website": account.document.get("website"),
                })
            });
            let get = |key: &str| row.document.get(key);
            let contact = json!({
                "id": get("id"), "firstName": get("firstName"), "lastName": get("lastName"),
                "email": get("email"), "phone": get("phone"), "mobile": get("mobile"),
                "type": get("type"), "account": account,
            });
            json::value(out, &contact);
        });
    }

    /// Appends the agent, department, product or team as tickets include it; null without one.
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
        table.embedded_slots().append(at as usize, out, |out| project(out, &row.document, keys));
    }

    /// The owner of a record, as its detail includes it.
    pub(crate) fn owner(&self, row: &Row) -> Value {
        let Some(agent) = self.agents.find(row.text("ownerId")) else { return Value::Null };
        let get = |key: &str| agent.document.get(key);
        json!({
            "id": get("id"), "firstName": get("firstName"), "lastName": get("lastName"),
            "name": get("name"), "email": get("emailId"), "photoURL": get("photoURL"),
        })
    }

    /// The account of a contact, as `include=accounts` shows it.
    pub(crate) fn account_of_contact(&self, row: &Row) -> Value {
        let Some(account) = self.accounts.find(row.text("accountId")) else { return Value::Null };
        let get = |key: &str| account.document.get(key);
        json!({"id": get("id"), "accountName": get("accountName"), "website": get("website")})
    }

    /// The account of a contract.
    pub(crate) fn account_of_contract(&self, row: &Row) -> Value {
        let Some(account) = self.accounts.find(row.text("accountId")) else { return Value::Null };
        json!({"id": account.id.to_string(), "accountName": account.document.get("accountName")})
    }

    /// The product of a contract.
    pub(crate) fn product_of_contract(&self, row: &Row) -> Value {
        let Some(product) = self.products.find(row.text("productId")) else { return Value::Null };
        json!({"id": product.id.to_string(), "productName": product.document.get("productName")})
    }

    /// The department of a record.
    pub(crate) fn department_of(&self, row: &Row) -> Value {
        let found = self.departments.find(row.text("departmentId"));
        let Some(department) = found else { return Value::Null };
        json!({"id": department.id.to_string(), "name": department.document.get("name")})
    }
}
