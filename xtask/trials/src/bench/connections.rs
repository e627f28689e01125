//! The benchmark of many connections in one `serve`: what an idle one costs, how active ones share, and how
//! long an answer to a delivery takes while files are reloaded, targets are locked, or sources are silent.
//!
//! The tiny connector of `tests/guests` generates its rows, so that the figures are the runner's. Active
//! connections call the simulator with every poll.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rusqlite::Connection as Database;

use super::report;
use crate::processes::{Simulator, usage};
use crate::tools;

/// How long idle connections, and active ones, are watched.
const WATCHED: Duration = Duration::from_secs(20);
/// Processor time in a second of a server that has nothing to do.
const IDLE_CPU_S: f64 = 0.1;
/// Time in which a server that has nothing to do gives memory back.
const GIVES_BACK: Duration = Duration::from_secs(60);
/// Longest wait for a server to start.
const PATIENCE: Duration = Duration::from_secs(600);
/// Scrapes that are timed; the slowest counts.
const SCRAPES: usize = 5;
/// Connections whose targets are locked, of the idle ones: more than the server has threads of its runtime.
const LOCKED: usize = 8;
/// Connections whose source never answers.
const SILENT: usize = 200;
/// Tables of a connection.
const TABLES: usize = 2;

pub(crate) fn run(idle: usize, active: usize) -> Result<()> {
    let machine = report::machine("server, source and observer");
    let folder = tools::fresh_folder("bench-connections")?;
    let mut text = format!(
        "## Many connections\n\n`cargo xtask bench connections {idle} --active {active}`; {machine}. One \
         `serve` with the tiny connector and SQLite sinks.\n\n\
         | {idle} idle connections | |\n|---|---:|\n"
    );
    let idle_folder = folder.join("idle");
    write_files(&idle_folder, idle, "")?;
    let mut row = |name: &str, value: String| {
        eprintln!("{name}: {value}");
        text.push_str(&format!("| {name} | {value} |\n"));
    };
    for start in ["first", "second"] {
        let server = Server::start(&idle_folder, TABLES * idle)?;
        row(&format!("{start} start: until deliveries are taken, s"), format!("{:.2}", server.taken_s));
        row(&format!("{start} start: until all are read, s"), format!("{:.2}", server.complete_s));
        if start == "second" {
            row("second start: resident memory then, MiB", format!("{:.0}", server.memory_mib()?));
            server.settle()?;
            let before = server.cpu_s()?;
            std::thread::sleep(GIVES_BACK);
            let cores = (server.cpu_s()? - before) / GIVES_BACK.as_secs_f64();
            row("resident memory while idle, MiB", format!("{:.0}", server.memory_mib()?));
            row("open files", server.open_files()?.to_string());
            let mut slowest = 0_f64;
            let mut bytes = 0;
            for _ in 0..SCRAPES {
                let started = Instant::now();
                bytes = server.get("/-/metrics")?.len();
                slowest = slowest.max(started.elapsed().as_secs_f64() * 1e3);
                std::thread::sleep(Duration::from_secs(2));
            }
            row("slowest of 5 scrapes, ms", format!("{slowest:.0}"));
            row("size of the metrics page, KiB", (bytes / 1024).to_string());
            row("cores used while idle", format!("{cores:.3}"));
            let paths = server.paths(&idle_folder, LOCKED.min(idle))?;
            tools::run(Command::new("kill").args(["-HUP", &server.child.id().to_string()]))?;
            let slowest = server.slowest_answer(&paths)?;
            row("slowest answer to a delivery while all files are reloaded, ms", format!("{slowest:.0}"));
            let slowest = slowest_beside_locks(&server, &idle_folder, &paths)?;
            row(&format!("the same while {} targets are locked, ms", paths.len()), format!("{slowest:.0}"));
        }
        row(&format!("{start} start: until it stopped, s"), format!("{:.2}", server.stop()?));
    }
    let slowest = slowest_beside_silence(&folder.join("silent"))?;
    let silent = format!("slowest answer while {SILENT} connections wait for a silent source, ms");
    text.push_str(&format!("| {silent} | {slowest:.0} |\n\n"));
    let simulator = Simulator::start(&["--tickets", "10"])?;
    let active_folder = folder.join("active");
    let authority = simulator.authority();
    let config = format!(
        "behavior = \"http\"\nurl = \"{}\"\n[egress]\nallow = [\"{authority}\"]\n[serve]\n\
         poll_interval = \"1s\"\n",
        simulator.url
    );
    write_files(&active_folder, active, &config)?;
    let server = Server::start(&active_folder, TABLES * active)?;
    let (before, cpu) = (server.requests()?, server.cpu_s()?);
    std::thread::sleep(WATCHED);
    let after = server.requests()?;
    let cores = (server.cpu_s()? - cpu) / WATCHED.as_secs_f64();
    let mut polls: Vec<f64> = after.iter().zip(&before).map(|(after, before)| after - before).collect();
    polls.sort_by(f64::total_cmp);
    let at = |share: f64| polls.get((polls.len().saturating_sub(1) as f64 * share) as usize).copied();
    text.push_str(&format!(
        "{active} active connections that poll every second, watched for {} s: requests of one connection \
         {:.0} at least, {:.0} in the median, {:.0} at most; {:.2} cores.\n\n",
        WATCHED.as_secs(),
        at(0.0).unwrap_or_default(),
        at(0.5).unwrap_or_default(),
        at(1.0).unwrap_or_default(),
        cores,
    ));
    server.stop()?;
    print!("{text}");
    report::write("connections", &text)
}

