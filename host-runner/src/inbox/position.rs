//! How far a queue is applied. Plain data.

use std::collections::BTreeSet;

/// Waiting deliveries that a stored position names. Beyond them it ends before the next one.
pub(crate) const WAITING_MAX: usize = 1_000;

/// Every delivery through a number is applied, except those that wait.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The number; 0 before the first delivery.
    pub through: u64,
    /// Deliveries up to `through` that are not applied yet.
    pub waiting: BTreeSet<u64>,
}

/// Everything through a number is applied.
impl From<u64> for Position {
    fn from(through: u64) -> Self {
        Self { through, waiting: BTreeSet::new() }
    }
}

impl Position {
    /// Whether a delivery is applied.
    pub(crate) fn covers(&self, seq: u64) -> bool {
        seq <= self.through && !self.waiting.contains(&seq)
    }
}
