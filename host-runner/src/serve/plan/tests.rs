//! The sentences of `docs/WEBHOOKS.md` and `docs/operating.md` about files, connections and URLs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{
    Action, Has, InvalidFile, LOADS_OF_A_FILE_MAX, LoadingFile, Reload, RunningFile, Seen, SeenFile, plan,
};
use crate::serve::connection_files::Stamp;
use crate::state::StoredWebhookUrl;
use crate::webhook_url::UrlSecrets;

const FOLDER: &str = "/etc/connections";
const NOW: Duration = Duration::ZERO;
const LONG: Duration = Duration::from_secs(10);

fn path(file: &str) -> PathBuf {
    Path::new(FOLDER).join(file)
}

fn stamp(version: u64) -> Option<Stamp> {
    Some(Stamp { modified: None, bytes: version })
}

/// A server with a folder, before anything is in it.
#[derive(Default)]
struct Case {
    seen: Seen,
    has: Has,
}

impl Case {
    fn new() -> Self {
        let seen = Seen { folder: Some(PathBuf::from(FOLDER)), ..Seen::default() };
        Self { seen, has: Has::default() }
    }

    /// A file of the folder, with the name that can be read in it.
    fn file(mut self, file: &str, version: u64, name: Option<&str>) -> Self {
        let name = name.map(str::to_owned);
        self.seen.files.push(SeenFile { file: path(file), stamp: stamp(version), name });
        self
    }

    /// A connection that runs, from version 1 of its file.
    fn running(mut self, file: &str, name: &str, missing_for: Option<Duration>) -> Self {
        let (file, name) = (path(file), name.to_owned());
        self.has.running.push(RunningFile { file, name, stamp: stamp(1), has_ended: false, missing_for });
        self
    }

    /// A file whose version 1 could not be loaded.
    fn invalid(mut self, file: &str, age: Duration) -> Self {
        self.has.invalid.push(InvalidFile { file: path(file), stamp: stamp(1), age });
        self
    }

    /// A file whose version 1 is being loaded.
    fn loading(mut self, file: &str, hangs: bool, loads: u32) -> Self {
        self.has.loading.push(LoadingFile { file: path(file), stamp: stamp(1), hangs, loads });
        self
    }

    /// A connection that does not run, whose URL accepts deliveries, and that no file may declare.
    fn gone(mut self, name: &str, gone_for: Duration) -> Self {
        self.has.accepting.insert(name.to_owned());
        self.has.gone.insert(name.to_owned(), gone_for);
        self
    }

    /// The URL of a connection that was served from a file.
    fn url(mut self, name: &str, file: &str, is_removed: bool) -> Self {
        let secrets = UrlSecrets::generate(&[7; 32], name, 1);
        let file = Some(path(file));
        self.seen.urls.push(StoredWebhookUrl { name: name.to_owned(), secrets, file, is_removed });
        self
    }

    fn hangup(mut self) -> Self {
        self.seen.reload = Reload::Everything;
        self
    }

    /// The folder does not answer.
    fn hanging(mut self) -> Self {
        self.seen.folder_hangs = true;
        self
    }

    /// The list of the folder was begun before this scan.
    fn listed_late(mut self) -> Self {
        self.seen.list_is_late = true;
        self
    }

    fn plan(&self) -> Vec<Action> {
        plan(&self.seen, &self.has)
    }
}

fn load(file: &str) -> Action {
    Action::Load(path(file))
}

fn stop(file: &str) -> Action {
    Action::Stop(path(file))
}

fn accept(name: &str) -> Action {
    Action::Accept(name.to_owned())
}

fn miss(name: &str) -> Action {
    Action::Miss(name.to_owned())
}

fn remove(name: &str) -> Action {
    Action::Remove(name.to_owned())
}

