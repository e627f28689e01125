//! Event loop of one connection: apply queued deliveries, read one batch of the next due table, serve a
//! command, wait. `sync` and `serve` run the same loop: until every table is caught up, or until it is
//! stopped.
//!
//! Each concern owns its state and returns an outcome; this file connects them: [`discovery`] (which tables),
//! [`schedule`] (which one next), [`poll`] (read and commit), [`webhooks`] (deliveries), [`subscription`]
//! (the webhook URL at the source), [`request`] and [`respond`] (commands). [`schedule`], [`subscription`],
//! [`triage`], [`batch_size`], [`waiting`] and [`crate::policy`] are pure.
//!
//! Only the actor calls the component and writes to the sink, so a session is renewed once and commits come
//! in the order of the calls. It ends with a failure of the whole connection; [`crate::serve`] restarts it.

mod batch_size;
mod config;
mod core;
mod discovery;
mod fetching;
mod observer;
mod poll;
mod request;
mod respond;
mod schedule;
mod subscription;
mod triage;
mod waiting;
mod webhooks;

use tokio::sync::mpsc;
use tokio::time::Instant;

use self::core::{Core, until};
use self::discovery::{Discovered, Discovery};
use self::fetching::Fetching;
use self::poll::Poll;
use self::schedule::{Order, Schedule, Start};
use self::subscription::Subscription;
use self::webhooks::Queue;
use crate::change::Table;
use crate::clock::{ms_of_rfc3339, now_ms, random_unit};
use crate::error::Result;
use crate::limits::INSTANCE_IDLE;
use crate::metrics::State;
use crate::policy::Budget;
use crate::sinks::{JournalState, SinkHandle};

pub(crate) use self::config::{ActorConfig, Mode, Stopped};
pub(crate) use self::observer::{Observer, Warnings};
pub(crate) use self::request::{Answer, Command};
pub(crate) use self::respond::rotate_url;
pub(crate) use self::respond::{answer_once, answer_with};

/// A running actor.
pub(crate) struct Actor<'a> {
    core: Core<'a>,
    mode: Mode,
    commands: mpsc::Receiver<Command>,
    discovery: Discovery,
    poll: Poll,
    fetching: Option<Fetching>,
    queue: Option<Queue>,
    subscription: Subscription,
}

impl<'a> Actor<'a> {
    /// An actor before its first call.
    pub(crate) fn new(config: ActorConfig, mode: Mode, observer: &'a mut dyn Observer) -> Self {
        let ActorConfig { mut connection, sink, queue, public_url, commands, meters, stop } = config;
        if matches!(mode, Mode::Serve) {
            connection.sandbox.share_machine();
        }
        let (now, limits) = (Instant::now(), &connection.limits);
        let (order, tables, budget) = match mode {
            Mode::Serve => {
                let order = Order::InTurn { poll: limits.serve.poll_interval };
                (order, Budget::table(limits), Budget::endless(limits))
            }
            Mode::Sync { .. } => (Order::OneByOne, Budget::run(limits), Budget::run(limits)),
        };
        let is_again = connection.store.starts_again();
        let start = Start { at_ms: now_ms(), is_again, random: random_unit() };
        let queue = queue.map(|queue| Queue::new(queue, &connection.name, now));
        let subscription = Subscription::new(connection.subscription.take(), public_url, now);
        let compares = sink.capabilities().compares_rows;
        let attachments = sink.attachments();
        let fetching =
            attachments.map(|files| Fetching::new(files, limits, matches!(mode, Mode::Sync { .. })));
        meters.count(|readings| readings.files = sink.late_files());
        let sink = SinkHandle::metered(sink, connection.sandbox.cpu_meter());
        let core = Core {
            connection,
            sink,
            compares,
            meters,
            stop,
            expects_webhooks: false,
            budget,
            observer,
            requests_counted: 0,
            warned_of_skew: false,
        };
        Self {
            core,
            commands,
            discovery: Discovery::new(mode.clone(), now),
            poll: Poll::new(Schedule::new(order, start), tables),
            fetching,
            queue,
            subscription,
            mode,
        }
    }

    /// Runs until it ends; the commit and the acknowledgment under way are waited for.
    pub(crate) fn run(self) -> impl Future<Output = Stopped> + Send {
        // In a box: the task of a connection would have room for it twice.
        let mut actor = Box::new(self);
        async move {
            let stopped = loop {
                if let Err(stopped) = actor.turn().await {
                    break stopped;
                }
            };
            let _ended_already = actor.settle().await;
            if let Some(queue) = &mut actor.queue {
                queue.settle().await;
            }
            actor.core.count_requests();
            actor.core.sink.close().await; // before the lock is released
            stopped
        }
    }

