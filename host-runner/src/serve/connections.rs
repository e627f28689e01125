//! The connections of a server: executes the actions of [`plan`] concurrently.
//!
//! Owned by the server's loop, which never waits in here: slow work is a task, and its end is an [`Event`]. A
//! connection starts once its predecessor has ended.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify as Wake, Semaphore, mpsc};
use tokio::task::{JoinSet, spawn_blocking};

use super::Options;
use super::connection_files::Stamp;
use super::ended::Ended;
use super::loader::{Loaded, Loader};
use super::plan::{self, Action, Has, Reload, RunningFile, Seen};
use super::scan::{Names, Scan};
use super::status::Overview;
use super::supervisor::{Opening, Shared, Supervisor};
use crate::error::{Error, Kind, Result};
use crate::loaded::SharedEngine;
use crate::metrics::{Meters, State};
use crate::report::render_error;
use crate::state::{ConnectionStore, StoredWebhookUrl, StoredWebhookUrls};
use crate::stop::{self, Stop, Stopper};
use crate::webhook_url::UrlSecrets;

/// Files that are loaded at a time: each waits for the disk, and for a component's check of its
/// configuration.
const LOADS_MAX: usize = 8;
/// Files that could not be loaded before, and are loaded again at a time: they take no turn of others,
/// however long their components take.
const RELOADS_MAX: usize = 2;
/// A load that takes longer, for example because its file hangs, leaves its turn to others.
const LOAD_TURN: Duration = Duration::from_secs(10);
/// Longest wait at the start until commands reach every connection; it takes milliseconds.
const OPEN_WITHIN: Duration = Duration::from_secs(5);

/// Longest wait at the start for the files of the folder: one after the other could take any time. A file of
/// the command line is waited for.
pub(super) const START_WITHIN: Duration = Duration::from_secs(30);

/// Of a load that takes longer than [`START_WITHIN`].
const HANGS: &str = "still being loaded: it, or a file that it names, does not answer";

/// Gets lines for the operator.
pub(super) type Notify<'a> = &'a (dyn Fn(&str) + Sync);

/// See the file's header.
pub(super) struct Connections {
    named: Vec<PathBuf>,
    folder: Option<PathBuf>,
    loader: Arc<Loader>,
    loads: Arc<Semaphore>,
    /// For files that could not be loaded before.
    reloads: Arc<Semaphore>,
    shared: Shared,
    overview: Arc<Overview>,
    /// By file.
    running: BTreeMap<PathBuf, RunningConnection>,
    /// The file of each name that runs.
    names: BTreeMap<String, PathBuf>,
    /// Connections that are stopping.
    stopping: BTreeMap<String, Ended>,
    loading: BTreeMap<PathBuf, Loading>,
    /// The number of the newest load.
    load: u64,
    invalid: BTreeMap<PathBuf, LoadFailure>,
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

/// The newest load of a file. The outcome of one before it does not count.
struct Loading {
    number: u64,
    stamp: Option<Stamp>,
    /// When its turn came.
    since: Arc<OnceLock<Instant>>,
    /// Loads of the file that have not ended.
    loads: u32,
    /// Whether health says that it hangs.
    is_reported: bool,
}

impl Loading {
    fn lasts(&self, time: Duration) -> bool {
        self.since.get().is_some_and(|since| since.elapsed() >= time)
    }
}

/// The last failure to load a file.
struct LoadFailure {
    stamp: Option<Stamp>,
    error: Error,
    at: Instant,
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

/// A URL that accepts deliveries for a connection that does not run.
struct Accepting {
    secrets: UrlSecrets,
    /// Whether it was reported to the operator; not while files are being loaded.
    is_reported: bool,
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
            loader: Arc::new(loader),
            loads: Arc::new(Semaphore::new(LOADS_MAX)),
            reloads: Arc::new(Semaphore::new(RELOADS_MAX)),
            shared,
            overview,
            running: BTreeMap::new(),
            names: BTreeMap::new(),
            stopping: BTreeMap::new(),
            loading: BTreeMap::new(),
            load: 0,
            invalid: BTreeMap::new(),
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

    /// Sees the files for the first time and starts loading them. When it returns, every known URL is
    /// answered: deliveries are journaled while their connections are being loaded.
    pub(super) async fn begin(&mut self, notify: Notify<'_>) -> Result<()> {
        let scan = self.scan(Reload::ChangedFiles);
        let seen = spawn_blocking(scan).await??;
        self.reconcile(&seen, notify);
        self.overview.set_loading(self.loading.len());
        Ok(())
    }

    /// How many connections there are to serve; follows the files.
    pub(super) fn served(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.served)
    }

