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
    /// The version of the newest snapshot that ended: the tool has every row of it that could be read.
    ended: Option<u64>,
    /// This run reads the table in full. No tool keeps it.
    pub(super) is_refreshed: bool,
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

    /// Whether the tool has the row of a change already, in a state as new: a snapshot that ended brought it.
    ///
    /// A verification consists of such rows. Sinks that compare keep their own; a tool would replace its row.
    pub(super) fn has(&self, change: &Newest<'_>, generation: Option<Generation>, now_ms: u64) -> bool {
        self.ended.is_some() && is_listed(change, generation, now_ms)
    }

    /// Keeps the version of the rows that the tool has: the snapshot leaves rows out that the tool has.
    pub(super) fn keep_version(&mut self) {
        self.version = self.ended;
    }

    /// Ends a snapshot. The version to activate: that of a complete one, if it is new.
    pub(super) fn end(&mut self) -> Option<u64> {
        let is_new = self.ended != self.version;
        self.ended = self.version;
        self.version.filter(|_| is_new && self.complete)
    }

    /// Whether a full refresh that is caught up lacks rows. `is_held`: some could not be written.
    pub(super) fn is_part(&self, is_held: bool) -> bool {
        self.is_refreshed && (is_held || !self.complete)
    }

    /// The table as a tool kept it; none if it has no cursor.
    pub(super) fn parse(value: &Value) -> Option<Self> {
        let cursor = value["cursor"].as_str()?.to_owned();
        let complete = value["complete"].as_bool().unwrap_or(false);
        Some(Self {
            cursor: Some(cursor),
            snapshot: value["snapshot"].as_u64(),
            complete,
            version: value["version"].as_u64(),
            // The word of builds before 2026-11-26.
            ended: value["ended"].as_u64().or(value["whole"].as_u64()),
            is_refreshed: false,
        })
    }

    /// The form that a tool keeps.
    pub(super) fn json(&self) -> Value {
        json!({
            "cursor": self.cursor,
            "snapshot": self.snapshot,
            "complete": self.complete,
            "version": self.version,
            "ended": self.ended,
        })
    }
}

/// Whether a change says only that its row exists: it is older than the snapshot that lists it.
pub(super) fn is_listed(change: &Newest<'_>, generation: Option<Generation>, now_ms: u64) -> bool {
    let Some(generation) = generation else { return false };
    change.partial && change.as_of < order::signed(generation.as_of_ms.unwrap_or(now_ms))
}

impl Saved {
    /// Has the run read a table in full: a snapshot that ended, complete or not, is forgotten, and one that
    /// was interrupted continues.
    pub(crate) fn refresh(&mut self, table: &str) {
        let saved = self.tables.entry(table.to_owned()).or_default();
        if saved.ended.is_some() {
            *saved = SavedTable { version: saved.version, ..SavedTable::default() };
        }
        saved.is_refreshed = true;
    }

    /// Whether a snapshot of a table ended.
    pub(crate) fn has_ended(&self, table: &str) -> bool {
        self.tables.get(table).is_some_and(|saved| saved.ended.is_some())
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
