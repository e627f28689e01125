//! The instance of one connection between two calls, where others may evict it.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use wasmtime::Store;
use wasmtime::component::ResourceAny;

use crate::bindings::SourceConnector;
use crate::engine::permits::{Idle, Permits, Room};
use crate::store_data::Host;

/// An instance with its open connection. Fields drop in order: the store before its room.
pub(super) struct Live {
    pub(super) store: Store<Host>,
    pub(super) world: SourceConnector,
    pub(super) connection: ResourceAny,
    /// Requests that the connection had sent when the instance was created.
    pub(super) requests_before: u64,
    pub(super) _room: Room,
}

/// Holds the instance while it is idle.
pub(super) struct Slot {
    id: usize,
    permits: Permits,
    live: Mutex<Option<Live>>,
}

/// The next id of a slot.
static NEXT: AtomicUsize = AtomicUsize::new(0);

impl Slot {
    pub(super) fn new(permits: &Permits) -> Arc<Self> {
        let id = NEXT.fetch_add(1, Relaxed);
        Arc::new(Self { id, permits: permits.clone(), live: Mutex::default() })
    }

    /// Takes the instance, unless it was evicted.
    pub(super) fn take(&self) -> Option<Live> {
        self.permits.unpark(self.id);
        self.lock().take()
    }

    /// Keeps an instance until the next call.
    pub(super) fn park(self: &Arc<Self>, live: Live) {
        *self.lock() = Some(live);
        let this: Weak<Self> = Arc::downgrade(self);
        self.permits.park(self.id, this);
    }

    pub(super) fn is_live(&self) -> bool {
        self.lock().is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Idle for Slot {
    fn evict(&self) {
        let live = self.lock().take();
        drop(live);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.permits.unpark(self.id);
    }
}
