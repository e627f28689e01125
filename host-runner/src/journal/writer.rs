//! The thread that writes: commits queued commands in one transaction and answers after `COMMIT` returned.
//!
//! A failure is the answer to the commands of its batch. Without room on the disk the transaction is undone,
//! and the database stays open. Any other failure closes it, and the next batch opens it again, so that the
//! writer recovers from a failing disk without a restart. While its file is moved away, every batch fails.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use rusqlite::{Connection as Database, ErrorCode, TransactionBehavior};

use super::age::Clock;
use super::database::{self, Trouble, failure};
use super::ledger::{Ledger, version};
use super::limits::{EVICTIONS_LOGGED_EVERY, EVICTIONS_LOGGED_MAX, JournalLimits, TICK, VACUUM_PAGES};
use super::notifier::Notifier;
use super::queue::{Change, Command, Queue};
use super::transaction::{Effects, Outcome, Transaction};
use crate::clock::now_ms;
use crate::error::{Error, Result};
use crate::inbox::AppendError;
use crate::sqlite_file::{OpenFile, empty_log, empty_log_at_once, leave_log};
use crate::telemetry::News;

/// The writer's state: file, limits, and the open database with its ledger.
pub(super) struct Writer {
    file: OpenFile,
    limits: JournalLimits,
    open: Option<(Database, Ledger)>,
    notifier: Arc<Notifier>,
    clock: Clock,
    ticks: u32,
    /// The connections whose evicted dead letters were logged.
    evictions: News,
    /// Why the last batch failed, as the log has it; empty after one that did not.
    failure: String,
    /// Whether this process owns the journal: deliveries age by its clock alone.
    expires: bool,
}

/// Why a batch could not be committed.
struct Failed {
    error: Box<Error>,
    /// The disk, or the file within its limit, has no room.
    is_full: bool,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error: Box::new(error), is_full: false }
    }
}

