//! A private PostgreSQL server for tests and benchmarks, in a temporary folder, reachable through a Unix
//! socket in it.
//!
//! Standard library only, so that `cargo xtask` compiles in seconds. Uses the programs that are installed.

mod disk;
mod programs;
mod standby;
mod tls;

use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub use programs::{Programs, VARIABLE};

/// Debian's user without rights: PostgreSQL refuses to run as root.
const NOBODY: u32 = 65_534;
/// Longest start, recovery after a crash included, on a busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// Between two looks at whether the server takes connections.
const LOOK: Duration = Duration::from_millis(50);

/// The commits that may be lost when the machine loses power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// None: for measurements.
    Full,
    /// All: for tests. A killed server loses nothing either way.
    None,
}

/// A running server. It is stopped and its folder deleted at the end.
#[derive(Debug)]
pub struct Server {
    programs: Programs,
    folder: PathBuf,
    durability: Durability,
    /// Root gives the server away.
    as_nobody: bool,
    /// Whether the folder is a separate, small disk.
    is_mounted: bool,
    /// Of 127.0.0.1; the server has a socket, too.
    port: Option<u16>,
    process: Option<Child>,
}

impl Server {
    /// Creates a cluster and starts its server.
    ///
    /// # Errors
    ///
    /// The program that failed, with its output, or the packages to install.
    pub fn start(durability: Durability) -> Result<Self, String> {
        Self::start_with(Programs::find()?, durability)
    }

    /// The same with these programs.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn start_with(programs: Programs, durability: Durability) -> Result<Self, String> {
        let mut server = Self::in_new_folder(programs, durability)?;
        server.create()?;
        server.resume()?;
        Ok(server)
    }

    /// A server that has a folder, and nothing in it.
    fn in_new_folder(programs: Programs, durability: Durability) -> Result<Self, String> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // A socket's path has 107 bytes.
        let name = format!("host-runner-postgres-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let failed = |error: io::Error| format!("{}: {error}", folder.display());
        fs::DirBuilder::new().mode(0o700).create(&folder).map_err(failed)?;
        let as_nobody = fs::metadata(&folder).map_err(failed)?.uid() == 0;
        let server = Self {
            programs,
            folder: folder.clone(),
            durability,
            as_nobody,
            is_mounted: false,
            port: None,
            process: None,
        };
        server.give_away()?;
        Ok(server)
    }

    /// Gives the folder to the server's user.
    fn give_away(&self) -> Result<(), String> {
        if self.as_nobody {
            chown(&self.folder, Some(NOBODY), Some(NOBODY))
                .map_err(|error| format!("{}: {error}", self.folder.display()))?;
        }
        Ok(())
    }

    /// The URL of its database `postgres`, for the owner of everything.
    #[must_use]
    pub fn url(&self) -> String {
        let folder = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{folder}/postgres")
    }

    /// The folder of its socket.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts it again on a free port of 127.0.0.1 as well; gives the URL by this port.
    ///
    /// # Errors
    ///
    /// No free port, or the end of the server's log.
    pub fn listen(&mut self) -> Result<String, String> {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.map_err(|error| format!("127.0.0.1: {error}"))?.port();
        self.kill();
        self.port = Some(port);
        self.resume()?;
        Ok(format!("postgres://postgres@127.0.0.1:{port}/postgres?sslmode=disable"))
    }

    /// Kills the server, as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _gone_already = process.kill();
            let _gone_already = process.wait();
        }
    }

    /// Starts the server that was killed.
    ///
    /// # Errors
    ///
    /// The end of the server's log.
    pub fn resume(&mut self) -> Result<(), String> {
        let started = Instant::now();
        while started.elapsed() < START_TIMEOUT {
            let mut process = self.spawn()?;
            // It ends while processes of a killed server are still there.
            while process.try_wait().map_err(|error| error.to_string())?.is_none() {
                if self.is_ready(process.id()) {
                    self.process = Some(process);
                    return Ok(());
                }
                if started.elapsed() >= START_TIMEOUT {
                    let _gone_already = process.kill();
                    break;
                }
                std::thread::sleep(LOOK);
            }
            std::thread::sleep(LOOK);
        }
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let end: Vec<&str> = log.lines().rev().take(20).collect();
        Err(format!("PostgreSQL did not start:\n{}", end.into_iter().rev().collect::<Vec<_>>().join("\n")))
    }

    fn create(&self) -> Result<(), String> {
        let mut initdb = self.command("initdb")?;
        initdb.args(["--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", "--username=postgres"]);
        run("initdb", initdb.arg("-D").arg(self.data()))
    }

    fn spawn(&self) -> Result<Child, String> {
        let mut postgres = self.command("postgres")?;
        postgres.arg("-D").arg(self.data()).arg("-k").arg(&self.folder);
        postgres.args(["-c", "shared_buffers=128MB"]);
        match self.port {
            Some(port) => postgres.args(["-c", "listen_addresses=127.0.0.1", "-p", &port.to_string()]),
            None => postgres.args(["-c", "listen_addresses="]),
        };
        if self.durability == Durability::None {
            postgres.args(["-c", "fsync=off", "-c", "full_page_writes=off"]);
        }
        let log = File::options().create(true).append(true).open(self.log());
        let log = log.map_err(|error| format!("{}: {error}", self.log().display()))?;
        let spawned = postgres.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        spawned.map_err(|error| format!("postgres: {error}"))
    }

    /// Whether it takes connections: its file says so. That of a killed server has another number.
    fn is_ready(&self, process: u32) -> bool {
        let text = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        let line = |number| text.lines().nth(number).unwrap_or_default().trim();
        line(0) == process.to_string() && line(7) == "ready"
    }

    fn command(&self, program: &str) -> Result<Command, String> {
        let mut command = Command::new(self.programs.path(program)?);
        command.current_dir(&self.folder).env_clear().env("LC_ALL", "C");
        if self.as_nobody {
            command.uid(NOBODY).gid(NOBODY);
        }
        Ok(command)
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The immediate shutdown: the folder is deleted.
        if let Some(process) = &mut self.process {
            let asked = Command::new("kill").args(["-QUIT", &process.id().to_string()]).status();
            if !asked.is_ok_and(|status| status.success()) {
                let _gone_already = process.kill();
            }
            let _gone_already = process.wait();
        }
        self.unmount();
        let _kept = fs::remove_dir_all(&self.folder);
    }
}

/// Runs a program to its end.
fn run(name: &str, command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{name}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{name} failed: {}", String::from_utf8_lossy(&output.stderr))),
    }
}
