//! The HTTP client that posts deliveries and validates URLs. Without TLS.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// A client with a connection pool.
#[derive(Clone, Debug)]
pub(crate) struct HttpClient {
    client: Client<HttpConnector, Full<Bytes>>,
}

impl HttpClient {
    /// A client without connections yet.
    pub(crate) fn new() -> HttpClient {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        HttpClient { client: Client::builder(TokioExecutor::new()).build(connector) }
    }

    /// Sends a request and gives the status; none when there was no answer before the timeout.
    pub(crate) async fn send(
        &self,
        method: Method,
        url: &str,
        body: Bytes,
        signature: Option<&str>,
        timeout_ms: u64,
    ) -> Option<u16> {
        let mut request = Request::builder().method(method).uri(url);
        request = request.header("user-agent", "ZohoDesk-Simulator");
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        if let Some(signature) = signature {
            request = request.header("x-zdesk-jwt", signature);
        }
        let request = request.body(Full::new(body)).ok()?;
        let exchange = async {
            let response = self.client.request(request).await.ok()?;
            let status = response.status().as_u16();
            // Read to its end so that the connection returns to the pool. The body is not used.
            let _ = response.into_body().collect().await;
            Some(status)
        };
        tokio::time::timeout(Duration::from_millis(timeout_ms), exchange).await.ok().flatten()
    }

    /// Whether a URL answers 200 to a GET, or to a POST of `[{}]` after it (reference, §6.2).
    pub(crate) async fn validates(&self, url: &str, timeout_ms: u64) -> bool {
        if self.send(Method::GET, url, Bytes::new(), None, timeout_ms).await == Some(200) {
            return true;
        }
        let empty = Bytes::from_static(b"[{}]");
        self.send(Method::POST, url, empty, None, timeout_ms).await == Some(200)
    }
}
