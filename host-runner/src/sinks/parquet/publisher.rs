//! The publisher: turns sealed segments into files, lists them, and deletes the segments.
//!
//! Segments of a table go in their order. Each step can be repeated: a file has the name of its lines, and a
//! segment is deleted only once its file is listed. A failure delays the files of its table, or of all where
//! their place is unavailable, and loses nothing. Commits do not wait for it, unless too many lines wait.
//!
//! A task that sleeps until something is due, and a thread that may block while it is: an idle sink has none.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;

use super::columns::names;
use super::file::convert_segment;
use super::files::Files;
use super::manifest::{Listed, MANIFEST, Manifest, OWNER, Owner, Place, file_name, to_json};
use super::tables::Tables;
use crate::blocking;
use crate::clock::{millis, now_ms, rfc3339_ms};
use crate::error::{Error, Kind, Result};
use crate::sinks::LateFiles;
use crate::sinks::client_thread::ClientThread;
use crate::sinks::columns::Layout;
use crate::sinks::jsonl::{Jsonl, failed};

/// Bytes of sealed segments beyond which commits wait, and are refused while files cannot be put.
const WAITING_BYTES_MAX: u64 = 1 << 30;
/// First wait before another attempt; twice as long after each failure.
const RETRY: Duration = Duration::from_secs(2);
/// Longest such wait.
const RETRY_MAX: Duration = Duration::from_secs(5 * 60);
/// Longest sleep while a segment has lines: the clock that its age is measured by may be set.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// One segment at a time is converted in this process, so that memory does not grow with connections.
static CONVERTING: Mutex<()> = Mutex::new(());

/// Runs the tasks of all publishers.
static PUBLISHERS: ClientThread = ClientThread::new("parquet", "Parquet files");

/// What the sink and its publisher share.
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// Wakes the publisher.
    wake: Notify,
    /// Ends the call to an object store that is under way.
    stop: Arc<Notify>,
}

pub(super) struct State {
    pub(super) log: Jsonl,
    pub(super) tables: Tables,
    /// The first segment of each table that may not be published.
    next: BTreeMap<String, u64>,
    /// For the log.
    connection: String,
    /// The last failure of each table, until an attempt succeeds.
    failing: BTreeMap<String, Failing>,
    /// The same of the place of all files.
    unavailable: Option<Failing>,
    /// Tells others of these failures.
    pub(super) late: LateFiles,
    /// [`WAITING_BYTES_MAX`], less in tests.
    pub(super) waiting_bytes_max: u64,
    pub(super) is_stopping: bool,
}

/// Attempts that failed.
struct Failing {
    error: Error,
    /// In a row.
    failures: u32,
    retry_at: Instant,
}

impl Failing {
    /// After another failure; `former` are those before it.
    fn again(former: Option<&Self>, error: Error, now: Instant) -> Self {
        let failures = former.map_or(0, |former| former.failures);
        let wait = RETRY.saturating_mul(1 << failures.min(16)).min(RETRY_MAX);
        Self { error, failures: failures + 1, retry_at: now + wait }
    }
}

/// A segment to publish.
struct Segment {
    table: String,
    number: u64,
    path: PathBuf,
    layout: Layout,
}

impl Shared {
    pub(super) fn new(log: Jsonl, tables: Tables, connection: &str) -> Result<Self> {
        // Published segments are deleted: a log of years has thousands of numbers, and few files.
        let first = |(table, current): (&str, u64)| {
            Ok((table.to_owned(), log.first_segment(table)?.unwrap_or(current)))
        };
        let next = log.tables().map(first).collect::<Result<_>>()?;
        let state = State {
            log,
            tables,
            next,
            connection: connection.to_owned(),
            failing: BTreeMap::new(),
            unavailable: None,
            late: LateFiles::default(),
            waiting_bytes_max: WAITING_BYTES_MAX,
            is_stopping: false,
        };
        let (changed, wake) = (Condvar::new(), Notify::new());
        Ok(Self { state: Mutex::new(state), changed, wake, stop: Arc::default() })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The signal that ends a call to an object store.
    pub(super) fn stop(&self) -> Arc<Notify> {
        Arc::clone(&self.stop)
    }

    /// Ends the publisher soon.
    pub(super) fn stop_publisher(&self) {
        self.lock().is_stopping = true;
        self.stop.notify_one();
        self.wake();
        self.changed.notify_all();
    }

    /// Wakes the publisher.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Waits until there is room for a commit's lines; refuses it while files cannot be put. The publisher
    /// must run.
    pub(super) fn wait_for_room(&self) -> Result<MutexGuard<'_, State>> {
        let mut state = self.lock();
        loop {
            let waiting = state.waiting_bytes();
            if waiting <= state.waiting_bytes_max || state.is_stopping {
                return Ok(state);
            }
            if let Some(failing) = state.failure() {
                return Err(Error { kind: Kind::Unavailable, ..state.explained(failing.error.clone()) });
            }
            state = self.wait(state);
        }
    }

