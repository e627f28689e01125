//! The pooled HTTP client of one connection, for HTTP/1.1 and HTTP/2.
//!
//! One per connection, so that connections share neither sockets nor TLS tickets. Knows nothing of wasm.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tower_service::Service;
use wasmtime_wasi_http::WasiBody;

use super::dial::{DialError, Dialer};
use super::policy::Policy;
use crate::error::Result;
use crate::limits::{self, Limits};
use crate::tls;

type Pool = legacy::Client<Timed, WasiBody>;

/// Sends requests of one connection.
#[derive(Clone)]
pub struct Client {
    pub(super) pool: Pool,
    connector: Timed,
    pub(super) policy: Arc<Policy>,
    /// Requests at a time.
    requests: usize,
    pub(super) permits: Arc<Semaphore>,
    pub(super) response_bytes: usize,
}

impl Client {
    /// A client under a policy; `ca_file` adds root certificates to those that browsers trust.
    pub fn new(policy: Policy, limits: &Limits, ca_file: Option<&Path>) -> Result<Self> {
        let policy = Arc::new(policy);
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls(ca_file)?)
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(Dialer::new(Arc::clone(&policy)));
        let (connector, requests) = (Timed(https), limits.sandbox.max_concurrent_requests);
        Ok(Self {
            pool: pool(&connector, requests),
            connector,
            policy,
            requests,
            permits: Arc::new(Semaphore::new(requests)),
            response_bytes: limits.sandbox.max_response_bytes,
        })
    }

    /// Closes its idle connections: the next request opens another one, and resumes its TLS session.
    pub(crate) fn rest(&mut self) {
        self.pool = pool(&self.connector, self.requests);
    }

    /// The policy it follows.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }
}

fn pool(connector: &Timed, requests: usize) -> Pool {
    legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(limits::POOL_IDLE_TIMEOUT)
        .pool_max_idle_per_host(requests)
        .build(connector.clone())
}

fn tls(ca_file: Option<&Path>) -> Result<ClientConfig> {
    let mut roots = tls::public_roots();
    if let Some(file) = ca_file {
        tls::add_certificates(Arc::make_mut(&mut roots), "egress.ca_file", file)?;
    }
    tls::client(roots)
}

/// The connector with a timeout, TLS handshake included.
#[derive(Clone)]
pub(super) struct Timed(HttpsConnector<Dialer>);

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

impl Service<Uri> for Timed {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.0.call(uri);
        Box::pin(async move {
            match tokio::time::timeout(limits::CONNECT_TIMEOUT, connecting).await {
                Ok(connected) => connected,
                Err(_) => Err(DialError::TimedOut.into()),
            }
        })
    }
}
