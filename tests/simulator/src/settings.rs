//! Behavior that can be changed while the simulator runs, by `PATCH /_admin/settings`.
//!
//! The defaults are the documented behavior without faults, lag and latency.

mod faults;
mod others;
mod readings;
mod rules;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use self::faults::FaultSettings;
pub use self::others::OtherUsers;
pub use self::readings::Readings;
pub use self::rules::{Broken, Rule, RuleAnswer};

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
    /// Calls with a body and without `Content-Length` are 411, as many servers in front of an API answer.
    pub require_content_length: bool,
    /// Ids of departments that the authorizing agent may not see.
    pub hidden_departments: Vec<String>,
    /// Hidden tickets are taken from a list page after paging, which makes the page short, or 204.
    pub hidden_make_pages_short: bool,
    /// Added to the time in `Date`, as by a host whose clock is wrong.
    pub date_skew_ms: i64,
    /// Credits and calls of other users of the organization.
    pub others: OtherUsers,
    /// The other reading of each conflict of the reference.
    pub readings: Readings,
    /// Faults of answers.
    pub faults: FaultSettings,
    /// Faults and form of webhook deliveries.
    pub webhooks: WebhookSettings,
}

impl Settings {
    /// These settings with an object merged into them, and objects inside it into the objects there. An
    /// unknown name is an error.
    pub fn merged(&self, patch: Value) -> Result<Settings, serde_json::Error> {
        let mut settings = json!(self);
        merge(&mut settings, patch);
        serde_json::from_value(settings)
    }
}

/// Merges a value into another: objects by key, everything else replaces.
pub(crate) fn merge(target: &mut Value, patch: Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(target.entry(key).or_insert(Value::Null), value);
            }
        }
        (target, patch) => *target = patch,
    }
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
            require_content_length: false,
            hidden_departments: Vec::new(),
            hidden_make_pages_short: false,
            date_skew_ms: 0,
            others: OtherUsers::default(),
            readings: Readings::default(),
            faults: FaultSettings::default(),
            webhooks: WebhookSettings::default(),
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
    /// The payload of a `*_Delete` is the whole record in place of its id (§6.4).
    pub delete_with_record: bool,
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
            delete_with_record: false,
            event_time_iso: false,
        }
    }
}
