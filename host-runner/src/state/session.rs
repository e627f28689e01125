//! The session of a connection, sealed. Reading needs no lock; writing does.
//!
//! A session that cannot be stored, for example because the disk is full, is kept in memory: a token that
//! works once would be lost with it. It counts until another one is stored.

use std::sync::{MutexGuard, PoisonError};

use rusqlite::params;

use super::seal::Purpose;
use super::{ConnectionStore, LockedStore, seal};
use crate::clock::now_ms;
use crate::error::{Error, Result};
use crate::sandbox::SessionStore;

/// The session as this process knows it.
#[derive(Default)]
pub(super) struct Memory {
    /// [`ConnectionStore::session_changed_at`] of the session that it last read or stored.
    seen: Option<i64>,
    /// The session that replaces it and could not be stored; none in it: a deletion.
    unsaved: Option<Option<String>>,
}

impl ConnectionStore {
    /// The newest session; the redactor learns its secrets.
    pub fn session(&self) -> Result<Option<String>> {
        let row = self.row("SELECT sealed, updated_at_ms FROM session", |row| {
            Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, i64>(1)?))
        })?;
        let stored_at = row.as_ref().map(|row| row.1);
        {
            let mut memory = self.memory();
            if let Some(unsaved) = memory.unsaved.as_ref().filter(|_| memory.seen == stored_at) {
                return Ok(unsaved.clone());
            }
            *memory = Memory { seen: stored_at, unsaved: None };
        }
        let Some((sealed, _)) = row else { return Ok(None) };
        let session = seal::open(&self.0.key, self.name(), Purpose::Session, &sealed).ok_or_else(|| {
            Error::state(format!("connection `{}`: its session does not open with this key", self.name()))
                .hint(
                    "use the key it was sealed with (HOST_RUNNER_KEY, --key-file or <data>/key), or \
                     authorize again after: state reset --session",
                )
        })?;
        self.0.redactor.learn_session(self.name(), &session);
        Ok(Some(session))
    }

    /// When the session was last written, by any process, in milliseconds since 1970.
    pub fn session_changed_at(&self) -> Result<Option<i64>> {
        self.value("SELECT updated_at_ms FROM session")
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LockedStore {
    /// Deletes the session, also one sealed with another key. True if there was one.
    pub fn delete_session(&self) -> Result<bool> {
        let deleted = self.execute("DELETE FROM session", []).map(|rows| rows > 0)?;
        let before = std::mem::take(&mut *self.memory());
        Ok(deleted || before.unsaved.is_some())
    }

    /// Stores a session; returns its [`ConnectionStore::session_changed_at`].
    fn store(&self, session: Option<&str>) -> Result<Option<i64>> {
        let Some(session) = session else {
            return self.execute("DELETE FROM session", []).map(|_| None);
        };
        let sealed = seal::seal(&self.0.key, self.name(), Purpose::Session, session)?;
        let sql = "INSERT OR REPLACE INTO session VALUES (1, ?1, ?2)";
        let at = now_ms().cast_signed();
        self.execute(sql, params![sealed, at]).map(|_| Some(at))
    }
}

impl SessionStore for LockedStore {
    fn save(&self, session: Option<&str>) -> Result<()> {
        if let Some(session) = session {
            self.0.redactor.learn_session(self.name(), session);
        }
        let stored = self.store(session);
        let mut memory = self.memory();
        match stored {
            Ok(seen) => *memory = Memory { seen, unsaved: None },
            Err(error) => {
                memory.unsaved = Some(session.map(str::to_owned));
                return Err(error);
            }
        }
        Ok(())
    }

    fn report_refused(&self, error: &Error) {
        let hint = error.hint.as_deref().unwrap_or_default();
        tracing::error!(connection = self.name(), %error, hint, "its last session is kept");
    }

    fn is_saved(&self) -> bool {
        self.memory().unsaved.is_none()
    }
}
