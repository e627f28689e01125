//! Head-of-line blocking: counts the failed attempts at the first delivery of the queue, and decides when it
//! is given up so that the queue can move. Pure: times are arguments.
//!
//! An outage blocks the queue, ends by itself, and no delivery is given up for it. A delivery that fails
//! several times, each time after the source has answered another call, fails alone: it becomes a dead
//! letter, and polling brings its row.

use std::time::Duration;

use tokio::time::Instant;

use crate::journal::Cause;
use crate::limits::TRAP_ATTEMPTS_MAX;
use crate::policy::Disposition;

/// Failed attempts since each of which the source has answered another call. One or two may be bad luck.
const ALONE_MAX: u32 = 3;
/// Shortest time before a delivery is given up. Most faults of a source with one record pass within it;
/// webhooks are late by as much.
const BLOCKED_MIN: Duration = Duration::from_secs(10 * 60);
/// Blocked for longer, webhooks are late: their tables are polled early.
const LATE: Duration = Duration::from_secs(60);

/// What to do with a delivery that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Retry it after a backoff.
    Retry,
    /// The same, and poll: the deliveries behind it are late. Once for each delivery.
    RetryAndPoll,
    /// Make it a dead letter.
    GiveUp(Cause),
}

/// See the file's header.
#[derive(Debug, Default)]
pub(super) struct HeadOfLine {
    blocked: Option<Blocked>,
    /// Another call was answered since the last attempt.
    answered: bool,
}

/// A queue whose first delivery fails.
#[derive(Debug)]
struct Blocked {
    seq: u64,
    since: Instant,
    /// The same, in milliseconds since 1970.
    since_ms: u64,
    /// Attempts that failed and were retried.
    retried: u32,
    /// Failures for which the delivery may be to blame.
    suspect: u32,
    /// Failures since each of which the source has answered another call.
    alone: u32,
    is_late: bool,
}

impl HeadOfLine {
    /// Whether the first delivery fails.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked.is_some()
    }

    /// The first delivery is applied or a dead letter.
    pub(super) fn release(&mut self) {
        self.blocked = None;
    }

    /// The source answered another call of the connection.
    pub(super) fn answered(&mut self) {
        self.answered = true;
    }

    /// An attempt at the first delivery failed, and the policy says this of it.
    pub(super) fn failed(&mut self, seq: u64, disposition: Disposition, now: Instant, now_ms: u64) -> Next {
        let answered = std::mem::take(&mut self.answered);
        let blocked = match &mut self.blocked {
            Some(blocked) if blocked.seq == seq => blocked,
            other => other.insert(Blocked {
                seq,
                since: now,
                since_ms: now_ms,
                retried: 0,
                suspect: 0,
                alone: 0,
                is_late: false,
            }),
        };
        let waited = now - blocked.since;
        match disposition {
            // Triage took the deliveries that the component refused: the sink cannot store these rows.
            Disposition::DeadLetter => return Next::GiveUp(Cause::Unusable),
            Disposition::Suspect => {
                blocked.suspect = blocked.suspect.saturating_add(1);
                if blocked.suspect >= TRAP_ATTEMPTS_MAX {
                    return Next::GiveUp(Cause::Defect);
                }
            }
            Disposition::RetryOrGiveUp => {
                blocked.alone += u32::from(answered && blocked.retried > 0);
                if blocked.alone >= ALONE_MAX && waited >= BLOCKED_MIN {
                    return Next::GiveUp(Cause::Alone);
                }
            }
            Disposition::Retry => {}
        }
        blocked.retried = blocked.retried.saturating_add(1);
        if waited >= LATE && !blocked.is_late {
            blocked.is_late = true;
            return Next::RetryAndPoll;
        }
        Next::Retry
    }

    /// How often a delivery failed, the failure at `now_ms` included, and when it first did.
    pub(super) fn attempts(&self, seq: u64, now_ms: u64) -> (u32, u64) {
        match &self.blocked {
            Some(blocked) if blocked.seq == seq => (blocked.retried.saturating_add(1), blocked.since_ms),
            _ => (1, now_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{BLOCKED_MIN, HeadOfLine, LATE, Next};
    use crate::journal::Cause;
    use crate::policy::Disposition::{self, Retry, RetryOrGiveUp, Suspect};

    const MINUTE: Duration = Duration::from_secs(60);

    /// One attempt a minute; `answered` says whether another call is answered before it.
    fn given_up_after(
        minutes: u32,
        disposition: Disposition,
        answered: impl Fn(u32) -> bool,
    ) -> Option<(u32, Cause)> {
        let (mut head, start) = (HeadOfLine::default(), Instant::now());
        (0..minutes).find_map(|minute| {
            if answered(minute) {
                head.answered();
            }
            match head.failed(7, disposition, start + MINUTE * minute, 0) {
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
        assert_eq!(given_up_after(WEEK, Retry, |_| true), None, "a quota blocks every delivery");
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
        let (mut head, now) = (HeadOfLine::default(), Instant::now());
        let next = [7, 7, 8, 8, 8].map(|seq| head.failed(seq, Suspect, now, 0));
        assert_eq!(next[..4], [Next::Retry; 4], "each delivery has its own");
        assert_eq!(next[4], Next::GiveUp(Cause::Defect));
    }

    #[test]
    fn attempts_are_those_at_one_delivery_since_its_first_failure() {
        let (mut head, now) = (HeadOfLine::default(), Instant::now());
        assert_eq!(head.attempts(7, 100), (1, 100), "never failed before");
        head.failed(7, Retry, now, 100);
        head.failed(7, Suspect, now, 200);
        assert_eq!(head.attempts(7, 300), (3, 100));
        assert_eq!(head.attempts(8, 300), (1, 300));
        head.failed(7, Suspect, now, 300);
        assert!(matches!(head.failed(7, Suspect, now, 400), Next::GiveUp(Cause::Defect)));
        assert_eq!(head.attempts(7, 400), (4, 100), "the last one is not counted twice");
    }

    #[test]
    fn another_delivery_and_a_released_one_are_counted_from_zero() {
        let (mut head, start) = (HeadOfLine::default(), Instant::now());
        for attempt in 0..3 {
            head.answered();
            head.failed(7, RetryOrGiveUp, start + MINUTE * attempt, 0);
        }
        head.answered();
        assert_eq!(head.failed(8, RetryOrGiveUp, start + BLOCKED_MIN, 0), Next::Retry);
        head.release();
        assert!(!head.is_blocked());
        head.answered();
        assert_eq!(head.failed(8, RetryOrGiveUp, start + BLOCKED_MIN * 2, 0), Next::Retry);
    }

    #[test]
    fn late_webhooks_are_reported_once() {
        let (mut head, start) = (HeadOfLine::default(), Instant::now());
        let at = [Duration::ZERO, LATE / 2, LATE, LATE * 2];
        let answers = at.map(|after| head.failed(7, Retry, start + after, 0));
        assert_eq!(answers, [Next::Retry, Next::Retry, Next::RetryAndPoll, Next::Retry]);
    }
}
