//! The sandbox of one connection: every call of the contract, bounded in time and CPU.
//!
//! A trap, a timeout or a limit drops the instance and becomes an error; the next call creates another one
//! with the same configuration and session. The session is saved after every call that changed it. Knows
//! nothing of tables, files or retries.

mod cpu_account;
mod error;
mod instance;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;
use wasmtime::Store;

use self::cpu_account::Cpu;
use self::error::{refused, stopped, timed_out};
use self::instance::{Live, Slot};
use crate::bindings::{SourceConnector, types};
use crate::blocking;
use crate::boundary;
use crate::boundary::limits::{ANSWER, PIECE, SESSION, SUBSCRIPTION};
use crate::change::{Batch, CheckItem, Outcome, Piece, Receipt, Table};
use crate::clock;
use crate::conv;
use crate::delivery::Delivery;
use crate::describe::Describe;
use crate::egress::policy::Policy;
use crate::egress::{Client, Hooks, Meter};
use crate::engine::permits::{Class, Origin, Permit};
use crate::engine::{Component, Linked};
use crate::error::{Error, Kind, Result};
use crate::limits::{INSTANCE_REQUESTS_MAX, Limits, OFFLINE_CPU, OFFLINE_TIMEOUT};
use crate::secret::Redactor;
use crate::store_data::Host;
use crate::store_data::budget::Share;

/// Where the session of a connection is kept: tokens and other secrets of a component.
pub trait SessionStore: Send + Sync {
    /// Stores a changed session durably; none deletes it. May block.
    fn save(&self, session: Option<&str>) -> Result<()>;
    /// Reports that the component's session was refused; the one before it is kept.
    fn report_refused(&self, error: &Error);
    /// Whether the last [`Self::save`] succeeded.
    fn is_saved(&self) -> bool;
}

/// A component that runs for one connection.
pub struct Sandbox {
    linked: Linked,
    config: String,
    session: Option<String>,
    /// Whether the store has the session.
    is_saved: bool,
    /// Why the component's newest session was refused; the one before it counts.
    refused_session: Option<Error>,
    sessions: Arc<dyn SessionStore>,
    redactor: Redactor,
    client: Client,
    limits: Limits,
    meter: Arc<Meter>,
    cpu: Cpu,
    /// Of the memory that instances share.
    share: Share,
    /// The host that it calls first of all.
    origin: Option<Origin>,
    instance: Arc<Slot>,
    /// Waits for the permit of the next read.
    reserving: JoinSet<Result<Permit>>,
    reserved: Option<Permit>,
}

type Answer<T> = wasmtime::Result<Result<T, types::Error>>;
type Calling<'a, T> = Pin<Box<dyn Future<Output = Answer<T>> + Send + 'a>>;

/// One call of the contract as the closure that [`Sandbox::call`] takes. A macro, because the call borrows
/// two fields of [`Live`], and because a bound cannot require that the future of an async closure is `Send`.
macro_rules! export {
    (source.$call:ident($($argument:expr),*) $($then:tt)*) => {
        move |live| {
            Box::pin(async move {
                let source = live.world.connector_source_source().connection();
                source.$call(&mut live.store, live.connection, $($argument),*).await$($then)*
            })
        }
    };
    (webhook.$call:ident($($argument:expr),*) $($then:tt)*) => {
        move |live| {
            Box::pin(async move {
                let webhook = live.world.connector_source_webhook();
                webhook.$call(&mut live.store, live.connection, $($argument),*).await$($then)*
            })
        }
    };
}

impl Component {
    /// The component's `describe` document; the call has no network. One call for all connections.
    pub async fn describe(&self, limits: &Limits) -> Result<Describe> {
        let call = async || {
            let document = offline("describe", self, limits, async |store, world| {
                world.connector_source_metadata().call_describe(store).await
            });
            let describe = Describe::parse(&document.await?)?;
            if let Some(section) = &self.section {
                describe
                    .agrees_with(section)
                    .map_err(|error| error.about(format!("component {}", self.path.display())))?;
            }
            Ok(describe)
        };
        self.described.get_or_try_init(call).await.cloned()
    }
}

