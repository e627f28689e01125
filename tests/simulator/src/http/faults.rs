//! A seeded plan of faults. Whether a request is hit hangs only on the plan's seed, the URL and how
//! often the URL was asked for, so that concurrency does not change the plan.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::rng::{Rng, hash};
use crate::settings::FaultSettings;

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    InvalidToken,
    TooManyRequests,
    ThresholdExceeded,
    InternalError,
    BadGateway,
    Dropped,
    Truncated,
    Malformed,
    /// Milliseconds to wait before a right answer.
    Slow(u64),
}

impl Fault {
    /// The name in `/_admin/stats`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Fault::InvalidToken => "invalidToken",
            Fault::TooManyRequests => "tooManyRequests",
            Fault::ThresholdExceeded => "thresholdExceeded",
            Fault::InternalError => "internalError",
            Fault::BadGateway => "badGateway",
            Fault::Dropped => "dropped",
            Fault::Truncated => "truncated",
            Fault::Malformed => "malformed",
            Fault::Slow(_) => "slow",
        }
    }
}

/// What the plan remembers.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    urls: HashMap<u64, Asked>,
    tokens: u32,
}

#[derive(Debug, Default)]
struct Asked {
    times: u64,
    in_a_row: u32,
}

impl Plan {
    /// Decides about a request. `with_token`: whether it carries a token that can be invalidated.
    pub(crate) fn decide(&self, settings: &FaultSettings, url: &str, with_token: bool) -> Option<Fault> {
        let chances = [
            (settings.invalid_token, Fault::InvalidToken),
            (settings.too_many_requests, Fault::TooManyRequests),
            (settings.threshold_exceeded, Fault::ThresholdExceeded),
            (settings.internal_error, Fault::InternalError),
            (settings.bad_gateway, Fault::BadGateway),
            (settings.dropped, Fault::Dropped),
            (settings.truncated, Fault::Truncated),
            (settings.malformed, Fault::Malformed),
            (settings.slow, Fault::Slow(0)),
        ];
        if chances.iter().all(|(chance, _)| *chance <= 0.0) {
            return None;
        }
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let tokens_left = with_token && memory.tokens < settings.invalid_token_max;
        let key = hash(url.as_bytes());
        let asked = memory.urls.entry(key).or_default();
        asked.times += 1;
        let mut rng = Rng::new(settings.seed, key, asked.times);
        let mut fault = None;
        for (chance, candidate) in chances {
            let hit = rng.happens(chance);
            let possible = candidate != Fault::InvalidToken || tokens_left;
            if hit && possible && fault.is_none() {
                fault = Some(candidate);
            }
        }
        if let Some(Fault::Slow(_)) = fault {
            return Some(Fault::Slow(1 + rng.below(settings.slow_ms_max.max(1))));
        }
        if fault.is_some() && asked.in_a_row >= settings.in_a_row_max {
            fault = None;
        }
        asked.in_a_row = if fault.is_some() { asked.in_a_row + 1 } else { 0 };
        if fault == Some(Fault::InvalidToken) {
            memory.tokens += 1;
        }
        fault
    }

    /// Forgets what was asked for, so that a new plan begins at its beginning.
    pub(crate) fn restart(&self) {
        *self.memory.lock().unwrap_or_else(PoisonError::into_inner) = Memory::default();
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, Plan};
    use crate::settings::FaultSettings;

    #[test]
    fn a_client_that_retries_gets_through() {
        let settings = FaultSettings { dropped: 1.0, in_a_row_max: 2, ..FaultSettings::default() };
        let plan = Plan::default();
        let hits: Vec<bool> =
            (0..6).map(|_| plan.decide(&settings, "/a", false) == Some(Fault::Dropped)).collect();
        assert_eq!(hits, [true, true, false, true, true, false]);
    }

    #[test]
    fn equal_seeds_hit_equal_requests_in_any_order() {
        let settings = FaultSettings::seeded(9);
        let urls: Vec<String> = (0..500).map(|number| format!("/tickets?from={number}")).collect();
        let (first, second) = (Plan::default(), Plan::default());
        let forward: Vec<_> = urls.iter().map(|url| first.decide(&settings, url, true)).collect();
        let mut back: Vec<_> = urls.iter().rev().map(|url| second.decide(&settings, url, true)).collect();
        back.reverse();
        assert_eq!(forward.iter().flatten().count(), back.iter().flatten().count());
        assert!(forward.iter().flatten().count() > 10);
    }
}
