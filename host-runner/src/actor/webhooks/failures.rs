//! Deliveries that failed: retried, taken again one by one, or given up, as [`crate::policy`] says.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Queue, blocking};
use crate::actor::Stopped;
use crate::actor::core::Core;
use crate::actor::triage::Taken;
use crate::actor::waiting::{Next, RETRY_MAX};
use crate::clock::now_ms;
use crate::error::{Error, Result};
use crate::inbox::{Cause, Failure};
use crate::policy::{self, Batch, Disposition};

impl Queue {
    /// A call, or the commit of its rows, failed for all of its deliveries.
    pub(super) async fn failed_as_a_whole(
        &mut self,
        core: &mut Core<'_>,
        taken: &[Taken],
        error: Error,
    ) -> Result<bool, Stopped> {
        let (Some(first), Some(last)) = (taken.first(), taken.last()) else { return Ok(false) };
        let policy = policy::of(&error);
        let is_single = taken.len() == 1;
        match policy.batch {
            Batch::OneByOne if !is_single => {
                let (connection, deliveries) = (&self.name, taken.len());
                tracing::info!(%connection, deliveries, %error, "taken again one by one");
                core.meters.failed(&error);
                self.batch_size.split(last.seq);
                Ok(false)
            }
            Batch::OneByOne => self.retry_alone(core, first.seq, error).await,
            Batch::Whole => {
                let is_alone = is_single && policy.delivery == Disposition::RetryOrGiveUp;
                let (late, waits) = if is_alone {
                    self.through = self.through.max(first.seq);
                    self.attempted(core, vec![(first.seq, error.clone())]).await
                } else {
                    (false, None)
                };
                // Those that waited before, and the others of this call.
                let others = taken.iter().filter(|taken| !self.waiting.contains(taken.seq)).count();
                let waiting = (self.waiting.len() + others) as u64;
                core.meters.count(|readings| readings.gauges.deliveries_waiting = waiting);
                let is_waiting = waits.is_some();
                let wait = self.back_off(core, waits.unwrap_or(error))?;
                if is_waiting {
                    self.waiting.back_off(Instant::now(), wait);
                }
                Ok(late)
            }
        }
    }

    /// Every call fails the same way for now, or the journal cannot be read. How long it waits.
    pub(super) fn back_off(&mut self, core: &mut Core<'_>, error: Error) -> Result<Duration, Stopped> {
        self.failures = self.failures.saturating_add(1);
        let wait = core.backoff("receive", error, self.failures)?;
        self.due = Instant::now() + wait.min(RETRY_MAX);
        Ok(wait)
    }

    /// The only delivery of a call failed with it.
    async fn retry_alone(&mut self, core: &mut Core<'_>, seq: u64, error: Error) -> Result<bool, Stopped> {
        self.through = self.through.max(seq);
        self.retry(core, vec![(seq, error)]).await
    }

    /// Does with failed deliveries as the policy says. True if webhooks are late.
    pub(super) async fn retry(
        &mut self,
        core: &mut Core<'_>,
        failed: Vec<(u64, Error)>,
    ) -> Result<bool, Stopped> {
        let (is_late, first) = self.attempted(core, failed).await;
        core.meters.count(|readings| readings.gauges.deliveries_waiting = self.waiting.len() as u64);
        if let Some(error) = first {
            let wait = core.backoff("receive", error, self.waiting.attempt())?;
            self.waiting.back_off(Instant::now(), wait);
        }
        Ok(is_late)
    }

    /// Counts failed attempts, and gives deliveries up. Whether webhooks are late, and why the first of those
    /// that were not given up waits.
    async fn attempted(&mut self, core: &mut Core<'_>, failed: Vec<(u64, Error)>) -> (bool, Option<Error>) {
        let (mut is_late, mut first) = (false, None);
        for (seq, error) in failed {
            let disposition = policy::of(&error).delivery;
            match self.waiting.failed(seq, disposition, Instant::now(), now_ms()) {
                Next::GiveUp(cause) => match self.give_up(core, seq, cause, &error).await {
                    Ok(()) => {
                        self.waiting.settled(seq);
                        continue;
                    }
                    Err(error) => first = first.or(Some(error)),
                },
                next => {
                    is_late |= next == Next::RetryAndPoll;
                    first = first.or(Some(error));
                }
            }
        }
        (is_late, first)
    }

    pub(super) async fn give_up(
        &self,
        core: &mut Core<'_>,
        seq: u64,
        cause: Cause,
        error: &Error,
    ) -> Result<()> {
        let consumer = Arc::clone(&self.consumer);
        let (attempts, first_failed_at_ms) = self.waiting.attempts(seq, now_ms());
        let failure = Failure::of(cause, error, attempts, first_failed_at_ms);
        blocking(move || consumer.give_up(seq, failure)).await?;
        let (cause, kind) = (cause.name(), error.kind);
        if core.observer.gave_up(&format!("{cause} {}", error.message)) {
            tracing::warn!(connection = %self.name, seq, cause, %kind, attempts, %error, "dead letter");
        }
        core.meters.failed(error);
        Ok(())
    }
}
