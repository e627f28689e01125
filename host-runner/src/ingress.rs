//! The HTTP listener for webhooks: *authorize the URL → limit → append → sync → answer*, in this order.
//!
//! Deliveries are applied later by the connection's actor. The ingress calls no component and has a separate
//! thread ([`Ingress::start`]), so that nothing else in the process delays an answer. With
//! [`Options::pages`] it serves `/-/health`, `/-/ready` and `/-/metrics` instead, on another address.
//!
//! Does not know the content of a body.

pub mod limits;

mod body;
mod connection;
mod files;
mod headers;
mod metrics;
mod pages;
mod phase;
mod service;
mod shares;
mod tls;
mod waiting;

use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use serde_json::Value;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

pub use self::limits::IngressLimits;
use self::limits::{ACCEPT_PAUSE, BACKLOG, PAGES_CONNECTIONS};
pub use self::metrics::Metrics;
use self::service::Service;
pub use self::tls::{Tls, TlsFiles};
use self::waiting::Waiting;
use crate::error::{Error, Result};
use crate::inbox::Inbox;
use crate::stop::Stop;
use crate::webhook_url::UrlRegistry;

/// The content of the pages for operators. May read files: the ingress calls it on a thread for blocking
/// work.
pub trait Observe: Send + Sync + 'static {
    /// All metrics, those of the ingress included, in the Prometheus text format.
    fn metrics(&self) -> String;
    /// Whether deliveries are taken, and every connection has started or had time to.
    fn ready(&self) -> bool;
    /// The status of each connection, as JSON without secrets.
    fn health(&self) -> Value;
}

/// How to listen.
#[derive(Clone, Default)]
pub struct Options {
    /// Certificate and key, if TLS ends here.
    pub tls: Option<Tls>,
    /// The content of the pages for operators; without it they are unknown.
    pub observe: Option<Arc<dyn Observe>>,
    /// Where the ingress counts.
    pub metrics: Metrics,
    /// The limits.
    pub limits: IngressLimits,
    /// Connections that the process serves now: each needs open files.
    pub served: Arc<AtomicUsize>,
}

impl Options {
    /// Pages for operators, and limits for a few clients.
    pub fn pages(observe: Arc<dyn Observe>) -> Self {
        let limits = IngressLimits { connections: PAGES_CONNECTIONS, ..IngressLimits::default() };
        Self { observe: Some(observe), limits, ..Self::default() }
    }
}

/// A bound address. The kernel queues connections until an [`Ingress`] accepts them.
pub struct Listener {
    listener: std::net::TcpListener,
    local_addr: SocketAddr,
}

impl Listener {
    /// Binds; `flag` is named in the error. Needs a tokio runtime.
    pub fn bind(flag: &str, listen: SocketAddr) -> Result<Self> {
        let bound = listener(listen).and_then(|listener| {
            let local_addr = listener.local_addr()?;
            Ok(Self { listener: listener.into_std()?, local_addr })
        });
        bound.map_err(|error| {
            Error::usage(format!("{flag} {listen}: {error}"))
                .hint("give an address of this machine and a free port; port 0 takes any")
        })
    }
}

/// A doubt about an ingress that works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warning {
    /// The limit of open files is lower than the limit of clients; this many are served.
    OpenFiles {
        /// The process's limit.
        files: usize,
        /// Clients at a time.
        connections: usize,
    },
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OpenFiles { files, connections } => write!(
                f,
                "this process may open {files} files, so {connections} clients are served at a time; \
                 raise it with ulimit -n"
            ),
        }
    }
}

/// The files that this process may open, and the most connections that it may serve with them.
pub(crate) fn files_and_connections() -> (usize, usize) {
    let files = files::allow();
    (files, files::connections_max(files))
}

/// Calls of components at a time for which the files of this process suffice.
pub(crate) fn calls_max() -> u32 {
    files::calls_max(files::allow())
}

/// A bound listener, not yet serving.
pub struct Ingress {
    /// Where it listens.
    pub local_addr: SocketAddr,
    /// What to report to the operator.
    pub warnings: Vec<Warning>,
    listener: std::net::TcpListener,
    shared: Arc<Shared>,
}

/// Shared by all connections.
struct Shared {
    service: Service,
    tls: Option<Tls>,
    limits: IngressLimits,
    connections: Arc<Semaphore>,
    waiting: Waiting,
    /// Files that the process may open.
    files: usize,
    /// Connections that the process serves, to which senders leave files.
    served: Arc<AtomicUsize>,
    /// A connection was closed.
    closed: Notify,
}

