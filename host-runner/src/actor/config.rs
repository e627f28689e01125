//! What an actor is given, how long it runs, and why it ended.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::request::Command;
use crate::error::Error;
use crate::inbox::Consumer;
use crate::loaded::OpenConnection;
use crate::metrics::Meters;
use crate::sinks::Sink;
use crate::stop::Stop;
use crate::webhook_url::PublicUrl;

/// Everything that an actor is given.
pub(crate) struct ActorConfig {
    /// The connection; holds the lock.
    pub connection: OpenConnection,
    /// Where rows go.
    pub sink: Box<dyn Sink>,
    /// The queue of deliveries; none under `sync`.
    pub queue: Option<Arc<dyn Consumer>>,
    /// The outside name under which the webhook URL is to be registered.
    pub public_url: Option<PublicUrl>,
    /// Requests of the command line.
    pub commands: mpsc::Receiver<Command>,
    /// Counters.
    pub meters: Meters,
    /// When to end.
    pub stop: Stop,
}

/// How long an actor runs, and the tables that it reads.
#[derive(Clone, Debug)]
pub(crate) enum Mode {
    /// All tables as they are due, webhooks and commands, until it is stopped.
    Serve,
    /// Some tables one after another, each until it is caught up.
    Sync {
        /// Their names; all if there are none.
        tables: Vec<String>,
        /// Start a new snapshot of each.
        full_refresh: bool,
    },
}

/// Why an actor ended.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// It was asked to stop.
    Requested,
    /// Every table of [`Mode::Sync`] has ended.
    Finished,
    /// The connection as a whole failed.
    Failed(Error),
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}
