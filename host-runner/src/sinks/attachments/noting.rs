//! The sink that notes attachments before the connection's own sink stores their rows.
//!
//! Noted first: a crash between the two leaves notes of rows that come again, never rows without notes. A
//! folder that did not see how the sink came to its cursor, because it is new or was exchanged, does not know
//! which rows there are: the table starts a new snapshot. No person asked for it, so that it deletes nothing:
//! a source need not list all of its rows any more, for example those of archived records.

use std::sync::Arc;

use super::Attachments;
use crate::change::{Batch, Change, Generation, Table};
use crate::error::Result;
use crate::sinks::{
    Capabilities, Commit, Counts, JournalState, LateFiles, Progress, Sink, SinkProgress, TableState,
};

/// A sink and its notes.
pub(super) struct Noting {
    sink: Box<dyn Sink>,
    attachments: Arc<Attachments>,
}

impl Noting {
    pub(super) fn new(sink: Box<dyn Sink>, attachments: Arc<Attachments>) -> Self {
        Self { sink, attachments }
    }

    /// The commit, in which a snapshot that the folder started does not count as complete; and its table.
    fn unproved<'a>(&self, commit: &Commit<'a>) -> Result<Option<(&'a str, Commit<'a>)>> {
        let Progress::Table { name, cursor, generation: Some(generation) } = commit.progress else {
            return Ok(None);
        };
        if !generation.complete || !self.attachments.with(|open| open.manifest.is_refilled(name))? {
            return Ok(None);
        }
        let generation = Some(Generation { complete: false, ..generation });
        Ok(Some((name, Commit { progress: Progress::Table { name, cursor, generation }, ..*commit })))
    }

    /// Whether the rows of a table name files.
    fn has(&self, table: &str) -> Result<bool> {
        self.attachments.with(|open| Ok(open.tables.contains_key(table)))
    }
}

impl Sink for Noting {
    fn capabilities(&self) -> Capabilities {
        self.sink.capabilities()
    }

    fn prepare(&mut self, tables: &[Table]) -> Result<()> {
        self.sink.prepare(tables)?;
        for Table { name, .. } in tables {
            let cursor = self.sink.table_state(name)?.and_then(|state| state.cursor);
            let is_known = self.attachments.with(|open| match &cursor {
                Some(cursor) if open.tables.contains_key(name) => open.manifest.knows(name, cursor),
                _ => Ok(true),
            });
            if !is_known? {
                tracing::info!(table = name, "the attachments' folder lacks its rows: a new snapshot starts");
                self.attachments.with(|open| open.manifest.set_refilled(name, true))?;
                self.sink.reset(name)?;
            }
        }
        Ok(())
    }

    fn progress(&self) -> Result<SinkProgress> {
        self.sink.progress()
    }

    fn commit(&mut self, commit: &Commit<'_>) -> Result<Counts> {
        let before = match commit.progress {
            Progress::Table { name, .. } if self.has(name)? => {
                self.sink.table_state(name)?.and_then(|state| state.cursor)
            }
            _ => None,
        };
        let unproved = self.unproved(commit)?;
        let commit = unproved.as_ref().map_or(commit, |(_, unproved)| unproved);
        let is_noted = self
            .attachments
            .with(|open| open.manifest.note(commit, before.as_deref(), &open.tables, &open.limits))?;
        let counts = self.sink.commit(commit)?;
        if is_noted {
            self.attachments.with(|open| open.remove_deleted())?;
        }
        if let Some((table, _)) = unproved {
            self.attachments.with(|open| open.manifest.set_refilled(table, false))?;
        }
        Ok(counts)
    }

    fn unlisted(&mut self, table: &str, batch: &Batch) -> Result<Vec<Change>> {
        self.sink.unlisted(table, batch)
    }

    fn reset(&mut self, table: &str) -> Result<bool> {
        self.attachments.with(|open| open.manifest.set_refilled(table, false))?;
        self.sink.reset(table)
    }

    fn attachments(&self) -> Option<Arc<Attachments>> {
        Some(Arc::clone(&self.attachments))
    }

    fn finish(&mut self) -> Result<()> {
        self.sink.finish()
    }

    fn late_files(&self) -> LateFiles {
        self.sink.late_files()
    }

    fn rest(&mut self) {
        self.sink.rest();
        self.attachments.rest();
    }

    fn table_states(&self) -> Result<Vec<TableState>> {
        self.sink.table_states()
    }

    fn journal_state(&self) -> Result<Option<JournalState>> {
        self.sink.journal_state()
    }

    fn table_state(&self, table: &str) -> Result<Option<TableState>> {
        self.sink.table_state(table)
    }
}
