//! The connections of the listener: those that wait for a request for longest give way when there is no room
//! for another one, so that idle ones keep no sender out.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::limits::GIVES_WAY_AFTER;
use super::phase::HttpPhase;

/// One in so many gives way at a time: to find those that wait for longest costs a look at all.
const PART: usize = 256;

/// See the file's header.
#[derive(Default)]
pub(super) struct Waiting {
    phases: Mutex<HashMap<u64, Arc<HttpPhase>>>,
    next: AtomicU64,
}

/// A connection; leaves when it is dropped.
pub(super) struct Entered<'a> {
    waiting: &'a Waiting,
    number: u64,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.waiting.lock().remove(&self.number);
    }
}

impl Waiting {
    pub(super) fn enter(&self, phase: &Arc<HttpPhase>) -> Entered<'_> {
        let number = self.next.fetch_add(1, Relaxed);
        self.lock().insert(number, Arc::clone(phase));
        Entered { waiting: self, number }
    }

    /// Asks those that wait for longest to close. A connection that was just made is left alone.
    pub(super) fn give_way(&self) {
        let (phases, now) = (self.lock(), Instant::now());
        let since = |phase: &Arc<HttpPhase>| {
            phase.waits_since().filter(|since| now.saturating_duration_since(*since) >= GIVES_WAY_AFTER)
        };
        let mut waiting: Vec<_> =
            phases.values().filter_map(|phase| since(phase).map(|since| (since, phase))).collect();
        let count = phases.len().div_ceil(PART);
        if count < waiting.len() {
            waiting.select_nth_unstable_by_key(count, |(since, _)| *since);
        }
        waiting.iter().take(count).for_each(|(_, phase)| phase.ask_to_close());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<HttpPhase>>> {
        self.phases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::time::advance;

    use super::{GIVES_WAY_AFTER, HttpPhase, Waiting};
    use crate::ingress::IngressLimits;

    #[tokio::test(start_paused = true)]
    async fn the_connection_that_waits_for_longest_gives_way_and_a_busy_one_never() {
        let waiting = Waiting::default();
        let phase = || Arc::new(HttpPhase::new(&IngressLimits::default()));
        let [busy, first, second] = [phase(), phase(), phase()];
        let entered = [&busy, &first, &second].map(|phase| waiting.enter(phase));
        busy.begin();
        first.begin();
        advance(Duration::from_secs(1)).await;
        first.end();
        waiting.give_way();
        assert!(!first.is_asked() && second.is_asked(), "`first` waits since its answer");
        waiting.give_way();
        assert!(!first.is_asked(), "just answered");
        advance(GIVES_WAY_AFTER).await;
        waiting.give_way();
        assert!(first.is_asked() && !busy.is_asked());
        first.asked().await;
        drop(entered);
        assert!(waiting.lock().is_empty());
    }
}
