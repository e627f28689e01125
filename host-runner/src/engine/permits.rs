//! The right to call a component now, and which idle instances are kept.
//!
//! A permit is held for one call. Reads never use all permits, so that deliveries and commands find one, and
//! the connections of one origin never use all, so that a source that hangs delays its own connections only.
//! An instance without a call is a cache entry: a new one replaces the one that is idle for longest.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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
    all: Arc<Semaphore>,
    reads: Arc<Semaphore>,
    offline: Arc<Semaphore>,
    origins: Mutex<HashMap<String, Weak<Origin>>>,
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

/// The permits of the connections that call one host.
#[derive(Debug)]
pub(crate) struct Origin {
    all: Arc<Semaphore>,
    reads: Arc<Semaphore>,
}

/// The right to call a component once.
#[derive(Debug)]
pub(crate) struct Permit(#[expect(dead_code, reason = "held, then dropped")] Vec<OwnedSemaphorePermit>);

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
            all: Arc::new(Semaphore::new(max)),
            reads: Arc::new(Semaphore::new(three_quarters(max))),
            offline: Arc::new(Semaphore::new(offline)),
            origins: Mutex::default(),
            instances: Mutex::default(),
            making_room: Mutex::default(),
        }))
    }

    /// The permits of one host, shared by all connections that call it.
    pub(crate) fn origin(&self, host: &str) -> Arc<Origin> {
        let mut origins = self.0.origins.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(origin) = origins.get(host).and_then(Weak::upgrade) {
            return origin;
        }
        origins.retain(|_, origin| origin.strong_count() > 0);
        let semaphore = |permits: usize| Arc::new(Semaphore::new(permits));
        let max = self.0.max;
        let origin = Origin { all: semaphore(three_quarters(max)), reads: semaphore((max / 2).max(1)) };
        let origin = Arc::new(origin);
        origins.insert(host.to_owned(), Arc::downgrade(&origin));
        origin
    }

    /// Waits for a permit. Each bound is waited for in turn, the narrowest first and the common one last:
    /// no holder of the common one waits for a narrower one.
    pub(crate) async fn acquire(&self, class: Class, origin: Option<&Origin>) -> Result<Permit> {
        let bounds = match class {
            Class::Prompt => [None, None, origin.map(|origin| &origin.all), Some(&self.0.all)],
            Class::Read => [
                origin.map(|origin| &origin.reads),
                Some(&self.0.reads),
                origin.map(|origin| &origin.all),
                Some(&self.0.all),
            ],
        };
        let mut held = Vec::with_capacity(bounds.len());
        for bound in bounds.into_iter().flatten() {
            held.push(acquire(bound).await?);
        }
        Ok(Permit(held))
    }

    /// Waits for a permit for a call that reaches no host.
    pub(crate) async fn acquire_offline(&self) -> Result<Permit> {
        Ok(Permit(vec![acquire(&self.0.offline).await?]))
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

    fn instances(&self) -> MutexGuard<'_, Instances> {
        self.0.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn acquire(semaphore: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit> {
    let permit = Arc::clone(semaphore).acquire_owned().await;
    permit.map_err(|error| Error::host(format!("sandbox: {error}")))
}

fn three_quarters(max: usize) -> usize {
    (max - max / 4).max(1)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::task::yield_now;

    use super::{Class, Idle, Origin, Permit, Permits, Room};

    /// A permit, if there is one without waiting.
    async fn now(permits: &Permits, class: Class, origin: Option<&Arc<Origin>>) -> Option<Permit> {
        tokio::select! {
            biased;
            permit = permits.acquire(class, origin.map(Arc::as_ref)) => Some(permit.expect("open")),
            () = yield_now() => None,
        }
    }

    /// As many permits as there are without waiting.
    async fn most(permits: &Permits, class: Class, origin: Option<&Arc<Origin>>) -> Vec<Permit> {
        let mut held = Vec::new();
        while let Some(permit) = now(permits, class, origin).await {
            held.push(permit);
        }
        held
    }

    #[tokio::test]
    async fn a_delivery_finds_a_permit_however_many_reads_there_are() {
        let permits = Permits::new(16, 1);
        let reads = most(&permits, Class::Read, None).await;
        assert_eq!(reads.len(), 12);
        assert_eq!(most(&permits, Class::Prompt, None).await.len(), 4);
        drop(reads);
        assert_eq!(most(&permits, Class::Read, None).await.len(), 12);
    }

    #[tokio::test]
    async fn the_connections_of_one_origin_leave_permits_to_others_and_to_their_own_deliveries() {
        let permits = Permits::new(16, 1);
        let (hangs, well) = (permits.origin("hangs:443"), permits.origin("well:443"));
        assert!(Arc::ptr_eq(&hangs, &permits.origin("hangs:443")));
        let reads = most(&permits, Class::Read, Some(&hangs)).await;
        let deliveries = most(&permits, Class::Prompt, Some(&hangs)).await;
        assert_eq!((reads.len(), deliveries.len()), (8, 4));
        let others = most(&permits, Class::Read, Some(&well)).await;
        assert_eq!(others.len(), 4, "{others:?}");
    }

    #[tokio::test]
    async fn one_permit_is_enough_for_every_class() {
        let permits = Permits::new(1, 1);
        let origin = permits.origin("a:443");
        for class in [Class::Read, Class::Prompt] {
            assert_eq!(most(&permits, class, Some(&origin)).await.len(), 1, "{class:?}");
        }
    }

    #[tokio::test]
    async fn calls_without_network_have_permits_of_their_own() {
        let permits = Permits::new(2, 1);
        let _all = most(&permits, Class::Prompt, None).await;
        permits.acquire_offline().await.expect("free");
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
