//! Sealing: XChaCha20-Poly1305, a fresh random nonce in front, bound to the connection's name.
//!
//! Layout of sealed bytes: version (1), nonce (24), ciphertext with tag.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use super::key::Key;
use crate::error::{Error, Result};

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;

/// Seals a text for `owner`.
pub(super) fn seal(key: &Key, owner: &[u8], text: &str) -> Result<Vec<u8>> {
    let mut nonce = [0_u8; NONCE_BYTES];
    getrandom::fill(&mut nonce)
        .map_err(|error| Error::state(format!("no randomness to seal a session: {error}")))?;
    let cipher = XChaCha20Poly1305::new(key.bytes().into());
    let payload = Payload { msg: text.as_bytes(), aad: owner };
    let sealed = cipher
        .encrypt(&XNonce::from(nonce), payload)
        .map_err(|_| Error::state("the session is too large to seal"))?;
    Ok([&[VERSION], nonce.as_slice(), &sealed].concat())
}

/// Opens what [`seal`] made; none if the key, the owner or a single bit differs.
pub(super) fn open(key: &Key, owner: &[u8], sealed: &[u8]) -> Option<String> {
    let (version, rest) = sealed.split_first()?;
    let (nonce, ciphertext) = rest.split_at_checked(NONCE_BYTES)?;
    if *version != VERSION {
        return None;
    }
    let nonce: [u8; NONCE_BYTES] = nonce.try_into().ok()?;
    let cipher = XChaCha20Poly1305::new(key.bytes().into());
    let payload = Payload { msg: ciphertext, aad: owner };
    let text = cipher.decrypt(&XNonce::from(nonce), payload).ok()?;
    String::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::{open, seal};
    use crate::state::key::Key;

    #[test]
    fn a_changed_bit_another_owner_or_key_does_not_open() {
        let key = Key::from_bytes([1; 32]);
        let sealed = seal(&key, b"acme", "token").expect("sealed");
        assert_eq!(open(&key, b"acme", &sealed).as_deref(), Some("token"));
        assert_eq!(open(&key, b"other", &sealed), None);
        assert_eq!(open(&Key::from_bytes([2; 32]), b"acme", &sealed), None);
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert_eq!(open(&key, b"acme", &changed), None, "byte {index}");
        }
        for length in 0..sealed.len() {
            assert_eq!(open(&key, b"acme", &sealed[..length]), None, "length {length}");
        }
    }

    #[test]
    fn sealing_twice_gives_different_bytes() {
        let key = Key::from_bytes([1; 32]);
        assert_ne!(seal(&key, b"a", "x").expect("sealed"), seal(&key, b"a", "x").expect("sealed"));
    }
}
