//! Reads the input of [`super::plan`]: connection files, and the URLs of connections that do not run.
//! Blocks; changes nothing.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use super::connection_files::{self, Stamp, in_folder};
use super::loader::name_in;
use super::plan::{Reload, Seen, SeenFile};
use crate::blocking;
use crate::error::Result;
use crate::paths::Paths;
use crate::state::{FoundUrls, StoredWebhookUrls};

/// Longest wait for the name in a file: it is some hundred bytes, and the others wait for it.
const NAME_WITHIN: Duration = Duration::from_secs(2);

pub(super) struct Scan {
    pub(super) reload: Reload,
    /// Files of the command line.
    pub(super) named: Vec<PathBuf>,
    pub(super) folder: Option<PathBuf>,
    /// The connection of each file that has one.
    pub(super) running: BTreeMap<PathBuf, String>,
    pub(super) paths: Paths,
    pub(super) names: Names,
}

/// A file that is read, as it was.
type Read = (PathBuf, Option<Stamp>);

/// The names in files. Each is read on a separate thread, because a file may hang; one that does is not read
/// again until it has another stamp.
#[derive(Clone, Default)]
pub(super) struct Names {
    /// Reads that have not ended.
    reading: Arc<Mutex<HashSet<Read>>>,
}

impl Names {
    fn lock(&self) -> MutexGuard<'_, HashSet<Read>> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// None also if the file does not answer.
    fn name_in(&self, file: &Path, stamp: Option<Stamp>, paths: &Paths) -> Option<String> {
        let read = (file.to_owned(), stamp);
        if !self.lock().insert(read.clone()) {
            return None;
        }
        let (names, paths) = (self.clone(), paths.clone());
        let (reply, answer) = mpsc::sync_channel(1);
        let _runs_on = blocking::spawn(move || {
            let name = name_in(&read.0, &paths);
            names.lock().remove(&read);
            // The answer may be late.
            let _unheard = reply.send(name);
        });
        answer.recv_timeout(NAME_WITHIN).ok().flatten()
    }
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
        let seen = |file: PathBuf| {
            let stamp = connection_files::stamp(&file);
            let is_idle = !self.running.contains_key(&file);
            let name = if is_idle { self.names.name_in(&file, stamp, &self.paths) } else { None };
            SeenFile { file, stamp, name }
        };
        let folder = self.folder.as_deref().and_then(|folder| std::path::absolute(folder).ok());
        let files = files.into_iter().map(seen).collect();
        Ok(Seen { reload: self.reload, folder, urls, unreadable, files })
    }
}
