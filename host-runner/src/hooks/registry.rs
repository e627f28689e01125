//! Who may deliver: every connection's secrets in memory, swapped as a whole when connections change.
//!
//! A wrong secret and an unknown connection do the same work and get the same answer.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::{Hash, HookSecrets};

/// What a URL is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Of a connection that takes deliveries.
    Valid,
    /// Of a connection that was removed: the source should stop sending.
    Removed,
    /// No such connection, or not its secret.
    Unknown,
}

/// The secrets in force.
#[derive(Clone, Debug, Default)]
pub struct Hooks {
    /// Connections that take deliveries.
    pub active: HashMap<String, HookSecrets>,
    /// Connections that were removed.
    pub removed: HashMap<String, HookSecrets>,
}

/// See the file's header. Clones are the same registry.
#[derive(Clone, Debug)]
pub struct Registry {
    hooks: Arc<RwLock<Arc<Hooks>>>,
    /// Compared with when there is nothing to compare with; nobody has its secret.
    nobody: HookSecrets,
}

impl Default for Registry {
    fn default() -> Self {
        Self::new(Hooks::default())
    }
}

impl Registry {
    /// A registry that begins with `hooks`.
    pub fn new(hooks: Hooks) -> Self {
        let mut hash = [0; 32];
        // Without randomness it is zeros, of which nobody knows a preimage either.
        let _no_randomness = getrandom::fill(&mut hash);
        let nobody = HookSecrets { generation: 0, current: Hash(hash), previous: None };
        Self { hooks: Arc::new(RwLock::new(Arc::new(hooks))), nobody }
    }

    /// Puts other secrets in force, all at once; requests under way finish with what they began with.
    pub fn replace(&self, hooks: Hooks) {
        *self.hooks.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(hooks);
    }

    /// Adds or changes one connection; one that had been removed is back.
    pub fn set(&self, connection: &str, secrets: HookSecrets) {
        self.change(|hooks| {
            hooks.removed.remove(connection);
            hooks.active.insert(connection.to_owned(), secrets);
        });
    }

    /// Removes one connection: its URL now says so to who knows it.
    pub fn remove(&self, connection: &str) {
        self.change(|hooks| {
            if let Some(secrets) = hooks.active.remove(connection) {
                hooks.removed.insert(connection.to_owned(), secrets);
            }
        });
    }

    /// One connection that was removed before this process began.
    pub fn set_removed(&self, connection: &str, secrets: HookSecrets) {
        self.change(|hooks| {
            hooks.active.remove(connection);
            hooks.removed.insert(connection.to_owned(), secrets);
        });
    }

    /// As if one connection had never been.
    pub fn forget(&self, connection: &str) {
        self.change(|hooks| {
            hooks.active.remove(connection);
            hooks.removed.remove(connection);
        });
    }

    /// What `connection` and `secret` of a URL are worth now.
    pub fn judge(&self, connection: &str, secret: &str, now_ms: u64) -> Verdict {
        let hooks = Arc::clone(&self.hooks.read().unwrap_or_else(PoisonError::into_inner));
        let hash = Hash::of(secret);
        // Both are always looked up and compared.
        let active = hooks.active.get(connection).unwrap_or(&self.nobody).matches_hash(&hash, now_ms);
        let removed = hooks.removed.get(connection).unwrap_or(&self.nobody).matches_hash(&hash, now_ms);
        match (bool::from(active), bool::from(removed)) {
            (true, _) => Verdict::Valid,
            (false, true) => Verdict::Removed,
            (false, false) => Verdict::Unknown,
        }
    }

    fn change(&self, change: impl FnOnce(&mut Hooks)) {
        let mut hooks = self.hooks.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut hooks));
    }
}
