//! From the journal into the target: take → translate → store rows and position together → acknowledge.
//!
//! A delivery is dealt with once its position is committed; those at or below it are never looked at again,
//! whatever the journal still holds. A batch that stops the component, or whose rows the target cannot use,
//! is taken again one by one, so that the one at fault is found and becomes a dead letter.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;

use super::harvest::Harvest;
use super::hold::{Hold, Next};
use super::{End, Work, until_stopped};
use crate::change::{Change, ChangeSource};
use crate::clock::now_ms;
use crate::error::{Error, Kind, Origin, Result};
use crate::journal::{Delivery, Journal, Stored};
use crate::limits::TRAP_ATTEMPTS_MAX;
use crate::sinks::{Commit, Counts, JOURNAL};

/// Deliveries handed over in one call, at first: a record that must be read again costs a request each.
const COUNT_FIRST: usize = 32;
/// Most of them, when the component is quick with them.
const COUNT_MAX: usize = 512;
/// Bytes handed over in one call; a single delivery may pass it.
const BYTES_MAX: usize = 4 << 20;
/// A call that takes longer is given less next time, so that the first of a batch does not wait for the last.
const CALL_SLOW: Duration = Duration::from_millis(500);
/// A call that takes less is given more.
const CALL_QUICK: Duration = Duration::from_millis(100);

/// Where receiving stands.
pub(super) struct Receiving {
    /// Every delivery through this one is in the target.
    position: u64,
    /// When to look at the journal again after a failure.
    pub(super) due: Instant,
    /// Since when there has been something at every look.
    pub(super) busy_since: Option<Instant>,
    /// Deliveries of one call.
    count: usize,
    /// Through which they are taken one by one.
    singles_through: u64,
    /// Failures in a row.
    failures: u32,
    /// The delivery that fails for now.
    pub(super) hold: Hold,
    /// A delivery that failed by a defect, and how often.
    suspect: Option<(u64, u32)>,
    /// The acknowledgement under way.
    acknowledging: Option<JoinHandle<()>>,
}

impl Receiving {
    pub(super) fn new(position: u64, now: Instant) -> Self {
        Self {
            position,
            due: now,
            busy_since: None,
            count: COUNT_FIRST,
            singles_through: 0,
            failures: 0,
            hold: Hold::default(),
            suspect: None,
            acknowledging: None,
        }
    }

    /// Whether anything was ever received.
    pub(super) fn has_received(&self) -> bool {
        self.position > 0
    }

    /// Lets the journal forget what is in the target; nobody waits for it.
    pub(super) fn acknowledge(&mut self, journal: &Journal, name: &str) {
        if self.position == 0 {
            return;
        }
        let (journal, name, through) = (journal.clone(), name.to_owned(), self.position);
        self.acknowledging = Some(spawn_blocking(move || {
            if let Err(error) = journal.acknowledge(&name, through) {
                tracing::warn!(connection = %name, %error, "acknowledged later");
            }
        }));
    }

    /// Waits for the acknowledgement under way.
    pub(super) async fn settle(&mut self) {
        if let Some(acknowledging) = self.acknowledging.take() {
            let _panicked = acknowledging.await;
        }
    }

    /// Fits the size of the next call to how long this one took.
    fn pace(&mut self, took: Duration, count: usize) {
        if took > CALL_SLOW {
            self.count = (count / 2).max(1);
        } else if took < CALL_QUICK && count >= self.count {
            self.count = (self.count * 2).min(COUNT_MAX);
        }
    }

    /// Counts a defect that one delivery shows; true when it has had its chances.
    fn suspects(&mut self, seq: u64) -> bool {
        let times = match self.suspect {
            Some((suspect, times)) if suspect == seq => times + 1,
            _ => 1,
        };
        self.suspect = Some((seq, times));
        times >= TRAP_ATTEMPTS_MAX
    }
}

/// Whether a failure may be the doing of the deliveries handed over.
fn is_their_doing(error: &Error) -> bool {
    match error.origin {
        // Traps, time-outs, memory; a host that was refused is a matter of the connection file.
        Origin::Sandbox => error.kind != Kind::Permission,
        Origin::Component => matches!(error.kind, Kind::Internal | Kind::Data),
        _ => false,
    }
}

/// Whether a failure may concern some of several deliveries and not the others.
fn concerns_some(error: &Error) -> bool {
    // Dead letters that are full hold only what would become one.
    is_their_doing(error) || (error.origin, error.kind) == (Origin::State, Kind::Unavailable)
}

