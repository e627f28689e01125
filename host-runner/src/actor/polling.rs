//! One batch of one table: read, store with its cursor, note when to come back.

use std::time::Duration;

use tokio::time::Instant;

use super::receiving::tally;
use super::{End, Work, until_stopped};
use crate::change::Batch;
use crate::clock::now_ms;
use crate::error::{Error, Result};
use crate::limits::STUCK_BATCHES_MAX;
use crate::sinks::{Commit, Counts};

impl Work {
    /// Reads one batch of a table of the agenda.
    pub(super) async fn poll(&mut self, index: usize) -> Result<(), End> {
        let Some(entry) = self.agenda.entries.get(index) else { return Ok(()) };
        let (table, cursor) = (entry.name.clone(), entry.cursor.clone());
        let requests = self.actor.sandbox.meter().requests();
        let call = self.actor.sandbox.read(table.clone(), cursor.clone());
        let outcome = match until_stopped(&mut self.actor.stop, call).await? {
            Ok(batch) => {
                if self.actor.sandbox.meter().requests() > requests {
                    self.receiving.hold.answered();
                }
                self.keep(index, &table, cursor, batch).await
            }
            Err(error) => Err(error),
        };
        let Err(error) = outcome else { return Ok(()) };
        let error = error.about(format_args!("table `{table}`"));
        let failures = self.agenda.entries.get_mut(index).map_or(1, |entry| {
            entry.failures += 1;
            entry.failures
        });
        let wait = self.actor.failed("read", &error, failures)?;
        self.agenda.failed(index, Instant::now() + wait);
        Ok(())
    }

    /// Stores a batch with its cursor.
    async fn keep(&mut self, index: usize, table: &str, cursor: Option<String>, batch: Batch) -> Result<()> {
        let by_table = tally(&batch.changes);
        let (caught_up, generation, next) = (batch.caught_up, batch.generation, batch.cursor.clone());
        let asked = batch.wait_ms.map(Duration::from_millis);
        let attributes = batch.attributes.clone();
        let name = table.to_owned();
        let counts = self.target.work(move |sink| sink.commit(&Commit::of(&name, &batch))).await?;
        let was_complete = self.agenda.entries.get(index).is_some_and(|entry| entry.complete);
        let repaired = if was_complete { self.repaired(table, &counts) } else { 0 };
        if repaired > 0 {
            self.subscribing.missed(Instant::now());
        }
        let is_complete = was_complete || generation.is_some_and(|generation| generation.complete);
        self.actor.meters.count(|counters| {
            counters.spent(&attributes);
            for ((table, source), changes) in &by_table {
                counters.changed(table, *source, *changes);
            }
            let table = counters.table(table);
            table.rows_read += counts.read;
            table.repaired += repaired;
            table.complete = is_complete;
            table.polled_ms = now_ms();
            if caught_up {
                table.caught_up_ms = now_ms();
            }
        });
        for (_, warning) in attributes.iter().filter(|(name, _)| name == "warning") {
            tracing::warn!(connection = %self.actor.name, table, warning, "the source warns");
        }
        tracing::debug!(connection = %self.actor.name, table, rows = counts.read, caught_up, "batch stored");
        let Some(entry) = self.agenda.entries.get_mut(index) else { return Ok(()) };
        let moved = cursor.as_ref() != Some(&next);
        entry.stuck = if moved || caught_up { 0 } else { entry.stuck + 1 };
        entry.cursor = Some(next);
        entry.complete = is_complete;
        if entry.stuck > STUCK_BATCHES_MAX {
            let stuck = std::mem::take(&mut entry.stuck);
            return Err(Error::data(format!("{stuck} batches in a row did not move the cursor"))
                .hint("a defect of the component: it reads the same page again and again"));
        }
        self.agenda.read(index, caught_up, asked, Instant::now());
        Ok(())
    }

    /// Rows that a poll had to bring although webhooks should have.
    fn repaired(&self, table: &str, counts: &Counts) -> u64 {
        let is_told = self.actor.describe.tables.iter().any(|info| {
            info.name == table && info.capabilities.iter().any(|capability| capability == "webhook")
        });
        let is_expected = self.subscribing.subscription.is_some() || self.receiving.has_received();
        let rows = counts.inserted + counts.updated + counts.deleted;
        if !(is_told && is_expected && self.actor.compares) || rows == 0 {
            return 0;
        }
        tracing::info!(
            connection = %self.actor.name, table, rows, inserted = counts.inserted, updated = counts.updated,
            deleted = counts.deleted, "polling repaired what no webhook brought"
        );
        rows
    }
}
