//! The subscription of a connection: the component's answer to `subscribe`, sealed. Needs no lock.

use serde::{Deserialize, Serialize};

use super::items::Item;
use super::seal::Purpose;
use super::{Change, ConnectionStore, seal};
use crate::error::{Error, Result};

/// A subscription, with the public URL for its renewal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredSubscription {
    /// The component's answer, opaque.
    pub subscription: String,
    /// The public URL that is registered at the source.
    pub public_url: String,
}

impl ConnectionStore {
    /// The stored subscription.
    pub(crate) fn subscription(&self) -> Result<Option<StoredSubscription>> {
        let Some(sealed) = self.0.items.load(Item::Subscription)?.value else { return Ok(None) };
        let text = seal::open(&self.0.key, self.name(), Purpose::Subscription, &sealed);
        text.and_then(|text| serde_json::from_str(&text).ok()).map(Some).ok_or_else(|| {
            let message =
                format!("connection `{}`: its subscription does not open with this key", self.name());
            Error::state(message).hint("use the key it was sealed with, or run `webhook subscribe` again")
        })
    }

    /// Whether a subscription is stored, also one sealed with another key.
    pub(crate) fn has_subscription(&self) -> Result<bool> {
        Ok(self.0.items.load(Item::Subscription)?.value.is_some())
    }

    /// Stores a subscription; none deletes it.
    pub(crate) fn set_subscription(&self, subscription: Option<&StoredSubscription>) -> Result<()> {
        let seal = |subscription: &StoredSubscription| {
            let text = serde_json::to_string(subscription).map_err(|error| self.failed(&error))?;
            seal::seal(&self.0.key, self.name(), Purpose::Subscription, &text)
        };
        let sealed = subscription.map(seal).transpose()?;
        self.update(Item::Subscription, |_| Ok(Change::To(sealed.clone()))).map(drop)
    }
}
