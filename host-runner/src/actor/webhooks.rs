//! Applies queued deliveries: take → translate → commit rows and sequence number together → acknowledge.
//!
//! A delivery is settled once its sequence number is committed; the journal may hold it for longer, and it is
//! not taken again. A batch that stops the component, or whose rows the sink cannot use, is taken again one
//! by one, so that only the delivery at fault becomes a dead letter.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;

use super::Stopped;
use super::batch_size::BatchSize;
use super::core::{Core, until_stopped};
use super::head_of_line::{HeadOfLine, Next};
use super::triage::Triage;
use crate::change::{Receipt, tally};
use crate::clock::now_ms;
use crate::delivery::Delivery;
use crate::error::{Error, Result};
use crate::journal::{Cause, Failure, Journal, Stored};
use crate::policy::{self, Batch, Disposition};
use crate::sinks::{Commit, InboxPosition, Progress};

/// Bytes of one call; a single delivery may pass it.
const BYTES_MAX: usize = 4 << 20;
/// Time that a queue that is never empty takes before a table that is due gets a batch.
const QUEUE_TURN: Duration = Duration::from_secs(3);

/// The queue of a connection, and how far it is applied.
pub(super) struct Queue {
    journal: Journal,
    name: String,
    /// Changes with every delivery that is journaled.
    arrivals: watch::Receiver<u64>,
    /// Why deliveries were missed.
    missed: watch::Receiver<&'static str>,
    /// Every delivery through this one is in the sink.
    applied: u64,
    /// Not read before, after a failure.
    due: Instant,
    /// Since when it was never empty.
    busy_since: Option<Instant>,
    batch_size: BatchSize,
    /// Failures in a row.
    failures: u32,
    head: HeadOfLine,
    acknowledging: Option<JoinHandle<()>>,
}

/// Deliveries that were handed to the component, and its answers.
pub(super) struct Received {
    seqs: Vec<u64>,
    called_at_ms: u64,
    answers: Result<Vec<Result<Receipt>>>,
}

impl Queue {
    /// The queue of a connection; nothing of it is applied yet.
    pub(super) fn new(journal: Journal, name: &str, now: Instant) -> Self {
        Self {
            arrivals: journal.arrivals(name),
            missed: journal.missed_deliveries().subscribe(name),
            journal,
            name: name.to_owned(),
            applied: 0,
            due: now,
            busy_since: None,
            batch_size: BatchSize::default(),
            failures: 0,
            head: HeadOfLine::default(),
            acknowledging: None,
        }
    }

    /// The deliveries through `applied` are in the sink. A crash between a commit and its acknowledgment
    /// leaves them in the journal.
    pub(super) fn resume(&mut self, applied: u64) {
        if self.applied == 0 {
            self.applied = applied;
            self.acknowledge();
        }
    }

    /// The journal that it is read from.
    pub(super) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Whether any delivery was ever applied.
    pub(super) fn has_received(&self) -> bool {
        self.applied > 0
    }

    /// The source answered a call that has nothing to do with deliveries.
    pub(super) fn answered(&mut self) {
        self.head.answered();
    }

