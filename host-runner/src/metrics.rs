//! What a server has done, per connection: counted by its actors, shown as Prometheus text and as health.
//!
//! Plain counters behind one lock per connection, held for moments. Knows nothing of HTTP.

mod health;
mod render;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::change::{Attributes, ChangeSource, number};
use crate::clock::now_ms;
use crate::error::Error;

pub use health::{Broken, health, is_ready};
pub use render::{Shown, prometheus};

/// Names of ignored events, tables and kinds that are kept apart; the rest is counted together.
const NAMES_MAX: usize = 200;
/// The name for the rest.
const OTHER: &str = "other";

/// What a connection is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Being opened, or waiting for the source for the first time.
    #[default]
    Starting,
    /// At work.
    Running,
    /// Waiting before it tries again.
    Waiting,
    /// Ended until its file or its session changes.
    Stopped,
}

impl Phase {
    /// Its name in metrics and in health.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Stopped => "stopped",
        }
    }
}

/// One table.
#[derive(Clone, Debug, Default)]
pub struct TableCounters {
    /// Rows read by polling.
    pub rows_read: u64,
    /// Rows that polling brought although webhooks should have.
    pub repaired: u64,
    /// When it was last caught up, in milliseconds since 1970; 0: never.
    pub caught_up_ms: u64,
    /// When it was last read.
    pub polled_ms: u64,
    /// Whether its first snapshot is complete.
    pub complete: bool,
}

/// One connection.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// What it is doing.
    pub phase: Phase,
    /// Its tables.
    pub tables: BTreeMap<String, TableCounters>,
    /// Changes by table and source.
    pub changes: BTreeMap<(String, &'static str), u64>,
    /// Deliveries whose changes are in the target.
    pub applied: u64,
    /// Deliveries that became dead letters.
    pub buried: u64,
    /// Dead letters that were let go because there was no room.
    pub let_go: u64,
    /// The delivery at the head cannot be dealt with for now.
    pub is_held: bool,
    /// Events of no table, by name.
    pub ignored: BTreeMap<String, u64>,
    /// Failures by kind.
    pub errors: BTreeMap<String, u64>,
    /// Requests to the source.
    pub requests: u64,
    /// Of the source's quota.
    pub credits_used: u64,
    /// Of the source's quota, if it says so.
    pub credits_left: Option<u64>,
    /// What failed last, in words, and when.
    pub last_error: Option<(String, u64)>,
    /// When a delivery was last applied.
    pub delivered_ms: u64,
}

/// The counters of one connection, shared by who counts and who shows.
#[derive(Clone, Debug, Default)]
pub struct Meters(Arc<Mutex<Counters>>);

impl Meters {
    /// Counts something.
    pub fn count(&self, count: impl FnOnce(&mut Counters)) {
        count(&mut self.lock());
    }

    /// A copy.
    pub fn read(&self) -> Counters {
        self.lock().clone()
    }

    /// Says what the connection is doing.
    pub fn phase(&self, phase: Phase) {
        self.lock().phase = phase;
    }

    /// Counts a failure.
    pub fn failed(&self, error: &Error) {
        let mut counters = self.lock();
        add(&mut counters.errors, &error.kind.to_string(), 1);
        counters.spent(&error.attributes);
        counters.last_error = Some((error.message.clone(), now_ms()));
    }

    fn lock(&self) -> MutexGuard<'_, Counters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counters {
    /// Counts what a call cost.
    pub fn spent(&mut self, attributes: &Attributes) {
        self.credits_used += number(attributes, "credits-used").unwrap_or(0);
        self.credits_left = number(attributes, "credits-left").or(self.credits_left);
    }

    /// Counts an event of no table.
    pub fn ignored(&mut self, event: &str) {
        add(&mut self.ignored, event, 1);
    }

    /// Counts changes of a table.
    pub fn changed(&mut self, table: &str, source: ChangeSource, changes: u64) {
        let known = self.changes.len() < NAMES_MAX;
        let name = (table.to_owned(), source.name());
        let name = if known || self.changes.contains_key(&name) { name } else { (OTHER.into(), OTHER) };
        *self.changes.entry(name).or_default() += changes;
    }

    /// A table's counters.
    pub fn table(&mut self, table: &str) -> &mut TableCounters {
        self.tables.entry(table.to_owned()).or_default()
    }
}

/// Names come from outside: their number is bounded.
fn add(counts: &mut BTreeMap<String, u64>, name: &str, more: u64) {
    let name = if counts.len() < NAMES_MAX || counts.contains_key(name) { name } else { OTHER };
    *counts.entry(name.to_owned()).or_default() += more;
}

#[cfg(test)]
mod tests {
    use super::{Meters, NAMES_MAX};

    #[test]
    fn names_from_outside_are_bounded() {
        let meters = Meters::default();
        for event in 0..NAMES_MAX + 50 {
            meters.count(|counters| counters.ignored(&format!("event-{event}")));
        }
        let counters = meters.read();
        assert_eq!(counters.ignored.len(), NAMES_MAX + 1);
        assert_eq!(counters.ignored["other"], 50);
    }
}
