//! Every limit of the runner, its unit and its reason: fixed ones as constants, those of a connection file as
//! fields.
//!
//! The keys of the connection file, with defaults, bounds and reasons, are declared in [`crate::connection`].
//! Knows nothing of how a limit is enforced.

use std::time::Duration;

use serde::Deserialize;

use crate::schema::refresh::SchemaRefresh;
use crate::units;

const MIB: usize = 1024 * 1024;

/// Establishing a connection, TLS included. Far networks take one second, not ten.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// From sending a request to the first byte of its answer.
pub(crate) const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(30);
/// Between two pieces of a body. A body that never ends is stopped by the call's own timeout.
pub(crate) const BETWEEN_BYTES_TIMEOUT: Duration = Duration::from_secs(30);
/// An idle pooled connection. Common servers close theirs after 60 to 75 seconds.
pub(crate) const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(50);
/// One epoch: how often a running component yields to other tasks.
pub(crate) const EPOCH: Duration = Duration::from_millis(10);
/// Handles a component may hold: requests, streams, fields. A call with 16 concurrent requests needs 200.
pub(crate) const HANDLES_MAX: usize = 10_000;
/// Requests after which an instance is replaced between two calls. Handles that the component or the engine
/// does not release (wasmtime 48 keeps the options of every request) then never reach [`HANDLES_MAX`]. One
/// call sends a few thousand requests at most.
pub(crate) const INSTANCE_REQUESTS_MAX: u64 = 4_000;
/// Core instances and tables of one component: as many per instance are in the pool, so that every instance
/// that a permit promises is there. The component encoder emits three for a connector, and composition with a
/// recording makes them nine.
pub(crate) const CORE_INSTANCES_MAX: usize = 12;
/// Linear memories of one component, for the same reason: one for each component that it is composed of.
pub(crate) const MEMORIES_MAX: usize = 3;
/// Elements of a function table. A large connector has a few thousand functions.
pub(crate) const TABLE_ELEMENTS_MAX: usize = 100_000;
/// A component's file. Connectors have some MiB, and those that bring an interpreter along some ten;
/// compiling takes a hundred times its size in memory.
pub(crate) const COMPONENT_BYTES_MAX: u64 = 64 << 20;
/// Calls at a time of a server, for any number of connections (`serve --instances`). Far more than cores,
/// because a call mostly waits for the source.
pub(crate) const SERVE_INSTANCES: u32 = 256;
/// Most that `serve --instances` accepts: slots with three memories of 4 GiB each are 48 TiB of the 128
/// that a process can address.
pub(crate) const PROCESS_INSTANCES_MAX: u32 = 4_096;
/// Calls at a time of any other command, which has one connection.
pub(crate) const COMMAND_INSTANCES: u32 = 8;
/// Calls at a time that reach no host, in addition: `describe`, and the check of a configuration. They take
/// milliseconds, and never wait for a source. As many as a server loads files at a time, and a few more, so
/// that a component that waits in them delays no other.
pub(crate) const OFFLINE_INSTANCES: u32 = 16;
/// Time of such a call, if the connection's is longer. Creating an instance and the call take milliseconds; a
/// busy machine makes them a hundred times slower.
pub(crate) const OFFLINE_TIMEOUT: Duration = Duration::from_secs(5);
/// CPU time of such a call, if the connection's is longer. A file whose component spins is loaded again after
/// half a minute, so that its connection stays below a quarter of a processor.
pub(crate) const OFFLINE_CPU: Duration = Duration::from_secs(2);
/// Linear memory of an instance, at most: a 32-bit component cannot address more.
pub(crate) const MEMORY_BYTES_MAX: usize = 4096 * MIB;
/// How long an idle connection keeps its instance. Creating one takes less than a millisecond.
pub(crate) const INSTANCE_IDLE: Duration = Duration::from_secs(1);
/// Header bytes of one request or response, as held in memory. Servers accept 8 to 16 KiB.
pub(crate) const FIELDS_BYTES_MAX: usize = 32 * 1024;
/// A method that HTTP does not define, for example `VERSION-CONTROL`.
pub(crate) const METHOD_BYTES_MAX: usize = 32;
/// Host and port: a name of DNS has at most 253 characters.
pub(crate) const AUTHORITY_BYTES_MAX: usize = 300;
/// Path and query of a request. Servers accept 8 KiB.
pub(crate) const PATH_BYTES_MAX: usize = 16 * 1024;
/// One piece of a request body. It is written to a pipe that holds another one.
pub(crate) const BODY_CHUNK_BYTES: usize = 16 * 1024;
/// Bytes that an instance may keep behind its handles in the host: strings, headers, pieces of bodies. A
/// component whose language never drops handles has [`INSTANCE_REQUESTS_MAX`] requests with bodies in half of
/// it.
pub(crate) const HANDLE_BYTES_MAX: usize = 256 * MIB;
/// Consecutive batches that neither move the cursor nor are caught up, before the read is stopped as a loop.
pub(crate) const STUCK_BATCHES_MAX: u32 = 5;
/// Bytes of the cursors of all tables of a connection, which are in memory. One cursor has at most 4 MiB, and
/// few tables need more than some KiB.
pub(crate) const CURSORS_BYTES_MAX: usize = 32 * MIB;
/// Under `serve`, the shortest time after a batch that brought no rows, or left nothing to read: each is
/// committed to disk.
pub(crate) const EMPTY_PAUSE: Duration = Duration::from_secs(1);
/// Attempts after a trap. The same input mostly traps again.
pub(crate) const TRAP_ATTEMPTS_MAX: u32 = 3;
/// How far the source's clock may be ahead of ours. A later as-of is cut to this: the row would otherwise
/// reject every change until that time. Synchronized clocks differ by less than a second; this tolerates one
/// that is not.
pub(crate) const CLOCK_AHEAD_MAX: Duration = Duration::from_secs(5 * 60);
/// Most of a measured difference of the clocks that is added to it. With a larger one TLS fails.
pub(crate) const CLOCK_SKEW_MAX: Duration = Duration::from_secs(24 * 3600);
/// Columns of one table. SQLite allows 2000; further members stay in the row's JSON column.
pub(crate) const COLUMNS_MAX: usize = 1_900;

