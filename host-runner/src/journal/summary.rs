//! Queue and dead letters of one connection, for `check`.
//!
//! Reads the file without a writer: works while another process has the journal open, and changes nothing.

use std::path::Path;

use super::limits::JournalLimits;
use super::reader::Readers;
use crate::error::{Error, Result};
use crate::inbox::{Depth, Summary};
use crate::sqlite_file::OpenFile;

/// Reads a journal with these limits; a missing file is an empty journal.
pub fn summary(path: &Path, connection: &str, limits: &JournalLimits) -> Result<Summary> {
    if !path.exists() {
        return Ok(Summary::default());
    }
    let file = OpenFile::at(path).map_err(|error| Error::state(format!("{}: {error}", path.display())))?;
    let readers = Readers::new(file);
    let (pending, dead) = readers.tallies(connection)?;
    let percent = |used: u64, most: u64| used.saturating_mul(100) / most.max(1);
    Ok(Summary {
        depth: Depth {
            count: pending.count,
            bytes: pending.bytes,
            oldest_ms: readers.oldest(connection)?,
            dead: dead.count,
        },
        last_dead: readers.last_dead_letter(connection)?,
        dead_percent: percent(dead.count, limits.dead_count).max(percent(dead.bytes, limits.dead_bytes)),
    })
}
