//! The connections of a server: executes the actions of [`plan`] concurrently.
//!
//! Owned by the server's loop, which never waits in here, except at the [`start`]: slow work is a task, and
//! its end is an [`Event`]. A connection starts once its predecessor has ended. [`super::loads`] loads files,
//! [`urls`] has the URLs of connections that do not run.

mod start;
mod urls;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::Notify as Wake;
use tokio::task::JoinSet;

use self::urls::Accepting;
use super::Options;
use super::connection_files::Stamp;
use super::ended::Ended;
use super::loader::{Loaded, Loader};
use super::loads::{HANGS, Loads};
use super::plan::{self, Action, Has, Reload, RunningFile, Seen};
use super::scan::{Names, Scan};
use super::status::Overview;
use super::supervisor::{Opening, Shared, Supervisor};
use crate::error::{Error, Result};
use crate::loaded::SharedEngine;
use crate::metrics::{Meters, State};
use crate::report::render_error;
use crate::state::{StoredWebhookUrl, StoredWebhookUrls};
use crate::stop::{self, Stopper};
use crate::webhook_url::UrlSecrets;

/// Gets lines for the operator.
pub(super) type Notify<'a> = &'a (dyn Fn(&str) + Sync);

/// See the file's header.
pub(super) struct Connections {
    named: Vec<PathBuf>,
    folder: Option<PathBuf>,
    loads: Loads,
    shared: Shared,
    overview: Arc<Overview>,
    /// By file.
    running: BTreeMap<PathBuf, RunningConnection>,
    /// The file of each name that runs.
    names: BTreeMap<String, PathBuf>,
    /// Connections that are stopping.
    stopping: BTreeMap<String, Ended>,
    /// Files that are missing, since when; their connections keep running.
    missing: BTreeMap<PathBuf, Instant>,
    /// Connections that do not run and whose URLs accept deliveries.
    accepting: BTreeMap<String, Accepting>,
    /// Connections that were removed, or are being removed, since this server started.
    removing: BTreeSet<String>,
    urls: Arc<Mutex<StoredWebhookUrls>>,
    names_in_files: Names,
    /// Connections to serve, for the listener.
    served: Arc<AtomicUsize>,
    tasks: JoinSet<Event>,
    is_scanning: bool,
    /// A scan that was asked for during another one.
    next_scan: Option<Reload>,
    is_starting: bool,
    /// Held by connections that are being opened, at the start of the server.
    opening: Option<Opening>,
}

/// A connection with its supervisor.
struct RunningConnection {
    name: String,
    stamp: Option<Stamp>,
    fingerprint: String,
    stopper: Stopper,
    retry: Arc<Wake>,
    ended: Ended,
}

/// The end of a task.
pub(super) enum Event {
    Seen(Result<Seen>),
    /// With the number of the load.
    Loaded(PathBuf, u64, Box<Result<Loaded>>),
    /// A connection has stopped.
    Ended(String),
    Removed(String, UrlSecrets, Result<()>),
    /// A task panicked, or there is none.
    Nothing,
}

impl Connections {
    pub(super) fn new(options: &Options, shared: Shared, overview: Arc<Overview>) -> Self {
        let loader = Loader {
            subscribe: options.public_url.clone().filter(|_| options.subscribe),
            engine: SharedEngine::new(options.instances),
            paths: shared.paths.clone(),
            journal: shared.journal.clone(),
            stores: Mutex::default(),
        };
        Self {
            named: options.files.clone(),
            folder: options.folder.clone(),
            loads: Loads::new(loader),
            shared,
            overview,
            running: BTreeMap::new(),
            names: BTreeMap::new(),
            stopping: BTreeMap::new(),
            missing: BTreeMap::new(),
            accepting: BTreeMap::new(),
            removing: BTreeSet::new(),
            urls: Arc::default(),
            names_in_files: Names::default(),
            served: Arc::default(),
            tasks: JoinSet::new(),
            is_scanning: false,
            next_scan: None,
            is_starting: true,
            opening: None,
        }
    }

