//! One test suite for every kind of sink: what a sink does, whatever it stores rows in.
//!
//! Each test runs on every kind in the registry and on each way of deleting that the kind declares, and reads the rows
//! back by the kind's documented rules. What only one kind does is tested in its folder.

mod case;
mod concurrency;
mod content;
mod order;
mod progress;
mod schema;
mod snapshots;

use std::collections::BTreeMap;

use serde_json::Value;

/// A table as a reader sees it, by key (the texts of its members, joined by `/`).
pub(super) type StoredRows = BTreeMap<String, State>;

/// What a reader sees of a key.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    /// The row.
    Live(Value),
    /// A delete was the last change.
    Deleted,
    /// A complete snapshot did not contain it.
    Missing,
}
