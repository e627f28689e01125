//! Decides which connections are loaded and stopped, and what the URLs of the others answer. Pure.
//!
//! Compares the files on disk with the connections of the server. [`super::connections`] executes the
//! actions.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::connection_files::Stamp;
use super::url_answer::{UnservedFile, UrlAnswer, answer};
use crate::state::StoredWebhookUrl;

/// How often an invalid file is loaded again: the cause may be outside of the file.
const RELOAD_INVALID_EVERY: Duration = Duration::from_secs(30);
/// Loads of one file at a time, of which all but the newest hang: each holds a thread.
const LOADS_OF_A_FILE_MAX: u32 = 4;
/// How long a file must be missing before its connection is removed, which a source does not forget, whether
/// it runs or not. Editors and deployments delete a file and create it again. SIGHUP removes at once.
const REMOVE_AFTER: Duration = Duration::from_secs(10);

/// Why files are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Reload {
    /// Files whose stamp changed are loaded.
    #[default]
    ChangedFiles,
    /// Every file and all that it refers to, such as components and files of secrets. Connections that wait
    /// after a failure try at once, and missing files are removed at once.
    Everything,
}

/// The files and URLs on disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) reload: Reload,
    /// The folder of connection files, absolute.
    pub(super) folder: Option<PathBuf>,
    /// The folder did not answer: its files are not known.
    pub(super) folder_hangs: bool,
    /// The list of the folder was begun before this scan: a file that came since is not in it.
    pub(super) list_is_late: bool,
    pub(super) files: Vec<SeenFile>,
    /// The URLs of connections that did not run when it was seen, or whose files are missing.
    pub(super) urls: Vec<StoredWebhookUrl>,
    /// Connections that may have a URL: their state cannot be read.
    pub(super) unreadable: BTreeSet<String>,
}

/// A connection file that exists.
#[derive(Clone, Debug)]
pub(super) struct SeenFile {
    pub(super) file: PathBuf,
    pub(super) stamp: Option<Stamp>,
    /// The connection's name in it, as far as it can be read. Read only while the file has no connection that
    /// runs.
    pub(super) name: Option<String>,
}

/// A connection that the server runs.
#[derive(Clone, Debug)]
pub(super) struct RunningFile {
    pub(super) file: PathBuf,
    pub(super) name: String,
    pub(super) stamp: Option<Stamp>,
    /// A supervisor ends by itself only by a panic: it is started again.
    pub(super) has_ended: bool,
    /// How long its file has been missing.
    pub(super) missing_for: Option<Duration>,
}

/// A file that is being loaded.
#[derive(Clone, Debug)]
pub(super) struct LoadingFile {
    pub(super) file: PathBuf,
    pub(super) stamp: Option<Stamp>,
    /// It takes so long that it may never end: a file that it reads hangs.
    pub(super) hangs: bool,
    /// Loads of the file that have not ended.
    pub(super) loads: u32,
}

/// A file that could not be loaded.
#[derive(Clone, Debug)]
pub(super) struct InvalidFile {
    pub(super) file: PathBuf,
    pub(super) stamp: Option<Stamp>,
    pub(super) age: Duration,
}

/// The connections of the server.
#[derive(Clone, Debug, Default)]
pub(super) struct Has {
    pub(super) running: Vec<RunningFile>,
    pub(super) invalid: Vec<InvalidFile>,
    pub(super) loading: Vec<LoadingFile>,
    /// Connections that do not run and whose URLs accept deliveries.
    pub(super) accepting: BTreeSet<String>,
    /// Connections that do not run and that no file may declare, and for how long.
    pub(super) gone: BTreeMap<String, Duration>,
    /// Connections whose removal is under way.
    pub(super) removing: BTreeSet<String>,
}

/// An action of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Load a file; its connection starts, or restarts if it changed.
    Load(PathBuf),
    /// Stop the connection of a file that is missing.
    Stop(PathBuf),
    /// The URL of a connection that does not run accepts deliveries.
    Accept(String),
    /// The same for a connection that no file may declare: not for long.
    Miss(String),
    /// The URL of a connection that does not run answers 410, from now on.
    Remove(String),
    /// The URL of a connection that this server does not know answers 404.
    Forget(String),
}

