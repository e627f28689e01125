//! The subscription of a connection: the component's answer to `subscribe`, sealed. Needs no lock.

use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::seal::Purpose;
use super::{ConnectionStore, seal};
use crate::clock::now_ms;
use crate::error::{Error, Result};

/// A subscription, with the public URL for its renewal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSubscription {
    /// The component's answer, opaque.
    pub subscription: String,
    /// The public URL that is registered at the source.
    pub public_url: String,
}

impl ConnectionStore {
    /// The stored subscription.
    pub fn subscription(&self) -> Result<Option<StoredSubscription>> {
        let Some(sealed) = self.value::<Vec<u8>>("SELECT sealed FROM subscription")? else { return Ok(None) };
        let text = seal::open(&self.0.key, self.name(), Purpose::Subscription, &sealed);
        text.and_then(|text| serde_json::from_str(&text).ok()).map(Some).ok_or_else(|| {
            let message =
                format!("connection `{}`: its subscription does not open with this key", self.name());
            Error::state(message).hint("use the key it was sealed with, or run `webhook subscribe` again")
        })
    }

    /// Whether a subscription is stored, also one sealed with another key.
    pub fn has_subscription(&self) -> Result<bool> {
        self.value::<i64>("SELECT id FROM subscription").map(|row| row.is_some())
    }

    /// Stores a subscription; none deletes it.
    pub fn set_subscription(&self, subscription: Option<&StoredSubscription>) -> Result<()> {
        let Some(subscription) = subscription else {
            return self.execute("DELETE FROM subscription", []).map(drop);
        };
        let text = serde_json::to_string(subscription).map_err(|error| self.failed(&error))?;
        let sealed = seal::seal(&self.0.key, self.name(), Purpose::Subscription, &text)?;
        let sql = "INSERT OR REPLACE INTO subscription VALUES (1, ?1, ?2)";
        self.execute(sql, params![sealed, now_ms().cast_signed()]).map(drop)
    }
}
