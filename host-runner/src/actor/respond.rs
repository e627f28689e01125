//! Answers requests with the parts of a connection that need no schedule: component, store, sink, journal.
//!
//! The same code answers for the actor of a server, before and after its first discovery, and for a single
//! request of the command line ([`answer_once`]), so that the answers cannot differ. It calls the component
//! for nothing but the request, and creates neither sink nor journal.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::task::spawn_blocking;

use super::request::Answer;
use crate::blocking;
use crate::change::CheckItem;
use crate::check::Webhooks;
use crate::connection::Connection;
use crate::error::{Error, Kind, Origin, Result};
use crate::inbox::Consumer;
use crate::inbox::Summary;
use crate::journal::{self, JournalLimits};
use crate::loaded::{LoadedConnection, OpenConnection};
use crate::paths::Paths;
use crate::request::{ConnectionState, Registration, Request, RowCount};
use crate::sinks::{self, SinkHandle, SinkProgress, SinkSettings};
use crate::state::{ConnectionStore, LockedStore, StoredSubscription};
use crate::webhook_url::{self, PublicUrl};

/// The parts of a connection that answer requests.
pub(super) struct Responder<'a> {
    pub(super) connection: &'a mut OpenConnection,
    pub(super) sink: SinkAccess<'a>,
    pub(super) queue: QueueAccess,
    /// The names of the tables, if they are known already.
    pub(super) tables: Option<&'a [String]>,
}

/// A sink that is open, or would be created by opening it.
pub(super) enum SinkAccess<'a> {
    Open(&'a SinkHandle),
    Closed(&'a SinkSettings),
    None,
}

/// The queue of deliveries, if the connection has one.
pub(super) enum QueueAccess {
    Open(Arc<dyn Consumer>),
    /// The journal's file, which may be missing.
    Closed(PathBuf),
    None,
}

/// Answers a request of a connection that no server has, and releases the connection again.
pub(crate) async fn answer_once(connection: Connection, paths: &Paths, request: &Request) -> Answer {
    match request {
        // Takes no lock: another process may be reading tables for hours.
        Request::RotateUrl { grace_ms } => {
            let store = ConnectionStore::open(paths, &connection.name)?;
            return json(rotate_url(&store, *grace_ms, Registration::Outdated)?);
        }
        // Does not open the session: it may be sealed with another key.
        Request::DeleteSession => {
            return json(ConnectionStore::open(paths, &connection.name)?.lock()?.delete_session()?);
        }
        _ => {}
    }
    let loaded = LoadedConnection::load(connection, paths).await?;
    let store = ConnectionStore::open(paths, &loaded.connection.name)?;
    let mut open = loaded.open(store.lock()?)?;
    let mut responder = Responder {
        connection: &mut open,
        sink: SinkAccess::Closed(&loaded.connection.sink),
        queue: QueueAccess::Closed(paths.journal()),
        tables: None,
    };
    responder.answer(request).await
}

/// Answers a request of a connection that has neither a sink nor a queue.
pub(crate) async fn answer_with(connection: &mut OpenConnection, request: &Request) -> Answer {
    let (sink, queue) = (SinkAccess::None, QueueAccess::None);
    Responder { connection, sink, queue, tables: None }.answer(request).await
}

/// Generates another secret for the webhook URL. `registered` is the answer if the source has a registration.
pub(crate) fn rotate_url(
    store: &ConnectionStore,
    grace_ms: u64,
    registered: Registration,
) -> Result<Registration> {
    store.webhook_url().rotate(Duration::from_millis(grace_ms))?;
    Ok(if store.has_subscription()? { registered } else { Registration::None })
}

/// A value as an answer.
pub(super) fn json<T: Serialize>(value: T) -> Answer {
    serde_json::to_value(value).map_err(|error| Error::host(format!("an answer is not JSON: {error}")))
}

impl SinkAccess<'_> {
    /// The sink's progress, if it exists.
    async fn progress(&self) -> Result<Option<SinkProgress>> {
        match self {
            Self::None => Ok(None),
            Self::Open(sink) => sink.run(|sink| sink.progress()).await.map(Some),
            Self::Closed(settings) => {
                let settings = (*settings).clone();
                blocking::spawn(move || sinks::inspect(&settings)).await?
            }
        }
    }

    /// The sink, if it exists, to write to.
    async fn existing(&self) -> Result<Option<SinkHandle>> {
        match self {
            Self::None => Ok(None),
            Self::Open(sink) => Ok(Some((*sink).clone())),
            Self::Closed(settings) => {
                let settings = (*settings).clone();
                let opening = blocking::spawn(move || sinks::open_existing(&settings));
                Ok(opening.await??.map(SinkHandle::new))
            }
        }
    }
}

impl QueueAccess {
    /// Queue and dead letters in numbers.
    async fn summary(&self, connection: &str) -> Result<Summary> {
        match self {
            Self::None => Ok(Summary::default()),
            Self::Open(consumer) => {
                let consumer = Arc::clone(consumer);
                spawn_blocking(move || consumer.summary()).await?
            }
            Self::Closed(path) => {
                let (path, connection) = (path.clone(), connection.to_owned());
                let reading = move || journal::summary(&path, &connection, &JournalLimits::default());
                spawn_blocking(reading).await?
            }
        }
    }
}

