//! Dead letters as a person sees them.
//!
//! Knows nothing of why something is buried; the kind and the reason are the caller's words.

use super::Delivery;

/// A delivery that could not be used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its number, which is never used twice.
    pub id: u64,
    /// Its place in the order when it was pending.
    pub seq: u64,
    /// Whose it is.
    pub connection: String,
    /// `corrupt`, `expired`, or what the caller named.
    pub kind: String,
    /// What happened, for a person.
    pub reason: String,
    /// When it was moved here, in milliseconds since 1970.
    pub buried_at_ms: u64,
    /// When it arrived.
    pub received_at_ms: u64,
    /// What it counts against the bounds.
    pub bytes: u64,
}

/// A dead letter with what arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadRecord {
    /// Its list entry.
    pub letter: DeadLetter,
    /// What is on disk.
    pub delivery: Delivery,
    /// What is wrong with it on disk. Such a letter can be looked at, not replayed.
    pub corrupt: Option<String>,
}
