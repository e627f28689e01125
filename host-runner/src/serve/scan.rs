//! Reads the input of [`super::plan`]: connection files, and the URLs of connections that do not run.
//! Blocks; changes nothing.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use super::connection_files::{Stamp, StampedFile, stamp};
use super::loader::name_in;
use super::plan::{Reload, Seen, SeenFile};
use crate::blocking;
use crate::error::Result;
use crate::paths::Paths;
use crate::state::{FoundUrls, StoredWebhookUrls};

/// Longest wait for the stamp of a file, and for the name in it: it is some hundred bytes, and the others
/// wait for it.
const FILE_WITHIN: Duration = Duration::from_secs(2);
/// Longest wait for the list of a folder at the start, before deliveries are taken.
pub(super) const FIRST_LIST_WITHIN: Duration = Duration::from_secs(2);
/// The same later: thousands of files on a slow disk are read one after the other.
pub(super) const LIST_WITHIN: Duration = Duration::from_secs(30);

/// Lists the connection files of a folder.
pub(super) type List = Arc<dyn Fn(&Path) -> Result<Vec<StampedFile>> + Send + Sync>;

pub(super) struct Scan {
    pub(super) reload: Reload,
    /// Files of the command line.
    pub(super) named: Vec<PathBuf>,
    pub(super) folder: Option<PathBuf>,
    pub(super) list: List,
    pub(super) list_within: Duration,
    /// The connection of each file that has one.
    pub(super) running: BTreeMap<PathBuf, String>,
    pub(super) paths: Paths,
    pub(super) reads: Reads,
}

/// Reads of files and folders. Each runs on a separate thread, because it may hang, and is not started again
/// before it has ended.
#[derive(Clone, Default)]
pub(super) struct Reads(Arc<Mutex<HashSet<StampedFile>>>);

impl Reads {
    fn lock(&self) -> MutexGuard<'_, HashSet<StampedFile>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// None if there is no answer in time.
    fn within<T: Send + 'static>(
        &self,
        time: Duration,
        file: StampedFile,
        read: impl FnOnce(&Path) -> T + Send + 'static,
    ) -> Option<T> {
        if !self.lock().insert(file.clone()) {
            return None;
        }
        let reads = self.clone();
        let (reply, answer) = mpsc::sync_channel(1);
        let _runs_on = blocking::spawn(move || {
            let done = read(&file.0);
            reads.lock().remove(&file);
            // The answer may be late.
            let _unheard = reply.send(done);
        });
        answer.recv_timeout(time).ok()
    }
}

impl Scan {
    /// Everything; `urls` caches the URLs.
    pub(super) fn run(self, urls: &mut StoredWebhookUrls) -> Result<Seen> {
        let in_folder = self.in_folder().transpose()?;
        let folder_hangs = self.folder.is_some() && in_folder.is_none();
        let named: BTreeSet<&PathBuf> = self.named.iter().collect();
        let others = in_folder.unwrap_or_default().into_iter().filter(|(file, _)| !named.contains(file));
        let files: Vec<StampedFile> =
            self.named.iter().map(|file| self.stamped(file)).chain(others).collect();
        let present: BTreeSet<&PathBuf> = files.iter().map(|(file, _)| file).collect();
        let running: BTreeSet<&str> = self
            .running
            .iter()
            .filter(|(file, _)| folder_hangs || present.contains(file))
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
        let seen = |(file, stamp): StampedFile| {
            let is_idle = !self.running.contains_key(&file);
            let name = if is_idle { self.name_in(&file, stamp) } else { None };
            SeenFile { file, stamp, name }
        };
        let folder = self.folder.as_deref().and_then(|folder| std::path::absolute(folder).ok());
        let files = files.into_iter().map(seen).collect();
        Ok(Seen { reload: self.reload, folder, folder_hangs, urls, unreadable, files })
    }

    /// The files of the folder; none if there is no folder, or it does not answer.
    fn in_folder(&self) -> Option<Result<Vec<StampedFile>>> {
        let (folder, list) = (self.folder.clone()?, Arc::clone(&self.list));
        self.reads.within(self.list_within, (folder, None), move |folder| list(folder))
    }

    fn stamped(&self, file: &Path) -> StampedFile {
        let stamp = self.reads.within(FILE_WITHIN, (file.to_owned(), None), stamp);
        (file.to_owned(), stamp.flatten())
    }

    fn name_in(&self, file: &Path, stamp: Option<Stamp>) -> Option<String> {
        let paths = self.paths.clone();
        let name = move |file: &Path| name_in(file, &paths);
        self.reads.within(FILE_WITHIN, (file.to_owned(), stamp), name).flatten()
    }
}
