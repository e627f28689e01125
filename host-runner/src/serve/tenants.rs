//! The connections of a server: loaded, started, changed, removed, each without touching the others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use super::Options;
use super::board::Board;
use super::files::{self, Stamp};
use super::keeper::{Keeper, Opening};
use super::loading::{Loaded, Loader, name_in};
use crate::error::{Error, Result};
use crate::hooks::Registry;
use crate::journal::Journal;
use crate::loaded::Engines;
use crate::metrics::Meters;
use crate::paths::Paths;
use crate::report::render_error;
use crate::stop::{self, Stopper};

/// How often a file that cannot be used is tried again: what it lacks may have come.
const TRY_AGAIN: Duration = Duration::from_secs(30);
/// How long a file must be away before its connection counts as removed, which a source does not forget: editors and
/// deployments take a file away and put it back. SIGHUP says that it is meant.
const GONE_AFTER: Duration = Duration::from_secs(10);
/// Longest wait at the start until commands can reach every connection; it takes milliseconds.
const OPEN_WITHIN: Duration = Duration::from_secs(5);

/// Takes lines for the person who started the server.
pub(super) type Say<'a> = &'a (dyn Fn(&str) + Sync);

/// See the file's header.
pub(super) struct Tenants {
    files: Vec<PathBuf>,
    pub(super) folder: Option<PathBuf>,
    loader: Loader,
    pub(super) paths: Paths,
    journal: Journal,
    pub(super) registry: Registry,
    pub(super) board: Arc<Board>,
    /// By file.
    pub(super) slots: BTreeMap<PathBuf, Slot>,
    /// Files that cannot be used.
    pub(super) broken: BTreeMap<PathBuf, Broken>,
    /// Files that are away, and since when; what ran under them goes on.
    away: BTreeMap<PathBuf, Instant>,
    /// Connections whose deliveries are kept although they are not at work.
    pub(super) held: BTreeSet<String>,
}

/// A file that cannot be used.
pub(super) struct Broken {
    stamp: Option<Stamp>,
    /// The name in it, as far as it can be read.
    pub(super) name: Option<String>,
    pub(super) error: Error,
    tried: Instant,
}

