//! The registration of the connection's webhook URL at the source: made, checked every six hours, undone.

use std::time::Duration;

use tokio::time::Instant;

use super::Stopped;
use super::core::{Core, until_stopped};
use crate::change::Table;
use crate::describe::Describe;
use crate::error::{Error, Kind, Origin, Result};
use crate::state::hook::HookStore;
use crate::state::subscription::{Kept, Subscriptions};
use crate::webhook_url::{self, PublicUrl};

/// Between two checks that the subscription exists and is as it should be.
const CHECK_EVERY: Duration = Duration::from_secs(6 * 3600);
/// The same after a poll brought rows that a webhook should have.
const CHECK_EVERY_WHEN_REPAIRED: Duration = Duration::from_secs(10 * 60);

/// The tables of a connection that webhooks can bring.
pub fn subscribable(describe: &Describe, tables: &[Table]) -> Vec<String> {
    let has_webhooks = |table: &&Table| {
        let infos = &mut describe.tables.iter();
        infos.any(|info| info.name == table.name && info.capabilities.iter().any(|name| name == "webhook"))
    };
    tables.iter().filter(has_webhooks).map(|table| table.name.clone()).collect()
}

/// The refusal when there are none.
pub fn no_webhooks() -> Error {
    let message = "none of the tables of this connection has webhooks";
    Error::new(Origin::Component, Kind::Unsupported, message)
        .hint("its tables are kept up to date by polling")
}

/// See the file's header.
pub(super) struct Subscription {
    store: Subscriptions,
    secrets: HookStore,
    /// The component's own document of the subscription.
    document: Option<String>,
    upkeep: Upkeep,
}

/// When the subscription is checked. Pure: times are arguments.
#[derive(Debug)]
struct Upkeep {
    /// The outside name of the webhook URL; none if no URL is registered, or a person registered it by hand.
    public_url: Option<PublicUrl>,
    due: Option<Instant>,
    checked: Option<Instant>,
    /// Failures in a row.
    failures: u32,
}

impl Upkeep {
    /// `public_url` replaces the outside name under which the URL was registered.
    fn new(public_url: Option<PublicUrl>, stored: Option<&Kept>, now: Instant) -> Self {
        let public_url = public_url.or_else(|| PublicUrl::parse(&stored?.public_url).ok());
        let due = public_url.is_some().then_some(now);
        Self { public_url, due, checked: None, failures: 0 }
    }

    /// Due now. False if there is nothing to register.
    fn restart(&mut self, now: Instant) -> bool {
        self.due = self.public_url.is_some().then_some(now);
        self.due.is_some()
    }

    fn repaired(&mut self, now: Instant) {
        let soon = self.checked.map_or(now, |checked| checked + CHECK_EVERY_WHEN_REPAIRED);
        self.due = self.due.map(|due| due.min(soon.max(now)));
    }

    fn checked(&mut self, now: Instant) {
        (self.checked, self.failures) = (Some(now), 0);
        self.due = self.public_url.is_some().then_some(now + CHECK_EVERY);
    }
}

impl Subscription {
    /// The stored subscription. `public_url` replaces the outside name with which it was registered.
    pub(super) fn open(
        store: Subscriptions,
        secrets: HookStore,
        public_url: Option<PublicUrl>,
        now: Instant,
    ) -> Result<Self> {
        let stored = store.load()?;
        let upkeep = Upkeep::new(public_url, stored.as_ref(), now);
        Ok(Self { store, secrets, document: stored.map(|stored| stored.subscription), upkeep })
    }

    /// The component's own document of it, if there is one.
    pub(super) fn document(&self) -> Option<&String> {
        self.document.as_ref()
    }

    /// When it is to be checked.
    pub(super) fn due(&self) -> Option<Instant> {
        self.upkeep.due
    }

    /// The URL or the tables changed: it is renewed at once. False if there is nothing to register.
    pub(super) fn changed(&mut self, now: Instant) -> bool {
        self.upkeep.restart(now)
    }

    /// A poll brought rows that a webhook should have: it is checked soon.
    pub(super) fn repaired(&mut self, now: Instant) {
        self.upkeep.repaired(now);
    }

