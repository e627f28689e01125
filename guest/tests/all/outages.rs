//! Every endpoint with every refusal, for hours: the cost is bounded, and the other tables are read.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde_json::{Value, json};
use zoho_desk::change::Operation;
use zoho_desk::connection::Connection;
use zoho_desk::error::Kind;
use zoho_desk::limits::SEND_MS;
use zoho_desk::transport::{Failure, Request, Response, Transport};

use crate::desk::Desk;
use crate::setup::{LIMITS, connect_over};

const HOUR_MS: u64 = 3_600_000;

/// The tables that are read; each has a part in the scripted server.
const TABLES: [&str; 4] = ["departments", "organization_fields", "tickets", "ticket_conversations"];

/// Endpoints, and the tables that cannot be read without them.
const ENDPOINTS: [(&str, &[&str]); 10] = [
    ("/api/v1/organizations", &[]),
    ("/api/v1/departments", &["departments"]),
    ("/api/v1/organizationFields", &["organization_fields"]),
    ("/api/v1/tickets", &["tickets", "ticket_conversations"]),
    ("/api/v1/tickets/search", &["tickets", "ticket_conversations"]),
    ("/api/v1/tickets/{id}", &["tickets"]),
    ("/api/v1/tickets/{id}/threads", &["ticket_conversations"]),
    ("/api/v1/tickets/{id}/threads/{id}", &["ticket_conversations"]),
    ("/api/v1/ticketsCount", &[]),
    ("/api/v1/recycleBin", &[]),
];

const REFUSALS: [&str; 13] = [
    "204",
    "400",
    "401",
    "403",
    "404",
    "422",
    "429",
    "429 day",
    "500",
    "timeout",
    "truncated",
    "HTML",
    "HTML 404",
];

/// The scripted server with one endpoint that is refused.
struct Outage {
    desk: Desk,
    faults: Rc<RefCell<Faults>>,
}

#[derive(Default)]
struct Faults {
    endpoint: &'static str,
    refusal: &'static str,
    calls: usize,
    tokens: usize,
}

/// The path with every id replaced.
fn endpoint(path: &str) -> String {
    let path = path.split('?').next().unwrap();
    let is_id = |part: &&str| part.bytes().any(|byte| byte.is_ascii_digit()) && *part != "v1";
    path.split('/').map(|part| if is_id(&part) { "{id}" } else { part }).collect::<Vec<_>>().join("/")
}

impl Transport for Outage {
    fn now_ms(&self) -> u64 {
        self.desk.now_ms()
    }

    fn ticks_ms(&self) -> u64 {
        self.desk.now_ms()
    }

    fn send(&mut self, requests: &[Request], at_once: usize) -> Vec<Result<Response, Failure>> {
        requests.iter().map(|request| self.answer(request, at_once)).collect()
    }
}

impl Outage {
    fn answer(&mut self, request: &Request, at_once: usize) -> Result<Response, Failure> {
        let mut faults = self.faults.borrow_mut();
        faults.calls += 1;
        self.desk.advance_ms(20);
        faults.tokens += usize::from(request.path_with_query.starts_with("/oauth"));
        let answer = self.desk.clone().send(std::slice::from_ref(request), at_once).remove(0)?;
        if endpoint(&request.path_with_query) != faults.endpoint {
            return Ok(answer);
        }
        let refused = |status: u16, code: &str| {
            let body = json!({"errorCode": code, "message": "m"}).to_string().into_bytes();
            Ok(Response { status, headers: answer.headers.clone(), body })
        };
        match faults.refusal {
            "204" => Ok(Response { status: 204, body: Vec::new(), ..answer }),
            "400" => refused(400, "BAD_REQUEST"),
            "401" => refused(401, "UNAUTHORIZED"),
            "403" => refused(403, "FORBIDDEN"),
            "404" => refused(404, "URL_NOT_FOUND"),
            "422" => refused(422, "INVALID_DATA"),
            "429" => refused(429, "TOO_MANY_REQUESTS"),
            "429 day" => {
                let mut response = refused(429, "THRESHOLD_EXCEEDED")?;
                response.headers.push(("retry-after".to_owned(), "600".to_owned()));
                Ok(response)
            }
            "500" => refused(500, "INTERNAL_SERVER_ERROR"),
            "timeout" => {
                self.desk.advance_ms(30_000);
                Err(Failure::Broken("timed out".to_owned()))
            }
            "truncated" => Ok(Response { status: 200, body: b"{\"data\":[{\"id\":\"1\"".to_vec(), ..answer }),
            "HTML 404" => Ok(Response { status: 404, body: b"<html>not found</html>".to_vec(), ..answer }),
            _ => Ok(Response { status: 200, body: b"<html>maintenance</html>".to_vec(), ..answer }),
        }
    }
}

