//! The publisher: a thread that turns sealed segments into files, lists them, and deletes the segments.
//!
//! Segments of a table go in their order. Each step can be repeated: a file has the name of its lines, and a
//! segment is deleted only once its file is listed. A failure delays files and loses nothing. Commits do not
//! wait for it, unless too many lines wait.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;

use super::columns::names;
use super::file::convert_segment;
use super::files::Files;
use super::manifest::{Listed, MANIFEST, Manifest, OWNER, Owner, Place, file_name, to_json};
use super::tables::Tables;
use crate::clock::{millis, now_ms, rfc3339_ms};
use crate::error::{Error, Kind, Result};
use crate::sinks::columns::Layout;
use crate::sinks::jsonl::{Jsonl, failed};
use crate::sinks::objects::Seen;

/// Bytes of sealed segments beyond which commits wait, and are refused while files cannot be put.
const WAITING_BYTES_MAX: u64 = 1 << 30;
/// First wait before another attempt; twice as long after each failure.
const RETRY: Duration = Duration::from_secs(2);
/// Longest such wait.
const RETRY_MAX: Duration = Duration::from_secs(5 * 60);
/// Longest sleep: the clock that the age of segments is measured by may be set.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// One segment at a time is converted in this process, so that memory does not grow with connections.
static CONVERTING: Mutex<()> = Mutex::new(());

/// What the sink and its publisher share.
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
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
    /// The last failure, until an attempt succeeds.
    failing: Option<Error>,
    /// Failures in a row.
    failures: u32,
    /// Attempts that ended with a failure, ever.
    failed: u64,
    retry_at: Option<Instant>,
    /// [`WAITING_BYTES_MAX`], less in tests.
    pub(super) waiting_bytes_max: u64,
    pub(super) is_stopping: bool,
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
            failing: None,
            failures: 0,
            failed: 0,
            retry_at: None,
            waiting_bytes_max: WAITING_BYTES_MAX,
            is_stopping: false,
        };
        Ok(Self { state: Mutex::new(state), changed: Condvar::new(), stop: Arc::default() })
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
    }

    /// Wakes the publisher.
    pub(super) fn wake(&self) {
        self.changed.notify_all();
    }

    /// Waits until there is room for a commit's lines; refuses it while files cannot be put.
    pub(super) fn wait_for_room(&self) -> Result<MutexGuard<'_, State>> {
        let mut state = self.lock();
        loop {
            let waiting = state.waiting_bytes();
            if waiting <= state.waiting_bytes_max || state.is_stopping {
                return Ok(state);
            }
            if let Some(error) = state.failing.clone() {
                return Err(Error { kind: Kind::Unavailable, ..state.explained(error) });
            }
            state = self.wait(state, SLEEP_MAX);
        }
    }

    /// Seals every segment, and waits until all are published or an attempt failed.
    pub(super) fn publish_all(&self) -> Result<()> {
        let mut state = self.lock();
        state.log.seal(None)?;
        (state.retry_at, state.failing) = (None, None);
        let before = state.failed;
        self.wake();
        loop {
            if state.pending().is_empty() {
                return Ok(());
            }
            if state.failed > before
                && let Some(error) = state.failing.clone()
            {
                return Err(state.explained(error));
            }
            state = self.wait(state, SLEEP_MAX);
        }
    }

    fn wait<'s>(&self, state: MutexGuard<'s, State>, longest: Duration) -> MutexGuard<'s, State> {
        self.changed.wait_timeout(state, longest).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Publishes until the sink is closed.
    pub(super) fn run(&self, files: &Files, connection: &str) {
        let mut place = None;
        while let Some(segments) = self.next_segments() {
            let mut failure = None;
            for segment in segments {
                if self.lock().is_stopping {
                    return;
                }
                let attempt = || {
                    let known = match place.take() {
                        Some(known) => known,
                        None => {
                            let owner = Owner::new(connection, self.lock().tables.log());
                            OwnPlace::admit(files, owner)?
                        }
                    };
                    // After a failure it is read again.
                    place = Some(publish(files, connection, &segment, known)?);
                    Ok(())
                };
                let attempted = catch_unwind(AssertUnwindSafe(attempt))
                    .unwrap_or_else(|_| Err(Error::sink("the conversion to Parquet panicked")));
                match attempted {
                    Ok(()) => self.published(&segment),
                    // The others would fail as well.
                    Err(error) if error.kind == Kind::Unavailable => {
                        failure = Some(error);
                        break;
                    }
                    // Later segments of this table wait for it, other tables do not.
                    Err(error) => failure = failure.or(Some(error)),
                }
            }
            self.ended(failure);
        }
    }

    /// Waits for segments to publish: the first of each table. None when the sink is closed.
    fn next_segments(&self) -> Option<Vec<Segment>> {
        let mut state = self.lock();
        loop {
            if state.is_stopping {
                return None;
            }
            let (now, now_ms) = (Instant::now(), now_ms());
            if state.retry_at.is_none_or(|retry_at| retry_at <= now) {
                if let Err(error) = state.log.seal(Some(now_ms)) {
                    state.fail(error);
                    continue;
                }
                let segments = state.pending();
                if !segments.is_empty() {
                    return Some(segments);
                }
                state.retry_at = None;
            }
            let retry = state.retry_at.map(|retry_at| retry_at.saturating_duration_since(now));
            let due = || state.log.due_ms().map(|due| Duration::from_millis(due.saturating_sub(now_ms)));
            let sleep = retry.or_else(due).unwrap_or(SLEEP_MAX).clamp(Duration::from_millis(1), SLEEP_MAX);
            state = self.wait(state, sleep);
        }
    }

    fn published(&self, segment: &Segment) {
        let mut state = self.lock();
        state.next.insert(segment.table.clone(), segment.number + 1);
        self.wake();
    }

    /// Ends an attempt.
    fn ended(&self, failure: Option<Error>) {
        let mut state = self.lock();
        match failure {
            None => (state.failing, state.failures, state.retry_at) = (None, 0, None),
            Some(_) if state.is_stopping => {}
            Some(error) => state.fail(error),
        }
        self.wake();
    }
}

