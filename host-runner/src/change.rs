//! The runner's types for the data of a component: changes, batches, tables, check items.
//!
//! Plain data. Knows neither the bindings nor the sinks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::Kind;

/// The operation on a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Read, as it is now.
    Read,
    /// New at the source.
    Create,
    /// Changed at the source.
    Update,
    /// Deleted at the source.
    Delete,
}

impl Operation {
    /// The contract's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// How a change was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeSource {
    /// By a complete read of its table.
    Snapshot,
    /// By reading only rows that changed after the snapshot.
    Incremental,
    /// In the body of a delivery.
    Webhook,
    /// By reading the record by its key.
    Refetch,
}

impl ChangeSource {
    /// The contract's name; the value of the column `_change_source`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Incremental => "incremental",
            Self::Webhook => "webhook",
            Self::Refetch => "refetch",
        }
    }
}

/// Open-ended facts by name.
pub type Attributes = Vec<(String, String)>;

/// One row as it is or as it changed. See `wit/source.wit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The table's name.
    pub table: String,
    /// The operation.
    pub operation: Operation,
    /// Primary key, a JSON object.
    pub key: String,
    /// The row before the change, a JSON object, if the source reports it.
    pub before: Option<String>,
    /// The row, a JSON object.
    pub after: Option<String>,
    /// `after` holds only the members to replace.
    pub partial: bool,
    /// How it was found.
    pub source: ChangeSource,
    /// When the row was last modified, by its own field.
    pub source_updated_at_ms: Option<u64>,
    /// The as-of, which orders changes of one key; none means the time of the call.
    pub as_of_ms: Option<u64>,
    /// The same for every delivery of the same change.
    pub id: String,
}

/// One complete read of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation {
    /// Its number; later snapshots have greater ones.
    pub id: u64,
    /// When it started, by the source's clock: the as-of of rows that it no longer shows.
    pub as_of_ms: Option<u64>,
    /// True in its last batch.
    pub complete: bool,
}

/// All rows of one parent, as its list showed them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The members that name the parent, with their values, a JSON object.
    pub parent: String,
    /// The keys of its rows, JSON objects.
    pub keys: Vec<String>,
    /// When it had no others, by the source's clock.
    pub as_of_ms: u64,
}

/// The result of one call of `read`.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The rows.
    pub changes: Vec<Change>,
    /// Parents whose other rows were deleted.
    pub listings: Vec<Listing>,
    /// Where the next call continues.
    pub cursor: String,
    /// The snapshot it belongs to, if any.
    pub generation: Option<Generation>,
    /// Nothing is left to read now.
    pub caught_up: bool,
    /// The shortest wait before the next call.
    pub wait_ms: Option<u64>,
    /// Of the changes, those that no webhook brought; none where that is not known.
    pub undelivered: Option<u64>,
    /// Costs and warnings.
    pub attributes: Attributes,
    /// When the host made the call: the as-of of changes without one.
    pub called_at_ms: u64,
}

/// The component's result for one delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The rows.
    pub changes: Vec<Change>,
    /// `ignored`, and costs.
    pub attributes: Attributes,
}

/// Consecutive bytes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Not more than were asked for.
    pub bytes: Vec<u8>,
    /// The file ends with them.
    pub is_last: bool,
    /// Costs.
    pub attributes: Attributes,
}

/// A table as discovered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Names of the key's members.
    pub primary_key: Vec<String>,
    /// JSON Schema of a row, as text.
    pub schema: String,
    /// False: the source did not list all members of a row now.
    pub schema_complete: bool,
    /// `title`, `count`.
    pub attributes: Attributes,
}

/// How one check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// As it should be.
    Passed,
    /// Works, with something to know.
    Warning,
    /// Does not work.
    Failed,
    /// Was not tested.
    Skipped,
}

/// One line of `check`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CheckItem {
    /// The name of the check.
    pub name: String,
    /// How it went.
    pub outcome: Outcome,
    /// The result, for a person.
    pub message: String,
    /// What to try.
    pub hint: Option<String>,
    /// The kind of the error, if it failed.
    pub kind: Option<Kind>,
}

/// Changes by table and source.
pub fn tally(changes: &[Change]) -> BTreeMap<(String, ChangeSource), u64> {
    let mut tally = BTreeMap::new();
    for change in changes {
        *tally.entry((change.table.clone(), change.source)).or_default() += 1;
    }
    tally
}

/// The first value of an attribute.
pub fn attribute<'a>(attributes: &'a [(String, String)], name: &str) -> Option<&'a str> {
    attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// The first value of an attribute, if it is a number.
pub fn number(attributes: &[(String, String)], name: &str) -> Option<u64> {
    attribute(attributes, name)?.parse().ok()
}
