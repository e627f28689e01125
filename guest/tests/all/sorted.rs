//! Incremental reading by a list that is sorted by modified time.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde_json::{Value, json};
use zoho_desk::connection::Connection;
use zoho_desk::reader::{Batch, Limits};
use zoho_desk::time;
use zoho_desk::transport::{Failure, Request, Response, Transport};

use crate::desk::Desk;
use crate::setup::{LIMITS, connect, connect_over, read_all, read_round};

const HOUR_MS: u64 = 3_600_000;

/// A portal with this many contracts, read once, an hour later; the connection and its cursor.
fn read_once(count: u32) -> (Desk, Connection<Desk>, String) {
    let desk = Desk::with_tickets(0);
    let now_ms = desk.now_ms();
    desk.set(|state| state.contracts = (1..=count).map(|id| (id, now_ms - 100_000_000)).collect());
    let mut connection = connect(&desk, json!({}));
    let (rows, cursor) = read_all(&mut connection, "contracts", LIMITS);
    assert_eq!(rows.len(), count as usize);
    desk.advance_ms(HOUR_MS);
    (desk, connection, cursor)
}

/// Modifies contracts just now.
fn modify(desk: &Desk, ids: impl Iterator<Item = u32>) {
    let now_ms = desk.now_ms();
    desk.set(|state| state.contracts.extend(ids.map(|id| (id, now_ms))));
}

fn keys(batch: &Batch) -> Vec<&str> {
    batch.changes.iter().map(|change| change.key.as_str()).collect()
}

#[test]
fn a_quiet_round_costs_one_page_and_two_details() {
    let (desk, mut connection, cursor) = read_once(120);
    let calls = desk.calls();
    let batch = read_round(&mut connection, "contracts", &cursor);
    assert!(batch.changes.is_empty(), "{:?}", keys(&batch));
    assert_eq!(batch.wait_ms, Some(HOUR_MS));
    // The recycle bin, and a new token.
    assert!(desk.calls() - calls <= 5, "{} calls", desk.calls() - calls);
}

