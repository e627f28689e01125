//! Reads tables batch by batch, and commits each batch with its cursor while the next one is read.
//!
//! Two batches are in memory at most. A batch is committed before the next one starts its commit; a batch
//! that was read behind one whose commit failed is dropped and read again from the sink's cursor.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::Instant;

use super::Stopped;
use super::core::{Core, until_stopped};
use super::schedule::Schedule;
use crate::change::{Attributes, Batch, ChangeSource, Operation, number, tally};
use crate::clock::{millis, now_ms, random_unit};
use crate::error::{Error, Kind, Origin, Result};
use crate::policy::{self, Budget, Decision};
use crate::sinks::{Counts, commit_batch};

/// See the file's header.
pub(super) struct Poll {
    pub(super) schedule: Schedule,
    budget: Budget,
    committing: Option<Committing>,
    /// Rows came that a webhook should have brought.
    has_repaired: bool,
}

/// A batch on its way into the sink.
struct Committing {
    table: String,
    cursor: String,
    completes_snapshot: bool,
    caught_up: bool,
    /// How long the connector asks to wait before the table is read again.
    asked: Option<Duration>,
    undelivered: Option<u64>,
    attributes: Attributes,
    changes: BTreeMap<(String, ChangeSource), u64>,
    /// Deletes among them. Those of listings are more, and have no webhook.
    deletes: u64,
    commit: Pin<Box<dyn Future<Output = Result<Counts>> + Send>>,
}

impl Poll {
    pub(super) fn new(schedule: Schedule, budget: Budget) -> Self {
        Self { schedule, budget, committing: None, has_repaired: false }
    }

    /// Whether polling brought rows that a webhook should have, once.
    pub(super) fn take_repaired(&mut self) -> bool {
        std::mem::take(&mut self.has_repaired)
    }

    /// Reads one batch of a table. True if the source answered.
    pub(super) async fn poll(
        &mut self,
        core: &mut Core<'_>,
        (table, cursor): (String, Option<String>),
    ) -> Result<bool, Stopped> {
        let requests = core.connection.sandbox.meter().requests();
        let outcome = read(core, &table, cursor).await?;
        let is_answered = outcome.is_ok() && core.connection.sandbox.meter().requests() > requests;
        if self.settle(core).await?.as_ref() == Some(&table) {
            return Ok(is_answered);
        }
        let moved = outcome.and_then(|batch| {
            self.schedule.read(&table, &batch.cursor, batch.caught_up, Instant::now())?;
            Ok(batch)
        });
        let batch = match moved {
            Ok(batch) => batch,
            Err(error) => {
                self.failed(core, &table, error)?;
                return Ok(is_answered);
            }
        };
        let is_last_for_now = batch.caught_up || batch.wait_ms.is_some_and(|wait| wait > 0);
        self.committing = Some(commit(core, table, batch));
        if is_last_for_now {
            self.settle(core).await?;
        }
        Ok(is_answered)
    }

    /// Waits for the commit under way, if there is one; the table whose commit failed.
    pub(super) async fn settle(&mut self, core: &mut Core<'_>) -> Result<Option<String>, Stopped> {
        let Some(mut committing) = self.committing.take() else { return Ok(None) };
        match committing.commit.as_mut().await {
            Ok(counts) => {
                self.stored(core, &committing, &counts);
                Ok(None)
            }
            Err(error) => {
                self.failed(core, &committing.table, error)?;
                Ok(Some(committing.table))
            }
        }
    }

    /// Counts a committed batch and plans the next read.
    fn stored(&mut self, core: &mut Core<'_>, batch: &Committing, counts: &Counts) {
        let table = batch.table.as_str();
        let is_follow_up = self.schedule.is_complete(table) && core.expects_webhooks;
        let repaired = if is_follow_up { repaired(core, batch, counts) } else { 0 };
        self.has_repaired |= repaired > 0;
        self.schedule.stored(table, &batch.cursor, batch.completes_snapshot);
        let is_complete = self.schedule.is_complete(table);
        core.meters.count(|readings| {
            readings.spent(&batch.attributes);
            for ((table, source), changes) in &batch.changes {
                readings.changed(table, *source, *changes);
            }
            let partial = number(&batch.attributes, "partial-rows").unwrap_or(0);
            readings.counters.rows_partial.add([table], partial);
            readings.counters.rows_read.add([table], counts.read);
            readings.counters.rows_repaired.add([table], repaired);
            let table = readings.table(table);
            table.snapshot_complete = is_complete;
            table.polled_ms = now_ms();
            table.failing = None;
            if batch.caught_up {
                table.caught_up_ms = now_ms();
            }
        });
        let (connection, caught_up) = (&core.connection.name, batch.caught_up);
        tracing::debug!(%connection, table, rows = counts.read, caught_up, "batch stored");
        core.observer.committed(table, counts);
        if batch.caught_up {
            self.schedule.caught_up(table, batch.asked, Instant::now(), random_unit());
            core.observer.caught_up(table);
        } else if let Some(asked) = batch.asked.filter(|asked| !asked.is_zero()) {
            self.rest(core, table, asked);
        } else if counts.read == 0 {
            self.schedule.empty(table, Instant::now());
        }
    }

