//! The published and the waiting part of a log: which segments are due, and when another attempt is.
//!
//! Seals segments that are old; reads and puts no file.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::clock::{millis, random_unit};
use crate::error::{Error, Kind, Result};
use crate::policy::growing_wait;
use crate::sinks::LateFiles;
use crate::sinks::columns::Layout;
use crate::sinks::jsonl::Jsonl;
use crate::sinks::parquet::tables::Tables;

/// Bytes of sealed segments beyond which commits wait, and are refused while files cannot be put.
const WAITING_BYTES_MAX: u64 = 1 << 30;
/// First wait before another attempt; twice as long after each failure.
const RETRY: Duration = Duration::from_secs(2);
/// Longest such wait.
const RETRY_MAX: Duration = Duration::from_secs(5 * 60);
/// Longest sleep while a segment has lines: the clock that its age is measured by may be set.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// The log, and how far it is published.
pub(in crate::sinks::parquet) struct State {
    pub(in crate::sinks::parquet) log: Jsonl,
    pub(in crate::sinks::parquet) tables: Tables,
    /// The first segment of each table that may not be published.
    next: BTreeMap<String, u64>,
    /// For the log.
    connection: String,
    /// The last failure of each table, until an attempt succeeds.
    pub(super) failing: BTreeMap<String, Failing>,
    /// The same of the place of all files.
    pub(super) unavailable: Option<Failing>,
    /// These failures, for the status of the connection.
    pub(in crate::sinks::parquet) late: LateFiles,
    /// [`WAITING_BYTES_MAX`], less in tests.
    pub(in crate::sinks::parquet) waiting_bytes_max: u64,
    pub(in crate::sinks::parquet) is_stopping: bool,
}

/// Attempts that failed.
pub(super) struct Failing {
    pub(super) error: Error,
    /// In a row.
    failures: u32,
    retry_at: Instant,
}

impl Failing {
    /// After another failure; `former` are those before it.
    fn again(former: Option<&Self>, error: Error, now: Instant, random: f64) -> Self {
        let failures = former.map_or(0, |former| former.failures);
        let wait = growing_wait(RETRY, 2, failures, RETRY_MAX, random);
        Self { error, failures: failures + 1, retry_at: now + wait }
    }
}

/// A segment to publish.
pub(super) struct Segment {
    pub(super) table: String,
    pub(super) number: u64,
    pub(super) path: PathBuf,
    pub(super) layout: Layout,
}

/// The work of a publisher.
pub(super) enum Due {
    /// These segments: the first of each table.
    Now(Vec<Segment>),
    /// Nothing for so long.
    In(Duration),
    /// The sink is closed.
    Never,
}

impl State {
    pub(super) fn new(log: Jsonl, tables: Tables, connection: &str) -> Result<Self> {
        // Published segments are deleted: a log of years has thousands of numbers, and few files.
        let first = |(table, current): (&str, u64)| {
            Ok((table.to_owned(), log.first_segment(table)?.unwrap_or(current)))
        };
        let next = log.tables().map(first).collect::<Result<_>>()?;
        Ok(Self {
            log,
            tables,
            next,
            connection: connection.to_owned(),
            failing: BTreeMap::new(),
            unavailable: None,
            late: LateFiles::default(),
            waiting_bytes_max: WAITING_BYTES_MAX,
            is_stopping: false,
        })
    }

    /// What the publisher waits for: it changes when a segment is sealed, and with the first line of one.
    pub(in crate::sinks::parquet) fn awaited(&self) -> (u64, Option<u64>) {
        (self.log.tables().map(|(_, current)| current).sum(), self.log.due_ms())
    }

    /// The work that is due; seals the segments that are old.
    pub(super) fn due(&mut self, now_ms: u64) -> Due {
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
    pub(super) fn failure(&self) -> Option<&Failing> {
        self.unavailable.as_ref().or(self.failing.values().next())
    }

    /// Notes the outcome of an attempt.
    pub(super) fn attempted(&mut self, segment: &Segment, attempted: Result<()>) {
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
                let former = self.failing.get(&segment.table);
                let failing = Failing::again(former, error, Instant::now(), random_unit());
                self.report(&failing);
                self.failing.insert(segment.table.clone(), failing);
                self.unavailable = None;
            }
        }
        self.late.set(self.failure().map(|failing| failing.error.message.as_str()));
    }

    fn place_failed(&mut self, error: Error) {
        let failing = Failing::again(self.unavailable.as_ref(), error, Instant::now(), random_unit());
        self.report(&failing);
        self.late.set(Some(&failing.error.message));
        self.unavailable = Some(failing);
    }

    /// The first sealed segment of each table that is not published.
    pub(super) fn pending(&mut self) -> Vec<Segment> {
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
    pub(super) fn waiting_bytes(&self) -> u64 {
        let sealed = self.log.tables().flat_map(|(table, current)| {
            let first = self.next.get(table).copied().unwrap_or(1);
            (first..current).map(move |number| self.log.segment(table, number))
        });
        sealed.filter_map(|path| Some(std::fs::metadata(path).ok()?.len())).sum()
    }

    pub(super) fn explained(&self, error: Error) -> Error {
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
