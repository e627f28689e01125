//! The day's credits: how many are left, and how many of them are for the portal's other users. Pure.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind};
use crate::limits;

/// The day's credits, as far as answers name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Credits {
    /// By the last answer.
    pub(crate) left: u64,
    /// Of a whole day.
    pub(crate) daily: u64,
    /// `credits_reserve` of the configuration.
    pub(crate) reserve_percent: u64,
}

impl Credits {
    /// The credits that are kept for others.
    pub(crate) fn reserve(&self) -> u64 {
        self.daily.saturating_mul(self.reserve_percent) / 100
    }

    /// The credits that are kept from snapshots.
    fn kept_from_snapshots(&self) -> u64 {
        match self.reserve_percent {
            0 => 0,
            _ => self.reserve() + self.daily * limits::SNAPSHOT_RESERVE_PERCENT / 100,
        }
    }

    /// Of so many credits, those that snapshots may use.
    pub(crate) fn for_snapshots(&self, credits: u64) -> u64 {
        credits.saturating_sub(self.kept_from_snapshots())
    }

    /// An error when too few are left for a read.
    pub(crate) fn allow(&self, is_snapshot: bool) -> Result<(), Error> {
        let kept = if is_snapshot { self.kept_from_snapshots() } else { self.reserve() };
        if kept == 0 || self.left > kept {
            return Ok(());
        }
        let what = if is_snapshot { "other users and for incremental reads" } else { "other users" };
        let Self { left, daily, .. } = self;
        let message = format!("{left} of {daily} credits are left today, and {kept} are kept for {what}");
        let mut error = Error::new(Kind::RateLimited, message).code("CREDITS_RESERVED").hint(
            "the table is read again when Zoho gives the credits of the next day; `credits_reserve` is the \
             percentage that is kept",
        );
        error.retry_after_ms = Some(limits::CREDITS_KNOWN_MS);
        Err(error)
    }
}

/// The credits of a whole day: the most that were left in this span of a day or the one before, in which a
/// day of Zoho started. Kept in the session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct DailyCredits {
    /// The most in the current span.
    credits: u64,
    /// Start of the span, Unix milliseconds.
    seen_at_ms: u64,
    /// The most in the span before.
    before: u64,
}

impl DailyCredits {
    pub(crate) fn is_unknown(&self) -> bool {
        *self == Self::default()
    }

    /// Of an edition that gives `base` without its users: on the first day others may have used most of it.
    pub(crate) fn credits(self, base: u64) -> u64 {
        let seen = self.credits.max(self.before);
        if seen > limits::TRIAL_CREDITS { seen.max(base) } else { seen }
    }

    /// Notes that so many are left.
    pub(crate) fn note(&mut self, left: u64, now_ms: u64) {
        let age_ms = now_ms.abs_diff(self.seen_at_ms);
        if age_ms < limits::DAY_MS {
            self.credits = self.credits.max(left);
        } else {
            let before = if age_ms < 2 * limits::DAY_MS { self.credits } else { 0 };
            *self = Self { credits: left, seen_at_ms: now_ms, before };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_stop_before_incremental_reads_and_both_before_the_reserve_is_used() {
        let credits = |left| Credits { left, daily: 5_000, reserve_percent: 20 };
        assert!(credits(1_501).allow(true).is_ok() && credits(1_001).allow(false).is_ok());
        let error = credits(1_500).allow(true).unwrap_err();
        assert!(error.message.starts_with("1500 of 5000 credits are left"), "{error}");
        assert_eq!((error.kind, error.retry_after_ms), (Kind::RateLimited, Some(limits::CREDITS_KNOWN_MS)));
        assert!(credits(1_000).allow(false).is_err());
    }

    #[test]
    fn without_a_reserve_the_source_decides() {
        assert!(Credits { left: 0, daily: 5_000, reserve_percent: 0 }.allow(true).is_ok());
    }

    #[test]
    fn the_days_credits_are_the_most_that_were_left_since_the_day_before() {
        const HOUR_MS: u64 = 3_600_000;
        let mut daily = DailyCredits::default();
        for (hour, left, credits) in [
            (1, 4_000, 4_000),
            (2, 3_000, 4_000),
            (20, 4_990, 4_990),
            // A day starts at hour 26, and the span at hour 25.
            (25, 300, 4_990),
            (26, 4_980, 4_990),
            (49, 200, 4_980),
            (50, 4_970, 4_980),
            (73, 100, 4_970),
            // Nothing was read for days.
            (173, 700, 700),
        ] {
            daily.note(left, hour * HOUR_MS);
            assert_eq!(daily.credits(0), credits, "hour {hour}");
        }
    }

    #[test]
    fn a_day_that_others_have_used_is_as_long_as_its_edition_says_but_for_a_trial() {
        for (left, credits) in [(10_000, 100_000), (120_000, 120_000), (5_000, 5_000), (4_500, 4_500)] {
            let mut daily = DailyCredits::default();
            daily.note(left, 1);
            assert_eq!(daily.credits(100_000), credits, "{left} left");
        }
    }
}
