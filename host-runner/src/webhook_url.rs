//! The secrets in webhook URLs: derived, shown on request, rotated with a grace period, compared.
//!
//! A URL is `<public>/hooks/<connection>/<secret>`, the secret 256 bits in base64url. The secret is not
//! stored: it is HMAC-SHA256 of the installation's key over connection and generation, so that the holder of
//! the key file can derive it again. Stored are the generation and the secret's SHA-256. A generation is the
//! millisecond of its creation: a state that is lost and created again never brings a rotated secret back.
//!
//! Does not know HTTP, nor where [`UrlSecrets`] is stored.

mod public_url;
mod registry;
mod secret;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::clock::millis;

pub use self::public_url::{PublicUrl, Warning};
pub use self::registry::{Access, UrlRegistry, WebhookUrls};
pub use self::secret::UrlSecret;

/// The first part of the path of every webhook URL.
pub const PREFIX: &str = "/hooks/";
/// How long a rotated secret still works: time to change the URL at the source by hand, over a weekend.
pub const GRACE: Duration = Duration::from_secs(3 * 24 * 3600);

/// The stored form of a connection's secrets: hashes, not the secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UrlSecrets {
    /// When the current secret was created, in milliseconds since 1970; the secret is derived from it.
    generation: u64,
    current: Hash,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<Previous>,
}

/// A rotated secret that works until its grace period ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Previous {
    hash: Hash,
    until_ms: u64,
}

/// SHA-256 of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Hash([u8; 32]);

impl Hash {
    fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> Self {
        URL_SAFE_NO_PAD.encode(hash.0)
    }
}

impl TryFrom<String> for Hash {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or("not a SHA-256 in base64url")
    }
}

impl UrlSecrets {
    /// The first secret of a connection.
    pub fn generate(key: &[u8; 32], connection: &str, now_ms: u64) -> Self {
        let current = Hash::of(UrlSecret::derive(key, connection, now_ms).reveal());
        Self { generation: now_ms, current, previous: None }
    }

    /// Replaces the current secret, which keeps working for `grace`; the previous one stops now.
    pub fn rotate(&mut self, key: &[u8; 32], connection: &str, now_ms: u64, grace: Duration) {
        let grace_ms = millis(grace);
        let previous = Previous { hash: self.current, until_ms: now_ms.saturating_add(grace_ms) };
        // Two rotations within a millisecond, or a clock that was set back, must not derive the same secret.
        let generation = now_ms.max(self.generation.saturating_add(1));
        *self = Self { previous: Some(previous), ..Self::generate(key, connection, generation) };
    }

    /// The current secret; none if it was created with another key.
    pub fn reveal(&self, key: &[u8; 32], connection: &str) -> Option<UrlSecret> {
        let secret = UrlSecret::derive(key, connection, self.generation);
        (Hash::of(secret.reveal()) == self.current).then_some(secret)
    }

    /// The current secret, if this text is it; for one that an earlier key derived.
    pub(crate) fn recognize(&self, text: String) -> Option<UrlSecret> {
        (Hash::of(&text) == self.current).then(|| UrlSecret::known(text))
    }

    /// Whether a secret is valid now. Takes the same time for every secret.
    pub fn matches(&self, secret: &str, now_ms: u64) -> bool {
        self.matches_hash(&Hash::of(secret), now_ms).into()
    }

    fn matches_hash(&self, hash: &Hash, now_ms: u64) -> Choice {
        let (previous, until_ms) = match &self.previous {
            Some(previous) => (previous.hash, previous.until_ms),
            None => (self.current, 0),
        };
        let in_grace = Choice::from(u8::from(now_ms < until_ms));
        self.current.0.ct_eq(&hash.0) | (previous.0.ct_eq(&hash.0) & in_grace)
    }
}

/// The URL to enter at the source.
pub fn url(public: &PublicUrl, connection: &str, secret: &UrlSecret) -> String {
    format!("{}{PREFIX}{connection}/{}", public.as_str(), secret.reveal())
}

#[cfg(test)]
mod tests;
