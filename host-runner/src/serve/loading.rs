//! From a connection file to a connection that can be started.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::files::{self, Stamp};
use crate::actor::SERVE_BATCH_MS;
use crate::connection;
use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::hooks::{HookSecrets, PublicUrl};
use crate::journal::Journal;
use crate::loaded::{Engines, LoadedConnection};
use crate::paths::Paths;
use crate::state::ConnectionStore;

/// A connection that can be started.
pub(super) struct Loaded {
    pub(super) file: PathBuf,
    pub(super) stamp: Option<Stamp>,
    /// Of all that the file leads to: itself, what it takes from elsewhere, and the component.
    pub(super) fingerprint: String,
    pub(super) loaded: LoadedConnection,
    pub(super) store: ConnectionStore,
    pub(super) subscribe: Option<PublicUrl>,
    pub(super) secrets: HookSecrets,
    /// What a person should know of it.
    pub(super) state: String,
}

/// What loading needs.
pub(super) struct Loader {
    /// The outside name, if URLs are to be registered.
    pub(super) subscribe: Option<PublicUrl>,
    pub(super) engines: Engines,
    pub(super) paths: Paths,
    pub(super) journal: Journal,
}

/// The name of the connection in a file, as far as it can be read.
pub(super) fn name_in(file: &Path) -> Option<String> {
    connection::name_in(file, &|name: &str| std::env::var(name).ok())
}

/// A hash, because secrets are in it.
fn fingerprint(loaded: &LoadedConnection) -> String {
    let all = format!("{:?} {}", loaded.connection, loaded.component.sha256);
    crate::engine::hex(&Sha256::digest(all))
}

impl Loader {
    /// Reads a file, its component and its URL's secret.
    pub(super) async fn load(
        &self,
        file: &Path,
        taken: &(dyn Fn(&str) -> Option<PathBuf> + Sync),
    ) -> Result<Loaded> {
        let stamp = files::stamp(file);
        let connection = Connection::load(file, &|name: &str| std::env::var(name).ok())?;
        let mut loaded = LoadedConnection::load_in(&self.engines, connection, &self.paths).await?;
        let limits = &mut loaded.connection.limits;
        limits.max_ms = limits.max_ms.min(SERVE_BATCH_MS);
        let name = &loaded.connection.name;
        if let Some(other) = taken(name) {
            let message = format!("{}: `{name}` is the name of {} too", file.display(), other.display());
            return Err(Error::configuration(message).hint("give each connection a name of its own"));
        }
        let store = ConnectionStore::open(&self.paths, name)?;
        let secrets = store.webhook_url().secrets()?;
        let revealed = store.webhook_url().secret();
        if let Err(error) = &revealed {
            tracing::warn!(connection = %name, %error, "its URL still works");
        }
        let subscribe = self.subscribe.clone();
        if subscribe.is_some() {
            revealed?;
        }
        let subscription = store.subscription()?;
        let waiting = self.journal.depth(name)?.count;
        let subscribed = match (&subscription, &subscribe) {
            (_, Some(_)) => "subscribes",
            (Some(_), _) => "subscribed",
            (None, None) => "no subscription known",
        };
        let state = format!(
            "{name}: into {}, {subscribed}, {waiting} deliveries waiting",
            loaded.connection.sink.path.display()
        );
        let fingerprint = fingerprint(&loaded);
        Ok(Loaded { file: file.to_owned(), stamp, fingerprint, loaded, store, subscribe, secrets, state })
    }
}
