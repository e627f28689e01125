//! The report of `sync`: per table and in sum, for the terminal, for `--json` and for the exit code.
//!
//! Plain data; prints nothing.

use serde_json::{Value, json};

use crate::error::Error;
use crate::exit::Exit;
use crate::report::error_json;
use crate::sinks::Counts;

/// How a table ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Not started: the run ended before it.
    Skipped,
    /// It has not ended yet.
    Reading,
    /// Nothing is left to read.
    CaughtUp,
    /// The run was stopped; the next one continues from the last commit.
    Interrupted,
    /// Failed, after the retries that the policy allows.
    Failed(Error),
}

impl Ending {
    /// Its name in `--json`.
    const fn name(&self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Reading => "reading",
            Self::CaughtUp => "caught-up",
            Self::Interrupted => "interrupted",
            Self::Failed(_) => "failed",
        }
    }
}

/// One table.
#[derive(Clone, Debug)]
pub(crate) struct TableReport {
    /// The table's name.
    pub table: String,
    /// Rows.
    pub counts: Counts,
    /// Commits.
    pub batches: u64,
    /// Requests that left the sandbox.
    pub requests: u64,
    /// Credits used.
    pub credits_used: u64,
    /// Credits left, if the source reports them.
    pub credits_left: Option<u64>,
    /// From its first call to its last commit.
    pub elapsed_ms: u64,
    /// The source's warnings, each once.
    pub warnings: Vec<String>,
    /// How it ended.
    pub ending: Ending,
}

/// All tables.
#[derive(Clone, Debug, Default)]
pub(crate) struct SyncReport {
    /// In the order of reading.
    pub tables: Vec<TableReport>,
    /// Including discovery.
    pub elapsed_ms: u64,
    /// Including discovery.
    pub requests: u64,
    /// Stopped by SIGINT or SIGTERM.
    pub interrupted: bool,
}

impl TableReport {
    /// A table that was not started.
    pub(crate) fn new(table: &str) -> Self {
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
    pub(crate) fn error(&self) -> Option<&Error> {
        match &self.ending {
            Ending::Failed(error) => Some(error),
            _ => None,
        }
    }

    fn json(&self) -> Value {
        let mut value = json!({
            "table": self.table,
            "ending": self.ending.name(),
            "rows": self.counts,
            "batches": self.batches,
            "requests": self.requests,
            "credits_used": self.credits_used,
            "credits_left": self.credits_left,
            "elapsed_ms": self.elapsed_ms,
            "warnings": self.warnings,
        });
        if let Some(error) = self.error() {
            value["error"] = error_json(error);
        }
        value
    }
}

impl SyncReport {
    /// The sum over tables.
    pub(crate) fn total(&self) -> TableReport {
        let mut total = TableReport::new("total");
        for table in &self.tables {
            total.counts += table.counts;
            total.batches += table.batches;
            total.credits_used = total.credits_used.saturating_add(table.credits_used);
            total.credits_left = table.credits_left.or(total.credits_left);
        }
        total.requests = self.requests;
        total.elapsed_ms = self.elapsed_ms;
        total
    }

    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        if self.interrupted {
            return Exit::Interrupted;
        }
        Exit::of_all(self.tables.iter().filter_map(TableReport::error).map(Exit::from))
    }

    /// One object, for `--json`.
    pub(crate) fn json(&self, connection: &str) -> Value {
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
