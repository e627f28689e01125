//! A running simulator with an authorized client, and the calls that tests repeat.

use std::time::{Duration, Instant};

use desk_simulator::{CLIENT_ID, CLIENT_SECRET, GRANT_CODE, ORGANIZATION_ID, Options, Simulator, TruthQuery};
use serde_json::{Value, json};

use crate::client::{Client, Reply};

/// Every `include` of the ticket list.
pub(crate) const INCLUDE: &str = "include=contacts,products,departments,team,isRead,assignee";

/// Far more milliseconds than a test takes.
pub(crate) const LONG_MS: u64 = 600_000;

/// Longest wait for a condition before a test fails.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// A running simulator, and a client that holds an access token for it.
pub(crate) struct Fixture {
    pub(crate) simulator: Simulator,
    pub(crate) client: Client,
    pub(crate) refresh_token: String,
}

/// Options with few records.
pub(crate) fn small(tickets: u32) -> Options {
    let mut options = Options::default();
    options.sizes.tickets = tickets;
    options.sizes.contacts = 50;
    options.sizes.accounts = 20;
    options.sizes.products = 30;
    options.sizes.contracts = 12;
    options
}

/// Starts a simulator with few records.
pub(crate) fn start(tickets: u32) -> Fixture {
    start_with(small(tickets))
}

/// Starts a simulator and exchanges its grant code.
pub(crate) fn start_with(options: Options) -> Fixture {
    let simulator = Simulator::start(options).expect("the simulator starts");
    let mut client = Client::connect(&simulator.url()).expect("it listens");
    let grant = token(&mut client, &[("grant_type", "authorization_code"), ("code", GRANT_CODE)]);
    let text = |key: &str| grant[key].as_str().unwrap_or_default().to_owned();
    client.headers.push(("authorization".to_owned(), format!("Zoho-oauthtoken {}", text("access_token"))));
    client.headers.push(("orgId".to_owned(), ORGANIZATION_ID.to_owned()));
    Fixture { simulator, client, refresh_token: text("refresh_token") }
}

/// Starts calls that do not end during the test, and waits until all are in flight.
pub(crate) fn occupy(fixture: &Fixture, calls: u64) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..calls {
        let mut client = fixture.connect();
        client.write("GET", "/api/v1/tickets", "").expect("a connection");
        clients.push(client);
    }
    let peak = || fixture.simulator.stats()["peakConcurrency"].as_u64();
    eventually(&format!("{calls} calls in flight"), || peak() >= Some(calls));
    clients
}

/// The answer of the token endpoint to a form with the default client and these parameters.
pub(crate) fn token(client: &mut Client, more: &[(&str, &str)]) -> Value {
    let mut form = vec![("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET)];
    form.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
    form.extend(more);
    let body: Vec<String> = form.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let reply = client.send("POST", "/oauth/v2/token", &body.join("&")).expect("an answer");
    assert_eq!(reply.status, 200, "errors are answered with 200 as well");
    reply.json()
}

/// Waits until a condition holds; panics with its name when it does not.
pub(crate) fn eventually(name: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < WAIT_MAX, "not reached: {name}");
        std::thread::yield_now();
    }
}

impl Fixture {
    /// Another connection with the same headers.
    pub(crate) fn connect(&self) -> Client {
        let mut client = Client::connect(&self.simulator.url()).expect("it listens");
        client.headers.clone_from(&self.client.headers);
        client
    }

    /// `GET /api/v1/{path}`.
    pub(crate) fn get(&mut self, path: &str) -> Reply {
        self.client.send("GET", &format!("/api/v1/{path}"), "").expect("an answer")
    }

    /// An API call with a JSON body.
    pub(crate) fn call(&mut self, method: &str, path: &str, body: &Value) -> Reply {
        self.client.send(method, &format!("/api/v1/{path}"), &body.to_string()).expect("an answer")
    }

    /// A call of the admin API.
    pub(crate) fn admin(&mut self, method: &str, path: &str, body: &Value) -> Reply {
        self.client.send(method, &format!("/_admin/{path}"), &body.to_string()).expect("an answer")
    }

    /// Updates a ticket.
    pub(crate) fn update_ticket(&mut self, id: &str, values: &Value) -> Value {
        let reply = self.call("PATCH", &format!("tickets/{id}"), values);
        assert_eq!(reply.status, 200, "{values}: {}", reply.json());
        reply.json()
    }

    /// Posts a change to the admin API and gives its answer.
    pub(crate) fn mutate(&self, change: Value) -> Value {
        self.simulator.mutate(change).expect("a valid change")
    }

    /// Status and error code of a `GET`.
    pub(crate) fn error(&mut self, path: &str) -> (u16, String) {
        let reply = self.get(path);
        (reply.status, reply.json()["errorCode"].as_str().unwrap_or_default().to_owned())
    }

    /// The rows of a list.
    pub(crate) fn rows(&mut self, path: &str) -> Vec<Value> {
        let reply = self.get(path);
        assert!(matches!(reply.status, 200 | 204), "{path}: {}", reply.status);
        reply.json()["data"].as_array().cloned().unwrap_or_default()
    }

    /// All rows of a list, read page by page.
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

    /// The lines of a table's truth.
    pub(crate) fn truth_lines(&self, table: &str) -> Vec<String> {
        let query = TruthQuery { detail: true, omit: Vec::new() };
        self.simulator.truth(table, query).expect("a known table")
    }

    /// The rows of a table that are not deleted: details, or list rows with every `include`.
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

    /// Moves the clock to the start of the next UTC day, so that no test crosses a midnight by chance.
    pub(crate) fn start_next_day(&mut self) {
        const DAY_MS: i64 = 86_400_000;
        let now = self.admin("POST", "clock", &json!({"advance_ms": 0})).json()["nowMs"].as_i64();
        let rest = DAY_MS - now.expect("a time") % DAY_MS;
        self.simulator.advance(Duration::from_millis(rest as u64));
    }

    /// Waits until every queued event was delivered or dropped.
    pub(crate) fn settle(&self) {
        assert!(self.simulator.wait_for_deliveries(WAIT_MAX), "pending: {}", self.simulator.stats());
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
