//! What a sync did: per table and in all, for people, for `--json` and for the exit code.
//!
//! Plain data with sums; prints nothing.

use serde_json::{Value, json};

use crate::error::Error;
use crate::exit::Exit;
use crate::sinks::Counts;

/// How a table ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Not begun: something before it stopped everything.
    Skipped,
    /// Nothing is left to read.
    CaughtUp,
    /// Stopped by a person; goes on from here next time.
    Interrupted,
    /// Gave up.
    Failed(Error),
}

/// One table.
#[derive(Clone, Debug)]
pub struct TableReport {
    /// Its name.
    pub table: String,
    /// Rows.
    pub counts: Counts,
    /// Commits.
    pub batches: u64,
    /// Requests that left the sandbox.
    pub requests: u64,
    /// Of the source's quota.
    pub credits_used: u64,
    /// Of the source's quota, if it says so.
    pub credits_left: Option<u64>,
    /// Time.
    pub elapsed_ms: u64,
    /// What a person should know.
    pub warnings: Vec<String>,
    /// How it ended.
    pub ending: Ending,
}

/// All tables.
#[derive(Clone, Debug, Default)]
pub struct SyncReport {
    /// In the order they were read.
    pub tables: Vec<TableReport>,
    /// Time, discovery included.
    pub elapsed_ms: u64,
    /// Requests, discovery included.
    pub requests: u64,
    /// Stopped by a person.
    pub interrupted: bool,
}

impl TableReport {
    /// A table that was not begun.
    pub fn new(table: &str) -> Self {
        Self {
            table: table.to_owned(),
            counts: Counts::default(),
            batches: 0,
            requests: 0,
            credits_used: 0,
            credits_left: None,
            elapsed_ms: 0,
            warnings: Vec::new(),
            ending: Ending::Skipped,
        }
    }

    /// Its error, if it failed.
    pub fn error(&self) -> Option<&Error> {
        match &self.ending {
            Ending::Failed(error) => Some(error),
            _ => None,
        }
    }

    fn json(&self) -> Value {
        let ending = match &self.ending {
            Ending::Skipped => "skipped",
            Ending::CaughtUp => "caught-up",
            Ending::Interrupted => "interrupted",
            Ending::Failed(_) => "failed",
        };
        let mut value = json!({
            "table": self.table,
            "ending": ending,
            "rows": self.counts,
            "batches": self.batches,
            "requests": self.requests,
            "credits_used": self.credits_used,
            "credits_left": self.credits_left,
            "elapsed_ms": self.elapsed_ms,
            "warnings": self.warnings,
        });
        if let Some(error) = self.error() {
            value["error"] = error.json();
        }
        value
    }
}

impl SyncReport {
    /// The sum over tables.
    pub fn total(&self) -> TableReport {
        let mut total = TableReport::new("total");
        for table in &self.tables {
            total.counts += table.counts;
            total.batches += table.batches;
            total.credits_used += table.credits_used;
            total.credits_left = table.credits_left.or(total.credits_left);
        }
        total.requests = self.requests;
        total.elapsed_ms = self.elapsed_ms;
        total
    }

    /// The exit code that says how it went.
    pub fn exit(&self) -> Exit {
        if self.interrupted {
            return Exit::Interrupted;
        }
        Exit::of_all(self.tables.iter().filter_map(TableReport::error).map(Exit::from))
    }

    /// One object for machines.
    pub fn json(&self, connection: &str) -> Value {
        let total = self.total();
        json!({
            "connection": connection,
            "exit": self.exit() as u8,
            "interrupted": self.interrupted,
            "elapsed_ms": self.elapsed_ms,
            "requests": self.requests,
            "credits_used": total.credits_used,
            "credits_left": total.credits_left,
            "rows": total.counts,
            "tables": self.tables.iter().map(TableReport::json).collect::<Vec<_>>(),
        })
    }
}