    /// Does one thing that is due, or waits until something is.
    async fn turn(&mut self) -> Result<(), Stopped> {
        if self.core.stop.is_requested() {
            return Err(Stopped::Requested);
        }
        if let Ok(command) = self.commands.try_recv() {
            self.answer(command).await?;
        }
        self.core.count_requests();
        let has_received = self.queue.as_ref().map(Queue::has_received);
        let is_subscribed = self.subscription.document().is_some();
        self.core.expects_webhooks = has_received.is_some_and(|received| received || is_subscribed);
        let now = Instant::now();
        if let Some(queue) = &mut self.queue {
            queue.acknowledge_again(now);
        }
        let is_due = |due: Option<Instant>| due.is_some_and(|due| due <= now);
        // Before the tables are known there is nothing to poll early: all are read once they are.
        let missed = self.queue.as_mut().and_then(Queue::missed);
        if !self.discovery.is_done() {
            if is_due(self.discovery.due()) {
                return self.rediscover().await;
            }
            let is_due =
                self.queue.as_mut().is_some_and(|queue| queue.is_resumed() && queue.is_due(now, false));
            return if is_due && self.receive().await? { Ok(()) } else { self.wait().await };
        }
        if let Some(why) = missed {
            self.poll_early(why);
        }
        if is_due(self.subscription_due()) {
            return self.renew_subscription().await;
        }
        let is_table_due = is_due(self.poll.schedule.due());
        let is_queue_due = self.queue.as_mut().is_some_and(|queue| queue.is_due(now, is_table_due));
        if is_queue_due && self.receive().await? {
            return Ok(());
        }
        if is_due(self.discovery.due()) {
            return self.rediscover().await;
        }
        if is_table_due && !self.may_read(is_queue_due).await? {
            return Ok(());
        }
        if let Some(next) = self.poll.schedule.next(now) {
            return self.read(next).await;
        }
        if is_due(self.fetching.as_ref().and_then(|files| files.due(now))) {
            return self.fetch(is_queue_due).await;
        }
        if matches!(self.mode, Mode::Sync { .. }) && self.poll.schedule.has_ended() {
            self.settle().await?;
            if self.fetching.as_ref().is_none_or(Fetching::is_over) {
                if let Some(fetching) = &self.fetching {
                    fetching.report(&mut self.core).await?;
                }
                // Files may take as long as their place; their rows are safe without them.
                let finished = self.core.sink.run(|sink| sink.finish());
                return Err(tokio::select! {
                    finished = finished => finished.map(|()| Stopped::Finished)?,
                    () = self.core.stop.requested() => Stopped::Requested,
                });
            }
        }
        self.wait().await
    }

    /// Waits for a permit to read; false if a command came first, or a delivery and the queue `is_due`.
    /// Otherwise deliveries without end would cost the read its place in the order of waiting reads.
    async fn may_read(&mut self, is_due: bool) -> Result<bool, Stopped> {
        let mut idle = Some(Instant::now() + INSTANCE_IDLE);
        loop {
            tokio::select! {
                biased;
                () = self.core.stop.requested() => return Err(Stopped::Requested),
                reserved = self.core.connection.sandbox.reserve_read() => return Ok(reserved.map(|()| true)?),
                Some(command) = self.commands.recv() => return self.answer(command).await.map(|()| false),
                () = changed(&mut self.queue), if is_due => return Ok(false),
                // At the start thousands wait: their files would be more than the process may open.
                () = until(idle) => {
                    idle = None;
                    self.core.connection.sandbox.rest();
                    // After the commit under way; nothing waits for it.
                    drop(self.core.rest_sink());
                }
            }
        }
    }

    /// Waits for a delivery, a command, a stop, or the time at which something is due.
    async fn wait(&mut self) -> Result<(), Stopped> {
        self.core.connection.sandbox.unreserve();
        self.settle().await?;
        if let Some(queue) = &mut self.queue {
            queue.settle().await;
        }
        let now = Instant::now();
        let takes_deliveries = self.queue.as_ref().is_some_and(Queue::is_resumed);
        let queue = self.queue.as_ref().filter(|_| takes_deliveries).and_then(|queue| queue.due(now));
        let mut due = self.discovery.due().into_iter().chain(queue).min();
        if self.discovery.is_done() {
            let files = self.fetching.as_ref().and_then(|files| files.due(now));
            let others = [self.poll.schedule.due(), self.subscription_due(), files];
            due = others.into_iter().flatten().chain(due).min();
        }
        let mut idle = Some(now + INSTANCE_IDLE);
        loop {
            tokio::select! {
                () = self.core.stop.requested() => return Err(Stopped::Requested),
                () = until(due) => return Ok(()),
                // Also without an instance: it may have been evicted, or a trap ended it.
                () = until(idle) => {
                    idle = None;
                    self.core.connection.sandbox.release();
                    self.core.rest_sink().await?;
                }
                Some(command) = self.commands.recv() => return self.answer(command).await,
                () = changed(&mut self.queue), if takes_deliveries => return Ok(()),
            }
        }
    }

    /// Discovers the tables because it is time.
    async fn rediscover(&mut self) -> Result<(), Stopped> {
        match self.discover().await? {
            Ok(_) => Ok(()),
            Err(error) => {
                self.discovery.failed(&mut self.core, error)?;
                if let Some(queue) = &mut self.queue {
                    queue.resume_early(&mut self.core).await?;
                }
                Ok(())
            }
        }
    }

