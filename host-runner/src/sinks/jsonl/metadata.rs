//! The sidecar `_sync_state.json`: the owner, how far each table and the journal are, and how many bytes are
//! committed.
//!
//! Replacing it as a whole is the commit. Knows nothing of lines.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::failed;
use crate::clock::{now_ms, rfc3339_ms};
use crate::error::{Error, Result};
use crate::sinks::order::{NewestSnapshot, signed};
use crate::sinks::{JournalState, Progress, TableState};

pub(super) const SIDECAR: &str = "_sync_state.json";
/// The version of the sidecar and of the lines.
const VERSION: u32 = 3;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Sidecar {
    version: u32,
    /// The connection whose rows these are.
    pub(super) owner: Option<String>,
    pub(super) journal: Option<JournalState>,
    pub(super) tables: BTreeMap<String, Table>,
}

/// How far a table is. One that was prepared and never committed has no `updated_at`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Table {
    cursor: Option<String>,
    generation: u64,
    generation_as_of_ms: Option<u64>,
    complete: bool,
    /// Committed bytes of its file.
    pub(super) bytes: u64,
    updated_at: Option<String>,
}

impl Table {
    pub(super) fn newest_snapshot(&self) -> NewestSnapshot {
        NewestSnapshot { generation: signed(self.generation), as_of: self.generation_as_of_ms.map(signed) }
    }
}

impl Sidecar {
    /// Reads the sidecar of a folder, or starts one.
    pub(super) fn load(folder: &Path) -> Result<Self> {
        let path = folder.join(SIDECAR);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(Self { version: VERSION, owner: None, journal: None, tables: BTreeMap::new() });
            }
            Err(error) => return Err(failed(&path, &error)),
        };
        let wrong = |error| Error::sink(format!("{}: {error}", path.display()));
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let Version { version } = serde_json::from_slice(&bytes).map_err(wrong)?;
        if version != VERSION {
            let writer = if version < VERSION { "an older" } else { "a newer" };
            return Err(Error::sink(format!("{}: written by {writer} runner", path.display()))
                .hint("use that runner, or move the folder away and sync again from the start"));
        }
        serde_json::from_slice(&bytes).map_err(wrong)
    }

    /// Replaces the sidecar of a folder, durably.
    pub(super) fn store(&self, folder: &Path) -> Result<()> {
        let path = folder.join(SIDECAR);
        let temporary = folder.join(format!("{SIDECAR}.tmp"));
        let bytes = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::sink(format!("{}: {error}", path.display())))?;
        let write = || -> std::io::Result<()> {
            let mut file = File::create(&temporary)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            std::fs::rename(&temporary, &path)?;
            File::open(folder)?.sync_all()
        };
        write().map_err(|error| failed(&path, &error))
    }

    pub(super) fn table_states(&self) -> Vec<TableState> {
        let state = |(table, state): (&String, &Table)| {
            Some(TableState {
                table: table.clone(),
                cursor: state.cursor.clone(),
                generation: state.generation,
                complete: state.complete,
                updated_at: state.updated_at.clone()?,
            })
        };
        self.tables.iter().filter_map(state).collect()
    }

    /// Notes a commit's progress.
    pub(super) fn advance(&mut self, progress: Progress<'_>) {
        let updated_at = rfc3339_ms(now_ms()).unwrap_or_default();
        match progress {
            Progress::Table { name, cursor, generation } => {
                let table = self.tables.entry(name.to_owned()).or_default();
                table.cursor = Some(cursor.to_owned());
                table.updated_at = Some(updated_at);
                let Some(generation) = generation else { return };
                table.complete = generation.complete;
                if generation.id >= table.generation {
                    (table.generation, table.generation_as_of_ms) = (generation.id, generation.as_of_ms);
                }
            }
            Progress::Journal(position) => {
                self.journal = Some(JournalState { position: position.clone(), updated_at });
            }
        }
    }

    /// Deletes a cursor; true if there was one.
    pub(super) fn reset(&mut self, table: &str) -> bool {
        let Some(table) = self.tables.get_mut(table) else { return false };
        table.complete = false;
        table.cursor.take().is_some()
    }
}
