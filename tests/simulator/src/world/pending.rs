//! Earlier states of changed records, which the search index shows until it has caught up.

/// The states before recent changes, oldest first.
#[derive(Debug)]
pub(crate) struct Pending<T> {
    entries: Vec<Earlier<T>>,
}

#[derive(Debug)]
struct Earlier<T> {
    until: i64,
    at: usize,
    /// None: the record did not exist.
    state: Option<T>,
}

impl<T> Default for Pending<T> {
    fn default() -> Pending<T> {
        Pending { entries: Vec::new() }
    }
}

impl<T> Pending<T> {
    /// Keeps the state before a change until a moment; forgets what is over.
    pub(crate) fn keep(&mut self, now: i64, lag_ms: u64, at: usize, state: Option<T>) {
        self.entries.retain(|entry| entry.until > now);
        if lag_ms > 0 {
            self.entries.push(Earlier { until: now + lag_ms as i64, at, state });
        }
    }

    /// Whether some state is still hidden from searches.
    pub(crate) fn is_lagging(&self, now: i64) -> bool {
        self.entries.iter().any(|entry| entry.until > now)
    }

    /// What searches see in place of `current`.
    pub(crate) fn seen<'a>(&'a self, now: i64, at: usize, current: &'a T) -> Option<&'a T> {
        match self.entries.iter().find(|entry| entry.at == at && entry.until > now) {
            Some(entry) => entry.state.as_ref(),
            None => Some(current),
        }
    }
}
