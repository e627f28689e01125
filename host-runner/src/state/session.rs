//! The session of a connection, sealed. Reading needs no lock; writing does.

use rusqlite::params;

use super::seal::Purpose;
use super::{ConnectionStore, LockedStore, seal};
use crate::clock::now_ms;
use crate::error::{Error, Result};
use crate::sandbox::SessionStore;

impl ConnectionStore {
    /// The stored session; the redactor learns its secrets.
    pub fn session(&self) -> Result<Option<String>> {
        let Some(sealed) = self.value::<Vec<u8>>("SELECT sealed FROM session")? else { return Ok(None) };
        let session = seal::open(&self.0.key, self.name(), Purpose::Session, &sealed).ok_or_else(|| {
            Error::state(format!("connection `{}`: its session does not open with this key", self.name()))
                .hint(
                    "use the key it was sealed with (HOST_RUNNER_KEY, --key-file or <data>/key), or authorize \
                     again after: state reset --session",
                )
        })?;
        self.0.redactor.learn_session(self.name(), &session);
        Ok(Some(session))
    }

    /// When the session was last written, by any process, in milliseconds since 1970.
    pub fn session_changed_at(&self) -> Result<Option<i64>> {
        self.value("SELECT updated_at_ms FROM session")
    }
}

impl LockedStore {
    /// Deletes the session, also one sealed with another key. True if there was one.
    pub fn delete_session(&self) -> Result<bool> {
        self.execute("DELETE FROM session", []).map(|rows| rows > 0)
    }
}

impl SessionStore for LockedStore {
    fn save(&mut self, session: Option<&str>) -> Result<()> {
        let Some(session) = session else { return self.delete_session().map(drop) };
        self.0.redactor.learn_session(self.name(), session);
        let sealed = seal::seal(&self.0.key, self.name(), Purpose::Session, session)?;
        let sql = "INSERT OR REPLACE INTO session VALUES (1, ?1, ?2)";
        self.execute(sql, params![sealed, now_ms().cast_signed()]).map(drop)
    }
}
