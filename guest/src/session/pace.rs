//! How many calls may be in flight: halved when the source refuses calls as too many, raised by one while it
//! answers. A burst of other users passes; a level that is refused twice in a row is beyond what the source
//! takes. Pure.

use serde::{Deserialize, Serialize};

use crate::limits;

/// Kept in the session while it differs from what the edition allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pace {
    /// Calls in flight.
    level: usize,
    /// The level that was refused last.
    refused: usize,
    /// Until when `refused` is not tried again, Unix milliseconds.
    refused_until_ms: u64,
    /// Calls answered since the level last changed.
    #[serde(default)]
    answered: usize,
}

impl Pace {
    /// Calls in flight when the edition allows `most`.
    pub(crate) fn level(pace: Option<&Self>, most: usize) -> usize {
        pace.map_or(most, |pace| pace.level.min(most)).max(1)
    }

    /// The pace after calls were refused. With one in flight that shows nothing: those of other users are too
    /// many.
    pub(crate) fn refused(pace: Option<Self>, most: usize, now_ms: u64) -> Option<Self> {
        let level = Self::level(pace.as_ref(), most);
        if level == 1 {
            return pace;
        }
        let is_again = pace.is_some_and(|pace| pace.refused == level);
        let (once_ms, again_ms) = limits::PACE_RETRY_MS;
        let refused_until_ms = now_ms.saturating_add(if is_again { again_ms } else { once_ms });
        Some(Self { level: level / 2, refused: level, refused_until_ms, answered: 0 })
    }

    /// The pace after `calls` calls without such a refusal; none when all that the edition allows are in
    /// flight again.
    pub(crate) fn answered(mut self, calls: usize, most: usize, now_ms: u64) -> Option<Self> {
        self.answered += calls;
        let is_remembered = now_ms < self.refused_until_ms;
        let bound = if is_remembered { most.min(self.refused.saturating_sub(1).max(1)) } else { most };
        if self.answered >= limits::PACE_CALLS && self.level < bound {
            self.level += 1;
            self.answered = 0;
        }
        // Until it has shown that all are taken: a refusal before counts as one of the same level.
        (self.level < most || self.answered < limits::PACE_CALLS).then_some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Levels over `waves` waves, a second each, of a source that takes `allowed` calls at once where the
    /// edition says 18.
    fn levels(allowed: impl Fn(u64) -> usize, waves: u64) -> Vec<usize> {
        let mut pace = None;
        (0..waves)
            .map(|wave| {
                let level = Pace::level(pace.as_ref(), 18);
                let now_ms = wave * 1000;
                pace = if level > allowed(wave) {
                    Pace::refused(pace, 18, now_ms)
                } else {
                    pace.and_then(|pace| pace.answered(100, 18, now_ms))
                };
                level
            })
            .collect()
    }

    #[test]
    fn the_level_falls_to_what_the_source_takes_and_stays_there_for_a_while() {
        let levels = levels(|_| 4, 300);
        assert_eq!(levels[..3], [18, 9, 4]);
        let refused: Vec<usize> = levels.iter().copied().filter(|level| *level > 4).collect();
        assert_eq!(refused, [18, 9, 5, 5], "the second refusal counts for longer: {levels:?}");
        assert!(levels[40..].iter().all(|level| *level <= 4), "{levels:?}");
    }

    #[test]
    fn a_burst_of_other_users_lowers_the_level_for_a_minute_and_not_for_ten() {
        for burst in [2, 5, 20] {
            let levels = levels(|wave| if wave < burst { 0 } else { 18 }, burst + 90);
            assert_eq!(levels[burst as usize..].iter().max(), Some(&18), "{burst}: {levels:?}");
            assert!(levels[burst as usize + 60] >= 9, "{burst}: {levels:?}");
        }
    }

    #[test]
    fn the_level_returns_to_the_editions_when_the_source_takes_it_again() {
        let most = levels(|_| 17, 600);
        assert!(most.iter().filter(|level| **level == 18).count() <= 4, "{most:?}");
        let once = Pace::refused(None, 18, 0).map(|pace| Pace { level: 18, ..pace });
        let mut pace = Pace::refused(once, 18, 0);
        for wave in 1..40 {
            pace = pace.and_then(|pace| pace.answered(100, 18, limits::PACE_RETRY_MS.1 - wave));
        }
        assert_eq!(Pace::level(pace.as_ref(), 18), 17, "it was refused twice");
        for wave in 1..40 {
            pace = pace.and_then(|pace| pace.answered(100, 18, limits::PACE_RETRY_MS.1 + wave));
        }
        assert_eq!(Pace::level(pace.as_ref(), 18), 18);
        assert_eq!(pace, None, "nothing is kept in the session");
    }

    #[test]
    fn one_call_is_always_allowed() {
        let mut pace = None;
        (0..9).for_each(|_| pace = Pace::refused(pace, 18, 0));
        assert_eq!(Pace::level(pace.as_ref(), 18), 1);
        assert_eq!(Pace::level(None, 0), 1);
        assert_eq!(Pace::refused(None, 1, 0), None);
    }
}
