//! The selections of recent queries, so that the pages of one scan select and sort once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// How many selections are kept: the scans that a few clients have open at the same time.
const VIEWS_MAX: usize = 12;

/// Selections by query, valid until the table changes.
#[derive(Debug, Default)]
pub(crate) struct Views {
    kept: Mutex<VecDeque<(String, Arc<Vec<u32>>)>>,
}

impl Views {
    /// The selection of a query, kept or made now.
    pub(crate) fn get(&self, query: &str, select: impl FnOnce() -> Vec<u32>) -> Arc<Vec<u32>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, view)) = kept.iter().find(|(known, _)| known == query) {
            return Arc::clone(view);
        }
        let view = Arc::new(select());
        if kept.len() >= VIEWS_MAX {
            kept.pop_front();
        }
        kept.push_back((query.to_owned(), Arc::clone(&view)));
        view
    }

    /// Forgets all, because the table changed.
    pub(crate) fn clear(&mut self) {
        self.kept.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
