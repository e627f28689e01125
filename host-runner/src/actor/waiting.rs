//! Deliveries that failed for a reason that may pass: counts their failed attempts, and decides when one is
//! attempted again and when it is given up. Pure: times are arguments.
//!
//! Others pass them. The sink orders the changes of a row by `as-of`, so the order of deliveries does not
//! matter, also of those of one record, which only the component knows. None may be forgotten.
//!
//! After a failure one of them at a time is attempted, in turn, with growing waits; once one passes, all are.
//! An outage ends by itself, and no delivery is given up for it. A delivery that fails several times, each
//! time after the source has answered another call, fails alone: it becomes a dead letter, and polling brings
//! its row.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::inbox::Cause;
use crate::limits::TRAP_ATTEMPTS_MAX;
use crate::policy::Disposition;

/// Failed attempts since each of which the source has answered another call. One or two may be bad luck.
const ALONE_MAX: u32 = 3;
/// Shortest time before a delivery is given up. Most faults of a source with one record pass within it;
/// webhooks are late by as much.
const WAITED_MIN: Duration = Duration::from_secs(10 * 60);
/// A delivery that waits for longer is late: the tables of webhooks are polled early.
const LATE: Duration = Duration::from_secs(60);
/// Longest wait between two attempts, even when the source asks for a longer one: one call shows whether a
/// quota has room again.
pub(super) const RETRY_MAX: Duration = Duration::from_secs(3 * 60);

/// What to do with a delivery that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Retry it after a backoff.
    Retry,
    /// The same, and poll: deliveries are late. Once until none waits.
    RetryAndPoll,
    /// Make it a dead letter.
    GiveUp(Cause),
}

/// See the file's header.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    deliveries: BTreeMap<u64, Option<Attempts>>,
    /// The delivery that was attempted last.
    last: u64,
    /// Attempts that failed since one passed.
    failures: u32,
    /// Not attempted before, after a failure.
    retry_at: Option<Instant>,
    /// Calls that the source answered and that have nothing to do with deliveries.
    answers: u64,
    is_late: bool,
}

/// Failed attempts at one delivery.
#[derive(Clone, Copy, Debug)]
struct Attempts {
    since: Instant,
    /// The same, in milliseconds since 1970.
    since_ms: u64,
    /// Attempts that failed and were retried.
    retried: u32,
    /// Failures for which the delivery may be to blame.
    suspect: u32,
    /// Failures since each of which the source has answered another call.
    alone: u32,
    /// [`Waiting::answers`] at the last attempt.
    answers: u64,
}

impl Waiting {
    /// Deliveries that waited when the actor ended; each is attempted now.
    pub(super) fn resumed(deliveries: &BTreeSet<u64>) -> Self {
        Self { deliveries: deliveries.iter().map(|seq| (*seq, None)).collect(), ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.deliveries.len()
    }

    pub(super) fn contains(&self, seq: u64) -> bool {
        self.deliveries.contains_key(&seq)
    }

    /// Their numbers, ascending.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.deliveries.keys().copied()
    }

