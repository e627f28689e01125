//! All connections as those who watch see them: through the listener's own pages.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use crate::clock::now_ms;
use crate::ingress::Observe;
use crate::journal::Journal;
use crate::metrics::{Broken, Meters, Shown, health, is_ready, prometheus};
use crate::secret::Redactor;

/// See the file's header.
pub(super) struct Board {
    journal: Journal,
    redactor: Redactor,
    connections: Mutex<BTreeMap<String, Meters>>,
    broken: Mutex<Vec<Broken>>,
}

impl Board {
    pub(super) fn new(journal: Journal, redactor: Redactor) -> Self {
        Self { journal, redactor, connections: Mutex::default(), broken: Mutex::default() }
    }

    /// Shows a connection.
    pub(super) fn add(&self, name: &str, meters: &Meters) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.insert(name.to_owned(), meters.clone());
    }

    /// Shows it no more.
    pub(super) fn remove(&self, name: &str) {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// Shows the files that cannot be used, instead of those shown before.
    pub(super) fn broken(&self, files: Vec<Broken>) {
        *self.broken.lock().unwrap_or_else(PoisonError::into_inner) = files;
    }

    fn shown(&self) -> Vec<Shown> {
        let connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let show = |(name, meters): (String, Meters)| Shown {
            counters: meters.read(),
            // A journal that cannot be asked shows as empty; its failures show elsewhere.
            depth: self.journal.depth(&name).unwrap_or_default(),
            name,
        };
        connections.into_iter().map(show).collect()
    }
}

impl Observe for Board {
    fn metrics(&self) -> String {
        self.redactor.redact(&prometheus(&self.shown(), now_ms()))
    }

    fn ready(&self) -> bool {
        is_ready(&self.shown())
    }

    fn health(&self) -> Value {
        let broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.redactor.redact_value(&health(&self.shown(), &broken, now_ms()))
    }
}
