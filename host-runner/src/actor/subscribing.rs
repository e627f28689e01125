//! The connection's URL at the source: registered, looked after, and undone.

use std::time::Duration;

use tokio::time::Instant;

use super::{End, Work, until_stopped};
use crate::change::Table;
use crate::describe::Describe;
use crate::error::{Error, Kind, Origin, Result};
use crate::state::subscription::Kept;
use crate::webhook_url::{self, PublicUrl};

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

/// Between two looks at the source, whether the subscription is still there and as it should be.
const LOOK_EVERY: Duration = Duration::from_secs(6 * 3600);
/// The same when changes came that nobody was told of.
const LOOK_EVERY_WHEN_MISSED: Duration = Duration::from_secs(10 * 60);

/// Where the subscription stands.
#[derive(Debug)]
pub(super) struct Subscribing {
    /// What the component answered last.
    pub(super) subscription: Option<String>,
    /// Where the source is to call; none if nothing is to be registered, or it was done by hand.
    public_url: Option<PublicUrl>,
    /// When to see to it.
    pub(super) due: Option<Instant>,
    /// When it was seen to.
    looked: Option<Instant>,
    /// Failures in a row.
    failures: u32,
}

impl Subscribing {
    /// `told`: where the source is to call, as the server was started.
    pub(super) fn new(told: Option<PublicUrl>, kept: Option<Kept>, now: Instant) -> Self {
        let known = kept.as_ref().and_then(|kept| PublicUrl::parse(&kept.public_url).ok());
        let public_url = told.or(known);
        let due = public_url.is_some().then_some(now);
        let subscription = kept.map(|kept| kept.subscription);
        Self { subscription, public_url, due, looked: None, failures: 0 }
    }

    /// The URL or the tables have changed: it is seen to at once. False if there is nothing that could be.
    pub(super) fn changed(&mut self, now: Instant) -> bool {
        self.due = self.public_url.is_some().then_some(now);
        self.due.is_some()
    }

    /// Changes came that nobody was told of.
    pub(super) fn missed(&mut self, now: Instant) {
        let since = self.looked.map_or(now, |looked| looked + LOOK_EVERY_WHEN_MISSED);
        self.due = self.due.map(|due| due.min(since.max(now)));
    }

    fn done(&mut self, now: Instant) {
        (self.looked, self.failures) = (Some(now), 0);
        self.due = self.public_url.is_some().then_some(now + LOOK_EVERY);
    }
}

impl Work {
    /// Registers the URL, or sees whether it is still registered, and tries again when that fails.
    pub(super) async fn see_to_subscription(&mut self) -> Result<(), End> {
        let Some(public_url) = self.subscribing.public_url.clone() else { return Ok(()) };
        if let Err(error) = self.subscribe(public_url).await? {
            self.subscribing.failures += 1;
            let wait = self.actor.failed("subscribe", &error, self.subscribing.failures)?;
            self.subscribing.due = Some(Instant::now() + wait);
        }
        Ok(())
    }

    pub(super) async fn subscribe(&mut self, public_url: PublicUrl) -> Result<Result<()>, End> {
        let tables = subscribable(&self.actor.describe, &self.tables);
        if tables.is_empty() {
            return Ok(Err(no_webhooks()));
        }
        // The secret as it is now: it may have been changed since the last time.
        let url = match self.actor.hooks.reveal() {
            Ok(secret) => webhook_url::url(&public_url, &self.actor.name, &secret),
            Err(error) => return Ok(Err(error)),
        };
        let former = self.subscribing.subscription.clone();
        let call = self.actor.sandbox.subscribe(url, tables, former.clone());
        let subscription = match until_stopped(&mut self.actor.stop, call).await? {
            Ok(subscription) => subscription,
            Err(error) => return Ok(Err(error)),
        };
        let kept = Kept { subscription: subscription.clone(), public_url: public_url.to_string() };
        self.actor.subscriptions.keep(Some(&kept))?;
        let is_new = former.as_ref() != Some(&subscription);
        self.subscribing.subscription = Some(subscription);
        self.subscribing.public_url = Some(public_url);
        self.subscribing.done(Instant::now());
        if is_new {
            // What changed before it was registered, or put right, was told to nobody.
            self.agenda.all_due(Instant::now());
            tracing::info!(connection = %self.actor.name, again = former.is_some(), "subscribed");
        }
        Ok(Ok(()))
    }

    pub(super) async fn unsubscribe(&mut self) -> Result<Result<()>, End> {
        let Some(subscription) = self.subscribing.subscription.clone() else { return Ok(Ok(())) };
        let call = self.actor.sandbox.unsubscribe(subscription);
        if let Err(error) = until_stopped(&mut self.actor.stop, call).await? {
            return Ok(Err(error));
        }
        self.actor.subscriptions.keep(None)?;
        self.subscribing = Subscribing::new(None, None, Instant::now());
        tracing::info!(connection = %self.actor.name, "unsubscribed");
        Ok(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::{LOOK_EVERY, LOOK_EVERY_WHEN_MISSED, Subscribing};
    use crate::state::subscription::Kept;
    use crate::webhook_url::PublicUrl;

    fn kept() -> Kept {
        Kept { subscription: "{}".to_owned(), public_url: "https://example.com".to_owned() }
    }

    #[test]
    fn what_was_registered_is_looked_after_and_what_was_not_is_left_alone() {
        let now = Instant::now();
        assert_eq!(Subscribing::new(None, Some(kept()), now).due, Some(now));
        let told = PublicUrl::parse("https://example.com").expect("a URL");
        assert_eq!(Subscribing::new(Some(told), None, now).due, Some(now));
        let mut nothing = Subscribing::new(None, None, now);
        nothing.missed(now);
        assert!(!nothing.changed(now), "it was registered by hand, or not at all");
        assert_eq!(nothing.due, None);
    }

    #[test]
    fn it_is_looked_at_now_and_then_and_sooner_when_something_was_missed() {
        let now = Instant::now();
        let mut subscribing = Subscribing::new(None, Some(kept()), now);
        subscribing.done(now);
        assert_eq!(subscribing.due, Some(now + LOOK_EVERY));
        subscribing.missed(now);
        assert_eq!(subscribing.due, Some(now + LOOK_EVERY_WHEN_MISSED), "not with every row");
        assert!(subscribing.changed(now));
        assert_eq!(subscribing.due, Some(now));
    }
}
