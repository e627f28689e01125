//! Answers that one table of a round read and the others need too: lost with the instance, which costs calls
//! and nothing else. `reader::recycle_bin` and `reader::shared_search` decide how long they may be used.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::Answer;
use crate::error::Error;

/// The newest part of the recycle bin.
pub(crate) struct RecycleBin {
    /// Every record deleted since then is in it.
    pub(crate) since_ms: u64,
    /// When it was read, by the host's clock.
    pub(crate) read_at_ms: u64,
    /// Tables that used it: each reading serves a table once.
    pub(crate) used_by: Vec<&'static str>,
    pub(crate) entries: Vec<Entry>,
    /// The first page of the reading; none: at the newest record, or the oldest that was asked for.
    pub(crate) start: Option<u64>,
    /// The first page of the next reading, where there are more records than one reads.
    pub(crate) next: Option<u64>,
    /// The first page that was read, in a recycle bin that lists the oldest first.
    pub(crate) page: u64,
}

/// A reading of the recycle bin that failed.
pub(crate) struct BinFailure {
    pub(crate) error: Error,
    /// By the host's clock.
    pub(crate) at_ms: u64,
    /// The page that it was to begin with.
    pub(crate) start: Option<u64>,
    /// Tables that it failed: each asks once, and then again.
    pub(crate) used_by: Vec<&'static str>,
}

/// One record in the recycle bin.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) module: String,
    /// The entry as the source sent it, for its department.
    pub(crate) raw: String,
    pub(crate) deleted_ms: u64,
}

/// The search pages of one window, for the tables that are searched at the same path.
pub(crate) struct SharedSearch {
    pub(crate) path: &'static str,
    /// The range, both ends included.
    pub(crate) from_ms: u64,
    pub(crate) end_ms: u64,
    /// By the host's clock.
    pub(crate) opened_at_ms: u64,
    /// Tables that read this range: each reads it once, and then a later one.
    pub(crate) used_by: Vec<&'static str>,
    /// Answers by request, with the table that asked.
    pub(crate) pages: BTreeMap<String, (&'static str, Rc<Answer>)>,
    pub(crate) bytes: usize,
}
