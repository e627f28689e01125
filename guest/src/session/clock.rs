//! When a delivery arrived, by the source's clock, also if the host's clock was corrected since. Pure.

use serde::{Deserialize, Serialize};

use crate::limits;

/// The difference of the clocks before one of them was corrected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EarlierClock {
    /// How far the source's clock was ahead of the host's.
    offset_ms: i64,
    /// What the host's clock would show without the correction, when it was noticed: it showed nothing later.
    until_ms: u64,
}

impl EarlierClock {
    /// At `now_ms` of the host's clock, the difference is found to be `offset_ms` and no more `earlier_ms`.
    pub(crate) fn new(earlier_ms: i64, offset_ms: i64, now_ms: u64) -> Self {
        let corrected_ms = offset_ms.saturating_sub(earlier_ms);
        // Both differences are as exact as an answer's time.
        let latest_ms = now_ms.saturating_add(limits::CLOCK_OFFSET_STEP_MS);
        Self { offset_ms: earlier_ms, until_ms: latest_ms.saturating_add_signed(corrected_ms) }
    }
}

/// When a delivery arrived, by the source's clock: not before `earliest_ms`, not after `latest_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) earliest_ms: u64,
    pub(crate) latest_ms: u64,
}

impl Arrival {
    /// Of a delivery that arrived at `host_ms` of the host's clock, which is now at `now_ms`. It has the
    /// earlier difference, too, if that clock may have shown this time; and nothing arrives in the future.
    pub(crate) fn new(host_ms: u64, now_ms: u64, offset_ms: i64, earlier: Option<EarlierClock>) -> Self {
        let latest_ms = now_ms.saturating_add_signed(offset_ms);
        let by = |offset_ms: i64| host_ms.saturating_add_signed(offset_ms).min(latest_ms);
        let at_ms = by(offset_ms);
        let earlier = earlier.filter(|earlier| host_ms <= earlier.until_ms);
        let earlier_ms = earlier.map_or(at_ms, |earlier| by(earlier.offset_ms));
        Self { earliest_ms: at_ms.min(earlier_ms), latest_ms: at_ms.max(earlier_ms) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Arrival, EarlierClock};

    const HOUR: u64 = 3_600_000;
    const NOW: u64 = 500_000 * HOUR;

    /// When a delivery arrived, in hours from now, if the host's clock showed `host` hours then.
    fn arrived(host: i64, offset: i64, earlier: Option<EarlierClock>) -> (i64, i64) {
        let hour = HOUR.cast_signed();
        let host_ms = NOW.saturating_add_signed(host * hour);
        let arrival = Arrival::new(host_ms, NOW, offset * hour, earlier);
        let hours = |ms: u64| (ms.cast_signed() - NOW.cast_signed()) / hour;
        (hours(arrival.earliest_ms), hours(arrival.latest_ms))
    }

    fn corrected(from: i64) -> Option<EarlierClock> {
        Some(EarlierClock::new(from * HOUR.cast_signed(), 0, NOW))
    }

    #[test]
    fn a_delivery_has_the_time_of_the_sources_clock() {
        assert_eq!(arrived(-5, 0, None), (-5, -5));
        assert_eq!(arrived(-5, 2, None), (-3, -3));
        assert_eq!(arrived(1, 0, None), (0, 0), "not later than now");
    }

    #[test]
    fn what_came_before_the_host_was_corrected_may_have_either_time() {
        let slow = corrected(1);
        assert_eq!(arrived(-2, 0, slow), (-2, -1));
        assert_eq!(arrived(0, 0, slow), (0, 0), "the slow clock never showed this");
        let fast = corrected(-1);
        assert_eq!(arrived(1, 0, fast), (0, 0), "received just before");
        assert_eq!(arrived(-2, 0, fast), (-3, -2));
        assert_eq!(arrived(2, 0, fast), (0, 0), "the fast clock never showed this");
    }
}