#[test]
fn changed_and_new_records_are_found_and_the_others_are_not_read() {
    let (desk, mut connection, cursor) = read_once(120);
    modify(&desk, (40..=42).chain([121]));
    desk.advance_ms(60_000);
    let calls = desk.calls();
    let batch = read_round(&mut connection, "contracts", &cursor);
    let mut found = keys(&batch);
    found.sort_unstable();
    assert_eq!(found, [r#"{"id":"121"}"#, r#"{"id":"40"}"#, r#"{"id":"41"}"#, r#"{"id":"42"}"#]);
    assert!(desk.calls() - calls <= 14, "{} calls", desk.calls() - calls);
    desk.advance_ms(HOUR_MS);
    assert!(read_round(&mut connection, "contracts", &batch.cursor).changes.is_empty());
}

#[test]
fn changes_of_several_pages_are_all_found_in_small_batches() {
    let (desk, mut connection, mut cursor) = read_once(300);
    modify(&desk, 10..=180);
    desk.advance_ms(60_000);
    let mut found = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let limits = Limits { max_changes: 7, ..LIMITS };
        let batch = connection.read("contracts", Some(&cursor), limits).unwrap();
        found.extend(keys(&batch).into_iter().map(str::to_owned));
        cursor = batch.cursor;
        if batch.caught_up {
            assert_eq!(found.len(), 171);
            return;
        }
    }
    panic!("never caught up");
}

#[test]
fn a_list_that_cannot_be_sorted_is_read_as_a_whole() {
    let (desk, mut connection, mut cursor) = read_once(60);
    desk.set(|state| state.refuse_modified_sort = true);
    for round in 0..3 {
        modify(&desk, [5].into_iter());
        desk.advance_ms(HOUR_MS);
        let batch = read_round(&mut connection, "contracts", &cursor);
        assert_eq!(batch.changes.len(), if round == 0 { 0 } else { 60 }, "round {round}");
        assert_eq!(batch.warnings.is_empty(), round > 0, "{:?}", batch.warnings);
        cursor = batch.cursor;
    }
}

#[test]
fn a_cursor_of_a_version_that_read_the_whole_list_continues() {
    let (desk, mut connection, _) = read_once(60);
    let at_ms = desk.now_ms() - HOUR_MS;
    modify(&desk, [5].into_iter());
    desk.advance_ms(60_000);
    let idle = json!({"version": 1, "table": "contracts", "phase": "idle", "last_snapshot_ms": at_ms});
    let batch = read_round(&mut connection, "contracts", &idle.to_string());
    assert_eq!(keys(&batch), [r#"{"id":"5"}"#]);
}

#[test]
fn a_deleted_record_is_found_by_the_verification_of_the_day() {
    let (desk, mut connection, cursor) = read_once(60);
    let cursor = read_round(&mut connection, "contracts", &cursor).cursor;
    desk.set(|state| state.contracts.retain(|id, _| *id != 7));
    desk.advance_ms(24 * HOUR_MS);
    let (calls, batch) = (desk.calls(), read_round(&mut connection, "contracts", &cursor));
    assert!(batch.generation.is_some_and(|generation| generation.complete));
    assert_eq!(batch.changes.len(), 59);
    assert!(desk.calls() - calls <= 6, "{} calls: details were read", desk.calls() - calls);
}

/// A portal with custom modules of one record each, or of so many.
#[derive(Clone)]
struct Modules {
    desk: Desk,
    /// When the record of each module was modified.
    modified_ms: Rc<RefCell<BTreeMap<&'static str, u64>>>,
    records: u32,
    /// The module whose list has this status, from this record on.
    refused: Rc<RefCell<Option<(&'static str, u16)>>>,
    refused_from: u32,
}

impl Modules {
    fn new() -> (Desk, Self, Connection<Self>) {
        Self::with(1, 0)
    }

    fn with(records: u32, refused_from: u32) -> (Desk, Self, Connection<Self>) {
        let desk = Desk::with_tickets(0);
        let modified_ms = ["Assets", "Deals"].map(|name| (name, desk.now_ms() - 100 * HOUR_MS));
        let modified_ms = Rc::new(RefCell::new(BTreeMap::from(modified_ms)));
        let portal = Self { desk: desk.clone(), modified_ms, records, refused: Rc::default(), refused_from };
        let connection = connect_over(portal.clone(), json!({"tables": ["custom_records"]}));
        (desk, portal, connection)
    }

    fn modify(&self, module: &'static str) {
        self.modified_ms.borrow_mut().insert(module, self.desk.now_ms());
    }

    fn answer(&mut self, request: &Request) -> Response {
        let answer = self.desk.send(std::slice::from_ref(request), 1).remove(0).unwrap();
        let (path, query) = request.path_with_query.split_once('?').unwrap_or((&request.path_with_query, ""));
        let modified_ms = self.modified_ms.borrow();
        let number = |name| query.split('&').find_map(|one| one.strip_prefix(name)?.parse::<u32>().ok());
        let (from, limit) = (number("from=").unwrap_or(0), number("limit=").unwrap_or(50));
        let found = match path.strip_prefix("/api/v1/") {
            Some("organizationModules") => {
                let module = |name: &&str| json!({"id": name, "apiName": name, "isCustomModule": true});
                let modules: Vec<Value> = modified_ms.keys().map(module).collect();
                json!({ "modules": modules })
            }
            Some(name) => match modified_ms.get(name) {
                Some(at_ms) => {
                    let record = |id| json!({"id": format!("{id}"), "modifiedTime": time::format(*at_ms)});
                    json!({"data": (from..self.records.min(from + limit)).map(record).collect::<Vec<_>>()})
                }
                None => return answer,
            },
            None => return answer,
        };
        match *self.refused.borrow() {
            Some((name, status)) if path.ends_with(name) && from >= self.refused_from => {
                Response { status, body: Vec::new(), ..answer }
            }
            _ => Response { status: 200, body: found.to_string().into_bytes(), ..answer },
        }
    }
}

impl Transport for Modules {
    fn now_ms(&self) -> u64 {
        self.desk.now_ms()
    }

    fn ticks_ms(&self) -> u64 {
        0
    }

    fn send(&mut self, requests: &[Request], _: usize) -> Vec<Result<Response, Failure>> {
        requests.iter().map(|request| Ok(self.answer(request))).collect()
    }
}

/// Reads custom records until caught up, twenty seconds after each batch: the modules of the rows.
fn modules_read(
    desk: &Desk,
    connection: &mut Connection<Modules>,
    cursor: &mut Option<String>,
) -> BTreeSet<String> {
    let mut modules = BTreeSet::new();
    for _ in 0..30 {
        if let Ok(batch) = connection.read("custom_records", cursor.as_deref(), LIMITS) {
            modules.extend(batch.changes.into_iter().map(|change| {
                let row: Value = serde_json::from_str(&change.after.unwrap()).unwrap();
                row["module"].as_str().unwrap().to_owned()
            }));
            *cursor = Some(batch.cursor);
            if batch.caught_up {
                return modules;
            }
        }
        desk.advance_ms(20_000);
    }
    panic!("not caught up: {modules:?}");
}

#[test]
fn changes_of_a_module_whose_list_failed_are_read_by_the_next_poll() {
    for status in [500, 404, 403] {
        let (desk, portal, mut connection) = Modules::new();
        let mut cursor = None;
        let both = ["Assets", "Deals"].map(str::to_owned).into();
        assert_eq!(modules_read(&desk, &mut connection, &mut cursor), both);
        desk.advance_ms(HOUR_MS);
        ["Assets", "Deals"].into_iter().for_each(|module| portal.modify(module));
        desk.advance_ms(60_000);
        *portal.refused.borrow_mut() = Some(("Assets", status));
        for round in 0..3 {
            let found = modules_read(&desk, &mut connection, &mut cursor);
            assert_eq!(found.len(), usize::from(round == 0), "{status}: {found:?}");
            desk.advance_ms(HOUR_MS);
        }
        *portal.refused.borrow_mut() = None;
        let found = modules_read(&desk, &mut connection, &mut cursor);
        assert_eq!(found, ["Assets".to_owned()].into(), "{status}");
        desk.advance_ms(HOUR_MS);
        let calls = desk.calls();
        assert!(modules_read(&desk, &mut connection, &mut cursor).is_empty(), "{status}: once");
        assert!(desk.calls() - calls <= 4, "{} calls", desk.calls() - calls);
    }
}

#[test]
fn a_module_whose_list_fails_far_down_is_polled_by_its_first_page() {
    for status in [500, 422, 404, 403] {
        let (desk, portal, mut connection) = Modules::with(400, 98);
        *portal.refused.borrow_mut() = Some(("Assets", status));
        let mut cursor = None;
        modules_read(&desk, &mut connection, &mut cursor);
        for _ in 0..3 {
            desk.advance_ms(HOUR_MS);
            let calls = desk.calls();
            assert!(modules_read(&desk, &mut connection, &mut cursor).is_empty(), "{status}");
            assert!(desk.calls() - calls <= 4, "{status}: {} calls", desk.calls() - calls);
        }
        desk.advance_ms(HOUR_MS);
        portal.modify("Assets");
        desk.advance_ms(60_000);
        // All of its records, as far as the list goes.
        let found = modules_read(&desk, &mut connection, &mut cursor);
        assert_eq!(found, ["Assets".to_owned()].into(), "{status}");
        desk.advance_ms(HOUR_MS);
        *portal.refused.borrow_mut() = None;
        assert!(modules_read(&desk, &mut connection, &mut cursor).contains("Assets"), "{status}");
    }
}

#[test]
fn a_module_whose_list_failed_in_the_first_read_is_read_by_the_next_poll() {
    let (desk, portal, mut connection) = Modules::new();
    *portal.refused.borrow_mut() = Some(("Assets", 500));
    let mut cursor = None;
    assert_eq!(modules_read(&desk, &mut connection, &mut cursor), ["Deals".to_owned()].into());
    *portal.refused.borrow_mut() = None;
    desk.advance_ms(HOUR_MS);
    assert_eq!(modules_read(&desk, &mut connection, &mut cursor), ["Assets".to_owned()].into());
}
