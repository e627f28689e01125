//! The webhook URL of a connection: the hashes of its secret, the file a server last had the connection from,
//! and whether the connection was removed since. Needs no lock.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::items::Item;
use super::seal::Purpose;
use super::{Change, ConnectionStore, Stamp, seal, stamp};
use crate::clock::now_ms;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::paths::Paths;
use crate::webhook_url::{UrlSecret, UrlSecrets};

/// The webhook URL of one connection.
#[derive(Clone, Copy)]
pub(crate) struct WebhookUrl<'a>(&'a ConnectionStore);

/// Where a server last had the connection from.
#[derive(Clone, Serialize, Deserialize)]
struct Served {
    file: PathBuf,
    /// When the connection was removed.
    removed_at_ms: Option<u64>,
}

/// The stored facts of a connection that has a webhook URL.
#[derive(Clone, Debug)]
pub(crate) struct StoredWebhookUrl {
    /// The connection's name.
    pub name: String,
    /// The hashes of its secrets.
    pub secrets: UrlSecrets,
    /// The file a server last had the connection from.
    pub file: Option<PathBuf>,
    /// The connection was removed since.
    pub is_removed: bool,
}

/// The connections of a data folder that have a webhook URL. Each is read again once its state changed.
#[derive(Default)]
pub(crate) struct StoredWebhookUrls(HashMap<String, (Stamp, Option<StoredWebhookUrl>)>);

impl StoredWebhookUrls {
    /// Those that are `wanted` by their name. Logs and skips those whose state cannot be read.
    pub(crate) fn read(
        &mut self,
        paths: &Paths,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<StoredWebhookUrl>> {
        let data = &paths.data;
        let wrong = |error: std::io::Error| Error::state(format!("folder {}: {error}", data.display()));
        let mut all = Vec::new();
        for entry in std::fs::read_dir(data).map_err(wrong)? {
            let name = entry.map_err(wrong)?.file_name().to_string_lossy().into_owned();
            if !wanted(&name) {
                continue;
            }
            let Some(now) = stamp(&paths.connection(&name).join("state.db")) else { continue };
            if let Some((_, known)) = self.0.get(&name).filter(|(then, _)| *then == now) {
                all.extend(known.clone());
                continue;
            }
            let stored = ConnectionStore::open(paths, &name).and_then(|store| store.webhook_url().stored());
            match stored {
                Ok(stored) => {
                    all.extend(stored.clone());
                    self.0.insert(name, (now, stored));
                }
                Err(error) => tracing::warn!(connection = %name, %error, "its webhook URL cannot be read"),
            }
        }
        Ok(all)
    }
}

impl ConnectionStore {
    /// The connection's webhook URL.
    pub(crate) fn webhook_url(&self) -> WebhookUrl<'_> {
        WebhookUrl(self)
    }
}

impl WebhookUrl<'_> {
    /// The hashes of the secrets; generated at first use.
    pub(crate) fn secrets(&self) -> Result<UrlSecrets> {
        if let Some(secrets) = self.load()? {
            return Ok(secrets);
        }
        // When another process generated one first, that one counts.
        self.change(|known| known.unwrap_or_else(|| self.generate()))
    }

    /// Generates another secret; the previous one stays valid for `grace`.
    pub(crate) fn rotate(&self, grace: Duration) -> Result<UrlSecrets> {
        self.change(|known| {
            let mut secrets = known.unwrap_or_else(|| self.generate());
            secrets.rotate(self.0.0.key.bytes(), self.0.name(), now_ms(), grace);
            secrets
        })
    }

    fn generate(&self) -> UrlSecrets {
        UrlSecrets::generate(self.0.0.key.bytes(), self.0.name(), now_ms())
    }

    /// The secret, hidden from all output: the redactor learns it.
    pub(crate) fn secret(&self) -> Result<UrlSecret> {
        let secret = self.reveal()?;
        self.0.0.redactor.learn(self.0.name(), secret.reveal());
        Ok(secret)
    }

    /// The secret, to print the URL that a person asked for.
    pub(crate) fn reveal(&self) -> Result<UrlSecret> {
        let secrets = self.secrets()?;
        let derived = secrets.reveal(self.0.0.key.bytes(), self.0.name());
        let secret = match derived {
            Some(secret) => Some(secret),
            None => self.kept(&self.0.0.key)?.and_then(|text| secrets.recognize(text)),
        };
        secret.ok_or_else(|| {
            let message =
                format!("connection `{}`: its webhook URL was made with another key", self.0.name());
            Error::state(message)
                .hint("use the key it was made with, or generate another URL: webhook url --rotate")
        })
    }

    /// The secret that was kept when the key was rotated, if this key sealed it.
    pub(super) fn kept(&self, key: &Key) -> Result<Option<String>> {
        let sealed = self.0.0.items.load(Item::UrlSecret)?.value;
        Ok(sealed.and_then(|sealed| seal::open(key, self.0.name(), Purpose::UrlSecret, &sealed)))
    }

    /// Records that a server has the connection, from this file.
    pub(crate) fn set_served(&self, file: &Path) -> Result<()> {
        let served = Served { file: file.to_owned(), removed_at_ms: None };
        self.update(Item::Served, |_| Some(served.clone())).map(drop)
    }

    /// Records that the connection was removed; [`Self::set_served`] undoes it.
    pub(crate) fn set_removed(&self) -> Result<()> {
        let removed = |served: Option<Served>| {
            served.map(|served| Served { removed_at_ms: served.removed_at_ms.or(Some(now_ms())), ..served })
        };
        self.update(Item::Served, removed).map(drop)
    }

    fn stored(&self) -> Result<Option<StoredWebhookUrl>> {
        let Some(secrets) = self.load()? else { return Ok(None) };
        let served: Option<Served> = self.read(Item::Served)?;
        let is_removed = served.as_ref().is_some_and(|served| served.removed_at_ms.is_some());
        let file = served.map(|served| served.file);
        Ok(Some(StoredWebhookUrl { name: self.0.name().to_owned(), secrets, file, is_removed }))
    }

    fn load(&self) -> Result<Option<UrlSecrets>> {
        self.read(Item::WebhookUrl)
    }

    /// Replaces the secrets by the result of `change`.
    fn change(&self, change: impl Fn(Option<UrlSecrets>) -> UrlSecrets) -> Result<UrlSecrets> {
        let changed = self.update(Item::WebhookUrl, |known| Some(change(known)))?;
        changed.ok_or_else(|| Error::state(format!("connection `{}`: no webhook secret", self.0.name())))
    }

    fn read<T: DeserializeOwned>(&self, item: Item) -> Result<Option<T>> {
        self.parse(self.0.0.items.load(item)?.value.as_deref())
    }

    fn parse<T: DeserializeOwned>(&self, value: Option<&[u8]>) -> Result<Option<T>> {
        value.map(|value| serde_json::from_slice(value).map_err(|error| self.0.failed(&error))).transpose()
    }

    /// Replaces an item; none keeps it as it is.
    fn update<T: Serialize + DeserializeOwned>(
        &self,
        item: Item,
        change: impl Fn(Option<T>) -> Option<T>,
    ) -> Result<Option<T>> {
        let stored = self.0.update(item, |value| {
            let Some(changed) = change(self.parse(value)?) else { return Ok(Change::Keep) };
            let value = serde_json::to_vec(&changed).map_err(|error| self.0.failed(&error))?;
            Ok(Change::To(Some(value)))
        });
        self.parse(stored?.value.as_deref())
    }
}
