//! Head-of-line blocking: when the first delivery of the queue, which fails again and again, is given up so
//! that the queue can move. Pure: times are arguments.
//!
//! An outage blocks the queue, ends by itself, and no delivery is given up for it. A delivery that fails
//! several times, each time after the source has answered another call, fails alone: it becomes a dead
//! letter, and polling brings its row.

use std::time::Duration;

use tokio::time::Instant;

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
    /// It alone fails: make it a dead letter.
    GiveUp,
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

    /// An attempt at the first delivery failed. `may_give_up`: for a reason that may concern this delivery
    /// alone.
    pub(super) fn failed(&mut self, seq: u64, may_give_up: bool, now: Instant) -> Next {
        let answered = std::mem::take(&mut self.answered);
        let blocked = match &mut self.blocked {
            Some(blocked) if blocked.seq == seq => blocked,
            other => {
                *other = Some(Blocked { seq, since: now, alone: 0, is_late: false });
                return Next::Retry;
            }
        };
        blocked.alone += u32::from(answered && may_give_up);
        let waited = now - blocked.since;
        if may_give_up && blocked.alone >= ALONE_MAX && waited >= BLOCKED_MIN {
            return Next::GiveUp;
        }
        if waited >= LATE && !blocked.is_late {
            blocked.is_late = true;
            return Next::RetryAndPoll;
        }
        Next::Retry
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{BLOCKED_MIN, HeadOfLine, LATE, Next};

    const MINUTE: Duration = Duration::from_secs(60);

    /// One attempt a minute; `answered` says whether another call is answered before it.
    fn given_up_after(minutes: u32, may_give_up: bool, answered: impl Fn(u32) -> bool) -> Option<u32> {
        let (mut head, start) = (HeadOfLine::default(), Instant::now());
        (0..minutes).find(|minute| {
            if answered(*minute) {
                head.answered();
            }
            matches!(head.failed(7, may_give_up, start + MINUTE * *minute), Next::GiveUp)
        })
    }

    #[test]
    fn an_outage_of_any_length_gives_up_no_delivery() {
        assert_eq!(given_up_after(7 * 24 * 60, true, |_| false), None);
        // Nor does one with two answered calls in between.
        assert_eq!(given_up_after(7 * 24 * 60, true, |minute| minute == 20 || minute == 600), None);
    }

    #[test]
    fn a_delivery_that_fails_alone_is_given_up_after_ten_minutes() {
        assert_eq!(given_up_after(60, true, |_| true), Some(10));
        let polled = |minute: u32| minute.is_multiple_of(5);
        assert_eq!(given_up_after(60, true, polled), Some(15));
        assert_eq!(given_up_after(7 * 24 * 60, false, |_| true), None, "a quota blocks every delivery");
    }

    #[test]
    fn another_delivery_and_a_released_one_are_counted_from_zero() {
        let (mut head, start) = (HeadOfLine::default(), Instant::now());
        for attempt in 0..3 {
            head.answered();
            head.failed(7, true, start + MINUTE * attempt);
        }
        head.answered();
        assert_eq!(head.failed(8, true, start + BLOCKED_MIN), Next::Retry);
        head.release();
        assert!(!head.is_blocked());
        head.answered();
        assert_eq!(head.failed(8, true, start + BLOCKED_MIN * 2), Next::Retry);
    }

    #[test]
    fn late_webhooks_are_reported_once() {
        let (mut head, start) = (HeadOfLine::default(), Instant::now());
        let at = [Duration::ZERO, LATE / 2, LATE, LATE * 2];
        let answers = at.map(|after| head.failed(7, false, start + after));
        assert_eq!(answers, [Next::Retry, Next::Retry, Next::RetryAndPoll, Next::Retry]);
    }
}