    /// Waits until every file was loaded, and commands reach each connection or it has failed; for the files
    /// of the folder [`START_WITHIN`] at most. A file of the command line must be valid, and its connection
    /// free; an invalid file of the folder is reported, the others are served. False if a stop was requested.
    pub(super) async fn finish_start(&mut self, stop: &mut Stop, notify: Notify<'_>) -> Result<bool> {
        let (opening, mut opened) = mpsc::channel(1);
        self.opening = Some(opening);
        let mut is_late = false;
        let mut late = pin!(tokio::time::sleep(START_WITHIN));
        while self.loading.keys().any(|file| !is_late || self.named.contains(file)) {
            self.overview.set_loading(self.loading.len());
            let event = tokio::select! {
                event = self.next() => event,
                () = &mut late, if !is_late => {
                    is_late = true;
                    continue;
                }
                () = stop.requested() => return Ok(false),
            };
            match event {
                Event::Loaded(file, number, loaded) if self.named.contains(&file) => match *loaded {
                    Err(error) if self.is_newest(&file, number) => return Err(error),
                    loaded => self.loaded(&file, number, loaded, notify),
                },
                event => self.handle(event, notify),
            }
            if let Some(failure) = self.named.iter().find_map(|file| self.invalid.get(file)) {
                return Err(failure.error.clone());
            }
        }
        self.overview.set_loading(0);
        if !self.loading.is_empty() {
            notify(&format!("warning: {} connection files are still being loaded", self.loading.len()));
        } else if self.running.is_empty() {
            notify("warning: no connection to serve yet");
        }
        (self.is_starting, self.opening) = (false, None);
        // Nothing is sent: the channel closes when the last supervisor drops its sender.
        let _too_slow = tokio::time::timeout(OPEN_WITHIN, opened.recv()).await;
        Ok(true)
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
        for (file, _) in self.invalid.extract_if(.., |file, _| !files.contains(file.as_path())) {
            self.overview.set_invalid(&file, None);
        }
        self.report_loads_that_hang(&files, notify);
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
        let served = self.running.len() + self.loading.len() + self.invalid.len();
        self.served.store(served, Relaxed);
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
        let invalid = |(file, failure): (&PathBuf, &LoadFailure)| plan::InvalidFile {
            file: file.clone(),
            stamp: failure.stamp,
            age: failure.at.elapsed(),
        };
        let loading = |(file, one): (&PathBuf, &Loading)| plan::LoadingFile {
            file: file.clone(),
            stamp: one.stamp,
            hangs: one.lasts(LOAD_TURN),
            loads: one.loads,
        };
        Has {
            running: self.running.iter().map(running).collect(),
            invalid: self.invalid.iter().map(invalid).collect(),
            loading: self.loading.iter().map(loading).collect(),
            accepting: self.accepting.keys().cloned().collect(),
            removing: self.removing.clone(),
        }
    }

    fn load(&mut self, file: PathBuf, stamp: Option<Stamp>) {
        let turns = if self.invalid.contains_key(&file) { &self.reloads } else { &self.loads };
        let (loader, turns) = (Arc::clone(&self.loader), Arc::clone(turns));
        // A server that starts must not take a connection from another process. Later it waits for it.
        let must_be_free = self.is_starting && self.named.contains(&file);
        self.load += 1;
        let number = self.load;
        let loads = 1 + self.loading.get(&file).map_or(0, |former| former.loads);
        let since = Arc::new(OnceLock::new());
        let starts = Arc::clone(&since);
        self.loading.insert(file.clone(), Loading { number, stamp, since, loads, is_reported: false });
        self.tasks.spawn(async move {
            let turn = turns.acquire_owned().await;
            starts.get_or_init(Instant::now);
            let loaded = in_turn(turn, loader.load_safely(&file, must_be_free)).await;
            Event::Loaded(file, number, Box::new(loaded))
        });
    }

    fn is_newest(&self, file: &Path, number: u64) -> bool {
        self.loading.get(file).is_some_and(|loading| loading.number == number)
    }

    /// Health names files whose load does not end.
    fn report_loads_that_hang(&mut self, files: &BTreeSet<&Path>, notify: Notify<'_>) {
        for (file, loading) in &mut self.loading {
            let hangs = loading.lasts(START_WITHIN) && files.contains(file.as_path());
            if hangs == loading.is_reported {
                continue;
            }
            loading.is_reported = hangs;
            self.overview.set_invalid(file, hangs.then_some(HANGS));
            if hangs {
                notify(&format!("{}: {HANGS}", file.display()));
            }
        }
    }

