//! The connections of a server: loads, starts, changes and removes each without touching the others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify as Wake, mpsc};
use tokio::task::JoinHandle;

use super::Options;
use super::connection_files::{self, Stamp};
use super::loader::{Loaded, Loader, name_in};
use super::status::Overview;
use super::supervisor::{Opening, Supervisor};
use crate::error::{Error, Result};
use crate::journal::Journal;
use crate::loaded::Engines;
use crate::metrics::Meters;
use crate::paths::Paths;
use crate::report::render_error;
use crate::stop::{self, Stopper};
use crate::webhook_url::UrlRegistry;

/// How often an invalid file is loaded again: the cause may be outside of the file.
const RELOAD_INVALID_EVERY: Duration = Duration::from_secs(30);
/// How long a file must be missing before its connection is removed, which a source does not forget. Editors
/// and deployments delete a file and create it again. SIGHUP removes at once.
const REMOVE_AFTER: Duration = Duration::from_secs(10);
/// Longest wait at the start until commands reach every connection; it takes milliseconds.
const OPEN_WITHIN: Duration = Duration::from_secs(5);

/// Gets lines for the operator.
pub(super) type Notify<'a> = &'a (dyn Fn(&str) + Sync);

/// The scope of [`Connections::reconcile`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reload {
    /// Files whose stamp changed.
    ChangedFiles,
    /// Every file and all that it refers to, such as components and files of secrets. Connections that wait
    /// after a failure try at once, and missing files are removed at once.
    Everything,
}

/// See the file's header.
pub(super) struct Connections {
    files: Vec<PathBuf>,
    pub(super) folder: Option<PathBuf>,
    loader: Loader,
    pub(super) paths: Paths,
    journal: Journal,
    pub(super) registry: UrlRegistry,
    pub(super) overview: Arc<Overview>,
    /// By file.
    pub(super) running: BTreeMap<PathBuf, RunningConnection>,
    /// Files that could not be loaded.
    pub(super) invalid: BTreeMap<PathBuf, LoadFailure>,
    /// Files that are missing, since when; their connections keep running.
    missing: BTreeMap<PathBuf, Instant>,
    /// Connections that do not run and whose URLs accept deliveries.
    pub(super) accepting: BTreeSet<String>,
}

/// The last failure to load a file.
pub(super) struct LoadFailure {
    stamp: Option<Stamp>,
    /// The connection's name in the file, as far as it can be read.
    pub(super) name: Option<String>,
    pub(super) error: Error,
    at: Instant,
}

/// A connection with its supervisor.
pub(super) struct RunningConnection {
    name: String,
    stamp: Option<Stamp>,
    fingerprint: String,
    stopper: Stopper,
    retry: Arc<Wake>,
    task: JoinHandle<()>,
}

