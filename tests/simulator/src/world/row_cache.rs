//! A cache of rows as JSON bytes: rendered once and kept until the record changes.
//!
//! Bounded: beyond the budget a row is rendered at each request, which is slower and equally correct.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Projections (sets of keys) cached at a time; a client uses one or two.
const PROJECTIONS_MAX: usize = 3;

/// The cached rows of one projection.
#[derive(Debug)]
pub(crate) struct CachedRows {
    projection: u64,
    rows: Vec<OnceLock<Box<[u8]>>>,
    /// Bytes of this projection.
    bytes: AtomicU64,
    /// Bytes of all projections of the table.
    total: Arc<AtomicU64>,
    budget: u64,
}

impl Drop for CachedRows {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

impl CachedRows {
    /// Appends the row at a position, rendering it if it is not cached.
    pub(crate) fn append(&self, at: usize, out: &mut Vec<u8>, render: impl FnOnce(&mut Vec<u8>)) {
        let Some(slot) = self.rows.get(at) else { return render(out) };
        if let Some(row) = slot.get() {
            return out.extend_from_slice(row);
        }
        let start = out.len();
        render(out);
        let size = (out.len() - start) as u64;
        let fits = self.total.load(Ordering::Relaxed) + size <= self.budget;
        // When another thread has stored the row first, it is the same row: only one of them is counted.
        if fits && slot.set(out[start..].into()).is_ok() {
            self.bytes.fetch_add(size, Ordering::Relaxed);
            self.total.fetch_add(size, Ordering::Relaxed);
        }
    }
}

/// The cached rows of a table.
#[derive(Debug)]
pub(crate) struct RowCache {
    projections: Mutex<Vec<Arc<CachedRows>>>,
    total: Arc<AtomicU64>,
    budget: u64,
}

impl RowCache {
    /// Caches at most `budget` bytes, all projections together.
    pub(crate) fn new(budget: u64) -> RowCache {
        RowCache { projections: Mutex::default(), total: Arc::default(), budget }
    }

    /// The cached rows of a projection, for a table of `length` records. Evicts the oldest projection.
    pub(crate) fn rows(&self, projection: u64, length: usize) -> Arc<CachedRows> {
        let mut projections = self.projections.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cached) = projections.iter().find(|cached| cached.projection == projection) {
            return Arc::clone(cached);
        }
        if projections.len() >= PROJECTIONS_MAX {
            projections.remove(0);
        }
        let mut rows = Vec::new();
        rows.resize_with(length, OnceLock::new);
        let (bytes, total) = (AtomicU64::new(0), Arc::clone(&self.total));
        let cached = Arc::new(CachedRows { projection, rows, bytes, total, budget: self.budget });
        projections.push(Arc::clone(&cached));
        cached
    }

    /// Removes the row at a position from every projection; makes room for it if it is new.
    pub(crate) fn remove(&mut self, at: usize) {
        let projections = self.projections.get_mut().unwrap_or_else(PoisonError::into_inner);
        projections.retain_mut(|cached| {
            let Some(cached) = Arc::get_mut(cached) else { return false };
            if at >= cached.rows.len() {
                cached.rows.resize_with(at + 1, OnceLock::new);
            }
            if let Some(row) = cached.rows[at].take() {
                cached.bytes.fetch_sub(row.len() as u64, Ordering::Relaxed);
                cached.total.fetch_sub(row.len() as u64, Ordering::Relaxed);
            }
            true
        });
    }

    /// Drops every row.
    pub(crate) fn clear(&mut self) {
        self.projections.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
