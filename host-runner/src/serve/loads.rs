//! The loads of connection files: so many at a time, and the files that could not be loaded.
//!
//! A file may hang, or be loaded again before it was loaded: the newest load counts. Does not know what
//! becomes of a connection.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::connection_files::Stamp;
use super::loader::{Loaded, Loader};
use super::plan::{InvalidFile, LoadingFile};
use crate::error::{Error, Result};

/// Files that are loaded at a time: each waits for the disk, and for a component's check of its
/// configuration.
const LOADS_MAX: usize = 8;
/// Files that could not be loaded before, and are loaded again at a time: they take no turn of others,
/// however long their components take.
const RELOADS_MAX: usize = 2;
/// A load that takes longer, for example because its file hangs, leaves its turn to others.
const LOAD_TURN: Duration = Duration::from_secs(10);

/// Longest wait at the start for the files of the folder: one after the other could take any time. A file of
/// the command line is waited for.
pub(super) const START_WITHIN: Duration = Duration::from_secs(30);

/// Of a load that takes longer than [`START_WITHIN`].
pub(super) const HANGS: &str = "still being loaded: it, or a file that it names, does not answer";

/// See the file's header.
pub(super) struct Loads {
    loader: Arc<Loader>,
    turns: Arc<Semaphore>,
    /// For files that could not be loaded before.
    turns_again: Arc<Semaphore>,
    loading: BTreeMap<PathBuf, Loading>,
    /// The number of the newest load.
    number: u64,
    invalid: BTreeMap<PathBuf, LoadFailure>,
}

/// The newest load of a file. The outcome of one before it does not count.
pub(super) struct Loading {
    number: u64,
    pub(super) stamp: Option<Stamp>,
    /// When its turn came.
    since: Arc<OnceLock<Instant>>,
    /// Loads of the file that have not ended.
    loads: u32,
    /// Whether health says that it hangs.
    pub(super) is_reported: bool,
}

impl Loading {
    fn lasts(&self, time: Duration) -> bool {
        self.since.get().is_some_and(|since| since.elapsed() >= time)
    }
}

/// The last failure to load a file.
struct LoadFailure {
    stamp: Option<Stamp>,
    error: Error,
    at: Instant,
}

impl Loads {
    pub(super) fn new(loader: Loader) -> Self {
        Self {
            loader: Arc::new(loader),
            turns: Arc::new(Semaphore::new(LOADS_MAX)),
            turns_again: Arc::new(Semaphore::new(RELOADS_MAX)),
            loading: BTreeMap::new(),
            number: 0,
            invalid: BTreeMap::new(),
        }
    }

    /// Starts a load of a file, the newest one. The task returns its number and its outcome.
    pub(super) fn start(
        &mut self,
        file: &Path,
        stamp: Option<Stamp>,
        must_be_free: bool,
    ) -> impl Future<Output = (u64, Result<Loaded>)> + Send + use<> {
        let turns = if self.invalid.contains_key(file) { &self.turns_again } else { &self.turns };
        let (loader, turns, file) = (Arc::clone(&self.loader), Arc::clone(turns), file.to_owned());
        self.number += 1;
        let number = self.number;
        let loads = 1 + self.loading.get(&file).map_or(0, |former| former.loads);
        let since = Arc::new(OnceLock::new());
        let starts = Arc::clone(&since);
        self.loading.insert(file.clone(), Loading { number, stamp, since, loads, is_reported: false });
        async move {
            let turn = turns.acquire_owned().await;
            starts.get_or_init(Instant::now);
            (number, in_turn(turn, loader.load_safely(&file, must_be_free)).await)
        }
    }

    /// A load has ended; it is returned if it was the newest one of its file.
    pub(super) fn ended(&mut self, file: &Path, number: u64) -> Option<Loading> {
        if !self.is_newest(file, number) {
            self.loading.get_mut(file).into_iter().for_each(|newest| newest.loads -= 1);
            return None;
        }
        self.loading.remove(file)
    }

    pub(super) fn is_newest(&self, file: &Path, number: u64) -> bool {
        self.loading.get(file).is_some_and(|loading| loading.number == number)
    }

