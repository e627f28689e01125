//! The newest change of each key of a commit.
//!
//! Pure. A tool that merges by key takes a key twice in one batch for two rows, or lets the older one win.

use std::borrow::Cow;

use indexmap::IndexMap;

use crate::change::Change;
use crate::error::{Error, Result};
use crate::sinks::members::merge;
use crate::sinks::{Commit, order};

/// What a commit leaves of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Newest<'a> {
    pub(super) table: &'a str,
    /// Primary key, a JSON object.
    pub(super) key: &'a str,
    /// The row, none if it is deleted.
    pub(super) row: Option<Cow<'a, str>>,
    /// `row` holds only the members to replace.
    pub(super) partial: bool,
    /// Unix milliseconds.
    pub(super) as_of: i64,
}

/// The newest change of each key, in the order in which the keys came first.
pub(super) fn newest<'a>(commit: &Commit<'a>) -> Result<Vec<Newest<'a>>> {
    let mut keys: IndexMap<(&str, &str), Newest<'a>> = IndexMap::new();
    for change in commit.changes {
        let next = Newest {
            table: &change.table,
            key: &change.key,
            row: change.after.as_deref().map(Cow::Borrowed),
            partial: change.partial,
            as_of: order::as_of(change, commit),
        };
        match keys.get_mut(&(next.table, next.key)) {
            None => {
                keys.insert((next.table, next.key), next);
            }
            Some(former) if next.as_of >= former.as_of => *former = over(former, next, change)?,
            Some(_) => {}
        }
    }
    Ok(keys.into_values().collect())
}

/// A newer change laid over the one before.
fn over<'a>(former: &Newest<'a>, next: Newest<'a>, change: &Change) -> Result<Newest<'a>> {
    let (Some(row), Some(members), true) = (&former.row, &next.row, next.partial) else { return Ok(next) };
    let merged = merge(row, members).map_err(|error| {
        Error::data(format!("table `{}`: row {}: not a JSON object: {error}", change.table, change.key))
    })?;
    Ok(Newest { row: Some(Cow::Owned(merged)), partial: former.partial, ..next })
}
