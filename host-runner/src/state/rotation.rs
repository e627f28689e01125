//! Replaces the key of an installation: everything that the old one sealed is sealed with the new one, and
//! secrets of webhook URLs, which the old one derived, are kept.
//!
//! Each item is opened with either key, so that a rotation that was interrupted is finished by the next one.

use std::path::Path;

use super::items::Item;
use super::seal::{self, Purpose};
use super::{Change, ConnectionStore, LockedStore};
use crate::error::{Error, Result};
use crate::key::Key;
use crate::paths::Paths;

/// The sealed items, and their purposes.
const SEALED: [(Item, Purpose); 3] = [
    (Item::Session, Purpose::Session),
    (Item::Subscription, Purpose::Subscription),
    (Item::UrlSecret, Purpose::UrlSecret),
];

/// A connection whose items are sealed with the new key.
pub(crate) struct Rotated {
    pub(crate) name: String,
    /// Items that open with neither key, and stay as they are.
    pub(crate) unusable: Vec<&'static str>,
    /// No process uses the connection before the key is in place.
    _lock: LockedStore,
}

/// Seals everything of the data folder with the key `to`. Fails while a process has a connection.
pub(crate) fn rotate(paths: &Paths, to: &Key) -> Result<Vec<Rotated>> {
    let stores = connections(&paths.data)?.into_iter().map(|name| {
        let store = ConnectionStore::open(paths, &name)?;
        let lock = store.lock()?;
        Ok((name, lock))
    });
    // All are locked before the first one changes.
    let stores: Vec<(String, LockedStore)> = stores.collect::<Result<_>>()?;
    stores
        .into_iter()
        .map(|(name, lock)| Ok(Rotated { unusable: lock.reseal(to)?, name, _lock: lock }))
        .collect()
}

/// The connections of which something is kept, sorted.
fn connections(data: &Path) -> Result<Vec<String>> {
    let wrong = |error: std::io::Error| Error::state(format!("folder {}: {error}", data.display()));
    let mut names = Vec::new();
    for entry in std::fs::read_dir(data).map_err(wrong)? {
        let entry = entry.map_err(wrong)?;
        if entry.path().join("state.db").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

impl LockedStore {
    fn reseal(&self, to: &Key) -> Result<Vec<&'static str>> {
        let name = self.name();
        let url = self.webhook_url();
        let known = match url.kept(to)? {
            Some(kept) => Some(kept),
            None => url.reveal().ok().map(|secret| secret.reveal().to_owned()),
        };
        if let Some(secret) = known {
            let sealed = seal::seal(to, name, Purpose::UrlSecret, &secret)?;
            self.update(Item::UrlSecret, |_| Ok(Change::To(Some(sealed.clone()))))?;
        }
        let mut unusable = Vec::new();
        for (item, purpose) in SEALED {
            let stored = self.update(item, |sealed| {
                let Some(sealed) = sealed else { return Ok(Change::Keep) };
                if seal::open(to, name, purpose, sealed).is_some() {
                    return Ok(Change::Keep);
                }
                match seal::open(&self.0.key, name, purpose, sealed) {
                    Some(text) => Ok(Change::To(Some(seal::seal(to, name, purpose, &text)?))),
                    None => Ok(Change::Keep),
                }
            })?;
            if stored.value.is_some_and(|sealed| seal::open(to, name, purpose, &sealed).is_none()) {
                unusable.push(item.name());
            }
        }
        Ok(unusable)
    }
}
