//! Supervises one connection: opens it, runs its actor, and restarts it with backoff after a failure.
//!
//! During backoff it holds no lock, so that commands work; deliveries queue in the journal. A new session, or
//! hosts that a person accepts, end the wait, and a rotated URL takes effect at once.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::control::{self, Control};
use crate::actor::{Actor, ActorConfig, Mode, Stopped, Warnings};
use crate::blocking;
use crate::clock::{millis, now_ms, random_unit};
use crate::error::Result;
use crate::inbox::Inbox;
use crate::journal::Journal;
use crate::loaded::{LoadedConnection, OpenConnection};
use crate::metrics::{Meters, State};
use crate::paths::Paths;
use crate::policy::{self, Budget};
use crate::sinks::Sink;
use crate::state::ConnectionStore;
use crate::stop::{self, Stop};
use crate::webhook_url::{PublicUrl, UrlRegistry};

/// After an actor ran this long, backoff starts at its first step again.
const BACKOFF_RESET_AFTER: Duration = Duration::from_secs(120);
/// How often session and URL are checked for changes during backoff.
const CHECK_EVERY: Duration = Duration::from_secs(2);
/// Commands queued for an actor; the command line sends one at a time.
const COMMANDS_MAX: usize = 16;

/// Everything that a connection is run with.
pub(super) struct Supervisor {
    /// The connection file.
    pub(super) file: PathBuf,
    pub(super) loaded: Arc<LoadedConnection>,
    pub(super) store: ConnectionStore,
    pub(super) shared: Shared,
    pub(super) meters: Meters,
    /// The public URL, if the connection's URL is to be subscribed at the source.
    pub(super) subscribe: Option<PublicUrl>,
    pub(super) stop: Stop,
    /// Ends a wait.
    pub(super) retry: Arc<Notify>,
    /// Dropped once the connection is open, or has failed to open.
    pub(super) opening: Option<Opening>,
}

/// The parts of a server that its connections share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) paths: Paths,
    pub(super) journal: Journal,
    pub(super) registry: UrlRegistry,
    pub(super) control: Control,
}

/// A server waits at its start until all of these are dropped.
pub(super) type Opening = mpsc::Sender<()>;

impl Supervisor {
    /// Runs the connection until a stop is requested.
    pub(super) async fn run(mut self) {
        let mut attempt = 0;
        let mut warnings = Warnings::default();
        loop {
            let started = Instant::now();
            let ended = self.once(&mut warnings).await;
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
            let name = &self.loaded.connection.name;
            let budget = Budget::endless(&self.loaded.connection.limits);
            let wait = policy::backoff(&error, attempt, &budget, random_unit());
            let hint = error.hint.as_deref().unwrap_or_default();
            let state = match wait {
                Some(wait) => {
                    tracing::warn!(connection = %name, %error, hint, wait_ms = millis(wait), "restarts");
                    State::Waiting
                }
                None => {
                    tracing::error!(connection = %name, %error, hint,
                        "stopped until its file, session or accepted hosts change");
                    State::Stopped
                }
            };
            self.meters.enter(state, Some(&error.message));
            tokio::select! {
                () = elapsed(wait) => {}
                () = state_changed(&self.store, &self.shared.registry) => attempt = 0,
                () = self.retry.notified() => attempt = 0,
                () = self.stop.requested() => return,
            }
        }
    }

    /// Runs the actor once, until it stops or fails.
    async fn once(&mut self, warnings: &mut Warnings) -> Result<Stopped> {
        let store = self.store.clone();
        let Some(lock) = self.unless_stopped(move || store.lock_to_serve(now_ms())).await? else {
            return Ok(Stopped::Requested);
        };
        let mut lost = lock.lost();
        let (requests, commands) = mpsc::channel(COMMANDS_MAX);
        let reachable = self.shared.control.open(self.store.clone(), requests);
        self.opening = None;
        let (store, registry) = (self.store.clone(), self.shared.registry.clone());
        let loaded = Arc::clone(&self.loaded);
        let file = self.file.clone();
        // A command that finds the connection locked waits a second for the server, and this may take longer.
        let opening = move || {
            set_served(&store, &file);
            // A command may have rotated the URL before requests reached the connection.
            control::renew(&store, &registry)?;
            let mut sink = loaded.open_sink(&loaded.connection.sink, &lock)?;
            // Its first commit may be long after that of thousands of others.
            sink.rest();
            Ok((loaded.open(lock)?, sink))
        };
        let Some((connection, sink)) =
            self.unless_stopped::<(OpenConnection, Box<dyn Sink>)>(opening).await?
        else {
            return Ok(Stopped::Requested);
        };
        let (stopper, stop) = stop::channel();
        let config = ActorConfig {
            connection,
            sink,
            queue: Some(self.shared.journal.consumer(&self.loaded.connection.name)),
            public_url: self.subscribe.clone(),
            commands,
            meters: self.meters.clone(),
            stop,
        };
        self.meters.enter(State::Starting, None);
        let mut actor = pin!(Actor::new(config, Mode::Serve, warnings).run());
        let end = tokio::select! {
            end = &mut actor => Ok(end),
            () = self.stop.requested() => {
                stopper.stop();
                Ok(actor.await)
            }
            () = lost.requested() => {
                stopper.stop();
                // Its commits are refused until it ends: its epoch is over.
                let _ended = actor.await;
                Err(self.store.is_over())
            }
        };
        drop(reachable);
        end
    }

    /// Runs work that may block for long, for example because another program has locked a file; none if a
    /// stop is requested before it ends. The work then ends in the background.
    async fn unless_stopped<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<Option<T>> {
        let mut stop = self.stop.clone();
        tokio::select! {
            done = blocking::spawn(work) => done?.map(Some),
            () = stop.requested() => Ok(None),
        }
    }
}

/// Records that this server has the connection, from this file.
fn set_served(store: &ConnectionStore, file: &Path) {
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    if let Err(error) = store.webhook_url().set_served(&absolute) {
        tracing::warn!(connection = store.name(), %error,
            "file not stored: after a restart its removal is not seen");
    }
}

/// Waits; without end if there is no time to wait for.
async fn elapsed(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

/// Returns when the connection has another session or other accepted hosts; applies rotated URLs meanwhile.
/// Looks at the file's stamp alone until it changes, so that connections that wait cost next to nothing.
async fn state_changed(store: &ConnectionStore, registry: &UrlRegistry) {
    let connection = store.name();
    let mut seen = None;
    let mut before = None;
    loop {
        let looking = store.clone();
        let stamp = blocking::spawn(move || looking.stamp()).await.unwrap_or_default();
        if stamp != seen {
            let (store, registry) = (store.clone(), registry.clone());
            let reading = blocking::spawn(move || {
                if let Err(error) = control::renew(&store, &registry) {
                    tracing::debug!(connection = store.name(), %error, "its URL keeps its secret");
                }
                let session = store.session_revision().unwrap_or_default();
                (session, store.accepted_hosts().unwrap_or_default())
            });
            let now = reading.await.unwrap_or_default();
            if *before.get_or_insert_with(|| now.clone()) != now {
                tracing::info!(connection, "its session or its accepted hosts changed");
                return;
            }
            seen = stamp;
        }
        tokio::time::sleep(CHECK_EVERY).await;
    }
}