/// Lets a component parse its configuration, without network and session, in an instance for this call only.
pub(crate) async fn validate(
    component: &Component,
    config: String,
    limits: &Limits,
    redactor: &Redactor,
) -> Result<()> {
    let opened = offline("open", component, limits, async |store, world| {
        world.connector_source_source().connection().call_open(store, &config, None).await
    })
    .await?;
    opened.map(drop).map_err(|error| conv::error(error, redactor))
}

/// One call in a new instance that reaches no host and holds its permit for this call only. It has nothing to
/// wait for, so that its limits are those of the runner where a connection's are longer.
async fn offline<T>(
    name: &'static str,
    component: &Component,
    limits: &Limits,
    call: impl AsyncFnOnce(&mut Store<Host>, &SourceConnector) -> wasmtime::Result<T>,
) -> Result<T> {
    let mut limits = limits.clone();
    limits.sandbox.call_timeout = limits.sandbox.call_timeout.min(OFFLINE_TIMEOUT);
    limits.sandbox.cpu_time = limits.sandbox.cpu_time.min(OFFLINE_CPU);
    let limits = &limits;
    let linked = component.link()?;
    let client = Client::new(Policy::default(), limits, None)?;
    let hooks = Hooks { client, meter: Arc::default() };
    let _permit = linked.permits.acquire_offline().await?;
    let mut store = Host::store(&linked.engine, limits, hooks, linked.memory.account(Share::All));
    let calling = async {
        let world = linked.pre.instantiate_async(&mut store).await?;
        call(&mut store, &world).await
    };
    match timeout(limits.sandbox.call_timeout, calling).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(trap)) => Err(stopped(name, &trap, limits)),
        Err(_) => Err(timed_out(name, limits).hint("it needs no source for it: a defect of the component")),
    }
}

impl Sandbox {
    /// A sandbox for a connection; nothing runs yet.
    pub fn new(
        component: &Component,
        config: String,
        session: Option<String>,
        sessions: Arc<dyn SessionStore>,
        redactor: Redactor,
        client: Client,
        limits: Limits,
    ) -> Result<Self> {
        let linked = component.link()?;
        let (meter, is_saved) = (Arc::new(Meter::new(redactor.clone())), sessions.is_saved());
        let origin = client.policy().declared().first().map(|host| Origin::from(host.to_string()));
        let instance = Slot::new(&linked.permits);
        let (reserving, reserved) = (JoinSet::new(), None);
        Ok(Self {
            linked,
            config,
            session,
            is_saved,
            refused_session: None,
            sessions,
            redactor,
            client,
            limits,
            meter,
            cpu: Cpu::default(),
            share: Share::All,
            origin,
            instance,
            reserving,
            reserved,
        })
    }

    /// Drops the instance until the next call; it holds no state that is not stored.
    pub fn release(&mut self) {
        drop(self.instance.take());
    }

    /// Waits for the permit of a read. May be canceled, to apply a delivery first; it keeps its place in the
    /// queue until [`Self::unreserve`].
    pub async fn reserve_read(&mut self) -> Result<()> {
        if self.reserved.is_none() {
            if self.reserving.is_empty() {
                let (permits, origin) = (self.linked.permits.clone(), self.origin.clone());
                let cpu = self.cpu.clone();
                self.reserving.spawn(async move {
                    cpu.turn().await;
                    permits.acquire(Class::Read, origin.as_ref()).await
                });
            }
            if let Some(permit) = self.reserving.join_next().await {
                let permit = permit.map_err(|error| Error::host(format!("sandbox: {error}")))?;
                self.reserved = Some(permit?);
            }
        }
        Ok(())
    }

    /// Gives the place, or the permit, to others: nothing is to be read now.
    pub fn unreserve(&mut self) {
        self.reserving = JoinSet::new();
        self.reserved = None;
    }

