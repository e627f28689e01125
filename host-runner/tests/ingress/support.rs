//! An ingress in this process, and a client that sends exact bytes.

use std::net::SocketAddr;
use std::time::Duration;

use host_runner::clock::now_ms;
use host_runner::ingress::{Ingress, Listener, Metrics, Options, Tls};
use host_runner::journal::{Journal, JournalLimits};
use host_runner::metrics;
use host_runner::stop::{Stopper, channel};
use host_runner::webhook_url::{UrlRegistry, UrlSecrets};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

pub(crate) const KEY: [u8; 32] = [7; 32];
/// Longest wait for a condition; only a failing test takes that long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) journal: Journal,
    pub(crate) registry: UrlRegistry,
    pub(crate) secrets: UrlSecrets,
    pub(crate) folder: TempDir,
    pub(crate) stopper: Stopper,
    pub(crate) running: JoinHandle<()>,
    pub(crate) metrics: Metrics,
    pub(crate) tls: Option<Tls>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

pub(crate) fn secret(secrets: &UrlSecrets, connection: &str) -> String {
    secrets.reveal(&KEY, connection).expect("this key").reveal().to_owned()
}

/// A free port of this machine.
pub(crate) fn bind() -> Listener {
    Listener::bind("--listen", ([127, 0, 0, 1], 0).into()).expect("bound")
}

impl Server {
    /// An ingress with the connection `acme` and the default limits.
    pub(crate) fn start() -> Self {
        Self::start_with(Options::default(), JournalLimits::default())
    }

    pub(crate) fn start_with(options: Options, limits: JournalLimits) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (journal, _) = Journal::open(folder.path().join("journal.db"), limits).expect("opened");
        let secrets = UrlSecrets::generate(&KEY, "acme", now_ms());
        let registry = UrlRegistry::default();
        registry.set("acme", secrets.clone());
        let (metrics, tls) = (options.metrics.clone(), options.tls.clone());
        let ingress = Ingress::new(bind(), options, registry.clone(), journal.clone()).expect("made");
        let address = ingress.local_addr;
        let (stopper, stop) = channel();
        let running = tokio::spawn(ingress.run(stop));
        Self { address, journal, registry, secrets, folder, stopper, running, metrics, tls }
    }

    /// The path of the connection's webhook URL.
    pub(crate) fn path(&self) -> String {
        format!("/hooks/acme/{}", secret(&self.secrets, "acme"))
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("connected")
    }

    /// Sends one request over a new connection.
    pub(crate) async fn send(&self, method: &str, path: &str, body: &str) -> Answer {
        let mut stream = self.connect().await;
        stream.write_all(request(method, path, body).as_bytes()).await.expect("sent");
        answer(&mut stream, method).await
    }

    pub(crate) async fn post(&self, body: &str) -> u16 {
        self.send("POST", &self.path(), body).await.status
    }

    /// Its metrics, in the Prometheus text format.
    pub(crate) fn counted(&self) -> String {
        let mut registry = metrics::registry();
        self.metrics.register(&mut registry);
        metrics::text(&registry)
    }

    /// The bodies in the journal, in order.
    pub(crate) fn bodies(&self) -> Vec<String> {
        let stored = self.journal.next("acme", 0, usize::MAX, usize::MAX).expect("read");
        let text = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
        stored.iter().map(|stored| text(&stored.delivery.body)).collect()
    }
}

pub(crate) fn request(method: &str, path: &str, body: &str) -> String {
    let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    format!("{method} {path} HTTP/1.1\r\nhost: x\r\n{length}\r\n{body}")
}

/// Reads one answer; fails when the connection ends before it.
pub(crate) async fn answer(stream: &mut (impl AsyncReadExt + Unpin), method: &str) -> Answer {
    tokio::time::timeout(PATIENCE, read_answer(stream, method)).await.expect("an answer in time")
}

async fn read_answer(stream: &mut (impl AsyncReadExt + Unpin), method: &str) -> Answer {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("the connection ended before the answer"));
    }
    let head = String::from_utf8(head).expect("text").to_ascii_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.parse().expect("a number"));
    let mut body = vec![0; if method == "HEAD" { 0 } else { length }];
    stream.read_exact(&mut body).await.expect("a body");
    Answer { status, head, body: String::from_utf8(body).expect("text") }
}

/// Reads until the peer closes the connection.
pub(crate) async fn until_closed(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut text)).await;
    // A reset closes it as well.
    let _reset = read.expect("closed in time");
    String::from_utf8(text).expect("text")
}
