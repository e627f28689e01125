//! The journal as [`Inbox`], [`Consumer`] and [`DeadLetters`].

use std::sync::Arc;

use tokio::sync::watch;

use super::{Journal, JournalLimits, summary};
use crate::delivery::Delivery;
use crate::error::Result;
use crate::inbox::{
    Appending, Consumer, DeadLetter, DeadLetters, DeadRecord, Failure, Inbox, Position, Resumed, Stored,
    Summary,
};
use crate::missed::MissedDeliveries;
use crate::sinks::InboxPosition;

/// The journal's queue of one connection.
struct Queued {
    journal: Journal,
    connection: String,
}

impl Inbox for Journal {
    fn append<'a>(&'a self, connection: &'a str, delivery: Delivery) -> Appending<'a> {
        Box::pin(self.append(connection, delivery))
    }

    fn is_full(&self, connection: &str) -> bool {
        self.full(connection).queue
    }

    fn missed_deliveries(&self) -> &MissedDeliveries {
        self.missed_deliveries()
    }

    fn consumer(&self, connection: &str) -> Arc<dyn Consumer> {
        Arc::new(Queued { journal: self.clone(), connection: connection.to_owned() })
    }
}

impl Consumer for Queued {
    fn resume(&self, stored: Option<&InboxPosition>) -> Result<Resumed> {
        self.journal.resume(&self.connection, stored)
    }

    fn named(&self, position: &Position) -> InboxPosition {
        self.journal.named(position)
    }

    fn next(&self, after: u64, max: usize, max_bytes: usize) -> Result<Vec<Stored>> {
        self.journal.next(&self.connection, after, max, max_bytes)
    }

    fn acknowledge(&self, seqs: &[u64]) -> Result<()> {
        self.journal.acknowledge(&self.connection, seqs)
    }

    fn give_up(&self, seq: u64, failure: Failure) -> Result<()> {
        self.journal.give_up(&self.connection, seq, failure)
    }

    fn arrivals(&self) -> watch::Receiver<u64> {
        self.journal.arrivals(&self.connection)
    }

    fn missed(&self) -> watch::Receiver<&'static str> {
        self.journal.missed_deliveries().subscribe(&self.connection)
    }

    fn summary(&self) -> Result<Summary> {
        summary(self.journal.path(), &self.connection, &JournalLimits::default())
    }
}

impl DeadLetters for Journal {
    fn list(&self, connection: Option<&str>, after: u64, max: usize) -> Result<Vec<DeadLetter>> {
        self.dead_letters(connection, after, max)
    }

    fn show(&self, id: u64) -> Result<Option<DeadRecord>> {
        self.dead_letter(id)
    }

    fn replay(&self, ids: &[u64]) -> Result<Vec<u64>> {
        self.replay(ids)
    }

    fn delete(&self, ids: &[u64]) -> Result<usize> {
        self.drop_dead(ids)
    }
}
