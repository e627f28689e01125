//! The cursor of one table: plain, versioned JSON that any instance can continue from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::paging::Offset;
use crate::table::Table;

const VERSION: u32 = 1;

/// Where the next `read` of a table continues.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    version: u32,
    table: String,
    #[serde(flatten)]
    pub(crate) phase: Phase,
}

/// The phase of the read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub(crate) enum Phase {
    /// A snapshot of the table.
    Snapshot(Snapshot),
    /// Incremental reading by search, window by window.
    Search(Search),
    /// Waits until the next full refresh is due. 0: there was no snapshot yet.
    Idle { last_snapshot_ms: u64 },
}

/// An incomplete snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    /// Start time by the host's clock; the id of the generation.
    pub(crate) started_at_ms: u64,
    /// Start time by the source's clock, from its first answer.
    #[serde(default)]
    pub(crate) source_started_at_ms: Option<u64>,
    /// Index into the list's partitions.
    #[serde(default)]
    pub(crate) partition: usize,
    pub(crate) offset: Offset,
    /// A row was skipped that the sink may hold: the snapshot ends without a comparison.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) incomplete: bool,
    /// Pages to ask for at once: doubled while pages are full, one after a short page.
    #[serde(default = "one")]
    pub(crate) pages_at_once: usize,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

fn one() -> usize {
    1
}

/// Incremental reading by search.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Search {
    /// Every change before this time has been read.
    pub(crate) since_ms: u64,
    /// The window being read.
    pub(crate) window: Option<Window>,
    /// Every record moved to the recycle bin before this time has been found.
    #[serde(default)]
    pub(crate) recycle_bin_since_ms: u64,
    /// Rows of the overlap that have been read, with their times: the next window returns them again. Named
    /// as in `reader/seen.rs`.
    #[serde(default)]
    pub(crate) seen: BTreeMap<String, u64>,
}

/// One window of times, both ends included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Window {
    pub(crate) from_ms: u64,
    pub(crate) to_ms: u64,
    /// End of the range that this window is a part of.
    pub(crate) end_ms: u64,
    /// Index into the table's cursor fields.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) cursor_field: usize,
    /// The source's clock at the first answer of the range.
    #[serde(default)]
    pub(crate) source_now_ms: Option<u64>,
    pub(crate) offset: Offset,
}

impl Cursor {
    pub(crate) fn new(table: &Table, phase: Phase) -> Self {
        Self { version: VERSION, table: table.name.to_owned(), phase }
    }

    /// The cursor at the start of a snapshot.
    pub(crate) fn start(table: &Table, now_ms: u64) -> Self {
        Self::new(
            table,
            Phase::Snapshot(Snapshot {
                started_at_ms: now_ms,
                source_started_at_ms: None,
                partition: 0,
                offset: Offset::default(),
                incomplete: false,
                pages_at_once: 1,
            }),
        )
    }

    /// Parses the cursor of an earlier batch of `table`.
    pub(crate) fn parse(table: &Table, json: &str) -> Result<Self> {
        let refused = |what: String| {
            Error::new(Kind::Config, format!("cursor of table `{}`: {what}", table.name)).hint(
                "read the table from the beginning: `sync --full-refresh`, or `state reset` for the table",
            )
        };
        let cursor: Self =
            serde_json::from_str(json).map_err(|error| refused(format!("cannot be read: {error}")))?;
        if cursor.version > VERSION {
            return Err(refused(format!("version {} is newer than this connector knows", cursor.version)));
        }
        if cursor.table != table.name {
            return Err(refused(format!("it belongs to table `{}`", cursor.table)));
        }
        Ok(cursor)
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables;

    #[test]
    fn a_cursor_of_every_phase_is_equal_after_a_round_trip_through_json() {
        let table = tables::ALL[0];
        let window = Window {
            from_ms: 1,
            to_ms: 2,
            end_ms: 3,
            cursor_field: 1,
            source_now_ms: Some(4),
            offset: Offset::default(),
        };
        let seen = BTreeMap::from([("7".to_owned(), 6)]);
        let search = Search { since_ms: 5, window: Some(window), recycle_bin_since_ms: 8, seen };
        for cursor in [
            Cursor::start(table, 5),
            Cursor::new(table, Phase::Search(search)),
            Cursor::new(table, Phase::Idle { last_snapshot_ms: 9 }),
        ] {
            assert_eq!(Cursor::parse(table, &cursor.to_json()).unwrap(), cursor);
        }
    }

    #[test]
    fn a_cursor_of_another_table_or_a_newer_version_is_refused() {
        let cursor = Cursor::start(tables::ALL[0], 5).to_json();
        let newer = cursor.replace(r#""version":1"#, r#""version":2"#);
        for (table, json, says) in [
            (tables::ALL[1], cursor.as_str(), "belongs to table"),
            (tables::ALL[0], &newer, "newer"),
            (tables::ALL[0], "{}", "cannot be read"),
        ] {
            let error = Cursor::parse(table, json).unwrap_err();
            assert_eq!(error.kind, Kind::Config);
            assert!(error.message.contains(says), "{error}");
        }
    }
}