/// Abandons the queue when the thread ends, also by a panic.
struct Abandon(Arc<Queue>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl Writer {
    pub(super) fn new(
        file: OpenFile,
        limits: JournalLimits,
        database: Database,
        ledger: Ledger,
        notifier: Arc<Notifier>,
        expires: bool,
    ) -> Self {
        let clock = Clock::start(&database, now_ms());
        let evictions = News::new(EVICTIONS_LOGGED_EVERY, EVICTIONS_LOGGED_MAX);
        let open = Some((database, ledger));
        Self { file, limits, open, notifier, clock, ticks: 0, evictions, failure: String::new(), expires }
    }

    pub(super) fn spawn(mut self, queue: Arc<Queue>) -> Result<JoinHandle<()>> {
        let thread = std::thread::Builder::new().name("journal".to_owned());
        let spawned = thread.spawn(move || {
            let queue = Abandon(queue);
            self.serve(&queue.0);
        });
        spawned.map_err(|error| Error::state(format!("journal: no thread for it: {error}")))
    }

    fn serve(&mut self, queue: &Queue) {
        let mut ticked = Instant::now();
        while let Some(batch) = queue.take(TICK) {
            if !batch.is_empty() {
                self.guarded(batch);
            }
            if ticked.elapsed() >= TICK {
                ticked = Instant::now();
                self.guarded(Vec::new());
            }
        }
        if let Some((database, _)) = &self.open {
            self.file.part_with_log(database);
        }
    }

    /// A panic fails one batch, whose senders must send again, and not the journal.
    fn guarded(&mut self, batch: Vec<Command>) {
        let done =
            catch_unwind(AssertUnwindSafe(
                || {
                    if batch.is_empty() { self.tick() } else { self.commit(batch) }
                },
            ));
        if done.is_err() {
            self.open = None;
        }
    }

    fn commit(&mut self, batch: Vec<Command>) {
        let Failed { error, is_full } = match self.attempt(&batch, true) {
            Ok(outcomes) => return answer(batch, outcomes),
            Err(failed) => failed,
        };
        // Kept deliveries give way to new ones.
        if is_full
            && self.evict()
            && let Ok(outcomes) = self.attempt(&batch, true)
        {
            return answer(batch, outcomes);
        }
        // The other commands free space: they must not fail because appends do.
        let is_append = |command: &Command| matches!(command, Command::Append { .. });
        let (appends, changes): (Vec<_>, Vec<_>) = batch.into_iter().partition(is_append);
        // A tick has a command, too, and fails for as long as they do.
        if !appends.is_empty() || self.failure != error.message {
            tracing::error!(error = %error, waiting = appends.len(), "the journal cannot be written");
            self.failure.clone_from(&error.message);
        }
        for append in &appends {
            if let Command::Append { connection, .. } = append {
                self.notifier.missed.report(connection, "the journal could not be written");
            }
        }
        refuse(appends, &error);
        if changes.is_empty() {
            return;
        }
        match self.attempt(&changes, false) {
            Ok(outcomes) => answer(changes, outcomes),
            Err(failed) => refuse(changes, &failed.error),
        }
    }

    /// Deletes all acknowledged deliveries; true if there were any.
    fn evict(&mut self) -> bool {
        let (reply, _unused) = std::sync::mpsc::sync_channel(1);
        let evicted = self.attempt(&[Command::Change { change: Change::Evict, reply }], false);
        matches!(evicted.as_deref(), Ok([Outcome::Change(Ok(evicted))]) if !evicted.is_empty())
    }

    fn attempt(&mut self, batch: &[Command], keeps: bool) -> Result<Vec<Outcome>, Failed> {
        if let Err(error) = database::in_place(&self.file) {
            // Stays open while a reader needs its log: without it, the file would lack deliveries once it is
            // moved back.
            let parts = |database: &Database| empty_log_at_once(database).and_then(|()| leave_log(database));
            self.open.take_if(|(database, _)| parts(database).is_ok());
            return Err(error.into());
        }
        let (mut database, mut ledger) = match self.open.take() {
            Some(open) => open,
            None => self.reopen()?,
        };
        let outcomes = self.transact(&mut database, &mut ledger, batch, keeps);
        match &outcomes {
            Ok(_) => self.failure.clear(),
            Err(failed) if failed.is_full => {
                ledger.undo();
                // The log gives back the space that its pages took twice.
                if let Err(error) = empty_log(&database) {
                    tracing::debug!(%error, "the journal's log keeps its space");
                }
            }
            Err(_) => return outcomes,
        }
        self.open = Some((database, ledger));
        outcomes
    }

    fn transact(
        &mut self,
        database: &mut Database,
        ledger: &mut Ledger,
        batch: &[Command],
        keeps: bool,
    ) -> Result<Vec<Outcome>, Failed> {
        let failed = |error: rusqlite::Error| Failed {
            is_full: error.sqlite_error_code() == Some(ErrorCode::DiskFull),
            error: Box::new(failure(self.file.path(), &error)),
        };
        let mut effects = Effects::default();
        ledger.begin();
        let open = database.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        if version(&open).map_err(failed)? != ledger.version {
            *ledger = Ledger::load(&open).map_err(failed)?;
            self.notifier.publish_all(ledger);
        }
        let mut transaction = Transaction {
            database: &open,
            ledger,
            limits: &self.limits,
            now_ms: now_ms(),
            age_ms: self.clock.append_ms(now_ms()),
            keeps,
            effects: &mut effects,
        };
        let outcomes: rusqlite::Result<Vec<Outcome>> =
            batch.iter().map(|command| transaction.run(command)).collect();
        let outcomes = outcomes.map_err(failed)?;
        #[cfg(test)]
        if self.notifier.fails() {
            return Err(Error::state("a fault that a test injects").into());
        }
        open.commit().map_err(failed)?;
        effects.touched.sort_unstable();
        effects.touched.dedup();
        for connection in &effects.touched {
            if let Some(account) = ledger.account(connection) {
                self.notifier.publish(connection, account);
            }
        }
        for (connection, counts) in &effects.letters {
            self.notifier.count_letters(connection, *counts);
            if counts.evicted > 0 && self.evictions.is_news(connection, tokio::time::Instant::now()) {
                tracing::warn!(connection, "dead letters are full: unproved ones are evicted");
            }
        }
        effects.missed.iter().for_each(|(connection, why)| self.notifier.missed.report(connection, why));
        Ok(outcomes)
    }

    fn reopen(&self) -> Result<(Database, Ledger)> {
        let path = self.file.path();
        let database = database::open(path, &self.limits, now_ms()).map_err(|trouble| match trouble {
            Trouble::Unreadable(reason) => {
                Error::state(format!("journal {}: unreadable: {reason}", path.display()))
                    .hint("restart: the file is then set aside and its readable records are copied")
            }
            Trouble::Other(error) => error,
        })?;
        self.file.note_log();
        // After a failed sync the log may hold pages that are in memory alone: nothing is appended to it.
        let failed = |error: rusqlite::Error| failure(path, &error);
        empty_log(&database).map_err(failed)?;
        let ledger = Ledger::load(&database).map_err(failed)?;
        self.notifier.publish_all(&ledger);
        Ok((database, ledger))
    }

    /// Expires old deliveries, notices changes by another process, and returns free space to the disk.
    fn tick(&mut self) {
        let is_time = self.expires && self.clock.is_time(self.ticks);
        self.ticks = self.ticks.wrapping_add(1);
        if let Some((database, ledger)) = &self.open {
            let changed = version(database).map(|version| version != ledger.version);
            if let Ok(false) = changed
                && !is_time
                && self.file.displaced().is_none()
            {
                if let Err(error) = shrink(database) {
                    tracing::debug!(%error, "the journal keeps its free space");
                }
                return;
            }
        }
        let (reply, answer) = std::sync::mpsc::sync_channel(1);
        // Without a change, the commit notices those of another process.
        let nothing = Change::Drop { ids: Vec::new() };
        let expire = Change::Expire { now_ms: self.clock.expiry_ms(now_ms()) };
        self.commit(vec![Command::Change { change: if is_time { expire } else { nothing }, reply }]);
        if let Ok(Ok(expired)) = answer.try_recv()
            && !expired.is_empty()
        {
            tracing::warn!(count = expired.len(), "deliveries waited too long and became dead letters");
        }
    }
}

/// Returns free pages to the disk, some at a time, once a quarter of the file is free.
pub(super) fn shrink(database: &Database) -> rusqlite::Result<()> {
    let count = |name: &str| database.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
    let (free, all) = (count("freelist_count")?, count("page_count")?);
    if free < VACUUM_PAGES || free < all / 4 {
        return Ok(());
    }
    let mut vacuum = database.prepare(&format!("PRAGMA incremental_vacuum({VACUUM_PAGES})"))?;
    let mut rows = vacuum.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

fn answer(batch: Vec<Command>, outcomes: Vec<Outcome>) {
    for (command, outcome) in batch.into_iter().zip(outcomes) {
        // A caller that no longer waits does not undo the commit.
        match (command, outcome) {
            (Command::Append { reply, .. }, Outcome::Append(answer)) => drop(reply.send(answer)),
            (Command::Change { reply, .. }, Outcome::Change(answer)) => drop(reply.send(answer)),
            _ => {}
        }
    }
}

fn refuse(batch: Vec<Command>, error: &Error) {
    for command in batch {
        match command {
            Command::Append { reply, .. } => {
                drop(reply.send(Err(AppendError::Failed(error.message.clone()))));
            }
            Command::Change { reply, .. } => drop(reply.send(Err(error.clone()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Seek;
    use std::path::Path;
    use std::sync::Arc;

    use tokio::sync::oneshot;

    use super::{Command, Ledger, OpenFile, Writer};
    use crate::inbox::conformance::delivery;
    use crate::journal::notifier::Notifier;
    use crate::journal::record::Record;
    use crate::journal::{JournalLimits, database};

    /// Appends a delivery of 10 kB each to these connections, in one transaction; whether they were taken.
    fn append(writer: &mut Writer, connections: &[&str]) -> bool {
        let (replies, answers): (Vec<_>, Vec<_>) = connections.iter().map(|_| oneshot::channel()).unzip();
        let one = |(connection, reply): (&&str, _)| {
            let record = Record::new(connection, delivery(&"x".repeat(10_000)));
            Command::Append { connection: (*connection).to_owned(), record, reply }
        };
        writer.commit(connections.iter().zip(replies).map(one).collect());
        answers.into_iter().all(|mut answer| answer.try_recv().expect("answered").is_ok())
    }

    fn writer(path: &Path, limits: JournalLimits) -> Writer {
        let database = database::open(path, &limits, 0).expect("opened");
        let ledger = Ledger::load(&database).expect("loaded");
        let file = OpenFile::at(path).expect("there");
        Writer::new(file, limits, database, ledger, Arc::<Notifier>::default(), true)
    }

    #[test]
    fn a_journal_that_is_away_is_logged_once_and_with_each_delivery_that_is_not_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal.db");
        let mut writer = writer(&path, JournalLimits::default());
        let mut log = Arc::new(tempfile::tempfile().expect("a file"));
        let lines = tracing_subscriber::fmt().with_writer(Arc::clone(&log)).finish();
        tracing::subscriber::with_default(lines, || {
            for _ in 0..2 {
                std::fs::rename(&path, folder.path().join("aside.db")).expect("moved");
                (0..5).for_each(|_| writer.tick());
                assert!(!append(&mut writer, &["a"]));
                writer.tick();
                std::fs::rename(folder.path().join("aside.db"), &path).expect("moved back");
                writer.tick();
            }
        });
        log.rewind().expect("a file");
        let log = std::io::read_to_string(&mut log).expect("text");
        let errors: Vec<&str> = log.lines().filter(|line| line.contains("cannot be written")).collect();
        assert_eq!(errors.len(), 4, "{log}");
    }

    #[test]
    fn a_full_disk_costs_no_reading_of_the_queues_and_no_account_counts_what_was_undone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal.db");
        let limits = JournalLimits { file_bytes: 512 << 10, ..JournalLimits::default() };
        let mut writer = writer(&path, limits);
        while append(&mut writer, &["a"]) {}
        assert!(!append(&mut writer, &["a", "new"]));
        let (database, ledger) = writer.open.as_ref().expect("it stays open, and nothing is added up again");
        let loaded = Ledger::load(database).expect("loaded");
        assert_eq!((ledger.account("a"), ledger.kept), (loaded.account("a"), loaded.kept));
        assert_eq!((ledger.account("new"), loaded.account("new")), (None, None));
        assert!(ledger.account("a").is_some_and(|account| account.pending.count > 10));
        database.execute_batch("DELETE FROM deliveries").expect("room");
        assert!(append(&mut writer, &["new"]), "an account that was undone is created again");
    }
}