    /// A file was loaded. Its connection keeps running if the file is invalid or declares the same.
    fn loaded(&mut self, file: &Path, number: u64, loaded: Result<Loaded>, notify: Notify<'_>) {
        if !self.is_newest(file, number) {
            self.loading.get_mut(file).into_iter().for_each(|newest| newest.loads -= 1);
            return;
        }
        let Some(loading) = self.loading.remove(file) else { return };
        let loaded = loaded.and_then(|loaded| self.with_a_free_name(file, loaded));
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(error) => return self.load_failed(file, loading.stamp, error, notify),
        };
        let is_mended = self.invalid.remove(file).is_some() || loading.is_reported;
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
        if self.invalid.get(file).map(|failure| &failure.error) != Some(&error) {
            let keeps = if self.running.contains_key(file) { "; its connection runs unchanged" } else { "" };
            notify(&format!("{}: not loaded{keeps}: {}", file.display(), render_error(&error)));
        }
        self.overview.set_invalid(file, Some(&error.message));
        self.invalid.insert(file.to_owned(), LoadFailure { stamp, error, at: Instant::now() });
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

    /// The URL of a connection that does not run accepts deliveries.
    fn accept(&mut self, url: &StoredWebhookUrl, notify: Notify<'_>) {
        let is_reported = self.accepting.get(&url.name).is_some_and(|accepting| accepting.is_reported);
        if self.accepting.get(&url.name).is_none_or(|accepting| accepting.secrets != url.secrets) {
            self.shared.registry.set(&url.name, url.secrets.clone());
        }
        let reports = !is_reported && self.loading.is_empty() && !self.stopping.contains_key(&url.name);
        let accepting = Accepting { secrets: url.secrets.clone(), is_reported: is_reported || reports };
        self.accepting.insert(url.name.clone(), accepting);
        if reports {
            let meters = Meters::default();
            meters.enter(State::Stopped, Some("its connection file is invalid or missing"));
            self.overview.add(&url.name, &meters);
            let name = &url.name;
            notify(&format!("{name}: stopped; deliveries are journaled until its connection file is valid"));
        }
    }

    /// The URL answers 410 from now on, also after a restart.
    fn remove(&mut self, url: &StoredWebhookUrl) {
        let (name, secrets) = (url.name.clone(), url.secrets.clone());
        self.removing.insert(name.clone());
        let own = self.stopping.get(&name).cloned();
        if url.is_removed || own.is_some() {
            self.shared.registry.set_removed(&name, secrets.clone());
        }
        if url.is_removed {
            return;
        }
        let paths = self.shared.paths.clone();
        self.tasks.spawn(async move {
            if let Some(ended) = own {
                ended.wait().await;
            }
            let removed = name.clone();
            let removing = spawn_blocking(move || {
                let store = ConnectionStore::open(&paths, &removed)?;
                // A process that holds the lock uses the connection: it was not removed.
                let _unused = store.lock()?;
                store.webhook_url().set_removed()
            });
            let outcome = removing.await.unwrap_or_else(|error| Err(error.into()));
            Event::Removed(name, secrets, outcome)
        });
    }

    fn removed(&mut self, name: &str, secrets: UrlSecrets, outcome: Result<()>, notify: Notify<'_>) {
        if self.names.contains_key(name) {
            return;
        }
        match outcome {
            Err(error) if error.kind == Kind::Unavailable => {
                self.removing.remove(name);
                return;
            }
            Err(error) => {
                tracing::warn!(connection = %name, %error, "removal not stored: 404 after a restart");
            }
            Ok(()) => {}
        }
        self.shared.registry.set_removed(name, secrets);
        self.accepting.remove(name);
        self.overview.remove(name);
        self.loader.forget(name);
        notify(&format!("{name}: removed"));
    }
}

/// Runs work that takes turns with others; its turn ends with it or after [`LOAD_TURN`].
async fn in_turn<T>(turn: impl Send, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    tokio::select! {
        done = &mut work => return done,
        () = tokio::time::sleep(LOAD_TURN) => drop(turn),
    }
    work.await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::{Semaphore, oneshot};
    use tokio::task::yield_now;

    use super::in_turn;

    #[tokio::test(start_paused = true)]
    async fn work_that_hangs_leaves_its_turn_to_others() {
        let turns = Arc::new(Semaphore::new(1));
        let (ends, ended) = oneshot::channel();
        let turn = Arc::clone(&turns).acquire_owned().await.expect("open");
        let hanging = tokio::spawn(in_turn(turn, ended));
        yield_now().await;
        assert_eq!(turns.available_permits(), 0);
        let other = Arc::clone(&turns).acquire_owned().await.expect("open");
        assert_eq!(in_turn(other, async { 7 }).await, 7);
        ends.send(8).expect("it still runs");
        assert_eq!(hanging.await.expect("no panic"), Ok(8));
    }
}
