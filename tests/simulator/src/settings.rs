//! Behaviour that can be changed while the simulator runs, by `PATCH /_admin/settings`.
//!
//! The defaults are the documented service at its best: no faults, no lag, no latency.

use serde::{Deserialize, Serialize};

/// Switchable behaviour. Unknown names are refused, so that a misspelt switch is noticed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Lifecycle of an access token in seconds.
    pub token_life_seconds: u64,
    /// Access tokens per refresh token in ten minutes before "Access Denied"; 0 switches it off.
    pub token_throttle: u32,
    /// Active access tokens per refresh token; one more removes the oldest.
    pub active_tokens_max: usize,
    /// The accounts host answers as one of another data centre: `invalid_client`.
    pub wrong_data_center: bool,
    /// Credits per day; none: what the edition gives.
    pub daily_credits: Option<u64>,
    /// Calls at the same time; none: what the edition allows, 0: no limit.
    pub concurrency: Option<u32>,
    /// Time each API call takes at least, in milliseconds.
    pub latency_ms: u64,
    /// How long a mutation stays invisible to searches, in milliseconds.
    pub search_lag_ms: u64,
    /// Moments of new changes are cut to this many milliseconds; the real ones end in `.000Z`.
    pub time_resolution_ms: u32,
    /// A reply (thread) moves its ticket's `modifiedTime`. Not documented either way.
    pub thread_moves_modified_time: bool,
    /// A comment moves its ticket's `modifiedTime`. Not documented either way.
    pub comment_moves_modified_time: bool,
    /// Lists behave as if `from` were never sent.
    pub ignore_from: bool,
    /// Empty lists answer 200 with `{"data":[]}` instead of 204.
    pub empty_list_as_200: bool,
    /// Lists refuse the parameter `include` with 422.
    pub refuse_include: bool,
    /// Lists refuse the parameter `sortBy` with 422.
    pub refuse_sort_by: bool,
    /// Lists refuse the parameter `fields` with 422 (§9 of the reference, conflict 6).
    pub refuse_fields: bool,
    /// The ticket list takes `sortBy=modifiedTime`, which only one live connector reports (conflict 5).
    pub tickets_sort_by_modified_time: bool,
    /// After every so many ticket list pages a ticket is created or trashed; 0 switches it off.
    pub churn_every_pages: u32,
    /// The probabilities of faults.
    pub faults: FaultSettings,
    /// How webhooks are delivered.
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

/// The probabilities of faults, 0.0 to 1.0 each, tried in this order for every request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultSettings {
    /// The plan's own seed; equal seeds hit equal requests.
    pub seed: u64,
    /// The access token is invalidated early: 401 `INVALID_OAUTH`.
    pub invalid_token: f64,
    /// How many tokens the plan may invalidate in all, because issuing them is throttled.
    pub invalid_token_max: u32,
    /// 429 `TOO_MANY_REQUESTS`, without `Retry-After`.
    pub too_many_requests: f64,
    /// 429 `THRESHOLD_EXCEEDED`, with `Retry-After`.
    pub threshold_exceeded: f64,
    /// What `Retry-After` says in such a fault, in seconds.
    pub retry_after_seconds: u64,
    /// 500 `INTERNAL_SERVER_ERROR`.
    pub internal_error: f64,
    /// 502 with an HTML body.
    pub bad_gateway: f64,
    /// The connection closes without an answer.
    pub dropped: f64,
    /// The answer's body ends early.
    pub truncated: f64,
    /// The body is complete but no JSON.
    pub malformed: f64,
    /// The answer is slow.
    pub slow: f64,
    /// The longest delay of a slow answer, in milliseconds.
    pub slow_ms_max: u64,
    /// Most faults in a row for one URL, so that a client that retries gets through.
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
    /// A plan with a little of everything, decided by a seed.
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

/// How webhooks are delivered. Probabilities are 0.0 to 1.0 for each event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookSettings {
    /// Decides which events are hit.
    pub seed: u64,
    /// The event is sent twice.
    pub duplicate: f64,
    /// The event is never sent.
    pub drop: f64,
    /// The event, and those of its module behind it, wait before they are sent.
    pub delay: f64,
    /// The longest such wait, in milliseconds. Waits differ per module, which reorders modules.
    pub delay_ms_max: u64,
    /// The event waits for followers of its module and they go out in one array.
    pub batch: f64,
    /// Most events in one array.
    pub batch_max: usize,
    /// Tries after a failed delivery. Not documented, so none.
    pub retries: u32,
    /// How long a receiver may take, in milliseconds (§6.1: 5 s).
    pub timeout_ms: u64,
    /// Lifecycle of a signature in seconds.
    pub signature_life_seconds: u64,
    /// `iat` and `exp` are milliseconds, as the text of the documentation says.
    pub signature_in_milliseconds: bool,
    /// A trashed ticket arrives as `Ticket_Update` with `isTrashed` instead of `Ticket_Delete`.
    pub delete_as_update: bool,
    /// `eventTime` is ISO text instead of milliseconds.
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
