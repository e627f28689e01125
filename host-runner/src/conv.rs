//! Wire types of the contract into the runner's own; strings are moved, never copied.
//!
//! Knows nothing of calls; a value goes in, a value comes out.

use crate::bindings::{source, types, webhook};
use crate::change::{Batch, Change, CheckItem, Operation, Outcome, Pass, Receipt, Table};
use crate::error::{Error, Kind, Origin};
use crate::journal::Delivery;

impl From<types::ErrorKind> for Kind {
    fn from(kind: types::ErrorKind) -> Self {
        match kind {
            types::ErrorKind::Config => Self::Config,
            types::ErrorKind::Auth => Self::Auth,
            types::ErrorKind::Permission => Self::Permission,
            types::ErrorKind::NotFound => Self::NotFound,
            types::ErrorKind::RateLimited => Self::RateLimited,
            types::ErrorKind::Unavailable => Self::Unavailable,
            types::ErrorKind::Data => Self::Data,
            types::ErrorKind::Unsupported => Self::Unsupported,
            types::ErrorKind::Internal => Self::Internal,
        }
    }
}

impl From<types::Error> for Error {
    fn from(error: types::Error) -> Self {
        Self {
            origin: Origin::Component,
            kind: error.kind.into(),
            message: error.message,
            hint: error.hint,
            code: error.code,
            retry_after_ms: error.retry_after_ms,
            attributes: error.attributes,
        }
    }
}

impl From<types::Operation> for Operation {
    fn from(operation: types::Operation) -> Self {
        match operation {
            types::Operation::Read => Self::Read,
            types::Operation::Create => Self::Create,
            types::Operation::Update => Self::Update,
            types::Operation::Delete => Self::Delete,
        }
    }
}

impl From<types::Change> for Change {
    fn from(change: types::Change) -> Self {
        Self {
            table: change.table,
            operation: change.operation.into(),
            key: change.key,
            after: change.after,
            source_time_ms: change.source_time_ms,
            as_of_ms: change.as_of_ms,
            id: change.id,
            attributes: change.attributes,
        }
    }
}

/// A batch with the time at which the host asked for it.
pub(crate) fn batch(batch: types::Batch, called_at_ms: u64) -> Batch {
    Batch {
        changes: batch.changes.into_iter().map(Change::from).collect(),
        cursor: batch.cursor,
        pass: batch.pass.map(|pass| Pass { id: pass.id, as_of_ms: pass.as_of_ms, complete: pass.complete }),
        caught_up: batch.caught_up,
        wait_ms: batch.wait_ms,
        attributes: batch.attributes,
        called_at_ms,
    }
}

impl From<webhook::Receipt> for Receipt {
    fn from(receipt: webhook::Receipt) -> Self {
        Self {
            changes: receipt.changes.into_iter().map(Change::from).collect(),
            attributes: receipt.attributes,
        }
    }
}

/// What arrived, without its place in the journal.
pub(crate) fn delivery(delivery: Delivery) -> webhook::Delivery {
    webhook::Delivery {
        received_at_ms: delivery.received_at_ms,
        method: delivery.method,
        path_with_query: delivery.path_with_query,
        headers: delivery.headers,
        body: delivery.body,
    }
}

impl From<source::Table> for Table {
    fn from(table: source::Table) -> Self {
        Self {
            name: table.name,
            primary_key: table.primary_key,
            schema: table.schema,
            attributes: table.attributes,
        }
    }
}

impl From<source::Outcome> for Outcome {
    fn from(outcome: source::Outcome) -> Self {
        match outcome {
            source::Outcome::Passed => Self::Passed,
            source::Outcome::Warning => Self::Warning,
            source::Outcome::Failed => Self::Failed,
            source::Outcome::Skipped => Self::Skipped,
        }
    }
}

impl From<source::CheckItem> for CheckItem {
    fn from(item: source::CheckItem) -> Self {
        Self {
            name: item.name,
            outcome: item.outcome.into(),
            message: item.message,
            hint: item.hint,
            kind: item.kind.map(Kind::from),
        }
    }
}
