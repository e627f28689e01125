//! The shares of connections: none takes all of the memory for bodies, or all places of the journal's queue.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::limits::{CONNECTION_SHARE, DELIVERIES_MAX, IngressLimits};

/// Of all connections together. A permit of `bytes` is a byte.
pub(super) struct Shares {
    bytes: Arc<Semaphore>,
    bytes_each: usize,
    deliveries_each: usize,
    connections: Mutex<HashMap<String, Weak<Share>>>,
}

/// The share of one connection, while it has a request.
pub(super) struct Share {
    all_bytes: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    deliveries: Arc<Semaphore>,
}

/// Bytes of a body, until it is dropped.
#[derive(Default)]
pub(super) struct Taken {
    all: Option<OwnedSemaphorePermit>,
    own: Option<OwnedSemaphorePermit>,
}

impl Shares {
    pub(super) fn new(limits: &IngressLimits) -> Self {
        let bytes = limits.bodies_bytes.min(Semaphore::MAX_PERMITS);
        Self {
            bytes: Arc::new(Semaphore::new(bytes)),
            // One whole body always has room.
            bytes_each: (bytes / CONNECTION_SHARE).max(limits.body_bytes.min(bytes)),
            deliveries_each: DELIVERIES_MAX / CONNECTION_SHARE,
            connections: Mutex::default(),
        }
    }

    /// The share of a connection.
    pub(super) fn of(&self, connection: &str) -> Arc<Share> {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = connections.get(connection).and_then(Weak::upgrade) {
            return share;
        }
        // Amortized: the map is cleaned when it would grow.
        if connections.len() == connections.capacity() {
            connections.retain(|_, share| share.strong_count() > 0);
        }
        let share = Arc::new(Share {
            all_bytes: Arc::clone(&self.bytes),
            bytes: Arc::new(Semaphore::new(self.bytes_each)),
            deliveries: Arc::new(Semaphore::new(self.deliveries_each)),
        });
        connections.insert(connection.to_owned(), Arc::downgrade(&share));
        share
    }
}

impl Share {
    /// The place of one delivery; none if the connection has taken its share.
    pub(super) fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.deliveries).try_acquire_owned().ok()
    }

    /// Takes bytes in addition; false if there are not as many.
    pub(super) fn take(&self, taken: &mut Taken, bytes: u32) -> bool {
        let Ok(own) = Arc::clone(&self.bytes).try_acquire_many_owned(bytes) else { return false };
        let Ok(all) = Arc::clone(&self.all_bytes).try_acquire_many_owned(bytes) else { return false };
        add(&mut taken.own, own);
        add(&mut taken.all, all);
        true
    }
}

fn add(sum: &mut Option<OwnedSemaphorePermit>, more: OwnedSemaphorePermit) {
    match sum {
        Some(sum) => sum.merge(more),
        None => *sum = Some(more),
    }
}

#[cfg(test)]
mod tests {
    use super::{Shares, Taken};
    use crate::ingress::IngressLimits;

    #[test]
    fn a_flood_of_one_connection_leaves_room_to_the_others() {
        let limits = IngressLimits { bodies_bytes: 4_000, body_bytes: 100, ..IngressLimits::default() };
        let shares = Shares::new(&limits);
        let (flooded, other) = (shares.of("flooded"), shares.of("other"));
        let mut taken: Vec<Taken> = Vec::new();
        let mut fill = |share: &super::Share| {
            let before = taken.len();
            loop {
                let mut one = Taken::default();
                if !share.take(&mut one, 100) {
                    return taken.len() - before;
                }
                taken.push(one);
            }
        };
        assert_eq!((fill(&flooded), fill(&other)), (10, 10));
        assert_eq!(fill(&shares.of("flooded")), 0, "it is the same share");
        taken.clear();
        assert!(flooded.take(&mut Taken::default(), 1_000));
    }

    #[test]
    fn places_are_bounded_for_each_connection() {
        let shares = Shares::new(&IngressLimits::default());
        let share = shares.of("flooded");
        let places: Vec<_> = std::iter::from_fn(|| share.place()).collect();
        assert_eq!(places.len(), 4_096);
        assert!(shares.of("other").place().is_some());
    }
}
