//! Status and counters of each connection under `serve`. Counters only rise.
//!
//! Supervisor and actor write through [`Meters`], under one lock per connection. The listener's pages read
//! copies: [`families`] encodes them for Prometheus, [`status`] for `/-/health` and `/-/ready`. Does not know
//! HTTP. The ingress has its own families.

mod families;
mod status;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::prometheus_text;
use prometheus_client::registry::Registry;

use crate::change::{Attributes, ChangeSource, number};
use crate::clock::now_ms;
use crate::error::Error;
use crate::sinks::LateFiles;

pub use families::{Counter, Counters, Difference, Gauges, encode};
pub use status::{ConnectionStatus, InvalidFile, ServerStatus, State, Status, TableStatus, health};

/// The first words of the name of every metric.
const PREFIX: &str = "host_runner";

/// A registry whose families are called `host_runner_…`.
pub fn registry() -> Registry {
    Registry::with_prefix(PREFIX)
}

/// All families of a registry in the Prometheus text format.
pub fn text(registry: &Registry) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _infallible = prometheus_text::encode(&mut text, registry);
    text
}

/// Status and counters of one connection.
#[derive(Clone, Debug, Default)]
pub struct Readings {
    /// Its status.
    pub status: Status,
    /// Its tables.
    pub tables: BTreeMap<String, TableStatus>,
    /// Its counters.
    pub counters: Counters,
    /// Its gauges.
    pub gauges: Gauges,
    /// The message of the last failure, and when it happened.
    pub last_error: Option<(String, u64)>,
    /// When a delivery last brought changes, in milliseconds since 1970; 0: never.
    pub last_delivery_ms: u64,
    /// Whether the sink's files are late.
    pub files: LateFiles,
    /// The answer of [`Readings::files`] when these readings were read.
    pub files_late: Option<(u64, String)>,
}

/// The readings of one connection. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Meters(Arc<Mutex<Readings>>);

impl Meters {
    /// Changes the readings.
    pub fn count(&self, count: impl FnOnce(&mut Readings)) {
        count(&mut self.lock());
    }

    /// A copy.
    pub fn read(&self) -> Readings {
        let readings = self.lock().clone();
        Readings { files_late: readings.files.get(), ..readings }
    }

    /// The state alone, without a copy of everything.
    pub fn state(&self) -> State {
        self.lock().status.state
    }

    /// Enters a state; `reason` says why the connection waits or stopped.
    pub fn enter(&self, state: State, reason: Option<&str>) {
        self.lock().status.enter(state, reason, now_ms());
    }

    /// Counts a failure.
    pub fn failed(&self, error: &Error) {
        let mut readings = self.lock();
        readings.counters.errors.add([&error.kind.to_string()], 1);
        readings.spent(&error.attributes);
        readings.last_error = Some((error.message.clone(), now_ms()));
    }

    fn lock(&self) -> MutexGuard<'_, Readings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Readings {
    /// Counts the credits that a call cost.
    pub fn spent(&mut self, attributes: &Attributes) {
        self.counters.source_credits_used.add([], number(attributes, "credits-used").unwrap_or(0));
        let left = &mut self.gauges.source_credits_left;
        *left = number(attributes, "credits-left").or(*left);
    }

    /// Counts an event that belongs to no table.
    pub fn ignored(&mut self, event: &str) {
        self.counters.events_ignored.add([event], 1);
    }

    /// Counts changes of a table that are committed.
    pub fn changed(&mut self, table: &str, source: ChangeSource, changes: u64) {
        self.counters.changes.add([table, source.name()], changes);
    }

    /// The status of a table.
    pub fn table(&mut self, table: &str) -> &mut TableStatus {
        self.tables.entry(table.to_owned()).or_default()
    }
}
