//! Which keys signatures are verified with: the known ones, and when they are fetched again.

use super::keys::Keys;
use crate::api::Api;
use crate::error::{Error, Kind, Result};
use crate::limits;
use crate::transport::Transport;

const PATH: &str = "/.well-known/jwks.json";

/// The session's key set, prepared once for all signatures.
#[derive(Default)]
pub(crate) struct SigningKeys(Option<Keys>);

impl SigningKeys {
    /// The known keys, fetched when there are none or they are old.
    pub(super) fn known<T: Transport>(&mut self, api: &mut Api<T>) -> Result<&Keys> {
        self.get(api, None)
    }

    /// Keys that were fetched after `arrived_ms`, the arrival of a delivery signed by a key that is not
    /// known: a key that is unknown to these too is forged. Where keys may not be fetched yet, the error asks
    /// to retry the delivery.
    pub(super) fn newer_than<T: Transport>(&mut self, api: &mut Api<T>, arrived_ms: u64) -> Result<&Keys> {
        self.get(api, Some(arrived_ms))
    }

    fn get<T: Transport>(&mut self, api: &mut Api<T>, arrived_ms: Option<u64>) -> Result<&Keys> {
        let now_ms = api.transport().now_ms();
        let known = api.signing_keys();
        let age_ms = now_ms.saturating_sub(known.fetched_at_ms);
        let are_old = known.jwks.is_empty() || age_ms > limits::SIGNING_KEYS_LIFE_MS;
        // A replayed dead letter may have arrived before its key was published: such a key may be known by
        // now.
        let may_lack_it = arrived_ms.is_some_and(|arrived_ms| {
            known.fetched_at_ms <= arrived_ms || age_ms > limits::SIGNING_KEYS_RECHECK_MS
        });
        if may_lack_it && !are_old && age_ms < limits::SIGNING_KEYS_INTERVAL_MS {
            let message = "webhook delivery: its signing key is not known yet";
            let wait_ms = limits::SIGNING_KEYS_INTERVAL_MS - age_ms;
            return Err(Error::new(Kind::Unavailable, message).retry_after_ms(Some(wait_ms)));
        }
        if are_old || may_lack_it {
            match fetch(api) {
                Ok(jwks) => {
                    let known = api.signing_keys();
                    known.jwks = jwks;
                    // The time of the request: a key published after it is not decided by these.
                    known.fetched_at_ms = now_ms;
                    known.failing_since_ms = 0;
                    self.0 = None;
                }
                Err(error) => {
                    let known = api.signing_keys();
                    if known.failing_since_ms == 0 {
                        known.failing_since_ms = now_ms;
                    }
                    let failing_ms = now_ms.saturating_sub(known.failing_since_ms);
                    // An unknown key must not block deliveries that the known keys prove for as long as keys
                    // cannot be fetched.
                    let has_waited = arrived_ms.is_none() || failing_ms > limits::SIGNING_KEYS_OUTAGE_MS;
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

fn fetch<T: Transport>(api: &mut Api<T>) -> Result<Vec<serde_json::Value>> {
    let response = api.get_public(PATH)?;
    let mut found: serde_json::Value = serde_json::from_slice(&response.body).unwrap_or_default();
    match found.get_mut("keys").map(serde_json::Value::take) {
        Some(serde_json::Value::Array(jwks)) => Ok(jwks),
        _ => {
            let desk = &api.config().desk;
            let message = format!("{desk}{PATH}: HTTP {} and no keys in the answer", response.status);
            Err(Error::new(Kind::Unavailable, message))
        }
    }
}
