//! The connections of a server: loaded, started, changed, removed, each without touching the others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::Options;
use super::board::Board;
use super::files::{self, Stamp};
use super::keeper::Keeper;
use crate::actor::READ_MS;
use crate::error::{Error, Result};
use crate::hooks::{PublicUrl, Registry, url};
use crate::journal::Journal;
use crate::metrics::Meters;
use crate::report::worded;
use crate::state::Lock;
use crate::state::hook::HookStore;
use crate::state::subscription::Subscriptions;
use crate::stop::{self, Stopper};
use crate::tenant::{Engines, Places, Tenant, key};

/// Takes lines for the person who started the server.
pub(super) type Say<'a> = &'a (dyn Fn(&str) + Sync);

/// See the file's header.
pub(super) struct Tenants {
    files: Vec<PathBuf>,
    folder: Option<PathBuf>,
    subscribe: Option<PublicUrl>,
    engines: Engines,
    places: Places,
    journal: Journal,
    registry: Registry,
    board: Arc<Board>,
    /// By file.
    slots: BTreeMap<PathBuf, Slot>,
    /// Files that could not be used, as they were.
    broken: BTreeMap<PathBuf, Stamp>,
}

/// A connection at work.
struct Slot {
    name: String,
    stamp: Option<Stamp>,
    stopper: Stopper,
    retry: Arc<Notify>,
    task: JoinHandle<()>,
}

/// A connection that can be started.
pub(super) struct Loaded {
    file: PathBuf,
    stamp: Option<Stamp>,
    tenant: Tenant,
    subscribe: Option<String>,
    secrets: crate::hooks::HookSecrets,
    state: String,
}

impl Tenants {
    pub(super) fn new(
        options: &Options,
        places: Places,
        journal: Journal,
        registry: Registry,
        board: Arc<Board>,
    ) -> Self {
        Self {
            files: options.files.clone(),
            folder: options.folder.clone(),
            subscribe: options.public_url.clone().filter(|_| options.subscribe),
            engines: Engines::default(),
            places,
            journal,
            registry,
            board,
            slots: BTreeMap::new(),
            broken: BTreeMap::new(),
        }
    }

    /// Loads every connection. A file that was named must be usable; one that lies in the folder and is not
    /// is told of, and the others go on.
    pub(super) async fn load_all(&mut self, say: Say<'_>) -> Result<Vec<Loaded>> {
        let mut loaded: Vec<Loaded> = Vec::new();
        for file in self.all()? {
            let is_named = self.files.contains(&file);
            let taken = |name: &str| {
                loaded.iter().find(|one| one.tenant.connection.name == name).map(|one| one.file.clone())
            };
            match self.load(&file, &taken).await {
                Ok(one) => loaded.push(one),
                Err(error) if is_named => return Err(error),
                Err(error) => self.is_broken(&file, &error, say),
            }
        }
        if loaded.is_empty() {
            say("warning: no connection to serve yet");
        }
        for one in &loaded {
            // The lock is taken for good when it starts; somebody who holds it now is told of at once.
            Lock::take(&self.places.data, &one.tenant.connection.name)?;
            self.registry.set(&one.tenant.connection.name, one.secrets.clone());
        }
        Ok(loaded)
    }

    /// Starts what was loaded.
    pub(super) async fn start_all(&mut self, loaded: Vec<Loaded>, say: Say<'_>) {
        for one in loaded {
            self.start(one, say);
        }
    }

    /// Compares the files with what runs. `again`: connections that wait after a failure try at once.
    pub(super) async fn look(&mut self, again: bool, say: Say<'_>) {
        let files = match self.all() {
            Ok(files) => files,
            Err(error) => {
                // A folder that cannot be read says nothing about its files.
                tracing::warn!(%error, "the connections stay as they are");
                return;
            }
        };
        let gone: Vec<PathBuf> = self.slots.keys().filter(|file| !files.contains(file)).cloned().collect();
        for file in gone {
            self.remove(&file, say).await;
        }
        self.broken.retain(|file, _| files.contains(file));
        for file in files {
            let stamp = files::stamp(&file);
            let is_known = match self.slots.get(&file) {
                Some(slot) => slot.stamp == stamp,
                None => false,
            };
            let is_broken = !again && stamp.is_some() && self.broken.get(&file).copied() == stamp;
            if !is_known && !is_broken {
                self.change(&file, say).await;
            }
        }
        if again {
            self.slots.values().for_each(|slot| slot.retry.notify_one());
        }
    }

    /// Asks all to stop and waits for them.
    pub(super) async fn stop_all(&mut self) {
        self.slots.values().for_each(|slot| slot.stopper.stop());
        for (_, slot) in std::mem::take(&mut self.slots) {
            let _panicked = slot.task.await;
        }
    }

