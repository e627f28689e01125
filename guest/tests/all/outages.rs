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

/// An endpoint, and the tables that cannot be read without it.
type Endpoint = (&'static str, &'static [&'static str]);

/// Tables that one host reads, and the endpoints of which one is refused: the default tables, and one of each
/// other kind, a list for each department, a list without a recycle bin, and parts of tickets.
const GROUPS: [(&[&str], &[Endpoint]); 3] = [
    (
        &["departments", "organization_fields", "tickets", "ticket_conversations"],
        &[
            ("/api/v1/organizations", &[]),
            ("/api/v1/departments", &["departments"]),
            ("/api/v1/organizationFields", &["organization_fields"]),
            ("/api/v1/tickets", &["tickets", "ticket_conversations"]),
            ("/api/v1/tickets/search", &["tickets", "ticket_conversations"]),
            ("/api/v1/tickets/{id}", &["tickets"]),
            ("/api/v1/tickets/{id}/conversations", &["ticket_conversations"]),
            ("/api/v1/tickets/{id}/threads", &["ticket_conversations"]),
            ("/api/v1/tickets/{id}/threads/{id}", &["ticket_conversations"]),
            ("/api/v1/ticketsCount", &[]),
            ("/api/v1/recycleBin", &[]),
        ],
    ),
    (
        &["contacts", "accounts", "products", "contracts"],
        &[
            ("/api/v1/contacts", &["contacts"]),
            ("/api/v1/contacts/search", &["contacts"]),
            ("/api/v1/contacts/{id}", &["contacts"]),
            ("/api/v1/accounts", &["accounts"]),
            ("/api/v1/accounts/search", &["accounts"]),
            ("/api/v1/accounts/{id}", &["accounts"]),
            ("/api/v1/products", &["products"]),
            ("/api/v1/products/search", &["products"]),
            ("/api/v1/products/{id}", &["products"]),
            ("/api/v1/contracts", &["contracts"]),
            ("/api/v1/contracts/{id}", &["contracts"]),
        ],
    ),
    (
        &["tasks", "articles", "ticket_attachments"],
        &[
            ("/api/v1/departments", &["tasks"]),
            ("/api/v1/tasks", &["tasks"]),
            ("/api/v1/tasks/search", &["tasks"]),
            ("/api/v1/tasks/{id}", &["tasks"]),
            ("/api/v1/articles", &["articles"]),
            ("/api/v1/articles/search", &["articles"]),
            ("/api/v1/articles/{id}", &["articles"]),
            ("/api/v1/tickets", &["ticket_attachments"]),
            ("/api/v1/tickets/search", &["ticket_attachments"]),
            ("/api/v1/tickets/{id}/attachments", &["ticket_attachments"]),
            ("/api/v1/recycleBin", &[]),
        ],
    ),
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

/// One of each kind, for endpoints that are read as those of the first group are, and for some records. All
/// of them would take minutes.
const FEW_REFUSALS: [&str; 4] = ["204", "422", "500", "timeout"];

/// Records of which an endpoint is refused where it is not refused as a whole: some that change again and
/// again, and some that do not: more than are in flight in the smallest edition. None has the id of the
/// department.
const SOME: [u32; 6] = [2, 3, 4, 20, 21, 22];

/// Those that change every ten minutes.
const CHANGED: std::ops::RangeInclusive<u32> = 20..=25;

/// A refusal of an endpoint that persists.
#[derive(Clone, Copy, Debug)]
struct Case {
    endpoint: &'static str,
    needed_by: &'static [&'static str],
    refusal: &'static str,
    /// For [`SOME`] records alone.
    is_of_some: bool,
}

impl Case {
    /// True for a table that need not be read meanwhile: some records stop none.
    fn stops(&self, table: &str) -> bool {
        !self.is_of_some && self.needed_by.contains(&table)
    }

    /// Two where records are given up: they are read again after one.
    fn hours(&self) -> usize {
        if self.is_of_some { 2 } else { 1 }
    }

    /// True where the records that are refused are read again an hour later, with the members that they lack.
    /// Those that the user may not see are not, and parents without their lists are read when they change.
    fn is_read_again(&self) -> bool {
        let is_of_record = self.is_of_some && self.endpoint.ends_with("{id}");
        // The list row of a thread whose record is empty is whole, and contracts are polled once an hour.
        let is_whole = self.refusal == "204" && self.endpoint.contains("threads");
        is_of_record && !is_whole && !self.endpoint.contains("contracts")
    }
}

/// These refusals of endpoints as a whole, and few of some records, where they are of records.
fn cases(endpoints: &'static [Endpoint], refusals: &'static [&'static str]) -> impl Iterator<Item = Case> {
    endpoints.iter().flat_map(move |&(endpoint, needed_by)| {
        let case = move |refusal, is_of_some| Case { endpoint, needed_by, refusal, is_of_some };
        let of_some = FEW_REFUSALS.into_iter().filter(move |_| endpoint.contains("{id}"));
        let of_all = refusals.iter().map(move |refusal| case(*refusal, false));
        of_all.chain(of_some.map(move |refusal| case(refusal, true)))
    })
}

/// The refusals of the endpoints of these tables for hours.
fn cases_of_hours(tables: &[&str], endpoints: &'static [Endpoint]) -> impl Iterator<Item = Case> {
    cases(endpoints, if tables.contains(&"tickets") { &REFUSALS } else { &FEW_REFUSALS })
}

/// The scripted server, and its refusals.
struct Outage {
    desk: Desk,
    faults: Rc<RefCell<Faults>>,
}

#[derive(Default)]
struct Faults {
    case: Option<Case>,
    calls: usize,
    tokens: usize,
    /// Calls about the first of [`SOME`] that were refused.
    of_first: usize,
}

impl Faults {
    /// The refusal of a path; none for a path that is answered.
    fn refusal(&mut self, path: &str) -> Option<&'static str> {
        let record: Option<u32> = path.split(['/', '?']).find_map(|part| part.parse().ok());
        let is_of = |case: &Case| !case.is_of_some || record.is_some_and(|id| SOME.contains(&id));
        let case = self.case.filter(|case| endpoint(path) == case.endpoint && is_of(case))?;
        self.of_first += usize::from(record == Some(SOME[0]));
        Some(case.refusal)
    }
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
        let mut slots = Slots::new(at_once);
        let answers = requests.iter().map(|request| self.answer(request, &mut slots)).collect();
        self.desk.advance_ms(slots.ms());
        answers
    }
}

/// The calls in flight, as a host sends them: each as soon as another one is answered.
struct Slots(Vec<u64>);

impl Slots {
    fn new(at_once: usize) -> Self {
        Self(vec![0; at_once])
    }

    /// When the next call is sent; none once it would be too late.
    fn next_ms(&self) -> Option<u64> {
        self.0.iter().min().copied().filter(|begun_ms| *begun_ms < SEND_MS)
    }

    /// The next call takes so long.
    fn take(&mut self, ms: u64) {
        *self.0.iter_mut().min().unwrap() += ms;
    }

    /// When the last call has ended.
    fn ms(&self) -> u64 {
        self.0.iter().max().copied().unwrap_or_default()
    }
}

impl Outage {
    fn answer(&mut self, request: &Request, slots: &mut Slots) -> Result<Response, Failure> {
        if slots.next_ms().is_none() {
            return Err(Failure::Unsent);
        }
        let mut faults = self.faults.borrow_mut();
        faults.calls += 1;
        faults.tokens += usize::from(request.path_with_query.starts_with("/oauth"));
        let refusal = faults.refusal(&request.path_with_query);
        slots.take(if refusal == Some("timeout") { HANG_MS } else { 20 });
        let answer = self.desk.send(std::slice::from_ref(request), 1).remove(0)?;
        let Some(refusal) = refusal else { return Ok(answer) };
        let refused = |status: u16, code: &str| {
            let body = json!({"errorCode": code, "message": "m"}).to_string().into_bytes();
            Ok(Response { status, headers: answer.headers.clone(), body })
        };
        match refusal {
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
            "timeout" => Err(Failure::Broken("timed out".to_owned())),
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
    fn new(tables: &'static [&'static str], case: Option<Case>) -> Self {
        let desk = Desk::with_tickets(30);
        desk.set(|state| {
            state.contracts = (1..=30).map(|id| (id, 1)).collect();
            // Few calls in flight: some are sent after those that fail.
            state.edition = "FREE";
        });
        let faults = Rc::new(RefCell::new(Faults { case, ..Faults::default() }));
        let outage = Outage { desk: desk.clone(), faults: faults.clone() };
        let connection = connect_over(outage, json!({"tables": tables}));
        let tables = tables.iter().map(|table| (*table, State::default())).collect();
        Self { connection, desk, faults, tables }
    }

    /// Records change.
    fn change(&mut self, ids: std::ops::RangeInclusive<u32>) {
        let now_ms = self.desk.now_ms();
        self.desk.set(|state| {
            ids.clone().for_each(|id| state.modify(&id.to_string()));
            state.contracts.extend(ids.map(|id| (id, now_ms)));
        });
    }

    /// Reads for some hours: the calls of each, and the problems. No table stops but those of the case.
    fn read_for(&mut self, hours: usize) -> (Vec<usize>, Vec<String>) {
        let case = self.faults.borrow().case;
        let (mut calls, mut problems) = (Vec::new(), Vec::new());
        for hour in 1..=hours {
            let before: BTreeMap<_, _> =
                self.tables.iter().map(|(table, state)| (*table, state.caught_up)).collect();
            *self.faults.borrow_mut() = Faults { case, ..Faults::default() };
            self.run(HOUR_MS);
            for (table, state) in &self.tables {
                let continues = state.caught_up > before[table] || state.rests_until_ms > self.desk.now_ms();
                if !continues && !case.is_some_and(|case| case.stops(table)) {
                    problems.push(format!("{table} stops in hour {hour}"));
                }
            }
            let faults = self.faults.borrow();
            if faults.tokens > 7 {
                problems.push(format!("{} tokens in hour {hour}", faults.tokens));
            }
            let of_first = faults.of_first;
            if hour == 2 && case.is_some_and(|case| case.is_read_again()) && !(1..=6).contains(&of_first) {
                problems.push(format!("a record that was given up is asked for {of_first} times"));
            }
            calls.push(faults.calls);
        }
        (calls, problems)
    }

    /// Reads for a while; something changes every ten minutes.
    fn run(&mut self, for_ms: u64) {
        let end_ms = self.desk.now_ms() + for_ms;
        let mut changed_ms = self.desk.now_ms();
        while self.desk.now_ms() < end_ms {
            if self.desk.now_ms() >= changed_ms + 600_000 {
                changed_ms = self.desk.now_ms();
                self.change(CHANGED);
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

/// A connection to these tables whose calls may be refused.
fn connection_over(desk: &Desk, faults: &Rc<RefCell<Faults>>, tables: &[&str]) -> Connection<Outage> {
    connect_over(Outage { desk: desk.clone(), faults: faults.clone() }, json!({"tables": tables}))
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
    for (tables, endpoints) in GROUPS {
        // Some records that the source does not show were deleted.
        let of_all = cases(endpoints, &REFUSALS).filter(|case| !case.is_of_some);
        of_all.for_each(|case| deletes_no_row(tables, case));
    }
}

fn deletes_no_row(tables: &'static [&'static str], case: Case) {
    let desk = small_portal();
    let faults = Rc::new(RefCell::new(Faults::default()));
    let mut connection = connection_over(&desk, &faults, tables);
    let mut read: Vec<(&str, Option<String>, BTreeSet<String>)> = Vec::new();
    // The script refuses the fields of a module: their snapshot is incomplete.
    for table in tables.iter().filter(|table| **table != "organization_fields") {
        let mut cursor = None;
        let (keys, is_complete) = read_on((&desk, &mut connection), table, &mut cursor, "before the outage");
        assert!(is_complete && !keys.is_empty(), "{table}");
        read.push((table, cursor, keys));
    }
    faults.borrow_mut().case = Some(case);
    let what = format!("{case:?}");
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

#[test]
fn no_refusal_of_any_endpoint_costs_many_calls_or_stops_another_table() {
    let mut found = Vec::new();
    for (tables, endpoints) in GROUPS {
        let read = |case: Option<Case>| {
            let mut host = Host::new(tables, None);
            host.run(HOUR_MS / 6);
            host.faults.borrow_mut().case = case;
            host.change(1..=30);
            host.read_for(case.map_or(2, |case| case.hours()))
        };
        let (quiet, _) = read(None);
        for case in cases_of_hours(tables, endpoints) {
            let (calls, problems) = read(Some(case));
            if calls.iter().zip(&quiet).any(|(calls, quiet)| *calls > quiet + 600) {
                found.push(format!("{calls:?} calls an hour, {quiet:?} without: {case:?}"));
            }
            found.extend(problems.into_iter().map(|problem| format!("{problem}: {case:?}")));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn no_refusal_during_a_snapshot_costs_many_calls_or_stops_another_table() {
    let mut found = Vec::new();
    for (tables, endpoints) in GROUPS {
        for case in cases_of_hours(tables, endpoints) {
            let (calls, problems) = Host::new(tables, Some(case)).read_for(case.hours());
            if calls.iter().any(|calls| *calls > 1_000) {
                found.push(format!("{calls:?} calls an hour: {case:?}"));
            }
            found.extend(problems.into_iter().map(|problem| format!("{problem}: {case:?}")));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_recycle_bin_that_fails_is_asked_once_for_all_tables_of_a_round() {
    let desk = small_portal();
    let faults = Rc::new(RefCell::new(Faults::default()));
    let tables = ["tickets", "ticket_conversations", "contacts"];
    let mut connection = connection_over(&desk, &faults, &tables);
    let mut cursors = tables.map(|table| {
        let mut cursor = None;
        read_on((&desk, &mut connection), table, &mut cursor, "before the outage");
        (table, cursor)
    });
    let endpoint = "/api/v1/recycleBin";
    faults.borrow_mut().case = Some(Case { endpoint, needed_by: &[], refusal: "timeout", is_of_some: false });
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

    fn send(&mut self, requests: &[Request], at_once: usize) -> Vec<Result<Response, Failure>> {
        let start_ms = self.desk.now_ms();
        let mut slots = Slots::new(at_once);
        let mut answers = Vec::new();
        for (index, request) in requests.iter().enumerate() {
            let Some(begun_ms) = slots.next_ms() else {
                answers.push(Err(Failure::Unsent));
                continue;
            };
            *self.latest_ms.borrow_mut() = start_ms + begun_ms;
            let hangs = self.hanging.borrow().iter().any(|id| request.path_with_query.ends_with(id));
            slots.take(if hangs { HANG_MS } else { self.call_ms });
            let answer = self.desk.send(std::slice::from_ref(request), 1).remove(0);
            answers.push(match () {
                () if hangs => Err(Failure::Broken("timed out".to_owned())),
                () if at_once > self.allowed && index >= self.allowed => {
                    answer.map(|answer| Response { status: 429, body: b"{}".to_vec(), ..answer })
                }
                () => answer,
            });
        }
        self.desk.advance_ms(slots.ms());
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
