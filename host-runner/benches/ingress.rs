//! Durable deliveries per second over TCP, and the latency of their answers.
//!
//! `cargo xtask bench ingress` runs it; by hand: `INGRESS_BENCH_SECONDS=10 cargo bench -p host-runner --bench
//! ingress`. The default is a smoke test of one second. Prints a line of JSON. Server, reader and load
//! generator share the cores of the machine.
//!
//! - `INGRESS_BENCH_URL`: sends to a server that runs already, for example `http://127.0.0.1:8080/hooks/…`
//! - `INGRESS_BENCH_CONNECTIONS`, `INGRESS_BENCH_BYTES`: keep-alive connections that send, the size of a body
//! - `INGRESS_BENCH_RATE`: deliveries per second of all connections together
//! - `INGRESS_BENCH_IDLE`: idle connections to open first; their memory is reported

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use host_runner::clock::now_ms;
use host_runner::ingress::{Ingress, Listener, Options};
use host_runner::journal::{Journal, JournalLimits};
use host_runner::stop::{Stopper, channel};
use host_runner::webhook_url::{UrlRegistry, UrlSecrets};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const KEY: [u8; 32] = [1; 32];
/// Deliveries that the reader takes at a time.
const BATCH: usize = 2_000;

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn main() {
    let connections = setting("INGRESS_BENCH_CONNECTIONS", 256);
    let seconds = setting("INGRESS_BENCH_SECONDS", 1);
    let body = "x".repeat(setting("INGRESS_BENCH_BYTES", 1_500));
    let rate = setting("INGRESS_BENCH_RATE", 0);
    let idle = setting("INGRESS_BENCH_IDLE", 0);
    let server = match std::env::var("INGRESS_BENCH_URL") {
        Ok(url) => Err(url),
        Err(_) => Ok(Server::start()),
    };
    let (address, path) = match &server {
        Ok(server) => (server.address, server.path.clone()),
        Err(url) => {
            let rest = url.strip_prefix("http://").expect("an http:// URL");
            let (address, path) = rest.split_once('/').expect("a path");
            (address.parse().expect("an address and port"), format!("/{path}"))
        }
    };
    let head = format!("POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n");
    let request: Arc<str> =
        format!("{head}x-signature: {}\r\ncontent-length: {}\r\n\r\n{body}", "s".repeat(600), body.len())
            .into();

    // One thread for all senders, so that the generator leaves cores to the server.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let before = resident_kib();
        let mut waiting = Vec::new();
        for _ in 0..idle {
            waiting.push(TcpStream::connect(address).await.expect("connected"));
        }
        if idle > 0 {
            // The server accepts in order: once this connection is served, all others are accepted.
            let mut last = TcpStream::connect(address).await.expect("connected");
            last.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.expect("sent");
            last.read_to_end(&mut Vec::new()).await.expect("an answer");
        }
        let idle_kib = resident_kib() - before;
        let cpu = cpu_seconds();
        let started = Instant::now();
        let end = started + Duration::from_secs(seconds as u64);
        let senders: Vec<_> = (0..connections)
            .map(|number| {
                let pace = (rate > 0).then(|| Duration::from_secs_f64(connections as f64 / rate as f64));
                let first = started + pace.unwrap_or_default().mul_f64(number as f64 / connections as f64);
                tokio::spawn(send(address, Arc::clone(&request), pace, first, end))
            })
            .collect();
        let mut waits_us = Vec::new();
        for sender in senders {
            waits_us.extend(sender.await.expect("a sender"));
        }
        let (wall, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds() - cpu);
        let mut report = report(&mut waits_us, wall, cpu);
        report["connections"] = connections.into();
        report["bytes"] = body.len().into();
        report["idle"] = idle.into();
        report["idleKib"] = idle_kib.into();
        report["pacedPerSecond"] = rate.into();
        println!("{report}");
    });
    if let Ok(server) = server {
        server.stop();
    }
}

