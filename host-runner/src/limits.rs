//! Every limit of the runner, its unit and its reason, and the ones a connection file may change.
//!
//! Knows nothing of how a limit is enforced.

use std::time::Duration;

const MIB: usize = 1024 * 1024;

/// Linear memory of one component instance, in MiB. A batch of 8 MiB needs about three times its
/// size in the guest (body, scratch, output); the rest is room for wide rows.
pub const MEMORY_MIB: u64 = 256;
/// Most memory a connection file may ask for, in MiB: a 32-bit guest has no more.
pub const MEMORY_MIB_MAX: u64 = 4096;
/// Wall-clock time of one call. A call is asked to return after [`READ_MS`]; this stops one that hangs.
pub const CALL_TIMEOUT_S: u64 = 120;
/// CPU time of one call. Handling a batch takes milliseconds; a loop without end takes this.
pub const CPU_S: u64 = 30;
/// Rows asked for in one batch: enough to make the cost of a commit vanish, few enough to lose little
/// when the process is killed.
pub const CHANGES: u64 = 2_000;
/// Bytes asked for in one batch, in MiB. Two batches are in memory at a time.
pub const BATCH_MIB: u64 = 8;
/// Time after which a batch is returned with what there is, so that progress shows and commits happen.
pub const READ_MS: u64 = 20_000;
/// Largest response body, in MiB. The guest's memory bounds it too; this fails sooner and in words.
pub const RESPONSE_MIB: u64 = 32;
/// Requests of one connection under way at a time; sources count them against the account.
pub const REQUESTS: u64 = 16;
/// Longest wait that `sync` sits out, in seconds. Longer ones are reported with the time to come back.
pub const WAIT_MAX_S: u64 = 300;
/// Attempts of one call without progress in between.
pub const ATTEMPTS: u64 = 8;

/// Time between two polls of a table that is caught up, in seconds; 0: as long as the connector says.
pub const POLL_S: u64 = 0;

/// Establishing a connection, TLS included. Far networks take one second, not ten.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// From sending a request to the first byte of its answer.
pub const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(30);
/// Between two pieces of a body; a body that drips for ever is stopped by the call's own time-out.
pub const BETWEEN_BYTES_TIMEOUT: Duration = Duration::from_secs(30);
/// An idle pooled connection; common servers close theirs after 60 to 75 seconds.
pub const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(50);
/// One epoch: how often a running guest yields to others.
pub const EPOCH: Duration = Duration::from_millis(10);
/// Handles a guest may hold: requests, streams, fields. A call with 16 requests under way needs 200.
pub const HANDLES_MAX: usize = 10_000;
/// Requests after which an instance is replaced between two calls, so that handles that it forgets, or the engine
/// (wasmtime 48 keeps the options of every request), never add up to [`HANDLES_MAX`]. A call makes a few thousand at most.
pub const INSTANCE_REQUESTS_MAX: u64 = 4_000;
/// Tables and core instances of one component; the encoder makes three or four.
pub const INSTANCES_MAX: usize = 32;
/// Elements of a function table; a large connector has a few thousand functions.
pub const TABLE_ELEMENTS_MAX: usize = 100_000;
/// Instances at a time in one process, for any number of connections: one that has nothing to do has none, and when
/// all are taken they go round. Many more than there are cores, because a call mostly waits for the source.
pub const POOL_INSTANCES: u32 = 64;
/// How long a connection with nothing to do keeps its instance; a fresh one takes less than a millisecond.
pub const INSTANCE_IDLE: Duration = Duration::from_secs(1);
/// Response and request header bytes of one message, as held in memory.
pub const FIELDS_BYTES_MAX: usize = 128 * 1024;
/// Batches in a row that neither move the cursor nor say that all is read, before it is called a loop.
pub const STUCK_BATCHES_MAX: u32 = 5;
/// Attempts after a trap; the same input mostly traps again.
pub const TRAP_ATTEMPTS_MAX: u32 = 3;
/// How far the source's clock may be ahead of ours. A later moment is cut to this, or its row would take no change until that
/// moment has come. Clocks that are kept right differ by less than a second; this forgives one that is not.
pub const CLOCK_AHEAD_MAX: Duration = Duration::from_secs(5 * 60);
/// Columns of one table. SQLite allows 2000; the rest is in the document.
pub const COLUMNS_MAX: usize = 1_900;

