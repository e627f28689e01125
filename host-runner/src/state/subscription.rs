//! What a component answered to `subscribe`, sealed like the session, beside it in `state.db`.
//!
//! Needs no lock: it is one row, and a server may hold the connection while the command line looks.

use std::path::Path;

use rusqlite::{Connection as Database, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::key::Key;
use super::{database, seal};
use crate::error::{Error, Result};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS subscription (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    sealed BLOB NOT NULL,
    updated_at_ms INTEGER NOT NULL
)";

/// A subscription, and what is needed to see to it that it stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// What the component answered; its own text.
    pub subscription: String,
    /// The outside name under which the source was told to call.
    pub public_url: String,
}

/// The subscription of one connection.
pub struct Subscriptions {
    database: Database,
    name: String,
    key: Key,
}

impl Subscriptions {
    /// Opens the state of a connection.
    pub fn open(data: &Path, name: &str, key: Key) -> Result<Self> {
        let folder = data.join(name);
        super::private_folder(&folder)?;
        let database = database(&folder, TABLE)?;
        Ok(Self { database, name: name.to_owned(), key })
    }

    /// The subscription kept last.
    pub fn load(&self) -> Result<Option<Kept>> {
        let sealed: Option<Vec<u8>> = self
            .database
            .query_row("SELECT sealed FROM subscription", [], |row| row.get(0))
            .optional()
            .map_err(|error| self.failed(&error))?;
        let Some(sealed) = sealed else { return Ok(None) };
        let kept = seal::open(&self.key, &self.owner(), &sealed);
        kept.and_then(|kept| serde_json::from_str(&kept).ok()).map(Some).ok_or_else(|| {
            Error::state(format!("connection `{}`: its subscription does not open with this key", self.name))
                .hint("use the key it was made with, or run `webhook subscribe` again")
        })
    }

    /// Stores a subscription; none forgets it.
    pub fn keep(&self, kept: Option<&Kept>) -> Result<()> {
        let Some(kept) = kept else {
            let forgotten = self.database.execute("DELETE FROM subscription", []);
            return forgotten.map(drop).map_err(|error| self.failed(&error));
        };
        let text = serde_json::to_string(kept).map_err(|error| {
            Error::state(format!("connection `{}`: its subscription: {error}", self.name))
        })?;
        let sealed = seal::seal(&self.key, &self.owner(), &text)?;
        let now = i64::try_from(crate::clock::now_ms()).unwrap_or(i64::MAX);
        self.database
            .execute("INSERT OR REPLACE INTO subscription VALUES (1, ?1, ?2)", params![sealed, now])
            .map(drop)
            .map_err(|error| self.failed(&error))
    }

    /// A name of its own, so that a session cannot be put in its place; no connection has a `/`.
    fn owner(&self) -> Vec<u8> {
        format!("{}/subscription", self.name).into_bytes()
    }

    fn failed(&self, error: &rusqlite::Error) -> Error {
        Error::state(format!("connection `{}`: its state cannot be used: {error}", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::{Kept, Subscriptions};
    use crate::state::key::Key;

    #[test]
    fn a_subscription_comes_back_with_the_same_key_only() {
        let data = tempfile::tempdir().expect("a folder");
        let open = |byte: u8| {
            let key = Key::from_bytes([byte; 32]);
            Subscriptions::open(data.path(), "acme", key).expect("opened")
        };
        assert_eq!(open(1).load().expect("loaded"), None);
        let kept =
            Kept { subscription: r#"{"id":"7"}"#.to_owned(), public_url: "https://example.com".to_owned() };
        open(1).keep(Some(&kept)).expect("kept");
        assert_eq!(open(1).load().expect("loaded"), Some(kept));
        assert!(open(2).load().is_err(), "another key opened it");
        open(1).keep(None).expect("forgotten");
        assert_eq!(open(1).load().expect("loaded"), None);
    }
}