impl Work {
    /// Takes what arrived; false if there is nothing.
    pub(super) async fn receive(&mut self) -> Result<bool, End> {
        let stored = self.take().await?;
        if stored.is_empty() {
            return Ok(false);
        }
        let seqs: Vec<u64> = stored.iter().map(|stored| stored.seq).collect();
        let deliveries: Vec<Delivery> = stored.into_iter().map(|stored| stored.delivery).collect();
        let called_at_ms = now_ms();
        let started = Instant::now();
        let call = self.actor.sandbox.receive(self.subscribing.subscription.clone(), deliveries);
        let outcome = until_stopped(&mut self.actor.stop, call).await?;
        let outcome = match outcome {
            Ok(answers) => {
                self.receiving.pace(started.elapsed(), seqs.len());
                self.actor.meters.count(|counters| {
                    let receipts = answers.iter().flatten();
                    receipts.for_each(|receipt| counters.spent(&receipt.attributes));
                });
                self.store(Harvest::of(seqs.iter().copied().zip(answers)), called_at_ms).await
            }
            Err(error) => Err(error),
        };
        match outcome {
            Ok(None) => self.goes_on(),
            Ok(Some((seq, error))) => self.held(seq, error).await?,
            Err(error) => self.refused(&seqs, error).await?,
        }
        Ok(true)
    }

    /// The next deliveries in their order.
    async fn take(&mut self) -> Result<Vec<Stored>> {
        let (journal, name, after) =
            (self.actor.journal.clone(), self.actor.name.clone(), self.receiving.position);
        // What is behind a delivery that fails need not be translated in vain each time.
        let is_single = after < self.receiving.singles_through || self.receiving.hold.is_held();
        let count = if is_single { 1 } else { self.receiving.count };
        blocking(move || journal.next(&name, after, count, BYTES_MAX)).await
    }

    /// Stores what was harvested; answers what holds the rest up.
    async fn store(&mut self, harvest: Harvest, called_at_ms: u64) -> Result<Option<(u64, Error)>> {
        // Buried before the position moves past them: a crash in between buries nothing twice.
        let buried = harvest.buried.len() as u64;
        for (seq, error) in harvest.buried {
            self.bury(seq, error).await?;
        }
        let Some(through) = harvest.through else { return Ok(harvest.held) };
        let by_table = tally(&harvest.changes);
        let changes = harvest.changes;
        let work = self.target.work(move |sink| {
            sink.commit(&Commit {
                table: JOURNAL,
                changes: &changes,
                cursor: Some(&through.to_string()),
                generation: None,
                as_of_ms: called_at_ms,
            })
        });
        let counts: Counts = work.await?;
        tracing::debug!(connection = %self.actor.name, deliveries = harvest.applied, buried, rows = counts.read, through, "received");
        self.actor.meters.count(|counters| {
            counters.applied += harvest.applied;
            counters.delivered_ms = now_ms();
            harvest.ignored.iter().for_each(|event| counters.ignored(event));
            for ((table, source), changes) in &by_table {
                counters.changed(table, *source, *changes);
            }
        });
        self.receiving.settle().await;
        self.receiving.position = through;
        self.receiving.acknowledge(&self.actor.journal, &self.actor.name);
        Ok(harvest.held)
    }

    /// One delivery must wait, and those after it: by its own defect for a while only.
    async fn held(&mut self, seq: u64, error: Error) -> Result<(), End> {
        if is_their_doing(&error) && self.receiving.suspects(seq) {
            return self.give_up(seq, error).await;
        }
        self.wait_for(seq, error).await
    }

    /// Nothing of a batch could be used: one by one finds out which is at fault.
    async fn refused(&mut self, seqs: &[u64], error: Error) -> Result<(), End> {
        let (Some(first), Some(last)) = (seqs.first(), seqs.last()) else { return Ok(()) };
        if seqs.len() > 1 && concerns_some(&error) {
            tracing::info!(connection = %self.actor.name, deliveries = seqs.len(), %error, "taken again one by one");
            self.actor.meters.failed(&error);
            self.receiving.singles_through = *last;
            return Ok(());
        }
        // Rows that the target cannot use stay so; a trap may have been bad luck.
        if is_their_doing(&error) && (error.kind == Kind::Data || self.receiving.suspects(*first)) {
            return self.give_up(*first, error).await;
        }
        self.wait_for(*first, error).await
    }