/// The limits in force for one connection.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Linear memory of an instance.
    pub memory_bytes: usize,
    /// Wall-clock time of a call.
    pub call_timeout: Duration,
    /// CPU time of a call.
    pub cpu: Duration,
    /// Rows asked for in a batch.
    pub max_changes: u32,
    /// Bytes asked for in a batch.
    pub max_bytes: u32,
    /// Time asked for in a batch.
    pub max_ms: u32,
    /// Largest response body.
    pub response_bytes: usize,
    /// Requests under way at a time.
    pub requests: usize,
    /// Longest wait that is sat out.
    pub wait_max: Duration,
    /// Attempts without progress.
    pub attempts: u32,
    /// Between two polls of a table, instead of what the connector says.
    pub poll: Option<Duration>,
}

/// A limit that a connection file may set: key, default, smallest, largest.
pub type Setting = (&'static str, u64, u64, u64);

/// The keys of `[limits]`.
pub const SETTINGS: [Setting; 11] = [
    ("memory_mib", MEMORY_MIB, 1, MEMORY_MIB_MAX),
    ("call_timeout_s", CALL_TIMEOUT_S, 1, 3600),
    ("cpu_s", CPU_S, 1, 3600),
    ("max_changes", CHANGES, 1, 1_000_000),
    ("max_mib", BATCH_MIB, 1, 1024),
    ("max_ms", READ_MS, 1, 3_600_000),
    ("response_mib", RESPONSE_MIB, 1, 4096),
    ("requests", REQUESTS, 1, 1024),
    ("wait_max_s", WAIT_MAX_S, 0, 86_400),
    ("attempts", ATTEMPTS, 1, 1000),
    ("poll_s", POLL_S, 0, 86_400),
];

impl Limits {
    /// The limits with some of [`SETTINGS`] replaced.
    pub fn with(settings: impl Fn(&str) -> Option<u64>) -> Self {
        let get = |(key, default, min, max): Setting| settings(key).unwrap_or(default).clamp(min, max);
        let small = |setting: Setting| u32::try_from(get(setting)).unwrap_or(u32::MAX);
        let size = |setting: Setting| usize::try_from(get(setting)).unwrap_or(usize::MAX);
        let [memory, call, cpu, changes, batch, ms, response, requests, wait, attempts, poll] = SETTINGS;
        Self {
            memory_bytes: size(memory).saturating_mul(MIB),
            call_timeout: Duration::from_secs(get(call)),
            cpu: Duration::from_secs(get(cpu)),
            max_changes: small(changes),
            max_bytes: small(batch).saturating_mul(1024 * 1024),
            max_ms: small(ms),
            response_bytes: size(response).saturating_mul(MIB),
            requests: size(requests),
            wait_max: Duration::from_secs(get(wait)),
            attempts: small(attempts),
            poll: Some(Duration::from_secs(get(poll))).filter(|poll| !poll.is_zero()),
        }
    }

    /// Bytes a component may hand over in one call: a batch may pass `max_bytes` by one page of the
    /// source, and each change costs some hundred bytes of its own.
    pub fn hostcall_bytes(&self) -> usize {
        let asked = usize::try_from(self.max_bytes).unwrap_or(usize::MAX);
        asked.saturating_mul(4).max(64 * MIB)
    }

    /// CPU time in epochs.
    pub fn cpu_epochs(&self) -> u64 {
        u64::try_from(self.cpu.as_millis() / EPOCH.as_millis()).unwrap_or(u64::MAX)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::with(|_| None)
    }
}

#[cfg(test)]
mod tests {
    use super::{Limits, SETTINGS};

    #[test]
    fn settings_replace_defaults_and_stay_within_bounds() {
        let limits = Limits::with(|key| match key {
            "memory_mib" => Some(8),
            "attempts" => Some(0),
            _ => None,
        });
        assert_eq!(limits.memory_bytes, 8 << 20);
        assert_eq!(limits.attempts, 1);
        assert_eq!(limits.max_changes, 2_000);
    }

    #[test]
    fn every_default_lies_within_its_bounds() {
        for (key, default, min, max) in SETTINGS {
            assert!((min..=max).contains(&default), "{key}");
        }
    }

    #[test]
    fn a_batch_may_pass_its_bound_by_a_page() {
        let limits = Limits::default();
        assert!(limits.hostcall_bytes() >= 4 * limits.max_bytes as usize);
    }
}