/// A host that reads all tables in turn and waits as it is asked to; after errors as `host-runner` does.
struct Host {
    connection: Connection<Outage>,
    desk: Desk,
    faults: Rc<RefCell<Faults>>,
    tables: BTreeMap<&'static str, State>,
}

#[derive(Default)]
struct State {
    cursor: Option<String>,
    due_ms: u64,
    failures: u32,
    caught_up: usize,
    /// Until when it waits as it asked to when it was caught up.
    rests_until_ms: u64,
}

impl Host {
    fn new(endpoint: &'static str, refusal: &'static str) -> Self {
        let desk = Desk::with_tickets(30);
        let faults = Rc::new(RefCell::new(Faults { endpoint, refusal, ..Faults::default() }));
        let outage = Outage { desk: desk.clone(), faults: faults.clone() };
        let config = json!({"organization_id": "42", "client_id": "id", "client_secret": "secret"});
        let mut connection = Connection::open(outage, &config.to_string(), None).unwrap();
        connection.authorize(r#"{"code":"good"}"#).unwrap();
        let tables = TABLES.into_iter().map(|table| (table, State::default())).collect();
        Self { connection, desk, faults, tables }
    }

    /// Reads for a while; something changes every ten minutes.
    fn run(&mut self, for_ms: u64) {
        let end_ms = self.desk.now_ms() + for_ms;
        let mut changed_ms = self.desk.now_ms();
        while self.desk.now_ms() < end_ms {
            if self.desk.now_ms() >= changed_ms + 600_000 {
                changed_ms = self.desk.now_ms();
                self.desk.set(|state| (20..=24).for_each(|id: u32| state.modify(&id.to_string())));
            }
            let now_ms = self.desk.now_ms();
            let due = self.tables.iter().min_by_key(|(_, state)| state.due_ms).map(|(table, _)| *table);
            let table = due.unwrap();
            let state = self.tables.get_mut(table).unwrap();
            if state.due_ms > now_ms {
                let step_ms = (state.due_ms - now_ms).min(600_000);
                self.desk.advance_ms(step_ms);
                continue;
            }
            let limits = zoho_desk::reader::Limits { max_ms: 5_000, ..LIMITS };
            let result = self.connection.read(table, state.cursor.as_deref(), limits);
            let wait_ms = match result {
                Ok(batch) => {
                    state.failures = 0;
                    state.caught_up += usize::from(batch.caught_up);
                    state.cursor = Some(batch.cursor);
                    let wait_ms = batch.wait_ms.unwrap_or(10);
                    if batch.caught_up {
                        state.rests_until_ms = self.desk.now_ms() + wait_ms;
                    }
                    wait_ms
                }
                Err(error) => {
                    assert!(error.kind != Kind::Internal && error.kind != Kind::Config, "{error}");
                    state.failures += 1;
                    // The short backoff of `host-runner`, which falls to the long one, or the long one.
                    let is_short = error.kind == Kind::Unavailable && state.failures <= 10;
                    let backoff_ms = if is_short {
                        (500 << state.failures).min(60_000)
                    } else {
                        (15_000 << state.failures.min(12)).min(900_000)
                    };
                    error.retry_after_ms.unwrap_or(backoff_ms)
                }
            };
            state.due_ms = self.desk.now_ms() + wait_ms;
        }
    }
}

/// A portal with a few rows of each table.
fn small_portal() -> Desk {
    let desk = Desk::with_tickets(6);
    desk.set(|state| {
        state.contracts = (1..=6).map(|id| (id, 1)).collect();
        state.bin_type = "Contacts";
        (1..=6).for_each(|id: u32| state.modify(&id.to_string()));
    });
    desk
}

/// A connection whose calls may be refused.
fn connection_over(desk: &Desk, faults: &Rc<RefCell<Faults>>) -> Connection<Outage> {
    connect_over(Outage { desk: desk.clone(), faults: faults.clone() }, json!({}))
}

/// Reads until caught up, or for an hour of failures: the keys, and whether a snapshot was complete. No row
/// is deleted.
fn read_on(
    (desk, connection): (&Desk, &mut Connection<Outage>),
    table: &str,
    cursor: &mut Option<String>,
    what: &str,
) -> (BTreeSet<String>, bool) {
    let mut keys = BTreeSet::new();
    for _ in 0..30 {
        match connection.read(table, cursor.as_deref(), LIMITS) {
            Ok(batch) => {
                for change in batch.changes {
                    assert!(change.operation != Operation::Delete, "{table} {}: {what}", change.key);
                    keys.insert(change.key);
                }
                // A listing deletes the rows that it lacks.
                for listing in batch.listings {
                    let ticket = listing.parent.replace("ticketId", "id").replace(":\"", ":\"t");
                    assert!(listing.keys.contains(&ticket), "{table} {}: {what}", listing.parent);
                }
                *cursor = Some(batch.cursor);
                if batch.caught_up {
                    return (keys, batch.generation.is_some_and(|generation| generation.complete));
                }
                desk.advance_ms(batch.wait_ms.unwrap_or(10));
            }
            Err(error) => desk.advance_ms(error.retry_after_ms.unwrap_or(120_000)),
        }
    }
    (keys, false)
}

#[test]
fn no_refusal_of_any_endpoint_deletes_a_row() {
    let tables = ["departments", "tickets", "ticket_conversations", "contacts", "contracts"];
    let more = [
        "/api/v1/contacts",
        "/api/v1/contacts/search",
        "/api/v1/contacts/{id}",
        "/api/v1/contracts",
        "/api/v1/contracts/{id}",
        "/api/v1/tickets/{id}/conversations",
    ];
    for endpoint in ENDPOINTS.iter().map(|(endpoint, _)| *endpoint).chain(more) {
        for refusal in REFUSALS {
            let desk = small_portal();
            let faults = Rc::new(RefCell::new(Faults::default()));
            let mut connection = connection_over(&desk, &faults);
            let mut read: Vec<(&str, Option<String>, BTreeSet<String>)> = Vec::new();
            for table in tables {
                let mut cursor = None;
                let (keys, is_complete) =
                    read_on((&desk, &mut connection), table, &mut cursor, "before the outage");
                assert!(is_complete && !keys.is_empty(), "{table}");
                read.push((table, cursor, keys));
            }
            *faults.borrow_mut() = Faults { endpoint, refusal, ..Faults::default() };
            let what = case(endpoint, refusal).to_string();
            desk.advance_ms(600_000);
            let now_ms = desk.now_ms();
            desk.set(|state| {
                (1..=6).for_each(|id: u32| state.modify(&id.to_string()));
                state.contracts.values_mut().for_each(|at_ms| *at_ms = now_ms);
            });
            for (table, cursor, keys) in &mut read {
                // A change, a verification, and a full refresh.
                read_on((&desk, &mut connection), table, cursor, &what);
                desk.advance_ms(8 * 24 * HOUR_MS);
                for mut cursor in [cursor.clone(), None] {
                    let (found, is_complete) = read_on((&desk, &mut connection), table, &mut cursor, &what);
                    let lost: Vec<_> = keys.difference(&found).collect();
                    assert!(!is_complete || lost.is_empty(), "{table} loses {lost:?}: {what}");
                }
            }
        }
    }
}

/// The case in messages.
fn case(endpoint: &str, refusal: &str) -> Value {
    json!({"endpoint": endpoint, "refusal": refusal})
}

#[test]
fn no_refusal_of_any_endpoint_costs_many_calls_or_stops_another_table() {
    let calls = |endpoint, refusal| {
        let mut host = Host::new("", "");
        host.run(HOUR_MS / 6);
        let faults = host.faults.clone();
        *faults.borrow_mut() = Faults { endpoint, refusal, ..Faults::default() };
        let before: BTreeMap<_, _> =
            host.tables.iter().map(|(table, state)| (*table, state.caught_up)).collect();
        host.run(HOUR_MS);
        let stopped = ENDPOINTS.iter().find(|(known, _)| *known == endpoint).map_or(&[][..], |(_, of)| of);
        for (table, state) in &host.tables {
            let continues = state.caught_up > before[table] || state.rests_until_ms > host.desk.now_ms();
            assert!(continues || stopped.contains(table), "{table} stops: {}", case(endpoint, refusal));
        }
        let faults = faults.borrow();
        assert!(faults.tokens <= 7, "{} tokens: {}", faults.tokens, case(endpoint, refusal));
        faults.calls
    };
    let quiet = calls("", "");
    for (endpoint, _) in ENDPOINTS {
        for refusal in REFUSALS {
            let calls = calls(endpoint, refusal);
            assert!(
                calls <= quiet + 600,
                "{calls} calls an hour, {quiet} without: {}",
                case(endpoint, refusal)
            );
        }
    }
}

#[test]
fn no_refusal_during_a_snapshot_costs_many_calls_or_stops_another_table() {
    for (endpoint, stopped) in ENDPOINTS {
        for refusal in REFUSALS {
            let mut host = Host::new(endpoint, refusal);
            host.run(HOUR_MS);
            for (table, state) in &host.tables {
                let is_stopped = stopped.contains(table) || endpoint == "/api/v1/tickets/search";
                assert!(state.caught_up > 0 || is_stopped, "{table} stops: {}", case(endpoint, refusal));
            }
            let calls = host.faults.borrow().calls;
            assert!(calls <= 1_000, "{calls} calls an hour: {}", case(endpoint, refusal));
        }
    }
}

#[test]
fn a_recycle_bin_that_fails_is_asked_once_for_all_tables_of_a_round() {
    let desk = small_portal();
    let faults = Rc::new(RefCell::new(Faults::default()));
    let mut connection = connection_over(&desk, &faults);
    let mut cursors = ["tickets", "ticket_conversations", "contacts"].map(|table| {
        let mut cursor = None;
        read_on((&desk, &mut connection), table, &mut cursor, "before the outage");
        (table, cursor)
    });
    let endpoint = "/api/v1/recycleBin";
    *faults.borrow_mut() = Faults { endpoint, refusal: "timeout", ..Faults::default() };
    for round in 1..=3 {
        desk.advance_ms(600_000);
        for (table, cursor) in &mut cursors {
            read_on((&desk, &mut connection), table, cursor, "in the outage");
        }
        desk.set(|state| {
            assert_eq!(state.asked.drain(..).filter(|path| path.starts_with(endpoint)).count(), 1, "{round}");
        });
    }
}

/// A source that takes fewer calls at once than its edition says, and fails one in `one_in`.
struct Busy {
    desk: Desk,
    allowed: usize,
    one_in: usize,
    /// The headers of a 429.
    headers: Vec<(String, String)>,
    calls: Rc<RefCell<usize>>,
}

impl Transport for Busy {
    fn now_ms(&self) -> u64 {
        self.desk.now_ms()
    }

