//! One secret of a URL, derived and never printed by accident.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// 256 bits in base64url.
#[derive(Clone)]
pub struct HookSecret(String);

impl std::fmt::Debug for HookSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HookSecret").finish_non_exhaustive()
    }
}

impl HookSecret {
    /// The same for the same key, connection and generation, for ever: URLs at the source depend on it.
    pub(super) fn derive(key: &[u8; 32], connection: &str, generation: u64) -> Self {
        // The label keeps it apart from whatever else the key is used for; the length, names from numbers.
        let mut block = [0_u8; 64]; // HMAC fills a key up with zeros to the hash's block.
        block[..key.len()].copy_from_slice(key);
        let mut mac = Hmac::<Sha256>::new(&block.into());
        mac.update(b"host-runner hook 1\0");
        mac.update(&(connection.len() as u64).to_le_bytes());
        mac.update(connection.as_bytes());
        mac.update(&generation.to_le_bytes());
        Self(URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    /// The text, for a URL that a person asked for. Tell the redactor before anything else sees it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}
