//! The simulator's clock: the machine's, never before the end of the generated data, and movable
//! forward so that a test can expire a token without sleeping. Times are Unix milliseconds, UTC.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// The end of the generated data (2026-11-01T00:00:00Z). Fixed: equal seeds give equal data on any date.
pub(crate) const DATA_END_MS: i64 = 1_793_491_200_000;
/// The creation time of the oldest generated ticket (2024-01-01T00:00:00Z).
pub(crate) const DATA_START_MS: i64 = 1_704_067_200_000;

/// A clock that can be moved forward.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    offset_ms: AtomicI64,
}

impl Clock {
    /// The current time, at least one second after [`DATA_END_MS`].
    pub(crate) fn now_ms(&self) -> i64 {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64);
        wall.max(DATA_END_MS + 1_000) + self.offset_ms.load(Ordering::Relaxed)
    }

    /// Moves the clock forward; a negative value has no effect.
    pub(crate) fn advance(&self, ms: i64) {
        self.offset_ms.fetch_add(ms.max(0), Ordering::Relaxed);
    }
}
