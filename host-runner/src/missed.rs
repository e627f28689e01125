//! Missed deliveries: the signal that a delivery was rejected, or will not be applied.
//!
//! Ingress and journal report, the connection's actor subscribes and polls its tables early. Does not store
//! anything: after a restart every table is polled within minutes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// See the file's header. Clones share the signal.
#[derive(Clone, Debug, Default)]
pub struct MissedDeliveries(Arc<Mutex<HashMap<String, watch::Sender<&'static str>>>>);

impl MissedDeliveries {
    /// Reports that a delivery of a connection was missed, and why; ignored when nothing subscribed to the
    /// connection.
    pub fn report(&self, connection: &str, why: &'static str) {
        let senders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = senders.get(connection) {
            sender.send_replace(why);
        }
    }

    /// Changes with each report; the value is the last reason.
    pub fn subscribe(&self, connection: &str) -> watch::Receiver<&'static str> {
        let mut senders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        senders.entry(connection.to_owned()).or_insert_with(|| watch::Sender::new("")).subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::MissedDeliveries;

    #[test]
    fn a_report_reaches_the_subscribers_of_its_connection_only() {
        let missed = MissedDeliveries::default();
        missed.report("a", "before the subscription");
        let (mut a, b) = (missed.subscribe("a"), missed.subscribe("b"));
        assert!(!a.has_changed().expect("open"));
        missed.clone().report("a", "the journal is full");
        assert!(a.has_changed().expect("open") && !b.has_changed().expect("open"));
        assert_eq!(*a.borrow_and_update(), "the journal is full");
    }
}
