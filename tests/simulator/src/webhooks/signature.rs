//! `X-ZDesk-JWT` and the served key set (reference, §6.5).
//!
//! The two embedded keys are public and for tests only; rotation alternates between them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rsa::RsaPrivateKey;
use rsa::pkcs1v15::SigningKey;
use rsa::pkcs8::DecodePrivateKey;
use rsa::sha2::Sha256;
use rsa::signature::{SignatureEncoding, Signer as _};
use rsa::traits::PublicKeyParts;
use serde_json::{Value, json};

use crate::settings::WebhookSettings;

const PEMS: [&str; 2] =
    [include_str!("../keys/signing_key_a.pem"), include_str!("../keys/signing_key_b.pem")];

/// The claims of a token besides its issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) audience: String,
    pub(crate) issued_at: i64,
    pub(crate) expires: i64,
}

impl Claims {
    /// The claims of a delivery to a webhook at this time, in whole seconds.
    pub(crate) fn new(webhook: u64, now_ms: i64, settings: &WebhookSettings) -> Claims {
        let unit = if settings.signature_in_milliseconds { 1000 } else { 1 };
        let now = now_ms / 1000;
        let expires = now + settings.signature_life_seconds as i64;
        Claims { audience: audience(webhook), issued_at: now * unit, expires: expires * unit }
    }
}

/// The audience of a webhook's deliveries.
pub(crate) fn audience(webhook: u64) -> String {
    format!("webhookId:{webhook}")
}

/// Signs tokens and serves the public keys.
pub(crate) struct Signer {
    issuer: String,
    keys: Vec<RsaPrivateKey>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How often the key was rotated.
    rotations: u64,
    serves_previous: bool,
    /// The last token of each audience: one token serves all deliveries of a second, because signing is slow.
    recent: Vec<(Claims, String)>,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

fn key_id(rotation: u64) -> String {
    format!("simulator-key-{rotation}")
}

impl Signer {
    /// A signer with the organization as issuer.
    pub(crate) fn new(organization: &str) -> Signer {
        // The keys are compiled in; a test reads both.
        let keys = PEMS.iter().filter_map(|pem| RsaPrivateKey::from_pkcs8_pem(pem).ok()).collect();
        Signer { issuer: format!("orgId:{organization}"), keys, state: Mutex::default() }
    }

    /// A token for these claims by the current key.
    pub(crate) fn sign(&self, claims: &Claims) -> String {
        let mut state = self.lock();
        if let Some((_, token)) = state.recent.iter().find(|(known, _)| known == claims) {
            return token.clone();
        }
        let token = self.sign_as(claims, state.rotations, &key_id(state.rotations));
        state.recent.retain(|(known, _)| known.audience != claims.audience);
        state.recent.push((claims.clone(), token.clone()));
        token
    }

    /// The same without the cache.
    pub(crate) fn sign_uncached(&self, claims: &Claims) -> String {
        let rotations = self.lock().rotations;
        self.sign_as(claims, rotations, &key_id(rotations))
    }

    /// A forgery: a token by the other key with the `kid` of the current one.
    pub(crate) fn forge(&self, claims: &Claims) -> String {
        let rotations = self.lock().rotations;
        self.sign_as(claims, rotations + 1, &key_id(rotations))
    }

    /// A token by the current key with a `kid` that no key set has.
    pub(crate) fn sign_unknown(&self, claims: &Claims) -> String {
        let rotations = self.lock().rotations;
        self.sign_as(claims, rotations, "unknown-key")
    }

    fn sign_as(&self, claims: &Claims, rotation: u64, key_id: &str) -> String {
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": key_id});
        let body = json!({
            "iss": self.issuer, "aud": claims.audience, "iat": claims.issued_at, "exp": claims.expires,
        });
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&body));
        let signature = self.key(rotation).map(|key| {
            let signature = SigningKey::<Sha256>::new(key.clone()).try_sign(signed.as_bytes());
            signature.map(|signature| signature.to_vec()).unwrap_or_default()
        });
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.unwrap_or_default()))
    }

    fn key(&self, rotation: u64) -> Option<&RsaPrivateKey> {
        self.keys.get(rotation as usize % self.keys.len().max(1))
    }

    /// Switches to the other key and gives its `kid`. `serves_previous` keeps the old key in the key set.
    pub(crate) fn rotate(&self, serves_previous: bool) -> String {
        let mut state = self.lock();
        state.rotations += 1;
        state.serves_previous = serves_previous;
        state.recent.clear();
        key_id(state.rotations)
    }

    /// The public keys, as a JWK set.
    pub(crate) fn key_set(&self) -> Value {
        let state = self.lock();
        let mut rotations = vec![state.rotations];
        if state.serves_previous && state.rotations > 0 {
            rotations.push(state.rotations - 1);
        }
        let keys = rotations.iter().filter_map(|rotation| {
            let key = self.key(*rotation)?;
            Some(json!({
                "kty": "RSA", "alg": "RS256", "use": "sig", "kid": key_id(*rotation),
                "n": URL_SAFE_NO_PAD.encode(key.n().to_bytes_be()),
                "e": URL_SAFE_NO_PAD.encode(key.e().to_bytes_be()),
            }))
        });
        json!({"keys": keys.collect::<Vec<Value>>()})
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Claims, Signer};

    fn kids(signer: &Signer) -> Vec<String> {
        let keys = signer.key_set()["keys"].as_array().cloned().unwrap_or_default();
        keys.iter().map(|key| key["kid"].as_str().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn both_embedded_keys_can_be_read_and_differ() {
        let signer = Signer::new("1");
        assert_eq!(signer.keys.len(), 2);
        assert_ne!(signer.keys[0], signer.keys[1]);
    }

    #[test]
    fn a_rotation_changes_the_key_and_keeps_the_previous_one_in_the_key_set_if_asked() {
        let signer = Signer::new("1");
        let claims = Claims { audience: "webhookId:1".to_owned(), issued_at: 1, expires: 2 };
        let (token, modulus) = (signer.sign(&claims), signer.key_set()["keys"][0]["n"].clone());
        assert_eq!(kids(&signer), ["simulator-key-0"]);
        signer.rotate(true);
        assert_ne!(signer.sign(&claims), token, "the cached token is of the old key");
        assert_eq!(kids(&signer), ["simulator-key-1", "simulator-key-0"]);
        assert_ne!(signer.key_set()["keys"][0]["n"], modulus);
        signer.rotate(false);
        assert_eq!(kids(&signer), ["simulator-key-2"]);
    }
}
