//! The connector's values as the contract's, one function each.

use super::bindings::exports::connector::source::source as contract;
use super::bindings::exports::connector::source::{types, webhook};
use crate::api::Usage;
use crate::change::{Change, ChangeSource, Listing, Operation};
use crate::check::{Item, Outcome};
use crate::connection::Found;
use crate::error::{Error, Kind};
use crate::file::Piece;
use crate::reader::{Batch, Limits};
use crate::webhook::Receipt;

pub(super) fn to_receipt(receipt: Receipt) -> webhook::Receipt {
    webhook::Receipt {
        changes: receipt.changes.into_iter().map(to_change).collect(),
        attributes: receipt.ignored.into_iter().map(|name| ("ignored".to_owned(), name)).collect(),
    }
}

pub(super) fn to_error(error: Error, usage: Usage) -> types::Error {
    let mut attributes = error.attributes;
    attributes.extend(usage_attributes(&usage));
    types::Error {
        kind: to_kind(error.kind),
        code: error.code.map(String::from),
        message: error.message,
        hint: error.hint,
        retry_after_ms: error.retry_after_ms,
        attributes,
    }
}

fn to_kind(kind: Kind) -> types::ErrorKind {
    match kind {
        Kind::Config => types::ErrorKind::Config,
        Kind::Auth => types::ErrorKind::Auth,
        Kind::Permission => types::ErrorKind::Permission,
        Kind::NotFound => types::ErrorKind::NotFound,
        Kind::RateLimited => types::ErrorKind::RateLimited,
        Kind::Unavailable => types::ErrorKind::Unavailable,
        Kind::Data => types::ErrorKind::Data,
        Kind::Unsupported => types::ErrorKind::Unsupported,
        Kind::Internal => types::ErrorKind::Internal,
    }
}

pub(super) fn usage_attributes(usage: &Usage) -> Vec<(String, String)> {
    let mut attributes = vec![
        ("requests".to_owned(), usage.requests.to_string()),
        ("credits-used".to_owned(), usage.credits_used.to_string()),
    ];
    attributes.extend(usage.credits_left.map(|left| ("credits-left".to_owned(), left.to_string())));
    attributes
}

pub(super) fn to_item(item: Item) -> contract::CheckItem {
    contract::CheckItem {
        name: item.name,
        outcome: match item.outcome {
            Outcome::Passed => contract::Outcome::Passed,
            Outcome::Warning => contract::Outcome::Warning,
            Outcome::Failed => contract::Outcome::Failed,
            Outcome::Skipped => contract::Outcome::Skipped,
        },
        message: item.message,
        hint: item.hint,
        kind: item.kind.map(to_kind),
    }
}

pub(super) fn to_table(found: Found) -> contract::Table {
    let mut attributes = vec![
        ("title".to_owned(), found.table.title.to_owned()),
        ("group".to_owned(), found.table.group.name().to_owned()),
    ];
    if found.table.count.is_some() {
        attributes.push(("count".to_owned(), "true".to_owned()));
    }
    let schema_complete = found.warning.is_none();
    attributes.extend(found.warning.map(|warning| ("warning".to_owned(), warning)));
    contract::Table {
        name: found.table.name.to_owned(),
        primary_key: found.table.key.iter().map(|member| (*member).to_owned()).collect(),
        schema: found.schema.to_string(),
        schema_complete,
        attributes,
    }
}

pub(super) fn from_limits(limits: types::Limits) -> Limits {
    Limits { max_changes: limits.max_changes, max_bytes: limits.max_bytes, max_ms: limits.max_ms }
}

pub(super) fn to_piece(piece: Piece, usage: &Usage) -> types::Piece {
    types::Piece { bytes: piece.bytes, is_last: piece.is_last, attributes: usage_attributes(usage) }
}

pub(super) fn to_batch(batch: Batch, usage: Usage) -> types::Batch {
    let mut attributes = usage_attributes(&usage);
    if batch.partial_rows > 0 {
        attributes.push(("partial-rows".to_owned(), batch.partial_rows.to_string()));
    }
    attributes.extend(batch.warnings.into_iter().map(|warning| ("warning".to_owned(), warning)));
    types::Batch {
        changes: batch.changes.into_iter().map(to_change).collect(),
        cursor: batch.cursor,
        generation: batch.generation.map(|generation| types::Generation {
            id: generation.id,
            as_of_ms: generation.as_of_ms,
            complete: generation.complete,
        }),
        listings: batch.listings.into_iter().map(to_listing).collect(),
        caught_up: batch.caught_up,
        wait_ms: batch.wait_ms,
        undelivered: batch.undelivered,
        attributes,
    }
}

fn to_listing(listing: Listing) -> types::Listing {
    types::Listing { parent: listing.parent, keys: listing.keys, as_of_ms: listing.as_of_ms }
}

fn to_change(change: Change) -> types::Change {
    types::Change {
        table: change.table.to_owned(),
        operation: match change.operation {
            Operation::Read => types::Operation::Read,
            Operation::Create => types::Operation::Create,
            Operation::Update => types::Operation::Update,
            Operation::Delete => types::Operation::Delete,
        },
        key: change.key,
        before: change.before,
        after: change.after,
        partial: change.partial,
        source: match change.source {
            ChangeSource::Snapshot => types::ChangeSource::Snapshot,
            ChangeSource::Incremental => types::ChangeSource::Incremental,
            ChangeSource::Webhook => types::ChangeSource::Webhook,
            ChangeSource::Refetch => types::ChangeSource::Refetch,
        },
        source_updated_at_ms: change.source_updated_at_ms,
        as_of_ms: change.as_of_ms,
        id: change.id,
        attributes: Vec::new(),
    }
}
