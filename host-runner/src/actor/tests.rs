//! Turns of an actor with the tiny connector.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Actor, ActorConfig, Mode, Stopped};
use crate::change::Table;
use crate::error::{Error, Kind, Origin, Result};
use crate::inbox::conformance::{MemoryInbox, delivery};
use crate::inbox::{Cause, Consumer, Failure, Inbox};
use crate::loaded::{LoadedConnection, SharedEngine, open_sink, tiny};
use crate::metrics::Meters;
use crate::sinks::{Capabilities, Commit, Counts, Sink, SinkProgress};
use crate::state::ConnectionStore;
use crate::stop::{self, Stopper};

/// An actor's parts, with more lines of `[config]`.
async fn config(folder: &Path, inbox: &MemoryInbox, config: &str) -> (ActorConfig, Stopper) {
    let paths = tiny::paths(folder);
    let component = SharedEngine::new(1).component(&tiny::component(), &paths).expect("compiled");
    let connection = tiny::connection_with(folder, "acme", config);
    let loaded = LoadedConnection::with(component, connection, &paths).await.expect("loaded");
    let lock = ConnectionStore::open(&paths, "acme").expect("opened").lock().expect("free");
    let sink = open_sink(&loaded.connection.sink, &lock).expect("opened");
    let (stopper, stop) = stop::channel();
    let (_, commands) = mpsc::channel(1);
    let config = ActorConfig {
        connection: loaded.open(lock).expect("opened"),
        sink,
        queue: Some(Arc::new(inbox.of("acme"))),
        public_url: None,
        commands,
        meters: Meters::default(),
        stop,
    };
    (config, stopper)
}

#[tokio::test]
async fn a_missed_delivery_wakes_an_actor_once_while_no_tables_are_known() {
    let (folder, inbox) = (tempfile::tempdir().expect("a folder"), MemoryInbox::default());
    let sync = Mode::Sync { tables: Vec::new(), full_refresh: false };
    let (works, _stopper) = config(folder.path(), &inbox, "").await;
    assert!(matches!(Actor::new(works, sync, &mut ()).run().await, Stopped::Finished));
    let fails = "fails_discover = true\nkind = \"unavailable\"";
    let (fails, _stopper) = config(folder.path(), &inbox, fails).await;
    let mut observer = ();
    let mut actor = Actor::new(fails, Mode::Serve, &mut observer);
    actor.turn().await.expect("retried");
    assert!(actor.queue.as_ref().is_some_and(|queue| queue.is_resumed()), "the sink knows tables");
    inbox.missed_deliveries().report("acme", "the journal is full");
    // From here on time passes only while there is nothing to do.
    tokio::time::pause();
    let due = actor.discovery.due().expect("retried");
    let mut turns = 0;
    while Instant::now() < due {
        actor.turn().await.expect("a turn");
        turns += 1;
        assert!(turns < 10, "it does not wait");
    }
}

#[tokio::test]
async fn a_queue_that_cannot_be_read_for_now_does_not_end_the_connection() {
    let (folder, inbox) = (tempfile::tempdir().expect("a folder"), MemoryInbox::default());
    let (parts, _stopper) = config(folder.path(), &inbox, "").await;
    let mut observer = ();
    let mut actor = Actor::new(parts, Mode::Serve, &mut observer);
    inbox.append("acme", delivery("nonsense")).await.expect("appended");
    inbox.set_busy(true);
    let retries = |actor: &Actor<'_>| actor.queue.as_ref().and_then(|queue| queue.due(Instant::now()));
    for turn in 0.. {
        actor.turn().await.expect("a turn");
        if retries(&actor).is_some() {
            break;
        }
        assert!(turn < 20, "the queue was not read");
    }
    inbox.set_busy(false);
    for turn in 0.. {
        actor.turn().await.expect("a turn");
        if inbox.queued("acme") == 0 {
            break;
        }
        assert!(turn < 50, "the queue was not read again");
    }
}

#[tokio::test]
async fn tables_are_discovered_again_when_schema_refresh_says_so() {
    for (value, is_repeated) in [("\"manual\"", false), ("\"hourly\"", true)] {
        let (folder, inbox) = (tempfile::tempdir().expect("a folder"), MemoryInbox::default());
        let lines = format!("behavior = \"rows\"\n[serve]\nschema_refresh = {value}");
        let (parts, _stopper) = config(folder.path(), &inbox, &lines).await;
        let mut observer = ();
        let mut actor = Actor::new(parts, Mode::Serve, &mut observer);
        while !actor.discovery.is_done() {
            actor.turn().await.expect("a turn");
        }
        let first = actor.discovery.due();
        assert_eq!(first.is_some(), is_repeated, "{value}");
        let Some(first) = first else { continue };
        assert!(first > Instant::now() + Duration::from_secs(3_000), "an hour later");
        // From here on time passes only while there is nothing to do.
        tokio::time::pause();
        let mut turns = 0;
        while actor.discovery.due() == Some(first) {
            actor.turn().await.expect("a turn");
            turns += 1;
            assert!(turns < 2_000, "it is not discovered again");
        }
        assert!(Instant::now() >= first && actor.discovery.due() > Some(first));
    }
}

