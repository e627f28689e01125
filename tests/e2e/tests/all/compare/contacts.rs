//! The truth of contacts with their `account`, which only the list shows, of accounts in the recycle bin too.

use std::collections::BTreeMap;

use desk_simulator::Simulator;
use serde_json::{Value, json};

use super::expected::{Truth, truth};
use crate::support::http::request;

/// Rows of one list page.
const PAGE: usize = 100;

/// A separate access token.
fn token(simulator: &Simulator) -> String {
    let (url, options) = (simulator.url(), simulator.options());
    let code = json!({"code": "1000.truth", "reusable": true}).to_string();
    assert_eq!(request("POST", &format!("{url}/_admin/codes"), &[], code.as_bytes()).status, 200);
    let exchange = format!(
        "{url}/oauth/v2/token?grant_type=authorization_code&code=1000.truth&client_id={}&client_secret={}",
        options.client_id, options.client_secret
    );
    let answer = request("POST", &exchange, &[], b"");
    let answer: Value = serde_json::from_str(&answer.body).expect("a token");
    format!("Zoho-oauthtoken {}", answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")))
}

/// `account` of every contact that lives, as the list includes it.
fn accounts(simulator: &Simulator) -> BTreeMap<String, Value> {
    let token = token(simulator);
    let headers =
        [("authorization", token.as_str()), ("orgid", simulator.options().organization_id.as_str())];
    let mut found = BTreeMap::new();
    for page in 0.. {
        let from = page * PAGE + 1;
        let url = format!("{}/api/v1/contacts?include=accounts&from={from}&limit={PAGE}", simulator.url());
        let answer = request("GET", &url, &headers, b"");
        if answer.status == 204 {
            break;
        }
        assert_eq!(answer.status, 200, "{}", answer.body);
        let mut answer: Value = serde_json::from_str(&answer.body).expect("JSON");
        let rows = answer["data"].as_array_mut().expect("rows");
        for row in rows.iter_mut() {
            found.insert(row["id"].as_str().expect("an id").to_owned(), row["account"].take());
        }
        if rows.len() < PAGE {
            break;
        }
    }
    found
}

/// Contacts: details with the members of `include=accounts`.
pub(super) fn truth_of_contacts(simulator: &Simulator) -> Truth {
    let mut accounts = accounts(simulator);
    let mut contacts = truth(simulator, "contacts", true);
    for (id, row) in &mut contacts {
        if let Some(row) = row {
            row.insert("account".to_owned(), accounts.remove(id).unwrap_or_default());
        }
    }
    contacts
}
