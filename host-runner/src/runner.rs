//! `sync`: read a table batch by batch, commit rows and cursor together, go on until all is caught up.
//!
//! The next batch is read while the one before it is committed; two are in memory at most. All waiting
//! and all second attempts are decided here, by [`crate::retry`]. Knows nothing of terminals or files.

mod report;

use std::time::{Duration, Instant};

use crate::change::{Batch, Table, attribute, number};
use crate::clock::random_unit;
use crate::error::{Error, Kind, Origin, Result};
use crate::limits::{Limits, STUCK_BATCHES_MAX};
use crate::retry::{Decision, decide, duration};
use crate::sandbox::Sandbox;
use crate::sinks::{Commit, Counts, Sink, Target};
use crate::stop::Stop;

pub use report::{Ending, SyncReport, TableReport, error_json};

/// Time that a call under way gets to end after a stop: a token that it renewed is then not lost.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// Hears how it goes.
pub trait Observer: Send {
    /// A batch was committed.
    fn committed(&mut self, table: &TableReport);
    /// Nothing happens for a while.
    fn waiting(&mut self, table: &str, wait: Duration, why: &str);
    /// A table has ended.
    fn ended(&mut self, table: &TableReport);
}

/// One connection at work.
pub struct Runner<'a> {
    sandbox: &'a mut Sandbox,
    sink: Target,
    limits: Limits,
    stop: Stop,
    observer: &'a mut dyn Observer,
}

