//! The secret of a connection's webhook URL, in `state.db`: made at first use, shown again, rotated.
//!
//! Needs no lock: each change is one statement, and a server looks again for what the command line changed.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection as Database, OptionalExtension, params};

use super::database;
use super::key::Key;
use crate::clock::now_ms;
use crate::error::{Error, Result};
use crate::hooks::{HookSecret, HookSecrets};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS hook (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    secrets TEXT NOT NULL
)";

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
        Ok(Self { database: database(&folder, TABLE)?, name: name.to_owned(), key })
    }

    /// What is kept; made if nothing is, or if it was made with another key and can never be shown again.
    pub fn secrets(&self) -> Result<HookSecrets> {
        if let Some(secrets) = self.load()? {
            if secrets.reveal(self.key.bytes(), &self.name).is_none() {
                tracing::warn!(connection = %self.name, "its webhook URL was made with another key; it still works, but cannot be shown");
            }
            return Ok(secrets);
        }
        let made = HookSecrets::generate(self.key.bytes(), &self.name, now_ms());
        self.store(&made, false)?;
        // Another process may have been first; both go on with what is stored.
        self.load()?.ok_or_else(|| Error::state(format!("connection `{}`: no webhook secret", self.name)))
    }

    /// Makes another secret; the one until now works for `grace` longer.
    pub fn rotate(&self, grace: Duration) -> Result<HookSecrets> {
        let mut secrets = self.secrets()?;
        secrets.rotate(self.key.bytes(), &self.name, now_ms(), grace);
        self.store(&secrets, true)?;
        Ok(secrets)
    }

    /// The secret, for a URL.
    pub fn reveal(&self) -> Result<HookSecret> {
        self.secrets()?.reveal(self.key.bytes(), &self.name).ok_or_else(|| {
            let message = format!("connection `{}`: its webhook URL was made with another key", self.name);
            Error::state(message)
                .hint("use the key it was made with, or make another URL: webhook url --rotate")
        })
    }

    fn load(&self) -> Result<Option<HookSecrets>> {
        let text: Option<String> = self
            .database
            .query_row("SELECT secrets FROM hook", [], |row| row.get(0))
            .optional()
            .map_err(|error| self.failed(&error.to_string()))?;
        text.map(|text| serde_json::from_str(&text).map_err(|error| self.failed(&error.to_string())))
            .transpose()
    }

    fn store(&self, secrets: &HookSecrets, replace: bool) -> Result<()> {
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
    use std::time::Duration;

    use super::HookStore;
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
}
