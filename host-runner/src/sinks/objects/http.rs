//! HTTP for the client of an object store: the runner's TLS over a pool of connections.
//!
//! Knows neither buckets nor keys.

use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector as TcpConnector;
use hyper_util::rt::TokioExecutor;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse,
    HttpResponseBody, HttpService,
};
use rustls::ClientConfig;

use crate::error::Result;
use crate::tls;

/// Longest wait for one address of the server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Makes clients that trust the same authorities.
#[derive(Debug)]
pub(super) struct Connector(ClientConfig);

type Pool = legacy::Client<HttpsConnector<TcpConnector>, HttpRequestBody>;

#[derive(Debug)]
struct Client(Pool);

impl Connector {
    /// Trusts the authorities that browsers trust, or the one of a file alone.
    pub(super) fn new(ca_file: Option<&Path>, key: &str) -> Result<Self> {
        tls::client_of(ca_file, &format!("{key}: ca_file")).map(Self)
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        let mut tcp = TcpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        tcp.set_nodelay(true);
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(self.0.clone())
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        Ok(HttpClient::new(Client(legacy::Client::builder(TokioExecutor::new()).build(https))))
    }
}

type Answer<'a> = Pin<Box<dyn Future<Output = std::result::Result<HttpResponse, HttpError>> + Send + 'a>>;

impl HttpService for Client {
    fn call<'life0, 'async_trait>(&'life0 self, request: HttpRequest) -> Answer<'async_trait>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move {
            let answer = self.0.request(request).await.map_err(|error| {
                let kind = if error.is_connect() { HttpErrorKind::Connect } else { HttpErrorKind::Request };
                HttpError::new(kind, error)
            })?;
            let interrupted = |error| HttpError::new(HttpErrorKind::Interrupted, error);
            Ok(answer.map(|body| HttpResponseBody::new(body.map_err(interrupted))))
        })
    }
}
