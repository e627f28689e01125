//! Reads the input of [`super::plan`]: connection files, and the URLs of connections that do not run.
//! Blocks; changes nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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
/// The waits of the first scan: deliveries are taken after it.
pub(super) const FIRST_WITHIN: Within =
    Within { list: Duration::from_secs(2), names: Duration::from_secs(2) };
/// The same later: thousands of files on a slow disk are read one after the other.
pub(super) const WITHIN: Within = Within { list: Duration::from_secs(30), names: Duration::from_secs(60) };

/// The longest waits of a scan.
#[derive(Clone, Copy, Debug)]
pub(super) struct Within {
    /// For the list of the folder.
    pub(super) list: Duration,
    /// For the names in all files together. A file that is not reached has none: URLs accept deliveries.
    pub(super) names: Duration,
}

/// Lists the connection files of a folder.
pub(super) type List = Arc<dyn Fn(&Path) -> Result<Vec<StampedFile>> + Send + Sync>;

pub(super) struct Scan {
    pub(super) reload: Reload,
    /// Files of the command line.
    pub(super) named: Vec<PathBuf>,
    pub(super) folder: Option<PathBuf>,
    pub(super) list: List,
    pub(super) within: Within,
    /// The connection of each file that has one.
    pub(super) running: BTreeMap<PathBuf, String>,
    pub(super) paths: Paths,
    pub(super) reads: Reads,
}

/// The reads that were late.
#[derive(Clone, Default)]
pub(super) struct Reads {
    lists: Late<Result<Vec<StampedFile>>>,
    stamps: Late<Option<Stamp>>,
    names: Late<Option<String>>,
}

/// Reads whose answers were late, by file. Each runs on a separate thread, because it may hang, and is not
/// started again before its answer is taken.
struct Late<T>(Arc<Mutex<HashMap<StampedFile, Receiver<T>>>>);

impl<T> Clone for Late<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Late<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Send + 'static> Late<T> {
    fn lock(&self) -> MutexGuard<'_, HashMap<StampedFile, Receiver<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// None if there is no answer in time. The next call for the file takes it then, but does not wait again.
    fn within(
        &self,
        time: Duration,
        file: StampedFile,
        read: impl FnOnce(&Path) -> T + Send + 'static,
    ) -> Option<T> {
        let late = self.lock().remove(&file);
        let time = if late.is_some() { Duration::ZERO } else { time };
        let answer = late.unwrap_or_else(|| {
            let (reply, answer) = mpsc::sync_channel(1);
            let path = file.0.clone();
            let _runs_on = blocking::spawn(move || reply.send(read(&path)));
            answer
        });
        match answer.recv_timeout(time) {
            Ok(done) => Some(done),
            Err(RecvTimeoutError::Timeout) => {
                self.lock().insert(file, answer);
                None
            }
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }
}

impl Scan {
    /// Everything; `urls` caches the URLs.
    pub(super) fn run(self, urls: &mut StoredWebhookUrls) -> Result<Seen> {
        let list_is_late = self.list_is_late();
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
        let start = Instant::now();
        let seen = |(file, stamp): StampedFile| {
            let is_idle = !self.running.contains_key(&file);
            let left = self.within.names.saturating_sub(start.elapsed());
            let name = if is_idle { self.name_in(&file, stamp, left) } else { None };
            SeenFile { file, stamp, name }
        };
        let folder = self.folder.as_deref().and_then(|folder| std::path::absolute(folder).ok());
        let files = files.into_iter().map(seen).collect();
        Ok(Seen { reload: self.reload, folder, folder_hangs, list_is_late, urls, unreadable, files })
    }

    /// The files of the folder; none if there is no folder, or it does not answer.
    fn in_folder(&self) -> Option<Result<Vec<StampedFile>>> {
        let (folder, list) = (self.folder.clone()?, Arc::clone(&self.list));
        self.reads.lists.within(self.within.list, (folder, None), move |folder| list(folder))
    }

    /// Whether the list of the folder was begun by an earlier scan.
    fn list_is_late(&self) -> bool {
        let folder = self.folder.clone();
        folder.is_some_and(|folder| self.reads.lists.lock().contains_key(&(folder, None)))
    }

    fn stamped(&self, file: &Path) -> StampedFile {
        let stamp = self.reads.stamps.within(FILE_WITHIN, (file.to_owned(), None), stamp);
        (file.to_owned(), stamp.flatten())
    }

    /// None without time that is left, so that no thread is started for each of thousands of files.
    fn name_in(&self, file: &Path, stamp: Option<Stamp>, left: Duration) -> Option<String> {
        if left.is_zero() {
            return None;
        }
        let paths = self.paths.clone();
        let name = move |file: &Path| name_in(file, &paths);
        self.reads.names.within(left.min(FILE_WITHIN), (file.to_owned(), stamp), name).flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::connection_files::in_folder;
    use super::{Reads, Reload, Scan, WITHIN, Within};
    use crate::loaded::tiny;
    use crate::state::StoredWebhookUrls;

    /// The name that a scan of a folder with one file reads.
    fn name_within(folder: &Path, names: Duration) -> Option<String> {
        let scan = Scan {
            reload: Reload::ChangedFiles,
            named: Vec::new(),
            folder: Some(folder.to_owned()),
            list: Arc::new(in_folder),
            within: Within { names, ..WITHIN },
            running: BTreeMap::new(),
            paths: tiny::paths(folder),
            reads: Reads::default(),
        };
        let mut seen = scan.run(&mut StoredWebhookUrls::default()).expect("seen").files;
        assert_eq!(seen.len(), 1);
        seen.remove(0).name
    }

    #[test]
    fn names_are_read_as_long_as_the_scan_has_time() {
        let folder = tempfile::tempdir().expect("a folder");
        tiny::connection(folder.path(), "acme");
        assert_eq!(name_within(folder.path(), WITHIN.names).as_deref(), Some("acme"));
        assert_eq!(name_within(folder.path(), Duration::ZERO), None);
    }
}
