//! The tokens of earlier deliveries, each with the first body that it came with: a token proves the sender of
//! a delivery and not its body. Kept in the session, because an instance lives for seconds and a token for
//! minutes. Pure; knows no signature.

use rsa::sha2::{Digest, Sha256};
use serde::{Deserialize, Serialize};

use crate::limits;

/// See the file's header.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Tokens {
    /// In their order.
    seen: Vec<Seen>,
    /// The latest end of a token that was forgotten. One that ends later was never seen if it is not known.
    forgotten_ms: u64,
}

/// Numbers, not texts: a host takes every text of a session for a secret, and searches for it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    /// When the token ends, and its digest.
    #[serde(rename = "t")]
    token: (u64, u64),
    /// Digest of the first body.
    #[serde(rename = "b")]
    body: u64,
    /// When that one arrived.
    #[serde(rename = "a")]
    at_ms: u64,
}

impl Tokens {
    /// True unless a valid `token`, which ends at `ends_ms`, came with another body before, or may have. Its
    /// times are whole seconds, so that all deliveries of one second may share one: other bodies are accepted
    /// for a short time.
    pub(crate) fn accept(&mut self, token: &str, ends_ms: u64, body: &[u8], at_ms: u64) -> bool {
        // The signature has several spellings.
        let signed = token.trim().rsplit_once('.').map_or(token, |(signed, _)| signed);
        let (token, body) = ((ends_ms, digest(signed.as_bytes())), digest(body));
        let index = match self.seen.binary_search_by_key(&token, |seen| seen.token) {
            Ok(index) => {
                let first = &self.seen[index];
                return first.body == body || at_ms.abs_diff(first.at_ms) <= limits::TOKEN_SHARED_MS;
            }
            Err(index) => index,
        };
        if ends_ms <= self.forgotten_ms {
            return false;
        }
        self.seen.insert(index, Seen { token, body, at_ms });
        if self.seen.len() > limits::TOKENS_SEEN_MAX {
            self.forgotten_ms = self.seen.remove(0).token.0;
        }
        true
    }
}

/// Sixty-four bits: another body of the same digest is not found while a token lasts.
fn digest(bytes: &[u8]) -> u64 {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_one_body_and_for_others_only_while_they_may_be_of_the_same_second() {
        let mut tokens = Tokens::default();
        assert!(tokens.accept("a.a.s", 9, b"1", 0));
        assert!(tokens.accept("a.a.s", 9, b"2", limits::TOKEN_SHARED_MS));
        for spelling in ["a.a.s", "a.a.s\u{a0}", "a.a.t"] {
            assert!(!tokens.accept(spelling, 9, b"2", limits::TOKEN_SHARED_MS + 1), "{spelling}");
        }
        assert!(tokens.accept("a.a.s", 9, b"1", 3_600_000), "a repeated delivery");
        assert!(tokens.accept("a.b.s", 9, b"2", limits::TOKEN_SHARED_MS + 1));
    }

    #[test]
    fn a_token_that_may_have_been_forgotten_proves_no_body() {
        let mut tokens = Tokens::default();
        let most = limits::TOKENS_SEEN_MAX as u64;
        for number in 1..=most + 1 {
            assert!(tokens.accept(&format!("a.{number}.s"), number, b"1", number));
        }
        assert_eq!(tokens.seen.len(), limits::TOKENS_SEEN_MAX);
        assert!(!tokens.accept("a.2.s", 2, b"2", u64::MAX), "the second oldest is still known");
        assert!(!tokens.accept("a.1.s", 1, b"1", 1), "the oldest is not");
        assert!(tokens.accept("a.2.s", 2, b"1", u64::MAX), "and nothing else was forgotten for it");
    }
}
