//! The parts that every concern of an actor shares: component, sink, store, counters, and the signal to stop.
//!
//! Failures are counted, logged and decided here, by [`crate::policy`]. Knows neither tables nor deliveries.

use std::time::Duration;

use tokio::time::Instant;

use super::{Observer, Stopped};
use crate::clock::{millis, random_unit};
use crate::error::{Error, Result};
use crate::loaded::OpenConnection;
use crate::metrics::{Difference, Meters};
use crate::policy::{self, Budget, Decision};
use crate::sinks::SinkHandle;
use crate::stop::Stop;

/// Time that a call under way gets after a stop, so that a session that it renewed is not lost.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// Difference of the clocks beyond which there is a warning. Events are cut to a minute after their arrival,
/// and a larger difference makes webhooks lose against reads.
const SKEW_MAX_MS: u64 = 30_000;

/// See the file's header.
pub(super) struct Core<'a> {
    pub(super) connection: OpenConnection,
    /// Commits must come in the order of the calls that produced them: [`super::poll::Poll::settle`] first.
    pub(super) sink: SinkHandle,
    /// Whether the sink compares rows, so that it counts those that a poll repaired.
    pub(super) compares: bool,
    pub(super) meters: Meters,
    pub(super) stop: Stop,
    /// Whether changes should come by webhook, so that a poll which brings them repairs.
    pub(super) expects_webhooks: bool,
    /// For everything but reading tables.
    pub(super) budget: Budget,
    pub(super) observer: &'a mut dyn Observer,
    /// Requests that are in the counters.
    pub(super) requests_counted: u64,
    /// Whether the log says that the source's clock differs.
    pub(super) warned_of_skew: bool,
}

impl Core<'_> {
    /// Decides after the `attempt`-th failure in a row; `what` names the call in the log.
    pub(super) fn decide(&self, what: &str, error: Error, attempt: u32, budget: &Budget) -> Decision {
        self.meters.failed(&error);
        let (kind, origin, message) = (error.kind, error.origin, error.message.clone());
        let decision = policy::decide(error, attempt, budget, random_unit());
        let wait_ms = match &decision {
            Decision::Retry(wait) => millis(*wait),
            Decision::GiveUp(_) | Decision::Stop(_) => 0,
        };
        // The report of a run ends with its failures; a server has its log alone.
        let connection = &self.connection.name;
        if budget.gives_up {
            tracing::info!(%connection, what, %kind, %origin, attempt, error = %message, wait_ms, "failed");
        } else {
            tracing::warn!(%connection, what, %kind, %origin, attempt, error = %message, wait_ms, "failed");
        }
        decision
    }

    /// How long to wait after such a failure; stops the actor if the connection is concerned.
    pub(super) fn backoff(&mut self, what: &str, error: Error, attempt: u32) -> Result<Duration, Stopped> {
        let message = error.message.clone();
        match self.decide(what, error, attempt, &self.budget) {
            Decision::Retry(wait) => {
                self.observer.waiting(what, wait, &message);
                Ok(wait)
            }
            Decision::GiveUp(error) | Decision::Stop(error) => Err(Stopped::Failed(error)),
        }
    }

    /// Lets the sink give back files and memory that it keeps for further commits. The future may be dropped.
    pub(super) fn rest_sink(&self) -> impl Future<Output = Result<()>> + Send + use<> {
        self.sink.run(|sink| {
            sink.rest();
            Ok(())
        })
    }

    /// Whether webhooks can bring the rows of a table.
    pub(super) fn has_webhooks(&self, table: &str) -> bool {
        let mut tables = self.connection.describe.tables.iter();
        tables.any(|info| info.name == table && info.capabilities.iter().any(|name| name == "webhook"))
    }

    /// Adds the requests since the last time to the counters.
    pub(super) fn count_requests(&mut self) {
        let requests = self.connection.sandbox.meter().requests();
        let more = requests - self.requests_counted;
        if more > 0 {
            self.requests_counted = requests;
            self.meters.count(|readings| readings.counters.source_requests.add([], more));
            self.compare_clocks();
        }
    }

    /// Warns once when the clocks of source and machine differ too much, until they agree again.
    fn compare_clocks(&mut self) {
        let Some(skew_ms) = self.connection.sandbox.meter().skew_ms() else { return };
        self.meters.count(|readings| {
            readings.gauges.source_clock_skew_seconds = Some(Difference(skew_ms));
        });
        let differs = skew_ms.unsigned_abs() > SKEW_MAX_MS;
        if differs && !self.warned_of_skew {
            tracing::warn!(
                connection = %self.connection.name, skew_ms,
                "the clocks of source and machine differ: changes may be ignored as older; set this clock"
            );
        }
        self.warned_of_skew = differs;
    }
}

/// Returns at a time; never if there is none.
pub(super) async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Waits for a call. After a stop it may finish within [`STOP_GRACE`], and its outcome is dropped.
pub(super) async fn until_stopped<T>(stop: &mut Stop, call: impl Future<Output = T>) -> Result<T, Stopped> {
    let mut call = std::pin::pin!(call);
    tokio::select! {
        outcome = &mut call => Ok(outcome),
        () = stop.requested() => {
            let _dropped = tokio::time::timeout(STOP_GRACE, call).await;
            Err(Stopped::Requested)
        }
    }
}
