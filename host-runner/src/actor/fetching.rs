//! Fetches attachments, piece by piece, when nothing else is due.
//!
//! A file that fails by itself, with its content or at the source, waits in the manifest while others are
//! fetched. A failure that others share (an outage, a quota, a full disk) makes all wait. None stops reading.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Stopped;
use super::core::{Core, until_stopped};
use crate::blocking;
use crate::clock::{now_ms, random_unit};
use crate::error::{Error, Result};
use crate::limits::{EMPTY_PAUSE, Limits};
use crate::policy::{self, Backoff, Budget, Decision, Files};
use crate::sinks::Attachments;
use crate::sinks::attachments::{Missing, Stored, Wanted};

/// Files in a row that are given up because the source does not answer; then it is an outage.
const UNANSWERED_MAX: u32 = 3;
/// Files in a row that the source refuses; then the account may fetch none, and each attempt costs a call.
const REFUSED_MAX: u32 = 20;
/// How long a server waits after an outage, or after a quota that does not say how long. After refusals it
/// waits as long, then twice as long each time.
const OUTAGE: Duration = Duration::from_secs(15 * 60);
/// Longest wait after refusals: rights that an administrator gives show on the same day.
const REFUSED_WAIT_MAX: Duration = Duration::from_secs(6 * 3600);
/// First wait of a file that failed by itself.
const RETRY: Duration = Duration::from_secs(60);
/// The same, for a failure that does not pass by itself: 200,000 lost files must not cost 200,000 calls a
/// minute later.
const RETRY_LASTING: Duration = Duration::from_secs(24 * 3600);

/// Pieces below this, but for the last one, come once a second at most while a server runs. Honest ones have
/// many times as much.
const SMALL_PIECE_BYTES: u64 = 64 << 10;

/// See the file's header.
pub(super) struct Fetching {
    attachments: Arc<Attachments>,
    budget: Budget,
    /// A run that ends does not wait for an outage to end.
    is_run: bool,
    /// Nothing is fetched before.
    wait_until: Option<Instant>,
    /// Failures in a row of the file that is fetched now.
    failures: u32,
    /// Files in a row that were given up, and the meaning of their failures for the others.
    given_up: (u32, Files),
    /// Waits in a row because of refusals.
    refusals: u32,
    /// Why nothing more is fetched in this run.
    ended: Option<Error>,
}

impl Fetching {
    pub(super) fn new(attachments: Arc<Attachments>, limits: &Limits, is_run: bool) -> Self {
        let budget = Budget::run(limits);
        Self {
            attachments,
            budget,
            is_run,
            wait_until: None,
            failures: 0,
            given_up: (0, Files::One),
            refusals: 0,
            ended: None,
        }
    }