    fn ticks_ms(&self) -> u64 {
        0
    }

    /// As many in flight as are sent together, `at_once` by `at_once`.
    fn send(&mut self, requests: &[Request], at_once: usize) -> Vec<Result<Response, Failure>> {
        let mut answers = Vec::new();
        for wave in requests.chunks(at_once) {
            for (index, request) in wave.iter().enumerate() {
                let mut calls = self.calls.borrow_mut();
                *calls += 1;
                let answer = self.desk.send(std::slice::from_ref(request), 1).remove(0);
                let is_api = request.path_with_query.starts_with("/api");
                let status = match () {
                    () if index >= self.allowed => 429,
                    () if is_api && (*calls * 7919).is_multiple_of(self.one_in) => 500,
                    () => 200,
                };
                answers.push(answer.map(|answer| match status {
                    200 => answer,
                    429 => Response { status, headers: self.headers.clone(), body: b"{}".to_vec() },
                    _ => Response { status, headers: Vec::new(), body: b"{}".to_vec() },
                }));
            }
        }
        answers
    }
}

/// Calls of a snapshot of 1,000 tickets with this many allowed at once and one of `one_in` failing.
fn calls(allowed: usize, one_in: usize) -> usize {
    calls_with(allowed, one_in, Vec::new())
}

/// The same where a 429 has these headers.
fn calls_with(allowed: usize, one_in: usize, headers: Vec<(String, String)>) -> usize {
    let desk = Desk::with_tickets(1_000);
    let calls = Rc::new(RefCell::new(0));
    let busy = Busy { desk: desk.clone(), allowed, one_in, headers, calls: calls.clone() };
    let config = json!({"organization_id": "42", "client_id": "id", "client_secret": "secret"});
    let mut connection = Connection::open(busy, &config.to_string(), None).unwrap();
    connection.authorize(r#"{"code":"good"}"#).unwrap();
    let (mut cursor, mut rows) = (None::<String>, 0);
    for _ in 0..1_000 {
        match connection.read("tickets", cursor.as_deref(), LIMITS) {
            Ok(batch) => {
                rows += batch.changes.len();
                desk.advance_ms(batch.wait_ms.unwrap_or(10));
                cursor = Some(batch.cursor);
                if batch.caught_up {
                    assert!(batch.generation.unwrap().complete, "no row is given up");
                    assert!((1_000..1_020).contains(&rows), "{rows} rows");
                    return *calls.borrow();
                }
            }
            Err(_) => desk.advance_ms(1_000),
        }
    }
    panic!("the snapshot never ends");
}

#[test]
fn a_lower_limit_of_concurrent_calls_costs_few_calls() {
    let quiet = calls(25, usize::MAX);
    for allowed in [1, 2, 4, 10] {
        let calls = calls(allowed, usize::MAX);
        assert!(calls * 100 <= quiet * 115, "{allowed} at once: {calls} calls, {quiet} when quiet");
        // Servers in front of the API add it.
        let calls = calls_with(allowed, usize::MAX, vec![("retry-after".to_owned(), "1".to_owned())]);
        assert!(calls * 100 <= quiet * 115, "{allowed} at once, told to wait: {calls} calls");
    }
}

/// Notes how many calls are in flight at once.
struct Watched(Desk, Rc<RefCell<Vec<usize>>>);

impl Transport for Watched {
    fn now_ms(&self) -> u64 {
        self.0.now_ms()
    }

    fn ticks_ms(&self) -> u64 {
        0
    }

    fn send(&mut self, requests: &[Request], at_once: usize) -> Vec<Result<Response, Failure>> {
        self.1.borrow_mut().push(requests.len().min(at_once));
        self.0.send(requests, at_once)
    }
}

#[test]
fn one_call_that_is_refused_alone_lowers_no_number_of_calls_in_flight() {
    let desk = Desk::with_tickets(300);
    let at_once = Rc::new(RefCell::new(Vec::new()));
    let mut connection = connect_over(Watched(desk.clone(), at_once.clone()), json!({}));
    desk.set(|state| state.refuse_once = Some(("/api/v1/tickets?", 429)));
    assert_eq!(connection.read("tickets", None, LIMITS).unwrap_err().kind, Kind::RateLimited);
    desk.advance_ms(1_000);
    assert_eq!(connection.read("tickets", None, LIMITS).unwrap().changes.len(), 300);
    assert_eq!(at_once.borrow().iter().max(), Some(&18), "three quarters of what the edition allows");
}

#[test]
fn a_record_that_fails_where_one_call_is_in_flight_takes_no_other_with_it() {
    let desk = Desk::with_tickets(30);
    desk.set(|state| state.detail_status = [("1".to_owned(), 500)].into());
    let mut connection = connect_over(Slow::new(&desk, 300, 1, &[]), json!({}));
    let rows = read_slowly_on(&mut connection, (&desk, "tickets"), &mut None, (20_000, 60));
    let listed: Vec<&String> =
        rows.iter().filter(|(_, row)| row.get("description").is_none()).map(|(key, _)| key).collect();
    assert_eq!((rows.len(), listed), (30, vec![&r#"{"id":"1"}"#.to_owned()]));
}

#[test]
fn one_call_in_ten_failing_costs_few_calls() {
    let quiet = calls(25, usize::MAX);
    let failing = calls(25, 10);
    assert!(failing * 10 <= quiet * 13, "{failing} calls, {quiet} when quiet");
}

/// A source each of whose calls takes a while, and some of whose records never answer.
#[derive(Clone)]
struct Slow {
    desk: Desk,
    call_ms: u64,
    allowed: usize,
    /// Ends of paths.
    hanging: Rc<RefCell<Vec<&'static str>>>,
    /// When the latest call was sent.
    latest_ms: Rc<RefCell<u64>>,
}

impl Slow {
    fn new(desk: &Desk, call_ms: u64, allowed: usize, hanging: &[&'static str]) -> Self {
        let hanging = Rc::new(RefCell::new(hanging.to_vec()));
        Self { desk: desk.clone(), call_ms, allowed, hanging, latest_ms: Rc::default() }
    }
}

impl Transport for Slow {
    fn now_ms(&self) -> u64 {
        self.desk.now_ms()
    }

    fn ticks_ms(&self) -> u64 {
        self.desk.now_ms()
    }

    /// Sends a request as soon as one of those in flight is answered.
    fn send(&mut self, requests: &[Request], at_once: usize) -> Vec<Result<Response, Failure>> {
        let start_ms = self.desk.now_ms();
        let mut in_flight = vec![0; at_once];
        let mut answers = Vec::new();
        for (index, request) in requests.iter().enumerate() {
            let begun_ms = in_flight.iter_mut().min().unwrap();
            if *begun_ms >= SEND_MS {
                answers.push(Err(Failure::Unsent));
                continue;
            }
            *self.latest_ms.borrow_mut() = start_ms + *begun_ms;
            let hangs = self.hanging.borrow().iter().any(|id| request.path_with_query.ends_with(id));
            *begun_ms += if hangs { HANG_MS } else { self.call_ms };
            let answer = self.desk.send(std::slice::from_ref(request), 1).remove(0);
            answers.push(match () {
                () if hangs => Err(Failure::Broken("timed out".to_owned())),
                () if at_once > self.allowed && index >= self.allowed => {
                    answer.map(|answer| Response { status: 429, body: b"{}".to_vec(), ..answer })
                }
                () => answer,
            });
        }
        self.desk.advance_ms(in_flight.into_iter().max().unwrap());
        answers
    }
}

/// How long a host waits for an answer.
const HANG_MS: u64 = 30_000;

/// Rows of a snapshot that a host reads in calls of twenty seconds, and those with only the members of the
/// list. No call starts a request later than half a minute after its time.
fn read_slowly(slow: Slow, table: &str) -> (usize, u64) {
    let config = json!({"organization_id": "42", "client_id": "id", "client_secret": "secret"});
    let limits = zoho_desk::reader::Limits { max_ms: 20_000, ..LIMITS };
    let (mut session, mut cursor) = (None::<String>, None::<String>);
    let (mut keys, mut partial) = (std::collections::BTreeSet::new(), 0);
    for _ in 0..300 {
        let mut connection = Connection::open(slow.clone(), &config.to_string(), session.as_deref()).unwrap();
        if session.is_none() {
            connection.authorize(r#"{"code":"good"}"#).unwrap();
        }
        let start_ms = slow.desk.now_ms();
        let batch = connection.read(table, cursor.as_deref(), limits);
        let latest_ms = *slow.latest_ms.borrow() - start_ms;
        assert!(latest_ms <= 50_000, "{table}: a request begins {latest_ms} ms after the call");
        session = Some(connection.session());
        let Ok(batch) = batch else {
            slow.desk.advance_ms(1_000);
            continue;
        };
        assert!(
            !batch.warnings.iter().any(|text| text.contains("the time of the call")),
            "{:?}",
            batch.warnings
        );
        keys.extend(batch.changes.into_iter().map(|change| change.key));
        partial += batch.partial_rows;
        if batch.caught_up {
            return (keys.len(), partial);
        }
        cursor = Some(batch.cursor);
        slow.desk.advance_ms(batch.wait_ms.unwrap_or(0));
    }
    panic!("{table}: the snapshot never ends: {} rows", keys.len());
}

#[test]
fn a_source_that_takes_seconds_for_each_call_is_read_in_calls_that_end() {
    for (table, call_ms, allowed) in
        [("tickets", 3_700, 1), ("tickets", 1_300, 4), ("ticket_conversations", 3_700, 1)]
    {
        let desk = Desk::with_tickets(150);
        desk.set(|state| (0..12).for_each(|_| state.comment_on(7)));
        let slow = Slow::new(&desk, call_ms, allowed, &[]);
        assert!(read_slowly(slow, table).0 >= 150, "{table}");
    }
}

#[test]
fn a_parent_with_more_children_than_a_call_has_time_for_is_continued_in_its_middle() {
    let desk = Desk::with_tickets(4);
    desk.set(|state| state.threads_of = Some((2, 25)));
    let slow = Slow::new(&desk, 3_700, 1, &[]);
    assert_eq!(read_slowly(slow, "ticket_conversations"), (28, 0));
}

#[test]
fn calls_of_one_step_that_are_made_one_after_another_end_in_time_and_the_table_is_read() {
    let desk = Desk::with_tickets(30);
    let config = json!({
        "organization_id": "42", "client_id": "id", "client_secret": "secret", "ticket_detail": false,
        "department_ids": ["1", "2", "3", "4", "5", "6"],
    });
    let slow = Slow::new(&desk, 20_000, 9, &[]);
    let limits = zoho_desk::reader::Limits { max_ms: 20_000, ..LIMITS };
    let mut connection = Connection::open(slow.clone(), &config.to_string(), None).unwrap();
    connection.authorize(r#"{"code":"good"}"#).unwrap();
    let (mut cursor, mut keys, mut failures) = (None::<String>, std::collections::BTreeSet::new(), 0);
    for _ in 0..20 {
        let start_ms = slow.desk.now_ms();
        let batch = connection.read("tickets", cursor.as_deref(), limits);
        let latest_ms = slow.latest_ms.borrow().saturating_sub(start_ms);
        // With one that hangs for 30 s, within the two minutes of the host.
        assert!(latest_ms <= 85_000, "a request begins {latest_ms} ms after the call");
        slow.desk.advance_ms(11_000);
        match batch {
            Ok(batch) => {
                keys.extend(batch.changes.into_iter().map(|change| change.key));
                cursor = Some(batch.cursor);
                if batch.caught_up {
                    assert!(keys.len() == 30 && failures > 0, "{} rows, {failures} failures", keys.len());
                    return;
                }
            }
            Err(error) => {
                assert_eq!(error.code.as_deref(), Some("SLOW"), "{error}");
                failures += 1;
            }
        }
    }
    panic!("the snapshot never ends: {} rows", keys.len());
}

/// Reads on from a cursor until caught up, in calls of this length at most; the rows, by key.
fn read_slowly_on(
    connection: &mut Connection<Slow>,
    (desk, table): (&Desk, &str),
    cursor: &mut Option<String>,
    (max_ms, most_calls): (u32, usize),
) -> BTreeMap<String, Value> {
    let limits = zoho_desk::reader::Limits { max_ms, ..LIMITS };
    let mut rows = BTreeMap::new();
    for _ in 0..most_calls {
        let Ok(batch) = connection.read(table, cursor.as_deref(), limits) else {
            desk.advance_ms(1_000);
            continue;
        };
        for change in batch.changes {
            rows.insert(change.key, serde_json::from_str(&change.after.unwrap()).unwrap());
        }
        *cursor = Some(batch.cursor);
        if batch.caught_up {
            return rows;
        }
        desk.advance_ms(batch.wait_ms.unwrap_or(0));
    }
    panic!("{table}: not caught up in {most_calls} calls, {} rows", rows.len());
}

#[test]
fn a_record_that_hangs_when_it_is_read_again_stops_neither_its_table_nor_the_others() {
    let desk = Desk::with_tickets(150);
    let all = ["/tickets/20", "/tickets/21", "/tickets/22", "/tickets/23", "/tickets/24", "/tickets/25"];
    let slow = Slow::new(&desk, 300, 3, &all);
    let hanging = slow.hanging.clone();
    let mut connection = connect_over(slow, json!({}));
    let mut cursor = None;
    let rows = read_slowly_on(&mut connection, (&desk, "tickets"), &mut cursor, (20_000, 300));
    assert_eq!(rows.values().filter(|row| row.get("description").is_none()).count(), all.len());
    *hanging.borrow_mut() = vec![all[0]];
    desk.advance_ms(HOUR_MS);
    desk.set(|state| state.modify("90"));
    let mut rows = read_slowly_on(&mut connection, (&desk, "tickets"), &mut cursor, (20_000, 10));
    assert!(rows.contains_key(r#"{"id":"90"}"#), "{rows:?}");
    for _ in 0..6 {
        desk.advance_ms(HOUR_MS / 6);
        rows.extend(read_slowly_on(&mut connection, (&desk, "tickets"), &mut cursor, (20_000, 10)));
    }
    let keys: Vec<&str> = rows.keys().map(String::as_str).collect();
    assert_eq!(keys, [21, 22, 23, 24, 25, 90].map(|id| format!(r#"{{"id":"{id}"}}"#)));
}

#[test]
fn parents_that_there_was_no_time_for_are_read_again_later() {
    let desk = Desk::with_tickets(60);
    let failing: Vec<&str> =
        (1..=60).step_by(3).map(|id| format!("/api/v1/tickets/{id}/threads/t{id}").leak() as &str).collect();
    desk.set(|state| {
        state.threads_of = Some((7, 250));
        failing.iter().for_each(|path| state.refuse(path, 500, "INTERNAL_SERVER_ERROR"));
    });
    let mut connection = connect_over(Slow::new(&desk, 2_000, 18, &[]), json!({}));
    let mut cursor = None;
    let table = (&desk, "ticket_conversations");
    let rows = read_slowly_on(&mut connection, table, &mut cursor, (20_000, 300));
    assert_eq!(rows.values().filter(|row| row.get("content").is_none()).count(), 20);
    let given_up: BTreeSet<String> = rows
        .keys()
        .filter(|key| key.starts_with(r#"{"id":"t7"#) || rows[*key].get("content").is_none())
        .cloned()
        .collect();
    desk.set(|state| failing.iter().for_each(|path| state.accept(path)));
    let mut rows = BTreeMap::new();
    desk.advance_ms(HOUR_MS);
    for _ in 0..12 {
        rows.extend(read_slowly_on(&mut connection, table, &mut cursor, (1_000, 20)));
        desk.advance_ms(HOUR_MS / 6);
    }
    assert!(rows.values().all(|row| row.get("content").is_some()));
    let lost: Vec<&String> = given_up.iter().filter(|key| !rows.contains_key(*key)).collect();
    assert!(lost.is_empty() && given_up.len() > 100, "{} of {}: {lost:?}", lost.len(), given_up.len());
}

/// Reads a table of a portal with 70 tickets, of which ticket 7 has 250 threads, where `failing` could not be
/// read: until the reading of ticket 7 again, an hour later, ends at a place. The rows in the last batches.
fn read_again_to_a_place(
    desk: &Desk,
    connection: &mut Connection<Slow>,
    cursor: &mut Option<String>,
    failing: &[&'static str],
) -> BTreeMap<String, Value> {
    let page = zoho_desk::reader::Limits { max_changes: 50, ..LIMITS };
    for _ in 0..300 {
        match connection.read("ticket_conversations", cursor.as_deref(), page) {
            Ok(batch) if batch.caught_up => {
                *cursor = Some(batch.cursor);
                break;
            }
            Ok(batch) => *cursor = Some(batch.cursor),
            Err(_) => desk.advance_ms(1_000),
        }
    }
    desk.set(|state| failing.iter().for_each(|path| state.accept(path)));
    desk.advance_ms(HOUR_MS - 60_000);
    let mut rows = BTreeMap::new();
    for _ in 0..200 {
        let batch = connection.read("ticket_conversations", cursor.as_deref(), page).unwrap();
        rows.extend(batch.changes.into_iter().map(|change| {
            let row = serde_json::from_str(&change.after.unwrap()).unwrap();
            (change.key, row)
        }));
        *cursor = Some(batch.cursor);
        if cursor.as_ref().unwrap().contains(r#""again":{"parent":"7""#) {
            return rows;
        }
        desk.advance_ms(1_000);
    }
    panic!("no place within ticket 7: {cursor:?}");
}

#[test]
fn a_parent_that_is_due_while_another_is_read_again_keeps_its_turn() {
    let desk = Desk::with_tickets(70);
    let failing = ["/api/v1/tickets/7/threads/t7", "/api/v1/tickets/1/threads/t1"];
    desk.set(|state| {
        state.threads_of = Some((7, 250));
        failing.iter().for_each(|path| state.refuse(path, 500, "INTERNAL_SERVER_ERROR"));
    });
    let mut connection = connect_over(Slow::new(&desk, 1, 18, &[]), json!({"sort": "newest"}));
    let mut cursor = None;
    let mut rows = read_again_to_a_place(&desk, &mut connection, &mut cursor, &failing);
    assert!(!rows.contains_key(r#"{"id":"t1"}"#), "it is not due yet");
    // Ticket 1 was given up later than ticket 7.
    desk.advance_ms(60_000);
    let table = (&desk, "ticket_conversations");
    for _ in 0..4 {
        rows.extend(read_slowly_on(&mut connection, table, &mut cursor, (60_000, 20)));
        desk.advance_ms(HOUR_MS / 6);
    }
    assert!(rows.values().all(|row| row.get("content").is_some()));
    assert_eq!(rows.keys().filter(|key| key.starts_with(r#"{"id":"t7"#)).count(), 250);
    assert!(rows.contains_key(r#"{"id":"t1"}"#), "{} rows", rows.len());
}

#[test]
fn a_parent_of_which_a_child_failed_in_an_earlier_batch_is_read_again() {
    let desk = Desk::with_tickets(70);
    let (failing, hidden) = (["/api/v1/tickets/7/threads/t7"], "/api/v1/tickets/7/threads/t7-1");
    desk.set(|state| {
        state.threads_of = Some((7, 250));
        state.refuse(failing[0], 500, "INTERNAL_SERVER_ERROR");
        state.refuse(hidden, 403, "FORBIDDEN");
    });
    let mut connection = connect_over(Slow::new(&desk, 1, 18, &[]), json!({}));
    let mut cursor = None;
    let rows = read_again_to_a_place(&desk, &mut connection, &mut cursor, &failing);
    assert!(rows[r#"{"id":"t7-1"}"#].get("content").is_none());
    let table = (&desk, "ticket_conversations");
    read_slowly_on(&mut connection, table, &mut cursor, (60_000, 20));
    desk.set(|state| state.accept(hidden));
    desk.advance_ms(24 * HOUR_MS);
    let rows = read_slowly_on(&mut connection, table, &mut cursor, (60_000, 20));
    assert!(rows[r#"{"id":"t7-1"}"#].get("content").is_some());
}

#[test]
fn three_records_that_hang_stop_no_other() {
    let desk = Desk::with_tickets(150);
    let hanging = &["/tickets/20", "/tickets/21", "/tickets/90"];
    let slow = Slow::new(&desk, 300, 3, hanging);
    assert_eq!(read_slowly(slow, "tickets"), (150, 3));
}
