//! Changes on their way to the host: a row as it is, as it changed, or deleted. Pure.

use xxhash_rust::xxh3::xxh3_64;

use crate::members::{Members, unquoted};
use crate::row::RowMeta;
use crate::table::Table;

/// One row or change; the contract's `change`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub table: &'static str,
    pub operation: Operation,
    /// The primary key, for example `{"id":"…"}`.
    pub key: String,
    pub before: Option<String>,
    pub after: Option<String>,
    /// `after` holds only the members to replace.
    pub partial: bool,
    pub source: ChangeSource,
    pub source_updated_at_ms: Option<u64>,
    pub as_of_ms: Option<u64>,
    pub id: String,
}

/// All rows of one parent; the contract's `listing`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// For example `{"ticketId":"…"}`.
    pub parent: String,
    /// Primary keys, as changes have them.
    pub keys: Vec<String>,
    pub as_of_ms: u64,
}

/// How a change was found; the contract's `change-source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeSource {
    Snapshot,
    Incremental,
    Webhook,
    Refetch,
}

/// The contract's `operation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Read,
    Create,
    Update,
    Delete,
}

impl Change {
    /// A row of `table` with `meta`, complete in `row`.
    pub(crate) fn of_row(
        table: &'static Table,
        operation: Operation,
        meta: &RowMeta,
        row: String,
        as_of_ms: Option<u64>,
        source: ChangeSource,
    ) -> Self {
        let (key, name) = key(table, meta, &row);
        Self {
            table: table.name,
            operation,
            key,
            before: None,
            source_updated_at_ms: meta.modified_time_ms,
            as_of_ms,
            id: change_id(&name, &row),
            after: Some(row),
            partial: false,
            source,
        }
    }

    /// The delete of a row whose key has other members than `id`.
    pub(crate) fn delete_of_row(
        table: &'static Table,
        meta: &RowMeta,
        row: &str,
        as_of_ms: Option<u64>,
        source: ChangeSource,
    ) -> Self {
        let (key, name) = key(table, meta, row);
        Self { key, ..Self::delete(table, &name, None, as_of_ms, source) }
    }

    /// The delete of a record; equal times give equal idempotency keys.
    pub(crate) fn delete(
        table: &'static Table,
        id: &str,
        before: Option<String>,
        as_of_ms: Option<u64>,
        source: ChangeSource,
    ) -> Self {
        Self {
            table: table.name,
            operation: Operation::Delete,
            key: key_of_id(id),
            before,
            after: None,
            partial: false,
            source,
            source_updated_at_ms: None,
            as_of_ms,
            id: format!("{id}-deleted-{}", as_of_ms.unwrap_or(0)),
        }
    }
}

/// The primary key of most tables as text; equal rows have equal text.
fn key_of_id(id: &str) -> String {
    format!(r#"{{"id":"{id}"}}"#)
}

/// The primary key of a row as text, and its values as one.
pub(crate) fn key(table: &Table, meta: &RowMeta, row: &str) -> (String, String) {
    if table.key == ["id"] {
        return (key_of_id(&meta.id), meta.id.clone());
    }
    let members = Members::parse(row);
    let value = |name: &&str| members.as_ref().and_then(|members| members.get(name)).map_or("", unquoted);
    let values: Vec<&str> = table.key.iter().map(value).collect();
    let pairs = table.key.iter().zip(&values).map(|(name, value)| format!(r#""{name}":"{value}""#));
    (format!("{{{}}}", pairs.collect::<Vec<_>>().join(",")), values.join("-"))
}

/// The idempotency key of a row in exactly this state.
fn change_id(id: &str, row: &str) -> String {
    format!("{id}-{:016x}", xxh3_64(row.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables;

    /// The id of a change whose row is `row`; all else is as given.
    fn id(id: &str, row: &str, operation: Operation, as_of_ms: u64, modified_time_ms: u64) -> String {
        let meta = RowMeta { id: id.to_owned(), modified_time_ms: Some(modified_time_ms), deleted: false };
        let table = tables::ALL[0];
        Change::of_row(table, operation, &meta, row.to_owned(), Some(as_of_ms), ChangeSource::Webhook).id
    }

    #[test]
    fn a_change_id_differs_by_key_and_by_content_and_by_nothing_else() {
        let first = id("1", "{}", Operation::Create, 5, 3);
        assert_eq!(first, id("1", "{}", Operation::Update, 6, 4));
        assert_ne!(first, id("2", "{}", Operation::Create, 5, 3));
        assert_ne!(first, id("1", "{ }", Operation::Create, 5, 3));
    }

    #[test]
    fn the_id_of_a_delete_differs_by_key_and_by_time() {
        let id = |id: &str, as_of_ms, before: Option<&str>| {
            let before = before.map(str::to_owned);
            Change::delete(tables::ALL[0], id, before, as_of_ms, ChangeSource::Refetch).id
        };
        assert_eq!(id("1", Some(5), None), id("1", Some(5), Some("{}")));
        assert_ne!(id("1", Some(5), None), id("2", Some(5), None));
        assert_ne!(id("1", Some(5), None), id("1", Some(6), None));
    }
}
