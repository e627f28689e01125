//! The right to call a component now, and which idle instances are kept.
//!
//! A permit is held for one call; [`shares`] divides the permits. An instance without a call is a cache
//! entry: a new one replaces the one that is idle for longest.

mod shares;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

pub(crate) use self::shares::Origin;
use self::shares::{Place, Shares};
use crate::error::{Error, Result};

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// A person or a delivery waits for it.
    Prompt,
    /// Scheduled: rows and tables.
    Read,
}

/// The permits of a process, and its instances. Clones share them.
#[derive(Clone)]
pub(crate) struct Permits(Arc<Shared>);

struct Shared {
    max: usize,
    shares: Mutex<Shares<oneshot::Sender<()>>>,
    offline: Arc<Semaphore>,
    instances: Mutex<Instances>,
    /// Held while an idle instance is dropped, so that it is not counted meanwhile.
    making_room: Mutex<()>,
}

#[derive(Default)]
struct Instances {
    alive: usize,
    /// The one that is idle for longest first.
    idle: VecDeque<(usize, Weak<dyn Idle>)>,
}

/// Holds an idle instance.
pub(crate) trait Idle: Send + Sync {
    /// Drops the instance, if it still holds one.
    fn evict(&self);
}

/// The right to call a component once.
pub(crate) struct Permit {
    permits: Permits,
    place: Place,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut shares = self.permits.shares();
        shares.leave(&self.place);
        grant(&mut shares);
    }
}

impl std::fmt::Debug for Permit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Permit").field("place", &self.place).finish_non_exhaustive()
    }
}

/// The room of one instance, until it is dropped.
pub(crate) struct Room(Permits);

impl Drop for Room {
    fn drop(&mut self) {
        self.0.instances().alive -= 1;
    }
}

impl Permits {
    /// Permits for `max` calls at a time, and `offline` more for calls without network.
    pub(crate) fn new(max: usize, offline: usize) -> Self {
        let max = max.max(1);
        Self(Arc::new(Shared {
            max,
            shares: Mutex::new(Shares::new(max)),
            offline: Arc::new(Semaphore::new(offline)),
            instances: Mutex::default(),
            making_room: Mutex::default(),
        }))
    }

    /// Waits for a permit for a call to an origin; without one it is bound by its class alone.
    pub(crate) async fn acquire(&self, class: Class, origin: Option<&Origin>) -> Result<Permit> {
        let (grants, granted) = oneshot::channel();
        let permit = {
            let mut shares = self.shares();
            let place = shares.enter(origin.cloned(), class, grants);
            grant(&mut shares);
            // Gives its place up when it is dropped, also while it waits.
            Permit { permits: self.clone(), place }
        };
        granted.await.map_err(|error| Error::host(format!("sandbox: {error}")))?;
        Ok(permit)
    }

    /// Waits for a permit for a call that reaches no host.
    pub(crate) async fn acquire_offline(&self) -> Result<OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.0.offline).acquire_owned().await;
        permit.map_err(|error| Error::host(format!("sandbox: {error}")))
    }

    /// Makes room for another instance of a caller that holds a permit and no instance.
    pub(crate) fn room(&self) -> Room {
        let _one_at_a_time = self.0.making_room.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let mut instances = self.instances();
            // An instance that is not idle is held by a permit, and there are as many permits as instances.
            let evicted = if instances.alive < self.0.max { None } else { instances.idle.pop_front() };
            let Some((_, idle)) = evicted else {
                instances.alive += 1;
                return Room(self.clone());
            };
            drop(instances);
            if let Some(idle) = idle.upgrade() {
                idle.evict();
            }
        }
    }

    /// Lists an instance as idle; `id` is that of its holder.
    pub(crate) fn park(&self, id: usize, idle: Weak<dyn Idle>) {
        let mut instances = self.instances();
        instances.idle.retain(|(other, _)| *other != id);
        instances.idle.push_back((id, idle));
    }

    /// Removes an instance from the idle ones.
    pub(crate) fn unpark(&self, id: usize) {
        self.instances().idle.retain(|(other, _)| *other != id);
    }

    fn shares(&self) -> MutexGuard<'_, Shares<oneshot::Sender<()>>> {
        self.0.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn instances(&self) -> MutexGuard<'_, Instances> {
        self.0.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes the callers that have a permit now. One that left meanwhile gives it up.
fn grant(shares: &mut Shares<oneshot::Sender<()>>) {
    while let Some(granted) = shares.next() {
        let _left = granted.send(());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::{Class, Idle, Permits, Room};

    #[tokio::test]
    async fn a_permit_goes_to_the_next_caller_and_not_to_one_that_left() {
        let permits = Permits::new(1, 1);
        let held = permits.acquire(Class::Prompt, None).await.expect("free");
        let mut left = Box::pin(permits.acquire(Class::Read, None));
        let mut next = Box::pin(permits.acquire(Class::Prompt, None));
        tokio::select! {
            biased;
            _ = &mut left => panic!("there is one permit"),
            _ = &mut next => panic!("there is one permit"),
            () = tokio::task::yield_now() => {}
        }
        drop(left);
        drop(held);
        drop(next.await.expect("given"));
        let given = permits.acquire(Class::Read, None).await.expect("free");
        // Given and not taken.
        let mut waits = Box::pin(permits.acquire(Class::Read, None));
        tokio::select! {
            biased;
            _ = &mut waits => panic!("there is one permit"),
            () = tokio::task::yield_now() => {}
        }
        drop(given);
        drop(waits);
        permits.acquire(Class::Read, None).await.expect("free");
    }

    #[tokio::test]
    async fn calls_without_network_have_permits_of_their_own() {
        let permits = Permits::new(1, 1);
        let _all = permits.acquire(Class::Prompt, None).await.expect("free");
        let _free = permits.acquire_offline().await.expect("free");
    }

    #[derive(Default)]
    struct Holder(Mutex<Option<Room>>);

    impl Idle for Holder {
        fn evict(&self) {
            drop(self.0.lock().expect("not poisoned").take());
        }
    }

    #[test]
    fn who_needs_room_takes_the_instance_that_is_idle_for_longest() {
        let permits = Permits::new(2, 1);
        let holders = [Arc::new(Holder::default()), Arc::new(Holder::default())];
        for (id, holder) in holders.iter().enumerate() {
            *holder.0.lock().expect("not poisoned") = Some(permits.room());
            permits.park(id, Arc::downgrade(holder) as _);
        }
        let is_idle = |holder: &Holder| holder.0.lock().expect("not poisoned").is_some();
        let _room = permits.room();
        assert_eq!((is_idle(&holders[0]), is_idle(&holders[1])), (false, true));
        permits.unpark(1);
        drop(holders[1].0.lock().expect("not poisoned").take());
        let _other = permits.room();
        assert_eq!(permits.instances().alive, 2);
    }
}
