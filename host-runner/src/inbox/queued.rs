//! Queued deliveries: one with its number, the length of a queue, and why a delivery was not appended.
//!
//! Plain data. Knows nothing of the file.

use crate::delivery::Delivery;

/// A queued delivery with its place in the order of its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Greater than the number of every delivery appended before.
    pub seq: u64,
    /// The delivery.
    pub delivery: Delivery,
}

/// The length of a connection's queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Deliveries not yet acknowledged.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the oldest of them was received, in milliseconds since 1970.
    pub oldest_ms: Option<u64>,
    /// Dead letters.
    pub dead: u64,
}

/// Counts of deliveries that could not be applied, since the start of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LetterCounts {
    /// Deliveries that became dead letters.
    pub stored: u64,
    /// Dead letters evicted because there was no room.
    pub evicted: u64,
}

/// Why a delivery was not appended. In both cases the sender must send it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendError {
    /// The connection has reached one of its limits.
    Full,
    /// The file could not be written, or too many commands are queued; says which.
    Failed(String),
}

impl std::fmt::Display for AppendError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Full => f.write_str("the journal is full"),
            Self::Failed(reason) => write!(f, "the journal cannot be written: {reason}"),
        }
    }
}

impl std::error::Error for AppendError {}
