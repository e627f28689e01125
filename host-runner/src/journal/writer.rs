//! The thread that writes: commits queued commands in one transaction and answers after `COMMIT` returned.
//!
//! A failure is the answer to the commands of its batch and closes the database connection. The next batch
//! opens another one, so that the writer recovers from a full or failing disk without a restart.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use rusqlite::{Connection as Database, TransactionBehavior};

use super::database::{self, Trouble, failure};
use super::delivery::AppendError;
use super::ledger::{Ledger, version};
use super::limits::{JournalLimits, TICK};
use super::notifier::Notifier;
use super::queue::{Change, Command, Queue};
use super::transaction::{Outcome, Transaction};
use crate::error::{Error, Result};

/// The writer's state: file, limits, and the open database with its ledger.
pub(super) struct Writer {
    path: PathBuf,
    limits: JournalLimits,
    open: Option<(Database, Ledger)>,
    notifier: Arc<Notifier>,
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
        path: PathBuf,
        limits: JournalLimits,
        database: Database,
        ledger: Ledger,
        notifier: Arc<Notifier>,
    ) -> Self {
        Self { path, limits, open: Some((database, ledger)), notifier }
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
        let error = match self.attempt(&batch) {
            Ok(outcomes) => return answer(batch, outcomes),
            Err(error) => error,
        };
        tracing::error!(error = %error, waiting = batch.len(), "the journal cannot be written");
        // The other commands free space: they must not fail because appends do.
        let is_append = |command: &Command| matches!(command, Command::Append { .. });
        let (appends, changes): (Vec<_>, Vec<_>) = batch.into_iter().partition(is_append);
        let retry = !appends.is_empty() && !changes.is_empty();
        for append in &appends {
            if let Command::Append { connection, .. } = append {
                self.notifier.missed.report(connection, "the journal could not be written");
            }
        }
        refuse(appends, &error);
        match if retry { self.attempt(&changes) } else { Err(error) } {
            Ok(outcomes) => answer(changes, outcomes),
            Err(error) => refuse(changes, &error),
        }
    }

    fn attempt(&mut self, batch: &[Command]) -> Result<Vec<Outcome>> {
        // Stored again only after a commit: a failure closes it.
        let (mut database, mut ledger) = match self.open.take() {
            Some(open) => open,
            None => self.reopen()?,
        };
        let failed = |error: rusqlite::Error| failure(&self.path, &error);
        let (mut touched, mut missed, mut all) = (Vec::new(), Vec::new(), false);
        let open = database.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        if version(&open).map_err(failed)? != ledger.version {
            ledger = Ledger::load(&open).map_err(failed)?;
            all = true;
        }
        let now_ms = crate::clock::now_ms();
        let mut transaction = Transaction {
            database: &open,
            ledger: &mut ledger,
            limits: &self.limits,
            now_ms,
            touched: &mut touched,
            missed: &mut missed,
        };
        let outcomes: rusqlite::Result<Vec<Outcome>> =
            batch.iter().map(|command| transaction.run(command)).collect();
        let outcomes = outcomes.map_err(failed)?;
        open.commit().map_err(failed)?;
        if all {
            self.notifier.publish_all(&ledger);
        }
        touched.sort_unstable();
        touched.dedup();
        for connection in &touched {
            if let Some(account) = ledger.account(connection) {
                self.notifier.publish(connection, account);
            }
        }
        missed.iter().for_each(|(connection, why)| self.notifier.missed.report(connection, why));
        self.open = Some((database, ledger));
        Ok(outcomes)
    }

    fn reopen(&self) -> Result<(Database, Ledger)> {
        let now_ms = crate::clock::now_ms();
        let database = database::open(&self.path, &self.limits, now_ms).map_err(|trouble| match trouble {
            Trouble::Unreadable(reason) => {
                Error::state(format!("journal {}: unreadable: {reason}", self.path.display()))
                    .hint("restart: the file is then set aside and its readable records are copied")
            }
            Trouble::Other(error) => error,
        })?;
        let ledger = Ledger::load(&database).map_err(|error| failure(&self.path, &error))?;
        self.notifier.publish_all(&ledger);
        Ok((database, ledger))
    }

    /// Expires old deliveries, and notices changes by another process.
    fn tick(&mut self) {
        let now_ms = crate::clock::now_ms();
        if let Some((database, ledger)) = &self.open {
            let oldest = "SELECT appended_at_ms FROM deliveries ORDER BY seq LIMIT 1";
            let oldest = database
                .prepare_cached(oldest)
                .and_then(|mut find| find.query_map([], |row| database::number(row, 0))?.next().transpose());
            let changed = version(database).map(|version| version != ledger.version);
            if let (Ok(oldest), Ok(false)) = (oldest, changed)
                && !oldest.is_some_and(|at_ms| self.limits.is_expired(at_ms, now_ms))
            {
                return;
            }
        }
        let (reply, answer) = std::sync::mpsc::sync_channel(1);
        let batch = vec![Command::Change { change: Change::Expire { now_ms }, reply }];
        self.commit(batch);
        if let Ok(Ok(expired)) = answer.try_recv()
            && !expired.is_empty()
        {
            tracing::warn!(count = expired.len(), "deliveries waited too long and became dead letters");
        }
    }
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