    /// The delivery at the head failed for now: waits, polls meanwhile, or gives it up.
    async fn wait_for(&mut self, seq: u64, error: Error) -> Result<(), End> {
        // The sandbox's own failures are counted as defects; a quota is everybody's.
        let may_give_up = (error.origin, error.kind) == (Origin::Component, Kind::Unavailable);
        match self.receiving.hold.failed(seq, may_give_up, Instant::now()) {
            Next::Wait => {}
            Next::WaitAndPoll => self.gap("webhooks are late: the oldest delivery cannot be dealt with"),
            Next::GiveUp(attempts) => {
                let why = format!("{attempts} attempts failed while the source answered other calls");
                return self.give_up(seq, error.about(why)).await;
            }
        }
        self.back_off(&error)
    }

    /// Makes one delivery a dead letter and moves on.
    async fn give_up(&mut self, seq: u64, error: Error) -> Result<(), End> {
        let harvest = Harvest { buried: vec![(seq, error)], through: Some(seq), ..Harvest::default() };
        match self.store(harvest, now_ms()).await {
            Ok(_) => self.goes_on(),
            Err(error) => self.back_off(&error)?,
        }
        Ok(())
    }

    fn goes_on(&mut self) {
        self.receiving.failures = 0;
        self.receiving.hold.release();
        self.actor.meters.count(|counters| counters.is_held = false);
    }

    fn back_off(&mut self, error: &Error) -> Result<(), End> {
        self.receiving.failures += 1;
        self.actor.meters.count(|counters| counters.is_held = true);
        let wait = self.actor.failed("receive", error, self.receiving.failures)?;
        self.receiving.due = Instant::now() + wait;
        Ok(())
    }

    async fn bury(&mut self, seq: u64, error: Error) -> Result<()> {
        let (journal, name) = (self.actor.journal.clone(), self.actor.name.clone());
        let reason = match &error.hint {
            Some(hint) => format!("{}; {hint}", error.message),
            None => error.message.clone(),
        };
        let kind = error.kind.to_string();
        let let_go = blocking(move || journal.bury(&name, seq, &kind, &reason)).await?;
        tracing::warn!(connection = %self.actor.name, seq, kind = %error.kind, %error, "dead letter");
        self.actor.meters.failed(&error);
        self.actor.meters.count(|counters| {
            counters.buried += 1;
            counters.let_go += let_go as u64;
        });
        Ok(())
    }
}

/// Changes by table and source.
pub(super) fn tally(changes: &[Change]) -> BTreeMap<(String, ChangeSource), u64> {
    let mut tally = BTreeMap::new();
    for change in changes {
        *tally.entry((change.table.clone(), change.source)).or_default() += 1;
    }
    tally
}

/// Waits for the disk on a thread that may.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|error| Err(Error::state(format!("journal: stopped: {error}"))))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{COUNT_FIRST, COUNT_MAX, Receiving, is_their_doing};
    use crate::error::{Error, Kind, Origin};

    #[test]
    fn calls_grow_while_they_are_quick_and_shrink_when_they_are_slow() {
        let mut receiving = Receiving::new(0, Instant::now());
        receiving.pace(Duration::from_millis(1), 1);
        assert_eq!(receiving.count, COUNT_FIRST, "a small batch says nothing");
        for _ in 0..20 {
            receiving.pace(Duration::from_millis(1), receiving.count);
        }
        assert_eq!(receiving.count, COUNT_MAX);
        for _ in 0..20 {
            receiving.pace(Duration::from_secs(2), receiving.count);
        }
        assert_eq!(receiving.count, 1);
    }

    #[test]
    fn a_delivery_is_given_up_after_some_defects_of_its_own() {
        let mut receiving = Receiving::new(0, Instant::now());
        assert_eq!(
            [7, 7, 8, 7, 7, 7].map(|seq| receiving.suspects(seq)),
            [false, false, false, false, false, true]
        );
    }

    #[test]
    fn a_trap_is_the_doing_of_deliveries_and_an_outage_is_not() {
        assert!(is_their_doing(&Error::sandbox(Kind::Internal, "trap")));
        assert!(is_their_doing(&Error::sandbox(Kind::Unavailable, "no answer within 120 s")));
        assert!(is_their_doing(&Error::data("its document is not JSON")));
        assert!(!is_their_doing(&Error::sandbox(Kind::Permission, "egress")));
        assert!(!is_their_doing(&Error::new(Origin::Component, Kind::Unavailable, "503")));
        assert!(!is_their_doing(&Error::sink("disk full")));
    }
}
