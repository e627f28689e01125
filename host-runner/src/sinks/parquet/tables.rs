//! The file `_tables.json` in the log's folder: the columns of each table, and the identity of the log.
//!
//! Columns are added and never dropped, so that a file that is made again has those it had. Knows no rows.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::columns::NAMING;
use super::files::replace;
use super::manifest::{parse, to_json};
use crate::change::Table;
use crate::error::Result;
use crate::sinks::columns::Layout;
use crate::sinks::file_failure::failed;
use crate::sinks::identity;
use crate::sinks::jsonl;

const FILE: &str = "_tables.json";

/// The stored columns.
pub(super) struct Tables {
    path: PathBuf,
    stored: Stored,
}

#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    version: u32,
    log: String,
    tables: BTreeMap<String, Layout>,
}

impl Tables {
    /// Reads the file of a log, or starts the one of a new log. Changes nothing.
    pub(super) fn open(log: &Path) -> Result<Self> {
        let path = log.join(FILE);
        let stored = match std::fs::read(&path) {
            Ok(json) => parse(&json, &path.display().to_string())?,
            Err(error) if error.kind() == ErrorKind::NotFound && !jsonl::exists(log) => {
                Stored { version: 1, log: identity()?, tables: BTreeMap::new() }
            }
            Err(error) => return Err(failed(&path, &error)),
        };
        Ok(Self { path, stored })
    }

    /// The identity of the log.
    pub(super) fn log(&self) -> &str {
        &self.stored.log
    }

    pub(super) fn layout(&self, table: &str) -> Option<&Layout> {
        self.stored.tables.get(table)
    }

    /// Adds tables and columns, durably.
    pub(super) fn extend(&mut self, tables: &[Table]) -> Result<()> {
        let (mut stored, mut is_changed) = (self.stored.clone(), false);
        for table in tables {
            let mut layout = match stored.tables.remove(&table.name) {
                Some(layout) => layout,
                None => {
                    is_changed = true;
                    Layout::new(table, &NAMING)?
                }
            };
            is_changed |= layout.extend(table, &NAMING)? > 0;
            stored.tables.insert(table.name.clone(), layout);
        }
        if is_changed {
            replace(&self.path, &to_json(&stored)).map_err(|error| failed(&self.path, &error))?;
            self.stored = stored;
        }
        Ok(())
    }
}
