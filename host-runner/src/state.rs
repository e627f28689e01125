//! What the runner keeps of a connection in its data folder: session, subscription, webhook URL, lease.
//!
//! Layout: `<data>/key` (0600), `<data>/cache/`, `<data>/<name>/lock`, `<data>/<name>/state.db`.
//! Subscription and webhook URL may be changed without the lease: each change names the revision that it
//! replaces ([`items`]), and a running server reads them again. The session may be written through a
//! [`LockedStore`] only, because two processes would invalidate each other's tokens. [`leases`] keeps other
//! processes out, and [`lease`] numbers the takings. Every method blocks.
//!
//! Cursors are not here: the sink stores them in one transaction with the rows.

pub(crate) mod rotation;
mod schemas;

mod accepted_hosts;
mod seal;

mod items;
mod leases;

mod lease;

mod session;
mod subscription;
mod webhook_url;

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use self::items::{Item, MemoryStore, SqliteStore, StateStore, Stored};
use self::leases::{FileLeases, Held, Leases};
use crate::durable::sync_folder;
use crate::error::{Error, Kind, Origin, Result};
use crate::files::{self, private_folder};
use crate::key::Key;
use crate::paths::Paths;
use crate::secret::Redactor;

pub(crate) use self::leases::MemoryLeases;
pub(crate) use self::subscription::StoredSubscription;
pub(crate) use self::webhook_url::{FoundUrls, StoredWebhookUrl, StoredWebhookUrls};

/// Attempts of a change that another process overtakes: each loses to one that succeeded.
const ATTEMPTS_MAX: u32 = 16;

/// What to do with an item.
enum Change {
    Keep,
    /// None deletes it.
    To(Option<Vec<u8>>),
}

/// The state of one connection. Clones share the session that could not be stored.
#[derive(Clone)]
pub(crate) struct ConnectionStore(Arc<Inner>);

struct Inner {
    name: String,
    /// Of its items, where they are in one.
    file: Option<PathBuf>,
    key: Key,
    redactor: Redactor,
    items: Box<dyn StateStore>,
    leases: Box<dyn Leases>,
    memory: Mutex<session::Memory>,
}

/// Differs between two contents of the file, without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    modified: SystemTime,
    bytes: u64,
}

/// The state of a connection whose lease this process holds. Clones share it; dropping the last one gives it
/// back.
#[derive(Clone)]
pub(crate) struct LockedStore {
    store: ConnectionStore,
    epoch: Arc<Mutex<u64>>,
    starts_again: bool,
    lease: Arc<dyn Held>,
}

impl Deref for LockedStore {
    type Target = ConnectionStore;

    fn deref(&self) -> &ConnectionStore {
        &self.store
    }
}

impl ConnectionStore {
    /// Opens the state of a connection; creates it, and the key of the installation, if they are missing.
    pub(crate) fn open(paths: &Paths, name: &str) -> Result<Self> {
        let key = paths.key()?;
        let folder = paths.connection(name);
        let is_new = !folder.exists();
        private_folder(&folder)?;
        if is_new {
            let failed = |error| Error::state(format!("folder {}: {error}", folder.display()));
            sync_folder(files::folder_of(&folder)).map_err(failed)?;
        }
        let path = folder.join("state.db");
        files::private_file(&path)?;
        let items = Box::new(SqliteStore::open(path.clone(), name)?);
        let leases = Box::new(FileLeases { folder, name: name.to_owned() });
        let file = Some(path);
        let (name, redactor, memory) = (name.to_owned(), paths.redactor.clone(), Mutex::default());
        Ok(Self(Arc::new(Inner { name, file, key, redactor, items, leases, memory })))
    }

    /// The state of a connection that ends with this process, and is nowhere on disk.
    pub(crate) fn in_memory(name: &str, key: Key, redactor: Redactor) -> Result<LockedStore> {
        let items = Box::new(MemoryStore::default());
        Self::over(items, Box::new(MemoryLeases::default()), name, key, redactor).lock()
    }

    /// The state of a connection in another store, with other leases.
    fn over(
        items: Box<dyn StateStore>,
        leases: Box<dyn Leases>,
        name: &str,
        key: Key,
        redactor: Redactor,
    ) -> Self {
        let (name, file, memory) = (name.to_owned(), None, Mutex::default());
        Self(Arc::new(Inner { name, file, key, redactor, items, leases, memory }))
    }

    /// The same in memory, for a test that ends its lease.
    #[cfg(test)]
    pub(crate) fn with_leases(leases: MemoryLeases, name: &str, key: Key, redactor: Redactor) -> Self {
        Self::over(Box::new(MemoryStore::default()), Box::new(leases), name, key, redactor)
    }

    /// The connection's name.
    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }

    /// Knows the secrets of the connection.
    pub(crate) fn redactor(&self) -> &Redactor {
        &self.0.redactor
    }

    /// Another stamp means that a process changed the state; none if there is no file.
    pub(crate) fn stamp(&self) -> Option<Stamp> {
        stamp(self.0.file.as_deref()?)
    }

    /// Fails if a process has the connection. Takes no lease: a server asks for thousands when it starts.
    pub(crate) fn check_free(&self) -> Result<()> {
        self.0.leases.take().map(drop)
    }

    /// Locks the connection, under another epoch; fails with the process that holds it.
    pub(crate) fn lock(&self) -> Result<LockedStore> {
        let lease = self.0.leases.take()?;
        Ok(LockedStore::new(self, self.next_epoch()?, lease))
    }

    /// Replaces an item by the result of `change` on its newest value; returns the new value.
    fn update(&self, item: Item, change: impl Fn(Option<&[u8]>) -> Result<Change>) -> Result<Stored> {
        for _ in 0..ATTEMPTS_MAX {
            let stored = self.0.items.load(item)?;
            let value = match change(stored.value.as_deref())? {
                Change::To(value) if value != stored.value => value,
                Change::Keep | Change::To(_) => return Ok(stored),
            };
            if let Some(revision) = self.0.items.store(item, value.as_deref(), stored.revision, 0)? {
                return Ok(Stored { value, revision });
            }
        }
        Err(Error::new(Origin::State, Kind::Unavailable, self.failed(&"it changes all the time").message))
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> Error {
        Error::state(format!("connection `{}`: its state cannot be used: {error}", self.name()))
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some(Stamp { modified: metadata.modified().ok()?, bytes: metadata.len() })
}

#[cfg(test)]
mod tests;
