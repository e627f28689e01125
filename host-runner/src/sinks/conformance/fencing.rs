//! Leases: a runner that another one has taken over cannot write any more.

use std::path::Path;

use super::case::{CALLED_AT_MS, Case, TABLE, change, on_every_sink, position};
use crate::actor::{ActorConfig, Mode};
use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::loaded::{LoadedConnection, open_sink, tiny};
use crate::metrics::Meters;
use crate::paths::Paths;
use crate::secret::Redactor;
use crate::sinks::{Commit, Counts, Progress, Sink, open};
use crate::state::{ConnectionStore, LockedStore};
use crate::sync::Progress as Line;
use crate::sync::sync;

fn commit(sink: &mut dyn Sink, n: i64, epoch: u64) -> Result<Counts> {
    let changes = [change("a", Some(n), n.unsigned_abs())];
    let progress = Progress::Table { name: TABLE, cursor: "cursor", generation: None };
    sink.commit(&Commit { changes: &changes, progress, as_of_ms: CALLED_AT_MS, epoch })
}

#[test]
fn a_commit_of_an_older_epoch_is_refused_and_changes_nothing() {
    on_every_sink(|case| {
        commit(case.sink(), 1, 2).expect("committed");
        commit(case.sink(), 2, 2).expect("the same lease");
        for reopened in [false, true] {
            let error = commit(case.sink(), 3, 1).expect_err("an older lease");
            assert_eq!(error.message, "lease 1 is over: lease 2 has committed", "{reopened}");
            let position = position(9);
            let progress = Progress::Journal(&position);
            let delivered = Commit { changes: &[], progress, as_of_ms: CALLED_AT_MS, epoch: 1 };
            case.sink().commit(&delivered).expect_err("an older lease");
            case.expect("a=2");
            let progress = case.sink().progress().expect("progress");
            assert_eq!((progress.epoch, progress.journal), (2, None));
            case.reopen();
        }
        commit(case.sink(), 3, 3).expect("a newer lease");
        case.expect("a=3");
    });
}

#[test]
fn an_epoch_that_did_not_commit_refuses_nobody() {
    on_every_sink(|case| {
        commit(case.sink(), 1, 1).expect("committed");
        let bad = crate::change::Change { after: Some("[]".into()), ..change("a", Some(2), 20) };
        let progress = Progress::Table { name: TABLE, cursor: "cursor", generation: None };
        let failed = Commit { changes: &[bad], progress, as_of_ms: CALLED_AT_MS, epoch: 5 };
        case.sink().commit(&failed).expect_err("stored");
        assert_eq!(case.sink().progress().expect("progress").epoch, 1);
        commit(case.sink(), 2, 1).expect("committed");
    });
}

/// A connection to the tiny connector, whose rows go to the sink of a case.
struct Runner<'a> {
    paths: Paths,
    connection: Connection,
    case: &'a Case,
}

impl<'a> Runner<'a> {
    fn new(folder: &Path, case: &'a Case) -> Self {
        Self { paths: tiny::paths(folder), connection: tiny::connection(folder, "acme"), case }
    }

    fn store(&self) -> ConnectionStore {
        ConnectionStore::open(&self.paths, "acme").expect("opened")
    }

    /// Runs the actor under a lease until every table is caught up.
    fn sync(&self, lease: LockedStore, sink: Box<dyn Sink>) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let loaded = LoadedConnection::load(self.connection.clone(), &self.paths).await?;
            let (_nobody, commands) = tokio::sync::mpsc::channel(1);
            let (_stopper, stop) = crate::stop::channel();
            let config = ActorConfig {
                connection: loaded.open(lease)?,
                sink,
                queue: None,
                public_url: None,
                commands,
                meters: Meters::default(),
                stop,
            };
            let mode = Mode::Sync { tables: Vec::new(), full_refresh: false };
            let report = sync(config, mode, Line::new(false, Redactor::default())).await?;
            let error = report.tables.iter().find_map(|table| table.error());
            error.map_or(Ok(()), |error: &Error| Err(error.clone()))
        })
    }

    fn open(&self, lease: &LockedStore) -> Result<Box<dyn Sink>> {
        open_sink(&self.case.settings, lease)
    }

    fn epoch(&self) -> u64 {
        open(&self.case.settings).expect("opened").progress().expect("progress").epoch
    }
}

#[test]
fn the_actor_commits_under_its_lease_and_stops_once_it_is_taken_over() {
    on_every_sink(|case| {
        drop(case.take());
        let folder = tempfile::tempdir().expect("a folder");
        let runner = Runner::new(folder.path(), case);
        let (mut epochs, store) = (Vec::new(), runner.store());
        for _ in 0..2 {
            let lease = store.lock().expect("free");
            let sink = runner.open(&lease).expect("opened");
            epochs.push(lease.epoch());
            runner.sync(lease, sink).expect("synced");
            assert_eq!(Some(&runner.epoch()), epochs.last());
        }
        assert!(epochs[0] < epochs[1], "{epochs:?}");

        // A runner that sleeps while another one takes over, which its lock did not keep out.
        let lease = store.lock().expect("free");
        let sink = runner.open(&lease).expect("opened");
        let other = store.take_over();
        drop(sink);
        let mut sink = open(&case.settings).expect("opened");
        sink.commit(&Commit {
            changes: &[],
            progress: Progress::Journal(&position(1)),
            as_of_ms: CALLED_AT_MS,
            epoch: other,
        })
        .expect("committed");
        let error = runner.sync(lease.clone(), sink).expect_err("taken over");
        let message = format!("lease {} is over: lease {other} has committed", lease.epoch());
        assert!(error.message.ends_with(&message), "{error}");
        let error = runner.open(&lease).err().expect("taken over");
        assert_eq!(error.message, "connection `acme`: another runner has taken it over");
        assert_eq!(runner.epoch(), other);
    });
}

#[test]
fn a_data_folder_that_is_older_than_the_sink_gets_a_newer_epoch() {
    // The equal one is that of a folder which is one lease older.
    for seen in [41, 1] {
        on_every_sink(|case| {
            commit(case.sink(), 1, seen).expect("committed");
            drop(case.take());
            let folder = tempfile::tempdir().expect("a folder");
            let runner = Runner::new(folder.path(), case);
            let lease = runner.store().lock().expect("free");
            let sink = runner.open(&lease).expect("opened");
            runner.sync(lease, sink).expect("synced");
            assert_eq!(runner.epoch(), seen + 1);
            assert_eq!(runner.store().lock().expect("free").epoch(), seen + 2, "kept in the data folder");
        });
    }
}