    /// How many connections there are to serve; follows the files.
    pub(super) fn served(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.served)
    }

    /// Starts a scan of the files; [`Self::next`] returns its result.
    pub(super) fn start_scan(&mut self, reload: Reload) {
        if self.is_scanning {
            let is_more = self.next_scan != Some(Reload::Everything);
            self.next_scan = if is_more { Some(reload) } else { self.next_scan };
            return;
        }
        let scan = self.scan(reload);
        self.is_scanning = true;
        self.tasks.spawn_blocking(move || Event::Seen(scan()));
    }

    fn scan(&self, reload: Reload) -> impl FnOnce() -> Result<Seen> + Send + 'static {
        let scan = Scan {
            reload,
            named: self.named.clone(),
            folder: self.folder.clone(),
            running: self.running.iter().map(|(file, one)| (file.clone(), one.name.clone())).collect(),
            paths: self.shared.paths.clone(),
            names: self.names_in_files.clone(),
        };
        let urls = Arc::clone(&self.urls);
        move || scan.run(&mut urls.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The next event; waits without end while there is no task.
    pub(super) async fn next(&mut self) -> Event {
        match self.tasks.join_next().await {
            Some(Ok(event)) => event,
            Some(Err(error)) => {
                tracing::error!(%error, "a task of the server ended");
                self.is_scanning = false;
                Event::Nothing
            }
            None => std::future::pending().await,
        }
    }

    /// Continues where a task ended.
    pub(super) fn handle(&mut self, event: Event, notify: Notify<'_>) {
        match event {
            Event::Seen(seen) => {
                self.is_scanning = false;
                match seen {
                    Ok(seen) => self.reconcile(&seen, notify),
                    // An unreadable folder does not mean that its files were deleted.
                    Err(error) => tracing::warn!(%error, "connections stay as they are"),
                }
                if let Some(reload) = self.next_scan.take() {
                    self.start_scan(reload);
                }
            }
            Event::Loaded(file, number, loaded) => self.loaded(&file, number, *loaded, notify),
            Event::Ended(name) => {
                self.stopping.retain(|_, ended| !ended.has_ended());
                if !self.names.contains_key(&name) {
                    self.start_scan(Reload::ChangedFiles);
                }
            }
            Event::Removed(name, secrets, outcome) => self.removed(&name, secrets, outcome, notify),
            Event::Nothing => {}
        }
    }

    /// Stops all connections and waits for them.
    pub(super) async fn stop_all(&mut self) {
        self.tasks.abort_all();
        self.running.values().for_each(|running| running.stopper.stop());
        let running = std::mem::take(&mut self.running).into_values().map(|running| running.ended);
        for ended in running.chain(std::mem::take(&mut self.stopping).into_values()) {
            ended.wait().await;
        }
    }

    /// Executes the plan for the files and URLs that were seen.
    fn reconcile(&mut self, seen: &Seen, notify: Notify<'_>) {
        let files: BTreeSet<&Path> = seen.files.iter().map(|seen| seen.file.as_path()).collect();
        self.missing.retain(|file, _| !files.contains(file.as_path()));
        for file in self.running.keys().filter(|file| !files.contains(file.as_path())) {
            self.missing.entry(file.clone()).or_insert_with(Instant::now);
        }
        for file in self.loads.retain(&files) {
            self.overview.set_invalid(&file, None);
        }
        // Health names files whose load does not end.
        for (file, hangs) in self.loads.changes_of_hanging(&files) {
            self.overview.set_invalid(&file, hangs.then_some(HANGS));
            if hangs {
                notify(&format!("{}: {HANGS}", file.display()));
            }
        }
        self.shared.registry.set_unreadable(seen.unreadable.clone());
        let urls: BTreeMap<&str, &StoredWebhookUrl> =
            seen.urls.iter().map(|url| (url.name.as_str(), url)).collect();
        let stamps: BTreeMap<&Path, Option<Stamp>> =
            seen.files.iter().map(|seen| (seen.file.as_path(), seen.stamp)).collect();
        for action in plan::plan(seen, &self.has()) {
            match action {
                Action::Load(file) => {
                    let stamp = stamps.get(file.as_path()).copied().flatten();
                    self.load(file, stamp);
                }
                Action::Stop(file) => {
                    if let Some(running) = self.running.remove(&file) {
                        self.overview.remove(&running.name);
                        self.stop(running);
                    }
                }
                Action::Accept(name) => {
                    urls.get(name.as_str()).into_iter().for_each(|url| self.accept(url, notify))
                }
                Action::Remove(name) => urls.get(name.as_str()).into_iter().for_each(|url| self.remove(url)),
                Action::Forget(name) => {
                    self.accepting.remove(&name);
                    self.overview.remove(&name);
                    self.shared.registry.forget(&name);
                }
            }
        }
        self.served.store(self.running.len() + self.loads.count(), Relaxed);
        if seen.reload == Reload::Everything {
            self.running.values().for_each(|running| running.retry.notify_one());
        }
    }

    fn has(&self) -> Has {
        let running = |(file, one): (&PathBuf, &RunningConnection)| RunningFile {
            file: file.clone(),
            name: one.name.clone(),
            stamp: one.stamp,
            has_ended: one.ended.has_ended(),
            missing_for: self.missing.get(file).map(Instant::elapsed),
        };
        Has {
            running: self.running.iter().map(running).collect(),
            invalid: self.loads.invalid_files(),
            loading: self.loads.loading_files(),
            accepting: self.accepting.keys().cloned().collect(),
            removing: self.removing.clone(),
        }
    }

    fn load(&mut self, file: PathBuf, stamp: Option<Stamp>) {
        // A server that starts must not take a connection from another process. Later it waits for it.
        let must_be_free = self.is_starting && self.named.contains(&file);
        let load = self.loads.start(&file, stamp, must_be_free);
        self.tasks.spawn(async move {
            let (number, loaded) = load.await;
            Event::Loaded(file, number, Box::new(loaded))
        });
    }

    /// A file was loaded. Its connection keeps running if the file is invalid or declares the same.
    fn loaded(&mut self, file: &Path, number: u64, loaded: Result<Loaded>, notify: Notify<'_>) {
        let Some(loading) = self.loads.ended(file, number) else { return };
        let loaded = loaded.and_then(|loaded| self.with_a_free_name(file, loaded));
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(error) => return self.load_failed(file, loading.stamp, error, notify),
        };
        let is_mended = self.loads.succeeded(file) || loading.is_reported;
        let name = loaded.loaded.connection.name.clone();
        if let Some(running) = self.running.get_mut(file)
            && running.fingerprint == loaded.fingerprint
            && !running.ended.has_ended()
        {
            running.stamp = loaded.stamp;
        } else {
            if let Some(running) = self.running.remove(file) {
                if running.name != name {
                    // The URL first: a delivery that arrives from now on would not be applied.
                    self.shared.registry.remove(&running.name);
                    self.overview.remove(&running.name);
                }
                self.stop(running);
            }
            self.start(loaded, notify);
        }
        if is_mended {
            self.overview.set_invalid(file, None);
        }
    }

    /// The same, unless another file declares a connection of this name.
    fn with_a_free_name(&self, file: &Path, loaded: Loaded) -> Result<Loaded> {
        let name = &loaded.loaded.connection.name;
        let Some(other) = self.names.get(name).filter(|other| other.as_path() != file) else {
            return Ok(loaded);
        };
        let message = format!("{}: name `{name}` is already used in {}", file.display(), other.display());
        Err(Error::configuration(message).hint("give each connection a different name"))
    }

    /// Records that a file could not be loaded, and reports it if the error is new.
    fn load_failed(&mut self, file: &Path, stamp: Option<Stamp>, error: Error, notify: Notify<'_>) {
        self.overview.set_invalid(file, Some(&error.message));
        if self.loads.failed(file, stamp, error.clone()).as_ref() != Some(&error) {
            let keeps = if self.running.contains_key(file) { "; its connection runs unchanged" } else { "" };
            notify(&format!("{}: not loaded{keeps}: {}", file.display(), render_error(&error)));
        }
    }

    fn start(&mut self, loaded: Loaded, notify: Notify<'_>) {
        let Loaded { file, stamp, fingerprint, loaded, store, subscribe, secrets, summary } = loaded;
        let name = loaded.connection.name.clone();
        self.shared.registry.set(&name, secrets);
        self.accepting.remove(&name);
        self.removing.remove(&name);
        let meters = Meters::default();
        meters.enter(State::Starting, None);
        self.overview.add(&name, &meters);
        let (stopper, stop) = stop::channel();
        let retry = Arc::new(Wake::new());
        let supervisor = Supervisor {
            file: file.clone(),
            loaded: Arc::new(loaded),
            store,
            shared: self.shared.clone(),
            meters,
            subscribe,
            stop,
            retry: Arc::clone(&retry),
            opening: self.opening.clone(),
        };
        notify(&summary);
        let before = self.stopping.get(&name).cloned();
        let ended = Ended::of(async move {
            if let Some(before) = before {
                before.wait().await;
            }
            supervisor.run().await;
        });
        self.names.insert(name.clone(), file.clone());
        self.running.insert(file, RunningConnection { name, stamp, fingerprint, stopper, retry, ended });
    }

    /// Stops a connection.
    fn stop(&mut self, running: RunningConnection) {
        let RunningConnection { name, stopper, ended, .. } = running;
        stopper.stop();
        self.names.remove(&name);
        self.stopping.insert(name.clone(), ended.clone());
        self.tasks.spawn(async move {
            ended.wait().await;
            Event::Ended(name)
        });
    }
}
