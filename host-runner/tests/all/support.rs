//! A folder with a connection file, and the binary run in it.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// The secret that every connection here is given; no output may hold it.
pub(crate) const SECRET: &str = "planted-secret-7f3a";

/// The connection file of a place.
pub(crate) const FILE: &str = "tiny.toml";

/// A separate connection.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

/// What a run left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The tiny connector, as `cargo xtask build` makes it.
pub(crate) fn component() -> PathBuf {
    let folder = std::env::var_os("TEST_GUESTS_DIR")
        .map(PathBuf::from)
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/tests"));
    let file = folder.join("tiny_connector.wasm");
    assert!(file.is_file(), "{} is missing; make it with: cargo xtask build", file.display());
    file
}

impl Place {
    /// A connection with these lines under `[config]`, and further sections after them.
    pub(crate) fn new(config: &str) -> Self {
        let place = Self { folder: tempfile::tempdir().expect("a folder") };
        place.configure(config);
        place
    }

    /// Rewrites the connection file.
    pub(crate) fn configure(&self, config: &str) {
        let component = component();
        let text = format!(
            "name = \"tiny\"\ncomponent = {component:?}\n[config]\nsecret = \"${{TINY_SECRET}}\"\n{config}\n"
        );
        std::fs::write(self.path(FILE), text).expect("written");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command line with the connection file, in a clean environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(FILE, arguments)
    }

    pub(crate) fn command_of(&self, file: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_host-runner"));
        command
            .args(arguments)
            .args(["-c", file])
            .current_dir(self.folder.path())
            .env_clear()
            .env("TINY_SECRET", SECRET)
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        run(&mut self.command(arguments))
    }

    /// Runs and expects an exit code.
    #[track_caller]
    pub(crate) fn expect(&self, arguments: &[&str], code: i32) -> Ran {
        self.expect_of(FILE, arguments, code)
    }

    /// The same with another connection file.
    #[track_caller]
    pub(crate) fn expect_of(&self, file: &str, arguments: &[&str], code: i32) -> Ran {
        let ran = run(&mut self.command_of(file, arguments));
        assert_eq!(ran.code, Some(code), "{arguments:?}: {ran:#?}");
        ran
    }

    /// Runs with `--json` and expects an exit code; returns stdout.
    pub(crate) fn json(&self, arguments: &[&str], code: i32) -> Value {
        let ran = self.expect(&[arguments, &["--json"]].concat(), code);
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:#?}"))
    }

    /// One value from the target, as text.
    pub(crate) fn query(&self, sql: &str) -> String {
        let database = rusqlite::Connection::open(self.path("tiny.db")).expect("opened");
        database.query_row(sql, [], |row| row.get(0)).expect("queried")
    }

    /// Every byte of every file below the folder.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        fn walk(folder: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
            for entry in std::fs::read_dir(folder).expect("listed") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    walk(&path, files);
                } else {
                    files.push((path.clone(), std::fs::read(&path).expect("read")));
                }
            }
        }
        let mut files = Vec::new();
        walk(self.folder.path(), &mut files);
        files
    }

    /// Starts a run.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        self.start_until(arguments, "", 0)
    }

    /// Starts a run and returns once its log says `text` for the `times`-th time.
    pub(crate) fn start_until(&self, arguments: &[&str], text: &str, times: usize) -> Running {
        let mut command = self.command(&[arguments, &["-vv"]].concat());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("started");
        let mut log = BufReader::new(child.stderr.take().expect("piped"));
        let mut seen = 0;
        let mut all = String::new();
        while seen < times {
            let mut line = String::new();
            let bytes = log.read_line(&mut line).expect("read");
            assert_ne!(bytes, 0, "ended after {seen} of {times} times `{text}`:\n{all}");
            seen += usize::from(line.contains(text));
            all.push_str(&line);
        }
        // Drains the rest, so that the process does not block on a full pipe.
        std::thread::spawn(move || {
            let mut rest = Vec::new();
            let _ended = log.read_to_end(&mut rest);
        });
        Running { child }
    }
}

/// A run under way; killed when dropped.
pub(crate) struct Running {
    child: Child,
}

impl Running {
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args([name, &id]).status().expect("kill");
        assert!(status.success());
    }

    pub(crate) fn wait(mut self) -> Option<i32> {
        self.child.wait().expect("waited").code()
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("waited");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

pub(crate) fn run(command: &mut Command) -> Ran {
    let output = command.output().expect("started");
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
    }
}
