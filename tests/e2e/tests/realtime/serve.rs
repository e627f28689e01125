//! `serve` as a process: started, watched through its stderr, signalled, stopped or killed.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::rows::eventually;
use crate::support::binaries;
use crate::support::http::request;

/// Longest wait for its end.
const PATIENCE: Duration = Duration::from_secs(30);
/// The text before its address on stderr.
const LISTENING: &str = "listening on ";
/// The text before the address of its pages for operators.
const PAGES: &str = "pages for operators on ";

/// A `serve` under way; killed when dropped.
pub(crate) struct Serve {
    child: Child,
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    /// The same for the pages for operators.
    pub(crate) admin: String,
    said: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

fn listen(pipe: impl std::io::Read + Send + 'static, said: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let said = Arc::clone(said);
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            said.push_str(&line);
            said.push('\n');
        }
    })
}

impl Serve {
    /// Starts it in a folder on a port of 127.0.0.1, 0 for any, and waits until it listens.
    pub(crate) fn start(folder: &Path, port: u16, words: &[&str]) -> Serve {
        let mut command = Command::new(binaries::host_runner());
        command.args(["serve", "-v"]).args(words).args([
            "--listen",
            &format!("127.0.0.1:{port}"),
            "--admin",
            "127.0.0.1:0",
            "--data",
            "D",
        ]);
        command.current_dir(folder).env_remove("HOST_RUNNER_KEY").env_remove("RUST_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("host-runner");
        let said = Arc::default();
        let readers = vec![
            listen(child.stderr.take().expect("stderr"), &said),
            listen(child.stdout.take().expect("stdout"), &said),
        ];
        let mut serve = Serve { child, url: String::new(), admin: String::new(), said, readers };
        serve.url = eventually("the address of serve", || {
            let said = serve.said();
            assert!(!serve.has_ended(), "serve ended: {said}");
            let line = said.lines().find_map(|line| line.split_once(LISTENING)).ok_or(said.clone())?;
            Ok(line.1.trim().to_owned())
        });
        let said = serve.said();
        let pages = said.lines().find_map(|line| line.split_once(PAGES)).expect("its pages").1;
        serve.admin = pages.trim().trim_end_matches("/-/health").to_owned();
        serve
    }

    /// All that it has said.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The port it listens on.
    pub(crate) fn port(&self) -> u16 {
        let port = self.url.rsplit(':').next().map(|port| port.trim_end_matches('/').parse());
        port.and_then(Result::ok).unwrap_or_else(|| panic!("{}: no port", self.url))
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("try_wait").is_some()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let line = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &line]).status().expect("sh");
        assert!(status.success(), "{line}");
    }

    /// Sends SIGKILL; returns its output.
    pub(crate) fn kill(mut self) -> String {
        self.child.kill().expect("kill");
        let status = self.child.wait().expect("wait");
        let said = self.ended();
        assert!(status.signal() == Some(9), "it ended before: {status}\n{said}");
        said
    }

    /// Sends SIGTERM, which must end it well; returns its output.
    #[track_caller]
    pub(crate) fn stop(mut self) -> String {
        self.signal("TERM");
        let status = self.wait();
        let said = self.ended();
        assert_eq!(status.code(), Some(0), "{status}\n{said}");
        said
    }

    fn wait(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("try_wait") {
                return status;
            }
            assert!(Instant::now() < end, "serve does not end:\n{}", self.said());
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }

    fn ended(&mut self) -> String {
        for reader in self.readers.drain(..) {
            reader.join().expect("a reader");
        }
        self.said()
    }

    /// The most memory it has had, in MiB.
    pub(crate) fn memory_peak_mib(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("its status");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
        let kib = peak.trim().trim_end_matches(" kB").parse::<u64>().expect("a number");
        kib.div_ceil(1024)
    }

    /// The sum of a metric over its labels; none when it is not shown.
    pub(crate) fn metric(&self, name: &str) -> Option<f64> {
        self.metric_with(name, "")
    }

    /// The same over the lines that contain a text.
    pub(crate) fn metric_with(&self, name: &str, label: &str) -> Option<f64> {
        let text = request("GET", &format!("{}/-/metrics", self.admin), &[], b"").body;
        let lines = text.lines().filter(|line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' '])) && line.contains(label)
        });
        lines.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).reduce(|sum: f64, one: f64| sum + one)
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let said = self.said();
            let tail: Vec<&str> = said.lines().rev().take(60).collect();
            eprintln!("--- serve said last");
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}
