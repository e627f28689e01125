//! The webhook URLs in force, in memory, replaced as a whole when connections change.
//!
//! A wrong secret and an unknown connection take the same steps and get the same answer.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use super::{Hash, UrlSecrets};

/// What a URL gives access to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A connection that accepts deliveries.
    Granted,
    /// A connection that was removed: the source should stop sending.
    Removed,
    /// No such connection, or not its secret.
    Unknown,
    /// A connection whose state cannot be read for now: the source should send again.
    Unreadable,
}

/// The secrets in force, by connection.
#[derive(Clone, Debug, Default)]
pub struct WebhookUrls {
    /// Connections that accept deliveries.
    pub active: HashMap<String, UrlSecrets>,
    /// Connections that were removed.
    pub removed: HashMap<String, UrlSecrets>,
    /// Connections that may have a URL: their state cannot be read.
    pub unreadable: BTreeSet<String>,
}

/// See the file's header. Clones share one registry.
#[derive(Clone, Debug)]
pub struct UrlRegistry {
    urls: Arc<RwLock<Arc<WebhookUrls>>>,
    /// Compared for unknown connections, so that they take as long as known ones; no secret matches it.
    decoy: UrlSecrets,
}

impl Default for UrlRegistry {
    fn default() -> Self {
        Self::new(WebhookUrls::default())
    }
}

impl UrlRegistry {
    /// A registry with these URLs in force.
    pub fn new(urls: WebhookUrls) -> Self {
        let mut hash = [0; 32];
        // Without randomness the hash is zeros; its preimage is unknown as well.
        let _no_randomness = getrandom::fill(&mut hash);
        let decoy = UrlSecrets { generation: 0, current: Hash(hash), previous: None };
        Self { urls: Arc::new(RwLock::new(Arc::new(urls))), decoy }
    }

    /// Replaces all URLs at once; requests in progress keep the access they were granted.
    pub fn replace(&self, urls: WebhookUrls) {
        *self.urls.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(urls);
    }

    /// Activates a connection's URL, also that of a removed connection.
    pub fn set(&self, connection: &str, secrets: UrlSecrets) {
        self.change(|urls| {
            urls.removed.remove(connection);
            urls.active.insert(connection.to_owned(), secrets);
        });
    }

    /// Marks an active connection as removed.
    pub fn remove(&self, connection: &str) {
        self.change(|urls| {
            if let Some(secrets) = urls.active.remove(connection) {
                urls.removed.insert(connection.to_owned(), secrets);
            }
        });
    }

    /// Adds a connection that was removed before this process started.
    pub fn set_removed(&self, connection: &str, secrets: UrlSecrets) {
        self.change(|urls| {
            urls.active.remove(connection);
            urls.removed.insert(connection.to_owned(), secrets);
        });
    }

    /// Deletes a connection's URL: it is unknown from now on.
    pub fn forget(&self, connection: &str) {
        self.change(|urls| {
            urls.active.remove(connection);
            urls.removed.remove(connection);
        });
    }

    /// Replaces the connections whose state cannot be read.
    pub fn set_unreadable(&self, connections: BTreeSet<String>) {
        if self.urls.read().unwrap_or_else(PoisonError::into_inner).unreadable != connections {
            self.change(|urls| urls.unreadable = connections);
        }
    }

    /// The current access of a URL with this `connection` and `secret`.
    pub fn authorize(&self, connection: &str, secret: &str, now_ms: u64) -> Access {
        let urls = Arc::clone(&self.urls.read().unwrap_or_else(PoisonError::into_inner));
        let hash = Hash::of(secret);
        // Both are always looked up and compared.
        let active = urls.active.get(connection).unwrap_or(&self.decoy).matches_hash(&hash, now_ms);
        let removed = urls.removed.get(connection).unwrap_or(&self.decoy).matches_hash(&hash, now_ms);
        match (bool::from(active), bool::from(removed)) {
            (true, _) => Access::Granted,
            (false, true) => Access::Removed,
            (false, false) if urls.unreadable.contains(connection) => Access::Unreadable,
            (false, false) => Access::Unknown,
        }
    }

    fn change(&self, change: impl FnOnce(&mut WebhookUrls)) {
        let mut urls = self.urls.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut urls));
    }
}
