//! The connections of a server: executes the actions of [`plan`] concurrently.
//!
//! Owned by the server's loop, which never waits in here, except at the [`start`]: slow work is a task, and
//! its end is an [`Event`]. A connection starts once its predecessor has ended. [`super::loads`] loads files,
//! [`urls`] has the URLs of connections that do not run.
//!
//! Long because the actions of a plan share its state.

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
use super::connection_files::{self, Stamp, StampedFile};
use super::ended::Ended;
use super::loader::{Loaded, Loader};
use super::loads::{HANGS, Loads};
use super::plan::{self, Action, Has, Reload, RunningFile, Seen};
use super::scan::{List, Reads, Scan, WITHIN, Within};
use super::status::Overview;
use super::supervisor::{Opening, Shared, Supervisor};
use crate::error::{Error, Kind, Origin, Result};
use crate::ingress;
use crate::loaded::SharedEngine;
use crate::metrics::{Meters, State};
use crate::report::render_error;
use crate::state::{StoredWebhookUrl, StoredWebhookUrls};
use crate::stop::{self, Stopper};
use crate::webhook_url::UrlSecrets;

/// Of a folder.
const UNLISTED: &str = "does not answer: its connections stay as they are";

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
    /// Connections that do not run and that no file may declare, since when; their URLs accept deliveries.
    gone: BTreeMap<String, Instant>,
    /// Connections that do not run and whose URLs accept deliveries.
    accepting: BTreeMap<String, Accepting>,
    /// Connections that were removed, or are being removed, since this server started.
    removing: BTreeSet<String>,
    /// Connections that were removed, and whose secrets are still known.
    to_forget: BTreeSet<String>,
    urls: Arc<Mutex<StoredWebhookUrls>>,
    list: List,
    reads: Reads,
    /// Whether the folder did not answer the last time.
    folder_hangs: bool,
    /// Connections to serve, for the listener.
    served: Arc<AtomicUsize>,
    /// The most connections at a time, and the error of a file beyond.
    room: (usize, Error),
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
            gone: BTreeMap::new(),
            accepting: BTreeMap::new(),
            removing: BTreeSet::new(),
            to_forget: BTreeSet::new(),
            urls: Arc::default(),
            list: Arc::new(connection_files::in_folder),
            reads: Reads::default(),
            folder_hangs: false,
            served: Arc::default(),
            room: room(),
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
        let scan = self.scan(reload, WITHIN);
        self.is_scanning = true;
        self.tasks.spawn_blocking(move || Event::Seen(scan()));
    }

    fn scan(&self, reload: Reload, within: Within) -> impl FnOnce() -> Result<Seen> + Send + 'static {
        let scan = Scan {
            reload,
            named: self.named.clone(),
            folder: self.folder.clone(),
            list: Arc::clone(&self.list),
            within,
            running: self.running.iter().map(|(file, one)| (file.clone(), one.name.clone())).collect(),
            paths: self.shared.paths.clone(),
            reads: self.reads.clone(),
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
        self.forget_removed();
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
        self.report_folder(seen.folder_hangs, notify);
        if !seen.folder_hangs {
            self.note_missing(&files);
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
        let new = self.loads.files().filter(|file| !self.running.contains_key(*file)).count();
        let mut free = self.room.0.saturating_sub(self.running.len() + new);
        let mut refused = Vec::new();
        let actions = plan::plan(seen, &self.has());
        self.note_gone(&actions);
        for action in actions {
            match action {
                Action::Load(file) => {
                    let stamp = stamps.get(file.as_path()).copied().flatten();
                    let is_new = !self.running.contains_key(&file) && !self.loads.is_loading(&file);
                    if is_new && free == 0 {
                        refused.push((file, stamp));
                        continue;
                    }
                    free -= usize::from(is_new);
                    self.load(file, stamp);
                }
                Action::Stop(file) => {
                    if let Some(running) = self.running.remove(&file) {
                        self.overview.remove(&running.name);
                        self.stop(running);
                    }
                }
                Action::Accept(name) | Action::Miss(name) => {
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
        self.refuse(refused, notify);
        self.served.store((self.running.len() + self.loads.count()).min(self.room.0), Relaxed);
        if seen.reload == Reload::Everything {
            self.running.values().for_each(|running| running.retry.notify_one());
        }
    }

    /// Notes which files are missing.
    fn note_missing(&mut self, files: &BTreeSet<&Path>) {
        self.missing.retain(|file, _| !files.contains(file.as_path()));
        for file in self.running.keys().filter(|file| !files.contains(file.as_path())) {
            self.missing.entry(file.clone()).or_insert_with(Instant::now);
        }
        for file in self.loads.retain(files) {
            self.overview.set_invalid(&file, None);
        }
    }

    /// Notes which connections no file may declare.
    fn note_gone(&mut self, actions: &[Action]) {
        let gone = |action: &Action| match action {
            Action::Miss(name) => Some(name.clone()),
            _ => None,
        };
        let gone: BTreeSet<String> = actions.iter().filter_map(gone).collect();
        self.gone.retain(|name, _| gone.contains(name));
        for name in gone {
            self.gone.entry(name).or_insert_with(Instant::now);
        }
    }

    /// Health names the folder while it does not answer.
    fn report_folder(&mut self, hangs: bool, notify: Notify<'_>) {
        let reported = std::mem::replace(&mut self.folder_hangs, hangs);
        let Some(folder) = self.folder.as_deref().filter(|_| hangs != reported) else { return };
        self.overview.set_invalid(folder, hangs.then_some(UNLISTED));
        if hangs {
            notify(&format!("warning: connections {}: {UNLISTED}", folder.display()));
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
            gone: self.gone.iter().map(|(name, since)| (name.clone(), since.elapsed())).collect(),
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

    /// Records files that are not loaded because there are too many, and reports them as one.
    fn refuse(&mut self, files: Vec<StampedFile>, notify: Notify<'_>) {
        let error = self.room.1.clone();
        if files.iter().any(|(file, _)| self.loads.failure(file) != Some(&error)) {
            let (count, hint) = (files.len(), error.hint.as_deref().unwrap_or_default());
            notify(&format!("warning: {count} connection files are not loaded: {}; {hint}", error.message));
        }
        for (file, stamp) in files {
            self.overview.set_invalid(&file, Some(&error.message));
            self.loads.failed(&file, stamp, error.clone());
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

/// The most connections that the limit of open files allows, and the error of a file beyond.
fn room() -> (usize, Error) {
    let (files, most) = ingress::files_and_connections();
    let message = format!("this process may open {files} files, which is enough for {most} connections");
    let error = Error::new(Origin::Host, Kind::Config, message);
    (most, error.hint("raise its limit of open files: ulimit -n, or LimitNOFILE= of its service"))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::path::{Path, PathBuf};
    use std::sync::{Arc, Mutex, mpsc};
    use std::time::Duration;

    use tempfile::TempDir;

    use super::super::control::Control;
    use super::{Connections, Event, Options, Overview, Shared};
    use crate::ingress::{self, Observe};
    use crate::journal::{Journal, JournalLimits};
    use crate::loaded::tiny;
    use crate::secret::Redactor;
    use crate::serve::connection_files::in_folder;
    use crate::state::{ConnectionStore, MemoryLeases};
    use crate::stop;
    use crate::webhook_url::{Access, UrlRegistry, UrlSecret, UrlSecrets};

    /// A folder with the folder `connections`, and the file of `acme` in that.
    fn folder_with_acme() -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let files = folder.path().join("connections");
        std::fs::create_dir(&files).expect("made");
        let file = tiny::connection(&files, "acme").path;
        (folder, file)
    }

    /// The state of `acme`, whose URL was served from its file, and the secret of the URL.
    fn served(folder: &Path, file: &Path) -> (ConnectionStore, UrlSecret) {
        let store = ConnectionStore::open(&tiny::paths(folder), "acme").expect("opened");
        let secret = store.webhook_url().reveal().expect("generated");
        store.webhook_url().set_served(file).expect("recorded");
        (store, secret)
    }

    /// The connections of a server with the folder `connections`.
    fn connections(folder: &Path) -> (Connections, Arc<Overview>, UrlRegistry) {
        let (paths, registry) = (tiny::paths(folder), UrlRegistry::default());
        std::fs::create_dir_all(folder.join("data")).expect("made");
        let (journal, _) = Journal::open(paths.journal(), JournalLimits::default()).expect("opened");
        let overview =
            Arc::new(Overview::new(journal.clone(), paths.redactor.clone(), &ingress::Metrics::default()));
        let observe = Arc::clone(&overview) as Arc<dyn Observe>;
        let control =
            Control::new(Arc::new(journal.clone()), observe, registry.clone(), paths.redactor.clone());
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let options = Options {
            files: Vec::new(),
            folder: Some(folder.join("connections")),
            listen: any,
            admin: any,
            instances: 1,
            tls: None,
            public_url: None,
            subscribe: false,
        };
        let shared = Shared { paths, journal, registry: registry.clone(), control };
        (Connections::new(&options, shared, Arc::clone(&overview)), overview, registry)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_folder_that_hangs_delays_no_delivery_and_its_connections_start_once_it_answers() {
        let (folder, file) = folder_with_acme();
        let (_store, secret) = served(folder.path(), &file);
        let (mut connections, overview, registry) = connections(folder.path());
        // As `read_dir` of a mount whose server is away.
        let (answers, hangs) = mpsc::channel::<()>();
        let hangs = Mutex::new(hangs);
        connections.list = Arc::new(move |folder| {
            let _answers = hangs.lock().expect("no panic").recv();
            in_folder(folder)
        });
        connections.begin(&|_| ()).await.expect("begun");
        assert_eq!(registry.authorize("acme", secret.reveal(), 1), Access::Granted);
        let health = overview.health();
        assert_eq!(health["status"], "degraded", "{health}");
        assert!(health["invalid_files"][0]["error"].as_str().is_some_and(|error| error.contains("answer")));
        // Its list was late and is used all the same: the next one would hang.
        answers.send(()).expect("it waits");
        let (_stopper, mut stop) = stop::channel();
        assert!(connections.finish_start(&mut stop, &|_| ()).await.expect("started"));
        assert!(connections.running.contains_key(&file));
        assert_eq!(overview.health()["invalid_files"], serde_json::json!([]));
        connections.stop_all().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_removal_that_ends_while_the_file_is_loaded_again_keeps_its_url_and_its_secrets() {
        let (folder, file) = folder_with_acme();
        let (store, secret) = served(folder.path(), &file);
        let urls = store.webhook_url().secrets().expect("generated");
        let (mut connections, _, registry) = connections(folder.path());
        connections.removing.insert("acme".to_owned());
        connections.begin(&|_| ()).await.expect("begun");
        let loaded = connections.next().await;
        assert!(matches!(loaded, Event::Loaded(..)));
        connections.handle(Event::Removed("acme".to_owned(), urls.clone(), Ok(())), &|_| ());
        assert_eq!(registry.authorize("acme", secret.reveal(), 1), Access::Granted);
        // A removal that started after the file was read.
        connections.removing.insert("acme".to_owned());
        connections.handle(Event::Removed("acme".to_owned(), urls, Ok(())), &|_| ());
        connections.handle(loaded, &|_| ());
        assert!(connections.running.contains_key(&file));
        let redactor = connections.shared.paths.redactor.of("acme");
        assert_eq!(redactor.redact("planted-secret"), "[secret]");
        connections.stop_all().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_removed_connection_is_forgotten_once_no_file_is_being_loaded() {
        let (folder, _) = folder_with_acme();
        let (mut connections, _, _) = connections(folder.path());
        connections.begin(&|_| ()).await.expect("begun");
        let redactor = connections.shared.paths.redactor.clone();
        redactor.learn("bank", "very-secret");
        connections.removing.insert("bank".to_owned());
        let urls = UrlSecrets::generate(&[7; 32], "bank", 1);
        connections.handle(Event::Removed("bank".to_owned(), urls, Ok(())), &|_| ());
        assert_eq!(redactor.of("bank").redact("very-secret"), "[secret]");
        let loaded = connections.next().await;
        connections.handle(loaded, &|_| ());
        assert_eq!(redactor.of("bank").redact("very-secret"), "very-secret");
        connections.stop_all().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_file_of_the_command_line_beyond_the_limit_of_open_files_ends_the_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = tiny::connection(folder.path(), "acme").path;
        let (mut connections, _, _) = connections(folder.path());
        (connections.named, connections.folder, connections.room.0) = (vec![file], None, 0);
        connections.begin(&|_| ()).await.expect("begun");
        let (_stopper, mut stop) = stop::channel();
        let error = connections.finish_start(&mut stop, &|_| ()).await.expect_err("refused");
        assert_eq!(error, connections.room.1);
    }

    async fn until(what: &str, is_so: impl Fn() -> bool) {
        let waiting = async {
            while !is_so() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waiting).await.expect(what);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_connection_whose_lease_is_lost_stops_and_starts_once_it_has_another() {
        let (folder, _) = folder_with_acme();
        let (leases, key) = (MemoryLeases::default(), tiny::paths(folder.path()).key().expect("a key"));
        let store = ConnectionStore::with_leases(leases.clone(), "acme", key, Redactor::default());
        let (mut connections, overview, _) = connections(folder.path());
        connections.loads.keep_store(store);
        let runs = || overview.health()["connections"][0]["state"] == "running";
        connections.begin(&|_| ()).await.expect("begun");
        let (_stopper, mut stop) = stop::channel();
        assert!(connections.finish_start(&mut stop, &|_| ()).await.expect("started"));
        until("it runs", runs).await;
        leases.end();
        until("another lease", || leases.taken() == 2).await;
        let health = overview.health();
        assert!(health.to_string().contains("another runner has taken it over"), "{health}");
        until("it runs again", runs).await;
        connections.stop_all().await;
    }
}
