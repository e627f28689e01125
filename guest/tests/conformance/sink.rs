//! What a sink does with batches: replaces, merges and deletes rows by key, and compares complete snapshots
//! and listings.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use zoho_desk::change::{Change, Listing, Operation};
use zoho_desk::error::Error;
use zoho_desk::reader::{Batch, Limits};

use crate::portal::Portal;

/// One table as a sink holds it.
#[derive(Default)]
pub(crate) struct Sink {
    pub(crate) rows: BTreeMap<String, Map<String, Value>>,
    /// As of when each key is known, deleted ones included.
    as_of: BTreeMap<String, u64>,
    pub(crate) cursor: Option<String>,
    /// Keys that the snapshot at hand has shown.
    shown: BTreeSet<String>,
    pub(crate) warnings: Vec<String>,
    /// The snapshot at hand.
    generation: u64,
    /// Whether each snapshot that ended was complete.
    pub(crate) snapshots: Vec<bool>,
}

impl Sink {
    /// Reads until caught up, each batch by a new connection.
    pub(crate) fn read(&mut self, portal: &mut Portal, table: &str, max_changes: u32) -> Result<(), Error> {
        let is_caught_up = self.read_at_most(portal, table, max_changes, 10_000)?;
        assert!(is_caught_up, "{table}: the read does not end");
        Ok(())
    }

    /// Reads so many batches, or until caught up, which it returns.
    pub(crate) fn read_at_most(
        &mut self,
        portal: &mut Portal,
        table: &str,
        max_changes: u32,
        batches: usize,
    ) -> Result<bool, Error> {
        let limits = Limits { max_changes, max_bytes: 8 << 20, max_ms: 60_000 };
        for _ in 0..batches {
            let mut connection = portal.connect();
            let batch = connection.read(table, self.cursor.as_deref(), limits);
            portal.keep(&connection);
            let batch = batch?;
            let is_caught_up = batch.caught_up;
            self.take(batch);
            if is_caught_up {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads until caught up, by a process that is killed at random points: the batch is lost, and the
    /// session is as before, or as after it.
    pub(crate) fn read_with_kills(&mut self, portal: &mut Portal, table: &str, seed: u64) {
        let limits = Limits { max_changes: 7, max_bytes: 8 << 20, max_ms: 60_000 };
        let mut state = seed;
        for _ in 0..10_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let mut connection = portal.connect();
            let batch = connection.read(table, self.cursor.as_deref(), limits).unwrap();
            let (is_kept, is_committed) =
                [(false, false), (true, false), (true, true)][(state >> 60) as usize % 3];
            if is_kept {
                portal.keep(&connection);
            }
            if is_committed {
                let is_caught_up = batch.caught_up;
                self.take(batch);
                if is_caught_up {
                    return;
                }
            }
        }
        panic!("{table}, seed {seed}: the read does not end");
    }

    fn take(&mut self, batch: Batch) {
        if let Some(generation) = batch.generation
            && generation.id != self.generation
        {
            assert!(generation.id > self.generation, "ids of snapshots rise");
            self.generation = generation.id;
            self.shown.clear();
        }
        for change in batch.changes {
            self.apply(change);
        }
        for listing in &batch.listings {
            self.compare(listing);
        }
        self.warnings.extend(batch.warnings);
        if let Some(generation) = batch.generation
            && batch.caught_up
        {
            if generation.complete {
                let shown = std::mem::take(&mut self.shown);
                let as_of_ms = generation.as_of_ms.unwrap_or_default();
                let gone = self.rows.extract_if(.., |key, _| !shown.contains(key));
                self.as_of.extend(gone.map(|(key, _)| (key, as_of_ms)));
            }
            self.shown.clear();
            self.snapshots.push(generation.complete);
        }
        self.cursor = Some(batch.cursor);
    }

    /// Deletes older rows that a listing of their parent lacks.
    fn compare(&mut self, listing: &Listing) {
        let parent: Map<String, Value> = serde_json::from_str(&listing.parent).unwrap();
        assert!(!parent.is_empty());
        let Self { rows, as_of, .. } = self;
        let is_gone = |key: &String, row: &Map<String, Value>| {
            parent.iter().all(|(name, value)| row.get(name) == Some(value))
                && !listing.keys.contains(key)
                && as_of[key] < listing.as_of_ms
        };
        let gone: Vec<String> =
            rows.iter().filter(|(key, row)| is_gone(key, row)).map(|(key, _)| key.clone()).collect();
        for key in gone {
            rows.remove(&key);
            as_of.insert(key, listing.as_of_ms);
        }
    }

    pub(crate) fn apply(&mut self, change: Change) {
        self.shown.insert(change.key.clone());
        let known_ms = self.as_of.entry(change.key.clone()).or_default();
        let as_of_ms = change.as_of_ms.unwrap_or(*known_ms);
        if as_of_ms < *known_ms {
            return; // An older state.
        }
        *known_ms = as_of_ms;
        if change.operation == Operation::Delete {
            self.rows.remove(&change.key);
            return;
        }
        let row: Map<String, Value> = serde_json::from_str(&change.after.unwrap()).unwrap();
        if change.partial {
            self.rows.entry(change.key).or_default().extend(row);
        } else {
            self.rows.insert(change.key, row);
        }
    }
}