    /// Seals every segment, and waits until all are published, or until an attempt failed for each table that
    /// has some left.
    pub(super) fn publish_all(&self) -> Result<()> {
        let mut state = self.lock();
        state.log.seal(None)?;
        state.failing.clear();
        state.unavailable = None;
        self.wake();
        loop {
            let pending = state.pending();
            let fails = |segment: &Segment| state.failing.get(&segment.table);
            let failing = match (&state.unavailable, pending.first()) {
                (_, None) => return Ok(()),
                (Some(unavailable), _) => Some(unavailable),
                (None, Some(first)) => {
                    fails(first).filter(|_| pending.iter().all(|one| fails(one).is_some()))
                }
            };
            if let Some(failing) = failing {
                return Err(state.explained(failing.error.clone()));
            }
            state = self.wait(state);
        }
    }

    fn wait<'s>(&self, state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the publisher. The receiver is closed once it has ended and has let go of everything.
    pub(super) fn start(self: &Arc<Self>, files: Files, owner: String) -> Result<mpsc::Receiver<()>> {
        let (runs, ended) = mpsc::channel();
        let publisher = Arc::new(Publisher { shared: Arc::clone(self), files, owner });
        PUBLISHERS.runtime()?.spawn(async move {
            let _runs = runs;
            publisher.run().await;
        });
        Ok(ended)
    }
}

/// A running publisher.
struct Publisher {
    shared: Arc<Shared>,
    files: Files,
    owner: String,
}

impl Publisher {
    /// Publishes until the sink is closed.
    async fn run(self: Arc<Self>) {
        let mut is_admitted = false;
        loop {
            let this = Arc::clone(&self);
            let round = move || {
                let sleep = this.round(&mut is_admitted);
                (is_admitted, sleep)
            };
            let Ok((admitted, sleep)) = blocking::spawn(round).await else { return };
            is_admitted = admitted;
            let Some(sleep) = sleep else { return };
            let _time_is_up = tokio::time::timeout(sleep, self.shared.wake.notified()).await;
        }
    }

    /// Publishes what is due; how long until more is, unless commits come. None when the sink is closed.
    fn round(&self, is_admitted: &mut bool) -> Option<Duration> {
        loop {
            let segments = match self.shared.lock().due(now_ms()) {
                Due::Now(segments) => segments,
                Due::In(sleep) => {
                    self.shared.changed.notify_all();
                    return Some(sleep);
                }
                Due::Never => return None,
            };
            for segment in segments {
                if self.shared.lock().is_stopping {
                    return None;
                }
                let attempt = || {
                    self.shared.admit(&self.files, &self.owner, is_admitted)?;
                    publish(&self.files, &self.owner, &segment)
                };
                let attempted = catch_unwind(AssertUnwindSafe(attempt))
                    .unwrap_or_else(|_| Err(Error::sink("the conversion to Parquet panicked")));
                // Where the place is unavailable, the other tables would fail as well.
                let is_unavailable = matches!(&attempted, Err(error) if error.kind == Kind::Unavailable);
                self.shared.lock().attempted(&segment, attempted);
                self.shared.changed.notify_all();
                if is_unavailable {
                    break;
                }
            }
        }
    }
}

impl Shared {
    /// Makes the place this log's, or finds that it is.
    fn admit(&self, files: &Files, connection: &str, is_admitted: &mut bool) -> Result<()> {
        if !*is_admitted {
            let owner = Owner::new(connection, self.lock().tables.log());
            match files.get(OWNER)? {
                Some(found) => owner.admit(&found, &files.name())?,
                None => files.put(OWNER, to_json(&owner))?,
            }
            *is_admitted = true;
        }
        Ok(())
    }
}

/// The work of a publisher.
enum Due {
    /// These segments: the first of each table.
    Now(Vec<Segment>),
    /// Nothing for so long.
    In(Duration),
    /// The sink is closed.
    Never,
}

impl State {
    /// What the publisher waits for: it changes when a segment is sealed, and with the first line of one.
    pub(super) fn awaited(&self) -> (u64, Option<u64>) {
        (self.log.tables().map(|(_, current)| current).sum(), self.log.due_ms())
    }

    /// The work that is due; seals the segments that are old.
    fn due(&mut self, now_ms: u64) -> Due {
        if self.is_stopping {
            return Due::Never;
        }
        let now = Instant::now();
        let sleep = |retry_at: Instant| retry_at.saturating_duration_since(now).max(Duration::from_millis(1));
        if let Some(unavailable) = self.unavailable.as_ref().filter(|one| one.retry_at > now) {
            return Due::In(sleep(unavailable.retry_at));
        }
        if let Err(error) = self.log.seal(Some(now_ms)) {
            self.place_failed(error);
            return Due::In(RETRY);
        }
        let (segments, late): (Vec<_>, Vec<_>) = self.pending().into_iter().partition(|segment| {
            self.failing.get(&segment.table).is_none_or(|failing| failing.retry_at <= now)
        });
        if !segments.is_empty() {
            return Due::Now(segments);
        }
        let retries = late.iter().filter_map(|one| Some(sleep(self.failing.get(&one.table)?.retry_at)));
        let old = self.log.due_ms().map(|due| Duration::from_millis(due.saturating_sub(now_ms).max(1)));
        let old = old.map(|old| old.min(SLEEP_MAX));
        Due::In(retries.chain(old).min().unwrap_or(Duration::MAX))
    }

