//! The URLs of connections that do not run: they accept deliveries, or answer 410.

use tokio::task::spawn_blocking;

use super::{Connections, Event, Notify};
use crate::error::{Kind, Result};
use crate::metrics::{Meters, State};
use crate::state::{ConnectionStore, StoredWebhookUrl};
use crate::webhook_url::UrlSecrets;

/// A URL that accepts deliveries for a connection that does not run.
pub(super) struct Accepting {
    secrets: UrlSecrets,
    /// Whether it was reported to the operator; not while files are being loaded.
    is_reported: bool,
}

impl Connections {
    /// The URL of a connection that does not run accepts deliveries.
    pub(super) fn accept(&mut self, url: &StoredWebhookUrl, notify: Notify<'_>) {
        // A removal that is under way ends without effect.
        self.removing.remove(&url.name);
        let is_reported = self.accepting.get(&url.name).is_some_and(|accepting| accepting.is_reported);
        if self.accepting.get(&url.name).is_none_or(|accepting| accepting.secrets != url.secrets) {
            self.shared.registry.set(&url.name, url.secrets.clone());
        }
        // It may be in a file that is being loaded, or in the folder that does not answer; those beyond the
        // limit of open files are reported together. One without a file is reported once it is removed.
        let loading = self.loads.files().len();
        let may_start = loading > 0 || self.folder_hangs || self.running.len() >= self.room.0;
        let is_ending = self.stopping.contains_key(&url.name) || self.gone.contains_key(&url.name);
        let reports = !is_reported && !may_start && !is_ending;
        let accepting = Accepting { secrets: url.secrets.clone(), is_reported: is_reported || reports };
        self.accepting.insert(url.name.clone(), accepting);
        if reports {
            let meters = Meters::default();
            meters.enter(State::Stopped, Some("its connection file is invalid or missing"));
            self.overview.add(&url.name, &meters);
            let name = &url.name;
            notify(&format!("{name}: stopped; deliveries are journaled until its connection file is valid"));
        }
    }

    /// The URL answers 410 from now on, also after a restart.
    pub(super) fn remove(&mut self, url: &StoredWebhookUrl) {
        let (name, secrets) = (url.name.clone(), url.secrets.clone());
        self.removing.insert(name.clone());
        let own = self.stopping.get(&name).cloned();
        if url.is_removed || own.is_some() {
            self.shared.registry.set_removed(&name, secrets.clone());
        }
        if url.is_removed {
            self.accepting.remove(&name);
            self.overview.remove(&name);
            return;
        }
        let paths = self.shared.paths.clone();
        self.tasks.spawn(async move {
            if let Some(ended) = own {
                ended.wait().await;
            }
            let removed = name.clone();
            let removing = spawn_blocking(move || {
                let store = ConnectionStore::open(&paths, &removed)?;
                // A process that holds the lock uses the connection: it was not removed.
                let _unused = store.lock()?;
                store.webhook_url().set_removed()
            });
            let outcome = removing.await.unwrap_or_else(|error| Err(error.into()));
            Event::Removed(name, secrets, outcome)
        });
    }

    pub(super) fn removed(
        &mut self,
        name: &str,
        secrets: UrlSecrets,
        outcome: Result<()>,
        notify: Notify<'_>,
    ) {
        if self.names.contains_key(name) || !self.removing.contains(name) {
            return;
        }
        match outcome {
            Err(error) if error.kind == Kind::Unavailable => {
                self.removing.remove(name);
                return;
            }
            Err(error) => {
                tracing::warn!(connection = %name, %error, "removal not stored: 404 after a restart");
            }
            Ok(()) => {}
        }
        self.shared.registry.set_removed(name, secrets);
        self.accepting.remove(name);
        self.overview.remove(name);
        self.to_forget.insert(name.to_owned());
        notify(&format!("{name}: removed"));
    }

    /// Forgets removed connections while no file is being loaded: a load may have taught the secrets of such
    /// a name, which came back.
    pub(super) fn forget_removed(&mut self) {
        if self.loads.files().len() > 0 {
            return;
        }
        for name in std::mem::take(&mut self.to_forget) {
            if !self.names.contains_key(&name) && !self.accepting.contains_key(&name) {
                self.loads.forget(&name);
            }
        }
    }
}
