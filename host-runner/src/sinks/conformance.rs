//! One test suite for every kind of sink: the behavior that all have in common.
//!
//! Each test runs on every kind in the registry and on each way of deleting that the kind declares, and reads
//! the rows back by the kind's documented rules. Tests that apply to data tools name them ([`tool`]).
//! Behavior of a single kind is tested in its folder.

mod case;
mod concurrency;
mod content;
mod disk;
mod fencing;
mod listings;
mod order;
mod progress;
mod random;
mod restores;
mod schema;
mod snapshots;
mod tool;

use std::any::Any;
use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::Location;

/// A table as a reader sees it, by key (the texts of its members, joined by `/`).
pub(super) type StoredRows = BTreeMap<String, State>;

/// A place for the sink of a test.
pub(super) struct TestPlace {
    /// Where the sink is.
    pub(super) location: Location,
    /// Where none is.
    pub(super) free: Location,
    /// Empties the place when it is dropped.
    pub(super) _guard: Box<dyn Any>,
}

impl TestPlace {
    /// Files or folders in a folder, which the caller drops.
    pub(super) fn path(folder: &Path) -> Self {
        let at = |name| Location::Path(folder.join(name));
        Self { location: at("rows"), free: at("none"), _guard: Box::new(()) }
    }
}

/// The state of a key, as a reader sees it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    /// The row.
    Live(Value),
    /// A delete was the last change.
    Deleted,
    /// A complete snapshot did not contain it.
    Missing,
}
