//! Which keys signatures are verified with: the known ones, and when they are fetched again.

use super::keys::Keys;
use crate::api::Api;
use crate::error::{Error, Kind, Result};
use crate::limits;
use crate::session::KeySet;
use crate::transport::Transport;

const PATH: &str = "/.well-known/jwks.json";

/// The session's key set, prepared once for all signatures.
#[derive(Default)]
pub(crate) struct SigningKeys(Option<Keys>);

impl SigningKeys {
    /// The known keys, fetched when there are none or they are old; at most once a minute while that fails.
    pub(super) fn known<T: Transport>(&mut self, api: &mut Api<T>) -> Result<&Keys> {
        self.get(api, None)
    }

    /// Keys that were fetched after `arrived_ms`, the arrival of a delivery that the known keys and clocks do
    /// not prove: a key that is unknown to these too is forged. Where keys may not be fetched yet, the error
    /// asks to retry the delivery.
    pub(super) fn newer_than<T: Transport>(&mut self, api: &mut Api<T>, arrived_ms: u64) -> Result<&Keys> {
        self.get(api, Some(arrived_ms))
    }

    /// Compares the clocks, at most once a minute, by fetching the keys: that costs no credits.
    pub(super) fn compare_clocks<T: Transport>(&mut self, api: &mut Api<T>) {
        drop(self.get(api, Some(0)));
    }

    fn get<T: Transport>(&mut self, api: &mut Api<T>, arrived_ms: Option<u64>) -> Result<&Keys> {
        let now_ms = api.transport().now_ms();
        let known = api.signing_keys();
        known.set_back(now_ms);
        let age_ms = now_ms.saturating_sub(known.fetched_at_ms);
        let are_old = known.jwks.is_empty() || age_ms > limits::SIGNING_KEYS_LIFE_MS;
        // A replayed dead letter may have arrived before its key was published: such a key may be known by
        // now.
        let may_lack_it = arrived_ms.is_some_and(|arrived_ms| {
            known.fetched_at_ms <= arrived_ms || age_ms > limits::SIGNING_KEYS_RECHECK_MS
        });
        let interval_ms = match known.failing_since_ms {
            0 => limits::SIGNING_KEYS_INTERVAL_MS,
            _ => limits::SIGNING_KEYS_RETRY_MS,
        };
        let since_ms = now_ms.abs_diff(known.tried_at_ms.max(known.fetched_at_ms));
        let is_early = since_ms < interval_ms;
        if are_old || may_lack_it {
            let fetched = if is_early { Err(not_yet(interval_ms - since_ms)) } else { fetch(api) };
            let known = api.signing_keys();
            if !is_early {
                // The time of the request: a key published after it is not decided by these.
                known.tried_at_ms = now_ms;
            }
            match fetched {
                Ok(jwks) => {
                    *known = KeySet { jwks, fetched_at_ms: now_ms, tried_at_ms: now_ms, failing_since_ms: 0 };
                    self.0 = None;
                }
                Err(error) => {
                    if !is_early && known.failing_since_ms == 0 {
                        known.failing_since_ms = now_ms;
                    }
                    let is_failing = known.failing_since_ms != 0;
                    let failing_ms = now_ms.abs_diff(known.failing_since_ms);
                    // An unknown key must not block deliveries that the known keys prove for as long as keys
                    // cannot be fetched.
                    let is_outage = is_failing && failing_ms > limits::SIGNING_KEYS_OUTAGE_MS;
                    let has_waited = arrived_ms.is_none() || is_outage;
                    let is_usable = !known.jwks.is_empty() && age_ms < limits::SIGNING_KEYS_STALE_MS;
                    if !(has_waited && is_usable) {
                        return Err(error);
                    }
                }
            }
        }
        Ok(self.0.get_or_insert_with(|| Keys::new(&api.signing_keys().jwks)))
    }
}

fn not_yet(wait_ms: u64) -> Error {
    let message = "webhook delivery: not verified yet: signing keys were fetched a moment ago";
    Error::new(Kind::Unavailable, message).retry_after_ms(Some(wait_ms))
}

fn fetch<T: Transport>(api: &mut Api<T>) -> Result<Vec<serde_json::Value>> {
    let response = api.get_public(PATH)?;
    let mut found: serde_json::Value = serde_json::from_slice(&response.body).unwrap_or_default();
    match found.get_mut("keys").map(serde_json::Value::take) {
        Some(serde_json::Value::Array(jwks)) if !jwks.is_empty() => Ok(jwks),
        _ => {
            let desk = &api.config().desk;
            let message = format!("{desk}{PATH}: HTTP {} and no keys in the answer", response.status);
            Err(Error::new(Kind::Unavailable, message))
        }
    }
}
