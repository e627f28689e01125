//! A connection file with its component, and the same connection locked and ready to call.
//!
//! Loading fails in the order in which a person can fix things: file, component, configuration, key, lock.
//! Does not know the commands.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::connection::Connection;
use crate::describe::Describe;
use crate::egress::Client;
use crate::egress::policy::Policy;
use crate::engine::{Component, Engine};
use crate::error::Result;
use crate::limits::Limits;
use crate::paths::Paths;
use crate::sandbox::Sandbox;
use crate::state::LockedStore;

/// A connection file with its component. Holds no lock and has called nothing but `describe`.
pub struct LoadedConnection {
    /// The connection file.
    pub connection: Connection,
    /// The component's `describe` document.
    pub describe: Describe,
    /// The component.
    pub component: Component,
    /// The hosts it may call.
    pub policy: Policy,
}

/// A locked connection, ready for calls.
pub struct OpenConnection {
    /// Its name.
    pub name: String,
    /// Its limits.
    pub limits: Limits,
    /// What the component declares.
    pub describe: Describe,
    /// Calls the component.
    pub sandbox: Sandbox,
    /// Its state; holds the lock.
    pub store: LockedStore,
}

impl LoadedConnection {
    /// Loads the component of a connection file, with an engine for this connection alone.
    pub async fn load(connection: Connection, paths: &Paths) -> Result<Self> {
        Self::load_in(&Engines::default(), connection, paths).await
    }

    /// Loads the component of a connection file, with an engine that other connections share.
    pub async fn load_in(engines: &Engines, mut connection: Connection, paths: &Paths) -> Result<Self> {
        let path = paths.component(connection.component.as_deref())?;
        let component = engines.component(&path, &connection.limits, paths)?;
        let describe = component.describe(&connection.limits).await?;
        connection.resolve_secrets(&describe, &paths.redactor)?;
        let place = connection.path.display().to_string();
        let declared = describe.targets(&connection.config).map_err(|error| error.about(&place))?;
        let policy = Policy::new(declared, connection.allow.clone());
        Ok(Self { connection, describe, component, policy })
    }

    /// Prepares the sandbox of a locked connection with its session.
    pub fn open(&self, store: LockedStore) -> Result<OpenConnection> {
        let connection = &self.connection;
        let session = store.session()?;
        let client = Client::new(self.policy.clone(), &connection.limits, connection.ca_file.as_deref())?;
        let sandbox = Sandbox::new(
            &self.component,
            connection.config_text(),
            session,
            Box::new(store.clone()),
            client,
            connection.limits.clone(),
        )?;
        Ok(OpenConnection {
            name: connection.name.clone(),
            limits: connection.limits.clone(),
            describe: self.describe.clone(),
            sandbox,
            store,
        })
    }
}

/// Engines that connections share: one for each amount of memory that instances may have.
#[derive(Default)]
pub struct Engines(Mutex<HashMap<usize, Engine>>);

impl Engines {
    /// Compiles a component, or takes it from the cache in the data folder.
    pub fn component(&self, path: &Path, limits: &Limits, paths: &Paths) -> Result<Component> {
        let mut engines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let engine = match engines.entry(limits.sandbox.memory) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Engine::new(limits.sandbox.memory, Some(paths.cache()))?),
        };
        engine.load(path)
    }
}