/// The milliseconds of the slowest answer while the targets of these connections are locked: their commits
/// wait for the locks.
fn slowest_beside_locks(server: &Server, folder: &Path, paths: &[String]) -> Result<f64> {
    let lock = |number: usize| -> Result<Database> {
        let database = Database::open(folder.join(format!("connections/c{number}.db")))?;
        database.busy_timeout(Duration::from_secs(30))?;
        database.execute_batch("BEGIN IMMEDIATE")?;
        Ok(database)
    };
    let _locks = (0..paths.len()).map(lock).collect::<Result<Vec<_>>>()?;
    server.slowest_answer(paths)
}

/// The same of a server whose connections wait for a source that takes requests and never answers.
fn slowest_beside_silence(folder: &Path) -> Result<f64> {
    let source = TcpListener::bind("127.0.0.1:0")?;
    let address = source.local_addr()?;
    std::thread::spawn(move || source.incoming().collect::<Vec<_>>());
    let config =
        format!("behavior = \"http\"\nurl = \"http://{address}\"\n[egress]\nallow = [\"{address}\"]\n");
    write_files(folder, SILENT, &config)?;
    let server = Server::start(folder, 0)?;
    let paths = server.paths(folder, LOCKED)?;
    let started = Instant::now();
    // Loaded, and waiting for the source.
    while !server.get("/-/metrics")?.contains("{connection=\"c0\"}") && started.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(500));
    }
    std::thread::sleep(WATCHED);
    let slowest = server.slowest_answer(&paths)?;
    server.stop()?;
    Ok(slowest)
}

/// A folder of connection files; `config` follows the lines under `[config]`.
fn write_files(folder: &Path, connections: usize, config: &str) -> Result<()> {
    let component = tools::release()?.join("tests/tiny_connector.wasm");
    let files = folder.join("connections");
    std::fs::create_dir_all(&files)?;
    for number in 0..connections {
        let text = format!(
            "name = \"c{number}\"\ncomponent = {component:?}\n[sink]\npath = \"c{number}.db\"\n[config]\n\
             secret = \"secret-number-{number}\"\nrows = 3\n{config}"
        );
        std::fs::write(files.join(format!("c{number}.toml")), text)?;
    }
    Ok(())
}

struct Server {
    child: Child,
    /// Where deliveries are taken.
    address: String,
    admin: String,
    /// From the start of the process until deliveries are taken.
    taken_s: f64,
    /// Until every table of every connection is read.
    complete_s: f64,
}

