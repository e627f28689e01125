//! The lease of a connection: the right to write for it, and the epoch that distinguishes it from others.
//!
//! On one machine a file lock keeps other processes out, and it ends with its process. The epoch is for the
//! case that it does not: a lock on a network file system, a folder that was restored while a process ran,
//! and runners on several machines. Every taking of the lock gets a greater epoch, kept with the state, and a
//! sink refuses commits of an older one than it has seen.

use std::sync::PoisonError;

use super::items::Item;
use super::{ConnectionStore, LockedStore};
use crate::error::{Error, Kind, Origin, Result};

impl ConnectionStore {
    /// Another epoch, greater than all before it. The caller holds the lock.
    pub(super) fn next_epoch(&self) -> Result<u64> {
        let newest = self.0.items.load(Item::Lease)?.revision;
        self.0.items.store(Item::Lease, None, newest, 0)?.ok_or_else(|| self.is_over())
    }

    /// Takes the lease as a runner does that the lock did not keep out.
    #[cfg(test)]
    pub(crate) fn take_over(&self) -> u64 {
        self.next_epoch().expect("taken")
    }

    pub(super) fn is_over(&self) -> Error {
        let message = format!("connection `{}`: another runner has taken it over", self.name());
        Error::new(Origin::State, Kind::Internal, message).hint("stop one of the runners")
    }
}

impl LockedStore {
    /// The epoch of this lease.
    pub(crate) fn epoch(&self) -> u64 {
        *self.epoch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Raises the epoch above the one that a sink has seen: the data folder is new, or older than the sink.
    /// Fails if the lease was taken over.
    pub(crate) fn outrank(&self, seen: u64) -> Result<()> {
        let mut epoch = self.epoch.lock().unwrap_or_else(PoisonError::into_inner);
        if seen > *epoch {
            let raised = self.0.items.store(Item::Lease, None, *epoch, seen)?;
            *epoch = raised.ok_or_else(|| self.is_over())?;
        }
        Ok(())
    }
}
