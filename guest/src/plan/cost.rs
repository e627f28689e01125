//! Prices: those of `zoho-desk-api.md` §5.2, the newer and the older ones. Pure.

use std::ops::{Add, AddAssign, Mul};

/// Calls with their credits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) calls: u64,
    pub(crate) credits: u64,
    /// By the older prices, which some portals have (§9, conflict 10): no call shows it before a page is far
    /// down a list.
    pub(crate) older_credits: u64,
}

impl Cost {
    /// One record, by its id.
    pub(crate) const RECORD: Self = Self { calls: 1, credits: 1, older_credits: 1 };
    /// A count, and a page near the start of a list or search.
    pub(crate) const PAGE: Self = Self { calls: 1, credits: 3, older_credits: 3 };

    /// A page of a list or search.
    pub(super) fn page(from: u64) -> Self {
        let (credits, older_credits) = match from {
            0..=2_000 => (3, 3),
            2_001..=10_000 => (5, 10),
            10_001..=50_000 => (10, 50),
            50_001..=100_000 => (50, 50),
            _ => (100, 100),
        };
        Self { calls: 1, credits, older_credits }
    }

    /// The pages that show `rows` rows, each with the last row of the page before, and `after` more of them,
    /// which show that there are no others.
    pub(super) fn pages(rows: u64, limit: u64, after: u64) -> Self {
        let step = limit.saturating_sub(1).max(1);
        let count = 1 + rows.saturating_sub(limit).div_ceil(step);
        (0..count + after).map(|page| Self::page((page * step).min(rows.max(1)))).sum()
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            calls: self.calls + other.calls,
            credits: self.credits + other.credits,
            older_credits: self.older_credits + other.older_credits,
        }
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Mul<u64> for Cost {
    type Output = Self;

    fn mul(self, times: u64) -> Self {
        Self {
            calls: self.calls * times,
            credits: self.credits * times,
            older_credits: self.older_credits * times,
        }
    }
}

impl std::iter::Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::default(), Add::add)
    }
}
