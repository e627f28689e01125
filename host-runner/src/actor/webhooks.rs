//! Applies queued deliveries: take → translate → commit rows and position together → acknowledge.
//!
//! A delivery is settled once a committed position covers it; the journal may hold it for longer, and it is
//! not taken again. One that fails for a reason that may pass waits ([`super::waiting`]), and others pass it.
//! A batch that stops the component, or whose rows the sink cannot use, is taken again one by one, so that
//! only the delivery at fault becomes a dead letter.

mod failures;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;

use super::Stopped;
use super::batch_size::BatchSize;
use super::core::{Core, until_stopped};
use super::triage::{Taken, Triage};
use super::waiting::{RETRY_MAX, Waiting};
use crate::change::{Receipt, tally};
use crate::clock::now_ms;
use crate::delivery::Delivery;
use crate::error::{Error, Result};
use crate::inbox::{Consumer, Position, Stored, WAITING_MAX};
use crate::policy::{self, Scope};
use crate::sinks::{Commit, JournalState, Progress};

/// Bytes of one call; a single delivery may pass it.
const BYTES_MAX: usize = 4 << 20;
/// Time that a queue that is never empty takes before a table that is due gets a batch.
const QUEUE_TURN: Duration = Duration::from_secs(3);

/// The queue of a connection, and how far it is applied.
pub(super) struct Queue {
    consumer: Arc<dyn Consumer>,
    name: String,
    /// Changes with every delivery that is journaled.
    arrivals: watch::Receiver<u64>,
    /// Why deliveries were missed.
    missed: watch::Receiver<&'static str>,
    /// The journal is asked where to continue before the first delivery is taken.
    is_resumed: bool,
    /// Whether any delivery ever brought changes.
    has_received: bool,
    /// Every delivery through this one is in the sink, a dead letter, or waits.
    through: u64,
    waiting: Waiting,
    /// The tables that the sink knows, while none are discovered yet.
    known: Option<HashSet<String>>,
    /// Not read before, after a failure.
    due: Instant,
    /// Since when it was never empty.
    busy_since: Option<Instant>,
    batch_size: BatchSize,
    /// Calls in a row that failed as a whole.
    failures: u32,
    /// Returns the deliveries if it failed.
    acknowledging: Option<JoinHandle<Vec<u64>>>,
    /// Deliveries whose acknowledgment failed, and when it is repeated.
    unacknowledged: Option<(Instant, Vec<u64>)>,
}

/// Deliveries that were handed to the component, and its answers.
pub(super) struct Received {
    taken: Vec<Taken>,
    called_at_ms: u64,
    answers: Result<Vec<Result<Receipt>>>,
}

impl Queue {
    /// The queue of a connection; nothing of it is applied yet.
    pub(super) fn new(consumer: Arc<dyn Consumer>, name: &str, now: Instant) -> Self {
        Self {
            arrivals: consumer.arrivals(),
            missed: consumer.missed(),
            consumer,
            name: name.to_owned(),
            is_resumed: false,
            has_received: false,
            through: 0,
            waiting: Waiting::default(),
            known: None,
            due: now,
            busy_since: None,
            batch_size: BatchSize::default(),
            failures: 0,
            acknowledging: None,
            unacknowledged: None,
        }
    }

    /// Continues at the position that the sink has stored; once.
    pub(super) async fn resume(&mut self, journal: Option<JournalState>) -> Result<()> {
        if self.is_resumed {
            return Ok(());
        }
        self.has_received = journal.as_ref().is_some_and(|journal| journal.applied_at.is_some());
        let stored = journal.map(|journal| journal.position);
        let consumer = Arc::clone(&self.consumer);
        let resumed = blocking(move || consumer.resume(stored.as_ref())).await?;
        let (connection, queued_again) = (&self.name, resumed.queued_again);
        if let Some(reason) = resumed.doubt {
            tracing::warn!(%connection, reason, queued_again, "every delivery is applied again");
        } else if queued_again > 0 {
            tracing::warn!(%connection, queued_again, "the sink is older than the journal: applied again");
        }
        self.through = resumed.position.through;
        self.waiting = Waiting::resumed(&resumed.position.waiting);
        self.is_resumed = true;
        Ok(())
    }

