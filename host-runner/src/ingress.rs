//! The HTTP listener for webhooks: *authenticate the URL → cap → append → sync → answer*. Never otherwise.
//!
//! Everything that a delivery means happens later and elsewhere; no component is asked, so none can delay an
//! answer. Besides the hooks it serves `/-/health`, `/-/ready` and `/-/metrics`; put it behind a proxy that
//! passes on `/hooks/` only, or keep those three to yourself in another way.
//!
//! Knows nothing of what is in a body.

pub mod limits;

mod body;
mod connection;
mod counters;
mod files;
mod headers;
mod phase;
mod service;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use self::counters::Counters;
pub use self::limits::IngressLimits;
use self::limits::{ACCEPT_PAUSE, BACKLOG, FILES_RESERVED};
use self::service::Service;
pub use self::tls::{TlsFiles, TlsReload};
use crate::error::{Error, Result};
use crate::hooks::Registry;
use crate::journal::Journal;
use crate::stop::Stop;

/// What the rest of the program has to say to those who watch it.
pub trait Observe: Send + Sync + 'static {
    /// Lines in Prometheus' text format, to stand before the ingress's own.
    fn metrics(&self) -> String;
    /// Whether deliveries can be taken and applied.
    fn ready(&self) -> bool;
    /// What each connection does, as JSON without secrets.
    fn health(&self) -> Value;
}

/// Nothing to say, always ready.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Observe for Silent {
    fn metrics(&self) -> String {
        String::new()
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
    /// The bounds.
    pub limits: IngressLimits,
}

impl Options {
    /// Plain HTTP with the usual bounds and nothing to observe.
    pub fn new(listen: SocketAddr) -> Self {
        Self { listen, tls: None, observe: Arc::new(Silent), limits: IngressLimits::default() }
    }
}

/// Something a person should know about an ingress that works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warning {
    /// The process may open fewer files than connections were asked for; this many are served.
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
                "this process may open {files} files, so {connections} connections are served at a time; raise it with ulimit -n"
            ),
        }
    }
}

/// A bound listener, not yet serving.
pub struct Ingress {
    /// Where it listens.
    pub local_addr: SocketAddr,
    /// What a person should know.
    pub warnings: Vec<Warning>,
    listener: TcpListener,
    shared: Arc<Shared>,
}

/// What all connections share.
struct Shared {
    service: Service,
    tls: Option<tls::Acceptor>,
    limits: IngressLimits,
    connections: Arc<Semaphore>,
}

impl Ingress {
    /// Binds; certificates are read and every option is checked before. Needs a tokio runtime around it.
    pub fn bind(options: Options, registry: Registry, journal: Journal) -> Result<Self> {
        let Options { listen, tls, observe, mut limits } = options;
        let tls = tls.map(tls::Acceptor::open).transpose()?;
        let files = files::allow(limits.connections.saturating_add(FILES_RESERVED));
        let room = files.saturating_sub(FILES_RESERVED).max(1);
        let mut warnings = Vec::new();
        if room < limits.connections {
            limits.connections = room;
            warnings.push(Warning::OpenFiles { files, connections: room });
        }
        let refused = |error: std::io::Error| {
            Error::usage(format!("--listen {listen}: {error}"))
                .hint("give an address of this machine and a port that is free; port 0 takes any")
        };
        let listener = listener(listen).map_err(refused)?;
        let local_addr = listener.local_addr().map_err(refused)?;
        let connections = Arc::new(Semaphore::new(limits.connections));
        let service = Service::new(registry, journal, observe, limits.clone());
        let shared = Shared { service, tls, limits, connections };
        Ok(Self { local_addr, warnings, listener, shared: Arc::new(shared) })
    }

    /// `http` or `https`, address and port.
    pub fn url(&self) -> String {
        let scheme = if self.shared.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.local_addr)
    }

    /// What was counted so far; stays readable while it runs.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(self.shared.service.counters())
    }

    /// Reads certificate and key again when asked to, if TLS ends here.
    pub fn tls_reload(&self) -> Option<TlsReload> {
        self.shared.tls.as_ref().map(tls::Acceptor::reload)
    }

    /// Serves until it is asked to stop, then finishes the requests under way, within the bound for that.
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
                    // The peer went away, or files have run out: others must go on.
                    tracing::debug!(error = %error, "a connection could not be accepted");
                    shared.service.counters().not_accepted();
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        let all = u32::try_from(shared.limits.connections).unwrap_or(u32::MAX);
        // Connections end by themselves when the same bound is over; a moment more lets them.
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
    // Answers are small and must not wait for company.
    stream.set_nodelay(true)?;
    Ok((stream, permit))
}

fn listener(listen: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if listen.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restart must not wait for the former connections to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(listen)?;
    socket.listen(BACKLOG)
}
