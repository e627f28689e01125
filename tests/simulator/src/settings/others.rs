//! Other users of the organization: the limits are shared (reference, §8, gotcha 18).

use serde::{Deserialize, Serialize};

use crate::time::DAY_MS;

const HOUR_MS: i64 = 3_600_000;

/// Credits and concurrent calls that are not ours.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OtherUsers {
    /// Calls that others keep in flight all the time.
    pub concurrency: u32,
    /// Credits that others have used today.
    pub credits: u64,
    /// Credits that others use in each hour since midnight, by the simulator's clock.
    pub credits_per_hour: u64,
}

impl OtherUsers {
    /// Credits that others have used on the day of this time, up to it.
    pub(crate) fn used(&self, now: i64) -> u64 {
        let since_midnight = now.rem_euclid(DAY_MS) as u64;
        self.credits + self.credits_per_hour * since_midnight / HOUR_MS as u64
    }
}
