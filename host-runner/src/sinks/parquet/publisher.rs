//! The publisher: turns sealed segments into files, lists them, and deletes the segments.
//!
//! Segments of a table go in their order. Each step can be repeated: a file has the name of its lines, and a
//! segment is deleted only once its file is listed. A failure delays the files of its table, or of all where
//! their place is unavailable, and loses nothing. Commits do not wait for it, unless too many lines wait.
//!
//! A task that sleeps until something is due, and a thread that may block while it is: an idle sink has none.
//! [`state`] decides what is due.

mod state;

use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;

use self::state::{Due, Segment, State};
use super::columns::names;
use super::file::convert_segment;
use super::files::Files;
use super::manifest::{Listed, MANIFEST, Manifest, OWNER, Owner, Place, file_name, to_json};
use super::tables::Tables;
use crate::blocking;
use crate::clock::{millis, now_ms, rfc3339_ms};
use crate::error::{Error, Kind, Result};
use crate::sinks::client_thread::ClientThread;
use crate::sinks::file_failure::failed;
use crate::sinks::jsonl::Jsonl;
use crate::sinks::objects::Seen;

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

impl Shared {
    pub(super) fn new(log: Jsonl, tables: Tables, connection: &str) -> Result<Self> {
        let state = State::new(log, tables, connection)?;
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

    /// Starts the publisher. The receiver is closed once it has ended and the log is free.
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
        let mut place = None;
        loop {
            let this = Arc::clone(&self);
            let round = move || {
                let sleep = this.round(&mut place);
                (place, sleep)
            };
            let Ok((known, sleep)) = blocking::spawn(round).await else { return };
            place = known;
            let Some(sleep) = sleep else { return };
            let _time_is_up = tokio::time::timeout(sleep, self.shared.wake.notified()).await;
        }
    }

    /// Publishes until nothing is due; the time until more is, without commits. None when the sink is closed.
    fn round(&self, place: &mut Option<OwnPlace>) -> Option<Duration> {
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
                    let known = match place.take() {
                        Some(known) => known,
                        None => {
                            let owner = Owner::new(&self.owner, self.shared.lock().tables.log());
                            OwnPlace::admit(&self.files, owner)?
                        }
                    };
                    // After a failure it is read again.
                    *place = Some(publish(&self.files, &self.owner, &segment, known)?);
                    Ok(())
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
