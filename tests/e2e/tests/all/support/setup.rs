//! One test's world: simulator, folder, connection file; prints everything when the test fails.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::Command;

use desk_simulator::{GRANT_CODE, Options, Simulator, Sizes};
use tempfile::TempDir;

use super::process::{Run, Running};
use super::{ConnectionFile, binaries};

/// How many runs the failure report shows.
const HISTORY_MAX: usize = 6;

/// A simulator and a folder with a connection file `a.toml`, data in `D`, rows in `out.db`.
pub(crate) struct Setup {
    pub(crate) simulator: Simulator,
    folder: Option<TempDir>,
    history: RefCell<Vec<Run>>,
    notes: RefCell<Vec<String>>,
}

/// Sizes that read fast: as many tickets as asked for, little of the rest.
pub(crate) fn sizes(tickets: u32) -> Sizes {
    Sizes { tickets, products: 12, contracts: 8, contacts: 40, accounts: 12, ..Sizes::default() }
}

impl Setup {
    /// A simulator and a connection file that works with it; not authorized yet.
    pub(crate) fn new(options: Options) -> Setup {
        Setup::with(options, |file| file)
    }

    /// The same with another connection file.
    pub(crate) fn with(options: Options, alter: impl FnOnce(ConnectionFile) -> ConnectionFile) -> Setup {
        let simulator = Simulator::start(options).expect("a simulator");
        let folder = TempDir::with_prefix("e2e-").expect("a folder");
        let (history, notes) = (RefCell::default(), RefCell::default());
        let setup = Setup { simulator, folder: Some(folder), history, notes };
        let file = alter(ConnectionFile::of(&setup.simulator));
        setup.write("a.toml", &file.render());
        share_compiled_code(&setup.path("D"));
        setup
    }

    /// A simulator of `tickets` tickets, authorized.
    pub(crate) fn authorized(tickets: u32) -> Setup {
        Setup::authorized_with(tickets, |file| file)
    }

    /// The same with another connection file.
    pub(crate) fn authorized_with(
        tickets: u32,
        alter: impl FnOnce(ConnectionFile) -> ConnectionFile,
    ) -> Setup {
        let setup = Setup::with(Options { sizes: sizes(tickets), ..Options::default() }, alter);
        setup.authorize();
        setup
    }

    /// Remembers a fact for the failure report.
    pub(crate) fn note(&self, note: impl Into<String>) {
        self.notes.borrow_mut().push(note.into());
    }

    /// A path in the test's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.as_ref().expect("a folder").path()
    }

    /// Writes a file into the test's folder.
    pub(crate) fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).expect("a file");
    }

    /// Rewrites `a.toml`.
    pub(crate) fn reconfigure(&self, alter: impl FnOnce(ConnectionFile) -> ConnectionFile) {
        self.write("a.toml", &alter(ConnectionFile::of(&self.simulator)).render());
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(binaries::host_runner());
        command.args(words).current_dir(self.folder());
        command.env_remove("HOST_RUNNER_KEY").env_remove("RUST_LOG");
        command
    }

    /// Runs the runner on the connection.
    pub(crate) fn host(&self, words: &[&str]) -> Run {
        self.raw(&[words, &["-c", "a.toml", "--data", "D"]].concat())
    }

    /// Runs the runner with these words and no others.
    pub(crate) fn raw(&self, words: &[&str]) -> Run {
        self.raw_with_input(words, b"")
    }

    pub(crate) fn raw_with_input(&self, words: &[&str], input: &[u8]) -> Run {
        self.remember(Running::start(self.command(words), input).wait())
    }

    /// Runs the runner with variables in its environment.
    pub(crate) fn host_with_env(&self, words: &[&str], variables: &[(&str, &str)]) -> Run {
        let mut command = self.command(&[words, &["-c", "a.toml", "--data", "D"]].concat());
        command.envs(variables.iter().copied());
        self.remember(Running::start(command, b"").wait())
    }

    /// Starts the runner on the connection.
    pub(crate) fn start(&self, words: &[&str]) -> Running {
        Running::start(self.command(&[words, &["-c", "a.toml", "--data", "D"]].concat()), b"")
    }

    /// Keeps a run for the failure report.
    pub(crate) fn remember(&self, run: Run) -> Run {
        let mut history = self.history.borrow_mut();
        if history.len() == HISTORY_MAX {
            history.remove(0);
        }
        history.push(run.clone());
        run
    }

    /// Exchanges the simulator's code.
    pub(crate) fn authorize(&self) {
        self.host(&["authorize", "--code", GRANT_CODE]).exits(0);
    }

    /// A sync that must end well.
    #[track_caller]
    pub(crate) fn sync(&self) -> Run {
        self.host(&["sync"]).exits(0)
    }

    /// How many requests the simulator has seen.
    pub(crate) fn requests(&self) -> u64 {
        self.simulator.stats()["requestsTotal"].as_u64().expect("requestsTotal")
    }

    /// Requests to one endpoint, with any answer.
    pub(crate) fn requests_to(&self, endpoint: &str) -> u64 {
        let stats = self.simulator.stats();
        let answers = stats["requests"][endpoint].as_object();
        answers.map_or(0, |answers| answers.values().filter_map(serde_json::Value::as_u64).sum())
    }
}

/// Code that was compiled once serves all tests; the cache itself is tested in `cli.rs`.
fn share_compiled_code(data: &Path) {
    use std::os::unix::fs::DirBuilderExt;
    use std::sync::OnceLock;
    static SHARED: OnceLock<PathBuf> = OnceLock::new();
    let shared = SHARED.get_or_init(|| {
        let shared = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled");
        let mut command = Command::new(binaries::host_runner());
        command.args(["inspect", "--data"]).arg(&shared);
        Running::start(command, b"").wait().exits(0);
        shared.join("cache")
    });
    let cache = data.join("cache");
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&cache).expect("a cache folder");
    for entry in std::fs::read_dir(shared).expect("the shared cache") {
        let entry = entry.expect("an entry");
        // A file system without hard links only costs time.
        let _ = std::fs::hard_link(entry.path(), cache.join(entry.file_name()));
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("?");
        eprintln!("\n===== {test} failed; simulator seed {} =====", self.simulator.options().seed);
        for note in self.notes.borrow().iter() {
            eprintln!("note: {note}");
        }
        for run in self.history.borrow().iter() {
            eprintln!("{run}");
        }
        eprintln!("simulator: {}", self.simulator.stats());
        if let Some(folder) = self.folder.take() {
            let folder = folder.keep();
            eprintln!("files are kept in {}:", folder.display());
            list(&folder);
        }
        eprintln!("replay: cargo test --release -p e2e -- --exact {test}");
    }
}

fn list(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            list(&path);
        } else {
            eprintln!("  {:>10}  {}", entry.metadata().map_or(0, |m| m.len()), path.display());
        }
    }
}
