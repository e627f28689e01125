//! The checker: what the target holds against the simulator's truth, row by row and field by field.
//!
//! Shares no code with the runner: conversions are derived again from the discovered schema.

mod cell;
mod contacts;
pub(crate) mod expected;
mod jsonl;
pub(crate) mod messages;
mod postgres;
mod sqlite;

pub(crate) use expected::{TABLES, Truth, truth, truth_of_all, truth_with_custom_fields, truths};
pub(crate) use jsonl::{Log, read_log};
pub(crate) use postgres::{json_rows, mirror};
pub(crate) use sqlite::{Database, check_sqlite};

/// Most differences that are printed.
const SHOWN_MAX: usize = 12;

/// Differences found; the check fails if there are any.
#[derive(Debug, Default)]
pub(crate) struct Differences(Vec<String>);

impl Differences {
    pub(crate) fn add(&mut self, difference: String) {
        self.0.push(difference);
    }

    #[track_caller]
    pub(crate) fn none(&self) {
        let shown = self.0.iter().take(SHOWN_MAX).cloned().collect::<Vec<_>>().join("\n  ");
        assert!(self.0.is_empty(), "{} differences from the truth:\n  {shown}", self.0.len());
    }
}