    /// Limits the connection to its share of processor and memory, as one of many in the process.
    pub fn share_machine(&mut self) {
        (self.cpu, self.share) = (Cpu::limited(), Share::Half);
    }

    /// Draws time that the connection's other work used on its share of the processor.
    pub(crate) fn cpu_meter(&self) -> impl Fn(Duration) + Send + Sync + use<> {
        let cpu = self.cpu.clone();
        move |used| cpu.draw(used)
    }

    /// Whether there is an instance.
    pub fn is_live(&self) -> bool {
        self.instance.is_live()
    }

    /// Requests sent so far, and the last one that was refused.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Continues without a session, which the caller has deleted.
    pub fn forget_session(&mut self) {
        self.release();
        (self.session, self.is_saved, self.refused_session) = (None, true, None);
    }

    /// Exchanges a grant for a session.
    pub async fn authorize(&mut self, grant: String) -> Result<()> {
        self.call("authorize", export!(source.call_authorize(&grant))).await?;
        self.session_accepted()
    }

    /// Checks the connection, and its subscription if there is one. A request that the egress policy refused
    /// becomes a separate item.
    pub async fn check(&mut self, subscription: Option<String>) -> Result<Vec<CheckItem>> {
        let mut items = self.check_connection().await?;
        // The subscription cannot be checked over a connection that failed.
        if let Some(subscription) = subscription
            && !items.iter().any(|item| item.outcome == Outcome::Failed)
        {
            items.extend(self.check_subscription(subscription).await?);
        }
        Ok(items)
    }

    async fn check_connection(&mut self) -> Result<Vec<CheckItem>> {
        let items = self.call("check", export!(source.call_check().map(Ok))).await?;
        self.session_accepted()?;
        let mut items = conv::check_items(items, &self.redactor)?;
        if let Some(denial) = self.meter.take_denied() {
            let error = refused(&denial);
            items.push(CheckItem {
                name: "egress".into(),
                outcome: Outcome::Failed,
                message: error.message,
                hint: error.hint,
                kind: None,
            });
        }
        Ok(items)
    }

    /// The tables with their schemas.
    pub async fn discover(&mut self) -> Result<Vec<Table>> {
        let tables = self.call("discover", export!(source.call_discover())).await?;
        conv::tables(tables, &self.redactor)
    }

    /// Rows of a table, where the source can count them.
    pub async fn count(&mut self, table: String) -> Result<Option<u64>> {
        self.call("count", export!(source.call_count(&table))).await
    }

    /// The next batch of a table.
    pub async fn read(&mut self, table: String, cursor: Option<String>) -> Result<Batch> {
        let limits = types::Limits {
            max_changes: self.limits.batch.max_rows,
            max_bytes: self.limits.batch.max_bytes,
            max_ms: u32::try_from(self.limits.batch.max_time.as_millis()).unwrap_or(u32::MAX),
        };
        let called_at_ms = clock::now_ms();
        let batch = self.call("read", export!(source.call_read(&table, cursor.as_ref(), limits))).await?;
        conv::batch(batch, limits.max_changes, called_at_ms, self.source_now_ms(), &self.redactor)
    }

    /// The bytes from `offset` on of the file that a row names.
    pub async fn fetch(&mut self, table: String, row: String, offset: u64) -> Result<Piece> {
        let limits = types::Limits {
            max_changes: 0,
            max_bytes: u32::try_from(PIECE.max).unwrap_or(u32::MAX),
            max_ms: u32::try_from(self.limits.batch.max_time.as_millis()).unwrap_or(u32::MAX),
        };
        let piece = self.call("fetch", export!(source.call_fetch(&table, &row, offset, limits))).await?;
        conv::piece(piece, &self.redactor)
    }

    /// A named action.
    pub async fn command(&mut self, name: String, arguments: String) -> Result<String> {
        let answer = self.call("command", export!(source.call_command(&name, &arguments))).await?;
        boundary::document(&ANSWER, "command", &answer)?;
        Ok(answer)
    }

