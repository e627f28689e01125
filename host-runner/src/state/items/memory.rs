//! Values in memory, for a process that keeps nothing on disk: the state of a data tool's run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Item, StateStore, Stored};
use crate::error::Result;

/// Values in memory. Clones share them.
#[derive(Clone, Default)]
pub(in crate::state) struct MemoryStore(Arc<Mutex<BTreeMap<Item, Stored>>>);

impl StateStore for MemoryStore {
    fn load(&self, item: Item) -> Result<Stored> {
        let items = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(items.get(&item).cloned().unwrap_or_default())
    }

    fn store(&self, item: Item, value: Option<&[u8]>, expected: u64, above: u64) -> Result<Option<u64>> {
        let mut items = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stored = items.entry(item).or_default();
        if stored.revision != expected {
            return Ok(None);
        }
        *stored = Stored { value: value.map(<[u8]>::to_vec), revision: expected.max(above) + 1 };
        Ok(Some(stored.revision))
    }
}
