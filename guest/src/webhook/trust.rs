//! The record of earlier deliveries of a connection, by which the next one is judged: whether Zoho signs
//! them, the body of each token, and the records that unsigned ones had read. Pure; knows no signature.

use std::collections::BTreeMap;

use rsa::sha2::{Digest, Sha256};
use serde::{Deserialize, Serialize};

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

/// The part that the session keeps.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Trust {
    /// A signature was verified once: unsigned deliveries are not from Zoho any more.
    pub(super) is_signed: bool,
    /// Start of the hour in which `unsigned_reads` records were read, Unix milliseconds.
    unsigned_since_ms: u64,
    unsigned_reads: u64,
}

impl Trust {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether deliveries are known to be signed.
    pub(crate) fn is_signed(&self) -> bool {
        self.is_signed
    }

    /// Takes `reads` from the hour's budget of unsigned deliveries. When fewer are left, takes nothing and
    /// returns false.
    pub(super) fn spend(&mut self, reads: usize, now_ms: u64) -> bool {
        let is_over = now_ms.abs_diff(self.unsigned_since_ms) >= limits::UNSIGNED_WINDOW_MS;
        let before = if is_over { 0 } else { self.unsigned_reads };
        let after = before + reads as u64;
        if reads == 0 || after > limits::UNSIGNED_READS_MAX {
            return reads == 0;
        }
        if is_over {
            self.unsigned_since_ms = now_ms;
        }
        self.unsigned_reads = after;
        true
    }
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

    #[test]
    fn the_budget_of_unsigned_deliveries_is_renewed_each_hour() {
        let mut trust = Trust::default();
        let most = limits::UNSIGNED_READS_MAX as usize;
        let start_ms = 10 * limits::UNSIGNED_WINDOW_MS;
        assert!(trust.spend(most - 1, start_ms) && trust.spend(1, start_ms));
        assert!(!trust.spend(1, start_ms + limits::UNSIGNED_WINDOW_MS - 1));
        assert!(trust.spend(0, start_ms));
        assert!(trust.spend(most, start_ms + limits::UNSIGNED_WINDOW_MS));
        assert!(!trust.spend(most + 1, start_ms + 3 * limits::UNSIGNED_WINDOW_MS));
    }
}
