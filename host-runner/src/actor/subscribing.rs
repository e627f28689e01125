//! The connection's URL at the source: registered, looked after, and undone.

use std::time::Duration;

use tokio::time::Instant;

use super::{End, Work};
use crate::hooks::PublicUrl;
use crate::request::Request;
use crate::state::StoredSubscription;

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
    pub(super) fn new(told: Option<PublicUrl>, kept: Option<StoredSubscription>, now: Instant) -> Self {
        let known = kept.as_ref().and_then(|kept| PublicUrl::parse(&kept.public_url).ok());
        let public_url = told.or(known);
        let due = public_url.is_some().then_some(now);
        let subscription = kept.map(|kept| kept.subscription);
        Self { subscription, public_url, due, looked: None, failures: 0 }
    }

    /// The URL or the tables have changed: it is renewed at once, if it is renewed at all.
    pub(super) fn changed(&mut self, now: Instant) {
        self.due = self.public_url.is_some().then_some(now);
    }

    /// It was registered, or found to be as it should.
    pub(super) fn subscribed(&mut self, stored: StoredSubscription, now: Instant) {
        self.public_url = PublicUrl::parse(&stored.public_url).ok();
        self.subscription = Some(stored.subscription);
        self.done(now);
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
        match self.respond(&Request::Subscribe { public_url: public_url.to_string() }).await? {
            Ok((_, effect)) => self.follow(effect).await,
            Err(error) => {
                self.subscribing.failures += 1;
                let wait = self.actor.failed("subscribe", &error, self.subscribing.failures)?;
                self.subscribing.due = Some(Instant::now() + wait);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::{LOOK_EVERY, LOOK_EVERY_WHEN_MISSED, Subscribing};
    use crate::hooks::PublicUrl;
    use crate::state::StoredSubscription;

    fn kept() -> StoredSubscription {
        StoredSubscription { subscription: "{}".to_owned(), public_url: "https://example.com".to_owned() }
    }

    #[test]
    fn what_was_registered_is_looked_after_and_what_was_not_is_left_alone() {
        let now = Instant::now();
        assert_eq!(Subscribing::new(None, Some(kept()), now).due, Some(now));
        let told = PublicUrl::parse("https://example.com").expect("a URL");
        assert_eq!(Subscribing::new(Some(told), None, now).due, Some(now));
        let mut nothing = Subscribing::new(None, None, now);
        nothing.missed(now);
        nothing.changed(now);
        assert_eq!(nothing.due, None, "it was registered by hand, or not at all");
    }

    #[test]
    fn it_is_looked_at_now_and_then_and_sooner_when_something_was_missed() {
        let now = Instant::now();
        let mut subscribing = Subscribing::new(None, Some(kept()), now);
        subscribing.done(now);
        assert_eq!(subscribing.due, Some(now + LOOK_EVERY));
        subscribing.missed(now);
        assert_eq!(subscribing.due, Some(now + LOOK_EVERY_WHEN_MISSED), "not with every row");
        subscribing.changed(now);
        assert_eq!(subscribing.due, Some(now));
    }
}