/// The actions, in their order: URLs are decided as if the stops before them were done.
pub(super) fn plan(seen: &Seen, has: &Has) -> Vec<Action> {
    let mut actions = Vec::new();
    let running: BTreeMap<&Path, &RunningFile> =
        has.running.iter().map(|running| (running.file.as_path(), running)).collect();
    let invalid: BTreeMap<&Path, &InvalidFile> =
        has.invalid.iter().map(|invalid| (invalid.file.as_path(), invalid)).collect();
    let loading: BTreeMap<&Path, &LoadingFile> =
        has.loading.iter().map(|loading| (loading.file.as_path(), loading)).collect();
    for file in &seen.files {
        let path = file.file.as_path();
        let is_due = match (seen.reload, loading.get(path), invalid.get(path)) {
            (reload, Some(loading), _) => {
                let is_mended = loading.hangs && reload == Reload::Everything;
                (is_mended || loading.stamp != file.stamp) && loading.loads < LOADS_OF_A_FILE_MAX
            }
            (Reload::Everything, ..) => true,
            (_, _, Some(invalid)) => invalid.stamp != file.stamp || invalid.age > RELOAD_INVALID_EVERY,
            (_, _, None) => !running.get(path).is_some_and(|one| one.stamp == file.stamp && !one.has_ended),
        };
        if is_due {
            actions.push(Action::Load(file.file.clone()));
        }
    }
    let is_idle = |file: &Path| !running.contains_key(file);
    let (stopped, served): (Vec<&RunningFile>, Vec<&RunningFile>) =
        has.running.iter().partition(|one| is_removed(seen, one, &is_idle));
    actions.extend(stopped.iter().map(|one| Action::Stop(one.file.clone())));
    let [stopped, served] = [stopped, served]
        .map(|running| running.into_iter().map(|one| one.name.as_str()).collect::<BTreeSet<&str>>());
    let unserved = unserved(seen, &is_idle);
    // Few scans ask for them.
    let files = LazyCell::new(|| files(seen));
    for url in seen.urls.iter().filter(|url| !served.contains(url.name.as_str())) {
        let name = url.name.clone();
        // A file that is there, and declares another connection, is no short absence.
        let is_over = |url: &StoredWebhookUrl| {
            let has_been_gone = has.gone.get(&url.name).is_some_and(|gone_for| *gone_for >= REMOVE_AFTER);
            let is_renamed = url.file.as_ref().is_some_and(|file| files.contains(file));
            let is_stopped = stopped.contains(url.name.as_str());
            url.is_removed || is_stopped || is_renamed || has_been_gone || is_asked(seen)
        };
        match answer(url, &unserved, seen.folder.as_deref()) {
            Some(UrlAnswer::Accept) => actions.push(Action::Accept(name)),
            Some(UrlAnswer::Gone) if has.removing.contains(&name) => {}
            Some(UrlAnswer::Gone) if is_over(url) => actions.push(Action::Remove(name)),
            Some(UrlAnswer::Gone) => actions.push(Action::Miss(name)),
            None if has.accepting.contains(&name) => actions.push(Action::Forget(name)),
            _ => {}
        }
    }
    actions
}

/// The files that exist, absolute.
fn files(seen: &Seen) -> BTreeSet<PathBuf> {
    seen.files.iter().filter_map(|seen| std::path::absolute(&seen.file).ok()).collect()
}

/// Whether the file of a connection was deleted, and not only replaced.
fn is_removed(seen: &Seen, running: &RunningFile, is_idle: &dyn Fn(&Path) -> bool) -> bool {
    if seen.folder_hangs {
        return false;
    }
    let Some(missing_for) = running.missing_for else { return false };
    let mut idle = seen.files.iter().filter(|file| is_idle(&file.file));
    let is_renamed = idle.any(|file| file.name.as_ref() == Some(&running.name));
    is_asked(seen) || is_renamed || missing_for >= REMOVE_AFTER
}

/// Whether a person asks for the removal of missing connections.
fn is_asked(seen: &Seen) -> bool {
    seen.reload == Reload::Everything && !seen.list_is_late
}

/// Files under which nothing runs.
fn unserved(seen: &Seen, is_idle: &dyn Fn(&Path) -> bool) -> Vec<UnservedFile> {
    let idle = seen.files.iter().filter(|seen| is_idle(&seen.file)).map(|seen| UnservedFile {
        file: std::path::absolute(&seen.file).unwrap_or_else(|_| seen.file.clone()),
        name: seen.name.clone(),
    });
    // An empty folder may be one that is not mounted, and one that does not answer is: every connection that
    // was in it may come back.
    let in_folder = |folder: &Path, file: &Path| {
        std::path::absolute(file).is_ok_and(|file| file.parent() == Some(folder))
    };
    let is_empty = |folder: &&PathBuf| !seen.files.iter().any(|one| in_folder(folder, &one.file));
    let unknown = seen.folder.iter().filter(|folder| seen.folder_hangs || is_empty(folder));
    idle.chain(unknown.map(|folder| UnservedFile { file: folder.clone(), name: None })).collect()
}

#[cfg(test)]
mod tests;
