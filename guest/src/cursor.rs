//! Where a read of one table stands: plain, versioned JSON that any instance can go on from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::paging::Position;
use crate::table::Table;

const VERSION: u32 = 1;

/// The cursor of one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    pub version: u32,
    pub table: String,
    #[serde(flatten)]
    pub phase: Phase,
}

/// What the read is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// A snapshot over the table.
    Snapshot(Snapshot),
    /// Changes by search, window by window.
    Search(Search),
    /// A snapshot that began then has ended; another begins when its time has come. 0: there was none.
    Rest { last_snapshot: u64 },
}

/// A snapshot under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// When it began, by our clock; names the snapshot.
    pub began_ms: u64,
    /// The same by the source's clock, from its first answer.
    #[serde(default)]
    pub source_began_ms: Option<u64>,
    /// Index into the list's slices.
    #[serde(default)]
    pub slice: usize,
    pub position: Position,
    /// Something was left out that the target may hold: this snapshot ends without a comparison.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gaps: bool,
    /// Pages to ask for at once: doubled while pages are full, one again after a short one.
    #[serde(default = "one")]
    pub ahead: usize,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

fn one() -> usize {
    1
}

/// Following by `modifiedTimeRange`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Search {
    /// Everything modified before this moment has been read.
    pub since_ms: u64,
    /// The window being read now.
    pub window: Option<Window>,
    /// Everything that came into the recycle bin before this moment has been seen.
    #[serde(default)]
    pub bin_since_ms: u64,
    /// Rows of the overlap that have been read, by id (and what else was seen of them) with their modified time: the next window shows them again.
    #[serde(default)]
    pub seen: BTreeMap<String, u64>,
}

/// One window of moments, both ends included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    pub from_ms: u64,
    pub to_ms: u64,
    /// Where the whole range ends that this window is a part of.
    pub end_ms: u64,
    /// Index into the moments that the table is followed by.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub moment: usize,
    /// The source's clock at the first answer of the range.
    #[serde(default)]
    pub source_now_ms: Option<u64>,
    pub position: Position,
}

impl Cursor {
    pub fn new(table: &Table, phase: Phase) -> Self {
        Self { version: VERSION, table: table.name.to_owned(), phase }
    }

    /// The cursor of a first read.
    pub fn start(table: &Table, now_ms: u64) -> Self {
        Self::new(
            table,
            Phase::Snapshot(Snapshot {
                began_ms: now_ms,
                source_began_ms: None,
                slice: 0,
                position: Position::default(),
                gaps: false,
                ahead: 1,
            }),
        )
    }

    /// Parses what an earlier batch gave.
    pub fn parse(table: &Table, json: &str) -> Result<Self> {
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

    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables;

    #[test]
    fn a_cursor_survives_its_json() {
        let table = tables::ALL[0];
        let cursor = Cursor::start(table, 5);
        assert_eq!(Cursor::parse(table, &cursor.to_json()).unwrap(), cursor);
    }

    #[test]
    fn a_cursor_of_another_table_or_time_is_refused() {
        let cursor = Cursor::start(tables::ALL[0], 5).to_json();
        assert_eq!(Cursor::parse(tables::ALL[1], &cursor).unwrap_err().kind, Kind::Config);
        let newer = cursor.replace(r#""version":1"#, r#""version":2"#);
        assert!(Cursor::parse(tables::ALL[0], &newer).is_err());
        assert!(Cursor::parse(tables::ALL[0], "{}").is_err());
    }
}
