//! The simulator's clock: the machine's, never before the end of the generated data. A test moves it to
//! expire a token without sleeping, or lets it be slow, fast or jump, as a source's clock may. Times are Unix
//! milliseconds, UTC.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// The end of the generated data (2026-11-01T00:00:00Z). Fixed: equal seeds give equal data on any date.
pub(crate) const DATA_END_MS: i64 = 1_793_491_200_000;
/// The creation time of the oldest generated ticket (2024-01-01T00:00:00Z).
pub(crate) const DATA_START_MS: i64 = 1_704_067_200_000;

/// A clock that can be moved and run at another speed.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    offset_ms: AtomicI64,
    pace: Mutex<Pace>,
}

/// The speed since a time of the machine's clock.
#[derive(Clone, Copy, Debug)]
struct Pace {
    since_wall_ms: i64,
    speed: f64,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { since_wall_ms: 0, speed: 1.0 }
    }
}

impl Clock {
    /// The current time, at least one second after [`DATA_END_MS`].
    pub(crate) fn now_ms(&self) -> i64 {
        let wall = wall_ms();
        let Pace { since_wall_ms, speed } = *self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let gained = if speed == 1.0 { 0.0 } else { (wall - since_wall_ms) as f64 * (speed - 1.0) };
        (wall + self.offset_ms.load(Ordering::Relaxed) + gained as i64).max(DATA_END_MS + 1_000)
    }

    /// Moves the clock forward; a negative value has no effect.
    pub(crate) fn advance(&self, ms: i64) {
        self.offset_ms.fetch_add(ms.max(0), Ordering::Relaxed);
    }

    /// Sets the distance from the machine's clock: a jump, forward or back. Ends another speed.
    pub(crate) fn set_offset(&self, ms: i64) {
        self.offset_ms.store(ms, Ordering::Relaxed);
        *self.pace.lock().unwrap_or_else(PoisonError::into_inner) = Pace::default();
    }

    /// Lets the clock run at another speed from now on, 1.0 for the machine's.
    pub(crate) fn set_speed(&self, speed: f64) {
        let (now, wall) = (self.now_ms(), wall_ms());
        self.offset_ms.store(now - wall, Ordering::Relaxed);
        *self.pace.lock().unwrap_or_else(PoisonError::into_inner) = Pace { since_wall_ms: wall, speed };
    }
}

/// The machine's clock, at least at the end of the generated data.
fn wall_ms() -> i64 {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64);
    wall.max(DATA_END_MS + 1_000)
}

#[cfg(test)]
mod tests {
    use super::{Clock, DATA_END_MS, wall_ms};

    #[test]
    fn a_jump_back_ends_at_the_end_of_the_data() {
        let clock = Clock::default();
        clock.set_offset(-100_000_000_000);
        assert_eq!(clock.now_ms(), DATA_END_MS + 1_000);
        clock.set_offset(3_600_000);
        assert!(clock.now_ms() >= wall_ms() + 3_599_000);
    }

    #[test]
    fn a_change_of_speed_moves_no_time() {
        let clock = Clock::default();
        clock.advance(5_000);
        let before = clock.now_ms();
        clock.set_speed(1_000.0);
        assert!((before..before + 3_600_000).contains(&clock.now_ms()));
    }
}
