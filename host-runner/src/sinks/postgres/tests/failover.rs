//! A standby that is promoted, and a database that was restored, while the sink is open.

use std::time::{Duration, Instant};

use postgres_server::{Durability, Server};
use tokio_postgres::Client;

use super::super::session::wait;
use super::{KIND, Postgres, TEST_URL, case, change, commit, reader, settings, table};
use crate::error::{Error, Kind, Origin};
use crate::sinks::{Place, Sink, SinkSettings};

/// Longest wait for a standby, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server and its standby; the sink's URL names both.
struct Pair {
    primary: Server,
    standby: Server,
    settings: SinkSettings,
}

impl Pair {
    /// None without a database for tests, or without the programs for a standby.
    fn start() -> Option<Self> {
        std::env::var(TEST_URL).ok()?;
        let primary = Server::start(Durability::None).expect("a server");
        let standby = primary.standby().expect("a standby")?;
        let host = |server: &Server| server.folder().display().to_string().replace('/', "%2F");
        let (first, second) = (host(&primary), host(&standby));
        let url = format!("postgres://postgres@{first},{second}/postgres?target_session_attrs=read-write");
        let place = Place { url: Some(&url), ..Place::default() };
        let location = KIND.locate(&place, std::path::Path::new(""), "acme").expect("a location");
        Some(Self { primary, standby, settings: settings(location) })
    }

    fn sink(&self) -> Postgres {
        let mut sink = Postgres::open(&self.settings).expect("opened");
        sink.prepare(&[table("{\"n\":{\"type\":\"integer\"}}")]).expect("prepared");
        sink
    }

    /// Waits until the standby has everything.
    fn replicate(&self) {
        let end = answer(&reader(&self.primary.url()), "SELECT pg_current_wal_flush_lsn()::text");
        let standby = reader(&self.standby.url());
        let has_it = format!("SELECT (pg_last_wal_replay_lsn() >= '{end}'::pg_lsn)::text");
        until("the standby has everything", || answer(&standby, &has_it) == "true");
    }

    /// The standby receives nothing from now on.
    fn part(&self) {
        let standby = reader(&self.standby.url());
        run(&standby, "ALTER SYSTEM SET primary_conninfo = ''");
        run(&standby, "SELECT pg_reload_conf()");
        let receivers = "SELECT count(*)::text FROM pg_stat_wal_receiver";
        until("the standby receives nothing", || answer(&standby, receivers) == "0");
    }

    fn fail_over(&mut self) {
        self.primary.kill();
        self.standby.promote().expect("promoted");
    }
}

fn run(client: &Client, sql: &str) {
    wait(async { Ok(client.batch_execute(sql).await?) }).expect(sql);
}

fn answer(client: &Client, sql: &str) -> String {
    wait(async { Ok(client.query_one(sql, &[]).await?.get(0)) }).expect(sql)
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Commits a row until it is stored or refused for good, as the runner does.
fn insist(sink: &mut Postgres, n: u64) -> Result<(), Error> {
    let started = Instant::now();
    loop {
        match commit(sink, &[row(n)], &n.to_string()) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind == Kind::Unavailable && started.elapsed() < PATIENCE => {
                assert_eq!(error.origin, Origin::Sink, "{error}");
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(error),
        }
    }
}

fn row(n: u64) -> crate::change::Change {
    change(&n.to_string(), &format!("{{\"n\":{n}}}"), n)
}

fn cursor(sink: &Postgres) -> Option<String> {
    sink.table_state("things").expect("a state").and_then(|state| state.cursor)
}

#[test]
fn a_standby_that_is_promoted_continues_and_nothing_is_lost() {
    let Some(mut pair) = Pair::start() else { return };
    let mut sink = pair.sink();
    (1..=3).for_each(|n| insist(&mut sink, n).expect("stored"));
    pair.replicate();
    pair.fail_over();
    (4..=5).for_each(|n| insist(&mut sink, n).expect("stored"));
    assert_eq!(cursor(&sink).as_deref(), Some("5"));
    let rows = "SELECT string_agg(id, ' ' ORDER BY id) FROM acme.things_live";
    assert_eq!(answer(&reader(&pair.standby.url()), rows), "1 2 3 4 5");
}

#[test]
fn a_standby_without_the_last_commits_is_refused_and_opened_again_continues_from_its_own_cursor() {
    let Some(mut pair) = Pair::start() else { return };
    let mut sink = pair.sink();
    insist(&mut sink, 1).expect("stored");
    pair.replicate();
    pair.part();
    insist(&mut sink, 2).expect("stored");
    pair.fail_over();
    let error = insist(&mut sink, 3).expect_err("2 would be missing for good");
    assert_eq!((error.origin, error.kind), (Origin::Sink, Kind::Internal), "{error}");
    assert!(error.message.contains("the database lacks the last commit of this process"), "{error}");
    drop(sink);
    let mut sink = pair.sink();
    assert_eq!(cursor(&sink).as_deref(), Some("1"));
    (2..=3).for_each(|n| insist(&mut sink, n).expect("stored"));
    let rows = "SELECT string_agg(id, ' ' ORDER BY id) FROM acme.things_live";
    assert_eq!(answer(&reader(&pair.standby.url()), rows), "1 2 3");
}

#[test]
fn a_database_that_was_restored_to_an_earlier_commit_is_refused() {
    for is_session_lost in [false, true] {
        let Some(mut case) = case() else { return };
        commit(&mut case.sink, &[change("a", "{}", 10)], "1").expect("committed");
        let first = case.query("SELECT commit FROM {s}._sync_owner");
        commit(&mut case.sink, &[change("b", "{}", 20)], "2").expect("committed");
        case.query(&format!(
            "UPDATE {{s}}._sync_owner SET commit = {first}; DELETE FROM {{s}}.things WHERE id = 'b'; \
             DELETE FROM {{s}}._sync_rows_things WHERE id = 'b'; UPDATE {{s}}._sync_state SET cursor = '1'"
        ));
        if is_session_lost {
            case.end_session();
        }
        for attempt in 0..2 {
            let error = commit(&mut case.sink, &[change("c", "{}", 30)], "3").expect_err("b is missing");
            if attempt == 0 && is_session_lost && error.kind == Kind::Unavailable {
                continue;
            }
            assert!(error.message.contains("lacks the last commit of this process"), "{error}");
        }
        let mut case = case.reopened();
        assert_eq!(case.cursor().as_deref(), Some("1"));
        case.sink.prepare(&[table("{}")]).expect("prepared");
        commit(&mut case.sink, &[change("b", "{}", 20)], "2").expect("committed");
        assert_eq!(case.query("SELECT count(*) FROM {s}.things"), "2");
    }
}
