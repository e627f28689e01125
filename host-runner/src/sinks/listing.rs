//! Listings: rows of a parent that the source does not list any more, as deletes in the order of all changes.
//!
//! Pure. A database finds the older rows of a [`Parent`], and those whose keys the listing lacks are deleted
//! by the commit of its batch. Knows nothing of statements.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use serde_json::value::RawValue;
use serde_json::{Map, Value as Json};

use super::columns::{Column, Layout};
use super::fold::Key;
use super::members::MemberPaths;
use super::order::signed;
use super::value::{ColumnType, text};
use crate::change::{Change, ChangeSource, Listing, Operation};
use crate::error::{Error, Result};

/// Rows that the listings of one batch delete at most: as many as a batch has changes. The others are deleted
/// by the next listing of their parent.
pub(super) const UNLISTED_MAX: usize = 10_000;

/// A listing, as a table's columns have it.
pub(super) struct Parent<'l> {
    /// The columns that name the parent, and their values.
    pub(super) columns: Vec<(&'l str, Cow<'l, str>)>,
    pub(super) as_of: i64,
    listing: &'l Listing,
    keys: HashSet<Key<'l>>,
}

impl<'l> Parent<'l> {
    /// None for a parent that the columns do not name: nothing is known of its rows.
    pub(super) fn new(
        layout: &'l Layout,
        key_paths: &MemberPaths,
        listing: &'l Listing,
    ) -> Result<Option<Self>> {
        let members: BTreeMap<String, &RawValue> =
            serde_json::from_str(&listing.parent).map_err(|error| {
                let (table, parent) = (&layout.table, &listing.parent);
                Error::data(format!("table `{table}`: parent {parent}: is not a JSON object: {error}"))
            })?;
        let column = |(member, value): (&String, &&'l RawValue)| {
            let value = text(value.get()).filter(|_| value.get() != "null")?;
            Some((column_of(layout, member)?, value))
        };
        let Some(columns) = members.iter().map(column).collect::<Option<Vec<_>>>() else { return Ok(None) };
        if columns.is_empty() {
            return Ok(None);
        }
        let keys: Result<HashSet<Key<'l>>> =
            listing.keys.iter().map(|key| layout.key_of(key_paths, key)).collect();
        Ok(Some(Self { columns, as_of: signed(listing.as_of_ms), listing, keys: keys? }))
    }

    /// The number of its rows.
    pub(super) fn rows(&self) -> usize {
        self.keys.len()
    }

    /// The delete of a stored row of the parent that is older than the listing; none if it is listed, or one
    /// of the `named`.
    pub(super) fn delete(
        &self,
        layout: &Layout,
        key: Vec<String>,
        named: &HashSet<Key<'_>>,
    ) -> Option<Change> {
        let key: Key<'_> = key.into_iter().map(Cow::Owned).collect();
        if self.keys.contains(&key) || named.contains(&key) {
            return None;
        }
        let members = layout.key.iter().zip(key);
        let key: Map<String, Json> =
            members.map(|(column, text)| (column.member.clone(), text.into_owned().into())).collect();
        let (key, as_of_ms) = (Json::Object(key).to_string(), self.listing.as_of_ms);
        Some(Change {
            table: layout.table.clone(),
            operation: Operation::Delete,
            id: format!("{key}-unlisted-{as_of_ms}"),
            key,
            before: None,
            after: None,
            partial: false,
            source: ChangeSource::Incremental,
            source_updated_at_ms: None,
            as_of_ms: Some(as_of_ms),
        })
    }
}

/// The keys that changes name: those say where their rows are now, for example under another parent.
pub(super) fn named<'c>(
    layout: &Layout,
    key_paths: &MemberPaths,
    changes: &'c [Change],
) -> Result<HashSet<Key<'c>>> {
    let changes = changes.iter().filter(|change| change.table == layout.table);
    changes.map(|change| layout.key_of(key_paths, &change.key)).collect()
}

/// The column with the text of a member.
fn column_of<'l>(layout: &'l Layout, member: &str) -> Option<&'l str> {
    let is_it = |column: &&Column| {
        column.column_type == ColumnType::Text && matches!(column.path.as_slice(), [only] if only == member)
    };
    let key = layout.key.iter().find(|column| column.member == member).map(|column| &column.name);
    key.or_else(|| layout.columns.iter().find(is_it).map(|column| &column.name)).map(String::as_str)
}
