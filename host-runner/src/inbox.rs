//! The seam of the durable queue: the ingress appends to an [`Inbox`], an actor is the [`Consumer`] of one
//! connection, and operators list and replay [`DeadLetters`]. [`crate::journal::Journal`] is all three.
//!
//! A queue of another kind, for example a stream that several runners share, implements these traits and
//! passes `inbox/conformance.rs`. All but [`Inbox::append`] may block, as the methods of a sink may: callers
//! run them on a thread for that. Knows nothing of files.

#[cfg(test)]
pub(crate) mod conformance;

mod dead;
mod position;
mod queued;

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::watch;

use crate::delivery::Delivery;
use crate::error::Result;
use crate::missed::MissedDeliveries;
use crate::sinks::InboxPosition;

pub(crate) use self::dead::UNPROVED;
pub use self::dead::{Cause, DeadLetter, DeadRecord, Failure};
pub use self::position::Position;
pub(crate) use self::position::WAITING_MAX;
pub use self::queued::{AppendError, Depth, LetterCounts, Stored};

/// Where a connection continues.
#[derive(Debug)]
pub struct Resumed {
    /// The position from which it continues.
    pub position: Position,
    /// Acknowledged deliveries that are queued again.
    pub queued_again: usize,
    /// Why the stored position is not trusted.
    pub doubt: Option<&'static str>,
}

/// The queue and the dead letters of one connection.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// The queue.
    pub depth: Depth,
    /// The newest dead letter.
    pub last_dead: Option<DeadLetter>,
    /// The part of the room for dead letters that is used, in percent.
    pub dead_percent: u64,
}

/// An append under way.
pub type Appending<'a> = Pin<Box<dyn Future<Output = Result<u64, AppendError>> + Send + 'a>>;

/// Where deliveries are taken in.
pub trait Inbox: Send + Sync + 'static {
    /// Appends a delivery and returns its number; durable when it returns. It may be durable also after an
    /// error: the sender sends it again, and it is applied twice.
    fn append<'a>(&'a self, connection: &'a str, delivery: Delivery) -> Appending<'a>;
    /// Whether the next delivery of a connection would be rejected. Does not block.
    fn is_full(&self, connection: &str) -> bool;
    /// The signal for deliveries that were rejected or will not be applied.
    fn missed_deliveries(&self) -> &MissedDeliveries;
    /// The queue of a connection.
    fn consumer(&self, connection: &str) -> Arc<dyn Consumer>;
}

/// The queue of one connection, for its actor.
pub trait Consumer: Send + Sync {
    /// Continues at the position that a sink has stored. Deliveries that it covers are acknowledged; others
    /// that were acknowledged before are queued again, because the sink was restored or lost a commit. A
    /// position that cannot be trusted covers nothing.
    fn resume(&self, stored: Option<&InboxPosition>) -> Result<Resumed>;
    /// A position as a sink stores it. Does not block.
    fn named(&self, position: &Position) -> InboxPosition;
    /// The queued deliveries after `after` in their order: at most `max`, and no more once `max_bytes` is
    /// reached.
    fn next(&self, after: u64, max: usize, max_bytes: usize) -> Result<Vec<Stored>>;
    /// Takes deliveries out of the queue: their rows are committed in the sink. Those that are not queued any
    /// more stay as they are.
    fn acknowledge(&self, seqs: &[u64]) -> Result<()>;
    /// Moves a delivery to the dead letters. One that is not queued any more stays as it is.
    fn give_up(&self, seq: u64, failure: Failure) -> Result<()>;
    /// The last number; changes with every delivery that is appended.
    fn arrivals(&self) -> watch::Receiver<u64>;
    /// Why deliveries were missed; changes with each.
    fn missed(&self) -> watch::Receiver<&'static str>;
    /// Queue and dead letters in numbers.
    fn summary(&self) -> Result<Summary>;
}

/// Deliveries that could not be applied.
pub trait DeadLetters: Send + Sync {
    /// Those with an id greater than `after`, oldest first, of one connection or of all.
    fn list(&self, connection: Option<&str>, after: u64, max: usize) -> Result<Vec<DeadLetter>>;
    /// One with its delivery.
    fn show(&self, id: u64) -> Result<Option<DeadRecord>>;
    /// Appends them to the queue again, in the order given; returns their new numbers. All or none.
    fn replay(&self, ids: &[u64]) -> Result<Vec<u64>>;
    /// Deletes them; returns how many there were.
    fn delete(&self, ids: &[u64]) -> Result<usize>;
}
