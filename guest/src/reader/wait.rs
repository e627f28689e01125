//! How long a caught-up table waits: longer while nothing changes, and when the day's credits come to an end.
//! Pure.

use crate::limits;
use crate::session::Credits;

/// The wait of a table in which nothing changed for `quiet_ms`: doubled, not lengthened, so that tables are
/// polled together and share answers.
pub(super) fn wait_ms(quiet_ms: u64, credits: Option<&Credits>) -> u64 {
    let quiet_ms = (quiet_ms / limits::QUIET_PART).min(limits::QUIET_WAIT_MAX_MS);
    let wait_ms = limits::SEARCH_WAIT_MS << (quiet_ms / limits::SEARCH_WAIT_MS).max(1).ilog2();
    credits.map_or(wait_ms, |credits| wait_ms.max(spread_ms(credits)))
}

/// The part of the credits left that polls may use, spread over a day.
fn spread_ms(credits: &Credits) -> u64 {
    let free = credits.left.saturating_sub(credits.reserve());
    let rounds = free * limits::POLL_CREDITS_PERCENT / 100 / limits::ROUND_CREDITS;
    (86_400_000 / rounds.max(1)).min(limits::SEARCH_WAIT_MAX_MS)
}

/// How long another table's reading serves a table that was read last at `since_ms`.
pub(super) fn shared_ms(since_ms: u64, now_ms: u64) -> u64 {
    let (least, most) = limits::SHARED_MS;
    (now_ms.saturating_sub(since_ms) / 2).clamp(least, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: u64 = 60_000;

    #[test]
    fn a_table_in_which_nothing_changes_is_polled_less_often() {
        for (quiet_min, wait_min) in [(0, 5), (39, 5), (40, 10), (79, 10), (80, 20), (10_000, 20)] {
            assert_eq!(wait_ms(quiet_min * MINUTE_MS, None), wait_min * MINUTE_MS, "{quiet_min} min");
        }
    }

    #[test]
    fn polls_become_rarer_when_the_credits_above_the_reserve_come_to_an_end() {
        for (left, wait_min) in
            [(150_000, 5), (50_000, 5), (35_000, 17), (33_000, 28), (30_500, 60), (30_000, 60), (0, 60)]
        {
            let credits = Credits { left, daily: 150_000, reserve_percent: 20, next_day_ms: None };
            assert_eq!(wait_ms(0, Some(&credits)) / MINUTE_MS, wait_min, "{left} credits left");
        }
    }

    #[test]
    fn a_reading_is_shared_for_half_of_the_time_since_the_last_one() {
        assert_eq!(shared_ms(0, 10 * MINUTE_MS), 5 * MINUTE_MS);
        assert_eq!(shared_ms(0, 500 * MINUTE_MS), 15 * MINUTE_MS);
        assert_eq!(shared_ms(5, 0), MINUTE_MS, "a clock that was set back");
    }
}
