//! `X-ZDesk-JWT` and the served key set (reference, §6.5).
//!
//! The two embedded keys are for tests and public; rotation alternates between them.

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

const PEMS: [&str; 2] =
    [include_str!("../keys/signing_key_a.pem"), include_str!("../keys/signing_key_b.pem")];

/// What a token claims beside its issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) audience: String,
    pub(crate) issued_at: i64,
    pub(crate) expires: i64,
}

/// Signs, and knows which keys are served.
pub(crate) struct Signer {
    issuer: String,
    keys: Vec<RsaPrivateKey>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How often the key was changed.
    rotations: u64,
    serves_previous: bool,
    /// The last token for each audience: claims hold for a second, and signing is slow.
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
    /// Signs for an organisation.
    pub(crate) fn new(organization: &str) -> Signer {
        // The keys are part of the program: that they can be read is tested.
        let keys = PEMS.iter().filter_map(|pem| RsaPrivateKey::from_pkcs8_pem(pem).ok()).collect();
        Signer { issuer: format!("orgId:{organization}"), keys, state: Mutex::default() }
    }

    /// A token for these claims, by the key of now.
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

    /// The same without looking for one that was made before.
    pub(crate) fn sign_anew(&self, claims: &Claims) -> String {
        let rotations = self.lock().rotations;
        self.sign_as(claims, rotations, &key_id(rotations))
    }

    /// A token by the other key under the name of the key of now: a forgery.
    pub(crate) fn forge(&self, claims: &Claims) -> String {
        let rotations = self.lock().rotations;
        self.sign_as(claims, rotations + 1, &key_id(rotations))
    }

    /// A token by the key of now under a name that no key set has.
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

    /// Signs with another key from now on; the key set may keep the one before.
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

    #[test]
    fn both_keys_can_be_read_and_rotation_changes_the_key_set() {
        let signer = Signer::new("1");
        assert_eq!(signer.keys.len(), 2);
        let claims = Claims { audience: "webhookId:1".to_owned(), issued_at: 1, expires: 2 };
        let before = (signer.sign(&claims), signer.key_set());
        assert_eq!(before.0, signer.sign(&claims));
        signer.rotate(true);
        assert_ne!(before.0, signer.sign(&claims));
        assert_eq!(signer.key_set()["keys"].as_array().map(Vec::len), Some(2));
        assert_ne!(before.0, signer.forge(&claims));
    }
}
