//! The keys of a table that a run has written: it writes each once, or none again that is only listed.
//!
//! Pure. Holds 16 bytes for each row of a run, and no text.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use rustc_hash::FxBuildHasher;
use xxhash_rust::xxh3::xxh3_64;

use super::Protocol;
use super::fold::Newest;

/// The treatment of a change whose key was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// It is written, too.
    Write,
    /// It is left out: the search after a snapshot finds changes since its start.
    Leave,
    /// It is left out, and holds the table if its row is another one.
    Hold,
}

impl Again {
    /// `is_refreshed`: the run reads the table in full.
    pub(super) fn of(protocol: Protocol, is_refreshed: bool) -> Self {
        match protocol {
            Protocol::Singer => Self::Write,
            Protocol::Airbyte if is_refreshed => Self::Leave,
            Protocol::Airbyte => Self::Hold,
        }
    }
}

/// The keys of one table.
#[derive(Default)]
pub(super) struct Said {
    /// The newest row of each key that was written, both as hashes.
    rows: HashMap<u64, u64, FxBuildHasher>,
    is_held: bool,
}

impl Said {
    /// Whether a change is to be written. One that only lists its row is not if the key was written.
    pub(super) fn is_new(&mut self, change: &Newest<'_>, is_listed: bool, again: Again) -> bool {
        let row = change.row.as_ref().map_or(0, |row| xxh3_64(row.as_bytes()));
        match self.rows.entry(xxh3_64(change.key.as_bytes())) {
            Entry::Vacant(entry) => {
                entry.insert(row);
                true
            }
            Entry::Occupied(_) if is_listed => false,
            Entry::Occupied(entry) => {
                self.is_held |= again == Again::Hold && *entry.get() != row;
                again == Again::Write
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
