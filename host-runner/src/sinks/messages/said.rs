//! The keys of a table that a run has written, so that it writes each once.
//!
//! Pure. Holds 16 bytes for each row of a run, and no text.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use rustc_hash::FxBuildHasher;
use xxhash_rust::xxh3::xxh3_64;

use super::fold::Newest;

/// The keys of one table.
#[derive(Default)]
pub(super) struct Said {
    /// The newest row of each key that was written, both as hashes.
    rows: HashMap<u64, u64, FxBuildHasher>,
    is_held: bool,
}

impl Said {
    /// Whether a change is to be written. One that repeats its row is not, because the tool has it; nor is
    /// one with another row, and from then on the table is held.
    pub(super) fn is_new(&mut self, change: &Newest<'_>) -> bool {
        let row = change.row.as_ref().map_or(0, |row| xxh3_64(row.as_bytes()));
        match self.rows.entry(xxh3_64(change.key.as_bytes())) {
            Entry::Vacant(entry) => {
                entry.insert(row);
                true
            }
            Entry::Occupied(entry) => {
                self.is_held |= *entry.get() != row;
                false
            }
        }
    }

    /// Whether a change was left out: the state stays where it is, so that the next run reads it again.
    pub(super) fn is_held(&self) -> bool {
        self.is_held
    }

    /// Holds the table.
    pub(super) fn hold(&mut self) {
        self.is_held = true;
    }
}
