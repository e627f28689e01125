//! Which tables there are: looked at when the actor begins, now and then, and when somebody asks.

use std::time::Duration;

use tokio::time::Instant;

use super::{Actor, End, Work, until_stopped};
use crate::change::Table;
use crate::metrics::Phase;
use crate::request::Request;
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
            self.meters.phase(Phase::Waiting);
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
                    let answer = self.respond(&ask.request, target, None).await?;
                    self.reply(ask, answer.map(|(value, _)| value));
                }
            }
        }
    }
}

impl Work {
    /// Looks because it is time; a failure waits for the next time.
    pub(super) async fn discover_again(&mut self) -> Result<(), End> {
        self.discover_at = Instant::now() + DISCOVER_EVERY;
        match self.respond(&Request::Discover).await? {
            Ok((_, effect)) => self.follow(effect).await,
            Err(error) => self.actor.failed("discover", &error, 1).map(drop),
        }
    }

    /// Makes room for the tables that there are, and goes on with them.
    pub(super) async fn discovered(&mut self, tables: Vec<Table>) -> Result<(), End> {
        self.discover_at = Instant::now() + DISCOVER_EVERY;
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
            self.actor.meters.count(|counters| counters.tables.retain(|table, _| names.contains(table)));
            // A subscription is about the tables that there were.
            self.subscribing.changed(now);
        }
        self.tables = tables;
        self.show_tables();
        Ok(())
    }

    /// Shows where each table stands.
    pub(super) fn show_tables(&self) {
        self.actor.meters.count(|counters| {
            for entry in &self.agenda.entries {
                counters.table(&entry.name).complete = entry.complete;
            }
        });
    }
}
