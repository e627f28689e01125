//! Whether deliveries are known to be signed, by which tokens, and the records that unsigned ones had read.
//! Pure.

use serde::{Deserialize, Serialize};

use super::tokens::Tokens;
use crate::limits;
use crate::members::is_default;

/// See the file's header.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Trust {
    /// A signature was verified once: unsigned deliveries are not from Zoho any more.
    pub(crate) is_signed: bool,
    /// Start of the hour in which `unsigned_reads` records were read, Unix milliseconds.
    unsigned_since_ms: u64,
    unsigned_reads: u64,
    /// Reads of that hour that failed, of which the first are not in `unsigned_reads`.
    #[serde(skip_serializing_if = "is_default")]
    unsigned_failed: u64,
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

    /// Gives reads back that failed: an outage must not use the budget up. A record may fail always, so that
    /// a bounded number is given back.
    pub(crate) fn give_back(&mut self, failed: usize) {
        let left = limits::UNSIGNED_FAILED_MAX.saturating_sub(self.unsigned_failed);
        self.unsigned_reads = self.unsigned_reads.saturating_sub((failed as u64).min(left));
        self.unsigned_failed += failed as u64;
    }

    /// How long a delivery beyond the budget waits where failed reads have used a part of it: it is not
    /// refused for good.
    pub(crate) fn wait_ms(&self, now_ms: u64) -> Option<u64> {
        let left_ms = limits::UNSIGNED_WINDOW_MS.checked_sub(now_ms.abs_diff(self.unsigned_since_ms));
        left_ms.filter(|left_ms| *left_ms > 0 && self.unsigned_failed > limits::UNSIGNED_FAILED_MAX)
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
            (self.unsigned_since_ms, self.unsigned_failed) = (now_ms, 0);
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

    #[test]
    fn failed_reads_of_unsigned_deliveries_are_given_back_and_bounded_all_the_same() {
        let mut trust = Trust::default();
        let (most, start_ms) = (limits::UNSIGNED_READS_MAX as usize, 10 * limits::UNSIGNED_WINDOW_MS);
        let mut reads = 0;
        while trust.spend(most, start_ms) {
            assert!(reads < 10_000);
            trust.give_back(most);
            reads += most as u64;
        }
        assert_eq!(reads, limits::UNSIGNED_FAILED_MAX + limits::UNSIGNED_READS_MAX);
        assert_eq!(trust.wait_ms(start_ms + 7), Some(limits::UNSIGNED_WINDOW_MS - 7), "not refused for good");
        assert_eq!(trust.wait_ms(start_ms + limits::UNSIGNED_WINDOW_MS), None, "of the hour before");
        assert!(trust.spend(most, start_ms + limits::UNSIGNED_WINDOW_MS));
        assert_eq!(trust.wait_ms(start_ms + limits::UNSIGNED_WINDOW_MS), None);
    }

    #[test]
    fn a_delivery_beyond_the_budget_waits_only_where_failed_reads_have_used_a_part_of_it() {
        let mut trust = Trust::default();
        let (most, start_ms) = (limits::UNSIGNED_READS_MAX as usize, 10 * limits::UNSIGNED_WINDOW_MS);
        assert!(trust.spend(most, start_ms));
        trust.give_back(1);
        assert!(trust.spend(1, start_ms) && !trust.spend(1, start_ms));
        assert_eq!(trust.wait_ms(start_ms), None);
    }
}
