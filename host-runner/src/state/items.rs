//! The seam below sealing: the few small values that are kept for a connection, each with a revision.
//!
//! Every change names the revision that it replaces, so that of two writers one is refused and reads again.
//! Knows neither keys nor the meaning of a value. Another place for the state of connections implements
//! [`StateStore`] and passes `items/conformance.rs`.

mod memory;
mod sqlite;

#[cfg(test)]
pub(super) mod conformance;

pub(super) use self::memory::MemoryStore;
pub(super) use self::sqlite::SqliteStore;
use crate::error::Result;

/// A value that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Item {
    /// The session, sealed.
    Session,
    /// The subscription, sealed.
    Subscription,
    /// The hashes of the webhook URL's secrets.
    WebhookUrl,
    /// The secret of the webhook URL, sealed; kept when the key is rotated.
    UrlSecret,
    /// The hosts of the component that were accepted.
    AcceptedHosts,
    /// The connection file a server last had the connection from.
    Served,
    /// The columns of the last discovery.
    Schemas,
    /// Until when the starts of servers are used up, in milliseconds since 1970. Its revision is the epoch of
    /// the newest lease.
    Lease,
}

impl Item {
    /// Its name in storage.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Subscription => "subscription",
            Self::WebhookUrl => "webhook_url",
            Self::UrlSecret => "url_secret",
            Self::AcceptedHosts => "accepted_hosts",
            Self::Served => "served",
            Self::Schemas => "schemas",
            Self::Lease => "lease",
        }
    }
}

/// A value with its revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stored {
    /// None if it was never stored, or deleted.
    pub(super) value: Option<Vec<u8>>,
    /// Rises with every change, a deletion included; 0 before the first.
    pub(super) revision: u64,
}

/// The values of one connection. Every method blocks; a change is durable when it returns.
pub(super) trait StateStore: Send + Sync {
    /// The newest value.
    fn load(&self, item: Item) -> Result<Stored>;
    /// Replaces the value of revision `expected`; none deletes it. The new revision, greater than `above`;
    /// none if there is another revision meanwhile.
    fn store(&self, item: Item, value: Option<&[u8]>, expected: u64, above: u64) -> Result<Option<u64>>;
}
