//! The session of a connection, sealed. Reading needs no lock; writing does.
//!
//! A session that cannot be stored, for example because the disk is full, is kept in memory: a token that
//! works once would be lost with it. It counts until another one is stored.

use std::sync::{MutexGuard, PoisonError};

use super::items::Item;
use super::seal::Purpose;
use super::{Change, ConnectionStore, LockedStore, seal};
use crate::error::{Error, Result};
use crate::sandbox::SessionStore;

/// The session as this process knows it.
#[derive(Default)]
pub(super) struct Memory {
    /// [`ConnectionStore::session_revision`] that it last read or stored; none if it has done neither.
    seen: Option<u64>,
    /// The session that replaces it and could not be stored; none in it: a deletion.
    unsaved: Option<Option<String>>,
}

impl ConnectionStore {
    /// The newest session; the redactor learns its secrets.
    pub(crate) fn session(&self) -> Result<Option<String>> {
        let stored = self.0.items.load(Item::Session)?;
        {
            let mut memory = self.memory();
            if let Some(unsaved) = memory.unsaved.as_ref().filter(|_| memory.seen == Some(stored.revision)) {
                return Ok(unsaved.clone());
            }
            *memory = Memory { seen: Some(stored.revision), unsaved: None };
        }
        let Some(sealed) = stored.value else { return Ok(None) };
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

    /// Rises whenever the session changes, by any process.
    pub(crate) fn session_revision(&self) -> Result<u64> {
        Ok(self.0.items.load(Item::Session)?.revision)
    }

    /// The session as it is stored: sealed.
    pub(crate) fn sealed_session(&self) -> Result<Option<Vec<u8>>> {
        Ok(self.0.items.load(Item::Session)?.value)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LockedStore {
    /// Takes over a session that [`ConnectionStore::sealed_session`] gave; false if it does not open.
    pub(crate) fn restore_session(&self, sealed: &[u8]) -> Result<bool> {
        let opened = seal::open(&self.0.key, self.name(), Purpose::Session, sealed);
        opened.map_or(Ok(false), |session| self.save(Some(&session)).map(|()| true))
    }

    /// Deletes the session, also one sealed with another key. True if there was one.
    pub(crate) fn delete_session(&self) -> Result<bool> {
        let was_there = self.session_is_stored()?;
        let stored = self.update(Item::Session, |_| Ok(Change::To(None)))?;
        let memory = Memory { seen: Some(stored.revision), unsaved: None };
        let before = std::mem::replace(&mut *self.memory(), memory);
        Ok(was_there || before.unsaved.is_some())
    }

    fn session_is_stored(&self) -> Result<bool> {
        Ok(self.0.items.load(Item::Session)?.value.is_some())
    }

    /// Stores a session; returns its [`ConnectionStore::session_revision`]. Fails if another runner has
    /// stored one since this one read it: its tokens are the newer ones.
    fn store(&self, session: Option<&str>) -> Result<u64> {
        let seal = |session| seal::seal(&self.0.key, self.name(), Purpose::Session, session);
        let sealed = session.map(seal).transpose()?;
        let seen = self.memory().seen;
        let seen = seen.map_or_else(|| self.session_revision(), Ok)?;
        self.0.items.store(Item::Session, sealed.as_deref(), seen, 0)?.ok_or_else(|| self.is_over())
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
            Ok(seen) => *memory = Memory { seen: Some(seen), unsaved: None },
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