fn report(waits_us: &mut [u32], wall: f64, cpu: f64) -> Value {
    waits_us.sort_unstable();
    let ms = |share: f64| {
        let index = (waits_us.len() as f64 * share) as usize;
        let us = waits_us.get(index.min(waits_us.len().saturating_sub(1))).copied().unwrap_or(0);
        (f64::from(us) / 10.0).round() / 100.0
    };
    json!({
        "deliveriesPerSecond": (waits_us.len() as f64 / wall).round(),
        "medianMs": ms(0.5), "p99Ms": ms(0.99), "maxMs": ms(1.0),
        "cores": (cpu / wall * 100.0).round() / 100.0,
    })
}

async fn send(
    address: SocketAddr,
    request: Arc<str>,
    pace: Option<Duration>,
    first: Instant,
    end: Instant,
) -> Vec<u32> {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.set_nodelay(true).expect("set");
    let (mut waits_us, mut buffer) = (Vec::new(), [0_u8; 1_024]);
    let mut next = first;
    while next.max(Instant::now()) < end {
        if let Some(pace) = pace {
            tokio::time::sleep_until(next.into()).await;
            next += pace;
        }
        let started = Instant::now();
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut filled = 0;
        while !buffer[..filled].ends_with(b"\r\n\r\n") {
            let read = stream.read(&mut buffer[filled..]).await.expect("an answer");
            assert!(read > 0, "the server closed the connection");
            filled += read;
        }
        assert!(buffer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&buffer[..filled]));
        waits_us.push(u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    waits_us
}

/// An ingress and a reader that acknowledges deliveries, in this process.
struct Server {
    address: SocketAddr,
    path: String,
    stopper: Stopper,
    serving: JoinHandle<()>,
    reading: JoinHandle<u64>,
    done: Arc<AtomicBool>,
    journal: Journal,
    _folder: TempDir,
}

impl Server {
    fn start() -> Self {
        let folder = match std::env::var_os("INGRESS_BENCH_FOLDER") {
            Some(folder) => TempDir::new_in(folder),
            None => TempDir::new(),
        };
        let folder = folder.expect("a folder");
        let (journal, _) =
            Journal::open(folder.path().join("journal.db"), JournalLimits::default()).expect("opened");
        let secrets = UrlSecrets::generate(&KEY, "acme", now_ms());
        let secret = secrets.reveal(&KEY, "acme").expect("this key");
        let registry = UrlRegistry::default();
        registry.set("acme", secrets);
        let (stopper, stop) = channel();
        let (sender, receiver) = std::sync::mpsc::channel();
        let of_server = journal.clone();
        let serving = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = Listener::bind("--listen", ([127, 0, 0, 1], 0).into()).expect("bound");
                let ingress = Ingress::new(listener, Options::default(), registry, of_server).expect("made");
                sender.send(ingress.local_addr).expect("sent");
                ingress.run(stop).await;
            });
        });
        let done = Arc::new(AtomicBool::new(false));
        let (of_reader, until) = (journal.clone(), Arc::clone(&done));
        let reading = std::thread::spawn(move || read(&of_reader, &until));
        let path = format!("/hooks/acme/{}", secret.reveal());
        let address = receiver.recv().expect("listening");
        Self { address, path, stopper, serving, reading, done, journal, _folder: folder }
    }

    fn stop(self) {
        self.stopper.stop();
        self.serving.join().expect("served");
        let left = self.journal.depth("acme").count;
        self.done.store(true, Ordering::Relaxed);
        eprintln!("{} read and acknowledged, {left} waiting at the end", self.reading.join().expect("read"));
    }
}

fn read(journal: &Journal, done: &AtomicBool) -> u64 {
    let (mut after, mut count) = (0, 0);
    while !done.load(Ordering::Relaxed) {
        let stored = journal.next("acme", after, BATCH, 8 << 20).expect("read");
        count += stored.len() as u64;
        match stored.last() {
            Some(last) => {
                after = last.seq;
                let seqs: Vec<u64> = stored.iter().map(|stored| stored.seq).collect();
                journal.acknowledge("acme", &seqs).expect("acknowledged");
            }
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    count
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0)
}
