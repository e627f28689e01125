//! Backups: the rows in a sink after state, journal, sink or all of them were restored from backups of one
//! age or of two, moved from elsewhere, or are new, at once or after a long downtime. `docs/operating.md` has
//! the same table.
//!
//! A journal and an actor as `serve` has them apply the deliveries.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use postgres_server::{Durability, Server};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_postgres::NoTls;

use super::State;
use super::case::kinds;
use crate::actor::{Actor, ActorConfig, Mode, Stopped};
use crate::clock::now_ms;
use crate::files::with_suffix;
use crate::inbox::Inbox;
use crate::inbox::conformance::delivery;
use crate::journal::{Journal, JournalLimits};
use crate::loaded::{LoadedConnection, SharedEngine, tiny};
use crate::metrics::Meters;
use crate::sinks::{Location, Place, SinkKind, SinkSettings};
use crate::state::ConnectionStore;

const TABLE: &str = "things";
/// Longest wait for a condition; only a failing test takes that long.
const PATIENCE: Duration = Duration::from_secs(60);
/// As long ago as no delivery is kept or queued: the time in which no server ran.
const DOWNTIME_MS: i64 = 31 * 24 * 3_600_000;

/// Where a part comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    /// The server's own.
    Present,
    /// A backup that was made after the first delivery.
    OldBackup,
    /// A backup that was made after the second one.
    NewBackup,
    /// Another machine, which had another delivery.
    Elsewhere,
    /// Nowhere: it is new.
    Nothing,
}

const ALL: [From; 5] = [From::Present, From::OldBackup, From::NewBackup, From::Elsewhere, From::Nothing];

impl From {
    /// The deliveries that a journal keeps, or that are rows in a sink.
    fn deliveries(self) -> &'static [&'static str] {
        match self {
            Self::Present => &["6", "7", "8"],
            Self::OldBackup => &["6"],
            Self::NewBackup => &["6", "7"],
            Self::Elsewhere => &["5"],
            Self::Nothing => &[],
        }
    }
}

/// The origins of state, journal and sink. State and journal are the data folder.
fn cases() -> Vec<[From; 3]> {
    let present = From::Present;
    let data = ALL.into_iter().flat_map(|data| ALL.map(|sink| [data, data, sink]));
    let alone = ALL.into_iter().flat_map(|part| [[part, present, present], [present, part, present]]);
    data.chain(alone.filter(|case| case != &[present; 3])).collect()
}

/// A data folder and a sink.
struct Installation {
    folder: TempDir,
    location: Location,
}

impl Installation {
    fn journal(&self) -> PathBuf {
        tiny::paths(self.folder.path()).journal()
    }

    /// Its SQLite files that have a log: the journal, and a sink of that kind.
    fn databases(&self) -> [PathBuf; 2] {
        [self.journal(), self.folder.path().join("sink/rows")]
    }

    /// Lets a long time pass in which no process has the journal open.
    fn age(&self) {
        let aged = "UPDATE deliveries SET appended_at_ms = appended_at_ms - ?1,
            acknowledged_at_ms = acknowledged_at_ms - ?1";
        rusqlite::Connection::open(self.journal())
            .expect("opened")
            .execute(aged, [DOWNTIME_MS])
            .expect("aged");
    }
}

/// Installations with sinks of one kind.
struct Kind {
    kind: &'static SinkKind,
    runtime: Runtime,
    engine: SharedEngine,
    /// Sinks that are databases are copied by the server.
    server: Option<Server>,
}

impl Kind {
    fn new(kind: &'static SinkKind) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        let is_server = kind.own_keys.contains(&"schema");
        let server = is_server.then(|| Server::start(Durability::None).expect("a server"));
        Self { kind, runtime, engine: SharedEngine::new(1), server }
    }

    /// An installation whose parts are copies of those of others.
    fn install(&self, number: usize, [state, journal, sink]: [Option<&Installation>; 3]) -> Installation {
        let folder = tempfile::tempdir().expect("a folder");
        let (data, sinks) = (folder.path().join("data"), folder.path().join("sink"));
        std::fs::create_dir_all(&sinks).expect("made");
        let is_journal = |name: &str| name.starts_with("journal.");
        if let Some(state) = state {
            copy(&state.folder.path().join("data"), &data, &|name| !is_journal(name));
        }
        if let Some(journal) = journal {
            copy(&journal.folder.path().join("data"), &data, &is_journal);
        }
        let location = match &self.server {
            Some(server) => self.create_database(server, number, sink),
            None => {
                if let Some(sink) = sink {
                    copy(&sink.folder.path().join("sink"), &sinks, &|_| true);
                }
                Location::Path(sinks.join("rows"))
            }
        };
        Installation { folder, location }
    }

