//! The secret of one webhook URL: derived, and hidden from `Debug`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac;

use crate::key::mac;

/// 256 bits in base64url.
#[derive(Clone)]
pub struct UrlSecret(String);

impl std::fmt::Debug for UrlSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UrlSecret").finish_non_exhaustive()
    }
}

impl UrlSecret {
    /// The same for the same key, connection and generation in every version: URLs at the source depend on
    /// it.
    pub(super) fn derive(key: &[u8; 32], connection: &str, generation: u64) -> Self {
        // The label separates this use of the key from others; the length separates names from numbers.
        let mut mac = mac(key);
        mac.update(b"host-runner hook 1\0");
        mac.update(&(connection.len() as u64).to_le_bytes());
        mac.update(connection.as_bytes());
        mac.update(&generation.to_le_bytes());
        Self(URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    /// A secret that is known to be one.
    pub(super) fn known(text: String) -> Self {
        Self(text)
    }

    /// The text. Give it to the redactor before anything else sees it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}
