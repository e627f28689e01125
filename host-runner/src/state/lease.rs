//! The epoch of a lease, which distinguishes it from others of the connection.
//!
//! [`super::leases`] keeps other runners out. The epoch is for the case that it does not: a lock on a network
//! file system, a folder that was restored while a process ran, and runners on several machines. Every taking
//! of a lease gets a greater epoch, kept with the state, and a sink refuses commits of an older one than it
//! has seen.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::items::Item;
use super::leases::Held;
use super::{ConnectionStore, LockedStore};
use crate::clock::millis;
use crate::error::{Error, Kind, Origin, Result};
use crate::stop::Stop;

/// A server that starts the connection more often than this, after [`STARTS_AT_ONCE`], crashes in a loop.
const START_EVERY: Duration = Duration::from_secs(5 * 60);
/// Starts in a row that are deployments, or a machine or a database that is repaired: a connection starts
/// again after each failure of its sink.
pub(super) const STARTS_AT_ONCE: u64 = 40;

impl ConnectionStore {
    /// Another epoch, greater than all before it. The caller holds the lock.
    pub(super) fn next_epoch(&self) -> Result<u64> {
        let newest = self.0.items.load(Item::Lease)?;
        let taken = self.0.items.store(Item::Lease, newest.value.as_deref(), newest.revision, 0)?;
        taken.ok_or_else(|| self.is_over())
    }

    /// Locks the connection for a server that starts it at `now_ms`.
    pub(crate) fn lock_to_serve(&self, now_ms: u64) -> Result<LockedStore> {
        let lease = self.0.leases.take()?;
        let newest = self.0.items.load(Item::Lease)?;
        let used_until_ms = newest.value.and_then(|value| String::from_utf8(value).ok()?.parse().ok());
        let (starts_again, used_until_ms) = start(used_until_ms.unwrap_or(0), now_ms);
        let value = used_until_ms.to_string();
        let taken = self.0.items.store(Item::Lease, Some(value.as_bytes()), newest.revision, 0)?;
        let epoch = taken.ok_or_else(|| self.is_over())?;
        Ok(LockedStore { starts_again, ..LockedStore::new(self, epoch, lease) })
    }

    /// Takes the lease as a runner does that the lock did not keep out.
    #[cfg(test)]
    pub(crate) fn take_over(&self) -> u64 {
        self.next_epoch().expect("taken")
    }

    /// The failure of a runner that lost its lease.
    pub(crate) fn is_over(&self) -> Error {
        let message = format!("connection `{}`: another runner has taken it over", self.name());
        Error::new(Origin::State, Kind::Internal, message).hint("stop one of the runners")
    }
}

/// Whether a start is one of too many, and until when starts are used up with it. Each uses
/// [`START_EVERY`], and [`STARTS_AT_ONCE`] may be used ahead.
fn start(used_until_ms: u64, now_ms: u64) -> (bool, u64) {
    let most_ms = now_ms.saturating_add(millis(START_EVERY).saturating_mul(STARTS_AT_ONCE));
    // Later than that only because the clock was set back.
    let used_ms = used_until_ms.clamp(now_ms, most_ms);
    let with_this_ms = used_ms.saturating_add(millis(START_EVERY));
    if with_this_ms > most_ms { (true, used_ms) } else { (false, with_this_ms) }
}

impl LockedStore {
    pub(super) fn new(store: &ConnectionStore, epoch: u64, lease: Box<dyn Held>) -> Self {
        let epoch = Arc::new(Mutex::new(epoch));
        Self { store: store.clone(), epoch, starts_again: false, lease: lease.into() }
    }

    /// Asks the runner to stop, once another one may have the lease.
    pub(crate) fn lost(&self) -> Stop {
        self.lease.lost()
    }

    /// Whether this is a server, and the connection was started very often of late.
    pub(crate) fn starts_again(&self) -> bool {
        self.starts_again
    }

    /// The epoch of this lease.
    pub(crate) fn epoch(&self) -> u64 {
        *self.epoch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Raises the epoch above the one that a sink has seen before a commit under this lease: the data folder
    /// is new, or older than the sink. An equal one was another runner's. Fails if the lease was taken over.
    pub(crate) fn outrank(&self, seen: u64) -> Result<()> {
        let mut epoch = self.epoch.lock().unwrap_or_else(PoisonError::into_inner);
        if seen >= *epoch {
            let value = self.0.items.load(Item::Lease)?.value;
            let raised = self.0.items.store(Item::Lease, value.as_deref(), *epoch, seen)?;
            *epoch = raised.ok_or_else(|| self.is_over())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{STARTS_AT_ONCE, start};

    const MINUTE: u64 = 60_000;

    #[test]
    fn some_starts_are_deployments_and_one_in_five_minutes_after_them() {
        let mut used_until_ms = 0;
        let mut is_again = |minute: u64| {
            let (is_again, until_ms) = start(used_until_ms, minute * MINUTE);
            used_until_ms = until_ms;
            is_again
        };
        assert!((0..STARTS_AT_ONCE).all(|_| !is_again(1_000)), "deployments");
        assert!(is_again(1_000), "a loop");
        let mut polls = |first: u64| (first..first + 60).filter(|minute| !is_again(*minute)).count();
        assert_eq!([polls(1_001), polls(1_061)], [12, 12]);
        assert_eq!(polls(10_000) as u64, STARTS_AT_ONCE + 11, "after a while it may be deployed again");
        assert_eq!(polls(5_001), 11, "the clock was set back");
    }
}
