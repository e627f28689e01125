//! Connections that are not at work: does what [`super::absent`] decides about their URLs.

use super::absent::{Fate, Unusable, fate};
use super::files::in_folder;
use super::tenants::{Say, Tenants};
use crate::metrics::{Broken, Meters, Phase};
use crate::state::{ConnectionStore, StoredWebhookUrl, stored_webhook_urls};

impl Tenants {
    /// Looks at all connections that have a URL, but for those that are at work.
    pub(super) fn settle(&mut self, at_work: &[String], say: Say<'_>) {
        self.show_broken();
        let all = match stored_webhook_urls(&self.paths) {
            Ok(all) => all,
            Err(error) => {
                tracing::warn!(%error, "the URLs of connections that are not at work answer as before");
                return;
            }
        };
        let unusable = self.unusable();
        let folder = self.folder.as_deref().and_then(|folder| std::path::absolute(folder).ok());
        self.held.retain(|name| !at_work.contains(name));
        for (store, one) in all.iter().filter(|(_, one)| !at_work.contains(&one.name)) {
            let fate = fate(one, &unusable, folder.as_deref());
            if fate != Some(Fate::Held) && self.held.remove(&one.name) {
                self.board.remove(&one.name);
                self.registry.forget(&one.name);
            }
            match fate {
                Some(Fate::Held) => self.hold(one, say),
                Some(Fate::Removed) if one.is_removed => {
                    self.registry.set_removed(&one.name, one.secrets.clone());
                }
                // Somebody who works with it now has not removed it.
                Some(Fate::Removed) if store.lock().is_ok() => {
                    self.registry.set_removed(&one.name, one.secrets.clone());
                    self.removed(&one.name, say);
                }
                _ => {}
            }
        }
    }

    /// Tells the source from now on that nobody is there any more, also after a restart.
    pub(super) fn removed(&self, name: &str, say: Say<'_>) {
        self.registry.remove(name);
        self.board.remove(name);
        let noted =
            ConnectionStore::open(&self.paths, name).and_then(|store| store.webhook_url().set_removed());
        if let Err(error) = noted {
            tracing::warn!(connection = %name, %error, "after a restart its URL will not be known");
        }
        say(&format!("{name}: removed"));
    }

    /// Keeps what arrives for a connection whose file cannot be used.
    fn hold(&mut self, kept: &StoredWebhookUrl, say: Say<'_>) {
        self.registry.set(&kept.name, kept.secrets.clone());
        if self.held.insert(kept.name.clone()) {
            let meters = Meters::default();
            meters.phase(Phase::Stopped);
            self.board.add(&kept.name, &meters);
            say(&format!(
                "{}: not at work; what arrives for it is kept until its file can be used",
                kept.name
            ));
        }
    }

    /// Files under which nothing runs.
    fn unusable(&self) -> Vec<Unusable> {
        let idle = self.broken.iter().filter(|(file, _)| !self.slots.contains_key(*file));
        let unusable = idle.map(|(file, broken)| Unusable {
            file: std::path::absolute(file).unwrap_or_else(|_| file.clone()),
            name: broken.name.clone(),
        });
        // An empty folder may be one that is not mounted: all that were in it may come back.
        let empty = self.folder.iter().filter(|_| self.has_empty_folder());
        unusable.chain(empty.map(|folder| Unusable { file: folder.clone(), name: None })).collect()
    }

    /// Whether there is a folder and no connection file in it.
    pub(super) fn has_empty_folder(&self) -> bool {
        self.folder.as_deref().is_some_and(|folder| in_folder(folder).is_ok_and(|files| files.is_empty()))
    }

    fn show_broken(&self) {
        let broken = self.broken.iter().map(|(file, broken)| Broken {
            file: file.display().to_string(),
            error: broken.error.message.clone(),
        });
        self.board.broken(broken.collect());
    }
}