    /// A file that is new or different: what ran under it goes on if it cannot be used.
    async fn change(&mut self, file: &Path, say: Say<'_>) {
        let others: Vec<(String, PathBuf)> = self
            .slots
            .iter()
            .filter(|(other, _)| other.as_path() != file)
            .map(|(other, slot)| (slot.name.clone(), other.clone()))
            .collect();
        let taken = |name: &str| others.iter().find(|(other, _)| other == name).map(|(_, file)| file.clone());
        let loaded = match self.load(file, &taken).await {
            Ok(loaded) => loaded,
            Err(error) => return self.is_broken(file, &error, say),
        };
        self.broken.remove(file);
        if let Some(slot) = self.slots.remove(file) {
            let is_same = slot.name == loaded.tenant.connection.name;
            let name = slot.name.clone();
            slot.end().await;
            if !is_same {
                self.forget(&name, say);
            }
        }
        self.registry.set(&loaded.tenant.connection.name, loaded.secrets.clone());
        self.start(loaded, say);
    }

    async fn remove(&mut self, file: &Path, say: Say<'_>) {
        let Some(slot) = self.slots.remove(file) else { return };
        let name = slot.name.clone();
        // The URL first: nothing that arrives from now on would be applied.
        self.registry.remove(&name);
        slot.end().await;
        self.forget(&name, say);
    }

    fn forget(&self, name: &str, say: Say<'_>) {
        self.registry.remove(name);
        self.board.remove(name);
        say(&format!("{name}: removed"));
    }

    fn is_broken(&mut self, file: &Path, error: &Error, say: Say<'_>) {
        say(&format!("{}: not served: {}", file.display(), worded(error)));
        if let Some(stamp) = files::stamp(file) {
            self.broken.insert(file.to_owned(), stamp);
        }
        // A change that cannot be used is tried again when it changes, not at every look.
        if let Some(slot) = self.slots.get_mut(file) {
            slot.stamp = files::stamp(file);
        }
    }

    /// Reads a file, its component and its URL's secret.
    async fn load(&self, file: &Path, taken: &(dyn Fn(&str) -> Option<PathBuf> + Sync)) -> Result<Loaded> {
        let stamp = files::stamp(file);
        let mut tenant = Tenant::load_in(&self.engines, file, &self.places).await?;
        let limits = &mut tenant.connection.limits;
        limits.max_ms = limits.max_ms.min(READ_MS);
        let name = &tenant.connection.name;
        if let Some(other) = taken(name) {
            let message = format!("{}: `{name}` is the name of {} too", file.display(), other.display());
            return Err(Error::configuration(message).hint("give each connection a name of its own"));
        }
        let hooks = HookStore::open(&self.places.data, name, key(&self.places)?)?;
        let secrets = hooks.secrets()?;
        let revealed = hooks.reveal();
        if let Ok(secret) = &revealed {
            self.places.redactor.learn(secret.reveal());
        }
        let subscribe = match &self.subscribe {
            Some(public) => Some(url(public, name, &revealed?)),
            None => None,
        };
        let subscription = Subscriptions::open(&self.places.data, name, key(&self.places)?)?.load()?;
        let waiting = self.journal.depth(name)?.count;
        let subscribed = match (&subscription, &subscribe) {
            (_, Some(_)) => "subscribes",
            (Some(_), _) => "subscribed",
            (None, None) => "no subscription known",
        };
        let state = format!(
            "{name}: into {}, {subscribed}, {waiting} deliveries waiting",
            tenant.connection.sink.path.display()
        );
        Ok(Loaded { file: file.to_owned(), stamp, tenant, subscribe, secrets, state })
    }

    fn start(&mut self, loaded: Loaded, say: Say<'_>) {
        let Loaded { file, stamp, tenant, subscribe, state, .. } = loaded;
        let name = tenant.connection.name.clone();
        let meters = Meters::default();
        self.board.add(&name, &meters);
        let (stopper, stop) = stop::channel();
        let retry = Arc::new(Notify::new());
        let keeper = Keeper {
            tenant,
            places: self.places.clone(),
            journal: self.journal.clone(),
            registry: self.registry.clone(),
            meters,
            subscribe,
            stop,
            retry: Arc::clone(&retry),
        };
        say(&state);
        let task = tokio::spawn(keeper.run());
        self.slots.insert(file, Slot { name, stamp, stopper, retry, task });
    }

    /// The files that were named and those of the folder.
    fn all(&self) -> Result<Vec<PathBuf>> {
        let mut files = self.files.clone();
        if let Some(folder) = &self.folder {
            for file in files::in_folder(folder)? {
                if !files.contains(&file) {
                    files.push(file);
                }
            }
        }
        Ok(files)
    }
}

impl Slot {
    /// Ends it and waits for that.
    async fn end(self) {
        self.stopper.stop();
        let _panicked = self.task.await;
    }
}
