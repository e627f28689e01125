//! The progress of a run as a tool keeps it: how far each table is, and the sealed session.
//!
//! Read leniently, because tools add members and nulls: a table whose state cannot be used is read from its
//! start. Does not know where a protocol puts it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::fold::Newest;
use crate::change::Generation;
use crate::sinks::{SinkProgress, TableState, order};

/// The progress of all tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Saved {
    pub(crate) tables: BTreeMap<String, SavedTable>,
    /// The session, sealed.
    pub(crate) session: Option<String>,
}

/// How far one table is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SavedTable {
    /// Where the next read continues.
    cursor: Option<String>,
    /// The connector's id of the newest snapshot.
    snapshot: Option<u64>,
    /// Whether that snapshot is complete.
    complete: bool,
    /// When it started, by the host's clock: its number for tools that count versions of a table.
    pub(super) version: Option<u64>,
    /// The version of the newest complete snapshot: the tool has all of its rows.
    whole: Option<u64>,
}

impl SavedTable {
    /// The same after a batch that was read at `now_ms`.
    pub(super) fn after(&self, cursor: &str, generation: Option<Generation>, now_ms: u64) -> Self {
        let mut after = Self { cursor: Some(cursor.to_owned()), ..self.clone() };
        let Some(generation) = generation else { return after };
        if after.snapshot != Some(generation.id) {
            after.snapshot = Some(generation.id);
            // Greater than all before, whatever the clock does.
            after.version = Some(now_ms.max(self.version.map_or(0, |version| version.saturating_add(1))));
        }
        after.complete = generation.complete;
        after
    }

    /// Whether the tool has the row of a change already, in a state as new: a row of a snapshot that is older
    /// than the snapshot says only that it exists, and a complete snapshot brought it before.
    ///
    /// A verification consists of such rows. Sinks that compare keep their own; a tool would replace its row.
    pub(super) fn has(&self, change: &Newest<'_>, generation: Option<Generation>, now_ms: u64) -> bool {
        let Some(generation) = generation.filter(|_| self.whole.is_some()) else { return false };
        change.partial && change.as_of < order::signed(generation.as_of_ms.unwrap_or(now_ms))
    }

    /// Keeps the version of the rows that the tool has: the snapshot leaves rows out that the tool has.
    pub(super) fn keep_version(&mut self) {
        self.version = self.whole;
    }

    /// Ends a complete snapshot: its version, if it replaces that of the snapshot before.
    pub(super) fn completed(&mut self) -> Option<u64> {
        let is_new = self.whole != self.version;
        self.whole = self.version;
        self.version.filter(|_| is_new)
    }

    /// The table as a tool kept it; none if it has no cursor.
    pub(super) fn parse(value: &Value) -> Option<Self> {
        let cursor = value["cursor"].as_str()?.to_owned();
        let complete = value["complete"].as_bool().unwrap_or(false);
        let version = value["version"].as_u64();
        Some(Self {
            cursor: Some(cursor),
            snapshot: value["snapshot"].as_u64(),
            complete,
            version,
            whole: value["whole"].as_u64().or(version.filter(|_| complete)),
        })
    }

    /// The form that a tool keeps.
    pub(super) fn json(&self) -> Value {
        json!({
            "cursor": self.cursor,
            "snapshot": self.snapshot,
            "complete": self.complete,
            "version": self.version,
            "whole": self.whole,
        })
    }
}

impl Saved {
    /// Forgets the cursor of a table that had a complete snapshot: a full refresh reads it again, and one
    /// that was interrupted continues.
    pub(crate) fn refresh(&mut self, table: &str) {
        if let Some(saved) = self.tables.get_mut(table).filter(|saved| saved.whole.is_some()) {
            *saved = SavedTable { version: saved.version, ..SavedTable::default() };
        }
    }

    /// Whether a table had a complete snapshot.
    pub(crate) fn is_complete(&self, table: &str) -> bool {
        self.tables.get(table).is_some_and(|saved| saved.whole.is_some())
    }

    pub(super) fn progress(&self) -> SinkProgress {
        let table = |(name, saved): (&String, &SavedTable)| TableState {
            table: name.clone(),
            cursor: saved.cursor.clone(),
            generation: u64::from(saved.snapshot.is_some()),
            complete: saved.complete,
            updated_at: String::new(),
        };
        SinkProgress { tables: self.tables.iter().map(table).collect(), journal: None, epoch: 0 }
    }
}
