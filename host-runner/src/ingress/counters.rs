//! What the ingress counts, and how Prometheus reads it.
//!
//! Names and labels are stable; no label holds anything that a sender chose.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of the append time's buckets, in milliseconds.
const BUCKETS_MS: [u64; 12] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000];
/// The statuses that are ever answered by a request's handler.
const STATUSES: [u16; 9] = [200, 400, 404, 405, 408, 410, 413, 500, 503];

/// Why a delivery was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rejected {
    Unknown,
    Removed,
    Method,
    TooLarge,
    SlowBody,
    BrokenOff,
    NoRoom,
    JournalFull,
    JournalFailed,
}

const REJECTED: [&str; 9] = [
    "unknown-url",
    "removed",
    "method",
    "too-large",
    "slow-body",
    "broken-off",
    "no-room",
    "journal-full",
    "journal-failed",
];

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    Done,
    Broken,
    Handshake,
    Silent,
    SlowHead,
    Idle,
    Stopped,
}

const CLOSED: [&str; 7] = ["done", "broken", "handshake", "silent", "slow-head", "idle", "stopped"];

/// See the file's header.
#[derive(Debug, Default)]
pub struct Counters {
    statuses: [AtomicU64; STATUSES.len()],
    rejected: [AtomicU64; REJECTED.len()],
    opened: AtomicU64,
    closed: [AtomicU64; CLOSED.len()],
    not_accepted: AtomicU64,
    appended: AtomicU64,
    appended_bytes: AtomicU64,
    append_buckets: [AtomicU64; BUCKETS_MS.len() + 1],
    append_us: AtomicU64,
}

impl Counters {
    /// Deliveries that are on disk and were answered so.
    pub fn appended(&self) -> u64 {
        self.appended.load(Relaxed)
    }

    /// Connections open now.
    pub fn connections(&self) -> u64 {
        let closed: u64 = self.closed.iter().map(|count| count.load(Relaxed)).sum();
        self.opened.load(Relaxed).saturating_sub(closed)
    }

    pub(super) fn opened(&self) {
        self.opened.fetch_add(1, Relaxed);
    }

    pub(super) fn closed(&self, why: Closed) {
        self.closed[why as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn not_accepted(&self) {
        self.not_accepted.fetch_add(1, Relaxed);
    }

    pub(super) fn rejected(&self, why: Rejected) {
        self.rejected[why as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn answered(&self, status: u16) {
        if let Some(index) = STATUSES.iter().position(|known| *known == status) {
            self.statuses[index].fetch_add(1, Relaxed);
        }
    }

    pub(super) fn stored(&self, bytes: usize, took: Duration) {
        self.appended.fetch_add(1, Relaxed);
        self.appended_bytes.fetch_add(bytes as u64, Relaxed);
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS_MS.iter().position(|bound| us <= bound * 1_000).unwrap_or(BUCKETS_MS.len());
        self.append_buckets[bucket].fetch_add(1, Relaxed);
        self.append_us.fetch_add(us, Relaxed);
    }

    /// All of it in Prometheus' text format.
    pub fn render(&self) -> String {
        let mut text = String::with_capacity(4096);
        let labelled = |text: &mut String, name: &str, help: &str, label: &str, rows: &[(String, u64)]| {
            head(text, name, "counter", help);
            for (value, count) in rows {
                let _infallible = writeln!(text, "{PREFIX}{name}{{{label}=\"{value}\"}} {count}");
            }
        };
        let rows = |names: &[String], counts: &[AtomicU64]| -> Vec<(String, u64)> {
            names.iter().cloned().zip(counts.iter().map(|count| count.load(Relaxed))).collect()
        };
        let statuses = STATUSES.map(|status| status.to_string());
        let (rejected, closed) = (REJECTED.map(str::to_owned), CLOSED.map(str::to_owned));
        let requests = rows(&statuses, &self.statuses);
        labelled(&mut text, "requests_total", "Requests by the status answered", "status", &requests);
        let rejected = rows(&rejected, &self.rejected);
        labelled(&mut text, "rejected_total", "Requests not taken, by reason", "reason", &rejected);
        let closed = rows(&closed, &self.closed);
        labelled(&mut text, "connections_closed_total", "Connections ended, by reason", "reason", &closed);
        for (name, kind, help, value) in [
            ("connections", "gauge", "Connections open now", self.connections()),
            ("not_accepted_total", "counter", "Connections not accepted", self.not_accepted.load(Relaxed)),
            ("appended_total", "counter", "Deliveries on disk", self.appended()),
            ("appended_bytes_total", "counter", "Bytes of their bodies", self.appended_bytes.load(Relaxed)),
        ] {
            head(&mut text, name, kind, help);
            let _infallible = writeln!(text, "{PREFIX}{name} {value}");
        }
        self.render_append_seconds(&mut text);
        text
    }

    fn render_append_seconds(&self, text: &mut String) {
        let name = "append_seconds";
        head(text, name, "histogram", "From a whole body to its place on disk");
        let mut count = 0;
        for (index, bucket) in self.append_buckets.iter().enumerate() {
            count += bucket.load(Relaxed);
            let bound = BUCKETS_MS.get(index).map_or("+Inf".to_owned(), |ms| (*ms as f64 / 1e3).to_string());
            let _infallible = writeln!(text, "{PREFIX}{name}_bucket{{le=\"{bound}\"}} {count}");
        }
        let seconds = self.append_us.load(Relaxed) as f64 / 1e6;
        let _infallible = writeln!(text, "{PREFIX}{name}_sum {seconds}\n{PREFIX}{name}_count {count}");
    }
}

const PREFIX: &str = "host_runner_ingress_";

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _infallible = writeln!(text, "# HELP {PREFIX}{name} {help}\n# TYPE {PREFIX}{name} {kind}");
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{CLOSED, Closed, Counters, REJECTED, Rejected};

    #[test]
    fn buckets_add_up_and_names_fit_their_reasons() {
        let counters = Counters::default();
        for ms in [1, 3, 3, 700, 60_000] {
            counters.stored(10, Duration::from_millis(ms));
        }
        counters.answered(200);
        counters.rejected(Rejected::JournalFailed);
        let text = counters.render();
        for line in [
            "host_runner_ingress_append_seconds_bucket{le=\"0.001\"} 1",
            "host_runner_ingress_append_seconds_bucket{le=\"0.005\"} 3",
            "host_runner_ingress_append_seconds_bucket{le=\"1\"} 4",
            "host_runner_ingress_append_seconds_bucket{le=\"+Inf\"} 5",
            "host_runner_ingress_append_seconds_count 5",
            "host_runner_ingress_appended_bytes_total 50",
            "host_runner_ingress_requests_total{status=\"200\"} 1",
            "host_runner_ingress_rejected_total{reason=\"journal-failed\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert_eq!(CLOSED[Closed::Stopped as usize], "stopped");
        assert_eq!(REJECTED[Rejected::Unknown as usize], "unknown-url");
    }
}