    /// When the next piece is to be fetched.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        if self.ended.is_some() {
            return None;
        }
        let wait_ms = self.attachments.due_ms()?.saturating_sub(now_ms());
        let due = now + Duration::from_millis(wait_ms.min(OUTAGE.as_millis() as u64));
        Some(self.wait_until.map_or(due, |until| due.max(until)))
    }

    /// Whether a run has nothing left to fetch: files that failed by themselves are left to another run.
    pub(super) fn is_over(&self) -> bool {
        self.ended.is_some() || self.attachments.due_ms().is_none_or(|due_ms| due_ms > now_ms())
    }

    /// Fetches one piece.
    pub(super) async fn fetch(&mut self, core: &mut Core<'_>) -> Result<(), Stopped> {
        let next = self.run(|attachments| attachments.next()).await;
        let wanted = match next {
            Ok(Some(wanted)) => wanted,
            Ok(None) => return Ok(()),
            Err(error) => return self.all_wait(core, error),
        };
        match self.piece(core, &wanted).await? {
            Ok(Stored::Until(end)) => {
                self.failures = 0;
                // As after a batch without rows: each piece is committed to disk.
                if !self.is_run && end.saturating_sub(wanted.offset) < SMALL_PIECE_BYTES {
                    self.wait_until = Some(Instant::now() + EMPTY_PAUSE);
                }
            }
            Ok(Stored::Whole) => (self.failures, self.given_up, self.refusals) = (0, (0, Files::One), 0),
            Err(error) => self.failed(core, wanted, error).await?,
        }
        Ok(())
    }

    /// One call, and the bytes that it brought.
    async fn piece(&self, core: &mut Core<'_>, wanted: &Wanted) -> Result<Result<Stored>, Stopped> {
        let before = core.connection.sandbox.meter().requests();
        let (table, row) = (wanted.table.clone(), wanted.row.clone());
        let call = core.connection.sandbox.fetch(table, row, wanted.offset);
        let outcome = until_stopped(&mut core.stop, call).await?;
        let requests = core.connection.sandbox.meter().requests() - before;
        let attributes = match &outcome {
            Ok(piece) => &piece.attributes,
            Err(error) => &error.attributes,
        };
        core.observer.called(&wanted.table, requests, attributes);
        let piece = match outcome {
            Ok(piece) => piece,
            Err(error) => return Ok(Err(error)),
        };
        core.meters.count(|readings| readings.spent(&piece.attributes));
        let (of, bytes) = (wanted.clone(), piece.bytes.len() as u64);
        let meter = core.connection.sandbox.cpu_meter();
        let store = move |attachments: &Attachments| {
            let (stored, used) = blocking::timed(|| attachments.store(&of, &piece));
            meter(used);
            stored
        };
        let stored = self.run(store).await;
        if let Ok(stored) = &stored {
            core.meters.count(|readings| {
                readings.counters.attachment_bytes.add([&wanted.table], bytes);
                let whole = u64::from(*stored == Stored::Whole);
                readings.counters.attachments_stored.add([&wanted.table], whole);
            });
        }
        Ok(stored)
    }

    /// Decides whether this file or all of them wait after a failure, and how long.
    async fn failed(&mut self, core: &mut Core<'_>, wanted: Wanted, error: Error) -> Result<(), Stopped> {
        let problem = error.message.clone();
        let error = error.about(format_args!("attachment `{}`", wanted.name));
        if matches!(policy::of(&error).files, Files::All | Files::AllAndScope) {
            return self.all_wait(core, error);
        }
        self.failures += 1;
        match core.decide("fetch", error, self.failures, &self.budget) {
            Decision::Retry(wait) => {
                self.wait_until = Some(Instant::now() + wait);
                Ok(())
            }
            Decision::GiveUp(error) | Decision::Stop(error) => {
                self.failures = 0;
                core.meters.count(|readings| readings.counters.attachments_failed.add([&wanted.table], 1));
                let policy = policy::of(&error);
                let first = if policy.backoff == Backoff::Long { RETRY_LASTING } else { RETRY };
                let note = move |files: &Attachments| files.failed(&wanted, &problem, first, random_unit());
                match (self.run(note).await, self.pause_after(policy.files)) {
                    (Err(error), _) => return self.all_wait(core, error),
                    (Ok(()), Some(wait)) => self.pause(wait, error),
                    (Ok(()), None) => {}
                }
                Ok(())
            }
        }
    }

    /// Counts a file that was given up. How long all wait where the others of late failed alike: then it is
    /// not a matter of this file.
    fn pause_after(&mut self, files: Files) -> Option<Duration> {
        let before = if self.given_up.1 == files { self.given_up.0 } else { 0 };
        self.given_up = (before + 1, files);
        let (most, waits, longest) = match files {
            Files::OneOrOutage => (UNANSWERED_MAX, 0, OUTAGE),
            Files::OneOrRefusal => (REFUSED_MAX, self.refusals, REFUSED_WAIT_MAX),
            Files::One | Files::All | Files::AllAndScope => return None,
        };
        if self.given_up.0 < most {
            return None;
        }
        self.given_up = (0, Files::One);
        self.refusals += u32::from(files == Files::OneOrRefusal);
        Some(policy::growing_wait(OUTAGE, 2, waits, longest, random_unit()))
    }

    /// A failure that other files share.
    fn all_wait(&mut self, core: &mut Core<'_>, error: Error) -> Result<(), Stopped> {
        let files = policy::of(&error).files;
        self.failures += 1;
        match core.decide("fetch", error, self.failures, &self.budget) {
            Decision::Retry(wait) => self.wait_until = Some(Instant::now() + wait),
            // A run has read its rows, and says what it leaves behind.
            Decision::Stop(error) if !self.is_run || files == Files::AllAndScope => {
                return Err(Stopped::Failed(error));
            }
            Decision::GiveUp(error) | Decision::Stop(error) => {
                self.failures = 0;
                let asked = policy::backoff(&error, 1, &self.budget, random_unit()).unwrap_or(OUTAGE);
                self.pause(if error.retry_after_ms.is_some() { asked } else { OUTAGE }, error);
            }
        }
        Ok(())
    }

    /// A run ends here, a server continues later.
    fn pause(&mut self, wait: Duration, error: Error) {
        if self.is_run {
            self.ended = Some(error);
        } else {
            self.wait_until = Some(Instant::now() + wait);
        }
    }

    /// Says which files a run leaves behind.
    pub(super) async fn report(&self, core: &mut Core<'_>) -> Result<(), Stopped> {
        for Missing { table, files, first } in self.run(|attachments| attachments.missing()).await? {
            let why = match (&self.ended, first) {
                (Some(error), _) => error.message.clone(),
                (None, Some((name, problem))) => format!("the first: `{name}`: {problem}"),
                (None, None) => "they are fetched next time".to_owned(),
            };
            core.observer.warned(&table, &format!("{files} attachments are not there; {why}"));
        }
        Ok(())
    }

    async fn run<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Attachments) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let attachments = Arc::clone(&self.attachments);
        blocking::spawn(move || call(&attachments)).await?
    }
}