impl Ingress {
    /// An ingress on a bound address; raises the limit of open files as far as it may be.
    pub fn new(
        listener: Listener,
        options: Options,
        registry: UrlRegistry,
        inbox: impl Inbox,
    ) -> Result<Self> {
        let Listener { listener, local_addr } = listener;
        let Options { tls, observe, metrics, mut limits, served } = options;
        let files = files::allow();
        let possible = files::senders_max(served.load(Relaxed), files);
        let mut warnings = Vec::new();
        if possible < limits.connections {
            limits.connections = possible;
            warnings.push(Warning::OpenFiles { files, connections: possible });
        }
        let connections = Arc::new(Semaphore::new(limits.connections));
        let service = Service::new(registry, Arc::new(inbox), observe, metrics, limits.clone());
        let (waiting, closed) = (Waiting::default(), Notify::new());
        let shared = Shared { service, tls, limits, connections, waiting, files, served, closed };
        Ok(Self { local_addr, warnings, listener, shared: Arc::new(shared) })
    }

    /// `http` or `https`, address and port.
    pub fn url(&self) -> String {
        let scheme = if self.shared.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.local_addr)
    }

    /// Serves on a separate thread until a stop is requested. The receiver is closed when it has ended.
    pub fn start(self, stop: Stop) -> Result<watch::Receiver<()>> {
        let failed = |error: std::io::Error| Error::host(format!("ingress: no thread: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let (runs, ended) = watch::channel(());
        let serve = move || {
            let _runs = runs;
            runtime.block_on(self.run(stop));
            // Does not wait for requests that outlive the grace period.
            runtime.shutdown_background();
        };
        std::thread::Builder::new().name("ingress".into()).spawn(serve).map_err(failed)?;
        Ok(ended)
    }

    /// Serves until a stop is requested, then finishes the requests in progress within the grace period.
    pub async fn run(self, mut stop: Stop) {
        let Self { listener, shared, .. } = self;
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%error, "the listener cannot be used"),
        };
        loop {
            let accepted = tokio::select! {
                accepted = accept(&listener, &shared) => accepted,
                () = stop.requested() => break,
            };
            match accepted {
                Ok((stream, permit)) => {
                    let newest = usize::try_from(stream.as_raw_fd()).unwrap_or(0);
                    let (serving, stopping) = (Arc::clone(&shared), stop.clone());
                    tokio::spawn(async move {
                        connection::serve(stream, &serving, stopping).await;
                        drop(permit);
                        serving.closed.notify_one();
                    });
                    if files::are_scarce(newest, shared.files, shared.reserved()) {
                        tokio::select! {
                            () = shared.until_one_closes() => {}
                            () = stop.requested() => break,
                        }
                    }
                }
                Err(error) => {
                    // The peer closed first, or the limit of open files is reached: neither may end the loop.
                    tracing::debug!(%error, "accept failed");
                    shared.service.metrics().accept_failed();
                    if error.kind() != std::io::ErrorKind::ConnectionAborted {
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        }
        drop(listener);
        let all = u32::try_from(shared.limits.connections).unwrap_or(u32::MAX);
        // Each connection closes itself after the same grace period; the pause lets the last ones do so.
        let _in_time =
            tokio::time::timeout(shared.limits.grace + ACCEPT_PAUSE, shared.connections.acquire_many(all))
                .await;
    }
}

impl Shared {
    /// Files that senders leave to the process.
    fn reserved(&self) -> usize {
        files::reserved(self.served.load(Relaxed), self.files)
    }

    /// Waits until there is room for another connection; those that wait for a request give way.
    async fn room(&self) -> std::io::Result<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.connections).try_acquire_owned() {
            return Ok(permit);
        }
        self.while_one_gives_way(Arc::clone(&self.connections).acquire_owned())
            .await
            .map_err(std::io::Error::other)
    }

    async fn until_one_closes(&self) {
        self.while_one_gives_way(self.closed.notified()).await;
    }

    /// Asks again and again: connections that are busy now wait for another request later.
    async fn while_one_gives_way<T>(&self, wait: impl Future<Output = T>) -> T {
        let mut wait = std::pin::pin!(wait);
        loop {
            self.waiting.give_way();
            if let Ok(done) = tokio::time::timeout(ACCEPT_PAUSE, &mut wait).await {
                return done;
            }
        }
    }
}

async fn accept(
    listener: &TcpListener,
    shared: &Shared,
) -> std::io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let (stream, _peer) = listener.accept().await?;
    let permit = shared.room().await?;
    // Disables Nagle's algorithm: answers are smaller than one segment and would wait for the peer's
    // acknowledgment.
    // It fails if the peer has closed; reading then ends this connection.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "the peer closed first");
    }
    Ok((stream, permit))
}

fn listener(listen: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if listen.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Allows a restart while connections of the previous process are in TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(listen)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use super::{Ingress, Listener, Options};
    use crate::inbox::conformance::MemoryInbox;
    use crate::webhook_url::UrlRegistry;

    #[tokio::test]
    async fn senders_leave_files_to_connections_that_are_added_later() {
        let listener = Listener::bind("--listen", ([127, 0, 0, 1], 0).into()).expect("bound");
        let options = Options::default();
        let served = options.served.clone();
        let ingress =
            Ingress::new(listener, options, UrlRegistry::default(), MemoryInbox::default()).expect("made");
        let before = ingress.shared.reserved();
        served.store(2_000, Relaxed);
        assert!(ingress.shared.reserved() > before);
    }
}
