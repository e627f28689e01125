//! The delivery at the head that fails for now: how long it may hold up those behind it. Pure: times are arguments.
//!
//! An outage holds all of them, ends by itself, and nothing is given up for it. A delivery that fails again and
//! again, each time after the source has answered another call, is not held by an outage but holds the others: it
//! is given up, and polling brings its row.

use std::time::Duration;

use tokio::time::Instant;

/// Attempts that fail after the source answered another call since the one before. One or two may be bad luck.
const ALONE_MAX: u32 = 3;
/// A source that has trouble with one record mostly has found its way out by then; webhooks are late by as much.
const HELD_MAX: Duration = Duration::from_secs(10 * 60);
/// Held longer than this, webhooks are late enough for tables to be polled meanwhile.
const LATE: Duration = Duration::from_secs(60);

/// What to do about a delivery that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Try it again after a while.
    Wait,
    /// The same, and poll: those behind it are late by now. Said once.
    WaitAndPoll,
    /// It alone fails: make it a dead letter after this many attempts.
    GiveUp(u32),
}

/// See the file's header.
#[derive(Debug, Default)]
pub(super) struct Hold {
    head: Option<Head>,
    /// Another call was answered since the last attempt.
    answered: bool,
}

#[derive(Debug)]
struct Head {
    seq: u64,
    since: Instant,
    attempts: u32,
    alone: u32,
    is_told: bool,
}

impl Hold {
    /// Whether a delivery is held.
    pub(super) fn is_held(&self) -> bool {
        self.head.is_some()
    }

    /// Nothing is held any more.
    pub(super) fn release(&mut self) {
        self.head = None;
    }

    /// The source answered another call of the connection.
    pub(super) fn answered(&mut self) {
        self.answered = true;
    }

    /// An attempt at the delivery at the head failed. `may_give_up`: for a reason that may be this delivery's alone.
    pub(super) fn failed(&mut self, seq: u64, may_give_up: bool, now: Instant) -> Next {
        let answered = std::mem::take(&mut self.answered);
        let head = match &mut self.head {
            Some(head) if head.seq == seq => head,
            other => {
                *other = Some(Head { seq, since: now, attempts: 1, alone: 0, is_told: false });
                return Next::Wait;
            }
        };
        head.attempts += 1;
        head.alone += u32::from(answered && may_give_up);
        let held = now - head.since;
        if may_give_up && head.alone >= ALONE_MAX && held >= HELD_MAX {
            return Next::GiveUp(head.attempts);
        }
        if held >= LATE && !head.is_told {
            head.is_told = true;
            return Next::WaitAndPoll;
        }
        Next::Wait
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{HELD_MAX, Hold, LATE, Next};

    const MINUTE: Duration = Duration::from_secs(60);

    /// One attempt a minute; `answered` says whether another call is answered before it.
    fn given_up_after(minutes: u32, may_give_up: bool, answered: impl Fn(u32) -> bool) -> Option<u32> {
        let (mut hold, start) = (Hold::default(), Instant::now());
        (0..minutes).find(|minute| {
            if answered(*minute) {
                hold.answered();
            }
            matches!(hold.failed(7, may_give_up, start + MINUTE * *minute), Next::GiveUp(_))
        })
    }

    #[test]
    fn an_outage_gives_up_nothing_however_long_it_lasts() {
        assert_eq!(given_up_after(7 * 24 * 60, true, |_| false), None);
        // Not even one with a glimpse of light in between.
        assert_eq!(given_up_after(7 * 24 * 60, true, |minute| minute == 20 || minute == 600), None);
    }

    #[test]
    fn a_delivery_that_alone_fails_is_given_up_but_not_before_its_time() {
        assert_eq!(given_up_after(60, true, |_| true), Some(10));
        let polled = |minute: u32| minute.is_multiple_of(5);
        assert_eq!(given_up_after(60, true, polled), Some(15));
        assert_eq!(given_up_after(7 * 24 * 60, false, |_| true), None, "over a quota it waits");
    }

    #[test]
    fn another_delivery_begins_anew_and_so_does_one_that_was_taken_in_between() {
        let (mut hold, start) = (Hold::default(), Instant::now());
        for attempt in 0..3 {
            hold.answered();
            hold.failed(7, true, start + MINUTE * attempt);
        }
        hold.answered();
        assert_eq!(hold.failed(8, true, start + HELD_MAX), Next::Wait);
        hold.release();
        assert!(!hold.is_held());
        hold.answered();
        assert_eq!(hold.failed(8, true, start + HELD_MAX * 2), Next::Wait);
    }

    #[test]
    fn it_is_told_once_that_webhooks_are_late() {
        let (mut hold, start) = (Hold::default(), Instant::now());
        let at = [Duration::ZERO, LATE / 2, LATE, LATE * 2];
        let said = at.map(|after| hold.failed(7, false, start + after));
        assert_eq!(said, [Next::Wait, Next::Wait, Next::WaitAndPoll, Next::Wait]);
    }
}
