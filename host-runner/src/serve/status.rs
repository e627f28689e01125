//! The status of all connections, for the listener's pages.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde_json::Value;
use tokio::time::Instant;

use super::loads::START_WITHIN;
use crate::clock::now_ms;
use crate::ingress::{self, Observe};
use crate::journal::Journal;
use crate::metrics::{self, ConnectionStatus, InvalidFile, Meters, ServerStatus, State, health};
use crate::secret::Redactor;

/// See the file's header.
pub(super) struct Overview {
    connections: Arc<Connections>,
    /// Errors by file.
    invalid_files: Mutex<BTreeMap<PathBuf, String>>,
    loading: AtomicUsize,
    started: Instant,
    invalid_count: Gauge,
    ingress: ingress::Metrics,
    registry: Registry,
    redactor: Redactor,
}

/// The meters of each connection, by name.
#[derive(Debug)]
struct Connections {
    journal: Journal,
    meters: Mutex<BTreeMap<String, Meters>>,
}

impl Connections {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Meters>> {
        self.meters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> Vec<ConnectionStatus> {
        let meters = self.lock().clone();
        let status = |(name, meters): (String, Meters)| ConnectionStatus {
            readings: meters.read(),
            queue: self.journal.depth(&name),
            letters: self.journal.letter_counts(&name),
            full: self.journal.full(&name),
            name,
        };
        meters.into_iter().map(status).collect()
    }
}

impl Collector for Connections {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        metrics::encode(encoder, &self.read(), now_ms())
    }
}

impl Overview {
    pub(super) fn new(journal: Journal, redactor: Redactor, ingress: &ingress::Metrics) -> Self {
        let connections = Arc::new(Connections { journal, meters: Mutex::default() });
        let invalid_count = Gauge::default();
        let mut registry = metrics::registry();
        registry.register_collector(Box::new(Arc::clone(&connections)));
        registry.register(
            "connection_files_invalid",
            "Connection files that cannot be loaded",
            invalid_count.clone(),
        );
        ingress.register(&mut registry);
        Self {
            connections,
            invalid_files: Mutex::default(),
            loading: AtomicUsize::new(0),
            started: Instant::now(),
            invalid_count,
            ingress: ingress.clone(),
            registry,
            redactor,
        }
    }

    /// Adds a connection, or replaces its meters.
    pub(super) fn add(&self, name: &str, meters: &Meters) {
        self.connections.lock().insert(name.to_owned(), meters.clone());
    }

    /// Removes a connection.
    pub(super) fn remove(&self, name: &str) {
        self.connections.lock().remove(name);
    }

    /// Sets how many connection files are being loaded at the start of the server.
    pub(super) fn set_loading(&self, files: usize) {
        self.loading.store(files, Relaxed);
    }

    /// Records why a connection file cannot be loaded; none: it can, or it is deleted.
    pub(super) fn set_invalid(&self, file: &Path, error: Option<&str>) {
        let mut files = self.invalid_files.lock().unwrap_or_else(PoisonError::into_inner);
        match error {
            Some(error) => drop(files.insert(file.to_owned(), error.to_owned())),
            None => drop(files.remove(file)),
        }
        self.invalid_count.set(i64::try_from(files.len()).unwrap_or(i64::MAX));
    }

    /// Whether the next delivery can probably not be stored.
    fn journal_fails(&self, now_ms: u64) -> bool {
        self.ingress.is_failing(now_ms) || !self.connections.journal.is_in_place()
    }

    fn invalid_files(&self) -> Vec<InvalidFile> {
        let files = self.invalid_files.lock().unwrap_or_else(PoisonError::into_inner);
        let invalid = |(file, error): (&PathBuf, &String)| InvalidFile {
            file: file.display().to_string(),
            error: self.redactor.redact(error),
        };
        files.iter().map(invalid).collect()
    }
}

impl Observe for Overview {
    fn metrics(&self) -> String {
        // Not redacted: the sandbox has taken secrets out of the values of labels.
        metrics::text(&self.registry)
    }

    fn ready(&self) -> bool {
        if self.journal_fails(now_ms()) {
            return false;
        }
        // Deliveries are taken: a component that never starts must not keep a balancer away from all others.
        let is_starting = || {
            let connections = self.connections.lock();
            self.loading.load(Relaxed) > 0 || connections.values().any(|one| one.state() == State::Starting)
        };
        self.started.elapsed() >= START_WITHIN || !is_starting()
    }

    fn health(&self) -> Value {
        let now_ms = now_ms();
        let server = ServerStatus {
            invalid: self.invalid_files(),
            loading: self.loading.load(Relaxed),
            journal_fails: self.journal_fails(now_ms),
        };
        let mut connections = self.connections.read();
        connections.iter_mut().for_each(|one| redact(one, &self.redactor));
        health(&connections, &server, now_ms)
    }
}

/// Takes the secrets out of what the actor of a connection said. The words of the status itself, which
/// monitors read, are never masked.
fn redact(connection: &mut ConnectionStatus, redactor: &Redactor) {
    let redactor = redactor.of(&connection.name);
    let readings = &mut connection.readings;
    let failing = readings.tables.values_mut().filter_map(|table| table.failing.as_mut());
    let said = readings.status.reason.iter_mut();
    let said = said.chain(readings.last_error.iter_mut().map(|(message, _)| message));
    let said = said.chain(readings.files_late.iter_mut().map(|(_, message)| message));
    said.chain(failing.map(|(_, message)| message)).for_each(|text| *text = redactor.redact(text));
}

#[cfg(test)]
mod tests;