    /// Whether deliveries can be taken.
    pub(super) fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    /// Continues before the tables are discovered: deliveries for those that the sink knows are applied.
    pub(super) async fn resume_early(&mut self, core: &mut Core<'_>) -> Result<()> {
        if self.is_resumed {
            return Ok(());
        }
        let (tables, journal) =
            core.sink.run(|sink| Ok((sink.table_states()?, sink.journal_state()?))).await?;
        if tables.is_empty() {
            return Ok(());
        }
        self.known = Some(tables.into_iter().map(|state| state.table).collect());
        self.resume(journal).await
    }

    /// The tables are discovered: deliveries for all of them are applied.
    pub(super) fn discovered(&mut self) {
        self.known = None;
    }

    /// The consumer that it is read from.
    pub(super) fn consumer(&self) -> &Arc<dyn Consumer> {
        &self.consumer
    }

    /// Whether any delivery ever brought changes.
    pub(super) fn has_received(&self) -> bool {
        self.has_received
    }

    /// The source answered a call that has nothing to do with deliveries.
    pub(super) fn answered(&mut self) {
        self.waiting.answered();
    }

    /// Why deliveries were missed, once.
    pub(super) fn missed(&mut self) -> Option<&'static str> {
        self.missed.has_changed().unwrap_or(false).then(|| *self.missed.borrow_and_update())
    }

    /// When it is read, or acknowledged, again after a failure; none while it waits for deliveries.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        let read = Some(self.due).filter(|due| *due > now).or(self.waiting.due(now));
        let unacknowledged = self.unacknowledged.as_ref().map(|(due, _)| *due);
        read.into_iter().chain(unacknowledged).min()
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

    /// Returns when a delivery is journaled, or one was missed. May be canceled; nothing is lost by it.
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
        let stored = match self.take().await {
            Ok(stored) => stored,
            Err(error) => {
                self.back_off(core, error)?;
                return Ok(None);
            }
        };
        if stored.is_empty() {
            self.busy_since = None;
            // A person or its age may have taken one that waited out of the queue.
            let waiting = self.waiting.len() as u64;
            core.meters.count(|readings| readings.gauges.deliveries_waiting = waiting);
            return Ok(None);
        }
        self.busy_since.get_or_insert(Instant::now());
        let seq_and_time =
            |stored: &Stored| Taken { seq: stored.seq, received_at_ms: stored.delivery.received_at_ms };
        let taken: Vec<Taken> = stored.iter().map(seq_and_time).collect();
        let deliveries: Vec<Delivery> = stored.into_iter().map(|stored| stored.delivery).collect();
        let (called_at_ms, started) = (now_ms(), Instant::now());
        let call = core.connection.sandbox.receive(subscription, deliveries);
        let answers = until_stopped(&mut core.stop, call).await?;
        if let Ok(answers) = &answers {
            self.batch_size.called(taken.len(), started.elapsed());
            core.meters.count(|readings| {
                answers.iter().flatten().for_each(|receipt| readings.spent(&receipt.attributes));
            });
        }
        Ok(Some(Received { taken, called_at_ms, answers }))
    }

    /// The next deliveries in their order: from one that waits and is due, or new ones.
    async fn take(&mut self) -> Result<Vec<Stored>> {
        loop {
            let retried = self.waiting.next(Instant::now());
            let after = retried.map_or(self.through, |seq| seq - 1);
            let is_single = self.failures > 0 || (retried.is_some() && self.waiting.is_probing());
            let count = if is_single { 1 } else { self.batch_size.after(after) };
            let consumer = Arc::clone(&self.consumer);
            let mut stored = blocking(move || consumer.next(after, count, BYTES_MAX)).await?;
            // Those that are committed and not acknowledged yet are not taken again.
            stored.retain(|stored| stored.seq > self.through || self.waiting.contains(stored.seq));
            match retried {
                // A person or its age took it out of the queue.
                Some(seq) if stored.first().is_none_or(|first| first.seq != seq) => {
                    self.waiting.settled(seq);
                }
                _ => return Ok(stored),
            }
        }
    }

    /// Stores the rows of received deliveries; other commits are settled. True if webhooks are late.
    pub(super) async fn store(&mut self, core: &mut Core<'_>, received: Received) -> Result<bool, Stopped> {
        let Received { taken, called_at_ms, answers } = received;
        let outcome = match answers {
            Ok(answers) => {
                let has_place = |table: &str| self.known.as_ref().is_none_or(|known| known.contains(table));
                let triage = Triage::of(taken.iter().copied().zip(answers), has_place);
                self.commit(core, triage, &taken, called_at_ms).await
            }
            Err(error) => Err(error),
        };
        match outcome {
            Ok(retried) => {
                self.failures = 0;
                self.retry(core, retried).await
            }
            Err(error) => self.failed_as_a_whole(core, &taken, error).await,
        }
    }

    /// Commits the outcome of triage; answers the deliveries that are to be retried.
    async fn commit(
        &mut self,
        core: &mut Core<'_>,
        triage: Triage,
        taken: &[Taken],
        called_at_ms: u64,
    ) -> Result<Vec<(u64, Error)>> {
        let Triage { changes, applied, ignored, dead, mut retried } = triage;
        // Before the position passes them: a crash in between keeps none of them twice.
        let dead_letters = dead.len() as u64;
        let mut settled = applied.clone();
        for (seq, cause, error) in dead {
            match self.give_up(core, seq, cause, &error).await {
                Ok(()) => settled.push(seq),
                Err(error) if policy::of(&error).scope == Scope::Call => retried.push((seq, error)),
                Err(error) => return Err(error),
            }
        }
        let through = taken.iter().map(|taken| taken.seq).max().unwrap_or(0).max(self.through);
        if !settled.is_empty() {
            let position = self.position(through, &settled, retried.iter().map(|(seq, _)| *seq));
            let (by_table, deliveries) = (tally(&changes), applied.len() as u64);
            // Rejected and ignored ones do not show that webhooks bring rows.
            let brings_changes = !changes.is_empty();
            let (named, epoch) = (self.consumer.named(&position), core.connection.store.epoch());
            let commit = core.sink.run(move |sink| {
                let progress = Progress::Journal(&named);
                let commit = Commit { changes: &changes, progress, as_of_ms: called_at_ms, epoch };
                sink.commit(&commit)
            });
            let counts = commit.await?;
            tracing::debug!(
                connection = %self.name, deliveries, dead_letters, rows = counts.read, through, "received"
            );
            core.meters.count(|readings| {
                readings.counters.deliveries_applied.add([], deliveries);
                readings.counters.changes_stale.add([], counts.stale);
                if brings_changes {
                    readings.last_delivery_ms = now_ms();
                }
                ignored.iter().for_each(|event| readings.ignored(event));
                for ((table, source), changes) in &by_table {
                    readings.changed(table, *source, *changes);
                }
            });
            self.has_received |= brings_changes;
            for seq in &settled {
                self.waiting.settled(*seq);
            }
            self.settle().await;
            self.acknowledge(settled);
        }
        self.through = through;
        Ok(retried)
    }

    /// The position once these deliveries are settled, and these are to be retried. Of those that wait, as
    /// many as a sink stores: a million may.
    fn position(&self, through: u64, settled: &[u64], retried: impl Iterator<Item = u64>) -> Position {
        let settled: HashSet<u64> = settled.iter().copied().collect();
        let waiting = self.waiting.numbers().filter(|seq| !settled.contains(seq)).take(WAITING_MAX + 1);
        let mut waiting: BTreeSet<u64> = waiting.collect();
        waiting.extend(retried);
        Position { through, waiting }
    }

    /// Lets the journal take settled deliveries out of the queue, in the background.
    fn acknowledge(&mut self, mut settled: Vec<u64>) {
        let (consumer, name) = (Arc::clone(&self.consumer), self.name.clone());
        settled.extend(self.unacknowledged.take().into_iter().flat_map(|(_, earlier)| earlier));
        self.acknowledging = Some(spawn_blocking(move || {
            let Err(error) = consumer.acknowledge(&settled) else { return Vec::new() };
            tracing::warn!(connection = %name, %error, "acknowledged later");
            settled
        }));
    }

    /// Waits for the acknowledgment under way. One that failed is repeated: otherwise, with no delivery after
    /// it, deliveries that are in the sink would grow old in the queue and become dead letters.
    pub(super) async fn settle(&mut self) {
        if let Some(acknowledging) = self.acknowledging.take()
            && let Ok(failed) = acknowledging.await
            && !failed.is_empty()
        {
            self.unacknowledged = Some((Instant::now() + RETRY_MAX, failed));
        }
    }

    /// Repeats an acknowledgment that failed, once it is due.
    pub(super) fn acknowledge_again(&mut self, now: Instant) {
        if let Some((_, failed)) = self.unacknowledged.take_if(|(due, _)| *due <= now) {
            self.acknowledge(failed);
        }
    }
}

