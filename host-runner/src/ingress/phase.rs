//! The phase of an HTTP connection between two requests, and its deadline.
//!
//! Written by the connection's input and its requests, read by [`super::connection`], all in one task, and by
//! [`super::waiting`], which may ask the connection to close. A request that is being served has separate
//! timeouts.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::limits::IngressLimits;
use crate::clock::millis;

const IDLE: u8 = 0;
const HEAD: u8 = 1;
/// Connected, nothing received.
const NEW: u8 = 2;

/// See the file's header.
pub(super) struct HttpPhase {
    start: Instant,
    since_ms: AtomicU64,
    state: AtomicU8,
    requests: AtomicU32,
    rejected: AtomicBool,
    is_asked: AtomicBool,
    ask: Notify,
    head: Duration,
    idle: Duration,
}

/// Why a connection must be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// Nothing was received.
    Silent,
    /// A request's headers are incomplete.
    Head,
    /// No further request was received.
    Idle,
}

impl HttpPhase {
    pub(super) fn new(limits: &IngressLimits) -> Self {
        Self {
            start: Instant::now(),
            since_ms: AtomicU64::new(0),
            state: AtomicU8::new(NEW),
            requests: AtomicU32::new(0),
            rejected: AtomicBool::new(false),
            is_asked: AtomicBool::new(false),
            ask: Notify::new(),
            head: limits.head_timeout,
            idle: limits.idle_timeout,
        }
    }

    /// The TLS handshake is done: requests may come.
    pub(super) fn secured(&self) {
        self.enter(NEW);
    }

    /// Bytes were received: the start of a request, if none is in progress.
    pub(super) fn input(&self) {
        match self.state.load(Relaxed) {
            IDLE if self.is_idle() => self.enter(HEAD),
            // A client that connects sends at once: the time since the connection counts.
            NEW => self.state.store(HEAD, Relaxed),
            _ => {}
        }
    }

    /// A request's headers are complete.
    pub(super) fn begin(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    /// A request was answered or canceled.
    pub(super) fn end(&self) {
        if self.requests.fetch_sub(1, Relaxed) == 1 {
            self.enter(IDLE);
        }
    }

    /// Bytes no longer mean a request: HTTP/2 also sends frames between requests.
    pub(super) fn multiplexed(&self) {
        self.enter(IDLE);
    }

    /// A request was answered without reading its body.
    pub(super) fn reject(&self) {
        self.rejected.store(true, Relaxed);
    }

    pub(super) fn was_rejected(&self) -> bool {
        self.rejected.load(Relaxed)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.requests.load(Relaxed) == 0
    }

    /// Since when it has waited for a request, or for the end of its headers; none while one is being served,
    /// and for a connection that was asked to close.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        (self.is_idle() && !self.is_asked()).then(|| self.since())
    }

    /// Asks the connection to close, unless a request comes first.
    pub(super) fn ask_to_close(&self) {
        self.is_asked.store(true, Relaxed);
        self.ask.notify_one();
    }

    pub(super) fn is_asked(&self) -> bool {
        self.is_asked.load(Relaxed)
    }

    /// Waits until the connection is to close.
    pub(super) async fn asked(&self) {
        loop {
            self.ask.notified().await;
            if self.is_idle() {
                return;
            }
            self.is_asked.store(false, Relaxed);
        }
    }

    fn since(&self) -> Instant {
        self.start + Duration::from_millis(self.since_ms.load(Relaxed))
    }

    /// When the phase must end; none while a request is being served.
    pub(super) fn deadline(&self) -> Option<(Instant, Overdue)> {
        if !self.is_idle() {
            return None;
        }
        let since = self.since();
        Some(match self.state.load(Relaxed) {
            NEW => (since + self.head, Overdue::Silent),
            HEAD => (since + self.head, Overdue::Head),
            _ => (since + self.idle, Overdue::Idle),
        })
    }

    fn enter(&self, state: u8) {
        let ms = millis(self.start.elapsed());
        self.since_ms.store(ms, Relaxed);
        self.state.store(state, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, advance};

    use super::{HttpPhase, Overdue};
    use crate::ingress::IngressLimits;

    #[tokio::test(start_paused = true)]
    async fn each_phase_has_its_own_deadline() {
        let limits = IngressLimits::default();
        let start = Instant::now();
        let phase = HttpPhase::new(&limits);
        assert_eq!(phase.deadline(), Some((start + limits.head_timeout, Overdue::Silent)));
        advance(Duration::from_secs(3)).await;
        phase.input();
        assert_eq!(
            phase.deadline(),
            Some((start + limits.head_timeout, Overdue::Head)),
            "the first bytes extend the deadline"
        );
        phase.begin();
        assert_eq!(phase.deadline(), None);
        phase.input();
        phase.end();
        let idle = start + Duration::from_secs(3) + limits.idle_timeout;
        assert_eq!(phase.deadline(), Some((idle, Overdue::Idle)));
        advance(Duration::from_secs(3)).await;
        phase.input();
        let head = start + Duration::from_secs(6) + limits.head_timeout;
        assert_eq!(phase.deadline(), Some((head, Overdue::Head)));
    }
}
