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
use crate::error::Result;
use crate::hooks::{PublicUrl, Registry};
use crate::journal::Journal;
use crate::metrics::{Meters, Phase};
use crate::policy::{self, Budget};
use crate::sinks;
use crate::state::hook::HookStore;
use crate::state::session_changed_at;
use crate::state::subscription::Subscriptions;
use crate::stop::Stop;
use crate::tenant::{Paths, Tenant, key};

/// An actor that ran this long had a good start; the next failure is the first again.
const GOOD_RUN: Duration = Duration::from_secs(120);
/// How often it looks, while it waits, whether a person has changed something.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Asks that wait for an actor; the command line asks one at a time.
const ASKS_MAX: usize = 16;

/// What a connection needs to be kept at work.
pub(super) struct Keeper {
    pub(super) tenant: Tenant,
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
            let name = &self.tenant.connection.name;
            let budget = Budget::endless(&self.tenant.connection.limits);
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
                () = changed(&self.tenant.connection.name, &self.paths, &self.registry) => attempt = 0,
                () = self.retry.notified() => attempt = 0,
                () = self.stop.requested() => return,
            }
        }
    }

    /// One life of the actor.
    async fn once(&mut self) -> Result<Stopped> {
        let connection = &self.tenant.connection;
        let open = self.tenant.open(&self.paths)?;
        let (asks_in, commands) = mpsc::channel(ASKS_MAX);
        let door = control::Door {
            paths: self.paths.clone(),
            name: connection.name.clone(),
            registry: self.registry.clone(),
            asks: asks_in,
        };
        let listening = door.open();
        self.opening = None;
        // It may have been changed while nobody listened.
        control::renew(&self.paths, &connection.name, &self.registry)?;
        let sink = sinks::open(&connection.sink)?;
        let subscriptions = Subscriptions::open(&self.paths.data, &connection.name, key(&self.paths)?)?;
        let config = ActorConfig {
            name: connection.name.clone(),
            describe: self.tenant.describe.clone(),
            sandbox: open.sandbox,
            sink,
            limits: connection.limits.clone(),
            journal: Some(self.journal.clone()),
            subscriptions,
            hooks: HookStore::open(&self.paths.data, &connection.name, key(&self.paths)?)?,
            public_url: self.subscribe.clone(),
            commands,
            meters: self.meters.clone(),
            stop: self.stop.clone(),
        };
        self.meters.phase(Phase::Starting);
        let mut no_observer = ();
        let end = Actor::new(config, Mode::Serve, &mut no_observer)?.run().await;
        drop(listening);
        drop(open.lock);
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
async fn changed(name: &str, paths: &Paths, registry: &Registry) {
    let before = session_changed_at(&paths.data, name);
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if let Err(error) = control::renew(paths, name, registry) {
            tracing::debug!(connection = %name, %error, "its URL stays as it was");
        }
        if session_changed_at(&paths.data, name) != before {
            tracing::info!(connection = %name, "its session was changed");
            return;
        }
    }
}
