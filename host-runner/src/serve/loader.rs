//! Loads a connection file, its component and the secret of its URL.

use std::path::{Path, PathBuf};

use super::connection_files::{self, Stamp};
use crate::connection::{self, Connection};
use crate::error::{Error, Result};
use crate::journal::Journal;
use crate::loaded::{Engines, LoadedConnection};
use crate::paths::Paths;
use crate::sandbox::validate;
use crate::state::ConnectionStore;
use crate::webhook_url::{PublicUrl, UrlSecrets};

/// A connection that can be started.
pub(super) struct Loaded {
    pub(super) file: PathBuf,
    pub(super) stamp: Option<Stamp>,
    /// Hash of the file, everything it refers to, and the component.
    pub(super) fingerprint: String,
    pub(super) loaded: LoadedConnection,
    pub(super) store: ConnectionStore,
    pub(super) subscribe: Option<PublicUrl>,
    pub(super) secrets: UrlSecrets,
    /// A line for the operator.
    pub(super) summary: String,
}

/// See the file's header.
pub(super) struct Loader {
    /// The public URL, if webhook URLs are to be subscribed at the source.
    pub(super) subscribe: Option<PublicUrl>,
    pub(super) engines: Engines,
    pub(super) paths: Paths,
    pub(super) journal: Journal,
}

/// The connection's name in a file, as far as it can be read.
pub(super) fn name_in(file: &Path) -> Option<String> {
    connection::name_in(file, &connection::environment)
}

/// Hashed, because the connection holds secrets.
fn fingerprint(loaded: &LoadedConnection) -> String {
    let all = format!("{:?} {}", loaded.connection, loaded.component.sha256);
    crate::digest::sha256_hex(all.as_bytes())
}

impl Loader {
    /// Loads a file; `taken` returns the file in which another connection has a name.
    pub(super) async fn load(
        &self,
        file: &Path,
        taken: &(dyn Fn(&str) -> Option<PathBuf> + Sync),
    ) -> Result<Loaded> {
        let stamp = connection_files::stamp(file);
        let connection = Connection::load(file, &connection::environment)?;
        let mut loaded = LoadedConnection::load_in(&self.engines, connection, &self.paths).await?;
        // Before its URL accepts deliveries: a configuration that the component rejects.
        validate(&loaded.component, loaded.connection.config_text(), &loaded.connection.limits)
            .await
            .map_err(|error| error.about(file.display()))?;
        let limits = &mut loaded.connection.limits;
        limits.batch.max_time = limits.batch.max_time.min(limits.serve.max_batch_time);
        let name = &loaded.connection.name;
        if let Some(other) = taken(name) {
            let message = format!("{}: name `{name}` is already used in {}", file.display(), other.display());
            return Err(Error::configuration(message).hint("give each connection a different name"));
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
        let queued = self.journal.depth(name)?.count;
        let subscribed = match (&subscription, &subscribe) {
            (_, Some(_)) => "subscribes",
            (Some(_), _) => "subscribed",
            (None, None) => "no subscription known",
        };
        let summary = format!(
            "{name}: into {}, {subscribed}, {queued} deliveries queued",
            loaded.connection.sink.location
        );
        let fingerprint = fingerprint(&loaded);
        Ok(Loaded { file: file.to_owned(), stamp, fingerprint, loaded, store, subscribe, secrets, summary })
    }
}
