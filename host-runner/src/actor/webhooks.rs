//! Applies queued deliveries: take → translate → commit rows and sequence number together → acknowledge.
//!
//! A delivery is settled once its sequence number is committed; the journal may hold it for longer, and it is not
//! taken again. A batch that stops the component, or whose rows the sink cannot use, is taken again one by one,
//! so that only the delivery at fault becomes a dead letter.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;

use super::Stopped;
use super::core::{Core, until_stopped};
use super::head_of_line::{HeadOfLine, Next};
use super::triage::Triage;
use crate::change::{Receipt, tally};
use crate::clock::now_ms;
use crate::delivery::Delivery;
use crate::error::{Error, Result};
use crate::journal::{Cause, Failure, Journal, Stored};
use crate::limits::TRAP_ATTEMPTS_MAX;
use crate::policy::{self, Batch, Disposition};
use crate::sinks::{Commit, Progress};

/// Deliveries of the first call: a record that must be refetched costs one request each.
const COUNT_FIRST: usize = 32;
/// Most deliveries of one call, when the component is quick.
const COUNT_MAX: usize = 512;
/// Bytes of one call; a single delivery may pass it.
const BYTES_MAX: usize = 4 << 20;
/// After a slower call the next one is smaller, so that the first delivery does not wait for the last.
const CALL_SLOW: Duration = Duration::from_millis(500);
/// After a quicker call the next one is larger.
const CALL_QUICK: Duration = Duration::from_millis(100);
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
    /// Deliveries of the next call.
    count: usize,
    /// Through this one, deliveries are taken one by one.
    singles_through: u64,
    /// Failures in a row.
    failures: u32,
    head: HeadOfLine,
    /// A delivery that may be a defect's cause, and its attempts.
    suspect: Option<(u64, u32)>,
    /// Failed attempts at the first delivery.
    attempts: Attempts,
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
            count: COUNT_FIRST,
            singles_through: 0,
            failures: 0,
            head: HeadOfLine::default(),
            suspect: None,
            attempts: Attempts::default(),
            acknowledging: None,
        }
    }

    /// The deliveries through `applied` are in the sink. A crash between a commit and its acknowledgment leaves
    /// them in the journal.
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
        let call = core.sandbox.receive(subscription, deliveries);
        let answers = until_stopped(&mut core.stop, call).await?;
        if let Ok(answers) = &answers {
            self.pace(started.elapsed(), seqs.len());
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
        let is_single = after < self.singles_through || self.head.is_blocked();
        let count = if is_single { 1 } else { self.count };
        blocking(move || journal.next(&name, after, count, BYTES_MAX)).await
    }

    /// Stores the rows of received deliveries; the actor's other commits are settled. True if webhooks are late.
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

    /// Commits what triage found; answers the delivery that blocks the queue.
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
            let progress = Progress::Journal { through };
            sink.commit(&Commit { changes: &changes, progress, as_of_ms: called_at_ms })
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
                tracing::info!(connection = %self.name, deliveries = seqs.len(), %error, "taken again one by one");
                core.meters.failed(&error);
                self.singles_through = *last;
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
        let cause = match disposition {
            // The component's own rejections are dead letters already: these are rows that the sink cannot store.
            Disposition::DeadLetter => Some(Cause::Unusable),
            Disposition::Suspect if self.is_suspect_exhausted(seq) => Some(Cause::Defect),
            _ => None,
        };
        if let Some(cause) = cause {
            self.dead_letter(core, seq, cause, error).await?;
            return Ok(false);
        }
        self.attempts.failed(seq, now_ms());
        let may_give_up = disposition == Disposition::RetryOrGiveUp;
        let next = self.head.failed(seq, may_give_up, Instant::now());
        if next == Next::GiveUp {
            self.dead_letter(core, seq, Cause::Alone, error).await?;
        } else {
            self.back_off(core, error)?;
        }
        Ok(next == Next::RetryAndPoll)
    }

    /// Counts a defect that one delivery may cause; true when its attempts are used up.
    fn is_suspect_exhausted(&mut self, seq: u64) -> bool {
        let attempts = match self.suspect {
            Some((suspect, attempts)) if suspect == seq => attempts + 1,
            _ => 1,
        };
        self.suspect = Some((seq, attempts));
        attempts >= TRAP_ATTEMPTS_MAX
    }

    /// Makes one delivery a dead letter and continues behind it.
    async fn dead_letter(
        &mut self,
        core: &mut Core<'_>,
        seq: u64,
        cause: Cause,
        error: Error,
    ) -> Result<(), Stopped> {
        match self.commit(core, Triage::dead_letter(seq, cause, error), now_ms()).await {
            Ok(_) => self.passed(core),
            Err(error) => self.back_off(core, error)?,
        }
        Ok(())
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
        let (attempts, first_failed_at_ms) = self.attempts.with_this_one(seq, now_ms());
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

    /// Fits the size of the next call to the time that this one took.
    fn pace(&mut self, took: Duration, count: usize) {
        if took > CALL_SLOW {
            self.count = (count / 2).max(1);
        } else if took < CALL_QUICK && count >= self.count {
            self.count = (self.count * 2).min(COUNT_MAX);
        }
    }
}