/// A sentence, the case that it is about, the actions.
type Sentence = (&'static str, Case, Vec<Action>);

/// Files that are new, changed or invalid.
fn files() -> Vec<Sentence> {
    let new = Case::new;
    vec![
        ("a new file starts", new().file("a.toml", 1, Some("a")), vec![load("a.toml")]),
        (
            "one that did not change keeps running",
            new().file("a.toml", 1, None).running("a.toml", "a", None),
            vec![],
        ),
        (
            "a changed file restarts",
            new().file("a.toml", 2, None).running("a.toml", "a", None),
            vec![load("a.toml")],
        ),
        (
            "SIGHUP reloads every file",
            new().file("a.toml", 1, None).running("a.toml", "a", None).hangup(),
            vec![load("a.toml")],
        ),
        ("an invalid file is left alone", new().file("a.toml", 1, None).invalid("a.toml", NOW), vec![]),
        ("until it changes", new().file("a.toml", 2, None).invalid("a.toml", NOW), vec![load("a.toml")]),
        (
            "or half a minute has passed",
            new().file("a.toml", 1, None).invalid("a.toml", LONG * 4),
            vec![load("a.toml")],
        ),
        (
            "its URL accepts deliveries, whether its name can be read",
            new().file("a.toml", 1, Some("a")).invalid("a.toml", NOW).url("a", "a.toml", false),
            vec![accept("a")],
        ),
        (
            "or not",
            new().file("a.toml", 1, None).invalid("a.toml", NOW).url("a", "a.toml", false),
            vec![accept("a")],
        ),
    ]
}

/// Files that are missing, and URLs.
fn missing_files() -> Vec<Sentence> {
    let new = Case::new;
    let other = |case: Case| case.file("other.toml", 1, None).running("other.toml", "other", None);
    vec![
        (
            "a file that is missing for a short time changes nothing",
            other(new().running("a.toml", "a", Some(NOW))),
            vec![],
        ),
        (
            "one that left the folder ten seconds ago is removed",
            other(new().running("a.toml", "a", Some(LONG)).url("a", "a.toml", false)),
            vec![stop("a.toml"), remove("a")],
        ),
        (
            "at once with SIGHUP",
            other(new().running("a.toml", "a", Some(NOW)).url("a", "a.toml", false)).hangup(),
            vec![load("other.toml"), stop("a.toml"), remove("a")],
        ),
        (
            "but not by a list of the folder that was begun before SIGHUP",
            other(new().running("a.toml", "a", Some(NOW)).url("a", "a.toml", false)).hangup().listed_late(),
            vec![load("other.toml")],
        ),
        (
            "one that could not be used, and left the folder for a short time, accepts deliveries",
            other(new().url("a", "a.toml", false).gone("a", LONG / 2)),
            vec![miss("a")],
        ),
        (
            "it is removed after ten seconds",
            other(new().url("a", "a.toml", false).gone("a", LONG)),
            vec![remove("a")],
        ),
        (
            "at once with SIGHUP as well",
            other(new().url("a", "a.toml", false).gone("a", NOW)).hangup(),
            vec![load("other.toml"), remove("a")],
        ),
        (
            "ten seconds after the start of the server, which may be before the files are there",
            other(new().url("a", "a.toml", false)),
            vec![miss("a")],
        ),
        ("also after a restart", other(new().url("a", "a.toml", true)), vec![remove("a")]),
        (
            "a file that now holds another name removes the one before",
            new().file("a.toml", 1, None).running("a.toml", "b", None).url("a", "a.toml", false),
            vec![remove("a")],
        ),
        (
            "a renamed file moves its connection at once",
            new().running("a.toml", "a", Some(NOW)).file("b.toml", 1, Some("a")).url("a", "a.toml", false),
            vec![load("b.toml"), stop("a.toml"), accept("a")],
        ),
        (
            "a missing one may be in a file that is too broken to show its name",
            other(
                new()
                    .file("b.toml", 1, None)
                    .invalid("b.toml", NOW)
                    .running("a.toml", "a", Some(LONG))
                    .url("a", "a.toml", false),
            ),
            vec![stop("a.toml"), accept("a")],
        ),
        (
            "an empty folder may not be mounted",
            new().running("a.toml", "a", Some(LONG)).url("a", "a.toml", false),
            vec![stop("a.toml"), accept("a")],
        ),
        (
            "a folder that does not answer stops nothing, however long",
            new().running("a.toml", "a", Some(LONG)).hanging(),
            vec![],
        ),
        (
            "and removes no connection, although a file of the command line in it is known",
            other(new().url("a", "a.toml", false)).hanging(),
            vec![accept("a")],
        ),
        (
            "a file that came back is served again",
            new().file("a.toml", 1, Some("a")).url("a", "a.toml", true),
            vec![load("a.toml"), accept("a")],
        ),
    ]
}

#[test]
fn every_sentence_of_the_documents_holds() {
    for (sentence, case, expected) in files().into_iter().chain(missing_files()) {
        assert_eq!(case.plan(), expected, "{sentence}");
    }
}

#[test]
fn a_file_that_is_being_loaded_is_not_loaded_again() {
    let loading = |version| Case::new().file("a.toml", version, Some("a")).loading("a.toml", false, 1);
    assert_eq!(loading(1).hangup().plan(), []);
    assert_eq!(loading(2).plan(), [load("a.toml")], "unless it changed");
}

#[test]
fn a_load_that_hangs_is_replaced_by_a_changed_file_or_sighup_and_not_without_end() {
    let hangs = |version, loads| Case::new().file("a.toml", version, None).loading("a.toml", true, loads);
    assert_eq!(hangs(1, 1).plan(), []);
    assert_eq!(hangs(1, 1).hangup().plan(), [load("a.toml")]);
    assert_eq!(hangs(2, LOADS_OF_A_FILE_MAX - 1).plan(), [load("a.toml")]);
    assert_eq!(hangs(2, LOADS_OF_A_FILE_MAX).hangup().plan(), []);
}

#[test]
fn a_removal_under_way_is_not_begun_again() {
    let case = Case::new().file("b.toml", 1, None).running("b.toml", "b", None);
    let mut case = case.url("a", "a.toml", false).gone("a", LONG);
    assert_eq!(case.plan(), [remove("a")]);
    case.has.removing.insert("a".to_owned());
    assert_eq!(case.plan(), []);
}

#[test]
fn a_connection_of_another_server_is_forgotten_once_nothing_may_declare_it() {
    let mut case = Case::new().file("b.toml", 1, None).running("b.toml", "b", None).url("a", "a.toml", false);
    case.seen.folder = None;
    assert_eq!(case.plan(), []);
    case.has.accepting.insert("a".to_owned());
    assert_eq!(case.plan(), [Action::Forget("a".to_owned())]);
}

#[test]
fn a_supervisor_that_panicked_is_started_again() {
    let mut case = Case::new().file("a.toml", 1, None).running("a.toml", "a", None);
    case.has.running[0].has_ended = true;
    assert_eq!(case.plan(), [load("a.toml")]);
}
