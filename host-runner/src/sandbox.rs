//! One connection inside its sandbox: every call of the contract, bounded in time and CPU.
//!
//! A trap, a time-out or a limit costs the instance and becomes an error; the next call gets a fresh
//! one, opened with the same configuration and session. The session is handed to its keeper after
//! every call in which it changed. Knows nothing of tables, files or retries.

mod words;

use std::pin::Pin;
use std::sync::Arc;

use tokio::time::timeout;
use wasmtime::Store;
use wasmtime::component::ResourceAny;

use self::words::{refused, stopped, timed_out};
use crate::bindings::{SourceConnector, types};
use crate::change::{Batch, CheckItem, Outcome, Receipt, Table};
use crate::clock;
use crate::conv;
use crate::describe::Describe;
use crate::egress::policy::Policy;
use crate::egress::{Client, Hooks, Meter};
use crate::engine::{Component, Linked, Seat};
use crate::error::{Error, Kind, Result};
use crate::guest::Guest;
use crate::journal::Delivery;
use crate::limits::{INSTANCE_REQUESTS_MAX, Limits};

/// Keeps sessions: tokens and other secrets of a component.
pub trait SessionKeeper: Send {
    /// Stores a changed session durably, before it is used again; none forgets it.
    fn keep(&mut self, session: Option<&str>) -> Result<()>;
}

/// A component at work for one connection.
pub struct Sandbox {
    linked: Linked,
    config: String,
    session: Option<String>,
    keeper: Box<dyn SessionKeeper>,
    client: Client,
    limits: Limits,
    meter: Arc<Meter>,
    live: Option<Live>,
}

/// An instance with its open connection. The store goes before the seat does.
struct Live {
    store: Store<Guest>,
    world: SourceConnector,
    connection: ResourceAny,
    /// Requests that had gone out when it was made.
    requests_before: u64,
    _seat: Seat,
}

type Answer<T> = wasmtime::Result<Result<T, types::Error>>;
type Calling<'a, T> = Pin<Box<dyn Future<Output = Answer<T>> + Send + 'a>>;

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

