//! The calls of the contract, one by one: arguments, and the answer once it is checked.
//!
//! Knows nothing of limits, permits and instances.

use super::error::refused;
use super::{Checks, Sandbox};
use crate::bindings::{source, types};
use crate::boundary;
use crate::boundary::limits::{ANSWER, PIECE, SUBSCRIPTION};
use crate::change::{Batch, CheckItem, Outcome, Piece, Receipt, Table};
use crate::clock;
use crate::conv;
use crate::delivery::Delivery;
use crate::error::{Error, Kind, Result};

/// One call of the contract as the closure that [`Sandbox::call`] takes. A macro, because the call borrows
/// two fields of [`Live`], and because a bound cannot require that the future of an async closure is `Send`.
macro_rules! export {
    (source.$call:ident($($argument:expr),*) $($then:tt)*) => {
        move |live| {
            Box::pin(async move {
                let source = live.world.connector_source_source().connection();
                source.$call(&mut live.store, live.connection, $($argument),*).await$($then)*
            })
        }
    };
    (webhook.$call:ident($($argument:expr),*) $($then:tt)*) => {
        move |live| {
            Box::pin(async move {
                let webhook = live.world.connector_source_webhook();
                webhook.$call(&mut live.store, live.connection, $($argument),*).await$($then)*
            })
        }
    };
}

impl Sandbox {
    /// Exchanges a grant for a session.
    pub async fn authorize(&mut self, grant: String) -> Result<()> {
        self.call("authorize", export!(source.call_authorize(&grant)), as_it_is).await?;
        self.session_accepted()
    }

    /// Checks the connection, and its subscription if there is one. A request that the egress policy refused
    /// becomes a separate item.
    pub async fn check(&mut self, subscription: Option<String>) -> Result<Vec<CheckItem>> {
        let mut items = self.check_connection().await?;
        // The subscription cannot be checked over a connection that failed.
        if let Some(subscription) = subscription
            && !items.iter().any(|item| item.outcome == Outcome::Failed)
        {
            items.extend(self.check_subscription(subscription).await?);
        }
        Ok(items)
    }

    async fn check_connection(&mut self) -> Result<Vec<CheckItem>> {
        let mut items = self.call("check", export!(source.call_check().map(Ok)), check_items).await?;
        self.session_accepted()?;
        if let Some(denial) = self.meter.take_denied() {
            let error = refused(&denial);
            items.push(CheckItem {
                name: "egress".into(),
                outcome: Outcome::Failed,
                message: error.message,
                hint: error.hint,
                kind: None,
            });
        }
        Ok(items)
    }

    /// The tables with their schemas.
    pub async fn discover(&mut self) -> Result<Vec<Table>> {
        let check = |tables, checks: &Checks| conv::tables(tables, &checks.redactor);
        self.call("discover", export!(source.call_discover()), check).await
    }

    /// Rows of a table, where the source can count them.
    pub async fn count(&mut self, table: String) -> Result<Option<u64>> {
        self.call("count", export!(source.call_count(&table)), as_it_is).await
    }

    /// The next batch of a table.
    pub async fn read(&mut self, table: String, cursor: Option<String>) -> Result<Batch> {
        let limits = types::Limits {
            max_changes: self.limits.batch.max_rows,
            max_bytes: self.limits.batch.max_bytes,
            max_ms: u32::try_from(self.limits.batch.max_time.as_millis()).unwrap_or(u32::MAX),
        };
        let called_at_ms = clock::now_ms();
        let check = move |batch, checks: &Checks| {
            conv::batch(batch, limits.max_changes, called_at_ms, checks.now_ms, &checks.redactor)
        };
        self.call("read", export!(source.call_read(&table, cursor.as_ref(), limits)), check).await
    }

    /// The bytes from `offset` on of the file that a row names.
    pub async fn fetch(&mut self, table: String, row: String, offset: u64) -> Result<Piece> {
        let limits = types::Limits {
            max_changes: 0,
            max_bytes: u32::try_from(PIECE.max).unwrap_or(u32::MAX),
            max_ms: u32::try_from(self.limits.batch.max_time.as_millis()).unwrap_or(u32::MAX),
        };
        let check = |piece, checks: &Checks| conv::piece(piece, &checks.redactor);
        self.call("fetch", export!(source.call_fetch(&table, &row, offset, limits)), check).await
    }

    /// A named action.
    pub async fn command(&mut self, name: String, arguments: String) -> Result<String> {
        let check =
            |answer: String, _: &Checks| boundary::document(&ANSWER, "command", &answer).map(|()| answer);
        self.call("command", export!(source.call_command(&name, &arguments)), check).await
    }

    /// Registers `url` at the source for `tables`, all if it is empty. The returned subscription must be
    /// kept, and is `current` in the next call.
    pub async fn subscribe(
        &mut self,
        url: String,
        tables: Vec<String>,
        current: Option<String>,
    ) -> Result<String> {
        let check =
            |made: String, _: &Checks| boundary::document(&SUBSCRIPTION, "subscribe", &made).map(|()| made);
        self.call("subscribe", export!(webhook.call_subscribe(&url, &tables, current.as_ref())), check).await
    }

    async fn check_subscription(&mut self, subscription: String) -> Result<Vec<CheckItem>> {
        self.call("check", export!(webhook.call_check(&subscription).map(Ok)), check_items).await
    }

    /// Deletes a subscription at the source.
    pub async fn unsubscribe(&mut self, subscription: String) -> Result<()> {
        self.call("unsubscribe", export!(webhook.call_unsubscribe(&subscription)), as_it_is).await
    }

    /// Verifies and translates deliveries, in order, one result each. Fails as a whole when the component was
    /// stopped or the egress policy refused one of its requests.
    pub async fn receive(
        &mut self,
        subscription: Option<String>,
        deliveries: Vec<Delivery>,
    ) -> Result<Vec<Result<Receipt>>> {
        let expected = deliveries.len();
        let deliveries: Vec<_> = deliveries.into_iter().map(conv::delivery).collect();
        let check = move |receipts: Vec<_>, checks: &Checks| {
            if receipts.len() != expected {
                let answers = receipts.len();
                let message = format!("receive: {answers} answers to {expected} deliveries");
                return Err(Error::sandbox(Kind::Internal, message).hint("a defect of the component"));
            }
            let answer = |answer: std::result::Result<_, types::Error>| match answer {
                Ok(receipt) => conv::receipt(receipt, checks.now_ms, &checks.redactor),
                Err(error) => Err(conv::error(error, &checks.redactor)),
            };
            Ok(receipts.into_iter().map(answer).collect())
        };
        let receipts = self
            .call("receive", export!(webhook.call_receive(subscription.as_ref(), &deliveries).map(Ok)), check)
            .await?;
        match self.meter.take_denied() {
            Some(denial) => Err(self.redacted(refused(&denial))),
            None => Ok(receipts),
        }
    }

    /// Fails while the component's session is refused.
    fn session_accepted(&self) -> Result<()> {
        self.refused_session.clone().map_or(Ok(()), Err)
    }
}

/// An answer without anything to check.
fn as_it_is<T>(answer: T, _: &Checks) -> Result<T> {
    Ok(answer)
}

fn check_items(items: Vec<source::CheckItem>, checks: &Checks) -> Result<Vec<CheckItem>> {
    conv::check_items(items, &checks.redactor)
}