/// A connection at work.
pub(super) struct Slot {
    name: String,
    stamp: Option<Stamp>,
    fingerprint: String,
    stopper: Stopper,
    retry: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Tenants {
    pub(super) fn new(
        options: &Options,
        paths: Paths,
        journal: Journal,
        registry: Registry,
        board: Arc<Board>,
    ) -> Self {
        Self {
            files: options.files.clone(),
            folder: options.folder.clone(),
            loader: Loader {
                subscribe: options.public_url.clone().filter(|_| options.subscribe),
                engines: Engines::default(),
                paths: paths.clone(),
                journal: journal.clone(),
            },
            paths,
            journal,
            registry,
            board,
            slots: BTreeMap::new(),
            broken: BTreeMap::new(),
            away: BTreeMap::new(),
            held: BTreeSet::new(),
        }
    }

    /// Loads every connection. A file that was named must be usable; one that lies in the folder and is not
    /// is told of, and the others go on.
    pub(super) async fn load_all(&mut self, say: Say<'_>) -> Result<Vec<Loaded>> {
        let mut loaded: Vec<Loaded> = Vec::new();
        for file in self.all()? {
            let is_named = self.files.contains(&file);
            let taken = |name: &str| {
                loaded.iter().find(|one| one.loaded.connection.name == name).map(|one| one.file.clone())
            };
            match self.loader.load(&file, &taken).await {
                Ok(one) => loaded.push(one),
                Err(error) if is_named => return Err(error),
                Err(error) => self.is_broken(&file, error, say),
            }
        }
        if loaded.is_empty() {
            say("warning: no connection to serve yet");
        }
        for one in &loaded {
            // The lock is taken for good when it starts; somebody who holds it now is told of at once.
            one.store.lock()?;
            self.registry.set(&one.loaded.connection.name, one.secrets.clone());
        }
        let names: Vec<String> = loaded.iter().map(|one| one.loaded.connection.name.clone()).collect();
        self.settle(&names, say);
        Ok(loaded)
    }

    /// Starts what was loaded; returns once commands can reach each, or it has failed.
    pub(super) async fn start_all(&mut self, loaded: Vec<Loaded>, say: Say<'_>) {
        let (opening, mut opened) = mpsc::channel(1);
        for one in loaded {
            self.start(one, Some(opening.clone()), say);
        }
        drop(opening);
        // Nothing is ever sent: it ends when the last of them has dropped its own.
        let _too_slow = tokio::time::timeout(OPEN_WITHIN, opened.recv()).await;
    }

    /// Compares the files with what runs. `again`: everything they lead to is read again, such as components and the
    /// files of secrets, and connections that wait after a failure try at once.
    pub(super) async fn look(&mut self, again: bool, say: Say<'_>) {
        let files = match self.all() {
            Ok(files) => files,
            Err(error) => {
                // A folder that cannot be read says nothing about its files.
                tracing::warn!(%error, "the connections stay as they are");
                return;
            }
        };
        let gone = self.gone(&files, again);
        let mut is_different = !gone.is_empty();
        for file in gone {
            self.end(&file, &files).await;
        }
        let before = self.broken.len();
        self.broken.retain(|file, _| files.contains(file));
        is_different |= self.broken.len() != before;
        for file in files {
            let stamp = files::stamp(&file);
            let is_due = match self.broken.get(&file) {
                Some(broken) => again || broken.stamp != stamp || broken.tried.elapsed() > TRY_AGAIN,
                // A defect may have ended what runs: that must not last.
                None => {
                    let is_well = |slot: &Slot| slot.stamp == stamp && !slot.task.is_finished();
                    again || !self.slots.get(&file).is_some_and(is_well)
                }
            };
            if is_due {
                is_different = true;
                self.change(&file, say).await;
            }
        }
        // The URL of one that is held may be changed by the command line, which cannot tell anybody.
        if is_different || !self.held.is_empty() {
            let names: Vec<String> = self.slots.values().map(|slot| slot.name.clone()).collect();
            self.settle(&names, say);
        }
        if again {
            self.slots.values().for_each(|slot| slot.retry.notify_one());
        }
    }

    /// Files under which something runs and that are away for good, or have another name now.
    fn gone(&mut self, files: &[PathBuf], is_meant: bool) -> Vec<PathBuf> {
        let is_away = |file: &PathBuf| !files.contains(file);
        self.away.retain(|file, _| is_away(file));
        let mut gone = Vec::new();
        for (file, slot) in self.slots.iter().filter(|(file, _)| is_away(file)) {
            let since = *self.away.entry(file.clone()).or_insert_with(Instant::now);
            let mut fresh = files.iter().filter(|file| !self.slots.contains_key(*file));
            let is_renamed = fresh.any(|file| name_in(file).as_ref() == Some(&slot.name));
            if is_meant || is_renamed || since.elapsed() >= GONE_AFTER {
                gone.push(file.clone());
            }
        }
        gone
    }

    /// Asks all to stop and waits for them.
    pub(super) async fn stop_all(&mut self) {
        self.slots.values().for_each(|slot| slot.stopper.stop());
        for (_, slot) in std::mem::take(&mut self.slots) {
            let _panicked = slot.task.await;
        }
    }

    /// A file that is new or may be different: what ran under it goes on if it cannot be used, or says the same.
    async fn change(&mut self, file: &Path, say: Say<'_>) {
        let others: Vec<(String, PathBuf)> = self
            .slots
            .iter()
            .filter(|(other, _)| other.as_path() != file)
            .map(|(other, slot)| (slot.name.clone(), other.clone()))
            .collect();
        let taken = |name: &str| others.iter().find(|(other, _)| other == name).map(|(_, file)| file.clone());
        let loaded = match self.loader.load(file, &taken).await {
            Ok(loaded) => loaded,
            Err(error) => return self.is_broken(file, error, say),
        };
        self.broken.remove(file);
        if let Some(slot) = self.slots.get_mut(file)
            && slot.fingerprint == loaded.fingerprint
            && !slot.task.is_finished()
        {
            slot.stamp = loaded.stamp;
            return;
        }
        if let Some(slot) = self.slots.remove(file) {
            let is_same = slot.name == loaded.loaded.connection.name;
            let name = slot.name.clone();
            if !is_same {
                self.registry.remove(&name);
            }
            slot.end().await;
            if !is_same {
                self.removed(&name, say);
            }
        }
        self.registry.set(&loaded.loaded.connection.name, loaded.secrets.clone());
        self.start(loaded, None, say);
    }

    /// Ends what ran under a file that has gone. Whether its connection was removed shows when all files were
    /// looked at: it may have moved into another.
    async fn end(&mut self, file: &Path, files: &[PathBuf]) {
        let Some(slot) = self.slots.remove(file) else { return };
        let name = slot.name.clone();
        let mut others =
            files.iter().filter(|file| !self.slots.contains_key(*file)).map(|file| name_in(file));
        let may_return =
            others.any(|found| found.is_none_or(|found| found == name)) || self.has_empty_folder();
        if !may_return {
            // The URL first: nothing that arrives from now on would be applied.
            self.registry.remove(&name);
        }
        slot.end().await;
        self.board.remove(&name);
    }

    /// Notes that a file cannot be used; what ran under it goes on. It is tried again now and then, because what
    /// is wrong may not be in the file.
    fn is_broken(&mut self, file: &Path, error: Error, say: Say<'_>) {
        let stamp = files::stamp(file);
        let known = self.broken.get(file).map(|broken| &broken.error);
        if known != Some(&error) {
            let goes_on = if self.slots.contains_key(file) { "; it goes on as it was" } else { "" };
            say(&format!("{}: not served{goes_on}: {}", file.display(), render_error(&error)));
        }
        let name = name_in(file);
        self.broken.insert(file.to_owned(), Broken { stamp, name, error, tried: Instant::now() });
    }

    fn start(&mut self, loaded: Loaded, opening: Option<Opening>, say: Say<'_>) {
        let Loaded { file, stamp, fingerprint, loaded, store, subscribe, state, .. } = loaded;
        let name = loaded.connection.name.clone();
        let absolute = std::path::absolute(&file).unwrap_or_else(|_| file.clone());
        if let Err(error) = store.webhook_url().set_served(&absolute) {
            tracing::warn!(connection = %name, %error, "where it was served from is not known after a restart");
        }
        let meters = Meters::default();
        self.board.add(&name, &meters);
        let (stopper, stop) = stop::channel();
        let retry = Arc::new(Notify::new());
        let keeper = Keeper {
            loaded,
            store,
            paths: self.paths.clone(),
            journal: self.journal.clone(),
            registry: self.registry.clone(),
            meters,
            subscribe,
            stop,
            retry: Arc::clone(&retry),
            opening,
        };
        say(&state);
        let task = tokio::spawn(keeper.run());
        self.slots.insert(file, Slot { name, stamp, fingerprint, stopper, retry, task });
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
