//! A simulator with a client that is authorised.

use desk_simulator::{CLIENT_ID, CLIENT_SECRET, GRANT_CODE, ORGANIZATION_ID, Options, Simulator, TruthQuery};
use serde_json::{Value, json};

use crate::client::{Client, Reply};

/// Every key that the ticket list can include.
pub(crate) const INCLUDE: &str = "include=contacts,products,departments,team,isRead,assignee";

/// A running simulator and a client that holds a token for it.
pub(crate) struct Fixture {
    pub(crate) simulator: Simulator,
    pub(crate) client: Client,
    pub(crate) refresh_token: String,
}

/// Options of a small portal.
pub(crate) fn small(tickets: u32) -> Options {
    let mut options = Options::default();
    options.sizes.tickets = tickets;
    options.sizes.contacts = 50;
    options.sizes.accounts = 20;
    options.sizes.products = 30;
    options.sizes.contracts = 12;
    options
}

/// Starts a small portal.
pub(crate) fn start(tickets: u32) -> Fixture {
    start_with(small(tickets))
}

/// Starts a portal and exchanges its code.
pub(crate) fn start_with(options: Options) -> Fixture {
    let simulator = Simulator::start(options).expect("the simulator starts");
    let mut client = Client::connect(&simulator.url()).expect("it listens");
    let grant = token(&mut client, &[("grant_type", "authorization_code"), ("code", GRANT_CODE)]);
    let text = |key: &str| grant[key].as_str().unwrap_or_default().to_owned();
    client.headers.push(("authorization".to_owned(), format!("Zoho-oauthtoken {}", text("access_token"))));
    client.headers.push(("orgId".to_owned(), ORGANIZATION_ID.to_owned()));
    Fixture { simulator, client, refresh_token: text("refresh_token") }
}

/// Asks the token endpoint with the right client, as a form.
pub(crate) fn token(client: &mut Client, more: &[(&str, &str)]) -> Value {
    let mut form = vec![("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET)];
    form.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
    form.extend(more);
    let body: Vec<String> = form.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let reply = client.send("POST", "/oauth/v2/token", &body.join("&")).expect("an answer");
    assert_eq!(reply.status, 200, "errors go out with 200 as well");
    reply.json()
}

impl Fixture {
    /// `GET /api/v1/{path}`.
    pub(crate) fn get(&mut self, path: &str) -> Reply {
        self.client.send("GET", &format!("/api/v1/{path}"), "").expect("an answer")
    }

    /// Any call with a JSON body.
    pub(crate) fn call(&mut self, method: &str, path: &str, body: &Value) -> Reply {
        self.client.send(method, &format!("/api/v1/{path}"), &body.to_string()).expect("an answer")
    }

    /// Status and error code of a `GET`.
    pub(crate) fn refusal(&mut self, path: &str) -> (u16, String) {
        let reply = self.get(path);
        (reply.status, reply.json()["errorCode"].as_str().unwrap_or_default().to_owned())
    }

    /// The rows of a `GET` that lists.
    pub(crate) fn rows(&mut self, path: &str) -> Vec<Value> {
        let reply = self.get(path);
        assert!(matches!(reply.status, 200 | 204), "{path}: {}", reply.status);
        reply.json()["data"].as_array().cloned().unwrap_or_default()
    }

    /// All rows of a list, by pages.
    pub(crate) fn scan(&mut self, path: &str, limit: usize) -> Vec<Value> {
        let (mut all, separator) = (Vec::new(), if path.contains('?') { '&' } else { '?' });
        loop {
            let from = all.len() + 1;
            let page = self.rows(&format!("{path}{separator}from={from}&limit={limit}"));
            if page.is_empty() {
                return all;
            }
            all.extend(page);
        }
    }

    /// The rows of a table that are not deleted.
    pub(crate) fn truth(&self, table: &str, detail: bool) -> Vec<Value> {
        let query = TruthQuery { detail, omit: Vec::new() };
        let lines = self.simulator.truth(table, query).expect("a known table");
        let rows = lines.iter().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        rows.filter(|line| line["deleted"] == json!(false)).map(|line| line["row"].clone()).collect()
    }

    /// The id of the first row of a list.
    pub(crate) fn first_id(&mut self, path: &str) -> String {
        self.rows(path)[0]["id"].as_str().expect("an id").to_owned()
    }
}

/// The ids of rows.
pub(crate) fn ids(rows: &[Value]) -> Vec<String> {
    rows.iter().map(|row| row["id"].as_str().unwrap_or_default().to_owned()).collect()
}

/// The rows sorted by id.
pub(crate) fn by_id(mut rows: Vec<Value>) -> Vec<Value> {
    rows.sort_by_key(|row| row["id"].as_str().unwrap_or_default().to_owned());
    rows
}
