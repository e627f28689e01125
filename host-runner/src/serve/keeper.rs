//! Keeps one connection at work: opens it, runs its actor, and begins again after a failure of the whole.
//!
//! While it waits it holds no lock, so that a person can authorise again beside the server; what arrives
//! meanwhile waits in the journal.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::control;
use crate::actor::{Actor, End, wait_after};
use crate::clock::random_unit;
use crate::connection::SinkKind;
use crate::error::Result;
use crate::hooks::Registry;
use crate::journal::Journal;
use crate::metrics::{Meters, Phase};
use crate::sinks;
use crate::state::subscription::Subscriptions;
use crate::stop::Stop;
use crate::tenant::{Places, Tenant, key};

/// An actor that ran this long had a good start; the next failure is the first again.
const GOOD_RUN: Duration = Duration::from_secs(120);
/// Asks that wait for an actor; the command line asks one at a time.
const ASKS_MAX: usize = 16;

/// What a connection needs to be kept at work.
pub(super) struct Keeper {
    pub(super) tenant: Tenant,
    pub(super) places: Places,
    pub(super) journal: Journal,
    pub(super) registry: Registry,
    pub(super) meters: Meters,
    pub(super) subscribe: Option<String>,
    pub(super) stop: Stop,
    /// Told when a wait should end early.
    pub(super) retry: Arc<Notify>,
}

impl Keeper {
    /// Works until it is told to stop.
    pub(super) async fn run(mut self) {
        let mut attempt = 0;
        loop {
            let began = Instant::now();
            let error = match self.once().await {
                Ok(End::Stopped) => return,
                Ok(End::Failed(error)) => error,
                Err(error) => {
                    self.meters.failed(&error);
                    error
                }
            };
            attempt = if began.elapsed() > GOOD_RUN { 1 } else { attempt + 1 };
            let name = &self.tenant.connection.name;
            let wait = wait_after(&error, attempt, random_unit());
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
            let waited = async {
                match wait {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = waited => {}
                () = self.retry.notified() => attempt = 0,
                () = self.stop.requested() => return,
            }
        }
    }

    /// One life of the actor.
    async fn once(&self) -> Result<End> {
        let connection = &self.tenant.connection;
        let open = self.tenant.open(&self.places)?;
        let sink = sinks::open(&connection.sink)?;
        let (asks_in, asks) = mpsc::channel(ASKS_MAX);
        let subscriptions = Subscriptions::open(&self.places.data, &connection.name, key(&self.places)?)?;
        let actor = Actor {
            name: connection.name.clone(),
            describe: self.tenant.describe.clone(),
            sandbox: open.sandbox,
            limits: connection.limits.clone(),
            journal: self.journal.clone(),
            subscriptions,
            compares: connection.sink.kind == SinkKind::Sqlite,
            subscribe: self.subscribe.clone(),
            asks,
            meters: self.meters.clone(),
            stop: self.stop.clone(),
        };
        let door = control::Door {
            places: self.places.clone(),
            name: connection.name.clone(),
            registry: self.registry.clone(),
            asks: asks_in,
        };
        let listening = door.open();
        self.meters.phase(Phase::Starting);
        let end = actor.run(sink).await;
        drop(listening);
        drop(open.lock);
        Ok(end)
    }
}
