//! The metric families of the ingress, each declared once.
//!
//! To add one: a field, its registration in [`Metrics::register`], and the line that counts. No label holds
//! text that a sender chose, but for the name of a connection whose URL the sender knows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds of the buckets of the append time, in seconds.
const APPEND_SECONDS: [f64; 12] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0];
/// The statuses with which requests are answered.
const STATUSES: [u16; 9] = [200, 400, 404, 405, 408, 410, 413, 500, 503];

/// How long a failed append counts, unless one succeeds before.
const FAILURE_COUNTS_MS: u64 = 30_000;

/// Why a request was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rejected {
    UnknownUrl,
    Removed,
    Method,
    TooLarge,
    SlowBody,
    Aborted,
    NoRoom,
    JournalFull,
    JournalFailed,
    Unreadable,
}

impl Rejected {
    const ALL: [Self; 10] = [
        Self::UnknownUrl,
        Self::Removed,
        Self::Method,
        Self::TooLarge,
        Self::SlowBody,
        Self::Aborted,
        Self::NoRoom,
        Self::JournalFull,
        Self::JournalFailed,
        Self::Unreadable,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::UnknownUrl => "unknown-url",
            Self::Removed => "removed",
            Self::Method => "method",
            Self::TooLarge => "too-large",
            Self::SlowBody => "slow-body",
            Self::Aborted => "aborted",
            Self::NoRoom => "no-room",
            Self::JournalFull => "journal-full",
            Self::JournalFailed => "journal-failed",
            Self::Unreadable => "unreadable",
        }
    }
}

/// Why a TCP connection was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    Done,
    Aborted,
    Handshake,
    Silent,
    SlowHead,
    Idle,
    GaveWay,
    Stopped,
}

impl Closed {
    const ALL: [Self; 8] = [
        Self::Done,
        Self::Aborted,
        Self::Handshake,
        Self::Silent,
        Self::SlowHead,
        Self::Idle,
        Self::GaveWay,
        Self::Stopped,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Aborted => "aborted",
            Self::Handshake => "handshake",
            Self::Silent => "silent",
            Self::SlowHead => "slow-head",
            Self::Idle => "idle",
            Self::GaveWay => "gave-way",
            Self::Stopped => "stopped",
        }
    }
}