/// Has a component parse its configuration; no network, and no session. The instance ends with this call.
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
    call: impl AsyncFnOnce(&mut Store<Guest>, &SourceConnector) -> wasmtime::Result<T>,
) -> Result<T> {
    let linked = component.link()?;
    let client = Client::new(Policy::default(), limits, None)?;
    let hooks = Hooks { client, meter: Arc::default() };
    let _seat = linked.seat().await?;
    let mut store = Guest::store(&linked.engine, limits, hooks);
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
        keeper: Box<dyn SessionKeeper>,
        client: Client,
        limits: Limits,
    ) -> Result<Self> {
        let linked = component.link()?;
        let meter = Arc::default();
        Ok(Self { linked, config, session, keeper, client, limits, meter, live: None })
    }

    /// Gives the instance back until the next call; nothing is lost by it.
    pub fn rest(&mut self) {
        self.live = None;
    }

    /// Whether there is an instance.
    pub fn is_live(&self) -> bool {
        self.live.is_some()
    }

    /// What went out to the network so far.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Continues without a session, which the caller has deleted.
    pub fn forget_session(&mut self) {
        (self.live, self.session) = (None, None);
    }

    /// Exchanges a grant for a session.
    pub async fn authorize(&mut self, grant: String) -> Result<()> {
        self.call("authorize", |live| {
            Box::pin(async move {
                let source = live.world.connector_source_source().connection();
                source.call_authorize(&mut live.store, live.connection, &grant).await
            })
        })
        .await
    }

    /// What works and what does not, and what the source says of a subscription; a refused request becomes an
    /// item of its own.
    pub async fn check(&mut self, subscription: Option<String>) -> Result<Vec<CheckItem>> {
        let mut items = self.check_connection().await?;
        // Asking is of no use where nothing works.
        if let Some(subscription) = subscription
            && !items.iter().any(|item| item.outcome == Outcome::Failed)
        {
            items.extend(self.check_subscription(subscription).await?);
        }
        Ok(items)
    }

    async fn check_connection(&mut self) -> Result<Vec<CheckItem>> {
        let items = self
            .call("check", |live| {
                Box::pin(async move {
                    let source = live.world.connector_source_source().connection();
                    source.call_check(&mut live.store, live.connection).await.map(Ok)
                })
            })
            .await?;
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
        let tables = self
            .call("discover", |live| {
                Box::pin(async move {
                    let source = live.world.connector_source_source().connection();
                    source.call_discover(&mut live.store, live.connection).await
                })
            })
            .await?;
        Ok(tables.into_iter().map(Table::from).collect())
    }

    /// Rows of a table, where the source can count them.
    pub async fn count(&mut self, table: String) -> Result<Option<u64>> {
        self.call("count", |live| {
            Box::pin(async move {
                let source = live.world.connector_source_source().connection();
                source.call_count(&mut live.store, live.connection, &table).await
            })
        })
        .await
    }

    /// The next batch of a table.
    pub async fn read(&mut self, table: String, cursor: Option<String>) -> Result<Batch> {
        let limits = types::Limits {
            max_changes: self.limits.batch.max_rows,
            max_bytes: self.limits.batch.max_bytes,
            max_ms: u32::try_from(self.limits.batch.max_time.as_millis()).unwrap_or(u32::MAX),
        };
        let called_at_ms = clock::now_ms();
        let batch = self
            .call("read", move |live| {
                Box::pin(async move {
                    let source = live.world.connector_source_source().connection();
                    let cursor = cursor.as_ref();
                    source.call_read(&mut live.store, live.connection, &table, cursor, limits).await
                })
            })
            .await?;
        Ok(conv::batch(batch, called_at_ms, clock::now_ms()))
    }

    /// A named action.
    pub async fn command(&mut self, name: String, arguments: String) -> Result<String> {
        self.call("command", |live| {
            Box::pin(async move {
                let source = live.world.connector_source_source().connection();
                source.call_command(&mut live.store, live.connection, &name, &arguments).await
            })
        })
        .await
    }

    /// Tells the source to call `url` about `tables`, all if it is empty; what it answers must be kept, and
    /// is `current` the next time.
    pub async fn subscribe(
        &mut self,
        url: String,
        tables: Vec<String>,
        current: Option<String>,
    ) -> Result<String> {
        self.call("subscribe", |live| {
            Box::pin(async move {
                let webhook = live.world.connector_source_webhook();
                let current = current.as_ref();
                webhook.call_subscribe(&mut live.store, live.connection, &url, &tables, current).await
            })
        })
        .await
    }

    async fn check_subscription(&mut self, subscription: String) -> Result<Vec<CheckItem>> {
        let items = self
            .call("check", |live| {
                Box::pin(async move {
                    let webhook = live.world.connector_source_webhook();
                    webhook.call_check(&mut live.store, live.connection, &subscription).await.map(Ok)
                })
            })
            .await?;
        Ok(items.into_iter().map(CheckItem::from).collect())
    }

    /// Undoes a subscription.
    pub async fn unsubscribe(&mut self, subscription: String) -> Result<()> {
        self.call("unsubscribe", |live| {
            Box::pin(async move {
                let webhook = live.world.connector_source_webhook();
                webhook.call_unsubscribe(&mut live.store, live.connection, &subscription).await
            })
        })
        .await
    }

    /// Verifies and translates deliveries, in order, one answer each. Fails as a whole when the component
    /// was stopped or the egress policy refused what it needed.
    pub async fn receive(
        &mut self,
        subscription: Option<String>,
        deliveries: Vec<Delivery>,
    ) -> Result<Vec<Result<Receipt>>> {
        let expected = deliveries.len();
        let deliveries: Vec<_> = deliveries.into_iter().map(conv::delivery).collect();
        let receipts = self
            .call("receive", |live| {
                Box::pin(async move {
                    let webhook = live.world.connector_source_webhook();
                    let subscription = subscription.as_ref();
                    let answer =
                        webhook.call_receive(&mut live.store, live.connection, subscription, &deliveries);
                    answer.await.map(Ok)
                })
            })
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

    /// Makes one call with everything that belongs around it.
    async fn call<T: Send>(
        &mut self,
        name: &'static str,
        make: impl for<'a> FnOnce(&'a mut Live) -> Calling<'a, T> + Send,
    ) -> Result<T> {
        let mut live = match self.live.take() {
            Some(live) => live,
            None => self.open().await?,
        };
        self.meter.take_denied();
        live.store.data_mut().allow_cpu(self.limits.cpu_epochs());
        let calling = async {
            let answer = make(&mut live).await?;
            let source = live.world.connector_source_source().connection();
            let session = source.call_session(&mut live.store, live.connection).await?;
            Ok((answer, session))
        };
        let outcome = timeout(self.limits.sandbox.call_timeout, calling).await;
        let (answer, session) = self.finish(name, outcome)?;
        // When others wait for an instance, everyone gets one for a call at a time.
        let is_worn = self.meter.requests() - live.requests_before >= INSTANCE_REQUESTS_MAX;
        self.live = Some(live).filter(|_| !is_worn && !self.linked.is_full());
        self.keep(session)?;
        answer.map_err(|error| match self.meter.take_denied() {
            Some(denial) => refused(&denial),
            None => error.into(),
        })
    }

    /// A fresh instance with an open connection.
    async fn open(&mut self) -> Result<Live> {
        let hooks = Hooks { client: self.client.clone(), meter: Arc::clone(&self.meter) };
        let seat = self.linked.seat().await?;
        let mut store = Guest::store(&self.linked.engine, &self.limits, hooks);
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
        Ok(Live { store, world, connection: opened?, requests_before, _seat: seat })
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
        self.keeper.keep(session.as_deref())?;
        self.session = session;
        Ok(())
    }
}
