//! Whether deliveries are known to be signed, by which tokens, and the records that unsigned ones had read.
//! Pure.

use serde::{Deserialize, Serialize};

use super::tokens::Tokens;
use crate::limits;

/// See the file's header.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Trust {
    /// A signature was verified once: unsigned deliveries are not from Zoho any more.
    pub(crate) is_signed: bool,
    /// Start of the hour in which `unsigned_reads` records were read, Unix milliseconds.
    unsigned_since_ms: u64,
    unsigned_reads: u64,
    /// Of earlier deliveries.
    pub(crate) tokens: Tokens,
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
    pub(crate) fn spend(&mut self, reads: usize, now_ms: u64) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

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