type Status = [(&'static str, u16); 1];
type Reason = [(&'static str, &'static str); 1];
type Connection = [(&'static str, String); 1];

/// See the file's header. Clones share the values.
#[derive(Clone, Debug)]
pub struct Metrics {
    accept_errors: Counter,
    append_duration: Histogram,
    appended: Family<Connection, Counter>,
    appended_bytes: Family<Connection, Counter>,
    connections: Gauge,
    connections_closed: Family<Reason, Counter>,
    requests: Family<Status, Counter>,
    requests_rejected: Family<Reason, Counter>,
    /// When an append last failed, in milliseconds since 1970; 0 once one has succeeded since.
    append_failed_ms: Arc<AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            accept_errors: Counter::default(),
            append_duration: Histogram::new(APPEND_SECONDS),
            appended: Family::default(),
            appended_bytes: Family::default(),
            connections: Gauge::default(),
            connections_closed: Family::default(),
            requests: Family::default(),
            requests_rejected: Family::default(),
            append_failed_ms: Arc::default(),
        };
        // Exported as 0 from the start: Prometheus does not see the first increase of a series that appears
        // with 1.
        for status in STATUSES {
            drop(metrics.requests.get_or_create(&[("status", status)]));
        }
        for why in Rejected::ALL {
            drop(metrics.requests_rejected.get_or_create(&[("reason", why.name())]));
        }
        for why in Closed::ALL {
            drop(metrics.connections_closed.get_or_create(&[("reason", why.name())]));
        }
        metrics
    }
}

impl Metrics {
    /// Adds the families to a registry.
    pub fn register(&self, registry: &mut Registry) {
        let ingress = registry.sub_registry_with_prefix("ingress");
        ingress.register(
            "accept_errors",
            "TCP connections that could not be accepted",
            self.accept_errors.clone(),
        );
        ingress.register(
            "append_duration_seconds",
            "Time from the end of a delivery's body to its commit in the journal",
            self.append_duration.clone(),
        );
        ingress.register(
            "appended",
            "Deliveries committed in the journal and answered 200",
            self.appended.clone(),
        );
        ingress.register(
            "appended_bytes",
            "Bytes of the bodies of deliveries committed in the journal",
            self.appended_bytes.clone(),
        );
        ingress.register("connections", "Open TCP connections", self.connections.clone());
        ingress.register(
            "connections_closed",
            "Closed TCP connections, by reason",
            self.connections_closed.clone(),
        );
        ingress.register("requests", "Answered requests, by status", self.requests.clone());
        ingress.register("requests_rejected", "Rejected requests, by reason", self.requests_rejected.clone());
    }

    /// Open TCP connections.
    pub fn connections(&self) -> u64 {
        u64::try_from(self.connections.get()).unwrap_or(0)
    }

    pub(super) fn opened(&self) {
        self.connections.inc();
    }

    pub(super) fn closed(&self, why: Closed) {
        self.connections.dec();
        self.connections_closed.get_or_create(&[("reason", why.name())]).inc();
    }

    pub(super) fn accept_failed(&self) {
        self.accept_errors.inc();
    }

    pub(super) fn rejected(&self, why: Rejected) {
        self.requests_rejected.get_or_create(&[("reason", why.name())]).inc();
    }

    pub(super) fn answered(&self, status: u16) {
        self.requests.get_or_create(&[("status", status)]).inc();
    }

    /// Whether the last delivery could not be stored, not long ago.
    pub fn is_failing(&self, now_ms: u64) -> bool {
        let failed_ms = self.append_failed_ms.load(Relaxed);
        failed_ms > 0 && now_ms < failed_ms.saturating_add(FAILURE_COUNTS_MS)
    }

    pub(crate) fn append_failed(&self, now_ms: u64) {
        self.append_failed_ms.store(now_ms, Relaxed);
    }

    pub(crate) fn appended(&self, connection: &str, bytes: usize, took: Duration) {
        self.append_failed_ms.store(0, Relaxed);
        let labels = [("connection", connection.to_owned())];
        self.appended.get_or_create(&labels).inc();
        self.appended_bytes.get_or_create(&labels).inc_by(bytes as u64);
        self.append_duration.observe(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Metrics, Rejected};
    use crate::metrics::{registry, text};

    #[test]
    fn buckets_add_up_and_known_label_values_start_at_zero() {
        let metrics = Metrics::default();
        for ms in [1, 3, 3, 700, 60_000] {
            metrics.appended("acme", 10, Duration::from_millis(ms));
        }
        metrics.answered(200);
        metrics.rejected(Rejected::JournalFailed);
        let mut registry = registry();
        metrics.register(&mut registry);
        let text = text(&registry);
        for line in [
            "host_runner_ingress_append_duration_seconds_bucket{le=\"0.001\"} 1",
            "host_runner_ingress_append_duration_seconds_bucket{le=\"0.005\"} 3",
            "host_runner_ingress_append_duration_seconds_bucket{le=\"1\"} 4",
            "host_runner_ingress_append_duration_seconds_bucket{le=\"+Inf\"} 5",
            "host_runner_ingress_append_duration_seconds_count 5",
            "host_runner_ingress_appended_bytes_total{connection=\"acme\"} 50",
            "host_runner_ingress_requests_total{status=\"200\"} 1",
            "host_runner_ingress_requests_total{status=\"413\"} 0",
            "host_runner_ingress_requests_rejected_total{reason=\"journal-failed\"} 1",
            "host_runner_ingress_connections_closed_total{reason=\"idle\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