    /// The connector asks for a pause before the next batch.
    fn rest(&mut self, core: &mut Core<'_>, table: &str, asked: Duration) {
        let more = Error::new(Origin::Component, Kind::RateLimited, "more rows are left");
        let asked_ms = millis(asked);
        let more = Error { retry_after_ms: Some(asked_ms), ..more };
        // No attempt has failed, and the pause is exactly as long as asked.
        match policy::decide(more, 0, &self.budget, 0.0) {
            Decision::Retry(wait) => {
                self.schedule.wait(table, Instant::now() + wait);
                core.observer.waiting(table, wait, "the source asks to");
            }
            Decision::GiveUp(error) | Decision::Stop(error) => {
                self.schedule.end(table);
                core.observer.failed(table, &error.about(format_args!("table `{table}`")));
            }
        }
    }

    /// A read or a commit failed: the table is read again later, or not any more.
    fn failed(&mut self, core: &mut Core<'_>, table: &str, error: Error) -> Result<(), Stopped> {
        let message = error.message.clone();
        core.meters.count(|readings| readings.table(table).failed(&message, now_ms()));
        let attempt = self.schedule.failed(table);
        let error = error.about(format_args!("table `{table}`"));
        match core.decide("read", error, attempt, &self.budget) {
            Decision::Retry(wait) => {
                self.schedule.wait(table, Instant::now() + wait);
                core.observer.waiting(table, wait, &message);
                Ok(())
            }
            Decision::GiveUp(error) => {
                self.schedule.end(table);
                core.observer.failed(table, &error);
                Ok(())
            }
            Decision::Stop(error) => {
                core.observer.failed(table, &error);
                Err(Stopped::Failed(error))
            }
        }
    }
}

/// One call of `read`.
async fn read(core: &mut Core<'_>, table: &str, cursor: Option<String>) -> Result<Result<Batch>, Stopped> {
    core.observer.reading(table);
    let (before, started) = (core.connection.sandbox.meter().requests(), Instant::now());
    let call = core.connection.sandbox.read(table.to_owned(), cursor);
    let outcome = until_stopped(&mut core.stop, call).await;
    let requests = core.connection.sandbox.meter().requests() - before;
    let attributes = match &outcome {
        Ok(Ok(batch)) => batch.attributes.as_slice(),
        Ok(Err(error)) => error.attributes.as_slice(),
        Err(_) => &[],
    };
    core.observer.called(table, requests, attributes);
    if let Ok(Ok(batch)) = &outcome {
        for (_, warning) in attributes.iter().filter(|(name, _)| name == "warning") {
            if core.observer.warned(table, warning) {
                tracing::warn!(connection = %core.connection.name, table, warning, "the source warns");
            }
        }
        let elapsed_ms = millis(started.elapsed());
        let (rows, caught_up) = (batch.changes.len(), batch.caught_up);
        let connection = &core.connection.name;
        tracing::debug!(%connection, table, rows, requests, elapsed_ms, caught_up, "batch read");
    }
    outcome
}

/// Starts the commit of a batch; it runs by itself on a thread that may block.
fn commit(core: &Core<'_>, table: String, mut batch: Batch) -> Committing {
    let changes = tally(&batch.changes);
    let deletes = batch.changes.iter().filter(|change| change.operation == Operation::Delete).count() as u64;
    let (cursor, attributes) = (batch.cursor.clone(), batch.attributes.clone());
    let undelivered = batch.undelivered;
    let completes_snapshot = batch.generation.is_some_and(|generation| generation.complete);
    let (caught_up, asked) = (batch.caught_up, batch.wait_ms.map(Duration::from_millis));
    let name = table.clone();
    let epoch = core.connection.store.epoch();
    let commit = Box::pin(core.sink.run(move |sink| commit_batch(sink, &name, &mut batch, epoch)));
    Committing {
        table,
        cursor,
        completes_snapshot,
        caught_up,
        asked,
        undelivered,
        attributes,
        changes,
        deletes,
        commit,
    }
}

/// Rows that a poll brought although webhooks should have; 0 where the sink does not compare rows. A row that
/// a webhook brought in another form is not among those of which the connector says that none did.
fn repaired(core: &Core<'_>, batch: &Committing, counts: &Counts) -> u64 {
    let table = batch.table.as_str();
    let deleted = counts.deleted.min(batch.deletes);
    let rows = counts.inserted + counts.updated + deleted;
    let rows = rows.min(batch.undelivered.unwrap_or(u64::MAX));
    if rows == 0 || !core.compares || !core.has_webhooks(table) {
        return 0;
    }
    tracing::info!(
        connection = %core.connection.name, table, rows, inserted = counts.inserted, updated = counts.updated,
        deleted, "polling repaired rows that no webhook brought"
    );
    rows
}
