//! One connection at work in a server: alone it owns the sandbox, the session and the target, so that a
//! token is renewed once and changes are stored in the order in which they were learnt.
//!
//! It turns in a circle: what arrived ([`receiving`]) → one batch of the table that is due ([`polling`]) →
//! wait for whichever comes first. Who asks something ([`request`]) is answered between two batches. The journal is looked at between any two batches, and a batch is kept
//! short, so that a long first snapshot does not hold up webhooks. Nothing here sleeps to see whether something
//! has arrived.
//!
//! [`agenda`], [`delays`], [`harvest`] and [`hold`] decide and are pure. Ends when it is told to, or with a failure
//! that concerns the whole connection; [`crate::serve`] begins again.

mod agenda;
mod delays;
mod discovering;
mod harvest;
mod hold;
mod polling;
mod receiving;
mod request;
mod subscribing;

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use self::agenda::Agenda;
use self::delays::Reach;
use self::discovering::DISCOVER_EVERY;
use self::receiving::Receiving;
use self::subscribing::Subscribing;
use crate::change::Table;
use crate::clock::{ms_of_rfc3339, random_unit};
use crate::describe::Describe;
use crate::error::{Error, Result};
use crate::hooks::PublicUrl;
use crate::journal::Journal;
use crate::limits::{self, Limits};
use crate::metrics::{Meters, Phase};
use crate::sandbox::Sandbox;
use crate::sinks::{JOURNAL, Sink, Target};
use crate::state::hook::HookStore;
use crate::state::subscription::Subscriptions;
use crate::stop::Stop;

pub use self::delays::wait as wait_after;
pub use self::request::{Answer, Ask};
pub use self::subscribing::{no_webhooks, subscribable};

/// Time that a call under way gets to end after a stop: a token that it renewed is then not lost.
const STOP_GRACE: Duration = Duration::from_secs(5);
/// Time that a backlog of deliveries may take before a table that is due gets a batch.
const BACKLOG_TURN: Duration = Duration::from_secs(3);

/// Everything an actor works with.
pub struct Actor {
    /// The connection's name.
    pub name: String,
    /// What its component says of itself.
    pub describe: Describe,
    /// Its component.
    pub sandbox: Sandbox,
    /// Its limits.
    pub limits: Limits,
    /// What arrived.
    pub journal: Journal,
    /// What was registered at the source.
    pub subscriptions: Subscriptions,
    /// Whether the target compares rows, so that what a poll had to repair can be told.
    pub compares: bool,
    /// The secret of its URL.
    pub hooks: HookStore,
    /// The outside name under which the source is to call, if it is to be told.
    pub public_url: Option<PublicUrl>,
    /// Asks of the command line.
    pub asks: mpsc::Receiver<Ask>,
    /// Counters.
    pub meters: Meters,
    /// When to end.
    pub stop: Stop,
}

/// How an actor ends.
#[derive(Debug)]
pub enum End {
    /// It was told to.
    Stopped,
    /// Nothing can go on as it is.
    Failed(Error),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// An actor after its start.
struct Work {
    actor: Actor,
    target: Target,
    tables: Vec<Table>,
    agenda: Agenda,
    receiving: Receiving,
    arrivals: watch::Receiver<u64>,
    gaps: watch::Receiver<&'static str>,
    subscribing: Subscribing,
    discover_at: Instant,
    requests_seen: u64,
}

impl Actor {
    /// Works until it ends.
    pub async fn run(self, sink: Box<dyn Sink>) -> End {
        let target = Target::new(sink);
        let mut work = match self.begin(target).await {
            Ok(work) => work,
            Err(end) => return end,
        };
        let end = loop {
            if let Err(end) = work.turn().await {
                break end;
            }
        };
        work.receiving.settle().await;
        end
    }

    /// Looks at the tables and makes room for them.
    async fn begin(mut self, target: Target) -> Result<Work, End> {
        let arrivals = self.journal.arrivals(&self.name);
        // Whatever was missed before: every table is read at once when the actor begins.
        let gaps = self.journal.gaps(&self.name);
        let kept = self.subscriptions.load()?;
        let tables = self.tables(&target).await?;
        let prepared = tables.clone();
        let work = target.work(move |sink| {
            sink.prepare(&prepared)?;
            sink.positions()
        });
        let positions = work.await?;
        let journal = positions.iter().find(|position| position.table == JOURNAL);
        let applied = journal.and_then(|position| position.cursor.as_ref()?.parse().ok()).unwrap_or(0);
        let now = Instant::now();
        let agenda =
            Agenda::new(&discovering::names(&tables), &positions, self.limits.serve.poll_interval, now);
        self.meters.count(|counters| {
            counters.phase = Phase::Running;
            let delivered = journal.and_then(|position| ms_of_rfc3339(&position.updated_at));
            counters.delivered_ms = counters.delivered_ms.max(delivered.unwrap_or(0));
        });
        let subscribing = Subscribing::new(self.public_url.clone(), kept, now);
        let mut receiving = Receiving::new(applied, now);
        // A crash between a commit and this left deliveries behind that are in the target.
        receiving.acknowledge(&self.journal, &self.name);
        tracing::info!(connection = %self.name, tables = tables.len(), applied, "at work");
        let work = Work {
            actor: self,
            target,
            tables,
            agenda,
            receiving,
            arrivals,
            gaps,
            subscribing,
            discover_at: now + DISCOVER_EVERY,
            requests_seen: 0,
        };
        work.show_tables();
        Ok(work)
    }

