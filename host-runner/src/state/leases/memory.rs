//! A lease in memory: of a connection whose state no other process can open, and of tests, which take it from
//! its holder.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Held, Leases};
use crate::error::{Error, Kind, Origin, Result};
use crate::stop::{self, Stop, Stopper};

/// See the file's header. Clones share the lease.
#[derive(Clone, Default)]
pub(crate) struct MemoryLeases(Arc<Mutex<Memory>>);

#[derive(Default)]
struct Memory {
    /// How often it was taken.
    taken: u64,
    /// The newest holder, unless it gave the lease back.
    holder: Option<Stopper>,
}

/// The holder of this taking.
struct Holder {
    leases: MemoryLeases,
    number: u64,
    lost: Stop,
}

impl MemoryLeases {
    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the lease, as when its time to live is over.
    #[cfg(test)]
    pub(crate) fn end(&self) {
        if let Some(holder) = self.lock().holder.take() {
            holder.stop();
        }
    }

    /// How often it was taken.
    #[cfg(test)]
    pub(crate) fn taken(&self) -> u64 {
        self.lock().taken
    }
}

impl Leases for MemoryLeases {
    fn take(&self) -> Result<Box<dyn Held>> {
        let mut memory = self.lock();
        if memory.holder.is_some() {
            return Err(Error::new(Origin::State, Kind::Unavailable, "in use by this process"));
        }
        let (stopper, lost) = stop::channel();
        memory.holder = Some(stopper);
        memory.taken += 1;
        Ok(Box::new(Holder { leases: self.clone(), number: memory.taken, lost }))
    }
}

impl Held for Holder {
    fn lost(&self) -> Stop {
        self.lost.clone()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let mut memory = self.leases.lock();
        // Not that of a successor.
        if memory.taken == self.number {
            memory.holder = None;
        }
    }
}
