//! A cache of the positions that recent queries selected, so that the pages of one scan select and sort once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Selections kept at a time: enough for the scans that a few clients run concurrently.
const SELECTIONS_MAX: usize = 12;

/// Selections by query, valid until the table changes.
#[derive(Debug, Default)]
pub(crate) struct Selections {
    cached: Mutex<VecDeque<(String, Arc<Vec<u32>>)>>,
}

impl Selections {
    /// The selection of a query, cached or computed now. The oldest is evicted when there are too many.
    pub(crate) fn get(&self, query: &str, select: impl FnOnce() -> Vec<u32>) -> Arc<Vec<u32>> {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, selection)) = cached.iter().find(|(known, _)| known == query) {
            return Arc::clone(selection);
        }
        let selection = Arc::new(select());
        if cached.len() >= SELECTIONS_MAX {
            cached.pop_front();
        }
        cached.push_back((query.to_owned(), Arc::clone(&selection)));
        selection
    }

    /// Drops all selections.
    pub(crate) fn clear(&mut self) {
        self.cached.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
