//! Scans of a recycle bin with a few entries, with very many, and of one that fails or is slow.

use std::collections::BTreeSet;

use super::*;
use crate::change::{ChangeSource, Operation};
use crate::config::{Config, Shape};
use crate::cursor::{Cursor, Phase};
use crate::reader::Limits;
use crate::session::Session;
use crate::time;
use crate::transport::{Failure, Request, Response};

/// A server whose every answer is this body.
struct Answers(&'static str);

impl Transport for Answers {
    fn now_ms(&self) -> u64 {
        0
    }

    fn ticks_ms(&self) -> u64 {
        0
    }

    fn send(&mut self, requests: &[Request], _: usize) -> Vec<std::result::Result<Response, Failure>> {
        let response = Response { status: 200, headers: Vec::new(), body: self.0.as_bytes().to_vec() };
        requests.iter().map(|_| Ok(response.clone())).collect()
    }
}

/// A connection with a token.
fn api<T: Transport>(transport: T) -> Api<T> {
    let config = r#"{"organization_id":"1","client_id":"a","client_secret":"s"}"#;
    let session = r#"{"client_id":"a","access_token":"t","access_token_ends_ms":9999999999999}"#;
    Api::new(transport, Config::parse(config).unwrap(), Session::parse(Some(session), "a").unwrap())
}

/// Keys of the deletes that a scan for rows of `table` finds in `bin`.
fn deletes(table: &'static Table, bin: &'static str) -> Vec<String> {
    let mut api = api(Answers(bin));
    let mut search = Search::since(0);
    let limits = Limits { max_changes: 100, max_bytes: 1 << 20, max_ms: 1000 };
    let mut out = Output::new(ChangeSource::Incremental, limits, 0);
    scan(&mut api, table, &mut search, &mut out).unwrap();
    assert!(out.changes.iter().all(|change| change.operation == Operation::Delete));
    out.changes.into_iter().map(|change| change.key).collect()
}

const BIN: &str = r#"{"data":[
    {"id":"1","type":"Tickets","deletedTime":"2026-11-22T17:25:10.000Z"},
    {"id":"2","type":"Contacts","deletedTime":"2026-11-22T17:25:10.000Z"}]}"#;

