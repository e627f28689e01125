//! Rows as JSON bytes, rendered once and kept until the record changes.
//!
//! Bounded: beyond the budget rows are rendered again each time, which is slower and not wrong.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Projections (sets of keys) kept at a time; clients use one or two.
const PROJECTIONS_MAX: usize = 3;

/// The kept rows of one projection.
#[derive(Debug)]
pub(crate) struct Slots {
    projection: u64,
    rows: Vec<OnceLock<Box<[u8]>>>,
    /// Bytes of this projection.
    bytes: AtomicU64,
    /// Bytes of all projections of the table together.
    total: Arc<AtomicU64>,
    budget: u64,
}

impl Drop for Slots {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

impl Slots {
    /// Appends the row at a position, rendering it if need be.
    pub(crate) fn append(&self, at: usize, out: &mut Vec<u8>, render: impl FnOnce(&mut Vec<u8>)) {
        let Some(slot) = self.rows.get(at) else { return render(out) };
        if let Some(row) = slot.get() {
            return out.extend_from_slice(row);
        }
        let start = out.len();
        render(out);
        let size = (out.len() - start) as u64;
        let fits = self.total.load(Ordering::Relaxed) + size <= self.budget;
        // Another thread may have been first; its row is the same.
        if fits && slot.set(out[start..].into()).is_ok() {
            self.bytes.fetch_add(size, Ordering::Relaxed);
            self.total.fetch_add(size, Ordering::Relaxed);
        }
    }
}

/// The kept rows of a table.
#[derive(Debug)]
pub(crate) struct Rendered {
    kept: Mutex<Vec<Arc<Slots>>>,
    total: Arc<AtomicU64>,
    budget: u64,
}

impl Rendered {
    /// Keeps at most `budget` bytes, all projections together.
    pub(crate) fn new(budget: u64) -> Rendered {
        Rendered { kept: Mutex::default(), total: Arc::default(), budget }
    }

    /// The kept rows of a projection, for a table of `length` records.
    pub(crate) fn slots(&self, projection: u64, length: usize) -> Arc<Slots> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slots) = kept.iter().find(|slots| slots.projection == projection) {
            return Arc::clone(slots);
        }
        if kept.len() >= PROJECTIONS_MAX {
            kept.remove(0);
        }
        let mut rows = Vec::new();
        rows.resize_with(length, OnceLock::new);
        let (bytes, total) = (AtomicU64::new(0), Arc::clone(&self.total));
        let slots = Arc::new(Slots { projection, rows, bytes, total, budget: self.budget });
        kept.push(Arc::clone(&slots));
        slots
    }

    /// Forgets the row at a position in every projection.
    pub(crate) fn forget(&mut self, at: usize) {
        let kept = self.kept.get_mut().unwrap_or_else(PoisonError::into_inner);
        kept.retain_mut(|slots| {
            let Some(slots) = Arc::get_mut(slots) else { return false };
            if at >= slots.rows.len() {
                slots.rows.resize_with(at + 1, OnceLock::new);
            }
            if let Some(row) = slots.rows[at].take() {
                slots.bytes.fetch_sub(row.len() as u64, Ordering::Relaxed);
                slots.total.fetch_sub(row.len() as u64, Ordering::Relaxed);
            }
            true
        });
    }

    /// Forgets every row.
    pub(crate) fn clear(&mut self) {
        self.kept.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
