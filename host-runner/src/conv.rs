//! Converts the contract's types to and from the runner's; strings are moved, not copied.
//!
//! Pure. One value is changed on the way: a time that orders changes may be at most [`CLOCK_AHEAD_MAX`] ahead
//! of this machine's clock. Knows nothing of calls.

use crate::bindings::{source, types, webhook};
use crate::change::{Batch, Change, ChangeSource, CheckItem, Generation, Operation, Outcome, Receipt, Table};
use crate::delivery::Delivery;
use crate::error::{Error, Kind, Origin};
use crate::limits::CLOCK_AHEAD_MAX;

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

impl From<types::ChangeSource> for ChangeSource {
    fn from(source: types::ChangeSource) -> Self {
        match source {
            types::ChangeSource::Snapshot => Self::Snapshot,
            types::ChangeSource::Incremental => Self::Incremental,
            types::ChangeSource::Webhook => Self::Webhook,
            types::ChangeSource::Refetch => Self::Refetch,
        }
    }
}

/// A time by the source's clock, at most [`CLOCK_AHEAD_MAX`] after `now_ms`.
fn bounded(source_ms: u64, now_ms: u64) -> u64 {
    let ahead_ms = u64::try_from(CLOCK_AHEAD_MAX.as_millis()).unwrap_or(u64::MAX);
    source_ms.min(now_ms.saturating_add(ahead_ms))
}

fn changes(changes: Vec<types::Change>, now_ms: u64) -> Vec<Change> {
    let change = |change: types::Change| Change {
        table: change.table,
        operation: change.operation.into(),
        key: change.key,
        before: change.before,
        after: change.after,
        partial: change.partial,
        source: change.source.into(),
        source_updated_at_ms: change.source_updated_at_ms,
        as_of_ms: change.as_of_ms.map(|as_of_ms| bounded(as_of_ms, now_ms)),
        id: change.id,
    };
    changes.into_iter().map(change).collect()
}

/// A batch, called for at `called_at_ms` and returned at `now_ms`.
pub(crate) fn batch(batch: types::Batch, called_at_ms: u64, now_ms: u64) -> Batch {
    let generation = |generation: types::Generation| Generation {
        id: generation.id,
        as_of_ms: generation.as_of_ms.map(|as_of_ms| bounded(as_of_ms, now_ms)),
        complete: generation.complete,
    };
    Batch {
        changes: changes(batch.changes, now_ms),
        cursor: batch.cursor,
        generation: batch.generation.map(generation),
        caught_up: batch.caught_up,
        wait_ms: batch.wait_ms,
        attributes: batch.attributes,
        called_at_ms,
    }
}

/// A receipt that was returned at `now_ms`.
pub(crate) fn receipt(receipt: webhook::Receipt, now_ms: u64) -> Receipt {
    Receipt { changes: changes(receipt.changes, now_ms), attributes: receipt.attributes }
}

/// A delivery for the component.
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

#[cfg(test)]
mod tests {
    use super::{batch, receipt};
    use crate::bindings::{types, webhook};
    use crate::change::Change;
    use crate::limits::CLOCK_AHEAD_MAX;

    const NOW: u64 = 1_800_000_000_000;

    fn change(as_of_ms: Option<u64>) -> types::Change {
        types::Change {
            table: "things".to_owned(),
            operation: types::Operation::Update,
            key: "{}".to_owned(),
            before: None,
            after: None,
            partial: false,
            source: types::ChangeSource::Webhook,
            source_updated_at_ms: Some(u64::MAX),
            as_of_ms,
            id: String::new(),
            attributes: Vec::new(),
        }
    }

    fn as_of(changes: &[Change]) -> Vec<Option<u64>> {
        changes.iter().map(|change| change.as_of_ms).collect()
    }

    #[test]
    fn as_of_is_bounded_in_batches_receipts_and_generations() {
        let latest = NOW + u64::try_from(CLOCK_AHEAD_MAX.as_millis()).expect("small");
        let given = [None, Some(7), Some(NOW + 60_000), Some(latest + 1), Some(u64::MAX)];
        let wanted = [None, Some(7), Some(NOW + 60_000), Some(latest), Some(latest)];
        let pushed = webhook::Receipt { changes: given.map(change).to_vec(), attributes: Vec::new() };
        assert_eq!(as_of(&receipt(pushed, NOW).changes), wanted);
        let read = types::Batch {
            changes: given.map(change).to_vec(),
            cursor: String::new(),
            generation: Some(types::Generation { id: 1, as_of_ms: Some(u64::MAX), complete: true }),
            caught_up: true,
            wait_ms: None,
            attributes: Vec::new(),
        };
        let read = batch(read, 0, NOW);
        assert_eq!(as_of(&read.changes), wanted);
        assert_eq!(read.generation.and_then(|generation| generation.as_of_ms), Some(latest));
    }
}
