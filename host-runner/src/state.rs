//! What the runner keeps of a connection in its data folder: session, subscription, webhook URL, lock.
//!
//! Layout: `<data>/key` (0600), `<data>/cache/`, `<data>/<name>/lock`, `<data>/<name>/state.db`.
//! Subscription and webhook URL may be changed without the lock: each change names the revision that it
//! replaces ([`items`]), and a running server reads them again. The session may be written through a
//! [`LockedStore`] only, because two processes would invalidate each other's tokens. [`lease`] numbers the
//! takings of the lock. Every method blocks.
//!
//! Cursors are not here: the sink stores them in one transaction with the rows.

pub(crate) mod rotation;
mod schemas;

mod accepted_hosts;
mod seal;

mod items;
mod lease;

mod session;
mod subscription;
mod webhook_url;

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use self::items::{Item, MemoryStore, SqliteStore, StateStore, Stored};
use crate::durable::sync_folder;
use crate::error::{Error, Kind, Origin, Result};
use crate::files::{self, private_folder};
use crate::key::Key;
use crate::paths::Paths;
use crate::secret::Redactor;

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
    folder: PathBuf,
    key: Key,
    redactor: Redactor,
    items: Box<dyn StateStore>,
    memory: Mutex<session::Memory>,
}

/// Differs between two contents of the file, without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    modified: SystemTime,
    bytes: u64,
}

/// The state of a connection that this process has locked. Clones share the lock; dropping the last one
/// releases it.
#[derive(Clone)]
pub(crate) struct LockedStore {
    store: ConnectionStore,
    epoch: Arc<Mutex<u64>>,
    starts_again: bool,
    /// None where no other process can open the state.
    _lock: Option<Arc<File>>,
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
        let items = Box::new(SqliteStore::open(path, name)?);
        Ok(Self::over(items, name, folder, key, paths.redactor.clone()))
    }

    /// The state of a connection that ends with this process, and is nowhere on disk.
    pub(crate) fn in_memory(name: &str, key: Key, redactor: Redactor) -> Result<LockedStore> {
        let store = Self::over(Box::new(MemoryStore::default()), name, PathBuf::new(), key, redactor);
        Ok(LockedStore::new(&store, store.next_epoch()?, None))
    }

    /// The state of a connection in another store; `folder` holds its lock.
    fn over(items: Box<dyn StateStore>, name: &str, folder: PathBuf, key: Key, redactor: Redactor) -> Self {
        let (name, memory) = (name.to_owned(), Mutex::default());
        Self(Arc::new(Inner { name, folder, key, redactor, items, memory }))
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
        stamp(&self.0.folder.join("state.db"))
    }

    /// Fails if a process has the connection. Takes no lease: a server asks for thousands when it starts.
    pub(crate) fn check_free(&self) -> Result<()> {
        self.lock_file().map(drop)
    }

    /// Locks the connection, under another epoch; fails with the process that holds it.
    pub(crate) fn lock(&self) -> Result<LockedStore> {
        let lock = self.lock_file()?;
        Ok(LockedStore::new(self, self.next_epoch()?, Some(lock)))
    }

    fn lock_file(&self) -> Result<File> {
        lock(&self.0.folder, self.name())
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

/// Locks `<folder>/lock`, which holds the number of the process that has it.
fn lock(folder: &Path, name: &str) -> Result<File> {
    let path = folder.join("lock");
    let failed = |error: std::io::Error| Error::state(format!("{}: {error}", path.display()));
    let mut file =
        files::open(&path, OpenOptions::new().read(true).write(true).create(true).truncate(false))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::Error(error)) => return Err(failed(error)),
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _unknown = file.read_to_string(&mut holder);
            let holder = match holder.trim() {
                "" => "another process".to_owned(),
                process => format!("process {process}"),
            };
            let message = format!("connection `{name}`: in use by {holder}");
            return Err(Error::new(Origin::State, Kind::Unavailable, message)
                .hint("wait until it ends; two processes must not refresh one connection's tokens"));
        }
    }
    file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(file)
}

#[cfg(test)]
mod tests;
