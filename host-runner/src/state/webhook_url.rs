//! The webhook URL of a connection: the hashes of its secret, the file a server last had the connection from,
//! and whether the connection was removed since. Needs no lock.

use std::collections::{BTreeSet, HashMap};
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::items::{Item, SqliteStore};
use super::seal::Purpose;
use super::{Change, ConnectionStore, Stamp, seal, stamp};
use crate::clock::now_ms;
use crate::error::{Error, Result};
use crate::files::{self, private_folder};
use crate::key::Key;
use crate::paths::Paths;
use crate::webhook_url::{UrlSecret, UrlSecrets};

/// Files that are read at a time, while nothing else runs yet.
const READERS_MAX: usize = 16;
/// Files of one reader, at least.
const READ_MIN: usize = 8;

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
pub(crate) struct StoredWebhookUrls {
    known: HashMap<String, (Stamp, Option<StoredWebhookUrl>)>,
    /// Those whose state could not be read the last time.
    unreadable: BTreeSet<String>,
}

/// The URLs of a data folder.
#[derive(Clone, Debug, Default)]
pub(crate) struct FoundUrls {
    /// Those that could be read.
    pub urls: Vec<StoredWebhookUrl>,
    /// Connections whose state cannot be read for now: whether they have a URL is not known.
    pub unreadable: BTreeSet<String>,
}

/// A connection's name and the stamp of its state.
type Stamped = (String, Stamp);

impl StoredWebhookUrls {
    /// Those that are `wanted` by their name.
    pub(crate) fn read(&mut self, paths: &Paths, wanted: impl Fn(&str) -> bool) -> Result<FoundUrls> {
        let data = &paths.data;
        let wrong = |error: std::io::Error| Error::state(format!("folder {}: {error}", data.display()));
        let (mut found, mut changed) = (FoundUrls::default(), Vec::new());
        for entry in std::fs::read_dir(data).map_err(wrong)? {
            let name = entry.map_err(wrong)?.file_name().to_string_lossy().into_owned();
            if !wanted(&name) {
                continue;
            }
            let Some(now) = stamp(&file(paths, &name)) else { continue };
            match self.known.get(&name).filter(|(then, _)| *then == now) {
                Some((_, known)) => found.urls.extend(known.clone()),
                None => changed.push((name, now)),
            }
        }
        for ((name, stamp), stored) in read_side_by_side(paths, &changed) {
            match stored {
                Ok(stored) => {
                    found.urls.extend(stored.clone());
                    self.known.insert(name, (stamp, stored));
                }
                Err(error) => {
                    if !self.unreadable.contains(&name) {
                        tracing::warn!(connection = %name, %error, "its webhook URL cannot be read");
                    }
                    found.unreadable.insert(name);
                }
            }
        }
        self.unreadable.clone_from(&found.unreadable);
        Ok(found)
    }
}

/// Reads the state of each: one that another process holds does not keep the others waiting.
fn read_side_by_side(paths: &Paths, all: &[Stamped]) -> Vec<(Stamped, Result<Option<StoredWebhookUrl>>)> {
    let read = |some: &[Stamped]| -> Vec<_> {
        some.iter().map(|one| (one.clone(), stored(paths, &one.0))).collect()
    };
    let share = all.len().div_ceil(READERS_MAX).max(READ_MIN);
    std::thread::scope(|scope| {
        let spawn = |some| match std::thread::Builder::new().spawn_scoped(scope, move || read(some)) {
            Ok(reading) => Ok(reading),
            // No more threads for this user.
            Err(_) => Err(read(some)),
        };
        let reading: Vec<_> = all.chunks(share).map(spawn).collect();
        let done = reading.into_iter().map(|one| match one {
            Ok(reading) => reading.join().unwrap_or_default(),
            Err(done) => done,
        });
        done.flatten().collect()
    })
}

/// The stored facts of a connection, if it has a webhook URL.
fn stored(paths: &Paths, name: &str) -> Result<Option<StoredWebhookUrl>> {
    private_folder(&paths.connection(name))?;
    let path = file(paths, name);
    if files::open_existing(&path, OpenOptions::new().read(true))?.is_none() {
        return Ok(None);
    }
    let [secrets, served] = SqliteStore::peek(&path, name, [Item::WebhookUrl, Item::Served])?;
    let Some(secrets) = parse(name, secrets.as_deref())? else { return Ok(None) };
    let served: Option<Served> = parse(name, served.as_deref())?;
    let is_removed = served.as_ref().is_some_and(|served| served.removed_at_ms.is_some());
    let file = served.map(|served| served.file);
    Ok(Some(StoredWebhookUrl { name: name.to_owned(), secrets, file, is_removed }))
}

fn file(paths: &Paths, name: &str) -> PathBuf {
    paths.connection(name).join("state.db")
}

fn parse<T: DeserializeOwned>(connection: &str, value: Option<&[u8]>) -> Result<Option<T>> {
    let parsed = value.map(serde_json::from_slice).transpose();
    parsed.map_err(|error| {
        Error::state(format!("connection `{connection}`: its state cannot be used: {error}"))
    })
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

    fn load(&self) -> Result<Option<UrlSecrets>> {
        self.read(Item::WebhookUrl)
    }

    /// Replaces the secrets by the result of `change`.
    fn change(&self, change: impl Fn(Option<UrlSecrets>) -> UrlSecrets) -> Result<UrlSecrets> {
        let changed = self.update(Item::WebhookUrl, |known| Some(change(known)))?;
        changed.ok_or_else(|| Error::state(format!("connection `{}`: no webhook secret", self.0.name())))
    }

    fn read<T: DeserializeOwned>(&self, item: Item) -> Result<Option<T>> {
        parse(self.0.name(), self.0.0.items.load(item)?.value.as_deref())
    }

    /// Replaces an item; none keeps it as it is.
    fn update<T: Serialize + DeserializeOwned>(
        &self,
        item: Item,
        change: impl Fn(Option<T>) -> Option<T>,
    ) -> Result<Option<T>> {
        let stored = self.0.update(item, |value| {
            let Some(changed) = change(parse(self.0.name(), value)?) else { return Ok(Change::Keep) };
            let value = serde_json::to_vec(&changed).map_err(|error| self.0.failed(&error))?;
            Ok(Change::To(Some(value)))
        });
        parse(self.0.name(), stored?.value.as_deref())
    }
}