    /// Why deliveries were missed, once.
    pub(super) fn missed(&mut self) -> Option<&'static str> {
        self.missed.has_changed().unwrap_or(false).then(|| *self.missed.borrow_and_update())
    }

    /// When it is read again after a failure; none while it waits for deliveries.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        Some(self.due).filter(|due| *due > now)
    }

    /// Whether it is read now. A queue that is never empty leaves a table that is due its turn.
    pub(super) fn is_due(&mut self, now: Instant, is_table_due: bool) -> bool {
        let has_had_its_turn = self.busy_since.is_some_and(|since| now - since > QUEUE_TURN);
        let is_due = self.due <= now && !(has_had_its_turn && is_table_due);
        if !is_due {
            self.busy_since = None;
        }
        is_due
    }

    /// Returns when a delivery is journaled, or one was missed. May be cancelled; nothing is lost by it.
    pub(super) async fn changed(&mut self) {
        let waits = self.due > Instant::now();
        tokio::select! {
            Ok(()) = self.missed.changed() => self.missed.mark_changed(),
            // The value counts as seen just before the journal is read.
            Ok(()) = self.arrivals.changed(), if !waits => self.arrivals.mark_changed(),
            else => std::future::pending().await,
        }
    }

    /// Hands the next deliveries to the component; none if the queue is empty.
    pub(super) async fn receive(
        &mut self,
        core: &mut Core<'_>,
        subscription: Option<String>,
    ) -> Result<Option<Received>, Stopped> {
        // Seen before reading, so that a delivery that is journaled meanwhile wakes the actor.
        self.arrivals.borrow_and_update();
        let stored = self.take().await?;
        if stored.is_empty() {
            self.busy_since = None;
            return Ok(None);
        }
        self.busy_since.get_or_insert(Instant::now());
        let seqs: Vec<u64> = stored.iter().map(|stored| stored.seq).collect();
        let deliveries: Vec<Delivery> = stored.into_iter().map(|stored| stored.delivery).collect();
        let (called_at_ms, started) = (now_ms(), Instant::now());
        let call = core.connection.sandbox.receive(subscription, deliveries);
        let answers = until_stopped(&mut core.stop, call).await?;
        if let Ok(answers) = &answers {
            self.batch_size.called(seqs.len(), started.elapsed());
            core.meters.count(|readings| {
                answers.iter().flatten().for_each(|receipt| readings.spent(&receipt.attributes));
            });
        }
        Ok(Some(Received { seqs, called_at_ms, answers }))
    }

    /// The next deliveries in their order.
    async fn take(&self) -> Result<Vec<Stored>> {
        let (journal, name, after) = (self.journal.clone(), self.name.clone(), self.applied);
        // Those behind a delivery that fails would be translated in vain each time.
        let count = if self.head.is_blocked() { 1 } else { self.batch_size.after(after) };
        blocking(move || journal.next(&name, after, count, BYTES_MAX)).await
    }

    /// Stores the rows of received deliveries; other commits are settled. True if webhooks are late.
    pub(super) async fn store(&mut self, core: &mut Core<'_>, received: Received) -> Result<bool, Stopped> {
        let Received { seqs, called_at_ms, answers } = received;
        let outcome = match answers {
            Ok(answers) => {
                let triage = Triage::of(seqs.iter().copied().zip(answers));
                self.commit(core, triage, called_at_ms).await
            }
            Err(error) => Err(error),
        };
        match outcome {
            Ok(None) => self.passed(core),
            Ok(Some((seq, error))) => {
                let disposition = policy::of(&error).delivery;
                return self.dispose(core, seq, error, disposition).await;
            }
            Err(error) => return self.failed_as_a_whole(core, &seqs, error).await,
        }
        Ok(false)
    }

    /// Commits the outcome of triage; answers the delivery that blocks the queue.
    async fn commit(
        &mut self,
        core: &mut Core<'_>,
        triage: Triage,
        called_at_ms: u64,
    ) -> Result<Option<(u64, Error)>> {
        // Before the sequence number passes them: a crash in between keeps none of them twice.
        let dead = triage.dead.len() as u64;
        for (seq, cause, error) in triage.dead {
            self.give_up(core, seq, cause, error).await?;
        }
        let Some(through) = triage.through else { return Ok(triage.blocked) };
        let by_table = tally(&triage.changes);
        let changes = triage.changes;
        let commit = core.sink.run(move |sink| {
            let position = InboxPosition { journal: String::new(), through };
            let progress = Progress::Journal(&position);
            let commit = Commit { changes: &changes, progress, as_of_ms: called_at_ms, epoch: 0 };
            sink.commit(&commit)
        });
        let counts = commit.await?;
        let (deliveries, rows) = (triage.applied, counts.read);
        tracing::debug!(connection = %self.name, deliveries, dead, rows, through, "received");
        core.meters.count(|readings| {
            readings.counters.deliveries_applied.add([], triage.applied);
            readings.last_delivery_ms = now_ms();
            triage.ignored.iter().for_each(|event| readings.ignored(event));
            for ((table, source), changes) in &by_table {
                readings.changed(table, *source, *changes);
            }
        });
        self.settle().await;
        self.applied = through;
        self.acknowledge();
        Ok(triage.blocked)
    }

    /// A call, or the commit of its rows, failed for all of its deliveries.
    async fn failed_as_a_whole(
        &mut self,
        core: &mut Core<'_>,
        seqs: &[u64],
        error: Error,
    ) -> Result<bool, Stopped> {
        let (Some(first), Some(last)) = (seqs.first(), seqs.last()) else { return Ok(false) };
        let policy = policy::of(&error);
        match policy.batch {
            Batch::Whole => self.dispose(core, *first, error, Disposition::Retry).await,
            Batch::OneByOne if seqs.len() == 1 => self.dispose(core, *first, error, policy.delivery).await,
            Batch::OneByOne => {
                let (connection, deliveries) = (&self.name, seqs.len());
                tracing::info!(%connection, deliveries, %error, "taken again one by one");
                core.meters.failed(&error);
                self.batch_size.split(*last);
                Ok(false)
            }
        }
    }

    /// Does with a failed delivery as the policy says. True if webhooks are late.
    async fn dispose(
        &mut self,
        core: &mut Core<'_>,
        seq: u64,
        error: Error,
        disposition: Disposition,
    ) -> Result<bool, Stopped> {
        let next = self.head.failed(seq, disposition, Instant::now(), now_ms());
        let Next::GiveUp(cause) = next else {
            self.back_off(core, error)?;
            return Ok(next == Next::RetryAndPoll);
        };
        match self.commit(core, Triage::dead_letter(seq, cause, error), now_ms()).await {
            Ok(_) => self.passed(core),
            Err(error) => self.back_off(core, error)?,
        }
        Ok(false)
    }

    fn passed(&mut self, core: &Core<'_>) {
        self.failures = 0;
        self.head.release();
        core.meters.count(|readings| readings.queue_blocked = false);
    }

    fn back_off(&mut self, core: &mut Core<'_>, error: Error) -> Result<(), Stopped> {
        self.failures = self.failures.saturating_add(1);
        core.meters.count(|readings| readings.queue_blocked = true);
        let wait = core.backoff("receive", error, self.failures)?;
        self.due = Instant::now() + wait;
        Ok(())
    }

    async fn give_up(&self, core: &mut Core<'_>, seq: u64, cause: Cause, error: Error) -> Result<()> {
        let (journal, name) = (self.journal.clone(), self.name.clone());
        let (attempts, first_failed_at_ms) = self.head.attempts(seq, now_ms());
        let failure = Failure::of(cause, &error, attempts, first_failed_at_ms);
        let evicted = blocking(move || journal.give_up(&name, seq, failure)).await?;
        let (cause, kind) = (cause.name(), error.kind);
        tracing::warn!(connection = %self.name, seq, cause, %kind, attempts, %error, "dead letter");
        core.meters.failed(&error);
        core.meters.count(|readings| {
            readings.counters.deliveries_dead_lettered.add([], 1);
            readings.counters.dead_letters_evicted.add([], evicted as u64);
        });
        Ok(())
    }

    /// Lets the journal delete applied deliveries, in the background.
    fn acknowledge(&mut self) {
        if self.applied == 0 {
            return;
        }
        let (journal, name, through) = (self.journal.clone(), self.name.clone(), self.applied);
        self.acknowledging = Some(spawn_blocking(move || {
            if let Err(error) = journal.acknowledge(&name, through) {
                tracing::warn!(connection = %name, %error, "acknowledged later");
            }
        }));
    }

    /// Waits for the acknowledgment under way.
    pub(super) async fn settle(&mut self) {
        if let Some(acknowledging) = self.acknowledging.take() {
            let _panicked = acknowledging.await;
        }
    }
}

/// Runs work on the journal on a thread that may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|error| Err(Error::state(format!("journal: stopped: {error}"))))
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::{QUEUE_TURN, Queue};
    use crate::journal::{Journal, JournalLimits};

    #[test]
    fn a_queue_that_is_never_empty_leaves_a_due_table_its_turn() {
        let now = Instant::now();
        let folder = tempfile::tempdir().expect("a folder");
        let journal = Journal::open(folder.path().join("journal.db"), JournalLimits::default());
        let mut queue = Queue::new(journal.expect("a journal").0, "acme", now);
        queue.busy_since = Some(now);
        assert!(queue.is_due(now + QUEUE_TURN, true));
        let later = now + QUEUE_TURN * 2;
        assert!(queue.is_due(later, false), "no table is due");
        assert!(!queue.is_due(later, true));
        assert!(queue.is_due(later, true), "after one batch it is read again");
    }
}
