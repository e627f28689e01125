//! The day's credits: how many are left, how many of them are for the portal's other users, and when the next
//! day starts. Pure.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind};
use crate::limits;
use crate::time;

/// The day's credits, as far as answers name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Credits {
    /// By the last answer.
    pub(crate) left: u64,
    /// Of a whole day.
    pub(crate) daily: u64,
    /// `credits_reserve` of the configuration.
    pub(crate) reserve_percent: u64,
    /// When the next day starts, Unix milliseconds; none while that is not known.
    pub(crate) next_day_ms: Option<u64>,
}

impl Credits {
    /// The credits that are kept for others.
    pub(crate) fn reserve(&self) -> u64 {
        self.daily.saturating_mul(self.reserve_percent) / 100
    }

    /// The credits that are kept from snapshots.
    fn kept_from_snapshots(&self) -> u64 {
        let reserve = self.reserve();
        let above = self.daily.saturating_sub(reserve);
        match self.reserve_percent {
            0 => 0,
            // Half of what a large reserve leaves.
            _ => reserve + (self.daily * limits::SNAPSHOT_RESERVE_PERCENT / 100).min(above / 2),
        }
    }

    /// Of so many credits, those that snapshots may use.
    pub(crate) fn for_snapshots(&self, credits: u64) -> u64 {
        credits.saturating_sub(self.kept_from_snapshots())
    }

    /// An error when too few are left for a read.
    pub(crate) fn allow(&self, is_snapshot: bool, now_ms: u64) -> Result<(), Error> {
        let kept = if is_snapshot { self.kept_from_snapshots() } else { self.reserve() };
        if kept == 0 || self.left > kept {
            return Ok(());
        }
        let what = if is_snapshot { "other users and for incremental reads" } else { "other users" };
        let Self { left, daily, .. } = self;
        let mut message = format!("{left} of {daily} credits are left today, and {kept} are kept for {what}");
        if let Some(next_day_ms) = self.next_day_ms {
            message.push_str(&format!("; the next day starts at {}", time::format(next_day_ms)));
        }
        let mut error = Error::new(Kind::RateLimited, message).code("CREDITS_RESERVED").hint(
            "the table is read again when Zoho gives the credits of the next day; `credits_reserve` is the \
             percentage that is kept",
        );
        let wait_ms = self.next_day_ms.and_then(|next_day_ms| next_day_ms.checked_sub(now_ms));
        error.retry_after_ms = Some(wait_ms.unwrap_or(limits::CREDITS_KNOWN_MS));
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
    /// Left by an answer, to within a percent, and when.
    left: u64,
    left_at_ms: u64,
    /// When a day of Zoho was seen to have started.
    started_ms: u64,
    /// Two days in a row started at that time of day.
    is_start_sure: bool,
}

impl DailyCredits {
    pub(crate) fn is_unknown(&self) -> bool {
        *self == Self::default()
    }

    /// Of an edition that gives `base` without its users: on the first day others may have used most of it.
    pub(crate) fn credits(self, base: u64) -> u64 {
        let seen = self.seen();
        if seen > limits::TRIAL_CREDITS { seen.max(base) } else { seen }
    }

    /// The most that were left.
    fn seen(self) -> u64 {
        self.credits.max(self.before)
    }

    /// The credits that an answer named last, in this instance or an earlier one, and when.
    pub(crate) fn last(self) -> Option<(u64, u64)> {
        (self.left_at_ms > 0).then_some((self.left, self.left_at_ms))
    }

    /// When the next day starts, once two days were seen to start at one time of day. None shortly after it
    /// should have started: one day in a year has 25 hours.
    pub(crate) fn next_day_ms(self, now_ms: u64) -> Option<u64> {
        let since_ms = now_ms.checked_sub(self.started_ms).filter(|_| self.is_start_sure)? % limits::DAY_MS;
        (since_ms >= 2 * limits::DAY_START_MS).then(|| now_ms + limits::DAY_MS - since_ms)
    }

    /// Notes that so many are left. What the session keeps changes seldom: the host stores it each time.
    pub(crate) fn note(&mut self, left: u64, now_ms: u64) {
        self.note_most(left, now_ms);
        self.note_start(left, now_ms);
        let is_near = self.left.abs_diff(left) <= self.seen() / 100;
        if !is_near || now_ms.abs_diff(self.left_at_ms) >= limits::DAY_START_MS / 4 {
            (self.left, self.left_at_ms) = (left, now_ms);
        }
    }

