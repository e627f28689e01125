//! A line of the log, as far as a file's columns need it.
//!
//! Pure. Borrows from the segment's text.

use serde::Deserialize;
use serde_json::value::RawValue;

/// A change, or the end of a snapshot.
#[derive(Deserialize)]
pub(super) struct Line<'a> {
    pub(super) operation: &'a str,
    /// None at the end of a snapshot.
    #[serde(borrow, default)]
    pub(super) key: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) source_updated_at: Option<&'a str>,
    #[serde(default)]
    pub(super) as_of_ms: Option<i64>,
    #[serde(default)]
    pub(super) generation: Option<i64>,
    #[serde(default)]
    pub(super) change_source: Option<&'a str>,
    #[serde(default)]
    pub(super) partial: bool,
    #[serde(borrow, default)]
    pub(super) after: Option<&'a RawValue>,
}