    /// Registers `url` at the source for `tables`, all if it is empty. The returned subscription must be
    /// kept, and is `current` in the next call.
    pub async fn subscribe(
        &mut self,
        url: String,
        tables: Vec<String>,
        current: Option<String>,
    ) -> Result<String> {
        let made =
            self.call("subscribe", export!(webhook.call_subscribe(&url, &tables, current.as_ref()))).await?;
        boundary::document(&SUBSCRIPTION, "subscribe", &made)?;
        Ok(made)
    }

    async fn check_subscription(&mut self, subscription: String) -> Result<Vec<CheckItem>> {
        let items = self.call("check", export!(webhook.call_check(&subscription).map(Ok))).await?;
        conv::check_items(items, &self.redactor)
    }

    /// Deletes a subscription at the source.
    pub async fn unsubscribe(&mut self, subscription: String) -> Result<()> {
        self.call("unsubscribe", export!(webhook.call_unsubscribe(&subscription))).await
    }

    /// Verifies and translates deliveries, in order, one result each. Fails as a whole when the component was
    /// stopped or the egress policy refused one of its requests.
    pub async fn receive(
        &mut self,
        subscription: Option<String>,
        deliveries: Vec<Delivery>,
    ) -> Result<Vec<Result<Receipt>>> {
        let expected = deliveries.len();
        let deliveries: Vec<_> = deliveries.into_iter().map(conv::delivery).collect();
        let receipts = self
            .call("receive", export!(webhook.call_receive(subscription.as_ref(), &deliveries).map(Ok)))
            .await?;
        if receipts.len() != expected {
            let answers = receipts.len();
            let message = format!("receive: {answers} answers to {expected} deliveries");
            return Err(Error::sandbox(Kind::Internal, message).hint("a defect of the component"));
        }
        if let Some(denial) = self.meter.take_denied() {
            return Err(self.redacted(refused(&denial)));
        }
        let now_ms = self.source_now_ms();
        let answer = |answer: std::result::Result<_, types::Error>| match answer {
            Ok(receipt) => conv::receipt(receipt, now_ms, &self.redactor),
            Err(error) => Err(conv::error(error, &self.redactor)),
        };
        Ok(receipts.into_iter().map(answer).collect())
    }

    fn source_now_ms(&self) -> u64 {
        conv::source_now_ms(clock::now_ms(), self.meter.skew_ms())
    }