impl Server {
    /// Starts it and waits until so many tables are read.
    fn start(folder: &Path, tables: usize) -> Result<Self> {
        let started = Instant::now();
        let log = folder.join("log");
        let mut child = Command::new(tools::release()?.join("host-runner"))
            .args(["serve", "--connections", "connections", "--listen", "127.0.0.1:0"])
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start host-runner")?;
        let mut lines = BufReader::new(child.stderr.take().context("no pipe")?);
        let (address, admin) = (String::new(), String::new());
        let mut server = Self { child, address, admin, taken_s: 0.0, complete_s: 0.0 };
        let mut line = String::new();
        while server.taken_s == 0.0 {
            line.clear();
            if lines.read_line(&mut line)? == 0 {
                bail!("host-runner ended");
            }
            if let Some((_, url)) = line.split_once("pages for operators on http://") {
                server.admin = url.trim().trim_end_matches("/-/health").to_owned();
            }
            if let Some((_, url)) = line.split_once("deliveries are taken on http://") {
                let end = url.find(['/', ';']).unwrap_or(url.len());
                server.address = url[..end].trim().to_owned();
                server.taken_s = started.elapsed().as_secs_f64();
            }
        }
        // Read on, so that the pipe is never full.
        std::thread::spawn(move || {
            let mut log = File::create(log)?;
            std::io::copy(&mut lines, &mut log)
        });
        loop {
            let text = server.get("/-/metrics")?;
            let is_complete = |line: &&str| line.contains("table_snapshot_complete{") && line.ends_with(" 1");
            if text.lines().filter(is_complete).count() >= tables {
                break;
            }
            if started.elapsed() > PATIENCE {
                bail!("not every table was read within {} s", PATIENCE.as_secs());
            }
            // A page of 10,000 connections has 18 MiB, which costs the server time as well.
            std::thread::sleep(Duration::from_millis(500).max(started.elapsed() / 20));
        }
        server.complete_s = started.elapsed().as_secs_f64();
        Ok(server)
    }

    fn get(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(&self.admin)?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// The paths of the webhook URLs of the first connections.
    fn paths(&self, folder: &Path, connections: usize) -> Result<Vec<String>> {
        let public = format!("http://{}", self.address);
        let path = |number: usize| {
            let file = format!("connections/c{number}.toml");
            let url = Command::new(tools::release()?.join("host-runner"))
                .args(["webhook", "url", "-c", &file, "--public-url", &public, "--json"])
                .current_dir(folder)
                .output()?;
            let url: serde_json::Value = serde_json::from_slice(&url.stdout)?;
            let path = url["url"].as_str().and_then(|url| url.strip_prefix(&public));
            Ok(path.context("no URL")?.to_owned())
        };
        (0..connections).map(path).collect()
    }

    /// Posts deliveries one after the other, to each of these paths in turn; the milliseconds of the slowest
    /// answer.
    fn slowest_answer(&self, paths: &[String]) -> Result<f64> {
        let event = format!(r#"[{{"table":"things","id":"9","op":"create","time":{}}}]"#, u32::MAX);
        let (started, mut slowest) = (Instant::now(), 0_f64);
        for path in paths.iter().cycle().take_while(|_| started.elapsed() < WATCHED) {
            let posted = Instant::now();
            let mut stream = TcpStream::connect(&self.address)?;
            let head = format!("host: x\r\nconnection: close\r\ncontent-length: {}", event.len());
            write!(stream, "POST {path} HTTP/1.1\r\n{head}\r\n\r\n{event}")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            if !answer.starts_with("HTTP/1.1 200") {
                bail!("a delivery was answered: {answer}");
            }
            slowest = slowest.max(posted.elapsed().as_secs_f64() * 1e3);
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(slowest)
    }

    /// Requests to the source so far, by connection in the order of the page.
    fn requests(&self) -> Result<Vec<f64>> {
        let text = self.get("/-/metrics")?;
        let samples = text.lines().filter(|line| line.starts_with("host_runner_source_requests_total{"));
        Ok(samples.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect())
    }

    /// Waits until it has nothing to do: the first polls after a start are over.
    fn settle(&self) -> Result<()> {
        let started = Instant::now();
        let mut used = self.cpu_s()?;
        while started.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_secs(1));
            let before = std::mem::replace(&mut used, self.cpu_s()?);
            if used - before < IDLE_CPU_S {
                return Ok(());
            }
        }
        bail!("it does not become idle within {} s", PATIENCE.as_secs())
    }

    fn cpu_s(&self) -> Result<f64> {
        Ok(usage(self.child.id()).context("host-runner ended")?.0)
    }

    fn memory_mib(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib / 1024.0)
    }

    fn open_files(&self) -> Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.child.id()))?.count())
    }

    /// Asks it to stop; the seconds that it took.
    fn stop(mut self) -> Result<f64> {
        let started = Instant::now();
        tools::run(Command::new("kill").args(["-TERM", &self.child.id().to_string()]))?;
        self.child.wait()?;
        Ok(started.elapsed().as_secs_f64())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
