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
/// Dead letters of the same cause and message are logged again after this time: a sender that only knows the
/// URL can cause hundreds a second. The metric and `dead-letters list` have all of them.
const LETTERS_LOGGED_EVERY: Duration = Duration::from_secs(60);
/// Different ones in this time: a message may quote the delivery.
const LETTERS_LOGGED_MAX: usize = 16;

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
    /// A delivery becomes a dead letter for this reason. True if it is to be logged.
    fn gave_up(&mut self, _why: &str) -> bool {
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

/// Follows nothing but warnings and dead letters, for a server that runs for months. It outlives an actor:
/// restarts log none of them again.
pub(crate) struct Warnings {
    warnings: News,
    letters: News,
}

impl Default for Warnings {
    fn default() -> Self {
        Self {
            warnings: News::new(WARNING_LOGGED_EVERY, WARNINGS_LOGGED_MAX),
            letters: News::new(LETTERS_LOGGED_EVERY, LETTERS_LOGGED_MAX),
        }
    }
}

impl Observer for Warnings {
    fn warned(&mut self, table: &str, warning: &str) -> bool {
        self.warnings.is_news(&format!("{table} {warning}"), Instant::now())
    }

    fn gave_up(&mut self, why: &str) -> bool {
        self.letters.is_news(why, Instant::now())
    }
}