    /// Notes the start of a day: credits are back that an answer shortly before did not have. Once, they may
    /// have been bought.
    fn note_start(&mut self, left: u64, now_ms: u64) {
        let Some((before, at_ms)) = self.last() else { return };
        let risen = left.saturating_sub(before);
        let is_recent = now_ms.abs_diff(at_ms) <= limits::DAY_START_MS;
        if !is_recent || risen <= self.seen() / 100 * limits::DAY_START_PERCENT {
            return;
        }
        let apart_ms = now_ms.abs_diff(self.started_ms);
        let off_ms = apart_ms % limits::DAY_MS;
        let is_same = off_ms.min(limits::DAY_MS - off_ms) <= 2 * limits::DAY_START_MS;
        // Credits may be bought twice in an evening.
        let is_another_day = apart_ms > limits::DAY_MS / 2;
        self.is_start_sure = self.started_ms > 0 && is_same && is_another_day;
        self.started_ms = now_ms;
    }

    fn note_most(&mut self, left: u64, now_ms: u64) {
        let age_ms = now_ms.abs_diff(self.seen_at_ms);
        if age_ms < limits::DAY_MS {
            self.credits = self.credits.max(left);
        } else {
            let before = if age_ms < 2 * limits::DAY_MS { self.credits } else { 0 };
            *self = Self { credits: left, seen_at_ms: now_ms, before, ..*self };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_stop_before_incremental_reads_and_both_before_the_reserve_is_used() {
        let credits = |left| Credits { left, daily: 5_000, reserve_percent: 20, next_day_ms: None };
        assert!(credits(1_501).allow(true, 7).is_ok() && credits(1_001).allow(false, 7).is_ok());
        let error = credits(1_500).allow(true, 7).unwrap_err();
        assert!(error.message.starts_with("1500 of 5000 credits are left"), "{error}");
        assert_eq!((error.kind, error.retry_after_ms), (Kind::RateLimited, Some(limits::CREDITS_KNOWN_MS)));
        assert!(credits(1_000).allow(false, 7).is_err());
    }

    #[test]
    fn snapshots_are_read_with_every_reserve_that_the_configuration_takes() {
        for reserve_percent in 0..=90 {
            let credits = Credits { left: 5_000, daily: 5_000, reserve_percent, next_day_ms: None };
            assert!(credits.allow(true, 7).is_ok(), "{reserve_percent}");
            assert!(credits.for_snapshots(5_000) >= 250, "{reserve_percent}");
        }
    }

    #[test]
    fn without_a_reserve_the_source_decides() {
        let credits = Credits { left: 0, daily: 5_000, reserve_percent: 0, next_day_ms: None };
        assert!(credits.allow(true, 7).is_ok());
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
    fn the_wait_ends_with_the_day_once_two_days_started_at_one_time() {
        const HOUR_MS: u64 = 3_600_000;
        let mut daily = DailyCredits::default();
        let mut note = |hour: u64, left: u64| {
            daily.note(left, hour * HOUR_MS);
            daily.next_day_ms(hour * HOUR_MS).map(|at_ms| at_ms / HOUR_MS)
        };
        assert_eq!(note(8, 100_000), None);
        assert_eq!(note(17, 90_000), None);
        assert_eq!(note(18, 110_000), None, "these were bought");
        assert_eq!(note(23, 30_000), None);
        assert_eq!(note(24, 100_000), None, "seen once");
        assert_eq!(note(30, 90_000), None);
        assert_eq!(note(47, 40_000), None);
        assert_eq!(note(48, 100_000), None, "it has just started");
        assert_eq!(note(60, 30_000), Some(72));
        // The next day is not seen to start, and has 25 hours.
        assert_eq!(note(72, 29_000), None);
        assert_eq!(note(73, 99_000), None);
        assert_eq!(note(80, 20_000), Some(97));
        let credits =
            Credits { left: 20_000, daily: 100_000, reserve_percent: 20, next_day_ms: Some(97 * HOUR_MS) };
        let error = credits.allow(false, 80 * HOUR_MS).unwrap_err();
        assert_eq!(error.retry_after_ms, Some(17 * HOUR_MS));
        assert!(error.message.ends_with("the next day starts at 1970-01-05T01:00:00.000Z"), "{error}");
    }

    #[test]
    fn answers_that_differ_little_leave_the_session_as_it_is() {
        let mut daily = DailyCredits::default();
        daily.note(100_000, 1_000_000);
        let before = daily;
        daily.note(99_500, 1_060_000);
        assert_eq!(daily, before);
        daily.note(98_900, 1_060_000);
        assert_eq!(daily.last(), Some((98_900, 1_060_000)));
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
