//! From a connection file to a connection that can be started.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::files::{self, Stamp};
use crate::connection;
use crate::error::{Error, Result};
use crate::hooks::{HookSecrets, PublicUrl};
use crate::journal::Journal;
use crate::sandbox::validate;
use crate::state::hook::HookStore;
use crate::state::subscription::Subscriptions;
use crate::tenant::{Engines, Paths, Tenant, key};

/// A connection that can be started.
pub(super) struct Loaded {
    pub(super) file: PathBuf,
    pub(super) stamp: Option<Stamp>,
    /// Of all that the file leads to: itself, what it takes from elsewhere, and the component.
    pub(super) fingerprint: String,
    pub(super) tenant: Tenant,
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
fn fingerprint(tenant: &Tenant) -> String {
    let all = format!("{:?} {}", tenant.connection, tenant.component.sha256);
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
        let mut tenant = Tenant::load_in(&self.engines, file, &self.paths).await?;
        let connection = &tenant.connection;
        // Before the URL of the connection takes anything: a configuration that the component refuses.
        validate(&tenant.component, connection.config_text(), &connection.limits)
            .await
            .map_err(|error| error.about(file.display()))?;
        let limits = &mut tenant.connection.limits;
        limits.batch.max_time = limits.batch.max_time.min(limits.serve.max_batch_time);
        let name = &tenant.connection.name;
        if let Some(other) = taken(name) {
            let message = format!("{}: `{name}` is the name of {} too", file.display(), other.display());
            return Err(Error::configuration(message).hint("give each connection a name of its own"));
        }
        let hooks = HookStore::open(&self.paths.data, name, key(&self.paths)?)?;
        let secrets = hooks.secrets()?;
        let revealed = hooks.reveal();
        match &revealed {
            Ok(secret) => self.paths.redactor.learn(secret.reveal()),
            Err(error) => tracing::warn!(connection = %name, %error, "its URL still works"),
        }
        let subscribe = self.subscribe.clone();
        if subscribe.is_some() {
            revealed?;
        }
        let subscription = Subscriptions::open(&self.paths.data, name, key(&self.paths)?)?.load()?;
        let waiting = self.journal.depth(name)?.count;
        let subscribed = match (&subscription, &subscribe) {
            (_, Some(_)) => "subscribes",
            (Some(_), _) => "subscribed",
            (None, None) => "no subscription known",
        };
        let state = format!(
            "{name}: into {}, {subscribed}, {waiting} deliveries waiting",
            tenant.connection.sink.path.display()
        );
        let fingerprint = fingerprint(&tenant);
        Ok(Loaded { file: file.to_owned(), stamp, fingerprint, tenant, subscribe, secrets, state })
    }
}
