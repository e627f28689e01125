//! The sandbox of one connection: every call of the contract, bounded in time and CPU.
//!
//! A trap, a timeout or a limit drops the instance and becomes an error; the next call creates another one
//! with the same configuration and session. The session is saved after every call that changed it. Knows
//! nothing of tables, files or retries.

mod error;

use std::pin::Pin;
use std::sync::Arc;

use tokio::time::timeout;
use wasmtime::Store;
use wasmtime::component::ResourceAny;

use self::error::{refused, stopped, timed_out};
use crate::bindings::{SourceConnector, types};
use crate::change::{Batch, CheckItem, Outcome, Receipt, Table};
use crate::clock;
use crate::conv;
use crate::delivery::Delivery;
use crate::describe::Describe;
use crate::egress::policy::Policy;
use crate::egress::{Client, Hooks, Meter};
use crate::engine::{Component, Linked, Permit};
use crate::error::{Error, Kind, Result};
use crate::limits::{INSTANCE_REQUESTS_MAX, Limits};
use crate::store_data::Host;

/// Where the session of a connection is kept: tokens and other secrets of a component.
pub trait SessionStore: Send {
    /// Stores a changed session durably, before it is used again; none deletes it.
    fn save(&mut self, session: Option<&str>) -> Result<()>;
}

/// A component that runs for one connection.
pub struct Sandbox {
    linked: Linked,
    config: String,
    session: Option<String>,
    sessions: Box<dyn SessionStore>,
    client: Client,
    limits: Limits,
    meter: Arc<Meter>,
    live: Option<Live>,
}

/// An instance with its open connection. Fields drop in order: the store before the permit.
struct Live {
    store: Store<Host>,
    world: SourceConnector,
    connection: ResourceAny,
    /// Requests that the connection had sent when the instance was created.
    requests_before: u64,
    _permit: Permit,
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
    /// The component's `describe` document; the call has no network.
    pub async fn describe(&self, limits: &Limits) -> Result<Describe> {
        let document = offline("describe", self, limits, async |store, world| {
            world.connector_source_metadata().call_describe(store).await
        })
        .await?;
        Describe::parse(&document)
    }
}

/// Lets a component parse its configuration, without network and session, in an instance for this call only.
pub async fn validate(component: &Component, config: String, limits: &Limits) -> Result<()> {
    let opened = offline("open", component, limits, async |store, world| {
        world.connector_source_source().connection().call_open(store, &config, None).await
    })
    .await?;
    Ok(opened.map(drop)?)
}

/// One call in a new instance that reaches no host and holds its permit for this call only.
async fn offline<T>(
    name: &'static str,
    component: &Component,
    limits: &Limits,
    call: impl AsyncFnOnce(&mut Store<Host>, &SourceConnector) -> wasmtime::Result<T>,
) -> Result<T> {
    let linked = component.link()?;
    let client = Client::new(Policy::default(), limits, None)?;
    let hooks = Hooks { client, meter: Arc::default() };
    let _permit = linked.permit().await?;
    let mut store = Host::store(&linked.engine, limits, hooks);
    let calling = async {
        let world = linked.pre.instantiate_async(&mut store).await?;
        call(&mut store, &world).await
    };
    match timeout(limits.sandbox.call_timeout, calling).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(trap)) => Err(stopped(name, &trap, limits)),
        Err(_) => Err(timed_out(name, limits)),
    }
}

impl Sandbox {
    /// A sandbox for a connection; nothing runs yet.
    pub fn new(
        component: &Component,
        config: String,
        session: Option<String>,
        sessions: Box<dyn SessionStore>,
        client: Client,
        limits: Limits,
    ) -> Result<Self> {
        let linked = component.link()?;
        let meter = Arc::default();
        Ok(Self { linked, config, session, sessions, client, limits, meter, live: None })
    }

    /// Drops the instance and its permit until the next call; it holds no state that is not stored.
    pub fn release(&mut self) {
        self.live = None;
    }

    /// Whether there is an instance.
    pub fn is_live(&self) -> bool {
        self.live.is_some()
    }

    /// Requests sent so far, and the last one that was refused.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Continues without a session, which the caller has deleted.
    pub fn forget_session(&mut self) {
        (self.live, self.session) = (None, None);
    }

    /// Exchanges a grant for a session.
    pub async fn authorize(&mut self, grant: String) -> Result<()> {
        self.call("authorize", export!(source.call_authorize(&grant))).await
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
        let mut items: Vec<CheckItem> = items.into_iter().map(CheckItem::from).collect();
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
        Ok(tables.into_iter().map(Table::from).collect())
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
        Ok(conv::batch(batch, called_at_ms, clock::now_ms()))
    }

    /// A named action.
    pub async fn command(&mut self, name: String, arguments: String) -> Result<String> {
        self.call("command", export!(source.call_command(&name, &arguments))).await
    }

    /// Registers `url` at the source for `tables`, all if it is empty. The returned subscription must be
    /// kept, and is `current` in the next call.
    pub async fn subscribe(
        &mut self,
        url: String,
        tables: Vec<String>,
        current: Option<String>,
    ) -> Result<String> {
        self.call("subscribe", export!(webhook.call_subscribe(&url, &tables, current.as_ref()))).await
    }

    async fn check_subscription(&mut self, subscription: String) -> Result<Vec<CheckItem>> {
        let items = self.call("check", export!(webhook.call_check(&subscription).map(Ok))).await?;
        Ok(items.into_iter().map(CheckItem::from).collect())
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
            return Err(refused(&denial));
        }
        let now_ms = clock::now_ms();
        let receipt = |receipt| conv::receipt(receipt, now_ms);
        Ok(receipts.into_iter().map(|answer| answer.map(receipt).map_err(Error::from)).collect())
    }

    /// Runs one call within its limits, in the open instance or another one, and saves a changed session.
    async fn call<T: Send>(
        &mut self,
        name: &'static str,
        export: impl for<'a> FnOnce(&'a mut Live) -> Calling<'a, T> + Send,
    ) -> Result<T> {
        let mut live = match self.live.take() {
            Some(live) => live,
            None => self.open().await?,
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
        // When no permit is free, each connection holds an instance for one call only.
        let is_recycled = self.meter.requests() - live.requests_before >= INSTANCE_REQUESTS_MAX;
        self.live = Some(live).filter(|_| !is_recycled && !self.linked.is_full());
        self.keep(session)?;
        answer.map_err(|error| match self.meter.take_denied() {
            Some(denial) => refused(&denial),
            None => error.into(),
        })
    }

    /// Creates an instance and opens the connection in it.
    async fn open(&mut self) -> Result<Live> {
        let hooks = Hooks { client: self.client.clone(), meter: Arc::clone(&self.meter) };
        let permit = self.linked.permit().await?;
        let mut store = Host::store(&self.linked.engine, &self.limits, hooks);
        let opening = async {
            let world = self.linked.pre.instantiate_async(&mut store).await?;
            let source = world.connector_source_source().connection();
            let session = self.session.as_ref();
            let opened = source.call_open(&mut store, &self.config, session).await?;
            Ok((world, opened))
        };
        let outcome = timeout(self.limits.sandbox.call_timeout, opening).await;
        let (world, opened) = self.finish("open", outcome)?;
        let requests_before = self.meter.requests();
        Ok(Live { store, world, connection: opened?, requests_before, _permit: permit })
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

    fn keep(&mut self, session: Option<String>) -> Result<()> {
        if session == self.session {
            return Ok(());
        }
        self.sessions.save(session.as_deref())?;
        self.session = session;
        Ok(())
    }
}
