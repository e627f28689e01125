//! One connection, opened: its file, its component, its lock, its sandbox.
//!
//! The order in which things are opened is that in which a person can put them right: file, component,
//! configuration, key, lock. Knows nothing of commands.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::connection::Connection;
use crate::describe::Describe;
use crate::egress::Client;
use crate::egress::policy::Policy;
use crate::engine::{Component, Engine};
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::sandbox::{Sandbox, describe};
use crate::secret::Redactor;
use crate::state::key::{Key, VARIABLE};
use crate::state::{Lock, Sessions};

/// Where everything is.
#[derive(Clone, Debug)]
pub struct Paths {
    /// The data folder.
    pub data: PathBuf,
    /// The component, if it was given.
    pub component: Option<PathBuf>,
    /// The key that seals sessions, if it was given.
    pub key_file: Option<PathBuf>,
    /// What must not be printed.
    pub redactor: Redactor,
}

/// A connection file with its component; nothing is locked or called yet.
pub struct Tenant {
    /// The file.
    pub connection: Connection,
    /// What the component says.
    pub describe: Describe,
    /// The component.
    pub component: Component,
    /// Where it may go.
    pub policy: Policy,
}

/// A tenant at work, alone.
pub struct Open {
    /// Its calls.
    pub sandbox: Sandbox,
    /// Held as long as this lives.
    pub lock: Lock,
}

impl Tenant {
    /// Reads the file and asks its component what it is.
    pub async fn load(file: &Path, paths: &Paths) -> Result<Self> {
        Self::load_in(&Engines::default(), file, paths).await
    }

    /// The same with an engine that others use too.
    pub async fn load_in(engines: &Engines, file: &Path, paths: &Paths) -> Result<Self> {
        let environment = |name: &str| std::env::var(name).ok();
        let mut connection = Connection::load(file, &environment)?;
        let path = component_path(paths, connection.component.as_deref())?;
        let component = engines.component(&path, &connection.limits, paths)?;
        let describe = describe(&component, &connection.limits).await?;
        connection.resolve_secrets(&describe, &paths.redactor)?;
        let place = connection.path.display().to_string();
        let declared = describe.targets(&connection.config).map_err(|error| error.about(&place))?;
        let policy = Policy::new(declared, connection.allow.clone());
        Ok(Self { connection, describe, component, policy })
    }

    /// Takes the lock and gets the sandbox ready.
    pub fn open(&self, paths: &Paths) -> Result<Open> {
        let connection = &self.connection;
        let sessions = self.sessions(paths)?;
        let session = sessions.1.load()?;
        let client = Client::new(self.policy.clone(), &connection.limits, connection.ca_file.as_deref())?;
        let sandbox = Sandbox::new(
            &self.component,
            connection.config_text(),
            session,
            Box::new(sessions.1),
            client,
            connection.limits.clone(),
        )?;
        Ok(Open { sandbox, lock: sessions.0 })
    }

    /// The lock and the sealed sessions.
    pub fn sessions(&self, paths: &Paths) -> Result<(Lock, Sessions)> {
        sessions(&self.connection.name, paths)
    }
}

/// The key of this installation.
pub fn key(paths: &Paths) -> Result<Key> {
    let variable = std::env::var(VARIABLE).ok();
    Key::find(variable.as_deref(), paths.key_file.as_deref(), &paths.data)
}

/// Takes a connection's lock and opens its sealed sessions.
pub fn sessions(name: &str, paths: &Paths) -> Result<(Lock, Sessions)> {
    let key = key(paths)?;
    let lock = Lock::take(&paths.data, name)?;
    let sessions = Sessions::open(&lock, name, key, paths.redactor.clone())?;
    Ok((lock, sessions))
}

/// Compiles a component, or takes it from the cache in the data folder.
pub fn load_component(path: &Path, limits: &Limits, paths: &Paths) -> Result<Component> {
    let cache = paths.data.join("cache");
    Engine::new(limits.sandbox.memory, Some(cache))?.load(path)
}

/// Engines that many connections share: one for each amount of memory that instances may have.
#[derive(Default)]
pub struct Engines(Mutex<HashMap<usize, Engine>>);

impl Engines {
    fn component(&self, path: &Path, limits: &Limits, paths: &Paths) -> Result<Component> {
        let mut engines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let engine = match engines.entry(limits.sandbox.memory) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                entry.insert(Engine::new(limits.sandbox.memory, Some(paths.data.join("cache")))?)
            }
        };
        engine.load(path)
    }
}

/// The component's file: the one given, the connection's, or the only one beside this program.
pub fn component_path(paths: &Paths, connection: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = paths.component.as_deref().or(connection) {
        return Ok(path.to_owned());
    }
    let program = std::env::current_exe()
        .map_err(|error| Error::usage(format!("component: not given, and not found: {error}")))?;
    let folder = program.parent().unwrap_or(Path::new("."));
    only_component(folder)
}

fn only_component(folder: &Path) -> Result<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .map_err(|error| Error::usage(format!("component: {}: {error}", folder.display())))?;
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let is_component = |path: &PathBuf| path.extension().is_some_and(|ext| ext == "wasm");
    let mut found: Vec<PathBuf> = paths.filter(is_component).collect();
    found.sort();
    let hint = "give its file: --component FILE, or component = \"FILE\" in the connection file";
    match found.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Error::usage(format!("component: none is in {}", folder.display())).hint(hint)),
        many => {
            let names: Vec<String> = many.iter().map(|path| path.display().to_string()).collect();
            Err(Error::usage(format!("component: several to choose from: {}", names.join(", "))).hint(hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::only_component;

    #[test]
    fn the_only_component_beside_the_program_is_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("readme.txt"), "").expect("written");
        assert!(only_component(folder.path()).is_err());
        let file = folder.path().join("a.wasm");
        std::fs::write(&file, "").expect("written");
        assert_eq!(only_component(folder.path()).expect("found"), file);
        std::fs::write(folder.path().join("b.wasm"), "").expect("written");
        let error = only_component(folder.path()).expect_err("took one of two");
        assert!(error.message.contains("a.wasm") && error.message.contains("b.wasm"));
    }
}