    /// Counts a failure and says how long to wait; ends the actor when the connection is concerned.
    fn failed(&self, what: &str, error: &Error, attempt: u32) -> Result<Duration, End> {
        self.meters.failed(error);
        let concerns = delays::reach(error);
        let wait = delays::wait(error, attempt, random_unit());
        tracing::warn!(
            connection = %self.name, what, kind = error.kind.name(), origin = error.origin.name(), attempt, %error,
            wait_ms = wait.map_or(0, |wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
            "failed"
        );
        match wait {
            Some(wait) if concerns == Reach::Call => Ok(wait),
            _ => Err(End::Failed(error.clone())),
        }
    }
}

/// Makes a call; a stop lets it end within [`STOP_GRACE`] and drops what it brings.
async fn until_stopped<T>(stop: &mut Stop, call: impl Future<Output = T>) -> Result<T, End> {
    let mut call = std::pin::pin!(call);
    tokio::select! {
        outcome = &mut call => Ok(outcome),
        () = stop.requested() => {
            let _dropped = tokio::time::timeout(STOP_GRACE, call).await;
            Err(End::Stopped)
        }
    }
}

impl Work {
    /// Does one thing that there is to do, or waits until there is one.
    async fn turn(&mut self) -> Result<(), End> {
        if self.actor.stop.is_requested() {
            return Err(End::Stopped);
        }
        if let Ok(ask) = self.actor.asks.try_recv() {
            self.answer(ask).await?;
        }
        self.meter();
        if self.gaps.has_changed().unwrap_or(false) {
            let why = *self.gaps.borrow_and_update();
            self.gap(why);
        }
        let now = Instant::now();
        if self.subscribing.due.is_some_and(|due| due <= now) {
            return self.see_to_subscription().await;
        }
        let is_long = self.receiving.busy_since.is_some_and(|since| now - since > BACKLOG_TURN);
        if self.receiving.due <= now && !(is_long && self.agenda.due().is_some_and(|due| due <= now)) {
            // Seen before looking, so that whatever arrives while it looks wakes it again.
            self.arrivals.borrow_and_update();
            if self.receive().await? {
                self.receiving.busy_since.get_or_insert(now);
                return Ok(());
            }
        }
        self.receiving.busy_since = None;
        if self.discover_at <= now {
            return self.discover_again().await;
        }
        if let Some(index) = self.agenda.next(now) {
            return self.poll(index).await;
        }
        self.wait().await
    }

    /// Waits for an arrival, a table that is due, an ask, or a stop.
    async fn wait(&mut self) -> Result<(), End> {
        let now = Instant::now();
        let held = self.receiving.due > now;
        let mut due = self.agenda.due().unwrap_or(self.discover_at).min(self.discover_at);
        if held {
            due = due.min(self.receiving.due);
        }
        due = self.subscribing.due.map_or(due, |subscribing| due.min(subscribing));
        let idle = now + limits::INSTANCE_IDLE;
        tokio::select! {
            () = self.actor.stop.requested() => Err(End::Stopped),
            () = tokio::time::sleep_until(due) => Ok(()),
            () = tokio::time::sleep_until(idle), if self.actor.sandbox.is_live() => {
                self.actor.sandbox.rest();
                Ok(())
            }
            Some(ask) = self.actor.asks.recv() => self.answer(ask).await,
            Ok(()) = self.gaps.changed() => {
                self.gaps.mark_changed();
                Ok(())
            }
            Ok(()) = self.arrivals.changed(), if !held => {
                // The value is seen only before the journal is read.
                self.arrivals.mark_changed();
                Ok(())
            }
        }
    }

    /// Webhooks are missing or late: the tables that they bring are polled.
    fn gap(&mut self, why: &str) {
        let told = subscribable(&self.actor.describe, &self.tables);
        if self.agenda.gap(&told, Instant::now()) {
            tracing::info!(connection = %self.actor.name, why, "a gap in what was pushed: polled out of turn");
        }
    }

    fn meter(&mut self) {
        let requests = self.actor.sandbox.meter().requests();
        let more = requests - self.requests_seen;
        if more > 0 {
            self.requests_seen = requests;
            self.actor.meters.count(|counters| counters.requests += more);
        }
    }
}
