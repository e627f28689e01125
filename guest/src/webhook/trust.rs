//! How far a delivery is proved, and the tokens of earlier ones, each with its body. Pure; knows no
//! signature.

use std::collections::BTreeMap;

use rsa::sha2::{Digest, Sha256};

use crate::limits;

/// How far a delivery is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// It is not signed.
    Unsigned,
    /// Signed by Zoho for this organization: for which webhook, or for which body, is not certain.
    Organization,
    /// Signed by Zoho for this webhook, by a token that came with no other body before.
    Webhook,
}

/// The tokens that were verified, each with the first body that it came with.
#[derive(Default)]
pub(super) struct Tokens(BTreeMap<[u8; 32], First>);

struct First {
    body: [u8; 32],
    at_ms: u64,
}

impl Tokens {
    /// True unless `token` came with another body before. Tokens have times in whole seconds, so that all
    /// deliveries of one second may share one: other bodies are accepted for a short time.
    pub(super) fn accept(&mut self, token: &str, body: &[u8], at_ms: u64) -> bool {
        let digest = |bytes: &[u8]| -> [u8; 32] { Sha256::digest(bytes).into() };
        let (token, body) = (digest(token.as_bytes()), digest(body));
        if let Some(first) = self.0.get(&token) {
            return first.body == body || at_ms.abs_diff(first.at_ms) <= limits::TOKEN_SHARED_MS;
        }
        if self.0.len() >= limits::TOKENS_SEEN_MAX {
            let oldest = self.0.iter().min_by_key(|(_, first)| first.at_ms).map(|(token, _)| *token);
            oldest.map(|oldest| self.0.remove(&oldest));
        }
        self.0.insert(token, First { body, at_ms });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_one_body_and_for_others_only_while_they_may_be_of_the_same_second() {
        let mut tokens = Tokens::default();
        assert!(tokens.accept("a", b"1", 0));
        assert!(tokens.accept("a", b"2", limits::TOKEN_SHARED_MS));
        assert!(!tokens.accept("a", b"2", limits::TOKEN_SHARED_MS + 1));
        assert!(tokens.accept("a", b"1", 3_600_000), "a repeated delivery");
        assert!(tokens.accept("b", b"2", limits::TOKEN_SHARED_MS + 1));
    }

    #[test]
    fn the_oldest_token_is_evicted_when_there_are_too_many() {
        let mut tokens = Tokens::default();
        for number in 0..=limits::TOKENS_SEEN_MAX as u64 {
            tokens.accept(&number.to_string(), b"1", number);
        }
        assert_eq!(tokens.0.len(), limits::TOKENS_SEEN_MAX);
        assert!(!tokens.accept("1", b"2", u64::MAX), "the second oldest is still known");
        assert!(tokens.accept("0", b"2", u64::MAX));
    }
}
