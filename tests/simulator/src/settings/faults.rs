//! Faults of answers: a plan of small probabilities, and rules for chosen calls.

use serde::{Deserialize, Serialize};

use crate::settings::Rule;

/// The plan of faults: a probability of 0.0 to 1.0 each, drawn in this order for every request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultSettings {
    /// The seed of the plan: equal seeds hit equal requests.
    pub seed: u64,
    /// The access token of the request is invalidated: 401 `INVALID_OAUTH`.
    pub invalid_token: f64,
    /// Tokens that the plan invalidates in total. Bounded, because issuing tokens is throttled.
    pub invalid_token_max: u32,
    /// 429 `TOO_MANY_REQUESTS`, without `Retry-After`.
    pub too_many_requests: f64,
    /// 429 `THRESHOLD_EXCEEDED`, with `Retry-After`.
    pub threshold_exceeded: f64,
    /// `Retry-After` of that fault, in seconds.
    pub retry_after_seconds: u64,
    /// 500 `INTERNAL_SERVER_ERROR`.
    pub internal_error: f64,
    /// 502 with an HTML body.
    pub bad_gateway: f64,
    /// The connection closes without an answer.
    pub dropped: f64,
    /// The connection closes in the middle of the body.
    pub truncated: f64,
    /// The body has its promised length and is not JSON.
    pub malformed: f64,
    /// The answer is delayed.
    pub slow: f64,
    /// Longest delay of an answer, in milliseconds.
    pub slow_ms_max: u64,
    /// Most faults in a row for one URL, so that a client that retries succeeds. Delays do not count.
    pub in_a_row_max: u32,
    /// Milliseconds before a call that hangs is closed without an answer.
    pub hang_ms: u64,
    /// Rules, which come before the probabilities. The first that applies to a call decides.
    pub rules: Vec<Rule>,
}

impl Default for FaultSettings {
    fn default() -> FaultSettings {
        FaultSettings {
            seed: 0,
            invalid_token: 0.0,
            invalid_token_max: 3,
            too_many_requests: 0.0,
            threshold_exceeded: 0.0,
            retry_after_seconds: 1,
            internal_error: 0.0,
            bad_gateway: 0.0,
            dropped: 0.0,
            truncated: 0.0,
            malformed: 0.0,
            slow: 0.0,
            slow_ms_max: 50,
            in_a_row_max: 2,
            hang_ms: 60_000,
            rules: Vec::new(),
        }
    }
}

impl FaultSettings {
    /// The predefined plan: every fault with a small probability.
    pub fn seeded(seed: u64) -> FaultSettings {
        FaultSettings {
            seed,
            invalid_token: 0.003,
            too_many_requests: 0.02,
            threshold_exceeded: 0.002,
            internal_error: 0.01,
            bad_gateway: 0.01,
            dropped: 0.01,
            truncated: 0.01,
            malformed: 0.003,
            slow: 0.03,
            ..FaultSettings::default()
        }
    }
}
