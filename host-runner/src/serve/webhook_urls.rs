//! The URLs of connections that do not run: applies the answers of [`decide`].

mod decide;

use self::decide::{UnservedFile, UrlAnswer, answer};
use super::connection_files::in_folder;
use super::connections::{Connections, Notify};
use crate::metrics::{InvalidFile, Meters, State};
use crate::state::{ConnectionStore, StoredWebhookUrl, stored_webhook_urls};

impl Connections {
    /// Updates the answer of every known URL whose connection does not run.
    pub(super) fn update_webhook_urls(&mut self, running: &[String], notify: Notify<'_>) {
        self.publish_invalid_files();
        let all = match stored_webhook_urls(&self.paths) {
            Ok(all) => all,
            Err(error) => {
                tracing::warn!(%error, "URLs of connections that do not run keep their answers");
                return;
            }
        };
        let unserved = self.unserved_files();
        let folder = self.folder.as_deref().and_then(|folder| std::path::absolute(folder).ok());
        self.accepting.retain(|name| !running.contains(name));
        for (store, one) in all.iter().filter(|(_, one)| !running.contains(&one.name)) {
            let answer = answer(one, &unserved, folder.as_deref());
            if answer != Some(UrlAnswer::Accept) && self.accepting.remove(&one.name) {
                self.overview.remove(&one.name);
                self.registry.forget(&one.name);
            }
            match answer {
                Some(UrlAnswer::Accept) => self.accept(one, notify),
                Some(UrlAnswer::Gone) if one.is_removed => {
                    self.registry.set_removed(&one.name, one.secrets.clone());
                }
                // A process that holds the lock uses the connection: it was not removed.
                Some(UrlAnswer::Gone) if store.lock().is_ok() => {
                    self.registry.set_removed(&one.name, one.secrets.clone());
                    self.remove(&one.name, notify);
                }
                _ => {}
            }
        }
    }

    /// Answers 410 from now on, also after a restart.
    pub(super) fn remove(&self, name: &str, notify: Notify<'_>) {
        self.registry.remove(name);
        self.overview.remove(name);
        let noted =
            ConnectionStore::open(&self.paths, name).and_then(|store| store.webhook_url().set_removed());
        if let Err(error) = noted {
            tracing::warn!(connection = %name, %error, "removal not stored: after a restart it answers 404");
        }
        notify(&format!("{name}: removed"));
    }

    /// Accepts deliveries for a connection whose file is invalid.
    fn accept(&mut self, stored: &StoredWebhookUrl, notify: Notify<'_>) {
        self.registry.set(&stored.name, stored.secrets.clone());
        if self.accepting.insert(stored.name.clone()) {
            let meters = Meters::default();
            meters.enter(State::Stopped, Some("its connection file is invalid or missing"));
            self.overview.add(&stored.name, &meters);
            notify(&format!(
                "{}: stopped; deliveries are journaled until its connection file is valid",
                stored.name
            ));
        }
    }

    /// Files under which nothing runs.
    fn unserved_files(&self) -> Vec<UnservedFile> {
        let idle = self.invalid.iter().filter(|(file, _)| !self.running.contains_key(*file));
        let invalid = idle.map(|(file, invalid)| UnservedFile {
            file: std::path::absolute(file).unwrap_or_else(|_| file.clone()),
            name: invalid.name.clone(),
        });
        // An empty folder may be one that is not mounted: every connection that was in it may come back.
        let empty = self.folder.iter().filter(|_| self.has_empty_folder());
        invalid.chain(empty.map(|folder| UnservedFile { file: folder.clone(), name: None })).collect()
    }

    /// Whether there is a folder and no connection file in it.
    pub(super) fn has_empty_folder(&self) -> bool {
        self.folder.as_deref().is_some_and(|folder| in_folder(folder).is_ok_and(|files| files.is_empty()))
    }

    fn publish_invalid_files(&self) {
        let invalid = self.invalid.iter().map(|(file, invalid)| InvalidFile {
            file: file.display().to_string(),
            error: invalid.error.message.clone(),
        });
        self.overview.set_invalid_files(invalid.collect());
    }
}
