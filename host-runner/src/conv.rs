//! Converts the contract's types to and from the runner's; strings are moved, not copied.
//!
//! Pure. Every value of a component passes [`crate::boundary`] first. One value is changed on the way: a time
//! that orders changes may be at most [`CLOCK_AHEAD_MAX`] ahead of the source's clock, as far as that is
//! known. Knows nothing of calls.

use crate::bindings::{source, types, webhook};
use crate::boundary;
use crate::change::{
    Batch, Change, ChangeSource, CheckItem, Generation, Listing, Operation, Outcome, Piece, Receipt, Table,
};
use crate::clock::millis;
use crate::delivery::Delivery;
use crate::error::{Error, Kind, Origin, Result};
use crate::limits::{CLOCK_AHEAD_MAX, CLOCK_SKEW_MAX};
use crate::secret::Redactor;

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

/// An error of the component.
pub(crate) fn error(mut error: types::Error, redactor: &Redactor) -> Error {
    boundary::error(&mut error, redactor);
    Error {
        origin: Origin::Component,
        kind: error.kind.into(),
        message: error.message,
        hint: error.hint,
        code: error.code,
        retry_after_ms: error.retry_after_ms,
        attributes: error.attributes,
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

/// What the source's clock shows at most, at `now_ms` of this machine's, which it was last found to be
/// `skew_ms` ahead of.
pub(crate) fn source_now_ms(now_ms: u64, skew_ms: Option<i64>) -> u64 {
    let ahead_ms = skew_ms.map_or(0, |skew_ms| u64::try_from(skew_ms).unwrap_or(0));
    now_ms.saturating_add(ahead_ms.min(millis(CLOCK_SKEW_MAX)))
}

/// A time by the source's clock, at most [`CLOCK_AHEAD_MAX`] after `now_ms` of it.
fn bounded(source_ms: u64, now_ms: u64) -> u64 {
    let ahead_ms = millis(CLOCK_AHEAD_MAX);
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

/// A batch of about `max_rows` changes, called for at `called_at_ms` of this machine's clock and returned at
/// `now_ms` of the source's.
pub(crate) fn batch(
    mut batch: types::Batch,
    max_rows: u32,
    called_at_ms: u64,
    now_ms: u64,
    redactor: &Redactor,
) -> Result<Batch> {
    boundary::batch(&mut batch, max_rows, redactor)?;
    let generation = |generation: types::Generation| Generation {
        id: generation.id,
        as_of_ms: generation.as_of_ms.map(|as_of_ms| bounded(as_of_ms, now_ms)),
        complete: generation.complete,
    };
    let listing = |listing: types::Listing| Listing {
        parent: listing.parent,
        keys: listing.keys,
        as_of_ms: bounded(listing.as_of_ms, now_ms),
    };
    Ok(Batch {
        changes: changes(batch.changes, now_ms),
        listings: batch.listings.into_iter().map(listing).collect(),
        cursor: batch.cursor,
        generation: batch.generation.map(generation),
        caught_up: batch.caught_up,
        wait_ms: batch.wait_ms,
        undelivered: batch.undelivered,
        attributes: batch.attributes,
        called_at_ms,
    })
}

/// A piece of a file.
pub(crate) fn piece(mut piece: types::Piece, redactor: &Redactor) -> Result<Piece> {
    boundary::piece(&mut piece, redactor)?;
    Ok(Piece { bytes: piece.bytes, is_last: piece.is_last, attributes: piece.attributes })
}

/// A receipt that was returned at `now_ms` of the source's clock.
pub(crate) fn receipt(mut receipt: webhook::Receipt, now_ms: u64, redactor: &Redactor) -> Result<Receipt> {
    boundary::receipt(&mut receipt, redactor)?;
    Ok(Receipt { changes: changes(receipt.changes, now_ms), attributes: receipt.attributes })
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

/// Discovered tables.
pub(crate) fn tables(mut tables: Vec<source::Table>, redactor: &Redactor) -> Result<Vec<Table>> {
    boundary::tables(&mut tables, redactor)?;
    let table = |table: source::Table| Table {
        name: table.name,
        primary_key: table.primary_key,
        schema: table.schema,
        schema_complete: table.schema_complete,
        attributes: table.attributes,
    };
    Ok(tables.into_iter().map(table).collect())
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

/// Check items.
pub(crate) fn check_items(mut items: Vec<source::CheckItem>, redactor: &Redactor) -> Result<Vec<CheckItem>> {
    boundary::check_items(&mut items, redactor)?;
    let item = |item: source::CheckItem| CheckItem {
        name: item.name,
        outcome: item.outcome.into(),
        message: item.message,
        hint: item.hint,
        kind: item.kind.map(Kind::from),
    };
    Ok(items.into_iter().map(item).collect())
}

#[cfg(test)]
mod tests {
    use super::{batch, receipt, source_now_ms};
    use crate::bindings::{types, webhook};
    use crate::change::Change;
    use crate::limits::{CLOCK_AHEAD_MAX, CLOCK_SKEW_MAX};
    use crate::secret::Redactor;

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
    fn as_of_is_bounded_in_batches_receipts_generations_and_listings() {
        let latest = NOW + u64::try_from(CLOCK_AHEAD_MAX.as_millis()).expect("small");
        let given = [None, Some(7), Some(NOW + 60_000), Some(latest + 1), Some(u64::MAX)];
        let wanted = [None, Some(7), Some(NOW + 60_000), Some(latest), Some(latest)];
        let pushed = webhook::Receipt { changes: given.map(change).to_vec(), attributes: Vec::new() };
        assert_eq!(as_of(&receipt(pushed, NOW, &Redactor::default()).expect("accepted").changes), wanted);
        let read = types::Batch {
            changes: given.map(change).to_vec(),
            cursor: String::new(),
            generation: Some(types::Generation { id: 1, as_of_ms: Some(u64::MAX), complete: true }),
            listings: vec![types::Listing { parent: "{}".into(), keys: Vec::new(), as_of_ms: u64::MAX }],
            caught_up: true,
            wait_ms: None,
            undelivered: None,
            attributes: Vec::new(),
        };
        let read = batch(read, 1, 0, NOW, &Redactor::default()).expect("accepted");
        assert_eq!(as_of(&read.changes), wanted);
        assert_eq!(read.generation.and_then(|generation| generation.as_of_ms), Some(latest));
        assert_eq!(read.listings[0].as_of_ms, latest);
    }

    #[test]
    fn a_slow_clock_keeps_two_changes_apart_once_the_source_has_answered() {
        const HOUR: u64 = 3_600_000;
        let given = [NOW + HOUR - 600_000, NOW + HOUR].map(Some);
        let pushed = |skew_ms| {
            let pushed = webhook::Receipt { changes: given.map(change).to_vec(), attributes: Vec::new() };
            let now_ms = source_now_ms(NOW, skew_ms);
            as_of(&receipt(pushed, now_ms, &Redactor::default()).expect("accepted").changes)
        };
        assert_eq!(pushed(Some(HOUR.cast_signed())), given);
        assert_eq!(pushed(None)[0], pushed(None)[1], "not known yet");
        assert_eq!(source_now_ms(NOW, Some(-1)), NOW, "a fast clock changes nothing");
        let most = u64::try_from(CLOCK_SKEW_MAX.as_millis()).expect("small");
        assert_eq!(source_now_ms(NOW, Some(i64::MAX)), NOW + most);
    }
}