    /// Why files are late.
    fn failure(&self) -> Option<&Failing> {
        self.unavailable.as_ref().or(self.failing.values().next())
    }

    /// Notes the outcome of an attempt.
    fn attempted(&mut self, segment: &Segment, attempted: Result<()>) {
        match attempted {
            Ok(()) => {
                self.next.insert(segment.table.clone(), segment.number + 1);
                self.failing.remove(&segment.table);
                self.unavailable = None;
            }
            Err(_) if self.is_stopping => {}
            Err(error) if error.kind == Kind::Unavailable => self.place_failed(error),
            // Later segments of this table wait for it, other tables do not.
            Err(error) => {
                let failing = Failing::again(self.failing.get(&segment.table), error, Instant::now());
                self.report(&failing);
                self.failing.insert(segment.table.clone(), failing);
                self.unavailable = None;
            }
        }
        self.late.set(self.failure().map(|failing| failing.error.message.as_str()));
    }

    fn place_failed(&mut self, error: Error) {
        let failing = Failing::again(self.unavailable.as_ref(), error, Instant::now());
        self.report(&failing);
        self.late.set(Some(&failing.error.message));
        self.unavailable = Some(failing);
    }

    /// The first sealed segment of each table that is not published.
    fn pending(&mut self) -> Vec<Segment> {
        let mut pending = Vec::new();
        let tables: Vec<(String, u64)> =
            self.log.tables().map(|(table, current)| (table.to_owned(), current)).collect();
        for (table, current) in tables {
            let first = *self.next.entry(table.clone()).or_insert(1);
            let number = (first..current).find(|number| self.log.segment(&table, *number).exists());
            // Published, or the segment that is written to.
            self.next.insert(table.clone(), number.unwrap_or(current));
            if let (Some(number), Some(layout)) = (number, self.tables.layout(&table)) {
                let path = self.log.segment(&table, number);
                pending.push(Segment { table, number, path, layout: layout.clone() });
            }
        }
        pending
    }

    /// Bytes of sealed segments that are not published.
    fn waiting_bytes(&self) -> u64 {
        let sealed = self.log.tables().flat_map(|(table, current)| {
            let first = self.next.get(table).copied().unwrap_or(1);
            (first..current).map(move |number| self.log.segment(table, number))
        });
        sealed.filter_map(|path| Some(std::fs::metadata(path).ok()?.len())).sum()
    }

    fn explained(&self, error: Error) -> Error {
        let message =
            format!("{}; {} bytes of rows wait in the sink's log", error.message, self.waiting_bytes());
        let hint = error.hint.clone();
        let hint =
            hint.unwrap_or_else(|| "no row is lost: they become files once the cause is gone".to_owned());
        Error { message, ..error }.hint(hint)
    }

    fn report(&self, failing: &Failing) {
        let wait = failing.retry_at.saturating_duration_since(Instant::now());
        tracing::warn!(connection = %self.connection, error = %failing.error.message,
            waiting_bytes = self.waiting_bytes(), wait_ms = millis(wait),
            "files are late: their rows wait in the sink's log");
    }
}

/// Turns a segment into a listed file, and deletes it.
fn publish(files: &Files, owner: &str, segment: &Segment) -> Result<()> {
    let Segment { table, number, path, layout } = segment;
    let wrong = |error: std::io::Error| failed(path, &error);
    let file = File::open(path).map_err(wrong)?;
    let date = date(file.metadata().and_then(|metadata| metadata.modified()).map_err(wrong)?);
    let converted = {
        let _turn = CONVERTING.lock().unwrap_or_else(PoisonError::into_inner);
        convert_segment(BufReader::new(file), *number, layout)?
    };
    let folder = format!("{table}/date={date}");
    let (name, manifest_name) = (file_name(*number, converted.lines), format!("{folder}/{MANIFEST}"));
    let found = files.get(&manifest_name)?;
    let mut manifest = Manifest::of(found.as_deref(), owner, table, &date)?;
    if manifest.place(&name, *number)? == Place::New {
        manifest.list(Listed::new(name.clone(), *number, &converted, names(layout)));
        files.put(&format!("{folder}/{name}"), converted.bytes)?;
        files.put(&manifest_name, manifest.to_json())?;
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(wrong(error)),
        _ => Ok(()),
    }
}

/// The day (UTC) on which a segment was written last: all of its lines are of one day.
fn date(modified: SystemTime) -> String {
    let ms = modified.duration_since(UNIX_EPOCH).map_or(0, millis);
    let time = rfc3339_ms(ms).unwrap_or_default();
    time.split('T').next().unwrap_or_default().to_owned()
}
