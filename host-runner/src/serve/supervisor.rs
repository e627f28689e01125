//! Supervises one connection: opens it, runs its actor, and restarts it with backoff after a failure.
//!
//! During backoff it holds no lock, so that commands work; deliveries queue in the journal. A new session ends the
//! wait, and a rotated URL takes effect at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::control;
use crate::actor::{Actor, ActorConfig, Mode, Stopped};
use crate::clock::random_unit;
use crate::error::Result;
use crate::journal::Journal;
use crate::metrics::{Meters, State};
use crate::policy::{self, Budget};
use crate::sinks;
use crate::state::hook::HookStore;
use crate::state::session_changed_at;
use crate::state::subscription::Subscriptions;
use crate::stop::Stop;
use crate::tenant::{Paths, Tenant, key};
use crate::webhook_url::{PublicUrl, UrlRegistry};

/// After an actor ran this long, backoff starts at its first step again.
const BACKOFF_RESET_AFTER: Duration = Duration::from_secs(120);
/// How often session and URL are checked for changes during backoff.
const CHECK_EVERY: Duration = Duration::from_secs(2);
/// Commands queued for an actor; the command line sends one at a time.
const ASKS_MAX: usize = 16;

/// Everything that a connection is run with.
pub(super) struct Supervisor {
    pub(super) tenant: Tenant,
    pub(super) paths: Paths,
    pub(super) journal: Journal,
    pub(super) registry: UrlRegistry,
    pub(super) meters: Meters,
    /// The public URL, if the connection's URL is to be subscribed at the source.
    pub(super) subscribe: Option<PublicUrl>,
    pub(super) stop: Stop,
    /// Ends a wait.
    pub(super) retry: Arc<Notify>,
    /// Dropped once the connection is open, or has failed to open.
    pub(super) opening: Option<Opening>,
}

/// A server waits at its start until all of these are dropped.
pub(super) type Opening = mpsc::Sender<()>;

impl Supervisor {
    /// Runs the connection until a stop is requested.
    pub(super) async fn run(mut self) {
        let mut attempt = 0;
        loop {
            let started = Instant::now();
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
            attempt = if started.elapsed() > BACKOFF_RESET_AFTER { 1 } else { attempt + 1 };
            let name = &self.tenant.connection.name;
            let budget = Budget::endless(&self.tenant.connection.limits);
            let wait = policy::backoff(&error, attempt, &budget, random_unit());
            let hint = error.hint.as_deref().unwrap_or_default();
            let state = match wait {
                Some(wait) => {
                    tracing::warn!(connection = %name, %error, hint, seconds = wait.as_secs(), "restarts");
                    State::Waiting
                }
                None => {
                    tracing::error!(
                        connection = %name, %error, hint, "stopped until its file or its session changes, or SIGHUP"
                    );
                    State::Stopped
                }
            };
            self.meters.enter(state, Some(&error.message));
            tokio::select! {
                () = elapsed(wait) => {}
                () = session_changed(&self.tenant.connection.name, &self.paths, &self.registry) => attempt = 0,
                () = self.retry.notified() => attempt = 0,
                () = self.stop.requested() => return,
            }
        }
    }

    /// Runs the actor once, until it stops or fails.
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
        // A command may have rotated the URL before the socket was open.
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
        self.meters.enter(State::Starting, None);
        let mut no_observer = ();
        let end = Actor::new(config, Mode::Serve, &mut no_observer)?.run().await;
        drop(listening);
        drop(open.lock);
        Ok(end)
    }
}

/// Waits; forever if there is no time to wait for.
async fn elapsed(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

/// Returns when the connection has another session; applies rotated URLs meanwhile.
async fn session_changed(name: &str, paths: &Paths, registry: &UrlRegistry) {
    let before = session_changed_at(&paths.data, name);
    loop {
        tokio::time::sleep(CHECK_EVERY).await;
        if let Err(error) = control::renew(paths, name, registry) {
            tracing::debug!(connection = %name, %error, "its URL keeps its secret");
        }
        if session_changed_at(&paths.data, name) != before {
            tracing::info!(connection = %name, "its session changed");
            return;
        }
    }
}
