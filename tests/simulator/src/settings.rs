//! Behavior that can be changed while the simulator runs, by `PATCH /_admin/settings`.
//!
//! The defaults are the documented behavior without faults, lag and latency.

use serde::{Deserialize, Serialize};

/// Switchable behavior. Unknown names are rejected, so that a typo is an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Life of an access token in seconds.
    pub token_life_seconds: u64,
    /// Access tokens per refresh token and ten minutes; one more is "Access Denied". 0: no limit.
    pub token_throttle: u32,
    /// Active access tokens per refresh token; one more removes the oldest.
    pub active_tokens_max: usize,
    /// The accounts host answers `invalid_client`, as that of another data center.
    pub wrong_data_center: bool,
    /// Credits per day; none: those of the edition.
    pub daily_credits: Option<u64>,
    /// Concurrent API calls allowed; none: those of the edition, 0: no limit.
    pub concurrency: Option<u32>,
    /// Shortest duration of an API call, in milliseconds.
    pub latency_ms: u64,
    /// Milliseconds before searches show a change.
    pub search_lag_ms: u64,
    /// Resolution of the times of changes, in milliseconds. Live records have whole seconds (§3.3).
    pub time_resolution_ms: u32,
    /// A new thread updates its ticket's `modifiedTime`. Not documented either way.
    pub thread_moves_modified_time: bool,
    /// A comment updates its ticket's `modifiedTime`. Not documented either way.
    pub comment_moves_modified_time: bool,
    /// Lists and searches ignore `from`.
    pub ignore_from: bool,
    /// Empty lists are 200 with `{"data":[]}` in place of 204.
    pub empty_list_as_200: bool,
    /// The parameter `include` is 422.
    pub refuse_include: bool,
    /// The parameter `sortBy` is 422.
    pub refuse_sort_by: bool,
    /// The parameter `fields` is 422 (reference, §9, conflict 6).
    pub refuse_fields: bool,
    /// The ticket list accepts `sortBy=modifiedTime`, which one live connector reports (conflict 5).
    pub tickets_sort_by_modified_time: bool,
    /// Ticket list pages after which a ticket is created or trashed; 0: never.
    pub churn_every_pages: u32,
    /// Faults of answers.
    pub faults: FaultSettings,
    /// Faults and form of webhook deliveries.
    pub webhooks: WebhookSettings,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            token_life_seconds: 3_600,
            token_throttle: 10,
            active_tokens_max: 15,
            wrong_data_center: false,
            daily_credits: None,
            concurrency: None,
            latency_ms: 0,
            search_lag_ms: 0,
            time_resolution_ms: 1_000,
            thread_moves_modified_time: true,
            comment_moves_modified_time: false,
            ignore_from: false,
            empty_list_as_200: false,
            refuse_include: false,
            refuse_sort_by: false,
            refuse_fields: false,
            tickets_sort_by_modified_time: false,
            churn_every_pages: 0,
            faults: FaultSettings::default(),
            webhooks: WebhookSettings::default(),
        }
    }
}

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

/// Faults and form of webhook deliveries. Probabilities are 0.0 to 1.0 per event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookSettings {
    /// The seed of the faults: equal seeds hit equal events.
    pub seed: u64,
    /// The event is delivered twice.
    pub duplicate: f64,
    /// The event is not delivered.
    pub drop: f64,
    /// The event is delayed, and with it the later events of its module.
    pub delay: f64,
    /// Longest delay in milliseconds. Delays differ per module, which reorders events of several modules.
    pub delay_ms_max: u64,
    /// The event waits `delay_ms_max` and is delivered in one array with the events queued meanwhile.
    pub batch: f64,
    /// Most events in one array.
    pub batch_max: usize,
    /// Retries after a failed delivery. Retries are not documented; the default is none.
    pub retries: u32,
    /// Time that a receiver has to answer, in milliseconds (§6.1: 5 s).
    pub timeout_ms: u64,
    /// Life of a signature in seconds.
    pub signature_life_seconds: u64,
    /// `iat` and `exp` are milliseconds, as the documentation's text says; its example has seconds (§6.5).
    pub signature_in_milliseconds: bool,
    /// A deletion is delivered as `*_Update` with `isTrashed` in place of `*_Delete` (§7).
    pub delete_as_update: bool,
    /// `eventTime` is ISO 8601 text in place of milliseconds (§6.4).
    pub event_time_iso: bool,
}

impl Default for WebhookSettings {
    fn default() -> WebhookSettings {
        WebhookSettings {
            seed: 0,
            duplicate: 0.0,
            drop: 0.0,
            delay: 0.0,
            delay_ms_max: 50,
            batch: 0.0,
            batch_max: 10,
            retries: 0,
            timeout_ms: 5_000,
            signature_life_seconds: 300,
            signature_in_milliseconds: false,
            delete_as_update: false,
            event_time_iso: false,
        }
    }
}