/// Why a table ended before it was caught up.
enum End {
    Failed(Error),
    Interrupted,
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl<'a> Runner<'a> {
    /// A runner over an open sandbox and sink.
    pub fn new(
        sandbox: &'a mut Sandbox,
        sink: Box<dyn Sink>,
        limits: Limits,
        stop: Stop,
        observer: &'a mut dyn Observer,
    ) -> Self {
        Self { sandbox, sink: Target::new(sink), limits, stop, observer }
    }

    /// Reads the tables that `wanted` picks, all if it is empty. `full` reads from the beginning.
    pub async fn sync(mut self, wanted: &[String], full: bool) -> Result<SyncReport> {
        let started = Instant::now();
        let before = self.sandbox.meter().requests();
        let mut report = SyncReport::default();
        let tables = match self.discover().await {
            Ok(tables) => tables,
            Err(End::Failed(error)) => return Err(error),
            Err(End::Interrupted) => {
                report.interrupted = true;
                return Ok(report);
            }
        };
        let tables = pick(&tables, wanted)?;
        let prepared = tables.clone();
        self.sink.work(move |sink| sink.prepare(&prepared)).await?;
        let mut fatal = false;
        for table in &tables {
            let mut progress = TableReport::new(&table.name);
            if fatal || report.interrupted {
                report.tables.push(progress);
                continue;
            }
            let started = Instant::now();
            let ended = self.table(&table.name, full, &mut progress).await;
            progress.elapsed_ms = millis(started.elapsed());
            progress.ending = match ended {
                Ok(()) => Ending::CaughtUp,
                Err(End::Interrupted) => {
                    report.interrupted = true;
                    Ending::Interrupted
                }
                Err(End::Failed(error)) => {
                    let error = error.about(format_args!("table `{}`", table.name));
                    tracing::info!(table = %table.name, kind = error.kind.name(), origin = error.origin.name(), %error, "table failed");
                    fatal = is_fatal(&error);
                    Ending::Failed(error)
                }
            };
            self.observer.ended(&progress);
            report.tables.push(progress);
        }
        report.elapsed_ms = millis(started.elapsed());
        report.requests = self.sandbox.meter().requests() - before;
        Ok(report)
    }

    /// One table, from its cursor until caught up.
    async fn table(&mut self, table: &str, full: bool, progress: &mut TableReport) -> Result<(), End> {
        let mut cursor = None;
        if !full {
            let name = table.to_owned();
            let position = self.sink.work(move |sink| sink.position(&name)).await?;
            cursor = position.and_then(|position| position.cursor);
        }
        let mut batch = self.read(table, cursor.clone(), progress).await?;
        let mut stuck = 0;
        loop {
            let moved = cursor.as_ref() != Some(&batch.cursor);
            stuck = if moved || batch.caught_up { 0 } else { stuck + 1 };
            if stuck > STUCK_BATCHES_MAX {
                return Err(loops(stuck).into());
            }
            cursor = Some(batch.cursor.clone());
            progress.take(&batch);
            let caught_up = batch.caught_up;
            let rest = batch.wait_ms.map(Duration::from_millis);
            let committing = self.commit(table, batch);
            let reading = async {
                if caught_up {
                    return Ok(Ok(None));
                }
                Ok::<_, Error>(self.read_after(rest, table, cursor.clone(), progress).await.map(Some))
            };
            // A commit that fails ends the reading; a reading that fails lets the commit end.
            let (counts, next) = tokio::try_join!(committing, reading)?;
            progress.counts += counts;
            progress.batches += 1;
            self.observer.committed(progress);
            match next? {
                None => return Ok(()),
                Some(next) => batch = next,
            }
        }
    }

    async fn discover(&mut self) -> Result<Vec<Table>, End> {
        let mut attempt = 0;
        loop {
            match self.sandbox.discover().await {
                Ok(tables) => return Ok(tables),
                Err(error) => self.pause("discover", error, &mut attempt).await?,
            }
        }
    }

    async fn read_after(
        &mut self,
        rest: Option<Duration>,
        table: &str,
        cursor: Option<String>,
        progress: &mut TableReport,
    ) -> Result<Batch, End> {
        if let Some(rest) = rest.filter(|rest| !rest.is_zero()) {
            if rest > self.limits.retry.max_wait {
                let message = format!("the source asks to wait {}", duration(rest));
                let error = Error::new(Origin::Component, Kind::RateLimited, message)
                    .hint(format!("run it again in {}", duration(rest)));
                return Err(error.into());
            }
            self.sleep(table, rest, "the source asks to").await?;
        }
        self.read(table, cursor, progress).await
    }

    /// The next batch, with as many attempts as the policy allows.
    async fn read(
        &mut self,
        table: &str,
        cursor: Option<String>,
        progress: &mut TableReport,
    ) -> Result<Batch, End> {
        let mut attempt = 0;
        loop {
            if self.stop.is_requested() {
                return Err(End::Interrupted);
            }
            let before = self.sandbox.meter().requests();
            let started = Instant::now();
            let outcome = self.read_once(table, cursor.clone()).await;
            let requests = self.sandbox.meter().requests() - before;
            progress.requests += requests;
            match outcome? {
                Ok(batch) => {
                    tracing::debug!(
                        table,
                        rows = batch.changes.len(),
                        requests,
                        elapsed_ms = millis(started.elapsed()),
                        caught_up = batch.caught_up,
                        "batch read"
                    );
                    return Ok(batch);
                }
                Err(error) => {
                    progress.spent(&error.attributes);
                    self.pause(table, error, &mut attempt).await?;
                }
            }
        }
    }

    /// One call; a stop lets it end within [`STOP_GRACE`] and drops what it brings.
    async fn read_once(&mut self, table: &str, cursor: Option<String>) -> Result<Result<Batch>, End> {
        let call = self.sandbox.read(table.to_owned(), cursor);
        let mut call = std::pin::pin!(call);
        tokio::select! {
            outcome = &mut call => Ok(outcome),
            () = self.stop.requested() => {
                let _dropped = tokio::time::timeout(STOP_GRACE, call).await;
                Err(End::Interrupted)
            }
        }
    }

    /// Waits as the policy says, or ends with the error to report.
    async fn pause(&mut self, what: &str, error: Error, attempt: &mut u32) -> Result<(), End> {
        *attempt += 1;
        let why = error.message.clone();
        match decide(error, *attempt, &self.limits, random_unit()) {
            Decision::Stop(error) => Err(error.into()),
            Decision::Again(wait) => {
                tracing::info!(table = what, attempt, wait_ms = millis(wait), error = %why, "tries again");
                self.sleep(what, wait, &why).await
            }
        }
    }

    async fn sleep(&mut self, table: &str, wait: Duration, why: &str) -> Result<(), End> {
        self.observer.waiting(table, wait, why);
        tokio::select! {
            () = tokio::time::sleep(wait) => Ok(()),
            () = self.stop.requested() => Err(End::Interrupted),
        }
    }

    /// Stores a batch; takes nothing of `self` along, so that reading can go on beside it.
    fn commit(&self, table: &str, batch: Batch) -> impl Future<Output = Result<Counts>> + use<> {
        let table = table.to_owned();
        self.sink.work(move |sink| sink.commit(&Commit::of(&table, &batch)))
    }
}

/// Whether the other tables would fail the same way, or could not be stored.
fn is_fatal(error: &Error) -> bool {
    matches!(error.kind, Kind::Auth | Kind::Config)
        || matches!(error.origin, Origin::Sink | Origin::State | Origin::Host)
}

fn loops(batches: u32) -> Error {
    Error::data(format!("{batches} batches in a row did not move the cursor"))
        .hint("a defect of the component: it reads the same page again and again")
}

/// The wanted tables in the order of discovery.
fn pick(tables: &[Table], wanted: &[String]) -> Result<Vec<Table>> {
    if let Some(unknown) = wanted.iter().find(|name| !tables.iter().any(|t| t.name == **name)) {
        let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
        return Err(Error::new(
            Origin::Host,
            Kind::NotFound,
            format!("table `{unknown}`: not among the tables of this connection"),
        )
        .hint(format!("tables: {}", names.join(", "))));
    }
    let is_wanted = |table: &&Table| wanted.is_empty() || wanted.contains(&table.name);
    Ok(tables.iter().filter(is_wanted).cloned().collect())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl TableReport {
    /// Notes what a batch cost and said.
    fn take(&mut self, batch: &Batch) {
        self.spent(&batch.attributes);
        for (name, text) in &batch.attributes {
            if name == "warning" && !self.warnings.contains(text) {
                tracing::warn!(table = %self.table, warning = %text, "the source warns");
                self.warnings.push(text.clone());
            }
        }
    }

    fn spent(&mut self, attributes: &crate::change::Attributes) {
        self.credits_used += number(attributes, "credits-used").unwrap_or(0);
        if let Some(left) = attribute(attributes, "credits-left") {
            self.credits_left = left.parse().ok();
        }
    }
}