#[tokio::test]
async fn a_table_that_fails_is_in_the_readings_until_it_is_read() {
    let (folder, inbox) = (tempfile::tempdir().expect("a folder"), MemoryInbox::default());
    let meters = Meters::default();
    for (behavior, fails) in [("fail", true), ("rows", false)] {
        let lines = format!("behavior = \"{behavior}\"\nkind = \"unavailable\"");
        let (mut parts, _stopper) = config(folder.path(), &inbox, &lines).await;
        parts.meters = meters.clone();
        let mut observer = ();
        let mut actor = Actor::new(parts, Mode::Serve, &mut observer);
        let failing = |table: &str| meters.read().tables.get(table).is_some_and(|one| one.failing.is_some());
        let mut turns = 0;
        while failing("things") != fails {
            actor.turn().await.expect("a turn");
            turns += 1;
            assert!(turns < 20, "{behavior}: {:?}", meters.read());
        }
        assert!(!failing("pairs"));
    }
}

/// A sink that takes no rows.
struct Refusing(Box<dyn Sink>);

impl Sink for Refusing {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn prepare(&mut self, tables: &[Table]) -> Result<()> {
        self.0.prepare(tables)
    }

    fn progress(&self) -> Result<SinkProgress> {
        self.0.progress()
    }

    fn commit(&mut self, _: &Commit<'_>) -> Result<Counts> {
        Err(Error::new(Origin::Sink, Kind::Unavailable, "the disk is full"))
    }

    fn reset(&mut self, table: &str) -> Result<bool> {
        self.0.reset(table)
    }
}

/// A sink that can be prepared once.
struct PreparedOnce {
    sink: Box<dyn Sink>,
    is_prepared: bool,
}

impl Sink for PreparedOnce {
    fn capabilities(&self) -> Capabilities {
        self.sink.capabilities()
    }

    fn prepare(&mut self, tables: &[Table]) -> Result<()> {
        if std::mem::replace(&mut self.is_prepared, true) {
            return Err(Error::new(Origin::Sink, Kind::Unavailable, "another session holds a lock"));
        }
        self.sink.prepare(tables)
    }

    fn progress(&self) -> Result<SinkProgress> {
        self.sink.progress()
    }

    fn commit(&mut self, commit: &Commit<'_>) -> Result<Counts> {
        self.sink.commit(commit)
    }

    fn reset(&mut self, table: &str) -> Result<bool> {
        self.sink.reset(table)
    }
}

#[tokio::test]
async fn a_later_discovery_that_the_sink_cannot_follow_now_leaves_the_known_tables() {
    let (folder, inbox) = (tempfile::tempdir().expect("a folder"), MemoryInbox::default());
    let (mut parts, _stopper) = config(folder.path(), &inbox, "").await;
    parts.sink = Box::new(PreparedOnce { sink: parts.sink, is_prepared: false });
    let mut observer = ();
    let mut actor = Actor::new(parts, Mode::Serve, &mut observer);
    actor.turn().await.expect("discovered");
    let known: Vec<String> = actor.discovery.tables().to_vec();
    assert!(!known.is_empty());
    actor.rediscover().await.expect("it continues");
    let names: Vec<String> = actor.discovery.tables().to_vec();
    assert_eq!(names, known);
    assert!(actor.discovery.due().is_some_and(|due| due > Instant::now()), "not at once");
}

#[tokio::test]
async fn a_waiting_delivery_that_leaves_the_queue_by_another_way_does_not_count_any_more() {
    let (folder, inbox) = (tempfile::tempdir().expect("a folder"), MemoryInbox::default());
    let (parts, _stopper) = config(folder.path(), &inbox, "").await;
    let meters = parts.meters.clone();
    let waiting = || meters.read().gauges.deliveries_waiting;
    let mut observer = ();
    let mut actor = Actor::new(parts, Mode::Serve, &mut observer);
    let fails = r#"[{"table":"fail","op":"unavailable"}]"#;
    let seq = inbox.append("acme", delivery(fails)).await.expect("appended");
    for turn in 0.. {
        actor.turn().await.expect("a turn");
        if waiting() == 1 {
            break;
        }
        assert!(turn < 50, "it does not fail");
    }
    // Its age makes it a dead letter.
    inbox.of("acme").give_up(seq, Failure::of(Cause::Expired, &Error::data("old"), 1, 7)).expect("moved");
    // From here on time passes only while there is nothing to do.
    tokio::time::pause();
    for turn in 0.. {
        actor.turn().await.expect("a turn");
        if waiting() == 0 {
            break;
        }
        assert!(turn < 200, "it counts as waiting");
    }
}

#[tokio::test]
async fn deliveries_that_wait_count_also_while_the_sink_takes_no_rows() {
    let (folder, inbox) = (tempfile::tempdir().expect("a folder"), MemoryInbox::default());
    let (mut parts, _stopper) = config(folder.path(), &inbox, "").await;
    parts.sink = Box::new(Refusing(parts.sink));
    let meters = parts.meters.clone();
    let mut observer = ();
    let mut actor = Actor::new(parts, Mode::Serve, &mut observer);
    for expected in [3, 4] {
        let (body, count) = match expected {
            3 => (r#"[{"table":"fail","op":"unavailable"}]"#, 3),
            _ => (r#"[{"table":"things","id":"9","op":"create","time":1}]"#, 1),
        };
        for _ in 0..count {
            inbox.append("acme", delivery(body)).await.expect("appended");
        }
        for turn in 0.. {
            actor.turn().await.expect("a turn");
            if meters.read().gauges.deliveries_waiting == expected {
                break;
            }
            assert!(turn < 50, "{:?}", meters.read());
        }
    }
}
