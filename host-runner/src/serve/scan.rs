//! Reads the input of [`super::plan`]: connection files, and the URLs of connections that do not run.
//! Blocks; changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::connection_files::{self, in_folder};
use super::loader::name_in;
use super::plan::{Reload, Seen, SeenFile};
use crate::error::Result;
use crate::paths::Paths;
use crate::state::{FoundUrls, StoredWebhookUrls};

pub(super) struct Scan {
    pub(super) reload: Reload,
    /// Files of the command line.
    pub(super) named: Vec<PathBuf>,
    pub(super) folder: Option<PathBuf>,
    /// The connection of each file that has one.
    pub(super) running: BTreeMap<PathBuf, String>,
    pub(super) paths: Paths,
}

impl Scan {
    /// Everything; `urls` caches the URLs.
    pub(super) fn run(self, urls: &mut StoredWebhookUrls) -> Result<Seen> {
        let mut files = self.named.clone();
        if let Some(folder) = &self.folder {
            let named: BTreeSet<&PathBuf> = self.named.iter().collect();
            files.extend(in_folder(folder)?.into_iter().filter(|file| !named.contains(file)));
        }
        let present: BTreeSet<&PathBuf> = files.iter().collect();
        let running: BTreeSet<&str> = self
            .running
            .iter()
            .filter(|(file, _)| present.contains(file))
            .map(|(_, name)| name.as_str())
            .collect();
        if self.reload == Reload::Everything {
            *urls = StoredWebhookUrls::default();
        }
        let found = urls.read(&self.paths, |name| !running.contains(name)).unwrap_or_else(|error| {
            tracing::warn!(%error, "URLs of connections that do not run keep their answers");
            FoundUrls::default()
        });
        let FoundUrls { urls, unreadable } = found;
        let seen = |file: PathBuf| SeenFile {
            stamp: connection_files::stamp(&file),
            name: if self.running.contains_key(&file) { None } else { name_in(&file, &self.paths) },
            file,
        };
        let folder = self.folder.as_deref().and_then(|folder| std::path::absolute(folder).ok());
        let files = files.into_iter().map(seen).collect();
        Ok(Seen { reload: self.reload, folder, urls, unreadable, files })
    }
}