/// The failed attempts at one delivery, for the record of a dead letter.
#[derive(Debug, Default)]
struct Attempts {
    seq: u64,
    count: u32,
    first_failed_at_ms: u64,
}

impl Attempts {
    /// An attempt failed, and another one follows.
    fn failed(&mut self, seq: u64, now_ms: u64) {
        let (count, first_failed_at_ms) = self.with_this_one(seq, now_ms);
        *self = Self { seq, count, first_failed_at_ms };
    }

    /// How many attempts failed, this one included, and when the first did.
    fn with_this_one(&self, seq: u64, now_ms: u64) -> (u32, u64) {
        if self.seq == seq { (self.count.saturating_add(1), self.first_failed_at_ms) } else { (1, now_ms) }
    }
}

/// Runs work on the journal on a thread that may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|error| Err(Error::state(format!("journal: stopped: {error}"))))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Attempts, COUNT_FIRST, COUNT_MAX, QUEUE_TURN, Queue};
    use crate::journal::{Journal, JournalLimits};

    /// A queue over an empty journal.
    fn queue(now: Instant) -> (tempfile::TempDir, Queue) {
        let folder = tempfile::tempdir().expect("a folder");
        let journal = Journal::open(folder.path().join("journal.db"), JournalLimits::default());
        let queue = Queue::new(journal.expect("a journal").0, "acme", now);
        (folder, queue)
    }

    #[test]
    fn calls_grow_while_they_are_quick_and_shrink_when_they_are_slow() {
        let (_folder, mut queue) = queue(Instant::now());
        queue.pace(Duration::from_millis(1), 1);
        assert_eq!(queue.count, COUNT_FIRST, "a small batch says nothing");
        for _ in 0..20 {
            queue.pace(Duration::from_millis(1), queue.count);
        }
        assert_eq!(queue.count, COUNT_MAX);
        for _ in 0..20 {
            queue.pace(Duration::from_secs(2), queue.count);
        }
        assert_eq!(queue.count, 1);
    }

    #[test]
    fn attempts_count_the_failures_of_one_delivery_since_its_first() {
        let mut attempts = Attempts::default();
        assert_eq!(attempts.with_this_one(7, 100), (1, 100));
        attempts.failed(7, 100);
        attempts.failed(7, 200);
        assert_eq!(attempts.with_this_one(7, 300), (3, 100));
        assert_eq!(attempts.with_this_one(8, 300), (1, 300));
    }

    #[test]
    fn a_suspect_delivery_has_three_attempts_in_a_row() {
        let (_folder, mut queue) = queue(Instant::now());
        assert_eq!(
            [7, 7, 8, 7, 7, 7].map(|seq| queue.is_suspect_exhausted(seq)),
            [false, false, false, false, false, true]
        );
    }

    #[test]
    fn a_queue_that_is_never_empty_leaves_a_due_table_its_turn() {
        let now = Instant::now();
        let (_folder, mut queue) = queue(now);
        queue.busy_since = Some(now);
        assert!(queue.is_due(now + QUEUE_TURN, true));
        let later = now + QUEUE_TURN * 2;
        assert!(queue.is_due(later, false), "no table is due");
        assert!(!queue.is_due(later, true));
        assert!(queue.is_due(later, true), "after one batch it is read again");
    }
}
