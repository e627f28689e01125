//! Notifies readers of commits: queue length and last `seq` per connection, read without a query.
//!
//! The writer publishes them after each commit; they are never ahead of the disk.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::ledger::{Account, Ledger, Tally};
use crate::inbox::LetterCounts;
use crate::missed::MissedDeliveries;

/// The published state of all connections.
#[derive(Default)]
pub(super) struct Notifier {
    entries: Mutex<HashMap<String, Entry>>,
    /// Deliveries that the writer rejects or moves to the dead letters.
    pub(super) missed: MissedDeliveries,
    /// Commits that a test makes fail.
    #[cfg(test)]
    pub(super) failing: std::sync::atomic::AtomicU32,
}

#[derive(Default)]
struct Entry {
    pending: Tally,
    dead: Tally,
    letters: LetterCounts,
    last: watch::Sender<u64>,
}

impl Notifier {
    /// Whether the next commit is to fail.
    #[cfg(test)]
    pub(super) fn fails(&self) -> bool {
        use std::sync::atomic::Ordering::Relaxed;
        let less = |left: u32| if left == u32::MAX { Some(left) } else { left.checked_sub(1) };
        self.failing.fetch_update(Relaxed, Relaxed, less).is_ok()
    }

    /// Publishes an account; wakes its readers if there is more to read.
    pub(super) fn publish(&self, connection: &str, account: &Account) {
        let mut entries = self.lock();
        if !entries.contains_key(connection) {
            entries.insert(connection.to_owned(), Entry::default());
        }
        let Some(entry) = entries.get_mut(connection) else { return };
        entry.pending = account.pending;
        entry.dead = account.dead;
        entry.last.send_if_modified(|last| {
            let more = account.last > *last;
            *last = account.last.max(*last);
            more
        });
    }

    /// Publishes all accounts, and zero for connections without one.
    pub(super) fn publish_all(&self, ledger: &Ledger) {
        for (connection, entry) in self.lock().iter_mut() {
            if ledger.account(connection).is_none() {
                (entry.pending, entry.dead) = (Tally::default(), Tally::default());
            }
        }
        for (connection, account) in ledger.accounts() {
            self.publish(connection, account);
        }
    }

    /// Pending deliveries and dead letters.
    pub(super) fn depth(&self, connection: &str) -> (Tally, Tally) {
        self.lock().get(connection).map(|entry| (entry.pending, entry.dead)).unwrap_or_default()
    }

    /// Counts dead letters of a commit.
    pub(super) fn count_letters(&self, connection: &str, counts: LetterCounts) {
        let mut entries = self.lock();
        let letters = &mut entries.entry(connection.to_owned()).or_default().letters;
        letters.stored += counts.stored;
        letters.evicted += counts.evicted;
    }

    /// Dead letters since the start of the process.
    pub(super) fn letters(&self, connection: &str) -> LetterCounts {
        self.lock().get(connection).map(|entry| entry.letters).unwrap_or_default()
    }

    /// Watches the last `seq`.
    pub(super) fn arrivals(&self, connection: &str) -> watch::Receiver<u64> {
        self.lock().entry(connection.to_owned()).or_default().last.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
