//! Keeps one connection at work: opens it, runs its actor, and begins again after a failure of the whole.
//!
//! While it waits it holds no lock, so that commands work beside the server; what arrives meanwhile waits in the
//! journal. Another session or another URL that a person made meanwhile counts at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::control;
use crate::actor::{Actor, ActorConfig, Mode, Stopped};
use crate::clock::random_unit;
use crate::connection::SinkKind;
use crate::error::Result;
use crate::hooks::{PublicUrl, Registry};
use crate::journal::Journal;
use crate::loaded::LoadedConnection;
use crate::metrics::{Meters, Phase};
use crate::paths::Paths;
use crate::policy::{self, Budget};
use crate::sinks;
use crate::state::ConnectionStore;
use crate::stop::Stop;

/// An actor that ran this long had a good start; the next failure is the first again.
const GOOD_RUN: Duration = Duration::from_secs(120);
/// How often it looks, while it waits, whether a person has changed something.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Asks that wait for an actor; the command line asks one at a time.
const ASKS_MAX: usize = 16;

/// What a connection needs to be kept at work.
pub(super) struct Keeper {
    pub(super) loaded: LoadedConnection,
    pub(super) store: ConnectionStore,
    pub(super) paths: Paths,
    pub(super) journal: Journal,
    pub(super) registry: Registry,
    pub(super) meters: Meters,
    /// The outside name under which its URL is to be registered.
    pub(super) subscribe: Option<PublicUrl>,
    pub(super) stop: Stop,
    /// Told when a wait should end early.
    pub(super) retry: Arc<Notify>,
    /// Dropped once it was opened for the first time, or could not be.
    pub(super) opening: Option<Opening>,
}

/// Somebody waits until all of these are dropped.
pub(super) type Opening = mpsc::Sender<()>;

impl Keeper {
    /// Works until it is told to stop.
    pub(super) async fn run(mut self) {
        let mut attempt = 0;
        loop {
            let began = Instant::now();
            let ended = self.once().await;
            self.opening = None;
            let error = match ended {
                Ok(Stopped::Requested | Stopped::Finished) => return,
                Ok(Stopped::Failed(error)) => error,
                Err(error) => {
                    self.meters.failed(&error);
                    error
                }
            };
            attempt = if began.elapsed() > GOOD_RUN { 1 } else { attempt + 1 };
            let name = &self.loaded.connection.name;
            let budget = Budget::endless(&self.loaded.connection.limits);
            let wait = policy::backoff(&error, attempt, &budget, random_unit());
            let hint = error.hint.as_deref().unwrap_or_default();
            match wait {
                Some(wait) => {
                    tracing::warn!(connection = %name, %error, hint, seconds = wait.as_secs(), "begins again")
                }
                None => {
                    tracing::error!(connection = %name, %error, hint, "stopped until its file changes or SIGHUP")
                }
            }
            self.meters.phase(if wait.is_some() { Phase::Waiting } else { Phase::Stopped });
            tokio::select! {
                () = waited(wait) => {}
                () = changed(&self.store, &self.registry) => attempt = 0,
                () = self.retry.notified() => attempt = 0,
                () = self.stop.requested() => return,
            }
        }
    }

    /// One life of the actor.
    async fn once(&mut self) -> Result<Stopped> {
        let connection = &self.loaded.connection;
        let open = self.loaded.open(self.store.lock()?)?;
        let (requests, commands) = mpsc::channel(ASKS_MAX);
        let control = control::ControlServer {
            store: self.store.clone(),
            redactor: self.paths.redactor.clone(),
            registry: self.registry.clone(),
            commands: requests,
        };
        let guard = control.start(&self.paths.data);
        self.opening = None;
        // A command may have rotated the URL before this socket was there.
        control::renew(&self.store, &self.registry)?;
        let config = ActorConfig {
            name: connection.name.clone(),
            describe: self.loaded.describe.clone(),
            sandbox: open.sandbox,
            sink: sinks::open(&connection.sink)?,
            store: open.store,
            limits: connection.limits.clone(),
            journal: Some(self.journal.clone()),
            compares: connection.sink.kind == SinkKind::Sqlite,
            public_url: self.subscribe.clone(),
            commands,
            meters: self.meters.clone(),
            stop: self.stop.clone(),
        };
        self.meters.phase(Phase::Starting);
        let mut no_observer = ();
        let end = Actor::new(config, Mode::Serve, &mut no_observer)?.run().await;
        drop(guard);
        Ok(end)
    }
}

/// Lets the time pass; for ever if there is none.
async fn waited(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

/// Returns when a person has given the connection another session; takes over another URL meanwhile.
async fn changed(store: &ConnectionStore, registry: &Registry) {
    let connection = store.name();
    let changed_at = || store.session_changed_at().unwrap_or_default();
    let before = changed_at();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if let Err(error) = control::renew(store, registry) {
            tracing::debug!(connection, %error, "its URL stays as it was");
        }
        if changed_at() != before {
            tracing::info!(connection, "its session was changed");
            return;
        }
    }
}
