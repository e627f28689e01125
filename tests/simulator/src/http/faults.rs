//! The plan of faults. The fault of a request depends on the seed, the URL and the number of earlier requests
//! for that URL, so that concurrency does not change the plan. One exception: only the first
//! `invalid_token_max` tokens are invalidated, whatever the URL.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::rng::{Rng, hash};
use crate::settings::FaultSettings;

/// The fault of one request.
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
    /// Milliseconds before a correct answer.
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

/// The progress of the plan.
#[derive(Debug, Default)]
pub(crate) struct FaultPlan {
    progress: Mutex<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    urls: HashMap<u64, UrlProgress>,
    invalidated_tokens: u32,
}

#[derive(Debug, Default)]
struct UrlProgress {
    requests: u64,
    faults_in_a_row: u32,
}

impl FaultPlan {
    /// The fault of the next request for a URL. `token` is the access token of the request, which a fault may
    /// invalidate.
    pub(crate) fn next(&self, settings: &FaultSettings, url: &str, token: Option<&str>) -> Option<Fault> {
        let probabilities = [
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
        if probabilities.iter().all(|(probability, _)| *probability <= 0.0) {
            return None;
        }
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let can_invalidate = token.is_some() && progress.invalidated_tokens < settings.invalid_token_max;
        let key = hash(url.as_bytes());
        let url = progress.urls.entry(key).or_default();
        url.requests += 1;
        let mut rng = Rng::new(settings.seed, key, url.requests);
        let mut fault = None;
        // Every probability is drawn, also after a hit: each draw depends on its position alone.
        for (probability, candidate) in probabilities {
            let is_hit = rng.happens(probability);
            let is_possible = candidate != Fault::InvalidToken || can_invalidate;
            if is_hit && is_possible && fault.is_none() {
                fault = Some(candidate);
            }
        }
        if let Some(Fault::Slow(_)) = fault {
            return Some(Fault::Slow(1 + rng.below(settings.slow_ms_max.max(1))));
        }
        if fault.is_some() && url.faults_in_a_row >= settings.in_a_row_max {
            fault = None;
        }
        url.faults_in_a_row = if fault.is_some() { url.faults_in_a_row + 1 } else { 0 };
        if fault == Some(Fault::InvalidToken) {
            progress.invalidated_tokens += 1;
        }
        fault
    }

    /// Starts the plan from its beginning.
    pub(crate) fn restart(&self) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = Progress::default();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Fault, FaultPlan};
    use crate::settings::FaultSettings;

    /// The faults of three requests per URL, in the order of `urls`, named by URL and request.
    fn run(settings: &FaultSettings, urls: &[String]) -> BTreeSet<(String, u32, &'static str)> {
        let plan = FaultPlan::default();
        let requests = (0..3).flat_map(|number| urls.iter().map(move |url| (url.clone(), number)));
        let fault = |(url, number): (String, u32)| {
            plan.next(settings, &url, Some("token")).map(|fault| (url, number, fault.name()))
        };
        requests.filter_map(fault).collect()
    }

    fn urls() -> Vec<String> {
        (0..500).map(|number| format!("/tickets?from={number}")).collect()
    }

    #[test]
    fn at_most_in_a_row_max_faults_follow_each_other_for_one_url() {
        let settings = FaultSettings { dropped: 1.0, in_a_row_max: 2, ..FaultSettings::default() };
        let plan = FaultPlan::default();
        let hits: Vec<bool> =
            (0..6).map(|_| plan.next(&settings, "/a", None) == Some(Fault::Dropped)).collect();
        assert_eq!(hits, [true, true, false, true, true, false]);
    }

    #[test]
    fn a_seed_hits_the_same_requests_with_the_same_faults_in_any_order() {
        // Above the number of hits, because the bound on invalidated tokens depends on the order.
        let settings = FaultSettings { invalid_token_max: 1_500, ..FaultSettings::seeded(9) };
        let forward = run(&settings, &urls());
        let mut backward = urls();
        backward.reverse();
        assert_eq!(forward, run(&settings, &backward));
        let names: BTreeSet<&str> = forward.iter().map(|(_, _, name)| *name).collect();
        assert!(forward.len() > 100 && names.len() > 5, "{} faults: {names:?}", forward.len());
    }

    #[test]
    fn another_seed_hits_other_requests() {
        let hit = |seed| -> BTreeSet<(String, u32)> {
            let faults = run(&FaultSettings::seeded(seed), &urls());
            faults.into_iter().map(|(url, number, _)| (url, number)).collect()
        };
        let (first, second) = (hit(9), hit(10));
        let common = first.intersection(&second).count();
        assert!(common * 2 < first.len().min(second.len()), "{common} common hits");
    }

    #[test]
    fn no_more_than_invalid_token_max_tokens_are_invalidated() {
        let settings = FaultSettings { invalid_token: 1.0, invalid_token_max: 3, ..FaultSettings::default() };
        let faults = run(&settings, &urls());
        assert_eq!(faults.len(), 3, "{faults:?}");
    }

    #[test]
    fn a_request_without_a_token_has_none_invalidated() {
        let settings = FaultSettings { invalid_token: 1.0, ..FaultSettings::default() };
        assert_eq!(FaultPlan::default().next(&settings, "/a", None), None);
    }
}