    /// Discovers the tables and continues with those that there are.
    async fn discover(&mut self) -> Result<Result<Vec<Table>>, Stopped> {
        self.settle().await?;
        let was_running = self.discovery.is_done();
        let Discovered { tables, mut states, journal } = match self.discovery.discover(&mut self.core).await?
        {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        if !was_running {
            self.resume(journal).await?;
        }
        if matches!(self.mode, Mode::Sync { full_refresh: true, .. }) {
            states.clear();
        }
        let names = self.discovery.tables();
        if !was_running || !self.poll.schedule.has_tables(names) {
            let now = Instant::now();
            let connection = &self.core.connection.name;
            tracing::info!(%connection, tables = names.join(","), "tables discovered");
            self.poll.schedule.set_tables(names, &states, now);
            self.core.observer.discovered(names);
            self.core.meters.count(|readings| readings.tables.retain(|table, _| names.contains(table)));
            // A subscription names the tables that there were.
            self.subscription.changed(now);
        }
        self.core.meters.count(|readings| {
            for (table, is_complete) in self.poll.schedule.tables() {
                readings.table(table).snapshot_complete = is_complete;
            }
        });
        Ok(Ok(tables))
    }

    /// The tables are known for the first time: the queue continues where it was.
    async fn resume(&mut self, journal: Option<JournalState>) -> Result<()> {
        let delivered = journal.as_ref().and_then(|journal| ms_of_rfc3339(journal.applied_at.as_ref()?));
        self.core.meters.enter(State::Running, None);
        self.core.meters.count(|readings| {
            readings.last_delivery_ms = readings.last_delivery_ms.max(delivered.unwrap_or(0));
        });
        if let Some(queue) = &mut self.queue {
            queue.discovered();
            queue.resume(journal).await?;
        }
        tracing::info!(connection = %self.core.connection.name, "running");
        Ok(())
    }

    /// Reads one batch of a table.
    async fn read(&mut self, next: (String, Option<String>)) -> Result<(), Stopped> {
        let is_answered = self.poll.poll(&mut self.core, next).await?;
        self.note_repairs();
        if let Some(queue) = self.queue.as_mut().filter(|_| is_answered) {
            queue.answered();
        }
        Ok(())
    }

    /// Fetches a piece of an attachment.
    async fn fetch(&mut self, is_queue_due: bool) -> Result<(), Stopped> {
        self.settle().await?;
        if !self.may_read(is_queue_due).await? {
            return Ok(());
        }
        match &mut self.fetching {
            Some(fetching) => fetching.fetch(&mut self.core).await,
            None => Ok(()),
        }
    }

    /// Waits for the commit under way, before anything else uses the sink.
    async fn settle(&mut self) -> Result<(), Stopped> {
        self.poll.settle(&mut self.core).await?;
        self.note_repairs();
        Ok(())
    }

    /// Checks the subscription soon if a poll repaired rows.
    fn note_repairs(&mut self) {
        if self.poll.take_repaired() {
            self.subscription.repaired(Instant::now());
        }
    }

    /// Applies queued deliveries; false if there are none.
    async fn receive(&mut self) -> Result<bool, Stopped> {
        let subscription = self.subscription.document().cloned();
        let Some(queue) = &mut self.queue else { return Ok(false) };
        let Some(received) = queue.receive(&mut self.core, subscription).await? else { return Ok(false) };
        self.settle().await?;
        let Some(queue) = &mut self.queue else { return Ok(false) };
        if queue.store(&mut self.core, received).await? {
            self.poll_early("webhooks are late: the oldest delivery cannot be applied");
        }
        Ok(true)
    }

    /// Deliveries were missed or are late: the tables of webhooks are polled early.
    fn poll_early(&mut self, why: &str) {
        let tables = self.core.connection.describe.subscribable(self.discovery.tables()).unwrap_or_default();
        if self.poll.schedule.missed(&tables, Instant::now()) {
            tracing::info!(connection = %self.core.connection.name, why, "missed deliveries: polled early");
        }
    }

    /// When the subscription is to be checked; `sync` leaves it alone.
    fn subscription_due(&self) -> Option<Instant> {
        self.queue.as_ref().and(self.subscription.due())
    }

    /// Registers the webhook URL, or checks that it is registered; a failure is retried.
    async fn renew_subscription(&mut self) -> Result<(), Stopped> {
        let Some(request) = self.subscription.renewal() else { return Ok(()) };
        if let Err(error) = self.execute(&request).await? {
            let wait = self.core.backoff("subscribe", error, self.subscription.failed())?;
            self.subscription.retry(Instant::now() + wait);
        }
        Ok(())
    }
}

/// Returns when a queue has a delivery or missed one; never without a queue.
async fn changed(queue: &mut Option<Queue>) {
    match queue {
        Some(queue) => queue.changed().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
