//! Which tables there are: looked at when the actor begins, now and then, and when somebody asks.

use std::time::Duration;

use tokio::time::Instant;

use super::{Actor, End, Work, until_stopped};
use crate::change::Table;
use crate::error::Result;
use crate::metrics::State;
use crate::sinks::Target;

/// Between two looks, for columns and tables that were added at the source.
pub(super) const DISCOVER_EVERY: Duration = Duration::from_secs(6 * 3600);

pub(super) fn names(tables: &[Table]) -> Vec<String> {
    tables.iter().map(|table| table.name.clone()).collect()
}

impl Actor {
    /// The tables, however long the source takes to answer.
    pub(super) async fn tables(&mut self, target: &Target) -> Result<Vec<Table>, End> {
        let mut attempt = 0;
        loop {
            let error = match until_stopped(&mut self.stop, self.sandbox.discover()).await? {
                Ok(tables) => return Ok(tables),
                Err(error) => error,
            };
            attempt += 1;
            let wait = self.failed("discover", &error, attempt)?;
            self.meters.enter(State::Waiting, Some(&error.message));
            self.rest(Instant::now() + wait, target).await?;
        }
    }

    /// Waits; who asks something meanwhile does not.
    async fn rest(&mut self, until: Instant, target: &Target) -> Result<(), End> {
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return Ok(()),
                () = self.stop.requested() => return Err(End::Stopped),
                Some(ask) = self.asks.recv() => {
                    let answer = self.answer(&ask.request, target).await?;
                    self.reply(ask, answer);
                }
            }
        }
    }
}

impl Work {
    /// Looks because it is time; a failure waits for the next time.
    pub(super) async fn discover_again(&mut self) -> Result<(), End> {
        match self.discover().await? {
            Ok(_) => Ok(()),
            Err(error) => self.actor.failed("discover", &error, 1).map(drop),
        }
    }

    /// Looks at the tables and goes on with those that there are.
    pub(super) async fn discover(&mut self) -> Result<Result<Vec<Table>>, End> {
        self.discover_at = Instant::now() + DISCOVER_EVERY;
        let tables = match until_stopped(&mut self.actor.stop, self.actor.sandbox.discover()).await? {
            Ok(tables) => tables,
            Err(error) => return Ok(Err(error)),
        };
        let prepared = tables.clone();
        let work = self.target.work(move |sink| {
            sink.prepare(&prepared)?;
            sink.positions()
        });
        let positions = work.await?;
        let names = names(&tables);
        if !self.agenda.is_of(&names) {
            let now = Instant::now();
            tracing::info!(connection = %self.actor.name, tables = names.join(","), "tables came or went");
            self.agenda.renew(&names, &positions, now);
            self.actor.meters.count(|readings| readings.tables.retain(|table, _| names.contains(table)));
            // A subscription is about the tables that there were.
            self.subscribing.changed(now);
        }
        self.tables.clone_from(&tables);
        self.show_tables();
        Ok(Ok(tables))
    }

    /// Shows where each table stands.
    pub(super) fn show_tables(&self) {
        self.actor.meters.count(|readings| {
            for entry in &self.agenda.entries {
                readings.table(&entry.name).snapshot_complete = entry.complete;
            }
        });
    }
}
