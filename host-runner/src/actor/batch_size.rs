//! How many deliveries the next call takes: more while calls are quick, half after a slow one, and one at a
//! time through a batch that failed as a whole. Pure.

use std::time::Duration;

/// Deliveries of the first call: a record that must be refetched costs one request each.
const FIRST: usize = 32;
/// Most deliveries of one call, when the component is quick.
const MAX: usize = 512;
/// After a slower call the next one is smaller, so that the first delivery does not wait for the last.
const SLOW: Duration = Duration::from_millis(500);
/// After a quicker call the next one is larger.
const QUICK: Duration = Duration::from_millis(100);

/// See the file's header.
#[derive(Debug)]
pub(super) struct BatchSize {
    size: usize,
    /// Through this one, deliveries are taken one by one.
    singles_through: u64,
}

impl Default for BatchSize {
    fn default() -> Self {
        Self { size: FIRST, singles_through: 0 }
    }
}

impl BatchSize {
    /// The size of a call for the deliveries after `applied`.
    pub(super) fn after(&self, applied: u64) -> usize {
        if applied < self.singles_through { 1 } else { self.size }
    }

    /// A batch failed as a whole: its deliveries, through `last`, are taken one by one.
    pub(super) fn split(&mut self, last: u64) {
        self.singles_through = last;
    }

    /// A call with `count` deliveries took so long.
    pub(super) fn called(&mut self, count: usize, took: Duration) {
        if took > SLOW {
            self.size = (count / 2).max(1);
        } else if took < QUICK && count >= self.size {
            self.size = (self.size * 2).min(MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BatchSize, FIRST, MAX};

    #[test]
    fn calls_grow_while_they_are_quick_and_shrink_when_they_are_slow() {
        let mut size = BatchSize::default();
        size.called(1, Duration::from_millis(1));
        assert_eq!(size.after(0), FIRST, "a small batch says nothing");
        for _ in 0..20 {
            size.called(size.after(0), Duration::from_millis(1));
        }
        assert_eq!(size.after(0), MAX);
        for _ in 0..20 {
            size.called(size.after(0), Duration::from_secs(2));
        }
        assert_eq!(size.after(0), 1);
    }

    #[test]
    fn a_batch_that_failed_as_a_whole_is_taken_one_by_one_and_the_next_is_not() {
        let mut size = BatchSize::default();
        size.split(7);
        assert_eq!([5, 6, 7].map(|applied| size.after(applied)), [1, 1, FIRST]);
    }
}