/// The limits of one connection: the sections of its file, each field named as its key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// `[batch]`: bounds of one `read` call and its commit.
    pub batch: BatchLimits,
    /// `[retry]`: failures that may pass.
    pub retry: RetryLimits,
    /// `[serve]`: while `serve` runs the connection.
    pub serve: ServeLimits,
    /// `[sandbox]`: what the component may use.
    pub sandbox: SandboxLimits,
}

/// `[batch]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchLimits {
    /// Rows of a batch.
    pub max_rows: u32,
    /// Bytes of a batch.
    #[serde(deserialize_with = "units::bytes")]
    pub max_bytes: u32,
    /// Time of a batch.
    #[serde(deserialize_with = "units::duration")]
    pub max_time: Duration,
}

/// `[retry]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryLimits {
    /// Consecutive attempts of one call.
    pub max_attempts: u32,
    /// Longest single wait.
    #[serde(deserialize_with = "units::duration")]
    pub max_wait: Duration,
}

/// `[serve]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServeLimits {
    /// Between two polls of a table. None: as the connector says.
    #[serde(default, deserialize_with = "units::some_duration")]
    pub poll_interval: Option<Duration>,
    /// When tables are discovered again. None: by the number of their columns.
    #[serde(default)]
    pub schema_refresh: Option<SchemaRefresh>,
    /// Time of a batch while serving.
    #[serde(deserialize_with = "units::duration")]
    pub max_batch_time: Duration,
}

/// `[sandbox]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SandboxLimits {
    /// Linear memory of an instance, in bytes.
    #[serde(deserialize_with = "units::bytes")]
    pub memory: usize,
    /// Wall-clock time of a call.
    #[serde(deserialize_with = "units::duration")]
    pub call_timeout: Duration,
    /// CPU time of a call.
    #[serde(deserialize_with = "units::duration")]
    pub cpu_time: Duration,
    /// Largest response body.
    #[serde(deserialize_with = "units::bytes")]
    pub max_response_bytes: usize,
    /// Concurrent requests of the connection.
    pub max_concurrent_requests: usize,
}

impl Limits {
    /// Bytes a component may pass to the host in one call. A batch may exceed `max_bytes` by one page of the
    /// source, and each change costs a few hundred bytes more.
    pub fn hostcall_bytes(&self) -> usize {
        let asked = usize::try_from(self.batch.max_bytes).unwrap_or(usize::MAX);
        asked.saturating_mul(4).max(64 * MIB)
    }
}

#[cfg(test)]
mod tests {
    use super::{Limits, MIB};

    #[test]
    fn a_component_may_pass_four_times_the_batch_and_at_least_64_mib() {
        let mut limits = Limits::default();
        assert_eq!(limits.hostcall_bytes(), 64 * MIB, "32 MiB for the default of 8 MiB");
        limits.batch.max_bytes = 100 << 20;
        assert_eq!(limits.hostcall_bytes(), 400 * MIB);
    }
}
