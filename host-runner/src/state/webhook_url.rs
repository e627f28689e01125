//! The webhook URL of a connection: the hashes of its secret, the file a server last had the connection from,
//! and whether the connection was removed since. Needs no lock.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::params;

use super::key::Key;
use super::seal::Purpose;
use super::{ConnectionStore, Stamp, seal, stamp};
use crate::clock::now_ms;
use crate::error::{Error, Result};
use crate::paths::Paths;
use crate::webhook_url::{UrlSecret, UrlSecrets};

/// The webhook URL of one connection.
#[derive(Clone, Copy)]
pub struct WebhookUrl<'a>(&'a ConnectionStore);

/// The stored facts of a connection that has a webhook URL.
#[derive(Clone, Debug)]
pub struct StoredWebhookUrl {
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
pub struct StoredWebhookUrls(HashMap<String, (Stamp, Option<StoredWebhookUrl>)>);

impl StoredWebhookUrls {
    /// Those that are `wanted` by their name. Logs and skips those whose state cannot be read.
    pub fn read(&mut self, paths: &Paths, wanted: impl Fn(&str) -> bool) -> Result<Vec<StoredWebhookUrl>> {
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
    pub fn webhook_url(&self) -> WebhookUrl<'_> {
        WebhookUrl(self)
    }
}

impl WebhookUrl<'_> {
    /// The hashes of the secrets; generated at first use.
    pub fn secrets(&self) -> Result<UrlSecrets> {
        if let Some(secrets) = self.load()? {
            return Ok(secrets);
        }
        let generated = UrlSecrets::generate(self.0.0.key.bytes(), self.0.name(), now_ms());
        self.store(&generated, "IGNORE")?;
        // When another process inserted first, its secret is the stored one.
        self.load()?.ok_or_else(|| Error::state(format!("connection `{}`: no webhook secret", self.0.name())))
    }

    /// Generates another secret; the previous one stays valid for `grace`.
    pub fn rotate(&self, grace: Duration) -> Result<UrlSecrets> {
        let mut secrets = self.secrets()?;
        secrets.rotate(self.0.0.key.bytes(), self.0.name(), now_ms(), grace);
        self.store(&secrets, "REPLACE")?;
        Ok(secrets)
    }

    /// The secret, hidden from all output: the redactor learns it.
    pub fn secret(&self) -> Result<UrlSecret> {
        let secret = self.reveal()?;
        self.0.0.redactor.learn(self.0.name(), secret.reveal());
        Ok(secret)
    }

    /// The secret, to print the URL that a person asked for.
    pub fn reveal(&self) -> Result<UrlSecret> {
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
        let sealed: Option<Vec<u8>> = self.0.value("SELECT sealed FROM url_secret")?;
        Ok(sealed.and_then(|sealed| seal::open(key, self.0.name(), Purpose::UrlSecret, &sealed)))
    }

    /// Records that a server has the connection, from this file, and accepts these hosts of its component if
    /// it runs for the first time: one transaction, because a server may have hundreds.
    pub fn set_served(&self, file: &Path, hosts: &BTreeSet<String>) -> Result<()> {
        let hosts = serde_json::to_string(hosts).map_err(|error| self.0.failed(&error))?;
        self.0.with(|database| {
            let transaction = database.unchecked_transaction()?;
            let sql = "INSERT OR REPLACE INTO served VALUES (1, ?1, NULL)";
            transaction.execute(sql, params![file.to_string_lossy()])?;
            transaction.execute("INSERT OR IGNORE INTO accepted_hosts VALUES (1, ?1)", params![hosts])?;
            transaction.commit()
        })
    }

    /// Records that the connection was removed; [`Self::set_served`] undoes it.
    pub fn set_removed(&self) -> Result<()> {
        let sql = "UPDATE served SET removed_at_ms = coalesce(removed_at_ms, ?1)";
        self.0.execute(sql, params![now_ms().cast_signed()]).map(drop)
    }

    fn stored(&self) -> Result<Option<StoredWebhookUrl>> {
        let Some(secrets) = self.load()? else { return Ok(None) };
        let sql = "SELECT file, removed_at_ms IS NOT NULL FROM served";
        let served: Option<(String, bool)> = self.0.row(sql, |row| Ok((row.get(0)?, row.get(1)?)))?;
        let is_removed = served.as_ref().is_some_and(|(_, is_removed)| *is_removed);
        let file = served.map(|(file, _)| PathBuf::from(file));
        Ok(Some(StoredWebhookUrl { name: self.0.name().to_owned(), secrets, file, is_removed }))
    }

    fn load(&self) -> Result<Option<UrlSecrets>> {
        let text: Option<String> = self.0.value("SELECT secrets FROM webhook_url")?;
        text.map(|text| serde_json::from_str(&text).map_err(|error| self.0.failed(&error))).transpose()
    }

    fn store(&self, secrets: &UrlSecrets, conflict: &str) -> Result<()> {
        let text = serde_json::to_string(secrets).map_err(|error| self.0.failed(&error))?;
        let sql = format!("INSERT OR {conflict} INTO webhook_url VALUES (1, ?1)");
        self.0.execute(&sql, params![text]).map(drop)
    }
}