/// A place that is this log's: its owner as it is stored there.
struct OwnPlace {
    owner: Owner,
    seen: Seen,
}

impl OwnPlace {
    /// Makes the place this log's, or finds that it is.
    fn admit(files: &Files, owner: Owner) -> Result<Self> {
        let (found, seen) = files.get(OWNER)?;
        match found {
            Some(found) => Ok(Self { owner: owner.admit(&found, &files.name())?, seen }),
            None => Ok(Self { seen: files.replace(OWNER, to_json(&owner), &seen)?, owner }),
        }
    }

    /// Notes that a segment is published, so that an older copy of the log is recognized on any day.
    fn note(self, files: &Files, segment: &Segment) -> Result<Self> {
        if self.owner.newest(&segment.table) >= Some(segment.number) {
            return Ok(self);
        }
        let owner = self.owner.with(&segment.table, segment.number);
        Ok(Self { seen: files.replace(OWNER, to_json(&owner), &self.seen)?, owner })
    }
}

impl State {
    /// How many segments were started.
    pub(super) fn segments(&self) -> u64 {
        self.log.tables().map(|(_, current)| current).sum()
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

    /// Notes a failure, and when to try again.
    fn fail(&mut self, error: Error) {
        let wait = RETRY.saturating_mul(1 << self.failures.min(16)).min(RETRY_MAX);
        self.failures += 1;
        self.failed += 1;
        self.retry_at = Some(Instant::now() + wait);
        tracing::warn!(connection = %self.connection, error = %error.message,
            waiting_bytes = self.waiting_bytes(), wait_ms = millis(wait),
            "files are late: their rows wait in the sink's log");
        self.failing = Some(error);
    }
}

/// Turns a segment into a listed file, and deletes it.
fn publish(files: &Files, connection: &str, segment: &Segment, place: OwnPlace) -> Result<OwnPlace> {
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
    let (found, seen) = files.get(&manifest_name)?;
    let mut manifest = Manifest::of(found.as_deref(), connection, table, &date)?;
    if manifest.place(&name, *number, place.owner.newest(table))? == Place::New {
        manifest.list(Listed::new(name.clone(), *number, &converted, names(layout)));
        files.put(&format!("{folder}/{name}"), converted.bytes)?;
        files.replace(&manifest_name, manifest.to_json(), &seen)?;
    }
    let place = place.note(files, segment)?;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(wrong(error)),
        _ => Ok(place),
    }
}

/// The day (UTC) on which a segment was written last: all of its lines are of one day.
fn date(modified: SystemTime) -> String {
    let ms = modified.duration_since(UNIX_EPOCH).map_or(0, millis);
    let time = rfc3339_ms(ms).unwrap_or_default();
    time.split('T').next().unwrap_or_default().to_owned()
}