    fn copy(&self, number: usize, one: &Installation) -> Installation {
        self.install(number, [Some(one); 3])
    }

    fn create_database(&self, server: &Server, number: usize, like: Option<&Installation>) -> Location {
        let admin = server.url();
        let base = admin.strip_suffix("postgres").expect("a database");
        let url = format!("{base}place_{number}");
        let template = match like {
            None => String::new(),
            Some(like) => {
                let url = like.location.url().expect("a URL");
                format!("TEMPLATE {}", url.strip_prefix(base).expect("of this server"))
            }
        };
        self.execute(
            &admin,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'place_%'",
        );
        self.execute(&admin, &format!("DROP DATABASE IF EXISTS place_{number} WITH (FORCE)"));
        self.execute(&admin, &format!("CREATE DATABASE place_{number} {template}"));
        let place = Place { url: Some(&url), schema: Some("acme"), ..Place::default() };
        self.kind.locate(&place, Path::new(""), "acme").expect("a location")
    }

    fn execute(&self, url: &str, sql: &str) {
        let done = self.runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
            tokio::spawn(connection);
            client.batch_execute(sql).await
        });
        done.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// Serves the connection until these are delivered and nothing is queued; the number of deliveries that
    /// were applied.
    fn serve(&self, at: &Installation, ids: &[&str]) -> u64 {
        let paths = tiny::paths(at.folder.path());
        let mut connection = tiny::connection(at.folder.path(), "acme");
        let settings = SinkSettings::of_test(self.kind, at.location.clone());
        connection.sink = SinkSettings { file_age_ms: 86_400_000, ..settings };
        let component = self.engine.component(&tiny::component(), &paths).expect("compiled");
        let loading = LoadedConnection::with(component, connection, &paths);
        let loaded = self.runtime.block_on(loading).expect("loaded");
        let store = ConnectionStore::open(&paths, "acme").expect("opened");
        let (journal, _) = Journal::open(paths.journal(), JournalLimits::default()).expect("opened");
        let lock = store.lock_to_serve(now_ms()).expect("free");
        let sink = loaded.open_sink(&loaded.connection.sink, &lock).expect("opened");
        let connection = loaded.open(lock).expect("opened");
        let meters = Meters::default();
        self.runtime.block_on(async {
            let ((stopper, stop), (_nobody, commands)) =
                (crate::stop::channel(), tokio::sync::mpsc::channel(1));
            let queue: Arc<_> = Inbox::consumer(&journal, "acme");
            let config = ActorConfig {
                connection,
                sink,
                queue: Some(queue),
                public_url: None,
                commands,
                meters: meters.clone(),
                stop,
            };
            let mut observer = ();
            let mut actor = Box::pin(Actor::new(config, Mode::Serve, &mut observer).run());
            let delivered = async {
                let is_read = || meters.read().tables.get(TABLE).is_some_and(|table| table.snapshot_complete);
                until("the snapshot", is_read).await;
                for id in ids {
                    journal.append("acme", delivery(&created(id))).await.expect("appended");
                }
                until("an empty queue", || journal.depth("acme").count == 0).await;
            };
            tokio::select! {
                ended = &mut actor => panic!("{ended:?}"),
                () = delivered => {}
            }
            stopper.stop();
            assert!(matches!(actor.await, Stopped::Requested));
        });
        meters.read().counters.deliveries_applied.total()
    }

    /// The keys of the live rows.
    fn live(&self, at: &Installation) -> BTreeSet<String> {
        let rows = (self.kind.stored_rows)(&at.location, TABLE);
        rows.into_iter().filter(|(_, state)| matches!(state, State::Live(_))).map(|(key, _)| key).collect()
    }
}

