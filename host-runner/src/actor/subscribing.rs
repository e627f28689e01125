//! Registering the connection's URL at the source, and undoing that.

use tokio::time::Instant;

use super::{End, Work, until_stopped};
use crate::change::Table;
use crate::describe::Describe;
use crate::error::{Error, Kind, Origin, Result};

/// The tables that a subscription is about: those of the connection that webhooks can bring.
pub fn subscribable(describe: &Describe, tables: &[Table]) -> Vec<String> {
    let told = |table: &&Table| {
        let infos = &mut describe.tables.iter();
        infos.any(|info| info.name == table.name && info.capabilities.iter().any(|name| name == "webhook"))
    };
    tables.iter().filter(told).map(|table| table.name.clone()).collect()
}

/// The refusal when there are none.
pub fn no_webhooks() -> Error {
    let message = "none of the tables of this connection has webhooks";
    Error::new(Origin::Component, Kind::Unsupported, message).hint("they are followed by reading alone")
}

impl Work {
    /// Registers the URL that the server was started with, and tries again when that fails.
    pub(super) async fn subscribe_as_told(&mut self) -> Result<(), End> {
        let Some(url) = self.actor.subscribe.clone() else { return Ok(()) };
        let attempt = self.subscribe_at.take().map_or(1, |(_, attempt)| attempt + 1);
        if let Err(error) = self.subscribe(url).await? {
            let wait = self.actor.failed("subscribe", &error, attempt)?;
            self.subscribe_at = Some((Instant::now() + wait, attempt));
        }
        Ok(())
    }

    pub(super) async fn subscribe(&mut self, url: String) -> Result<Result<()>, End> {
        let tables = subscribable(&self.actor.describe, &self.tables);
        if tables.is_empty() {
            return Ok(Err(no_webhooks()));
        }
        let call = self.actor.sandbox.subscribe(url, tables, self.subscription.clone());
        let subscription = match until_stopped(&mut self.actor.stop, call).await? {
            Ok(subscription) => subscription,
            Err(error) => return Ok(Err(error)),
        };
        self.actor.subscriptions.keep(Some(&subscription))?;
        let is_new = self.subscription.as_ref() != Some(&subscription);
        self.subscription = Some(subscription);
        if is_new {
            // What changed before it was registered was told to nobody.
            self.agenda.all_due(Instant::now());
        }
        tracing::info!(connection = %self.actor.name, "subscribed");
        Ok(Ok(()))
    }

    pub(super) async fn unsubscribe(&mut self) -> Result<Result<()>, End> {
        let Some(subscription) = self.subscription.clone() else { return Ok(Ok(())) };
        let call = self.actor.sandbox.unsubscribe(subscription);
        if let Err(error) = until_stopped(&mut self.actor.stop, call).await? {
            return Ok(Err(error));
        }
        self.actor.subscriptions.keep(None)?;
        self.subscription = None;
        tracing::info!(connection = %self.actor.name, "unsubscribed");
        Ok(Ok(()))
    }
}