    /// A file could not be loaded; why it could not before.
    pub(super) fn failed(&mut self, file: &Path, stamp: Option<Stamp>, error: Error) -> Option<Error> {
        let failure = LoadFailure { stamp, error, at: Instant::now() };
        self.invalid.insert(file.to_owned(), failure).map(|before| before.error)
    }

    /// A file was loaded; true if it could not be before.
    pub(super) fn succeeded(&mut self, file: &Path) -> bool {
        self.invalid.remove(file).is_some()
    }

    /// Why a file could not be loaded.
    pub(super) fn failure(&self, file: &Path) -> Option<&Error> {
        self.invalid.get(file).map(|failure| &failure.error)
    }

    /// Forgets the failures of files that are not there any more, and returns those files.
    pub(super) fn retain(&mut self, files: &BTreeSet<&Path>) -> Vec<PathBuf> {
        let gone = self.invalid.extract_if(.., |file, _| !files.contains(file.as_path()));
        gone.map(|(file, _)| file).collect()
    }

    /// The files that hang since the last call, and those that hang no longer.
    pub(super) fn changes_of_hanging(&mut self, files: &BTreeSet<&Path>) -> Vec<(PathBuf, bool)> {
        let mut changes = Vec::new();
        for (file, loading) in &mut self.loading {
            let hangs = loading.lasts(START_WITHIN) && files.contains(file.as_path());
            if hangs != loading.is_reported {
                loading.is_reported = hangs;
                changes.push((file.clone(), hangs));
            }
        }
        changes
    }

    /// The files that are being loaded.
    pub(super) fn files(&self) -> impl ExactSizeIterator<Item = &PathBuf> {
        self.loading.keys()
    }

    pub(super) fn is_loading(&self, file: &Path) -> bool {
        self.loading.contains_key(file)
    }

    /// How many files are being loaded or could not be.
    pub(super) fn count(&self) -> usize {
        self.loading.len() + self.invalid.len()
    }

    /// The files that are being loaded, for the plan.
    pub(super) fn loading_files(&self) -> Vec<LoadingFile> {
        let loading = |(file, one): (&PathBuf, &Loading)| LoadingFile {
            file: file.clone(),
            stamp: one.stamp,
            hangs: one.lasts(LOAD_TURN),
            loads: one.loads,
        };
        self.loading.iter().map(loading).collect()
    }

    /// The files that could not be loaded.
    pub(super) fn invalid_files(&self) -> Vec<InvalidFile> {
        let invalid = |(file, failure): (&PathBuf, &LoadFailure)| InvalidFile {
            file: file.clone(),
            stamp: failure.stamp,
            age: failure.at.elapsed(),
        };
        self.invalid.iter().map(invalid).collect()
    }

    /// The state of a connection that a test has opened.
    #[cfg(test)]
    pub(super) fn keep_store(&self, store: crate::state::ConnectionStore) {
        let mut stores = self.loader.stores.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        stores.insert(store.name().to_owned(), store);
    }

    /// Forgets a connection that was removed.
    pub(super) fn forget(&self, name: &str) {
        self.loader.forget(name);
    }
}

/// Runs work that takes turns with others; its turn ends with it or after [`LOAD_TURN`].
async fn in_turn<T>(turn: impl Send, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    tokio::select! {
        done = &mut work => return done,
        () = tokio::time::sleep(LOAD_TURN) => drop(turn),
    }
    work.await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::{Semaphore, oneshot};
    use tokio::task::yield_now;

    use super::in_turn;

    #[tokio::test(start_paused = true)]
    async fn work_that_hangs_leaves_its_turn_to_others() {
        let turns = Arc::new(Semaphore::new(1));
        let (ends, ended) = oneshot::channel();
        let turn = Arc::clone(&turns).acquire_owned().await.expect("open");
        let hanging = tokio::spawn(in_turn(turn, ended));
        yield_now().await;
        assert_eq!(turns.available_permits(), 0);
        let other = Arc::clone(&turns).acquire_owned().await.expect("open");
        assert_eq!(in_turn(other, async { 7 }).await, 7);
        ends.send(8).expect("it still runs");
        assert_eq!(hanging.await.expect("no panic"), Ok(8));
    }
}
