//! Until when the children of each parent were read: what a list shows of earlier times is known. Pure.
//!
//! The time of the last poll is no such knowledge: a reply need not modify its ticket, the search shows
//! changes late, and a list that failed is skipped. Children since the parent's own last reading are read; of
//! a parent that the snapshot skipped, all.

use std::collections::BTreeMap;

use super::seen;
use crate::limits;

/// The times at which parents were read last, by the source's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known<'a> {
    parents: &'a BTreeMap<String, u64>,
    /// The time of all others: the start of the snapshot, which read them.
    others_ms: u64,
}

impl<'a> Known<'a> {
    pub(super) fn new(parents: &'a BTreeMap<String, u64>, others_ms: u64) -> Self {
        Self { parents, others_ms }
    }

    /// True when the children of the parent were read at this time, or after it.
    pub(super) fn was_read_at(&self, parent: &str, at_ms: u64) -> bool {
        at_ms <= self.parents.get(parent).copied().unwrap_or(self.others_ms)
    }

    /// True for a child of that time which an earlier reading of its parent has shown. Times of messages are
    /// not those at which they arrived.
    pub(super) fn has_child(&self, parent: &str, at_ms: u64) -> bool {
        self.was_read_at(parent, at_ms.saturating_add(limits::SEARCH_OVERLAP_MS))
    }
}

/// Notes that all children of these parents were read, 0: that some never were, and forgets the parents that
/// were read longest ago.
pub(super) fn note<'a>(parents: &mut BTreeMap<String, u64>, read: impl Iterator<Item = &'a str>, at_ms: u64) {
    parents.extend(read.map(|id| (id.to_owned(), at_ms)));
    seen::bound(parents, limits::PARENTS_KNOWN_MAX, 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_that_was_not_read_since_the_snapshot_is_known_until_its_start() {
        let hour = 3_600_000;
        let parents = BTreeMap::from([("1".to_owned(), 5 * hour)]);
        let known = Known::new(&parents, 2 * hour);
        assert!(known.has_child("1", 4 * hour) && !known.has_child("2", 4 * hour));
        assert!(known.has_child("2", hour));
        assert!(!known.has_child("1", 5 * hour - 60_000), "its time may be earlier than its arrival");
        assert!(known.was_read_at("1", 5 * hour) && !known.was_read_at("1", 5 * hour + 1));
    }

    #[test]
    fn the_parents_that_were_read_last_are_kept() {
        let mut parents = BTreeMap::new();
        for at_ms in 1..=100_000 {
            note(&mut parents, [at_ms.to_string().as_str()].into_iter(), at_ms);
        }
        assert!(parents.len() <= limits::PARENTS_KNOWN_MAX / 8 * 9);
        assert!(parents.contains_key("100000"));
    }
}
