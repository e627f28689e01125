//! The secret of a connection's webhook URL, in `state.db`: made at first use, shown again, rotated. Beside it, from
//! which file a server had the connection last, and that it was removed: its URL says so from then on.
//!
//! Needs no lock: each change is one statement, and a server looks again for what the command line changed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection as Database, OptionalExtension, params};

use super::database;
use super::key::Key;
use crate::clock::now_ms;
use crate::error::{Error, Result};
use crate::webhook_url::{UrlSecret, UrlSecrets};

const TABLES: &str = "CREATE TABLE IF NOT EXISTS hook (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    secrets TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS served (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    file TEXT NOT NULL,
    removed_at_ms INTEGER
)";

/// What is kept of a connection that has a URL.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its name.
    pub name: String,
    /// The secrets of its URL.
    pub secrets: UrlSecrets,
    /// The file from which a server had it last.
    pub file: Option<PathBuf>,
    /// It was removed since.
    pub is_removed: bool,
}

/// The connections of a data folder that have a URL. One whose state cannot be read is left out.
pub fn kept(data: &Path, key: &Key) -> Result<Vec<Kept>> {
    let wrong = |error: std::io::Error| Error::state(format!("folder {}: {error}", data.display()));
    let mut all = Vec::new();
    for entry in std::fs::read_dir(data).map_err(wrong)? {
        let folder = entry.map_err(wrong)?.path();
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        // Opening a state makes it; looking must not.
        if !folder.join("state.db").is_file() {
            continue;
        }
        match HookStore::open(data, &name, key.clone()).and_then(|store| store.kept()) {
            Ok(kept) => all.extend(kept),
            Err(error) => tracing::warn!(connection = %name, %error, "what its URL answers is not known"),
        }
    }
    Ok(all)
}

/// The webhook secrets of one connection.
pub struct HookStore {
    database: Database,
    name: String,
    key: Key,
}

impl HookStore {
    /// Opens the state of a connection.
    pub fn open(data: &Path, name: &str, key: Key) -> Result<Self> {
        let folder = data.join(name);
        super::private_folder(&folder)?;
        Ok(Self { database: database(&folder, TABLES)?, name: name.to_owned(), key })
    }

    /// What is kept; made if nothing is, or if it was made with another key and can never be shown again.
    pub fn secrets(&self) -> Result<UrlSecrets> {
        if let Some(secrets) = self.load()? {
            return Ok(secrets);
        }
        let made = UrlSecrets::generate(self.key.bytes(), &self.name, now_ms());
        self.store(&made, false)?;
        // Another process may have been first; both go on with what is stored.
        self.load()?.ok_or_else(|| Error::state(format!("connection `{}`: no webhook secret", self.name)))
    }

    /// Makes another secret; the one until now works for `grace` longer.
    pub fn rotate(&self, grace: Duration) -> Result<UrlSecrets> {
        let mut secrets = self.secrets()?;
        secrets.rotate(self.key.bytes(), &self.name, now_ms(), grace);
        self.store(&secrets, true)?;
        Ok(secrets)
    }

    /// The secret, for a URL.
    pub fn reveal(&self) -> Result<UrlSecret> {
        self.secrets()?.reveal(self.key.bytes(), &self.name).ok_or_else(|| {
            let message = format!("connection `{}`: its webhook URL was made with another key", self.name);
            Error::state(message)
                .hint("use the key it was made with, or make another URL: webhook url --rotate")
        })
    }

