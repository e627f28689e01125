//! The limits on what a component hands over, with their reasons; `docs/SECURITY.md` has the same table.
//!
//! A limit is far above the needs of an honest component, and low enough that neighbors do not notice a
//! dishonest one. Texts for people, such as messages, are cut; everything else is refused.

use crate::error::{Error, Kind, Result};
use crate::units::format_bytes;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// The unit of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Bytes,
    Count,
}

/// The most that is accepted of one thing.
#[derive(Debug)]
pub(crate) struct Limit {
    /// The name of the thing, in messages.
    pub(crate) what: &'static str,
    pub(crate) max: usize,
    pub(crate) unit: Unit,
    /// For `docs/SECURITY.md`.
    #[cfg_attr(not(test), expect(dead_code, reason = "documentation"))]
    pub(crate) reason: &'static str,
}

impl Limit {
    const fn bytes(what: &'static str, max: usize, reason: &'static str) -> Self {
        Self { what, max, unit: Unit::Bytes, reason }
    }

    const fn count(what: &'static str, max: usize, reason: &'static str) -> Self {
        Self { what, max, unit: Unit::Count, reason }
    }

    /// Refuses more; `call` is the call of the contract that handed it over.
    pub(crate) fn admit(&self, call: &str, size: usize) -> Result<()> {
        self.admit_up_to(call, size, self.max)
    }

    /// The same with another maximum, for a limit that depends on the configuration.
    pub(crate) fn admit_up_to(&self, call: &str, size: usize, max: usize) -> Result<()> {
        if size <= max {
            return Ok(());
        }
        let shown = |size: usize| match self.unit {
            Unit::Bytes if size >= KIB => format_bytes((size.div_ceil(KIB) * KIB) as u64),
            Unit::Bytes => format_bytes(size as u64),
            Unit::Count => size.to_string(),
        };
        let (what, size, max) = (self.what, shown(size), shown(max));
        Err(refused(call, &format!("{what}: {size}, and at most {max} are accepted")))
    }
}

/// The error for a refused value.
pub(crate) fn refused(call: &str, what: &str) -> Error {
    Error::sandbox(Kind::Data, format!("{call}: {what}")).hint("a defect of the component; please report it")
}

/// Declares each limit as a constant, and all of them as [`ALL`].
macro_rules! limits {
    ($($name:ident = $unit:ident($what:literal, $max:expr, $reason:literal);)*) => {
        $(pub(crate) const $name: Limit = Limit::$unit($what, $max, $reason);)*
        /// Every limit.
        #[cfg(test)]
        pub(super) const ALL: &[Limit] = &[$($name),*];
    };
}

limits! {
    DESCRIBE = bytes("description", MIB,
        "parsed at each start; a byte of JSON becomes up to 36 bytes of memory");
    SESSION = bytes("session", 64 * KIB,
        "tokens; the redactor looks for its 64 longest texts");
    SUBSCRIPTION = bytes("subscription", 256 * KIB,
        "sealed and stored, and passed with every delivery");
    ANSWER = bytes("answer", 8 * MIB,
        "printed or sent through the server API");
    CURSOR = bytes("cursor", 4 * MIB,
        "committed with every batch; may note tens of thousands of rows that an overlap shows again");
    TABLES = count("tables", 1_000,
        "each has a file or a table, five metrics, and a place in the schedule");
    TABLE_NAME = bytes("table name", 128,
        "names files, tables, and labels of metrics");
    SCHEMA = bytes("schema", MIB,
        "parsed at each discovery; 36-fold in memory, as the description");
    PATH_PARTS = count("parts of an x-path", 16,
        "each part is one level of recursion for every row");
    KEY_MEMBERS = count("members of a primary key", 16,
        "each is a column of the key");
    KEY_NAME = bytes("name of a member of a primary key", 128,
        "names a column");
    CHANGES = count("changes of a batch", 10_000,
        "or twice max_rows if that is more: a batch may exceed it by one page");
    LISTINGS = count("listings of a batch", 10_000,
        "or twice max_rows if that is more: each is a search of the sink");
    LISTED_KEYS = count("keys of the listings of a batch", 20_000,
        "or twice max_rows if that is more: compared in memory, in the transaction of the batch");
    RECEIPT_CHANGES = count("changes of a delivery", 10_000,
        "sources send at most some thousand events in one request");
    KEY = bytes("key of a row", 16 * KIB,
        "indexed, and quoted in errors");
    PARENT = bytes("parent of a listing", 16 * KIB,
        "indexed, as a key");
    CHANGE_ID = bytes("id of a change", 2 * KIB,
        "stored with its row");
    PIECE = bytes("piece of a file", MIB,
        "in memory once before it is written; the runner asks for no more");
    FILE_NAME = bytes("name of an attachment", KIB,
        "a member of its row; kept in the manifest, messages and status pages; the rest is cut off");
    CHECK_ITEMS = count("check items", 100,
        "read by a person");
    ATTRIBUTES = count("attributes", 32,
        "informative; further ones are dropped");
    RECEIPT_ATTRIBUTES = count("attributes of a delivery", 1_000,
        "one for each event that is ignored; further ones are dropped");
    ATTRIBUTE = bytes("attribute", KIB,
        "becomes a label of a metric or a line of the log; the rest is cut off");
    TEXT = bytes("message, hint or code", 2 * KIB,
        "printed, logged, kept in status pages and dead letters; the rest is cut off");
    WAIT = count("seconds to wait", 31 * 24 * 3600,
        "a longer one is shortened; times in the far future overflow");
}
