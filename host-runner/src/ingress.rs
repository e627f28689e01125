//! The HTTP listener for webhooks: *authorize the URL → limit → append → sync → answer*, in this order.
//!
//! Deliveries are applied later by the connection's actor. The ingress calls no component, so none can delay
//! an answer. Next to webhook URLs it serves `/-/health`, `/-/ready` and `/-/metrics`; put a proxy in front
//! that passes on `/hooks/` only, or protect the three pages in another way.
//!
//! Does not know the content of a body.

pub mod limits;

mod body;
mod connection;
mod files;
mod headers;
mod metrics;
mod phase;
mod service;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;

use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use self::limits::IngressLimits;
use self::limits::{ACCEPT_PAUSE, BACKLOG, FILES_RESERVED};
pub use self::metrics::Metrics;
use self::service::Service;
pub use self::tls::{Tls, TlsFiles};
use crate::error::{Error, Result};
use crate::journal::Journal;
use crate::stop::Stop;
use crate::webhook_url::UrlRegistry;

/// The content of the pages for operators. May read files: the ingress calls it on a thread for blocking
/// work.
pub trait Observe: Send + Sync + 'static {
    /// All metrics, those of the ingress included, in the Prometheus text format.
    fn metrics(&self) -> String;
    /// Whether every connection has started.
    fn ready(&self) -> bool;
    /// The status of each connection, as JSON without secrets.
    fn health(&self) -> Value;
}

/// An ingress without connections to report on: its own metrics, always ready.
#[derive(Debug)]
pub struct Alone(Registry);

impl Alone {
    fn new(metrics: &Metrics) -> Self {
        let mut registry = crate::metrics::registry();
        metrics.register(&mut registry);
        Self(registry)
    }
}

impl Observe for Alone {
    fn metrics(&self) -> String {
        crate::metrics::text(&self.0)
    }

    fn ready(&self) -> bool {
        true
    }

    fn health(&self) -> Value {
        json!({ "status": "ok" })
    }
}

/// How to listen.
#[derive(Clone)]
pub struct Options {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Certificate and key, if TLS ends here.
    pub tls: Option<TlsFiles>,
    /// For `/-/health`, `/-/ready` and `/-/metrics`.
    pub observe: Arc<dyn Observe>,
    /// Where the ingress counts.
    pub metrics: Metrics,
    /// The limits.
    pub limits: IngressLimits,
}

impl Options {
    /// Plain HTTP with the default limits and no connections to report on.
    pub fn new(listen: SocketAddr) -> Self {
        let metrics = Metrics::default();
        let observe = Arc::new(Alone::new(&metrics));
        Self { listen, tls: None, observe, metrics, limits: IngressLimits::default() }
    }
}

/// A doubt about an ingress that works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warning {
    /// The limit of open files is lower than the limit of connections; this many are served.
    OpenFiles {
        /// The process's limit.
        files: usize,
        /// Connections at a time.
        connections: usize,
    },
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OpenFiles { files, connections } => write!(
                f,
                "this process may open {files} files, so {connections} connections are served at a time; raise \
                 it with ulimit -n"
            ),
        }
    }
}

/// A bound listener, not yet serving.
pub struct Ingress {
    /// Where it listens.
    pub local_addr: SocketAddr,
    /// What to report to the operator.
    pub warnings: Vec<Warning>,
    listener: TcpListener,
    shared: Arc<Shared>,
}

/// Shared by all connections.
struct Shared {
    service: Service,
    tls: Option<Tls>,
    limits: IngressLimits,
    connections: Arc<Semaphore>,
}

impl Ingress {
    /// Binds, after every option was checked and certificates were read. Needs a tokio runtime.
    pub fn bind(options: Options, registry: UrlRegistry, journal: Journal) -> Result<Self> {
        let Options { listen, tls, observe, metrics, mut limits } = options;
        let tls = tls.map(Tls::open).transpose()?;
        let files = files::allow(limits.connections.saturating_add(FILES_RESERVED));
        let possible = files.saturating_sub(FILES_RESERVED).max(1);
        let mut warnings = Vec::new();
        if possible < limits.connections {
            limits.connections = possible;
            warnings.push(Warning::OpenFiles { files, connections: possible });
        }
        let refused = |error: std::io::Error| {
            Error::usage(format!("--listen {listen}: {error}"))
                .hint("give an address of this machine and a free port; port 0 takes any")
        };
        let listener = listener(listen).map_err(refused)?;
        let local_addr = listener.local_addr().map_err(refused)?;
        let connections = Arc::new(Semaphore::new(limits.connections));
        let service = Service::new(registry, journal, observe, metrics, limits.clone());
        let shared = Shared { service, tls, limits, connections };
        Ok(Self { local_addr, warnings, listener, shared: Arc::new(shared) })
    }

    /// `http` or `https`, address and port.
    pub fn url(&self) -> String {
        let scheme = if self.shared.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.local_addr)
    }

    /// Certificate and key, to be reloaded, if TLS ends here.
    pub fn tls(&self) -> Option<Tls> {
        self.shared.tls.clone()
    }

    /// Serves until a stop is requested, then finishes the requests in progress within the grace period.
    pub async fn run(self, mut stop: Stop) {
        let Self { listener, shared, .. } = self;
        loop {
            let accepted = tokio::select! {
                accepted = accept(&listener, &shared.connections) => accepted,
                () = stop.requested() => break,
            };
            match accepted {
                Ok((stream, permit)) => {
                    let (shared, stop) = (Arc::clone(&shared), stop.clone());
                    tokio::spawn(async move {
                        connection::serve(stream, &shared, stop).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    // The peer closed first, or the limit of open files is reached: neither may end the loop.
                    tracing::debug!(%error, "accept failed");
                    shared.service.metrics().accept_failed();
                    tokio::time::sleep(ACCEPT_PAUSE).await;
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

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(connections).acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, _peer) = listener.accept().await?;
    // Disables Nagle's algorithm: answers are smaller than one segment and would wait for the peer's
    // acknowledgment.
    stream.set_nodelay(true)?;
    Ok((stream, permit))
}

fn listener(listen: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if listen.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Allows a restart while connections of the previous process are in TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(listen)?;
    socket.listen(BACKLOG)
}
