//! Follows the reading of tables, to show it to a person or a tool.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::Error;
use crate::sinks::Counts;
use crate::telemetry::News;

/// Under `serve` the same warning is logged again after this time: a source may repeat one with every batch.
const WARNING_LOGGED_EVERY: Duration = Duration::from_secs(3600);
/// Different warnings in this time: one for each of some ten tables. Further ones are not logged.
const WARNINGS_LOGGED_MAX: usize = 64;

/// Follows the reading of tables. Every method may do nothing.
pub(crate) trait Observer: Send {
    /// The tables that will be read, in their order.
    fn discovered(&mut self, _tables: &[String]) {}
    /// A table is about to be read.
    fn reading(&mut self, _table: &str) {}
    /// A call that read a table has ended; the attributes hold its cost.
    fn called(&mut self, _table: &str, _requests: u64, _attributes: &[(String, String)]) {}
    /// The source warns. True if the warning is to be logged.
    fn warned(&mut self, _table: &str, _warning: &str) -> bool {
        true
    }
    /// A batch is in the sink.
    fn committed(&mut self, _table: &str, _counts: &Counts) {}
    /// Nothing is read for a while, of this table or of all.
    fn waiting(&mut self, _what: &str, _wait: Duration, _why: &str) {}
    /// A table has nothing left to read.
    fn caught_up(&mut self, _table: &str) {}
    /// A table is not read again.
    fn failed(&mut self, _table: &str, _error: &Error) {}
}

/// Follows nothing.
#[cfg(test)]
impl Observer for () {}

/// Follows nothing but warnings, for a server that runs for months.
pub(crate) struct Warnings(News);

impl Default for Warnings {
    fn default() -> Self {
        Self(News::new(WARNING_LOGGED_EVERY, WARNINGS_LOGGED_MAX))
    }
}

impl Observer for Warnings {
    fn warned(&mut self, table: &str, warning: &str) -> bool {
        self.0.is_news(&format!("{table} {warning}"), Instant::now())
    }
}
