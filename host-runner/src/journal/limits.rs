//! How much the journal holds, with the reason for each number.

use std::time::Duration;

/// Deliveries waiting for one connection. A day of ten a second; more means that nobody is reading.
pub const COUNT_MAX: u64 = 1_000_000;
/// Bytes waiting for one connection: half a million deliveries of 2 KiB, and one tenant cannot take the disk.
pub const BYTES_MAX: u64 = 1 << 30;
/// Time a delivery may wait: an outage over a long weekend and the days to notice it. Later its
/// content is stale, polling has repaired it, and a person should look.
pub const AGE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Dead letters of one connection; nobody reads through more.
pub const DEAD_COUNT_MAX: u64 = 100_000;
/// Bytes of the dead letters of one connection.
pub const DEAD_BYTES_MAX: u64 = 256 << 20;
/// Bytes of the file, whatever the connections add up to.
pub const FILE_BYTES_MAX: u64 = 64 << 30;

/// Requests waiting for one commit. Each belongs to a connection of the ingress, which bounds them lower.
pub(super) const QUEUE_MAX: usize = 65_536;
/// Deliveries of one transaction: a fifth of a second at full load, so that none waits longer for its turn.
pub(super) const BATCH_COUNT_MAX: usize = 4_096;
/// Bytes of one transaction; a single delivery may pass it.
pub(super) const BATCH_BYTES_MAX: usize = 32 << 20;
/// How often the writer looks for old deliveries and for changes by other processes.
pub(super) const TICK: Duration = Duration::from_secs(1);
/// Deliveries that one look moves to the dead letters, so that it does not hold up appends.
pub(super) const EXPIRE_COUNT_MAX: usize = 500;
/// Waiting for another process that writes to the file; its commands take milliseconds.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Pages of the write-ahead log after which they move into the file: 16 MiB, so that this happens a few
/// times a second at full load, and what start-up has to go through stays small.
pub(super) const CHECKPOINT_PAGES: u32 = 2_048;
/// Bytes of the write-ahead log that stay allocated: rewriting is faster than growing.
pub(super) const LOG_BYTES_KEPT: u32 = 64 << 20;
/// Database connections kept for reading; more readers at a time open their own.
pub(super) const READERS_KEPT: usize = 4;

/// The bounds of a journal.
#[derive(Clone, Debug)]
pub struct JournalLimits {
    /// Deliveries waiting, per connection.
    pub count: u64,
    /// Bytes waiting, per connection.
    pub bytes: u64,
    /// Longest wait before a delivery moves to the dead letters.
    pub age: Duration,
    /// Dead letters, per connection.
    pub dead_count: u64,
    /// Bytes of dead letters, per connection.
    pub dead_bytes: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
}

impl Default for JournalLimits {
    fn default() -> Self {
        Self {
            count: COUNT_MAX,
            bytes: BYTES_MAX,
            age: AGE_MAX,
            dead_count: DEAD_COUNT_MAX,
            dead_bytes: DEAD_BYTES_MAX,
            file_bytes: FILE_BYTES_MAX,
        }
    }
}
