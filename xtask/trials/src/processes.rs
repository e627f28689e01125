//! Processes of the trials: the simulator, and commands whose time, CPU and memory are measured.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::tools;

/// The organization, client and code that every simulator starts with.
pub(crate) const ORGANIZATION_ID: &str = "60001280952";
pub(crate) const CLIENT_ID: &str = "1000.SIMULATORCLIENTID0000000000";
pub(crate) const CLIENT_SECRET: &str = "simsecret0123456789abcdef0123456789abcdef01";
pub(crate) const CODE: &str = "1000.simcode.demo";

/// A simulator of Zoho Desk on a free port; dropping it kills the process.
pub(crate) struct Simulator {
    child: Child,
    pub(crate) url: String,
}

impl Simulator {
    /// Starts the simulator and waits for its address.
    pub(crate) fn start(arguments: &[&str]) -> Result<Self> {
        let program = tools::release()?.join("desk-simulator");
        let mut child = Command::new(&program)
            .args(["--port", "0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        match line.trim().strip_prefix("listening on ") {
            Some(url) => Ok(Self { url: url.to_owned(), child }),
            None => {
                let _ = child.kill();
                bail!("{} did not print its address, but `{}`", program.display(), line.trim())
            }
        }
    }

    /// `host:port`.
    pub(crate) fn authority(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// A simulator that rendered all rows beforehand, so that its work does not count.
    pub(crate) fn start_warm(tickets: u32, latency_ms: u32) -> Result<Self> {
        let (tickets, latency_ms) = (tickets.to_string(), latency_ms.to_string());
        Self::start(&[
            "--warm",
            "--latency-ms",
            &latency_ms,
            "--tickets",
            &tickets,
            "--code-reusable",
            "--token-throttle",
            "0",
            "--daily-credits",
            "unlimited",
            "--concurrency",
            "0",
        ])
    }

    /// A call of the control API.
    pub(crate) fn admin(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        self.call(method, &format!("/_admin/{path}"), &body.to_string())
    }

    fn call(&self, method: &str, path: &str, body: &str) -> Result<Value> {
        Ok(serde_json::from_str(&self.text(method, path, body)?)?)
    }

    /// The body of an answer. HTTP/1.0 has no bodies in pieces.
    pub(crate) fn text(&self, method: &str, path: &str, body: &str) -> Result<String> {
        let authority = self.authority();
        let mut stream = TcpStream::connect(authority)?;
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nhost: {authority}\r\nconnection: close\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let Some((head, body)) = answer.split_once("\r\n\r\n") else { bail!("{path}: {answer}") };
        if head.split(' ').nth(1) != Some("200") {
            bail!("{path}: {answer}");
        }
        Ok(body.to_owned())
    }
}

/// A refresh token for the simulator's code.
pub(crate) fn refresh_token(simulator: &Simulator) -> Result<String> {
    let form = format!(
        "grant_type=authorization_code&code={CODE}&client_id={CLIENT_ID}&client_secret={CLIENT_SECRET}"
    );
    let answer = simulator.call("POST", &format!("/oauth/v2/token?{form}"), "")?;
    let token = answer["refresh_token"].as_str().context("the simulator gave no refresh token")?;
    Ok(token.to_owned())
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection file for `simulator`, with more lines of `[config]` and a sink.
pub(crate) fn connection_file(
    simulator: &Simulator,
    name: &str,
    config: &str,
    kind: &str,
    path: &Path,
) -> String {
    let sink = format!("kind = \"{kind}\"\npath = \"{}\"\n", path.display());
    connection_file_with(simulator, name, config, &sink)
}

/// The same with these lines under `[sink]`.
pub(crate) fn connection_file_with(simulator: &Simulator, name: &str, config: &str, sink: &str) -> String {
    format!(
        "name = \"{name}\"\n\n\
         [config]\norganization_id = \"{ORGANIZATION_ID}\"\nclient_id = \"{CLIENT_ID}\"\n\
         client_secret = \"{CLIENT_SECRET}\"\ndesk_url = \"{url}\"\naccounts_url = \"{url}\"\n{config}\n\
         [sink]\n{sink}\n\
         [egress]\nallow = [\"{authority}\"]\n",
        url = simulator.url,
        authority = simulator.authority(),
    )
}

/// Time, CPU and memory of a finished command, and its output.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured {
    pub(crate) wall: Duration,
    /// User and system time of the process, seconds.
    pub(crate) cpu_s: f64,
    /// Peak resident memory, KiB.
    pub(crate) peak_kib: u64,
    pub(crate) stdout: String,
    pub(crate) status: ExitStatus,
}

/// Runs a command to its end, which must be a good one.
pub(crate) fn measure(command: &mut Command) -> Result<Measured> {
    let line = tools::line(command);
    let measured = measure_until(command.stdout(Stdio::piped()).stderr(Stdio::inherit()), || Ok(false))?;
    if !measured.status.success() {
        bail!("failed ({}): {line}\n{}", measured.status, measured.stdout);
    }
    Ok(measured)
}

/// Runs a command to its end, or until it is to be killed. Reads CPU and memory from `/proc` every two
/// milliseconds, because the kernel deletes the entry when the process is reaped.
pub(crate) fn measure_until(
    command: &mut Command,
    mut is_killed: impl FnMut() -> Result<bool>,
) -> Result<Measured> {
    let line = tools::line(command);
    let started = Instant::now();
    let mut child = command.spawn().with_context(|| format!("cannot start: {line}"))?;
    let stdout = child.stdout.take();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        if let Some(stdout) = stdout {
            let _ = std::io::Read::read_to_string(&mut BufReader::new(stdout), &mut text);
        }
        text
    });
    let pid = child.id();
    let mut measured = Measured::default();
    let status = loop {
        if let Some((cpu_s, peak_kib)) = usage(pid) {
            measured.cpu_s = measured.cpu_s.max(cpu_s);
            measured.peak_kib = measured.peak_kib.max(peak_kib);
        }
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if is_killed()? {
            child.kill()?;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    measured.wall = started.elapsed();
    measured.stdout = reader.join().unwrap_or_default();
    measured.status = status;
    Ok(measured)
}

/// CPU seconds so far and peak memory in KiB of a running process, from `/proc`.
pub(crate) fn usage(pid: u32) -> Option<(f64, u64)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = stat.rsplit_once(')')?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let peak_kib = peak.trim().trim_end_matches("kB").trim().parse().ok()?;
    // USER_HZ is 100 on every architecture that this project supports.
    Some((ticks as f64 / 100.0, peak_kib))
}