impl Connections {
    pub(super) fn new(
        options: &Options,
        paths: Paths,
        journal: Journal,
        registry: UrlRegistry,
        overview: Arc<Overview>,
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
            overview,
            running: BTreeMap::new(),
            invalid: BTreeMap::new(),
            missing: BTreeMap::new(),
            accepting: BTreeSet::new(),
        }
    }

    /// Loads every connection. A file of the command line must be valid; an invalid file of the folder is
    /// reported, and the others are served.
    pub(super) async fn load_all(&mut self, notify: Notify<'_>) -> Result<Vec<Loaded>> {
        let mut loaded: Vec<Loaded> = Vec::new();
        for file in self.all_files()? {
            let is_named = self.files.contains(&file);
            let taken = |name: &str| {
                loaded.iter().find(|one| one.loaded.connection.name == name).map(|one| one.file.clone())
            };
            match self.loader.load(&file, &taken).await {
                Ok(one) => loaded.push(one),
                Err(error) if is_named => return Err(error),
                Err(error) => self.load_failed(&file, error, notify),
            }
        }
        if loaded.is_empty() {
            notify("warning: no connection to serve yet");
        }
        for one in &loaded {
            // Fails now if another process holds the lock; the supervisor takes it again and keeps it.
            one.store.lock()?;
            self.registry.set(&one.loaded.connection.name, one.secrets.clone());
        }
        let names: Vec<String> = loaded.iter().map(|one| one.loaded.connection.name.clone()).collect();
        self.update_webhook_urls(&names, notify);
        Ok(loaded)
    }

    /// Starts the loaded connections; returns once commands reach each connection, or it has failed.
    pub(super) async fn start_all(&mut self, loaded: Vec<Loaded>, notify: Notify<'_>) {
        let (opening, mut opened) = mpsc::channel(1);
        for one in loaded {
            self.start(one, Some(opening.clone()), notify);
        }
        drop(opening);
        // Nothing is sent: the channel closes when the last supervisor drops its sender.
        let _too_slow = tokio::time::timeout(OPEN_WITHIN, opened.recv()).await;
    }

    /// Starts, restarts and stops connections until they match their files.
    pub(super) async fn reconcile(&mut self, reload: Reload, notify: Notify<'_>) {
        let files = match self.all_files() {
            Ok(files) => files,
            Err(error) => {
                // An unreadable folder does not mean that its files were deleted.
                tracing::warn!(%error, "connections stay as they are");
                return;
            }
        };
        let removed = self.removed_files(&files, reload);
        let mut is_changed = !removed.is_empty();
        for file in removed {
            self.stop_removed(&file, &files).await;
        }
        let before = self.invalid.len();
        self.invalid.retain(|file, _| files.contains(file));
        is_changed |= self.invalid.len() != before;
        for file in files {
            let stamp = connection_files::stamp(&file);
            let is_due = match self.invalid.get(&file) {
                _ if reload == Reload::Everything => true,
                Some(failure) => failure.stamp != stamp || failure.at.elapsed() > RELOAD_INVALID_EVERY,
                // A supervisor ends by itself only by a panic: it is started again.
                None => !self
                    .running
                    .get(&file)
                    .is_some_and(|running| running.stamp == stamp && !running.task.is_finished()),
            };
            if is_due {
                is_changed = true;
                self.apply(&file, notify).await;
            }
        }
        // Nothing announces that a command rotated the URL of a connection that does not run: read those each
        // time.
        if is_changed || !self.accepting.is_empty() {
            let names: Vec<String> = self.running.values().map(|running| running.name.clone()).collect();
            self.update_webhook_urls(&names, notify);
        }
        if reload == Reload::Everything {
            self.running.values().for_each(|running| running.retry.notify_one());
        }
    }

    /// Files of running connections that were deleted or renamed.
    fn removed_files(&mut self, files: &[PathBuf], reload: Reload) -> Vec<PathBuf> {
        let is_missing = |file: &PathBuf| !files.contains(file);
        self.missing.retain(|file, _| is_missing(file));
        let mut removed = Vec::new();
        for (file, running) in self.running.iter().filter(|(file, _)| is_missing(file)) {
            let since = *self.missing.entry(file.clone()).or_insert_with(Instant::now);
            let mut idle = files.iter().filter(|file| !self.running.contains_key(*file));
            let is_renamed = idle.any(|file| name_in(file).as_ref() == Some(&running.name));
            if reload == Reload::Everything || is_renamed || since.elapsed() >= REMOVE_AFTER {
                removed.push(file.clone());
            }
        }
        removed
    }

    /// Stops all connections and waits for them.
    pub(super) async fn stop_all(&mut self) {
        self.running.values().for_each(|running| running.stopper.stop());
        for (_, running) in std::mem::take(&mut self.running) {
            let _panicked = running.task.await;
        }
    }

    /// Loads a file that is new or may have changed. Its connection keeps running if the file is invalid
    /// or declares the same.
    async fn apply(&mut self, file: &Path, notify: Notify<'_>) {
        let others: Vec<(String, PathBuf)> = self
            .running
            .iter()
            .filter(|(other, _)| other.as_path() != file)
            .map(|(other, running)| (running.name.clone(), other.clone()))
            .collect();
        let taken = |name: &str| others.iter().find(|(other, _)| other == name).map(|(_, file)| file.clone());
        let loaded = match self.loader.load(file, &taken).await {
            Ok(loaded) => loaded,
            Err(error) => return self.load_failed(file, error, notify),
        };
        self.invalid.remove(file);
        if let Some(running) = self.running.get_mut(file)
            && running.fingerprint == loaded.fingerprint
            && !running.task.is_finished()
        {
            running.stamp = loaded.stamp;
            return;
        }
        if let Some(running) = self.running.remove(file) {
            let is_same = running.name == loaded.loaded.connection.name;
            let name = running.name.clone();
            if !is_same {
                self.registry.remove(&name);
            }
            running.stop().await;
            if !is_same {
                self.remove(&name, notify);
            }
        }
        self.registry.set(&loaded.loaded.connection.name, loaded.secrets.clone());
        self.start(loaded, None, notify);
    }

    /// Stops the connection of a removed file. [`Self::update_webhook_urls`] decides whether the
    /// connection was removed as well, after all files were read: another file may declare it.
    async fn stop_removed(&mut self, file: &Path, files: &[PathBuf]) {
        let Some(running) = self.running.remove(file) else { return };
        let name = running.name.clone();
        let mut others =
            files.iter().filter(|file| !self.running.contains_key(*file)).map(|file| name_in(file));
        let may_return =
            others.any(|found| found.is_none_or(|found| found == name)) || self.has_empty_folder();
        if !may_return {
            // The URL first: a delivery that arrives from now on would not be applied.
            self.registry.remove(&name);
        }
        running.stop().await;
        self.overview.remove(&name);
    }

    /// Records that a file could not be loaded, and reports it if the error is new.
    fn load_failed(&mut self, file: &Path, error: Error, notify: Notify<'_>) {
        let stamp = connection_files::stamp(file);
        if self.invalid.get(file).map(|failure| &failure.error) != Some(&error) {
            let keeps = if self.running.contains_key(file) { "; its connection runs unchanged" } else { "" };
            notify(&format!("{}: not loaded{keeps}: {}", file.display(), render_error(&error)));
        }
        let name = name_in(file);
        self.invalid.insert(file.to_owned(), LoadFailure { stamp, name, error, at: Instant::now() });
    }

    fn start(&mut self, loaded: Loaded, opening: Option<Opening>, notify: Notify<'_>) {
        let Loaded { file, stamp, fingerprint, loaded, store, subscribe, summary, .. } = loaded;
        let name = loaded.connection.name.clone();
        let absolute = std::path::absolute(&file).unwrap_or_else(|_| file.clone());
        if let Err(error) = store.webhook_url().set_served(&absolute) {
            tracing::warn!(connection = %name, %error, "file not stored: after a restart its removal is not seen");
        }
        let meters = Meters::default();
        self.overview.add(&name, &meters);
        let (stopper, stop) = stop::channel();
        let retry = Arc::new(Wake::new());
        let supervisor = Supervisor {
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
        notify(&summary);
        let task = tokio::spawn(supervisor.run());
        self.running.insert(file, RunningConnection { name, stamp, fingerprint, stopper, retry, task });
    }

    /// The files of the command line and those of the folder.
    fn all_files(&self) -> Result<Vec<PathBuf>> {
        let mut files = self.files.clone();
        if let Some(folder) = &self.folder {
            for file in connection_files::in_folder(folder)? {
                if !files.contains(&file) {
                    files.push(file);
                }
            }
        }
        Ok(files)
    }
}

impl RunningConnection {
    /// Stops it and waits until it has stopped.
    async fn stop(self) {
        self.stopper.stop();
        let _panicked = self.task.await;
    }
}
