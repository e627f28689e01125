//! Follows the reading of tables, to show it to a person or a tool.

use std::time::Duration;

use crate::error::Error;
use crate::sinks::Counts;

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
impl Observer for () {}
