//! What a component reports, in the runner's own words: changes, batches, tables, check items.
//!
//! Plain data. Knows neither the bindings it came through nor the sink it goes to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::Kind;

/// What happened to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Found by reading.
    Read,
    /// New at the source.
    Create,
    /// Changed at the source.
    Update,
    /// Gone at the source.
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
    /// By reading what changed after the snapshot.
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
    /// What happened.
    pub operation: Operation,
    /// Primary key, a JSON object.
    pub key: String,
    /// The row as it was before, a JSON object, where the source tells.
    pub before: Option<String>,
    /// The row, a JSON object.
    pub after: Option<String>,
    /// `after` holds only the members to replace.
    pub partial: bool,
    /// How it was found.
    pub source: ChangeSource,
    /// When the row last changed by its own account.
    pub source_updated_at_ms: Option<u64>,
    /// Orders changes of one key; none is the time of the call.
    pub as_of_ms: Option<u64>,
    /// The same for every delivery of the same change.
    pub id: String,
}

/// One complete read of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation {
    /// When it began; later snapshots are greater.
    pub id: u64,
    /// When it began by the source's clock; dates what a comparison finds gone.
    pub as_of_ms: Option<u64>,
    /// True in its last batch.
    pub complete: bool,
}

/// What one call of `read` returned.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The rows.
    pub changes: Vec<Change>,
    /// Where to go on.
    pub cursor: String,
    /// The snapshot it belongs to, if any.
    pub generation: Option<Generation>,
    /// Nothing is left to read now.
    pub caught_up: bool,
    /// Do not ask again sooner.
    pub wait_ms: Option<u64>,
    /// Costs and warnings.
    pub attributes: Attributes,
    /// When the host made the call; orders changes that carry no time of their own.
    pub called_at_ms: u64,
}

/// What one delivery of a webhook meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The rows.
    pub changes: Vec<Change>,
    /// `ignored`, and what it cost.
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
    /// What was tested.
    pub name: String,
    /// How it went.
    pub outcome: Outcome,
    /// What was found.
    pub message: String,
    /// What to try.
    pub hint: Option<String>,
    /// What to do about it, when it failed.
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