/// The suffixes of the files beside a database, as `docs/operating.md` names them.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// A delivery with a row that no poll brings. It is as new as a row can be whenever it is applied: a snapshot
/// deletes no row that is newer.
fn created(id: &str) -> String {
    let time = now_ms() + 24 * 3_600_000;
    serde_json::json!([{ "table": TABLE, "id": id, "op": "create", "time": time }]).to_string()
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "timed out waiting for {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Copies the entries of a folder whose names are `wanted`, with all that they hold.
fn copy(from: &Path, to: &Path, wanted: &dyn Fn(&str) -> bool) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("listed") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("a name");
        if !wanted(&name) {
            continue;
        }
        if entry.path().is_dir() {
            copy(&entry.path(), &to.join(name), &|_| true);
        } else {
            std::fs::copy(entry.path(), to.join(name)).expect("copied");
        }
    }
}

#[test]
fn no_delivery_is_skipped_whatever_was_restored_moved_or_is_new() {
    for kind in kinds() {
        let kind = Kind::new(kind);
        let elsewhere = kind.install(0, [None; 3]);
        kind.serve(&elsewhere, &["5"]);
        let present = kind.install(1, [None; 3]);
        kind.serve(&present, &["6"]);
        let old_backup = kind.copy(2, &present);
        kind.serve(&present, &["7"]);
        let new_backup = kind.copy(3, &present);
        kind.serve(&present, &["8"]);
        let part = |from: From| match from {
            From::Present => Some(&present),
            From::OldBackup => Some(&old_backup),
            From::NewBackup => Some(&new_backup),
            From::Elsewhere => Some(&elsewhere),
            From::Nothing => None,
        };
        for is_late in [false, true] {
            if is_late {
                [&elsewhere, &present, &old_backup, &new_backup].into_iter().for_each(Installation::age);
            }
            for case in cases() {
                // Shown when the test fails.
                println!("{}: state, journal and sink are {case:?}, late: {is_late}", kind.kind.name);
                let [_, journal, sink] = case;
                let restored = kind.install(4, case.map(part));
                let applied = kind.serve(&restored, &["9"]);
                if sink == From::Nothing {
                    // It starts with a snapshot, which deletes the rows that the source does not have.
                    assert_eq!(applied as usize, journal.deliveries().len() + 1);
                    continue;
                }
                let known = ["0", "1", "2", "9"].iter().chain(journal.deliveries()).chain(sink.deliveries());
                assert_eq!(kind.live(&restored), known.map(|id| (*id).to_owned()).collect());
            }
        }
    }
}

#[test]
fn a_restore_over_the_files_of_a_killed_server_is_as_one_into_an_empty_folder() {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operating.md");
    let manual = std::fs::read_to_string(manual).expect("read");
    assert!(BESIDE.iter().all(|suffix| manual.contains(&format!("`NAME.db{suffix}`"))));
    let kind = Kind::new(SinkKind::named("sqlite").expect("a kind"));
    let present = kind.install(1, [None; 3]);
    kind.serve(&present, &["6"]);
    let backup = kind.copy(2, &present);
    // While they are read, nothing moves their logs into them.
    let readers = present.databases().map(|database| {
        let reader = rusqlite::Connection::open(database).expect("opened");
        reader.execute_batch("BEGIN; SELECT name FROM sqlite_schema").expect("read");
        reader
    });
    kind.serve(&present, &["7"]);
    let killed = kind.copy(3, &present);
    drop(readers);
    for part in [0..1, 1..2, 0..2] {
        // Shown when the test fails.
        println!("restored: {part:?} of journal and sink");
        let restored = kind.copy(4, &killed);
        for (from, to) in
            backup.databases().iter().zip(restored.databases()).skip(part.start).take(part.len())
        {
            assert!(with_suffix(&to, "-wal").metadata().is_ok_and(|log| log.len() > 0), "{}", to.display());
            for suffix in BESIDE {
                let _absent = std::fs::remove_file(with_suffix(&to, suffix));
            }
            std::fs::copy(from, to).expect("restored");
        }
        kind.serve(&restored, &["9"]);
        let of = |index: usize| if part.contains(&index) { "6" } else { "7" };
        let known = ["0", "1", "2", "6", "9", of(0), of(1)].map(str::to_owned);
        assert_eq!(kind.live(&restored), known.into());
    }
}
