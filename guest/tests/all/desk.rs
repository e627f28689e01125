//! A few scripted endpoints behind [`Transport`], for tests of single decisions. The complete double of Zoho
//! Desk is `tests/simulator`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Value, json};
use zoho_desk::time;
use zoho_desk::transport::{Failure, Method, Request, Response, Transport};

#[derive(Clone)]
pub(crate) struct Desk(Rc<RefCell<State>>);

#[derive(Default)]
pub(crate) struct State {
    now_ms: u64,
    /// How far the server's clock is ahead of the host's, or behind it.
    pub ahead_ms: u64,
    pub behind_ms: u64,
    /// Status and code of paths that are refused.
    refused: BTreeMap<&'static str, (u16, &'static str)>,
    /// Departments of the list beyond the first.
    pub more_departments: usize,
    tickets: Vec<u32>,
    modified: BTreeMap<u32, u64>,
    /// When customers responded.
    responded: BTreeMap<u32, u64>,
    /// Comments of tickets, where there are some.
    comments: BTreeMap<u32, u32>,
    /// The search does not take `customerResponseTimeRange`.
    pub refuse_response_time: bool,
    /// Departments of tickets; others are of department 1.
    departments: BTreeMap<u32, u32>,
    /// Paths of all requests, with their queries.
    pub asked: Vec<String>,
    /// Deleted tickets, with times.
    recycle_bin: Vec<(u32, u64)>,
    calls: usize,
    tokens: usize,
    pub token: usize,
    pub credits_left: u64,
    pub edition: &'static str,
    pub refuse_every_token: bool,
    pub refuse_fields: bool,
    /// The answer of lists that are asked for `fields`; 0: their rows.
    pub fields_status: u16,
    pub refuse_include: bool,
    pub ignore_from: bool,
    /// The search's `count` is that of the page (reference, conflict 8).
    pub count_of_page: bool,
    pub fail_detail_of: Option<String>,
    /// When each contract was modified.
    pub contracts: BTreeMap<u32, u64>,
    /// Lists do not sort by modified time.
    pub refuse_modified_sort: bool,
    /// Minutes between the creation of two tickets, the last one now; 0: no row has its time.
    pub created_every_min: u64,
    /// Tickets up to this one were created at one time.
    pub created_together: u32,
    /// Tickets without threads.
    pub silent: Vec<u32>,
    /// A search without a range finds all tickets, not those that were modified.
    pub search_has_all: bool,
    /// Lists of tickets show how many threads they have.
    pub lists_counters: bool,
    /// The search does not take `createdTimeRange`.
    pub refuse_created_time: bool,
    /// Tickets that the search does not find yet.
    pub unindexed: Vec<u32>,
    /// Rows after which lists end; 0: all.
    pub list_cap: usize,
    /// Pages of lists that reach beyond it are refused.
    pub refuse_beyond_cap: bool,
    /// Tickets that are deleted for good after the first request that has this text.
    pub purge_after: Option<(&'static str, Vec<u32>)>,
    /// The first request that has this text gets this status.
    pub refuse_once: Option<(&'static str, u16)>,
    /// Status of the recycle bin; 0: its records.
    pub recycle_bin_status: u16,
    /// The module of all records in the recycle bin.
    pub bin_type: &'static str,
    /// The order of the recycle bin.
    pub newest_deleted_first: bool,
    /// Refusals of parameters do not name them.
    pub vague: bool,
    /// The answer of the list of tickets; 0: its rows.
    pub list_status: u16,
    /// A ticket with so many threads; others have one.
    pub threads_of: Option<(u32, usize)>,
    /// When all threads were sent.
    pub threads_at_ms: Option<u64>,
    /// Pages of a search that were asked for at once, the most.
    pub searches_at_once: usize,
    /// How the list of threads and comments together answers.
    pub together: Together,
    /// Every detail answers 500.
    pub fail_details: bool,
    /// The answer of `ticketsCount`: a count, or a status.
    pub counted: u64,
    pub count_status: u16,
    /// Tickets that `ticketsCount` counts with a range, and that nothing lists.
    pub archived: std::ops::Range<u32>,
    /// Status and code by module of `organizationFields`.
    pub field_status: BTreeMap<String, (u16, &'static str)>,
    /// The search index does not show yet that tickets were moved.
    pub late_departments: bool,
    /// The list ignores the filter by department.
    pub ignore_departments: bool,
    /// Paths below a ticket that answer 403, as `5/threads`.
    pub hidden: Vec<String>,
    /// The ticket whose every page of threads is full.
    pub endless: Option<String>,
    pub detail_status: BTreeMap<String, u16>,
    /// The detail that answers with this status and text, as a proxy does.
    pub detail_of_proxy: Option<(String, u16, &'static str)>,
    /// The key set for webhook signatures.
    pub jwks: Vec<Value>,
    pub keys_fail: bool,
    key_fetches: usize,
    /// Registered webhooks.
    pub webhooks: Vec<Value>,
    created: usize,
}

/// Readings of `GET /tickets/{id}/conversations`, which no description of the API has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Together {
    #[default]
    Whole,
    /// Answers this status.
    Refused(u16),
    Empty,
    /// Lists the threads alone.
    Short,
    /// Comments come without their content.
    Partial,
}

impl State {
    pub(crate) fn modify(&mut self, id: &str) {
        self.modified.insert(id.parse().unwrap(), self.now_ms);
    }

    /// The ticket's customer responds.
    pub(crate) fn respond_to(&mut self, id: u32) {
        self.responded.insert(id, self.now_ms);
    }

    /// The ticket gets a comment.
    pub(crate) fn comment_on(&mut self, id: u32) {
        *self.comments.entry(id).or_default() += 1;
    }

    /// A comment of the ticket is deleted, the last one.
    pub(crate) fn delete_comment_of(&mut self, id: u32) {
        *self.comments.entry(id).or_default() -= 1;
    }

    /// Moves a ticket to a department, which changes it.
    pub(crate) fn move_to(&mut self, id: u32, department: u32) {
        self.departments.insert(id, department);
        self.modified.insert(id, self.now_ms);
    }

    /// Answers this status and code to every call of a path.
    pub(crate) fn refuse(&mut self, path: &'static str, status: u16, code: &'static str) {
        self.refused.insert(path, (status, code));
    }

    /// The details of these tickets fail.
    pub(crate) fn fail_details_of(&mut self, ids: std::ops::Range<u32>) {
        self.detail_status.extend(ids.map(|id| (id.to_string(), 500)));
    }

    /// Answers a path again that was refused.
    pub(crate) fn accept(&mut self, path: &str) {
        self.refused.remove(path);
    }

    fn created_ms(&self, id: u32) -> u64 {
        let id = id.max(self.created_together);
        let newest = u64::from(self.tickets.last().copied().unwrap_or(id).max(id));
        START_MS - (newest - u64::from(id)) * self.created_every_min * 60_000
    }

    fn department(&self, id: u32) -> String {
        self.departments.get(&id).unwrap_or(&1).to_string()
    }

    pub(crate) fn answer_fields(&mut self, module: &str, status: u16, code: &'static str) {
        self.field_status.insert(module.to_owned(), (status, code));
    }

    /// Tickets are deleted at one time.
    pub(crate) fn delete_together(&mut self, ids: std::ops::Range<u32>) {
        ids.for_each(|id| self.delete(&id.to_string()));
    }

    /// The ticket changed some time ago.
    pub(crate) fn modify_at(&mut self, id: u32, ago_ms: u64) {
        self.modified.insert(id, self.now_ms - ago_ms);
    }

    /// A ticket of the recycle bin is back, as it was.
    pub(crate) fn restore(&mut self, id: u32) {
        self.recycle_bin.retain(|(known, _)| *known != id);
        self.tickets.push(id);
        self.tickets.sort_unstable();
    }

    /// The ticket is deleted for good, without a trace.
    pub(crate) fn purge(&mut self, id: u32) {
        self.tickets.retain(|known| *known != id);
        self.modified.remove(&id);
    }

    pub(crate) fn delete(&mut self, id: &str) {
        let id: u32 = id.parse().unwrap();
        self.tickets.retain(|known| *known != id);
        self.modified.remove(&id);
        self.recycle_bin.push((id, self.now_ms));
    }
}

const START_MS: u64 = 1_795_368_310_000;

impl Desk {
    pub(crate) fn with_tickets(count: u32) -> Self {
        Self(Rc::new(RefCell::new(State {
            now_ms: START_MS,
            credits_left: 99_000,
            edition: "ENTERPRISE",
            bin_type: "Tickets",
            tickets: (1..=count).collect(),
            ..State::default()
        })))
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.borrow_mut());
    }

    pub(crate) fn advance_ms(&self, ms: u64) {
        self.0.borrow_mut().now_ms += ms;
    }

    /// Sets the host's clock back.
    pub(crate) fn set_back_ms(&self, ms: u64) {
        self.0.borrow_mut().now_ms -= ms;
    }

    pub(crate) fn calls(&self) -> usize {
        self.0.borrow().calls
    }

    pub(crate) fn tokens(&self) -> usize {
        self.0.borrow().tokens
    }

    pub(crate) fn key_fetches(&self) -> usize {
        self.0.borrow().key_fetches
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.0.borrow().now_ms
    }
}

impl Transport for Desk {
    fn now_ms(&self) -> u64 {
        self.now_ms()
    }

    fn ticks_ms(&self) -> u64 {
        0
    }

    fn send(&mut self, requests: &[Request], _: usize) -> Vec<Result<Response, Failure>> {
        let searches = requests.iter().filter(|request| request.path_with_query.contains("/search?")).count();
        self.set(|state| state.searches_at_once = state.searches_at_once.max(searches));
        requests.iter().map(|request| Ok(self.0.borrow_mut().answer(request))).collect()
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> Response {
        self.calls += 1;
        self.asked.push(request.path_with_query.clone());
        let (path, query) = request.path_with_query.split_once('?').unwrap_or((&request.path_with_query, ""));
        let query: BTreeMap<&str, &str> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        if path == "/oauth/v2/token" {
            self.tokens += 1;
            let body =
                json!({"access_token": format!("t{}", self.token), "refresh_token": "r", "expires_in": 3600});
            return self.respond(200, &body);
        }
        if path == "/.well-known/jwks.json" {
            self.key_fetches += 1;
            return match self.keys_fail {
                true => self.respond(503, &json!({})),
                false => self.respond(200, &json!({"keys": self.jwks})),
            };
        }
        if path == "/oauth/serverinfo" {
            return self.respond(200, &json!({}));
        }
        let wanted = format!("Zoho-oauthtoken t{}", self.token);
        let given = request.headers.iter().find(|(name, _)| *name == "authorization");
        if self.refuse_every_token || given.is_none_or(|(_, value)| *value != wanted) {
            return self.respond(401, &json!({"errorCode": "INVALID_OAUTH", "message": "m"}));
        }
        if let Some((_, status)) =
            self.refuse_once.take_if(|(text, _)| request.path_with_query.contains(*text))
        {
            return self.respond(status, &json!({"errorCode": "ONCE", "message": "m"}));
        }
        if let Some((status, code)) = self.refused.get(path) {
            return self.respond(*status, &json!({"errorCode": code, "message": "m"}));
        }
        let response = match path.strip_prefix("/api/v1/webhooks") {
            Some(rest) => self.webhook(request, rest.trim_start_matches('/')),
            None => self.route(path, &query),
        };
        if let Some((_, ids)) = self.purge_after.take_if(|(text, _)| request.path_with_query.contains(*text))
        {
            ids.into_iter().for_each(|id| self.purge(id));
        }
        response
    }

    fn webhook(&mut self, request: &Request, id: &str) -> Response {
        let index = self.webhooks.iter().position(|hook| hook["id"] == id);
        match (request.method, index) {
            (Method::Get, _) if self.webhooks.is_empty() => self.respond(204, &Value::Null),
            (Method::Get, _) => self.respond(200, &json!({"data": self.webhooks})),
            (Method::Post, _) => {
                let mut hook: Value = serde_json::from_slice(&request.body).unwrap();
                self.created += 1;
                hook["id"] = Value::from(format!("{}", 700 + self.created));
                self.webhooks.push(hook.clone());
                self.respond(200, &hook)
            }
            (Method::Patch, Some(index)) => {
                let change: Value = serde_json::from_slice(&request.body).unwrap();
                for (name, value) in change.as_object().unwrap() {
                    self.webhooks[index][name] = value.clone();
                }
                self.respond(200, &self.webhooks[index])
            }
            (Method::Delete, Some(index)) => {
                self.webhooks.remove(index);
                self.respond(200, &json!({}))
            }
            _ => self.respond(404, &json!({"errorCode": "URL_NOT_FOUND", "message": id})),
        }
    }

    fn route(&self, path: &str, query: &BTreeMap<&str, &str>) -> Response {
        // Those of other modules are the same records under another name.
        let of_module = |module| path.strip_prefix("/api/v1/")?.strip_prefix(module);
        match ["contacts", "accounts", "products", "tasks", "articles"].into_iter().find_map(of_module) {
            Some(rest) => self.answer_path(&format!("/api/v1/tickets{rest}"), query),
            None => self.answer_path(path, query),
        }
    }

    fn answer_path(&self, path: &str, query: &BTreeMap<&str, &str>) -> Response {
        match path {
            "/api/v1/organizations" => self
                .respond(200, &json!({"data": [{"id": "42", "companyName": "C", "edition": self.edition}]})),
            "/api/v1/tickets" => self.list(query),
            "/api/v1/tickets/search" => self.search(query),
            "/api/v1/recycleBin" if self.recycle_bin_status != 0 => {
                self.respond(self.recycle_bin_status, &json!({"errorCode": "REFUSED", "message": "m"}))
            }
            "/api/v1/recycleBin" => {
                let row = |(id, at): &(u32, u64)| {
                    json!({"id": id.to_string(), "type": self.bin_type, "departmentId": self.department(*id),
                        "deletedTime": time::format(*at)})
                };
                let from: usize = query["from"].parse().unwrap();
                let mut bin = self.recycle_bin.clone();
                if self.newest_deleted_first {
                    bin.reverse();
                }
                let rows: Vec<Value> = bin.iter().skip(from.max(1) - 1).take(50).map(row).collect();
                self.respond(200, &json!({"data": rows}))
            }
            "/api/v1/contracts" => self.contracts(query),
            "/api/v1/departments/5" => self.respond(200, &json!({"id": "5", "name": "by the API"})),
            "/api/v1/departments" => {
                let number = |name: &str, default| query.get(name).map_or(default, |n| n.parse().unwrap());
                let ids = (1..=1 + self.more_departments).skip(number("from", 1usize) - 1);
                let rows: Vec<Value> = ids
                    .take(number("limit", 10))
                    .map(|id| json!({"id": id.to_string(), "name": "D"}))
                    .collect();
                match rows.is_empty() {
                    true => self.respond(204, &Value::Null),
                    false => self.respond(200, &json!({"data": rows})),
                }
            }
            "/api/v1/ticketsCount" if self.count_status == 0 => {
                let count = match query.get("createdTimeRange") {
                    Some(range) => {
                        let range = range.replace("%3A", ":").replace("%2C", ",");
                        let (from, to) = range.split_once(',').unwrap();
                        let range = time::parse(from).unwrap()..=time::parse(to).unwrap();
                        let is_in = |id: &&u32| range.contains(&self.created_ms(**id));
                        let is_archived = |id: &u32| range.contains(&self.created_ms(*id));
                        let archived = self.archived.clone().filter(is_archived).count();
                        (self.tickets.iter().filter(is_in).count() + archived) as u64
                    }
                    None => self.counted,
                };
                self.respond(200, &json!({"count": count}))
            }
            "/api/v1/ticketsCount" => {
                self.respond(self.count_status, &json!({"errorCode": "REFUSED", "message": "m"}))
            }
            "/api/v1/organizationFields" if self.field_status.contains_key(query["module"]) => {
                let (status, code) = self.field_status[query["module"]];
                self.respond(status, &json!({"errorCode": code, "message": "m"}))
            }
            "/api/v1/organizationFields" if query["module"] == "timeEntry" => {
                self.respond(422, &json!({"errorCode": "UNPROCESSABLE_ENTITY", "message": "module"}))
            }
            "/api/v1/organizationFields" => {
                let id = format!("f-{}", query["module"]);
                let field = json!({"id": id, "apiName": "cf_region", "type": "Text", "isCustomField": true});
                self.respond(200, &json!({"data": [field]}))
            }
            _ if path.starts_with("/api/v1/departments/") => {
                let id = path.rsplit('/').next().unwrap();
                self.respond(200, &json!({"id": id, "name": "D", "associatedAgentIds": ["7"]}))
            }
            _ if path.starts_with("/api/v1/contracts/") => {
                let id = path.rsplit('/').next().unwrap();
                match self.contracts.get(&id.parse().unwrap()) {
                    Some(at) => self.respond(200, &json!({"id": id, "modifiedTime": time::format(*at)})),
                    None => self.respond(404, &json!({"errorCode": "URL_NOT_FOUND", "message": id})),
                }
            }
            _ => match path.strip_prefix("/api/v1/tickets/") {
                Some(path) if path.contains('/') => self.conversations(path, query),
                Some(id) => self.detail(id),
                None => self.respond(404, &json!({"errorCode": "URL_NOT_FOUND", "message": path})),
            },
        }
    }

    fn contracts(&self, query: &BTreeMap<&str, &str>) -> Response {
        let is_by_modified = query.get("sortBy").is_some_and(|field| *field == "-modifiedTime");
        if is_by_modified && self.refuse_modified_sort {
            let message = "The value passed for field 'sortBy' is invalid.";
            return self.respond(422, &json!({"errorCode": "UNPROCESSABLE_ENTITY", "message": message}));
        }
        let mut contracts: Vec<(&u32, &u64)> = self.contracts.iter().collect();
        if is_by_modified {
            contracts.sort_by_key(|(id, at)| (std::cmp::Reverse(**at), **id));
        }
        let number = |name: &str| query[name].parse::<usize>().unwrap();
        let page = contracts.into_iter().skip(number("from").max(1) - 1).take(number("limit"));
        let rows: Vec<Value> =
            page.map(|(id, _)| json!({"id": id.to_string(), "contractName": "C"})).collect();
        match rows.is_empty() {
            true => self.respond(204, &Value::Null),
            false => self.respond(200, &json!({"data": rows})),
        }
    }

    fn list(&self, query: &BTreeMap<&str, &str>) -> Response {
        let extra = |name: &str| {
            let message = format!("Extra query parameter '{name}' is present in the input.");
            let message = if self.vague { "The input is invalid." } else { &message };
            self.respond(422, &json!({"errorCode": "UNPROCESSABLE_ENTITY", "message": message}))
        };
        if self.list_status != 0 {
            return self.respond(self.list_status, &json!({"errorCode": "INVALID_DATA", "message": "m"}));
        }
        if self.refuse_include && query.contains_key("include") {
            return extra("include");
        }
        if self.fields_status != 0 && query.contains_key("fields") {
            return self.respond(self.fields_status, &json!({"errorCode": "BUSY", "message": "m"}));
        }
        if self.refuse_fields && query.contains_key("fields") {
            return extra("fields");
        }
        let is_descending = query.get("sortBy").is_some_and(|field| field.starts_with('-'));
        let from: usize = if self.ignore_from { 1 } else { query["from"].parse().unwrap() };
        let limit: usize = query["limit"].parse().unwrap();
        if self.refuse_beyond_cap && from + limit > self.list_cap {
            let message = "The value passed for field 'from' exceeds the range of '0-4999'.";
            return self.respond(422, &json!({"errorCode": "UNPROCESSABLE_ENTITY", "message": message}));
        }
        let chosen: Option<Vec<&str>> = query.get("departmentIds").map(|ids| ids.split(',').collect());
        let mut ids: Vec<&u32> = self.tickets.iter().collect();
        if is_descending {
            ids.reverse();
        }
        let rows: Vec<Value> = ids
            .into_iter()
            .filter(|id| {
                let ignored = self.ignore_departments || chosen.is_none();
                ignored || chosen.iter().flatten().any(|chosen| *chosen == self.department(**id))
            })
            .take(if self.list_cap == 0 { usize::MAX } else { self.list_cap })
            .skip(from.max(1) - 1)
            .take(limit)
            .map(|id| {
                if query.contains_key("fields") {
                    json!({"id": id.to_string(), "cf": {"cf_region": format!("r{id}")}})
                } else {
                    let mut row = json!({"id": id.to_string(), "departmentId": self.department(*id),
                        "subject": "s", "isRead": true, "contact": {"id": format!("c{id}")}});
                    if self.lists_counters {
                        row["threadCount"] = (if self.silent.contains(id) { "0" } else { "1" }).into();
                    }
                    if self.created_every_min > 0 {
                        row["createdTime"] = time::format(self.created_ms(*id)).into();
                    }
                    row
                }
            })
            .collect();
        if rows.is_empty() {
            self.respond(204, &Value::Null)
        } else {
            self.respond(200, &json!({"data": rows}))
        }
    }

    fn search(&self, query: &BTreeMap<&str, &str>) -> Response {
        let has_no_range = self.search_has_all && !query.keys().any(|name| name.ends_with("TimeRange"));
        let is_created = query.contains_key("createdTimeRange");
        let created: BTreeMap<u32, u64> = match is_created || has_no_range {
            true if is_created && self.refuse_created_time => {
                let message = "Extra query parameter 'createdTimeRange' is present in the input.";
                return self.respond(422, &json!({"errorCode": "UNPROCESSABLE_ENTITY", "message": message}));
            }
            true => {
                let found = self.tickets.iter().filter(|id| !self.unindexed.contains(id));
                found.map(|id| (*id, self.created_ms(*id))).collect()
            }
            false => BTreeMap::new(),
        };
        let (name, times) = match query.contains_key("customerResponseTimeRange") {
            true => ("customerResponseTimeRange", &self.responded),
            false if has_no_range || (is_created && !query.contains_key("modifiedTimeRange")) => {
                ("createdTimeRange", &created)
            }
            false => ("modifiedTimeRange", &self.modified),
        };
        if self.refuse_response_time && name == "customerResponseTimeRange" {
            let message = format!("Extra query parameter '{name}' is present in the input.");
            let message = if self.vague { "The input is invalid." } else { &message };
            return self.respond(422, &json!({"errorCode": "UNPROCESSABLE_ENTITY", "message": message}));
        }
        let range = query.get(name).map(|range| range.replace("%3A", ":"));
        let (from, to) = range.as_deref().and_then(|range| range.split_once(',')).unwrap_or(("", ""));
        let (from, to) = (time::parse(from).unwrap_or(0), time::parse(to).unwrap_or(u64::MAX));
        let offset: usize = query["from"].parse().unwrap();
        if offset + 100 > 5000 {
            let message = "Max search result iterable is 5000";
            return self.respond(422, &json!({"errorCode": "UNPROCESSABLE_ENTITY", "message": message}));
        }
        let created_range =
            query.get("createdTimeRange").map(|range| range.replace("%3A", ":").replace("%2C", ","));
        let is_created = |id: &u32| match created_range.as_deref().and_then(|range| range.split_once(',')) {
            Some((from, to)) => {
                (time::parse(from).unwrap()..=time::parse(to).unwrap()).contains(&self.created_ms(*id))
            }
            None => true,
        };
        let is_found = |(id, at): &(&u32, &u64)| (from..=to).contains(*at) && is_created(id);
        let found: Vec<(&u32, &u64)> = times.iter().filter(is_found).collect();
        let total = found.len();
        let rows: Vec<Value> = found
            .into_iter()
            .skip(offset)
            .take(100)
            .map(|(id, _)| {
                let department = if self.late_departments { "1".to_owned() } else { self.department(*id) };
                let time_in = |of: &BTreeMap<u32, u64>| of.get(id).map(|at| time::format(*at));
                if name == "createdTimeRange" {
                    let modified = self.modified.get(id).copied().unwrap_or_else(|| self.created_ms(*id));
                    return json!({"id": id.to_string(), "departmentId": department, "threadCount": "1",
                        "commentCount": "0", "modifiedTime": time::format(modified), "subject": "s",
                        "createdTime": time::format(self.created_ms(*id)), "isRead": true,
                        "description": format!("text {id}"), "cf": {"cf_region": format!("r{id}")}});
                }
                let comments = self.comments.get(id).copied().unwrap_or(0).to_string();
                json!({"id": id.to_string(), "departmentId": department, "threadCount": "1",
                    "commentCount": comments, "modifiedTime": time_in(&self.modified),
                    "customerResponseTime": time_in(&self.responded)})
            })
            .collect();
        let count = if self.count_of_page { rows.len() } else { total };
        if rows.is_empty() {
            self.respond(204, &Value::Null)
        } else {
            self.respond(200, &json!({"data": rows, "count": count}))
        }
    }

    /// Every ticket has one thread, and the comments it was given.
    fn conversations(&self, path: &str, query: &BTreeMap<&str, &str>) -> Response {
        if self.hidden.iter().any(|hidden| hidden == path) {
            return self.respond(403, &json!({"errorCode": "FORBIDDEN", "message": "m"}));
        }
        let parts: Vec<&str> = path.split('/').collect();
        match parts[..] {
            [ticket, "threads"] if self.endless.as_deref() == Some(ticket) => {
                let from: u32 = query["from"].parse().unwrap();
                let rows: Vec<Value> =
                    (from..from + 100).map(|id| json!({"id": format!("t{ticket}-{id}")})).collect();
                self.respond(200, &json!({"data": rows}))
            }
            [ticket, "conversations"] => {
                if let Together::Refused(status) = self.together {
                    return self.respond(status, &json!({"errorCode": "URL_NOT_FOUND", "message": "m"}));
                }
                let all = BTreeMap::from([("from", "1"), ("limit", "100000")]);
                let of = |list: &str, kind: &str| {
                    let asked = if self.endless.as_deref() == Some(ticket) { query } else { &all };
                    let body = self.conversations(&format!("{ticket}/{list}"), asked).body;
                    let rows: Value = serde_json::from_slice(&body).unwrap_or_default();
                    let mut rows = rows["data"].as_array().cloned().unwrap_or_default();
                    rows.iter_mut().for_each(|row| row["type"] = kind.into());
                    rows
                };
                let mut rows = of("threads", "thread");
                match self.together {
                    Together::Empty => rows.clear(),
                    Together::Short => {}
                    _ => rows.splice(0..0, of("comments", "comment")).for_each(drop),
                }
                if self.together == Together::Partial {
                    rows.iter_mut().for_each(|row| drop(row.as_object_mut().unwrap().remove("content")));
                }
                let number = |name: &str| query[name].parse::<usize>().unwrap();
                if self.endless.is_none() {
                    rows = rows.into_iter().skip(number("from").max(1) - 1).take(number("limit")).collect();
                }
                self.respond(200, &json!({"data": rows}))
            }
            [ticket, "threads"] if self.silent.contains(&ticket.parse().unwrap()) => {
                self.respond(204, &Value::Null)
            }
            [ticket, "threads"] => {
                let mut thread = json!({"id": format!("t{ticket}")});
                if let Some(at_ms) = self.threads_at_ms {
                    thread["createdTime"] = time::format(at_ms).into();
                    thread["status"] = "SUCCESS".into();
                }
                let count = self.threads_of.filter(|(id, _)| id.to_string() == *ticket).map_or(1, |(_, n)| n);
                let rows: Vec<Value> = (0..count)
                    .map(|number| match number {
                        0 => thread.clone(),
                        _ => json!({"id": format!("t{ticket}-{number}")}),
                    })
                    .collect();
                let from: usize = query["from"].parse().unwrap();
                let page: Vec<Value> = rows.into_iter().skip(from.max(1) - 1).collect();
                match page.is_empty() {
                    true => self.respond(204, &Value::Null),
                    false => self.respond(200, &json!({"data": page})),
                }
            }
            [ticket, "threads", id] => {
                self.respond(200, &json!({"id": id, "content": format!("of {ticket}")}))
            }
            [ticket, "attachments"] => {
                let from: usize = query["from"].parse().unwrap();
                match from.max(1) {
                    1 => self.respond(200, &json!({"data": [{"id": format!("t{ticket}"), "name": "f"}]})),
                    _ => self.respond(204, &Value::Null),
                }
            }
            [_, "comments", id] => self.respond(200, &json!({"id": id, "content": "c"})),
            [ticket, "comments"] => {
                let count = self.comments.get(&ticket.parse().unwrap()).copied().unwrap_or(0);
                let from = query["from"].parse::<u32>().unwrap().max(1);
                let limit: u32 = query["limit"].parse().unwrap();
                let rows: Vec<Value> = (from - 1..count.min(from - 1 + limit))
                    .map(|id| json!({"id": format!("c{ticket}-{id}"), "content": "c"}))
                    .collect();
                if rows.is_empty() {
                    self.respond(204, &Value::Null)
                } else {
                    self.respond(200, &json!({"data": rows}))
                }
            }
            _ => self.respond(204, &Value::Null),
        }
    }

    fn detail(&self, id: &str) -> Response {
        if self.fail_details || self.fail_detail_of.as_deref() == Some(id) {
            return self.respond(500, &json!({"errorCode": "INTERNAL_SERVER_ERROR", "message": "m"}));
        }
        if let Some((_, status, text)) = self.detail_of_proxy.as_ref().filter(|(of, ..)| of == id) {
            return Response { body: text.as_bytes().to_vec(), ..self.respond(*status, &Value::Null) };
        }
        match self.detail_status.get(id) {
            Some(403) => return self.respond(403, &json!({"errorCode": "FORBIDDEN", "message": "m"})),
            Some(401) => return self.respond(401, &json!({"errorCode": "UNAUTHORIZED", "message": "m"})),
            Some(status) => {
                return self.respond(*status, &json!({"errorCode": "URL_NOT_FOUND", "message": "m"}));
            }
            None => {}
        }
        let number: u32 = id.parse().unwrap();
        let modified = self.modified.get(&number).copied().unwrap_or(START_MS - 86_400_000);
        self.respond(
            200,
            &json!({"id": id, "departmentId": self.department(number), "subject": "s", "contact": null,
                "description": format!("text {id}"), "modifiedTime": time::format(modified),
                "cf": {"cf_region": format!("r{id}"), "cf_other": null}}),
        )
    }

    fn respond(&self, status: u16, body: &Value) -> Response {
        let headers = vec![
            ("x-rate-limit-request-weight-v3".to_owned(), "1".to_owned()),
            ("x-rate-limit-remaining-v3".to_owned(), self.credits_left.to_string()),
            ("date".to_owned(), http_date(self.now_ms + self.ahead_ms - self.behind_ms)),
        ];
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        Response { status, headers, body }
    }
}

/// A time in the form of the header `Date`.
fn http_date(ms: u64) -> String {
    let iso = time::format(ms);
    let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        [iso[5..7].parse::<usize>().unwrap() - 1];
    format!("{} {month} {} {} GMT", &iso[8..10], &iso[..4], &iso[11..19])
}
