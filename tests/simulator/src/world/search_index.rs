//! The lag of the search index: earlier states of changed records, which searches show until it has passed.

use crate::world::change::Stamp;

/// The states before recent changes, oldest first.
#[derive(Debug)]
pub(crate) struct SearchIndex<T> {
    entries: Vec<Earlier<T>>,
}

#[derive(Debug)]
struct Earlier<T> {
    until: i64,
    at: usize,
    /// None: the record did not exist.
    state: Option<T>,
}

impl<T> Default for SearchIndex<T> {
    fn default() -> SearchIndex<T> {
        SearchIndex { entries: Vec::new() }
    }
}

impl<T> SearchIndex<T> {
    /// Keeps the state before a change until the lag has passed, and drops the states whose lag has passed.
    pub(crate) fn delay(&mut self, stamp: Stamp, at: usize, state: Option<T>) {
        self.entries.retain(|entry| entry.until > stamp.now);
        if stamp.search_lag_ms > 0 {
            self.entries.push(Earlier { until: stamp.now + stamp.search_lag_ms as i64, at, state });
        }
    }

    /// Whether some change is still invisible to searches.
    pub(crate) fn is_lagging(&self, now: i64) -> bool {
        self.entries.iter().any(|entry| entry.until > now)
    }

    /// The state that searches show in place of `current`; none when they show no record.
    pub(crate) fn visible<'a>(&'a self, now: i64, at: usize, current: &'a T) -> Option<&'a T> {
        match self.entries.iter().find(|entry| entry.at == at && entry.until > now) {
            Some(entry) => entry.state.as_ref(),
            None => Some(current),
        }
    }
}
