//! The log of deliveries: counts, and the last ones in full, which can be replayed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::{Value, json};

use crate::time::iso;

/// Deliveries kept in full.
const DELIVERIES_MAX: usize = 1_000;

/// One delivery.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) webhook: u64,
    pub(crate) url: String,
    pub(crate) events: usize,
    pub(crate) body: Bytes,
    pub(crate) signature: String,
    pub(crate) at: i64,
    /// The status of the answer; none when there was no answer before the timeout.
    pub(crate) status: Option<u16>,
}

/// The log.
#[derive(Debug, Default)]
pub(crate) struct DeliveryLog {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    pending: u64,
    sent: u64,
    dropped: u64,
    duplicated: u64,
    failed: u64,
    by_status: BTreeMap<u16, u64>,
    recent: VecDeque<Delivery>,
}

impl DeliveryLog {
    /// Counts an event that was queued.
    pub(crate) fn queued(&self) {
        self.lock().pending += 1;
    }

    /// Counts queued events that are not pending any more, delivered or not.
    pub(crate) fn settled(&self, events: usize) {
        let mut state = self.lock();
        state.pending = state.pending.saturating_sub(events as u64);
    }

    /// Counts an event that was dropped on purpose.
    pub(crate) fn dropped(&self) {
        self.lock().dropped += 1;
    }

    /// Counts a delivery that will be duplicated on purpose.
    pub(crate) fn duplicated(&self) {
        let mut state = self.lock();
        state.duplicated += 1;
        state.pending += 1;
    }

    /// Adds a delivery.
    pub(crate) fn sent(&self, delivery: Delivery) {
        let mut state = self.lock();
        state.sent += 1;
        match delivery.status {
            Some(status) => *state.by_status.entry(status).or_default() += 1,
            None => state.failed += 1,
        }
        if state.recent.len() >= DELIVERIES_MAX {
            state.recent.pop_front();
        }
        state.recent.push_back(delivery);
    }

    /// The last deliveries, oldest first.
    pub(crate) fn recent(&self) -> Vec<Delivery> {
        self.lock().recent.iter().cloned().collect()
    }

    /// Events that are queued or being delivered, and duplicates that are not delivered yet.
    pub(crate) fn pending(&self) -> u64 {
        self.lock().pending
    }

    /// All counts.
    pub(crate) fn report(&self) -> Value {
        let state = self.lock();
        json!({
            "pending": state.pending, "deliveries": state.sent, "byStatus": state.by_status,
            "unanswered": state.failed, "dropped": state.dropped, "duplicated": state.duplicated,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Delivery {
    /// The delivery without its signature, as the admin API shows it.
    pub(crate) fn to_json(&self) -> Value {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or(Value::Null);
        json!({
            "webhookId": self.webhook.to_string(), "url": self.url, "events": self.events,
            "time": iso(self.at), "status": self.status, "body": body,
        })
    }
}
