//! Limits of the journal, with the reason for each number.

use std::time::Duration;

/// Queued deliveries of one connection: a day of ten a second. With more, the sink is out of use.
pub const COUNT_MAX: u64 = 1_000_000;
/// Queued bytes of one connection: half a million deliveries of 2 KiB. One connection cannot fill the disk.
pub const BYTES_MAX: u64 = 1 << 30;
/// Time a delivery may wait: an outage over a long weekend and the days to notice it. Later its content is
/// stale, polling has repaired it, and the cause needs a person.
pub const AGE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Dead letters of one connection; more are not read one by one.
pub const DEAD_COUNT_MAX: u64 = 100_000;
/// Bytes of the dead letters of one connection.
pub const DEAD_BYTES_MAX: u64 = 256 << 20;
/// Bytes of the file, for all connections together.
pub const FILE_BYTES_MAX: u64 = 64 << 30;

/// Time for which an acknowledged delivery is kept, at least the first of a process: a sink that is restored
/// from a backup of the last hour, or whose disk lost a commit, gets it again.
pub const KEPT_AGE: Duration = Duration::from_secs(3600);
/// Bytes of acknowledged deliveries, of all connections together; the oldest are deleted first.
pub const KEPT_BYTES_MAX: u64 = 256 << 20;

/// Acknowledged deliveries that are deleted in one transaction, so that appends do not wait for it.
pub(super) const EVICT_COUNT_MAX: usize = 10_000;
/// Of these, how many are looked for at a time.
pub(super) const EVICT_READ_COUNT: u32 = 32;
/// Records of a connection that are moved or deleted in one transaction.
pub(super) const MOVE_COUNT_MAX: usize = 500;
/// Openings that are remembered; those without deliveries are forgotten first. A position of a forgotten one
/// counts as one of another journal.
pub(super) const OPENINGS_MAX: u64 = 1_000;
/// How long to wait for a process that owns the journal: a server stops within ten seconds.
pub(super) const OWNER_TIMEOUT: Duration = Duration::from_secs(12);
/// Commands queued for one commit. Each append belongs to a connection of the ingress, whose limit is lower.
pub(super) const QUEUE_MAX: usize = 65_536;
/// Bytes of the queued commands, several times what the ingress holds at a time: a disk that hangs while
/// senders come again does not fill the memory.
pub(super) const QUEUE_BYTES_MAX: usize = 512 << 20;
/// Deliveries of one transaction: a fifth of a second at full load, which bounds the wait for the next one.
pub(super) const BATCH_COUNT_MAX: usize = 4_096;
/// Bytes of one transaction; a single delivery may exceed it.
pub(super) const BATCH_BYTES_MAX: usize = 32 << 20;
/// How often the writer checks for changes by other processes and for space to return.
pub(super) const TICK: Duration = Duration::from_secs(1);
/// How often the writer checks for old deliveries, in [`TICK`]s.
pub(super) const EXPIRE_TICKS: u32 = 60;
/// Free pages of the file that are returned to the disk in one tick: 16 MiB.
pub(super) const VACUUM_PAGES: u32 = 2_048;
/// Deliveries that expire in one transaction, so that appends do not wait for it.
pub(super) const EXPIRE_COUNT_MAX: usize = 500;
/// How long to wait for another process that writes to the file; its commands take milliseconds.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Pages of the write-ahead log that start a checkpoint: 16 MiB, so that there are a few in a second at full
/// load, and start-up has little to replay.
pub(super) const CHECKPOINT_PAGES: u32 = 2_048;
/// Bytes of the write-ahead log that stay allocated: overwriting is faster than growing.
pub(super) const LOG_BYTES_KEPT: u32 = 64 << 20;
/// Database connections kept for reading; more readers at a time open their own.
pub(super) const READERS_KEPT: usize = 4;

/// That dead letters of a connection are evicted is logged again after this time; the metric counts them.
pub(super) const EVICTIONS_LOGGED_EVERY: Duration = Duration::from_secs(60);
/// Connections in this time: most of a machine's.
pub(super) const EVICTIONS_LOGGED_MAX: usize = 1_000;

/// The limits of a journal.
#[derive(Clone, Debug)]
pub struct JournalLimits {
    /// Queued deliveries, per connection.
    pub count: u64,
    /// Queued bytes, per connection.
    pub bytes: u64,
    /// Longest wait before a delivery moves to the dead letters.
    pub age: Duration,
    /// Dead letters, per connection.
    pub dead_count: u64,
    /// Bytes of dead letters, per connection.
    pub dead_bytes: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Bytes of acknowledged deliveries, of all connections together.
    pub kept_bytes: u64,
}

impl JournalLimits {
    /// Whether a delivery that was appended at that time has been queued for too long.
    pub(super) fn is_expired(&self, appended_at_ms: u64, now_ms: u64) -> bool {
        u128::from(now_ms.saturating_sub(appended_at_ms)) >= self.age.as_millis()
    }
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
            kept_bytes: KEPT_BYTES_MAX,
        }
    }
}
