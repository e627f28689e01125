//! Replaces the key of an installation: everything that the old one sealed is sealed with the new one, and
//! secrets of webhook URLs, which the old one derived, are kept.
//!
//! One transaction for each connection, and each row is opened with either key, so that a rotation that was
//! interrupted is finished by the next one.

use std::path::Path;

use rusqlite::{OpenFlags, OptionalExtension, params};

use super::key::Key;
use super::seal::{self, Purpose};
use super::{ConnectionStore, LockedStore, open};
use crate::error::{Error, Result};
use crate::paths::Paths;

/// The tables of sealed rows, and their purposes.
const SEALED: [(&str, Purpose); 3] = [
    ("session", Purpose::Session),
    ("subscription", Purpose::Subscription),
    ("url_secret", Purpose::UrlSecret),
];

/// A connection whose rows are sealed with the new key.
pub(crate) struct Rotated {
    pub(crate) name: String,
    /// Tables that open with neither key, and stay as they are.
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
        let (from, name) = (&self.0.key, self.name());
        let url = self.webhook_url();
        let known = match url.kept(to)? {
            Some(kept) => Some(kept),
            None => url.reveal().ok().map(|secret| secret.reveal().to_owned()),
        };
        let path = self.0.folder.join("state.db");
        let failed = |error: rusqlite::Error| self.failed(&error);
        let mut database = open(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
        let transaction = database.transaction().map_err(failed)?;
        if let Some(secret) = known {
            let sealed = seal::seal(to, name, Purpose::UrlSecret, &secret)?;
            let sql = "INSERT OR REPLACE INTO url_secret VALUES (1, ?1)";
            transaction.execute(sql, params![sealed]).map_err(failed)?;
        }
        let mut unusable = Vec::new();
        for (table, purpose) in SEALED {
            let sql = format!("SELECT sealed FROM {table}");
            let row = transaction.query_row(&sql, [], |row| row.get::<_, Vec<u8>>(0)).optional();
            let Some(sealed) = row.map_err(failed)? else { continue };
            if seal::open(to, name, purpose, &sealed).is_some() {
                continue;
            }
            let Some(text) = seal::open(from, name, purpose, &sealed) else {
                unusable.push(table);
                continue;
            };
            let sealed = seal::seal(to, name, purpose, &text)?;
            transaction
                .execute(&format!("UPDATE {table} SET sealed = ?1"), params![sealed])
                .map_err(failed)?;
        }
        transaction.commit().map_err(failed)?;
        Ok(unusable)
    }
}