    /// Notes that a server has the connection, from this file.
    pub fn note_served(&self, file: &Path) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO served VALUES (1, ?1, NULL)";
        let noted = self.database.execute(sql, params![file.to_string_lossy()]);
        noted.map(drop).map_err(|error| self.failed(&error.to_string()))
    }

    /// Notes that the connection was removed; no more once a server has it again.
    pub fn note_removed(&self) -> Result<()> {
        let now = i64::try_from(now_ms()).unwrap_or(i64::MAX);
        let sql = "UPDATE served SET removed_at_ms = coalesce(removed_at_ms, ?1)";
        self.database.execute(sql, params![now]).map(drop).map_err(|error| self.failed(&error.to_string()))
    }

    /// What is kept, if the connection has a URL.
    fn kept(&self) -> Result<Option<Kept>> {
        let Some(secrets) = self.load()? else { return Ok(None) };
        let served: Option<(String, bool)> = self
            .database
            .query_row("SELECT file, removed_at_ms IS NOT NULL FROM served", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()
            .map_err(|error| self.failed(&error.to_string()))?;
        let is_removed = served.as_ref().is_some_and(|(_, is_removed)| *is_removed);
        let file = served.map(|(file, _)| PathBuf::from(file));
        Ok(Some(Kept { name: self.name.clone(), secrets, file, is_removed }))
    }

    fn load(&self) -> Result<Option<UrlSecrets>> {
        let text: Option<String> = self
            .database
            .query_row("SELECT secrets FROM hook", [], |row| row.get(0))
            .optional()
            .map_err(|error| self.failed(&error.to_string()))?;
        text.map(|text| serde_json::from_str(&text).map_err(|error| self.failed(&error.to_string())))
            .transpose()
    }

    fn store(&self, secrets: &UrlSecrets, replace: bool) -> Result<()> {
        let text = serde_json::to_string(secrets).map_err(|error| self.failed(&error.to_string()))?;
        let how = if replace { "REPLACE" } else { "IGNORE" };
        let stored =
            self.database.execute(&format!("INSERT OR {how} INTO hook VALUES (1, ?1)"), params![text]);
        stored.map(drop).map_err(|error| self.failed(&error.to_string()))
    }

    fn failed(&self, error: &str) -> Error {
        Error::state(format!("connection `{}`: its state cannot be used: {error}", self.name))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::{HookStore, kept};
    use crate::clock::now_ms;
    use crate::state::key::Key;

    #[test]
    fn a_secret_stays_until_it_is_rotated_and_then_works_for_a_while() {
        let data = tempfile::tempdir().expect("a folder");
        let open = |byte| HookStore::open(data.path(), "acme", Key::from_bytes([byte; 32])).expect("opened");
        let first = open(1).reveal().expect("made");
        assert_eq!(open(1).reveal().expect("kept").reveal(), first.reveal());
        assert!(open(2).reveal().is_err(), "another key shows it");
        let secrets = open(1).rotate(Duration::from_secs(60)).expect("rotated");
        let second = open(1).reveal().expect("kept");
        assert_ne!(second.reveal(), first.reveal());
        assert!(secrets.matches(first.reveal(), now_ms()) && secrets.matches(second.reveal(), now_ms()));
    }

    #[test]
    fn that_a_connection_was_removed_is_kept_until_it_is_served_again() {
        let data = tempfile::tempdir().expect("a folder");
        let key = Key::from_bytes([1; 32]);
        let open = |name| HookStore::open(data.path(), name, key.clone()).expect("opened");
        let look = || {
            let found = kept(data.path(), &key).expect("read").into_iter();
            found.map(|one| (one.name, one.file, one.is_removed)).collect::<Vec<_>>()
        };
        open("without-a-url");
        std::fs::create_dir(data.path().join("cache")).expect("a folder");
        assert_eq!(look(), []);
        let acme = open("acme");
        acme.reveal().expect("made");
        acme.note_removed().expect("noted");
        assert_eq!(look(), [("acme".to_owned(), None, false)], "it was never served");
        let file = Path::new("/etc/connections/acme.toml");
        acme.note_served(file).expect("noted");
        acme.note_removed().expect("noted");
        assert_eq!(look(), [("acme".to_owned(), Some(file.to_owned()), true)]);
        acme.note_served(file).expect("noted");
        assert_eq!(look(), [("acme".to_owned(), Some(file.to_owned()), false)]);
    }
}