    /// Runs one call once the connection has its share of the processor.
    async fn call<T: Send>(
        &mut self,
        name: &'static str,
        export: impl for<'a> FnOnce(&'a mut Live) -> Calling<'a, T> + Send,
    ) -> Result<T> {
        let cpu = self.cpu.clone();
        // A permit is not held while the account fills.
        if self.reserved.is_none() {
            cpu.turn().await;
        }
        let answer = cpu.metered(self.call_now(name, export)).await;
        answer.map_err(|error| self.redacted(error))
    }

    /// Fails while the component's session is refused.
    fn session_accepted(&self) -> Result<()> {
        self.refused_session.clone().map_or(Ok(()), Err)
    }

    /// Runs one call within its limits, in the open instance or another one, and saves a changed session. The
    /// session is saved before the next call starts: a token that works once would be lost. The answer of a
    /// call counts also if the session after it is refused: a delivery must not fail for it.
    async fn call_now<T: Send>(
        &mut self,
        name: &'static str,
        export: impl for<'a> FnOnce(&'a mut Live) -> Calling<'a, T> + Send,
    ) -> Result<T> {
        let class = match name {
            // Not `discover`: without its tables a connection applies no delivery.
            "read" | "fetch" | "subscribe" => Class::Read,
            _ => Class::Prompt,
        };
        // The permit of a read is neither used for another call nor held while this one waits.
        if class == Class::Prompt || !self.is_saved {
            self.unreserve();
        }
        self.save().await?;
        let permit = match self.reserved.take() {
            Some(permit) => permit,
            None if self.reserving.is_empty() => {
                self.linked.permits.acquire(class, self.origin.as_ref()).await?
            }
            None => match self.reserving.join_next().await {
                Some(permit) => permit.map_err(|error| Error::host(format!("sandbox: {error}")))??,
                None => self.linked.permits.acquire(class, self.origin.as_ref()).await?,
            },
        };
        let mut live = match self.instance.take() {
            Some(live) => live,
            None => self.open(&permit).await?,
        };
        self.meter.take_denied();
        live.store.data_mut().allow_cpu(self.limits.cpu_epochs());
        let calling = async {
            let answer = export(&mut live).await?;
            let source = live.world.connector_source_source().connection();
            let session = source.call_session(&mut live.store, live.connection).await?;
            Ok((answer, session))
        };
        let outcome = timeout(self.limits.sandbox.call_timeout, calling).await;
        let (answer, session) = self.finish(name, outcome)?;
        if self.meter.requests() - live.requests_before < INSTANCE_REQUESTS_MAX {
            self.instance.park(live);
        } else {
            drop(live);
        }
        // The last use of the instance came before: the next holder of the permit may take its room.
        drop(permit);
        let is_reported = self.refused_session.is_some();
        let admitted = session.as_ref().map(|session| boundary::document(&SESSION, name, session));
        self.refused_session = admitted.and_then(Result::err);
        match &self.refused_session {
            Some(error) if !is_reported => self.sessions.report_refused(error),
            Some(_) => {}
            None if session == self.session => {}
            None => {
                (self.session, self.is_saved) = (session, false);
                self.save().await?;
            }
        }
        answer.map_err(|error| match self.meter.take_denied() {
            Some(denial) => refused(&denial),
            None => conv::error(error, &self.redactor),
        })
    }

    /// Creates an instance and opens the connection in it.
    async fn open(&self, _permit: &Permit) -> Result<Live> {
        let hooks = Hooks { client: self.client.clone(), meter: Arc::clone(&self.meter) };
        let room = self.linked.permits.room();
        let memory = self.linked.memory.account(self.share);
        let mut store = Host::store(&self.linked.engine, &self.limits, hooks, memory);
        let opening = async {
            let world = self.linked.pre.instantiate_async(&mut store).await?;
            let source = world.connector_source_source().connection();
            let session = self.session.as_ref();
            let opened = source.call_open(&mut store, &self.config, session).await?;
            Ok((world, opened))
        };
        let outcome = timeout(self.limits.sandbox.call_timeout, opening).await;
        let (world, opened) = self.finish("open", outcome)?;
        let connection = opened.map_err(|error| conv::error(error, &self.redactor))?;
        let requests_before = self.meter.requests();
        Ok(Live { store, world, connection, requests_before, _room: room })
    }

    fn finish<T>(
        &self,
        name: &'static str,
        outcome: Result<wasmtime::Result<T>, tokio::time::error::Elapsed>,
    ) -> Result<T> {
        match outcome {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(trap)) => Err(stopped(name, &trap, &self.limits)),
            Err(_) => Err(timed_out(name, &self.limits)),
        }
    }

    /// Saves the session, unless it is saved. It is kept after a failure, and saved before the next call.
    async fn save(&mut self) -> Result<()> {
        if self.is_saved {
            return Ok(());
        }
        let (sessions, session) = (Arc::clone(&self.sessions), self.session.clone());
        let saving = blocking::spawn(move || sessions.save(session.as_deref()));
        saving.await.map_err(|error| Error::state(format!("session: stopped: {error}")))??;
        self.is_saved = true;
        Ok(())
    }

    /// An error of the host without the secrets that it may quote, for example of a request. Those of the
    /// component were redacted at the boundary.
    fn redacted(&self, mut error: Error) -> Error {
        error.message = self.redactor.redact(&error.message);
        error.hint = error.hint.map(|hint| self.redactor.redact(&hint));
        error
    }
}

#[cfg(test)]
mod tests;
