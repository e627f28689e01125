//! A `serve` process: starts it, sends it HTTP requests and signals, and reads its log.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{FILE, Place};

/// Longest wait for a condition; only a failing test takes that long.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server; killed when dropped.
pub(crate) struct Server {
    child: Child,
    /// Host and port.
    pub(crate) address: String,
    /// Those of the pages for operators.
    admin: String,
    log: Arc<Mutex<String>>,
}

/// Status and body of the only answer on a connection.
pub(crate) fn answer(stream: &mut impl Read) -> (u16, String) {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, body.to_owned())
}

impl Server {
    pub(crate) fn start(place: &Place) -> Self {
        Self::start_with(place, &[])
    }

    /// Starts it with more flags and waits until it has started.
    pub(crate) fn start_with(place: &Place, flags: &[&str]) -> Self {
        Self::start_until(place, flags, "listening on ")
    }

    /// Starts it and waits for the words before its address: deliveries are taken before it has started.
    pub(crate) fn start_until(place: &Place, flags: &[&str], words: &str) -> Self {
        Self::run_until(place.command(&[&["serve", "--listen", "127.0.0.1:0"], flags].concat()), words)
    }

    /// Starts it where it may open so many files.
    pub(crate) fn start_with_files(place: &Place, flags: &[&str], files: u32) -> Self {
        let serve = place.command(&[&["serve", "--listen", "127.0.0.1:0"], flags].concat());
        let mut limited = Command::new("/bin/sh");
        limited.args(["-c", &format!("ulimit -n {files}; exec \"$@\""), "sh"]).arg(serve.get_program());
        limited.args(serve.get_args()).env_clear().stdin(Stdio::null());
        limited.envs(serve.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(folder) = serve.get_current_dir() {
            limited.current_dir(folder);
        }
        Self::run_until(limited, "listening on ")
    }

    fn run_until(mut command: Command, words: &str) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("started");
        let (log, pipe) = (Arc::new(Mutex::new(String::new())), child.stderr.take().expect("piped"));
        let written = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                let mut log = written.lock().unwrap_or_else(PoisonError::into_inner);
                log.push_str(&line);
                log.push('\n');
            }
        });
        let mut server = Self { child, address: String::new(), admin: String::new(), log };
        eventually("the address", || {
            assert!(server.ended().is_none(), "the server exited:\n{}", server.log());
            let log = server.log();
            let after = |words: &str| {
                let url = log.lines().find_map(|line| line.split_once(words))?.1.split_once("://")?.1;
                Some(url.split(['/', ';']).next()?.trim().to_owned())
            };
            let (Some(address), Some(admin)) = (after(words), after("pages for operators on ")) else {
                return false;
            };
            (server.address, server.admin) = (address, admin);
            true
        });
        server
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until its log contains a text.
    #[track_caller]
    pub(crate) fn until_log_contains(&self, text: &str) {
        eventually(text, || self.log().contains(text));
    }

    /// Requests a page for operators, which has another address, or any other path.
    pub(crate) fn request(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let address = if path.starts_with("/-/") { &self.admin } else { &self.address };
        let mut stream = TcpStream::connect(address).expect("connected");
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .expect("sent");
        answer(&mut stream)
    }

    /// The path of the connection's webhook URL.
    pub(crate) fn webhook_path(&self, place: &Place) -> String {
        self.webhook_path_of(place, FILE)
    }

    /// The path of the webhook URL of a connection file.
    pub(crate) fn webhook_path_of(&self, place: &Place, file: &str) -> String {
        let public = format!("http://{}", self.address);
        let arguments = ["webhook", "url", "--public-url", &public, "--json"];
        let ran = place.expect_of(file, &arguments, 0);
        let answer: Value = serde_json::from_str(&ran.stdout).expect("JSON");
        answer["url"].as_str().and_then(|url| url.strip_prefix(&public)).expect("a URL").to_owned()
    }

    /// Posts events to the connection's webhook URL.
    pub(crate) fn deliver(&self, place: &Place, events: &Value) {
        assert_eq!(self.request("POST", &self.webhook_path(place), &events.to_string()).0, 200);
    }

    /// The first sample of which name and labels begin with `start`, after `host_runner_`.
    pub(crate) fn metric(&self, start: &str) -> Option<f64> {
        let text = self.request("GET", "/-/metrics", "").1;
        let mut samples = text.lines().filter_map(|line| line.strip_prefix("host_runner_"));
        samples.find(|sample| sample.starts_with(start))?.rsplit(' ').next()?.parse().ok()
    }

    pub(crate) fn health(&self) -> Value {
        let (status, body) = self.request("GET", "/-/health", "");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).expect("JSON")
    }

    /// The files that it has open.
    pub(crate) fn open_files(&self) -> Vec<String> {
        let folder = format!("/proc/{}/fd", self.child.id());
        let links = std::fs::read_dir(folder).expect("listed").map(|one| one.expect("an entry").path());
        // A file may be closed while they are listed.
        let files = links.filter_map(|link| std::fs::read_link(link).ok());
        files.map(|file| file.to_string_lossy().into_owned()).collect()
    }

    /// The most memory that it had resident.
    pub(crate) fn peak_memory_kib(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("read");
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a size");
        line.split_whitespace().next().and_then(|kib| kib.parse().ok()).expect("a number")
    }

    /// The limit of open files, soft and hard.
    pub(crate) fn limits_of_files(&self) -> (String, String) {
        self.limits("Max open files")
    }

    /// A limit of its process, soft and hard.
    pub(crate) fn limits(&self, name: &str) -> (String, String) {
        let text = std::fs::read_to_string(format!("/proc/{}/limits", self.child.id())).expect("read");
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a limit");
        let mut words = line.split_whitespace().map(str::to_owned);
        (words.next().expect("soft"), words.next().expect("hard"))
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().expect("kill").success());
    }

    /// Its exit status, if it has exited.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("asked")
    }

    pub(crate) fn stop(mut self) {
        self.signal("-TERM");
        assert_eq!(self.child.wait().expect("waited").code(), Some(0));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

#[track_caller]
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "timed out waiting for {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