#[test]
fn deletes_are_found_by_the_name_of_the_module_whatever_the_title_of_the_table_is() {
    static REWORDED: Table =
        Table { name: "tickets", title: "Support cases", recycle_bin: Some("Tickets"), ..Table::DEFAULT };
    assert_eq!(deletes(&REWORDED, BIN), [r#"{"id":"1"}"#]);
}

#[test]
fn a_table_without_a_module_in_the_recycle_bin_finds_no_deletes_there() {
    static OTHER: Table = Table { name: "tickets", title: "Tickets", ..Table::DEFAULT };
    assert!(deletes(&OTHER, BIN).is_empty());
}

const NOW_MS: u64 = 1_795_368_310_000;

/// Whether the call of this number fails.
type Fails = fn(u64) -> bool;

/// A recycle bin of tickets, newest first, each of whose pages takes a while.
struct Bin {
    count: u64,
    /// Between two deletes.
    every_ms: u64,
    page_ms: u64,
    fails: Fails,
    now_ms: u64,
    calls: u64,
}

impl Transport for Bin {
    fn now_ms(&self) -> u64 {
        self.now_ms
    }

    fn ticks_ms(&self) -> u64 {
        self.now_ms
    }

    fn send(&mut self, requests: &[Request], _: usize) -> Vec<std::result::Result<Response, Failure>> {
        requests.iter().map(|request| Ok(self.answer(&request.path_with_query))).collect()
    }
}

impl Bin {
    fn answer(&mut self, path: &str) -> Response {
        self.now_ms += self.page_ms;
        self.calls += 1;
        if (self.fails)(self.calls) {
            return Response { status: 500, headers: Vec::new(), body: b"{}".to_vec() };
        }
        let (_, query) = path.split_once("from=").unwrap();
        let from: u64 = query.split('&').next().unwrap().parse().unwrap();
        let row = |index| {
            let deleted_time = time::format(NOW_MS - 1_000 - index * self.every_ms);
            format!(r#"{{"id":"8920000000{index:08}","type":"Tickets","deletedTime":"{deleted_time}"}}"#)
        };
        let rows: Vec<String> = (from..self.count.min(from + 50)).map(row).collect();
        let body = format!(r#"{{"data":[{}]}}"#, rows.join(",")).into_bytes();
        Response { status: 200, headers: Vec::new(), body }
    }
}

/// Polls a recycle bin until caught up, in calls of a second: the keys of the deletes, and the warnings.
/// `after` sees what is kept after each batch.
fn poll(api: &mut Api<Bin>, search: &mut Search, after: impl Fn(&Search)) -> (BTreeSet<String>, Vec<String>) {
    let limits = Limits { max_changes: 10_000, max_bytes: 64 << 20, max_ms: 1_000 };
    let (mut keys, mut warnings) = (BTreeSet::new(), Vec::new());
    search.scans_recycle_bin = true;
    for _ in 0..200 {
        api.end_within(Some(limits.max_ms.into()));
        let mut out = Output::new(ChangeSource::Incremental, limits, api.transport().ticks_ms());
        let is_done = loop {
            match scan(api, tables::find("tickets").unwrap(), search, &mut out).unwrap() {
                Progress::Done => break true,
                Progress::More if out.is_full(api.transport().ticks_ms()) => break false,
                Progress::More => {}
            }
        };
        keys.extend(out.changes.into_iter().map(|change| change.key));
        warnings.append(&mut out.warnings);
        after(search);
        if is_done {
            return (keys, warnings);
        }
    }
    panic!("not caught up: {} deletes", keys.len());
}

#[test]
fn a_slow_recycle_bin_and_one_that_fails_now_and_then_are_read_to_the_end() {
    let cases: [(u64, Fails); 3] = [(1_700, |_| false), (50_000, |_| false), (0, |call| call % 5 == 0)];
    for (page_ms, fails) in cases {
        let bin = Bin { count: 2_500, every_ms: 1_000, page_ms, fails, now_ms: NOW_MS, calls: 0 };
        let (mut api, mut search) = (api(bin), Search::since(NOW_MS - 3_600_000));
        let (keys, warnings) = poll(&mut api, &mut search, |_| {});
        assert_eq!((keys.len(), &warnings[..]), (2_500, &[][..]), "{page_ms} ms");
        let calls = api.transport().calls;
        assert!(calls <= 120, "{page_ms} ms: {calls} calls");
    }
}

#[test]
fn an_outage_of_the_recycle_bin_keeps_what_was_read_and_costs_a_call_or_two_for_each_poll() {
    let bin =
        Bin { count: 2_500, every_ms: 1_000, page_ms: 0, fails: |call| call > 10, now_ms: NOW_MS, calls: 0 };
    let (mut api, mut search) = (api(bin), Search::since(NOW_MS - 3_600_000));
    let (keys, warnings) = poll(&mut api, &mut search, |_| {});
    assert_eq!((keys.len(), warnings.len()), (500, 1), "{warnings:?}");
    for _ in 0..10 {
        assert!(poll(&mut api, &mut search, |_| {}).0.is_empty());
    }
    let calls = api.transport().calls;
    assert!(calls <= 10 + 2 + 10, "{calls} calls");
    search.bin_place.expect("the scan continues where it ended");
}

/// A cursor of 4 MiB is refused, and its table stops for good.
#[test]
fn a_scan_that_finds_very_many_deletes_stays_within_a_cursor() {
    let bin = Bin { count: 95_000, every_ms: 0, page_ms: 0, fails: |_| false, now_ms: NOW_MS, calls: 0 };
    let (mut api, mut search) = (api(bin), Search::since(NOW_MS - 3_600_000));
    let most = std::cell::Cell::new(0);
    let (keys, _) = poll(&mut api, &mut search, |search| {
        if search.seen.len() > most.get() {
            most.set(search.seen.len());
            let cursor = Cursor::new(tables::ALL[0], Phase::Search(search.clone())).to_json(Shape::Document);
            assert!(cursor.len() < 5 << 19, "{} bytes, {} deletes", cursor.len(), search.seen.len());
        }
    });
    assert_eq!(keys.len(), 95_000);
    assert!(most.get() >= limits::SEARCH_SEEN_MAX, "{}", most.get());
}
