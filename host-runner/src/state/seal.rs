//! Sealing: XChaCha20-Poly1305, a fresh random nonce in front, bound to the connection's name and the
//! purpose.
//!
//! Layout of sealed bytes: version (2), nonce (24), ciphertext with tag. Version 1 was sealed with the key of
//! the installation, version 2 is with one derived from it.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use crate::error::{Error, Result};
use crate::key::Key;

const VERSION: u8 = 2;
const VERSION_UNDERIVED: u8 = 1;
const LABEL: &[u8] = b"host-runner seal 2";
const NONCE_BYTES: usize = 24;

/// The purpose of a sealed text: one kind of sealed text does not open in place of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Tokens.
    Session,
    /// A registration at the source.
    Subscription,
    /// The secret of a webhook URL that an earlier key derived.
    UrlSecret,
}

/// The additional authenticated data. Unambiguous, because the name of a connection holds no `/`.
fn context(name: &str, purpose: Purpose) -> Vec<u8> {
    let purpose = match purpose {
        Purpose::Session => "session",
        Purpose::Subscription => "subscription",
        Purpose::UrlSecret => "url-secret",
    };
    format!("{name}/{purpose}").into_bytes()
}

/// Seals a text of the connection `name`.
pub(super) fn seal(key: &Key, name: &str, purpose: Purpose, text: &str) -> Result<Vec<u8>> {
    let mut nonce = [0_u8; NONCE_BYTES];
    getrandom::fill(&mut nonce)
        .map_err(|error| Error::state(format!("no randomness for sealing: {error}")))?;
    let cipher = XChaCha20Poly1305::new(&key.subkey(LABEL).into());
    let payload = Payload { msg: text.as_bytes(), aad: &context(name, purpose) };
    let sealed = cipher
        .encrypt(&XNonce::from(nonce), payload)
        .map_err(|_| Error::state(format!("connection `{name}`: its session is too large to seal")))?;
    Ok([&[VERSION], nonce.as_slice(), &sealed].concat())
}

/// Opens the output of [`seal`]; none if key, name, purpose or a single bit differs.
pub(super) fn open(key: &Key, name: &str, purpose: Purpose, sealed: &[u8]) -> Option<String> {
    let (version, rest) = sealed.split_first()?;
    let (nonce, ciphertext) = rest.split_at_checked(NONCE_BYTES)?;
    let key = match *version {
        VERSION => key.subkey(LABEL),
        VERSION_UNDERIVED => *key.bytes(),
        _ => return None,
    };
    let nonce: [u8; NONCE_BYTES] = nonce.try_into().ok()?;
    let cipher = XChaCha20Poly1305::new(&key.into());
    let payload = Payload { msg: ciphertext, aad: &context(name, purpose) };
    let text = cipher.decrypt(&XNonce::from(nonce), payload).ok()?;
    String::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::Purpose::{Session, Subscription};
    use super::{open, seal};
    use crate::key::Key;

    #[test]
    fn sealed_text_opens_with_the_same_key_name_purpose_and_bits_only() {
        let key = Key::from_bytes([1; 32]);
        let sealed = seal(&key, "acme", Session, "token").expect("sealed");
        assert_eq!(open(&key, "acme", Session, &sealed).as_deref(), Some("token"));
        assert_eq!(open(&key, "other", Session, &sealed), None);
        assert_eq!(open(&key, "acme", Subscription, &sealed), None);
        assert_eq!(open(&Key::from_bytes([2; 32]), "acme", Session, &sealed), None);
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert_eq!(open(&key, "acme", Session, &changed), None, "byte {index}");
        }
        for length in 0..sealed.len() {
            assert_eq!(open(&key, "acme", Session, &sealed[..length]), None, "length {length}");
        }
    }

    #[test]
    fn text_that_was_sealed_with_the_key_itself_opens() {
        // Key 01…, connection `acme`, session `token`, nonce 02….
        let sealed = [
            &[1][..],
            &[2; 24],
            &chacha20poly1305::aead::Aead::encrypt(
                &<chacha20poly1305::XChaCha20Poly1305 as chacha20poly1305::KeyInit>::new(&[1; 32].into()),
                &chacha20poly1305::XNonce::from([2; 24]),
                chacha20poly1305::aead::Payload { msg: b"token", aad: b"acme/session" },
            )
            .expect("sealed"),
        ]
        .concat();
        let key = Key::from_bytes([1; 32]);
        assert_eq!(open(&key, "acme", Session, &sealed).as_deref(), Some("token"));
    }

    #[test]
    fn sealing_twice_gives_different_bytes() {
        let key = Key::from_bytes([1; 32]);
        let seal = || seal(&key, "a", Session, "x").expect("sealed");
        assert_ne!(seal(), seal());
    }
}
