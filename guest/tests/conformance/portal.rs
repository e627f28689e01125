//! A simulated portal behind [`Transport`]: blocking HTTP/1.1 on a connection for each request.

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use desk_simulator::{
    CLIENT_ID, CLIENT_SECRET, GRANT_CODE, ORGANIZATION_ID, Options, Settings, Simulator, Sizes,
};
use serde_json::{Value, json};
use zoho_desk::connection::Connection;
use zoho_desk::transport::{Failure, Method, Request, Response, Transport};

/// A simulator, and a session that may call it.
pub(crate) struct Portal {
    pub(crate) simulator: Simulator,
    clock_ms: Rc<Cell<u64>>,
    session: String,
    /// The value of the key `tables`.
    pub(crate) tables: Vec<String>,
    /// The value of the key `shape`.
    pub(crate) shape: &'static str,
    /// The value of the key `department_ids`.
    pub(crate) department_ids: Vec<String>,
    /// The value of the key `ticket_detail`.
    pub(crate) ticket_detail: bool,
}

/// Few records of everything; `more` of each module outside the core ones.
pub(crate) fn sizes(more: Option<u32>) -> Sizes {
    Sizes {
        tickets: 60,
        archived_tickets: 40,
        departments: 3,
        products: 60,
        contracts: 6,
        contacts: 120,
        accounts: 12,
        agents: 12,
        more,
        ..Sizes::default()
    }
}

impl Portal {
    pub(crate) fn start(sizes: Sizes) -> Self {
        let mut settings = Settings::default();
        if has_other_readings() {
            settings.choose_other_readings();
        }
        Self::of(Options { sizes, settings, ..Options::default() })
    }

    /// As the API document says, where a test is about its figures.
    pub(crate) fn as_documented(sizes: Sizes) -> Self {
        Self::of(Options { sizes, ..Options::default() })
    }

    fn of(options: Options) -> Self {
        crate::made_up::declare();
        let simulator = Simulator::start(options).unwrap();
        let mut portal = Self {
            simulator,
            clock_ms: Rc::default(),
            session: String::new(),
            tables: vec!["all".to_owned()],
            shape: "document",
            department_ids: Vec::new(),
            ticket_detail: true,
        };
        let mut connection = portal.open(None);
        connection.authorize(&json!({"code": GRANT_CODE}).to_string()).unwrap();
        portal.session = connection.session();
        portal
    }

    /// A connection as a host opens it for one call.
    pub(crate) fn connect(&self) -> Connection<Http> {
        self.open(Some(&self.session))
    }

    fn open(&self, session: Option<&str>) -> Connection<Http> {
        let url = self.simulator.url();
        let config = json!({
            "organization_id": ORGANIZATION_ID, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET,
            "desk_url": url, "accounts_url": url, "tables": self.tables,
            "shape": self.shape, "department_ids": self.department_ids, "ticket_detail": self.ticket_detail,
        });
        let http = Http { address: url.replace("http://", ""), clock_ms: Rc::clone(&self.clock_ms) };
        Connection::open(http, &config.to_string(), session).unwrap()
    }

    /// Stores the session, as a host does after a call.
    pub(crate) fn keep(&mut self, connection: &Connection<Http>) {
        self.session = connection.session();
    }

    /// The time by the host's clock.
    pub(crate) fn now_ms(&self) -> u64 {
        now_ms() + self.clock_ms.get()
    }

    /// Both clocks go forward.
    pub(crate) fn advance_hours(&mut self, hours: u64) {
        self.advance_minutes(hours * 60);
    }

    pub(crate) fn advance_minutes(&mut self, minutes: u64) {
        self.simulator.advance(Duration::from_secs(minutes * 60));
        self.clock_ms.set(self.clock_ms.get() + minutes * 60_000);
    }

    pub(crate) fn mutate(&self, mutation: Value) {
        self.simulator.mutate(mutation.clone()).unwrap_or_else(|error| panic!("{mutation}: {error}"));
    }
}

/// The suite runs in the other reading of each conflict (`docs/TESTING.md`).
fn has_other_readings() -> bool {
    match std::env::var("SIMULATOR_READINGS").as_deref() {
        Err(_) | Ok("") => false,
        Ok("other") => true,
        Ok(unknown) => panic!("SIMULATOR_READINGS is `other`, or not set, and not `{unknown}`"),
    }
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// Sends requests to the simulator.
pub(crate) struct Http {
    address: String,
    /// How far the clock is ahead of the machine's.
    clock_ms: Rc<Cell<u64>>,
}

impl Transport for Http {
    fn now_ms(&self) -> u64 {
        now_ms() + self.clock_ms.get()
    }

    fn ticks_ms(&self) -> u64 {
        0
    }

    fn send(&mut self, requests: &[Request], _: usize) -> Vec<Result<Response, Failure>> {
        requests.iter().map(|request| Ok(self.one(request))).collect()
    }
}

impl Http {
    fn one(&self, request: &Request) -> Response {
        let method = match request.method {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        };
        let mut head = format!(
            "{method} {} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n",
            request.path_with_query,
            self.address,
            request.body.len()
        );
        for (name, value) in &request.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
        stream.write_all(&request.body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        parse(&answer)
    }
}

fn parse(answer: &[u8]) -> Response {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let is_chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let body = &answer[end + 4..];
    Response {
        status: status.expect("a status"),
        headers,
        body: if is_chunked { joined(body) } else { body.to_vec() },
    }
}

/// The body of chunks.
fn joined(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(at) = rest.windows(2).position(|bytes| bytes == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..at]).unwrap().trim(), 16).unwrap();
        body.extend_from_slice(&rest[at + 2..at + 2 + size]);
        rest = &rest[at + 2 + size + 2..];
        if size == 0 {
            break;
        }
    }
    body
}
