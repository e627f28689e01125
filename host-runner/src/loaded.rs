//! A connection file with its component, and the same connection locked and ready to call.
//!
//! Loading fails in the order in which a person can fix things: file, component, configuration, key, lock.
//! Does not know the commands.

#[cfg(test)]
pub(crate) mod tiny;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::blocking;
use crate::connection::Connection;
use crate::describe::Describe;
use crate::egress::Client;
use crate::egress::policy::Policy;
use crate::engine::{Component, Engine};
use crate::error::Result;
use crate::limits::{COMMAND_INSTANCES, Limits};
use crate::paths::Paths;
use crate::sandbox::{Sandbox, validate};
use crate::sinks::{self, Sink, SinkSettings, attachments};
use crate::state::{LockedStore, StoredSubscription};

/// A connection file with its component. The component has accepted `[config]`. Holds no
/// lock, and has reached no host.
pub(crate) struct LoadedConnection {
    /// The connection file.
    pub connection: Connection,
    /// The component's `describe` document.
    pub describe: Arc<Describe>,
    /// The component.
    pub component: Component,
    /// The hosts it may call.
    pub policy: Policy,
}

/// A locked connection, ready for calls.
pub(crate) struct OpenConnection {
    /// Its name.
    pub name: String,
    /// Its limits.
    pub limits: Limits,
    /// What the component declares.
    pub describe: Arc<Describe>,
    /// Calls the component.
    pub sandbox: Sandbox,
    /// Its state; holds the lock.
    pub store: LockedStore,
    /// The subscription, as it was when the connection was opened.
    pub subscription: Option<StoredSubscription>,
}

impl LoadedConnection {
    /// Loads the component of a connection file, with an engine for this connection alone.
    pub(crate) async fn load(connection: Connection, paths: &Paths) -> Result<Self> {
        let path = paths.component(connection.component.as_deref())?;
        Self::with(SharedEngine::default().component(&path, paths)?, connection, paths).await
    }

    /// A connection file with its component, which other connections may share.
    pub(crate) async fn with(
        component: Component,
        mut connection: Connection,
        paths: &Paths,
    ) -> Result<Self> {
        connection.admit(&component)?;
        let describe = component.describe(&connection.limits).await?;
        let (described, redactor) = (Arc::clone(&describe), paths.redactor.clone());
        // Reads files, which may lie on a network.
        let reading =
            blocking::spawn(move || connection.resolve_secrets(&described, &redactor).map(|()| connection));
        let connection = reading.await??;
        let redactor = paths.redactor.of(&connection.name);
        validate(&component, connection.config_text(), &connection.limits, &redactor)
            .await
            .map_err(|error| connection.locate(error))?;
        let declared = describe.targets(&connection.config).map_err(|error| connection.locate(error))?;
        let policy = Policy::new(declared, connection.allow.clone()).only(connection.only.as_deref());
        if let Some(file) = &connection.policy {
            file.admit_hosts(&connection.path, policy.declared(), policy.allowed())?;
        }
        Ok(Self { connection, describe, component, policy })
    }

    /// Opens the connection's sink, with the folder for attachments if it has one.
    pub(crate) fn open_sink(&self, settings: &SinkSettings, store: &LockedStore) -> Result<Box<dyn Sink>> {
        let sink = open_sink(settings, store)?;
        let attachments = self.connection.attachments.as_ref();
        attachments::around(sink, attachments, &self.describe, &settings.owner, settings.deletes)
    }

    /// Prepares the sandbox of a locked connection with its session. Fails if the component reaches more
    /// hosts than were accepted. Blocks.
    pub(crate) fn open(&self, store: LockedStore) -> Result<OpenConnection> {
        let connection = &self.connection;
        store.require_accepted(&self.describe.possible_hosts(), &connection.path)?;
        let session = store.session()?;
        let client = Client::new(self.policy.clone(), &connection.limits, connection.ca_file.as_deref())?;
        let sandbox = Sandbox::new(
            &self.component,
            connection.config_text(),
            session,
            Arc::new(store.clone()),
            store.redactor().of(&connection.name),
            client,
            connection.limits.clone(),
        )?;
        Ok(OpenConnection {
            name: connection.name.clone(),
            limits: connection.limits.clone(),
            describe: Arc::clone(&self.describe),
            sandbox,
            subscription: store.subscription()?,
            store,
        })
    }
}

/// Opens the sink of a locked connection. From the first commit under this lease on, the sink refuses those
/// of older ones.
pub(crate) fn open_sink(settings: &SinkSettings, store: &LockedStore) -> Result<Box<dyn Sink>> {
    let sink = sinks::open(settings)?;
    store.outrank(sink.progress()?.epoch)?;
    Ok(sink)
}

/// The engine that connections share, created at first use.
pub(crate) struct SharedEngine {
    instances: u32,
    engine: Mutex<Option<Engine>>,
}

impl Default for SharedEngine {
    fn default() -> Self {
        Self::new(COMMAND_INSTANCES)
    }
}

impl SharedEngine {
    /// An engine for so many calls at a time.
    pub(crate) fn new(instances: u32) -> Self {
        Self { instances, engine: Mutex::default() }
    }

    /// Compiles a component, or takes it from the cache in the data folder.
    pub(crate) fn component(&self, path: &Path, paths: &Paths) -> Result<Component> {
        let mut shared = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        let engine = match &*shared {
            Some(engine) => engine.clone(),
            None => shared.insert(Engine::new(self.instances, paths.cache())?).clone(),
        };
        drop(shared);
        engine.load(path)
    }
}