    /// Registers the URL, or checks that it is registered; a failure is retried. True if it was not.
    pub(super) async fn renew(&mut self, core: &mut Core<'_>, tables: &[Table]) -> Result<bool, Stopped> {
        let Some(public_url) = self.upkeep.public_url.clone() else { return Ok(false) };
        match self.subscribe(core, tables, public_url).await? {
            Ok(is_new) => Ok(is_new),
            Err(error) => {
                self.upkeep.failures += 1;
                let wait = core.backoff("subscribe", error, self.upkeep.failures)?;
                self.upkeep.due = Some(Instant::now() + wait);
                Ok(false)
            }
        }
    }

    /// Registers the URL under an outside name. True if the source did not have it like that.
    pub(super) async fn subscribe(
        &mut self,
        core: &mut Core<'_>,
        tables: &[Table],
        public_url: PublicUrl,
    ) -> Result<Result<bool>, Stopped> {
        let tables = subscribable(&core.describe, tables);
        if tables.is_empty() {
            return Ok(Err(no_webhooks()));
        }
        // Read each time: `webhook url --rotate` may have replaced the secret.
        let url = match self.secrets.reveal() {
            Ok(secret) => webhook_url::url(&public_url, &core.name, &secret),
            Err(error) => return Ok(Err(error)),
        };
        let former = self.document.clone();
        let call = core.sandbox.subscribe(url, tables, former.clone());
        let document = match until_stopped(&mut core.stop, call).await? {
            Ok(document) => document,
            Err(error) => return Ok(Err(error)),
        };
        let stored = Kept { subscription: document.clone(), public_url: public_url.to_string() };
        self.store.keep(Some(&stored))?;
        let is_new = former.as_ref() != Some(&document);
        self.document = Some(document);
        self.upkeep.public_url = Some(public_url);
        self.upkeep.checked(Instant::now());
        if is_new {
            tracing::info!(connection = %core.name, again = former.is_some(), "subscribed");
        }
        Ok(Ok(is_new))
    }

    /// Removes the registration at the source.
    pub(super) async fn unsubscribe(&mut self, core: &mut Core<'_>) -> Result<Result<()>, Stopped> {
        let Some(document) = self.document.clone() else { return Ok(Ok(())) };
        let call = core.sandbox.unsubscribe(document);
        if let Err(error) = until_stopped(&mut core.stop, call).await? {
            return Ok(Err(error));
        }
        self.store.keep(None)?;
        (self.document, self.upkeep) = (None, Upkeep::new(None, None, Instant::now()));
        tracing::info!(connection = %core.name, "unsubscribed");
        Ok(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::{CHECK_EVERY, CHECK_EVERY_WHEN_REPAIRED, Upkeep};
    use crate::state::subscription::Kept;
    use crate::webhook_url::PublicUrl;

    fn upkeep(now: Instant) -> Upkeep {
        let stored = Kept { subscription: "{}".to_owned(), public_url: "https://example.com".to_owned() };
        Upkeep::new(None, Some(&stored), now)
    }

    #[test]
    fn a_stored_or_given_outside_name_is_registered_at_once_and_without_one_nothing_is() {
        let now = Instant::now();
        assert_eq!(upkeep(now).due, Some(now));
        let given = PublicUrl::parse("https://example.org").expect("a URL");
        assert_eq!(Upkeep::new(Some(given), None, now).due, Some(now));
        let mut nothing = Upkeep::new(None, None, now);
        nothing.repaired(now);
        assert!(!nothing.restart(now), "registered by hand, or not at all");
        assert_eq!(nothing.due, None);
    }

    #[test]
    fn it_is_checked_every_six_hours_and_sooner_after_a_repair() {
        let now = Instant::now();
        let mut upkeep = upkeep(now);
        upkeep.checked(now);
        assert_eq!(upkeep.due, Some(now + CHECK_EVERY));
        upkeep.repaired(now);
        assert_eq!(upkeep.due, Some(now + CHECK_EVERY_WHEN_REPAIRED), "not with every row");
        assert!(upkeep.restart(now));
        assert_eq!(upkeep.due, Some(now));
    }
}
