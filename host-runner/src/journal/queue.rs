//! Commands that wait for the writer: bounded, taken in batches, closed once.
//!
//! Knows nothing of the database.

use std::collections::VecDeque;
use std::sync::mpsc::SyncSender;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::limits::{BATCH_BYTES_MAX, BATCH_COUNT_MAX, QUEUE_BYTES_MAX, QUEUE_MAX};
use super::record::Record;
use crate::error::Result;
use crate::inbox::AppendError;
use crate::inbox::Failure;
use crate::inbox::Position;

/// A step of a transaction, and where its answer goes.
pub(super) enum Command {
    Append { connection: String, record: Record, reply: oneshot::Sender<Result<u64, AppendError>> },
    Change { change: Change, reply: SyncSender<Result<Vec<u64>>> },
}

/// Every command but an append. Answers the `seq`s or ids concerned where the caller needs them.
pub(super) enum Change {
    Acknowledge {
        connection: String,
        seqs: Vec<u64>,
    },
    /// Acknowledges through a position, and queues acknowledged deliveries behind it again.
    Resume {
        connection: String,
        position: Position,
    },
    DeadLetter {
        connection: String,
        seq: u64,
        failure: Box<Failure>,
    },
    Replay {
        ids: Vec<u64>,
    },
    Drop {
        ids: Vec<u64>,
    },
    Expire {
        now_ms: u64,
    },
    /// Gives the records of a connection to another one: some of them, until none is left.
    Move {
        from: String,
        to: String,
    },
    /// Deletes the records of a connection: some of them, until none is left.
    Clear {
        connection: String,
    },
    /// Deletes all acknowledged deliveries.
    Evict,
}

/// The queue is full or closed.
#[derive(Debug)]
pub(super) struct Refused;

/// The queue between the callers of the journal and its writer.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Command>,
    bytes: usize,
    closed: bool,
}

impl Command {
    fn bytes(&self) -> usize {
        match self {
            Self::Append { record, .. } => record.bytes,
            Self::Change { .. } => 0,
        }
    }
}

impl Queue {
    /// Adds a command, unless the queue is full or closed.
    pub(super) fn push(&self, command: Command) -> Result<(), Refused> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = command.bytes();
        // A change has no bytes: it frees space, and is not refused because appends wait.
        let is_full = bytes > 0 && !state.waiting.is_empty() && state.bytes + bytes > QUEUE_BYTES_MAX;
        if state.closed || state.waiting.len() >= QUEUE_MAX || is_full {
            return Err(Refused);
        }
        state.bytes += bytes;
        state.waiting.push_back(command);
        let first = state.waiting.len() == 1;
        drop(state);
        if first {
            self.changed.notify_one();
        }
        Ok(())
    }

    /// The queued commands within the limits of a transaction; empty after `timeout`; none once closed and
    /// empty.
    pub(super) fn take(&self, timeout: Duration) -> Option<Vec<Command>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = |state: &mut State| state.waiting.is_empty() && !state.closed;
        let waited = self.changed.wait_timeout_while(state, timeout, idle);
        let (mut state, _timed_out) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.waiting.is_empty() && state.closed {
            return None;
        }
        let (mut count, mut bytes) = (0, 0);
        for command in state.waiting.iter().take(BATCH_COUNT_MAX) {
            if count > 0 && bytes + command.bytes() > BATCH_BYTES_MAX {
                break;
            }
            count += 1;
            bytes += command.bytes();
        }
        state.bytes -= bytes;
        Some(state.waiting.drain(..count).collect())
    }

    /// Rejects further commands; queued ones are still executed.
    pub(super) fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.changed.notify_all();
    }

    /// Rejects further commands and drops the queued ones, for when the writer has ended: callers get an
    /// error.
    pub(super) fn abandon(&self) {
        self.close();
        let waiting = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.bytes = 0;
            std::mem::take(&mut state.waiting)
        };
        drop(waiting);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BATCH_BYTES_MAX, BATCH_COUNT_MAX, Change, Command, QUEUE_BYTES_MAX, QUEUE_MAX, Queue};
    use crate::delivery::Delivery;
    use crate::journal::record::Record;

    fn change() -> Command {
        let (reply, _answer) = std::sync::mpsc::sync_channel(1);
        Command::Change { change: Change::Expire { now_ms: 0 }, reply }
    }

    fn append(bytes: usize) -> Command {
        let delivery = Delivery {
            received_at_ms: 0,
            method: String::new(),
            path_with_query: String::new(),
            headers: Vec::new(),
            body: vec![0; bytes],
        };
        let (reply, _answer) = tokio::sync::oneshot::channel();
        Command::Append { connection: String::new(), record: Record::new("", delivery), reply }
    }

    #[test]
    fn commands_are_bounded_and_taken_in_batches() {
        let queue = Queue::default();
        for _ in 0..QUEUE_MAX {
            assert!(queue.push(change()).is_ok());
        }
        assert!(queue.push(change()).is_err(), "the limit does not hold");
        let taken = queue.take(Duration::ZERO).expect("open");
        assert_eq!(taken.len(), BATCH_COUNT_MAX);
        assert!(queue.push(change()).is_ok(), "there is room again");
    }

    #[test]
    fn a_batch_is_bounded_in_bytes_and_a_larger_command_is_a_batch() {
        let queue = Queue::default();
        for bytes in [BATCH_BYTES_MAX + 1, BATCH_BYTES_MAX / 2, BATCH_BYTES_MAX / 2, 1] {
            assert!(queue.push(append(bytes)).is_ok());
        }
        let sizes: Vec<usize> =
            std::iter::from_fn(|| queue.take(Duration::ZERO).map(|taken| taken.len())).take(4).collect();
        assert_eq!(sizes, [1, 1, 2, 0]);
    }

    #[test]
    fn queued_bytes_are_bounded_and_changes_are_not_refused_because_of_them() {
        let queue = Queue::default();
        let bytes = QUEUE_BYTES_MAX / 4;
        assert_eq!([0; 4].map(|_| queue.push(append(bytes)).is_ok()), [true, true, true, false]);
        assert!(queue.push(change()).is_ok());
        assert_eq!(queue.take(Duration::ZERO).map(|taken| taken.len()), Some(1));
        assert!(queue.push(append(bytes)).is_ok(), "there is room again");
        assert!(Queue::default().push(append(QUEUE_BYTES_MAX + 1)).is_ok(), "one of any size");
    }

    #[test]
    fn a_closed_queue_yields_its_commands_and_rejects_others() {
        let queue = Queue::default();
        assert!(queue.push(change()).is_ok());
        queue.close();
        assert!(queue.push(change()).is_err());
        assert_eq!(queue.take(Duration::from_secs(60)).map(|taken| taken.len()), Some(1));
        assert!(queue.take(Duration::from_secs(60)).is_none());
    }
}
