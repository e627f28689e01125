//! What following remembers of the rows it has dealt with, so that the overlap of two windows is not read twice. Pure.

use std::collections::BTreeMap;

use crate::limits;
use crate::row::{self, Head};
use crate::table::{Moment, Table};

/// A row as one window shows it.
pub(super) struct Sight {
    /// What it is remembered as: its id, and what its children count. Another count is another sight.
    name: String,
    /// The moment that the window asked for.
    at_ms: Option<u64>,
    /// The same as a window of modified times remembers it, where the counts prove that nothing was added since.
    twin: Option<(String, u64)>,
}

impl Sight {
    /// A row of a window of `moment`; `index` is that moment's among the table's.
    pub(super) fn of(table: &Table, moment: Moment, index: usize, head: &Head, row: &str) -> Self {
        let counts = table
            .children
            .and_then(|children| row::counts(row, children.kinds.iter().map(|kind| kind.count)));
        let name = counts.as_ref().map_or_else(|| head.id.clone(), |counts| format!("{}:{counts}", head.id));
        if index == 0 {
            return Self { name, at_ms: head.modified_time_ms, twin: None };
        }
        let twin = counts.and(head.modified_time_ms).map(|modified_ms| (name.clone(), modified_ms));
        Self { name: format!("{name}@{}", moment.member), at_ms: row::moment(row, moment.member), twin }
    }

    /// True unless it was dealt with as it is.
    pub(super) fn is_new(&self, seen: &BTreeMap<String, u64>) -> bool {
        let is_known = self.at_ms.is_some() && seen.get(&self.name).copied() == self.at_ms;
        let twin_is_known = self.twin.as_ref().is_some_and(|(name, at_ms)| seen.get(name) == Some(at_ms));
        !is_known && !twin_is_known
    }

    /// Remembers it as dealt with. What changed just now may change again within the same second: it is read once more next
    /// time.
    pub(super) fn note(self, seen: &mut BTreeMap<String, u64>, source_now_ms: u64) {
        if let Some(at_ms) = self.at_ms.filter(|ms| ms + limits::SETTLED_MS < source_now_ms) {
            seen.insert(self.name, at_ms);
        }
    }
}

/// Forgets what no window will show again, and the oldest of too many.
pub(super) fn forget(seen: &mut BTreeMap<String, u64>, horizon_ms: u64) {
    seen.retain(|_, at_ms| *at_ms >= horizon_ms);
    while seen.len() > limits::SEARCH_SEEN_MAX {
        let oldest = seen.iter().min_by_key(|(_, at_ms)| **at_ms).map(|(name, _)| name.clone());
        let Some(oldest) = oldest else { break };
        seen.remove(&oldest);
    }
}