/// Runs work on the journal on a thread that may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|error| Err(Error::state(format!("journal: stopped: {error}"))))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use tokio::time::Instant;

    use super::{Position, QUEUE_TURN, Queue, RETRY_MAX, WAITING_MAX, Waiting};
    use crate::inbox::Inbox;
    use crate::inbox::conformance::{MemoryInbox, delivery};

    #[test]
    fn a_queue_that_is_never_empty_leaves_a_due_table_its_turn() {
        let now = Instant::now();
        let mut queue = Queue::new(Arc::new(MemoryInbox::default().of("acme")), "acme", now);
        queue.busy_since = Some(now);
        assert!(queue.is_due(now + QUEUE_TURN, true));
        let later = now + QUEUE_TURN * 2;
        assert!(queue.is_due(later, false), "no table is due");
        assert!(!queue.is_due(later, true));
        assert!(queue.is_due(later, true), "after one batch it is read again");
    }

    #[tokio::test(start_paused = true)]
    async fn an_acknowledgment_that_failed_is_repeated_without_another_delivery() {
        let inbox = MemoryInbox::default();
        let seq = inbox.append("acme", delivery("a")).await.expect("appended");
        let mut queue = Queue::new(Arc::new(inbox.of("acme")), "acme", Instant::now());
        inbox.set_failing(true);
        queue.acknowledge(vec![seq]);
        queue.settle().await;
        let due = queue.due(Instant::now()).expect("repeated");
        queue.acknowledge_again(due - RETRY_MAX / 2);
        queue.settle().await;
        assert_eq!((inbox.queued("acme"), queue.due(Instant::now())), (1, Some(due)));
        queue.acknowledge_again(due);
        queue.settle().await;
        assert!(queue.due(Instant::now()).is_some_and(|again| again >= due), "it failed again");
        inbox.set_failing(false);
        queue.acknowledge_again(Instant::now() + RETRY_MAX);
        queue.settle().await;
        assert_eq!((inbox.queued("acme"), queue.due(Instant::now())), (0, None));
    }

    #[tokio::test(start_paused = true)]
    async fn an_acknowledgment_after_one_that_failed_covers_both() {
        let inbox = MemoryInbox::default();
        let seqs = [inbox.append("acme", delivery("a")).await, inbox.append("acme", delivery("b")).await];
        let [first, second] = seqs.map(|seq| seq.expect("appended"));
        let mut queue = Queue::new(Arc::new(inbox.of("acme")), "acme", Instant::now());
        inbox.set_failing(true);
        queue.acknowledge(vec![first]);
        queue.settle().await;
        inbox.set_failing(false);
        queue.acknowledge(vec![second]);
        queue.settle().await;
        assert_eq!((inbox.queued("acme"), queue.due(Instant::now())), (0, None));
    }

    #[test]
    fn a_position_has_the_first_waiting_deliveries_that_are_not_settled() {
        let inbox = MemoryInbox::default();
        let mut queue = Queue::new(Arc::new(inbox.of("acme")), "acme", Instant::now());
        let all: BTreeSet<u64> = (1..=5_000).collect();
        queue.waiting = Waiting::resumed(&all);
        let position = queue.position(5_003, &[1, 4_000, 5_003], [5_001, 5_002].into_iter());
        assert_eq!(position.waiting.len(), WAITING_MAX + 3);
        let waiting = all.into_iter().chain([5_001, 5_002]).filter(|seq| ![1, 4_000].contains(seq));
        let whole = Position { through: 5_003, waiting: waiting.collect() };
        assert_eq!(queue.consumer.named(&position), queue.consumer.named(&whole));
    }
}
