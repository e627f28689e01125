//! When the registration of the connection's webhook URL is renewed: at the start, every six hours, and after
//! a change.
//!
//! Pure: times are arguments. [`super::respond`] calls the component.

use std::time::Duration;

use tokio::time::Instant;

use crate::request::Request;
use crate::state::StoredSubscription;
use crate::webhook_url::PublicUrl;

/// Between two checks that the subscription exists and is as it should be.
const CHECK_EVERY: Duration = Duration::from_secs(6 * 3600);
/// The same after a poll brought rows that a webhook should have.
const CHECK_EVERY_WHEN_REPAIRED: Duration = Duration::from_secs(10 * 60);

/// The subscription, and when it is checked.
#[derive(Debug)]
pub(super) struct Subscription {
    /// The component's own document of the subscription.
    document: Option<String>,
    /// The public URL; none if no URL is registered, or a person registered it by hand.
    public_url: Option<PublicUrl>,
    due: Option<Instant>,
    checked: Option<Instant>,
    /// Failures in a row.
    failures: u32,
}

impl Subscription {
    /// The stored subscription, due now. `public_url` replaces the public URL with which it was registered.
    pub(super) fn new(
        stored: Option<StoredSubscription>,
        public_url: Option<PublicUrl>,
        now: Instant,
    ) -> Self {
        let registered = || PublicUrl::parse(&stored.as_ref()?.public_url).ok();
        let public_url = public_url.or_else(registered);
        let due = public_url.is_some().then_some(now);
        let document = stored.map(|stored| stored.subscription);
        Self { document, public_url, due, checked: None, failures: 0 }
    }

    /// The component's own document of it, if there is one.
    pub(super) fn document(&self) -> Option<&String> {
        self.document.as_ref()
    }

    /// When it is to be checked.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The request that registers the URL, or checks that it is registered.
    pub(super) fn renewal(&self) -> Option<Request> {
        let public_url = self.public_url.as_ref()?.to_string();
        Some(Request::Subscribe { public_url })
    }

    /// Takes over the stored subscription; none ends it. True if the registration at the source changed.
    pub(super) fn renewed(&mut self, stored: Option<StoredSubscription>, now: Instant) -> bool {
        let former = self.document.take();
        *self = Self::new(stored, None, now);
        self.checked = Some(now);
        self.due = self.public_url.is_some().then_some(now + CHECK_EVERY);
        self.document.is_some() && self.document != former
    }

    /// The URL or the tables changed: it is renewed at once, if it is renewed at all.
    pub(super) fn changed(&mut self, now: Instant) {
        self.due = self.public_url.is_some().then_some(now);
    }

    /// A poll brought rows that a webhook should have: it is checked soon.
    pub(super) fn repaired(&mut self, now: Instant) {
        let soon = self.checked.map_or(now, |checked| checked + CHECK_EVERY_WHEN_REPAIRED);
        self.due = self.due.map(|due| due.min(soon.max(now)));
    }

    /// Counts a failure; the number of failures in a row.
    pub(super) fn failed(&mut self) -> u32 {
        self.failures += 1;
        self.failures
    }

    /// It is renewed again at `due`, after a failure.
    pub(super) fn retry(&mut self, due: Instant) {
        self.due = Some(due);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::{CHECK_EVERY, CHECK_EVERY_WHEN_REPAIRED, Subscription};
    use crate::state::StoredSubscription;
    use crate::webhook_url::PublicUrl;

    fn stored() -> Option<StoredSubscription> {
        Some(StoredSubscription {
            subscription: "{}".to_owned(),
            public_url: "https://example.com".to_owned(),
        })
    }

    #[test]
    fn a_stored_or_given_public_url_is_registered_at_once_and_without_one_nothing_is() {
        let now = Instant::now();
        assert_eq!(Subscription::new(stored(), None, now).due, Some(now));
        let given = PublicUrl::parse("https://example.org").expect("a URL");
        assert_eq!(Subscription::new(None, Some(given), now).due, Some(now));
        let mut nothing = Subscription::new(None, None, now);
        nothing.repaired(now);
        nothing.changed(now);
        assert_eq!(nothing.due, None, "registered by hand, or not at all");
    }

    #[test]
    fn it_is_checked_every_six_hours_and_sooner_after_a_repair() {
        let now = Instant::now();
        let mut subscription = Subscription::new(None, None, now);
        assert!(subscription.renewed(stored(), now), "it is new");
        assert!(!subscription.renewed(stored(), now), "it is the same");
        assert_eq!(subscription.due, Some(now + CHECK_EVERY));
        subscription.repaired(now);
        assert_eq!(subscription.due, Some(now + CHECK_EVERY_WHEN_REPAIRED), "not with every row");
        subscription.changed(now);
        assert_eq!(subscription.due, Some(now));
        assert!(!subscription.renewed(None, now));
        assert_eq!((subscription.due, subscription.document), (None, None));
    }
}