    /// When one is attempted again; none if none waits or it is time.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        self.retry_at.filter(|at| *at > now && !self.deliveries.is_empty())
    }

    /// The delivery to attempt now, if it is time: the one after the last.
    pub(super) fn next(&self, now: Instant) -> Option<u64> {
        if self.due(now).is_some() {
            return None;
        }
        let after = self.deliveries.range(self.last.saturating_add(1)..).next();
        after.or(self.deliveries.first_key_value()).map(|(seq, _)| *seq)
    }

    /// Whether one at a time is attempted.
    pub(super) fn is_probing(&self) -> bool {
        self.failures > 0
    }

    /// Which failure in a row the next one is.
    pub(super) fn attempt(&self) -> u32 {
        self.failures.saturating_add(1)
    }

    /// The source answered another call of the connection.
    pub(super) fn answered(&mut self) {
        self.answers += 1;
    }

    /// A delivery is applied, a dead letter, or deleted. True if it waited: then the others are attempted.
    pub(super) fn settled(&mut self, seq: u64) -> bool {
        let has_waited = self.deliveries.remove(&seq).is_some();
        if has_waited {
            (self.failures, self.retry_at) = (0, None);
        }
        self.is_late &= !self.deliveries.is_empty();
        has_waited
    }

    /// The next attempt is made after `wait`. An attempt that is planned is not put off, so that deliveries
    /// that arrive and fail do not keep others waiting.
    pub(super) fn back_off(&mut self, now: Instant, wait: Duration) {
        if self.due(now).is_none() {
            self.failures = self.failures.saturating_add(1);
            self.retry_at = Some(now + wait.min(RETRY_MAX));
        }
    }

    /// An attempt at a delivery failed, and the policy says this of it. Unless it is given up, it waits.
    pub(super) fn failed(&mut self, seq: u64, disposition: Disposition, now: Instant, now_ms: u64) -> Next {
        self.last = seq;
        let answers = self.answers;
        let first = Attempts { since: now, since_ms: now_ms, retried: 0, suspect: 0, alone: 0, answers };
        let attempts = self.deliveries.entry(seq).or_default().get_or_insert(first);
        let waited = now - attempts.since;
        let is_answered = std::mem::replace(&mut attempts.answers, answers) < answers;
        match disposition {
            // Triage took the deliveries that the component refused: the sink cannot store these rows.
            Disposition::DeadLetter => return Next::GiveUp(Cause::Unusable),
            Disposition::Suspect => {
                attempts.suspect = attempts.suspect.saturating_add(1);
                if attempts.suspect >= TRAP_ATTEMPTS_MAX {
                    return Next::GiveUp(Cause::Defect);
                }
            }
            Disposition::RetryOrGiveUp => {
                attempts.alone += u32::from(is_answered && attempts.retried > 0);
                if attempts.alone >= ALONE_MAX && waited >= WAITED_MIN {
                    return Next::GiveUp(Cause::Alone);
                }
            }
            Disposition::Retry => {}
        }
        attempts.retried = attempts.retried.saturating_add(1);
        if waited >= LATE && !std::mem::replace(&mut self.is_late, true) {
            return Next::RetryAndPoll;
        }
        Next::Retry
    }

    /// How often a delivery failed, the failure at `now_ms` included, and when it first did.
    pub(super) fn attempts(&self, seq: u64, now_ms: u64) -> (u32, u64) {
        match self.deliveries.get(&seq) {
            Some(Some(attempts)) => (attempts.retried.saturating_add(1), attempts.since_ms),
            _ => (1, now_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{LATE, Next, RETRY_MAX, WAITED_MIN, Waiting};
    use crate::inbox::Cause;
    use crate::policy::Disposition::{self, Retry, RetryOrGiveUp, Suspect};

    const MINUTE: Duration = Duration::from_secs(60);

    /// One attempt a minute; `answered` says whether another call is answered before it.
    fn given_up_after(
        minutes: u32,
        disposition: Disposition,
        answered: impl Fn(u32) -> bool,
    ) -> Option<(u32, Cause)> {
        let (mut waiting, start) = (Waiting::default(), Instant::now());
        (0..minutes).find_map(|minute| {
            if answered(minute) {
                waiting.answered();
            }
            match waiting.failed(7, disposition, start + MINUTE * minute, 0) {
                Next::GiveUp(cause) => Some((minute, cause)),
                Next::Retry | Next::RetryAndPoll => None,
            }
        })
    }

    #[test]
    fn an_outage_of_any_length_gives_up_no_delivery() {
        const WEEK: u32 = 7 * 24 * 60;
        assert_eq!(given_up_after(WEEK, RetryOrGiveUp, |_| false), None);
        // Nor does one with two answered calls in between.
        assert_eq!(given_up_after(WEEK, RetryOrGiveUp, |minute| minute == 20 || minute == 600), None);
        assert_eq!(given_up_after(WEEK, Retry, |_| true), None, "a quota concerns every delivery");
    }

    #[test]
    fn a_delivery_that_fails_alone_is_given_up_after_ten_minutes() {
        assert_eq!(given_up_after(60, RetryOrGiveUp, |_| true), Some((10, Cause::Alone)));
        let polled = |minute: u32| minute.is_multiple_of(5);
        assert_eq!(given_up_after(60, RetryOrGiveUp, polled), Some((15, Cause::Alone)));
    }

    #[test]
    fn a_suspect_has_three_attempts_and_unusable_rows_one() {
        assert_eq!(given_up_after(60, Suspect, |_| false), Some((2, Cause::Defect)));
        assert_eq!(given_up_after(60, Disposition::DeadLetter, |_| false), Some((0, Cause::Unusable)));
        let (mut waiting, now) = (Waiting::default(), Instant::now());
        let next = [7, 8, 7, 8, 8].map(|seq| waiting.failed(seq, Suspect, now, 0));
        assert_eq!(next[..4], [Next::Retry; 4], "each delivery has its own");
        assert_eq!(next[4], Next::GiveUp(Cause::Defect));
    }

    #[test]
    fn attempts_are_those_at_one_delivery_since_its_first_failure() {
        let (mut waiting, now) = (Waiting::default(), Instant::now());
        assert_eq!(waiting.attempts(7, 100), (1, 100), "never failed before");
        waiting.failed(7, Retry, now, 100);
        waiting.failed(7, Suspect, now, 200);
        assert_eq!(waiting.attempts(7, 300), (3, 100));
        assert_eq!(waiting.attempts(8, 300), (1, 300));
        waiting.failed(7, Suspect, now, 300);
        assert!(matches!(waiting.failed(7, Suspect, now, 400), Next::GiveUp(Cause::Defect)));
        assert_eq!(waiting.attempts(7, 400), (4, 100), "the last one is not counted twice");
    }

    #[test]
    fn a_settled_delivery_is_counted_from_zero() {
        let (mut waiting, start) = (Waiting::default(), Instant::now());
        for attempt in 0..3 {
            waiting.answered();
            waiting.failed(7, RetryOrGiveUp, start + MINUTE * attempt, 0);
        }
        waiting.answered();
        assert_eq!(waiting.failed(8, RetryOrGiveUp, start + WAITED_MIN, 0), Next::Retry);
        assert!(waiting.settled(7) && !waiting.contains(7) && !waiting.settled(7));
        waiting.answered();
        assert_eq!(waiting.failed(7, RetryOrGiveUp, start + WAITED_MIN * 2, 0), Next::Retry);
    }

    #[test]
    fn after_a_failure_one_at_a_time_is_attempted_in_turn_until_one_passes() {
        let (mut waiting, mut now) = (Waiting::resumed(&BTreeSet::from([3, 5, 9])), Instant::now());
        assert!(!waiting.is_probing(), "after a start all are");
        let mut attempted = Vec::new();
        for _ in 0..4 {
            let seq = waiting.next(now).expect("due");
            attempted.push(seq);
            waiting.failed(seq, Retry, now, 0);
            waiting.back_off(now, MINUTE);
            assert_eq!(waiting.next(now), None, "not before the wait is over");
            now += MINUTE;
        }
        assert_eq!(attempted, [3, 5, 9, 3]);
        assert!(waiting.is_probing());
        assert!(waiting.settled(5));
        assert_eq!((waiting.next(now), waiting.is_probing()), (Some(9), false));
    }

    #[test]
    fn a_planned_attempt_is_not_put_off_and_none_waits_for_hours() {
        let (mut waiting, now) = (Waiting::default(), Instant::now());
        waiting.failed(7, Retry, now, 0);
        waiting.back_off(now, Duration::from_secs(6 * 3600));
        assert_eq!(waiting.due(now), Some(now + RETRY_MAX), "what the source asks for is bounded");
        waiting.failed(8, Retry, now + MINUTE, 0);
        waiting.back_off(now + MINUTE, RETRY_MAX);
        assert_eq!(waiting.due(now + MINUTE), Some(now + RETRY_MAX));
        assert_eq!(waiting.next(now + RETRY_MAX), Some(7));
    }

    #[test]
    fn late_webhooks_are_reported_once_until_none_waits() {
        let (mut waiting, start) = (Waiting::default(), Instant::now());
        let at = [Duration::ZERO, LATE / 2, LATE, LATE * 2];
        let answers = at.map(|after| waiting.failed(7, Retry, start + after, 0));
        assert_eq!(answers, [Next::Retry, Next::Retry, Next::RetryAndPoll, Next::Retry]);
        assert!(waiting.settled(7) && waiting.len() == 0);
        let again = [Duration::ZERO, LATE].map(|after| waiting.failed(8, Retry, start + after, 0));
        assert_eq!(again[1], Next::RetryAndPoll);
    }
}