impl Responder<'_> {
    /// Answers a request.
    pub(super) async fn answer(&mut self, request: &Request) -> Answer {
        match request {
            Request::Authorize { grant } => json(self.connection.sandbox.authorize(grant.clone()).await?),
            Request::Check => json(self.check().await?),
            Request::Discover => json(self.connection.sandbox.discover().await?),
            Request::Count { tables } => json(self.count(tables).await?),
            Request::Invoke { name, arguments } => self.invoke(name, arguments).await,
            Request::State => json(self.state().await?),
            Request::Reset { tables } => json(self.reset(tables).await?),
            Request::DeleteSession => {
                let was_there = self.stored(|store| store.delete_session()).await?;
                self.connection.sandbox.forget_session();
                json(was_there)
            }
            Request::Subscribe { public_url } => json(self.subscribe(&PublicUrl::parse(public_url)?).await?),
            Request::Unsubscribe => json(self.unsubscribe().await?),
            Request::RotateUrl { grace_ms } => {
                let grace_ms = *grace_ms;
                json(self.stored(move |store| rotate_url(store, grace_ms, Registration::Renewing)).await?)
            }
            Request::UrlChanged => json(()),
        }
    }

    /// Runs work on the store on a thread that may block.
    async fn stored<T: Send + 'static>(
        &self,
        work: impl FnOnce(&LockedStore) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = self.connection.store.clone();
        blocking::spawn(move || work(&store)).await?
    }

    async fn check(&mut self) -> Result<Vec<CheckItem>> {
        let subscription = self.stored(|store| store.subscription()).await?;
        let is_subscribed = subscription.is_some();
        let mut items = self.connection.sandbox.check(subscription.map(|stored| stored.subscription)).await?;
        let progress = self.sink.progress().await?.unwrap_or_default();
        let applied_at = progress.journal.and_then(|journal| journal.applied_at);
        let journal = self.queue.summary(self.connection.store.name()).await?;
        items.extend(Webhooks { is_subscribed, applied_at, journal }.items());
        Ok(items)
    }

    /// Counts rows; a table that fails does not stop the others.
    async fn count(&mut self, wanted: &[String]) -> Result<Vec<RowCount>> {
        let tables: Vec<String> = if wanted.is_empty() {
            self.discovered().await?
        } else {
            wanted.iter().map(|name| self.connection.describe.table_name(name)).collect()
        };
        let mut counts = Vec::new();
        for table in tables {
            let (rows, error) = match self.connection.sandbox.count(table.clone()).await {
                Ok(rows) => (rows, None),
                Err(error) => (None, Some(error.about(format_args!("table `{table}`")))),
            };
            counts.push(RowCount { table, rows, error });
        }
        Ok(counts)
    }

    /// The names of the tables that there are now.
    async fn discovered(&mut self) -> Result<Vec<String>> {
        Ok(self.connection.sandbox.discover().await?.into_iter().map(|table| table.name).collect())
    }

    async fn invoke(&mut self, name: &str, arguments: &str) -> Answer {
        let answer = self.connection.sandbox.command(name.to_owned(), arguments.to_owned()).await?;
        // Off the workers of other connections: 8 MiB of JSON may be millions of values.
        let parsing = spawn_blocking(move || serde_json::from_str(&answer));
        parsing
            .await?
            .map_err(|error| Error::data(format!("command `{name}`: its answer is not JSON: {error}")))
    }

    async fn state(&mut self) -> Result<ConnectionState> {
        let authorized = self.stored(|store| store.session()).await?.is_some();
        let tables = self.sink.progress().await?.unwrap_or_default().tables;
        Ok(ConnectionState { authorized, tables })
    }

    async fn reset(&mut self, tables: &[String]) -> Result<Vec<String>> {
        let wanted: Vec<String> =
            tables.iter().map(|name| self.connection.describe.table_name(name)).collect();
        match (self.sink.existing().await?, wanted.first()) {
            (Some(sink), _) => {
                let reset = sink.run(move |sink| sinks::reset(sink, &wanted)).await;
                sink.close().await;
                reset
            }
            (None, None) => Ok(Vec::new()),
            (None, Some(table)) => {
                let message = format!("table `{table}`: has no cursor");
                Err(Error::new(Origin::Host, Kind::NotFound, message).hint("no table has been read yet"))
            }
        }
    }

    /// Registers the current webhook URL at the source, or updates the registration that is stored.
    async fn subscribe(&mut self, public_url: &PublicUrl) -> Result<()> {
        let tables = match self.tables {
            Some(tables) => tables.to_vec(),
            None => self.discovered().await?,
        };
        let tables = self.connection.describe.subscribable(&tables)?;
        let secret = self.stored(|store| store.webhook_url().secret()).await?;
        let url = webhook_url::url(public_url, self.connection.store.name(), &secret);
        let former = self.stored(|store| store.subscription()).await?;
        let former = former.map(|stored| stored.subscription);
        let subscription = self.connection.sandbox.subscribe(url, tables, former).await.map_err(|error| {
            let hint =
                "sources try the URL before they accept it: `serve` must be running and reachable under it";
            if error.hint.is_none() { error.hint(hint) } else { error }
        })?;
        let stored = StoredSubscription { subscription, public_url: public_url.to_string() };
        self.stored(move |store| store.set_subscription(Some(&stored))).await
    }

    async fn unsubscribe(&mut self) -> Result<()> {
        let Some(stored) = self.stored(|store| store.subscription()).await? else {
            let message = format!("connection `{}`: no subscription is known", self.connection.store.name());
            return Err(Error::new(Origin::Host, Kind::NotFound, message)
                .hint("a webhook that was registered by hand is removed by hand, at the source"));
        };
        self.connection.sandbox.unsubscribe(stored.subscription).await?;
        self.stored(|store| store.set_subscription(None)).await
    }
}
