//! `sync`: runs an actor until every table is caught up, and writes its report.
//!
//! Accounting only: [`crate::actor`] decides about reading, retries and failures.

mod progress;
mod report;

use std::time::{Duration, Instant};

use crate::actor::{Actor, ActorConfig, Mode, Observer, Stopped};
use crate::change::{attribute, number};
use crate::clock::millis;
use crate::error::{Error, Result};
use crate::sinks::Counts;

pub(crate) use progress::Progress;
pub(crate) use report::{Ending, SyncReport, TableReport};

/// Reads the tables of `mode` until they are caught up.
pub(crate) async fn sync(config: ActorConfig, mode: Mode, progress: Progress) -> Result<SyncReport> {
    let (started, meters) = (Instant::now(), config.meters.clone());
    let mut recorder = Recorder { progress, report: SyncReport::default(), table_started: started };
    let stopped = Actor::new(config, mode, &mut recorder).run().await;
    let mut report = recorder.finish(stopped)?;
    report.elapsed_ms = millis(started.elapsed());
    report.requests = meters.read().counters.source_requests.total();
    Ok(report)
}

/// Turns what an actor does into a report and a line of progress.
struct Recorder {
    progress: Progress,
    report: SyncReport,
    /// When the table that is read now was first called.
    table_started: Instant,
}

impl Recorder {
    /// The report; the error where no table could be read at all.
    fn finish(mut self, stopped: Stopped) -> Result<SyncReport> {
        match stopped {
            Stopped::Finished => {}
            Stopped::Requested => {
                self.report.interrupted = true;
                let elapsed_ms = millis(self.table_started.elapsed());
                let is_begun = |table: &&mut TableReport| table.ending == Ending::Reading;
                for table in self.report.tables.iter_mut().filter(is_begun) {
                    (table.ending, table.elapsed_ms) = (Ending::Interrupted, elapsed_ms);
                }
            }
            Stopped::Failed(error) => {
                if !self.report.tables.iter().any(|table| table.error().is_some()) {
                    return Err(error);
                }
            }
        }
        Ok(self.report)
    }

    fn table(&mut self, name: &str) -> Option<&mut TableReport> {
        self.report.tables.iter_mut().find(|table| table.table == name)
    }

    fn end(&mut self, name: &str, ending: Ending) {
        let elapsed_ms = millis(self.table_started.elapsed());
        self.progress.clear();
        if let Some(table) = self.table(name) {
            (table.ending, table.elapsed_ms) = (ending, elapsed_ms);
        }
    }
}

impl Observer for Recorder {
    fn discovered(&mut self, tables: &[String]) {
        self.report.tables = tables.iter().map(|table| TableReport::new(table)).collect();
    }

    fn reading(&mut self, table: &str) {
        if let Some(table) = self.table(table).filter(|table| table.ending == Ending::Skipped) {
            table.ending = Ending::Reading;
            self.table_started = Instant::now();
        }
    }

    fn called(&mut self, table: &str, requests: u64, attributes: &[(String, String)]) {
        let Some(table) = self.table(table) else { return };
        table.requests += requests;
        let credits = number(attributes, "credits-used").unwrap_or(0);
        table.credits_used = table.credits_used.saturating_add(credits);
        if let Some(left) = attribute(attributes, "credits-left") {
            table.credits_left = left.parse().ok();
        }
    }

    fn warned(&mut self, table: &str, warning: &str) -> bool {
        let Some(table) = self.table(table) else { return true };
        let is_new = !table.warnings.iter().any(|known| known == warning);
        if is_new {
            table.warnings.push(warning.to_owned());
        }
        is_new
    }

    fn committed(&mut self, table: &str, counts: &Counts) {
        let Some(table) = self.report.tables.iter_mut().find(|report| report.table == table) else { return };
        table.counts += *counts;
        table.batches += 1;
        self.progress.committed(table);
    }

    fn waiting(&mut self, what: &str, wait: Duration, why: &str) {
        self.progress.waiting(what, wait, why);
    }

    fn caught_up(&mut self, table: &str) {
        self.end(table, Ending::CaughtUp);
    }

    fn failed(&mut self, table: &str, error: &Error) {
        self.end(table, Ending::Failed(error.clone()));
    }
}
