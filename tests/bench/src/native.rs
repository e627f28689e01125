//! The connector compiled natively, over the same pooled client that the runner uses.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, anyhow};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::runtime::Runtime;
use zoho_desk::connection::Connection;
use zoho_desk::reader::Limits;
use zoho_desk::transport::{Failure, Method, Request, Response, Transport};

/// Reads all tickets, one line each.
pub(crate) fn run(runtime: Runtime, config: &Path, code: &str, out: &Path) -> Result<()> {
    let config = std::fs::read_to_string(config)?;
    let transport = Native {
        runtime,
        client: Client::builder(TokioExecutor::new()).build_http(),
        started: Instant::now(),
    };
    let mut connection = Connection::open(transport, &config, None)?;
    connection.authorize(&serde_json::json!({ "code": code }).to_string())?;
    let mut lines = BufWriter::new(File::create(out)?);
    let limits = Limits { max_changes: 1000, max_bytes: 8 << 20, max_ms: 30_000 };
    let (mut cursor, mut rows) = (None, 0u64);
    loop {
        let batch = connection.read("tickets", cursor.as_deref(), limits)?;
        for change in &batch.changes {
            let row = change.after.as_deref().ok_or_else(|| anyhow!("a change without a row"))?;
            writeln!(lines, "{row}")?;
            rows += 1;
        }
        if batch.caught_up {
            break;
        }
        cursor = Some(batch.cursor);
    }
    lines.flush()?;
    println!("{}", serde_json::json!({ "rows": rows }));
    Ok(())
}

struct Native {
    runtime: Runtime,
    client: Client<HttpConnector, Full<Bytes>>,
    started: Instant,
}

impl Transport for Native {
    fn now_ms(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() as u64)
    }

    fn ticks_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    fn send(&mut self, requests: &[Request], at_once: usize) -> Vec<Result<Response, Failure>> {
        let client = &self.client;
        let answers = stream::iter(requests).map(|request| send(client, request)).buffered(at_once.max(1));
        self.runtime.block_on(answers.collect())
    }
}

async fn send(client: &Client<HttpConnector, Full<Bytes>>, request: &Request) -> Result<Response, Failure> {
    let broken = |what: String| Failure::Broken(what);
    let method = match request.method {
        Method::Get => http::Method::GET,
        Method::Post => http::Method::POST,
        Method::Patch => http::Method::PATCH,
        Method::Delete => http::Method::DELETE,
    };
    let mut builder =
        http::Request::builder().method(method).uri(format!("{}{}", request.origin, request.path_with_query));
    for (name, value) in &request.headers {
        builder = builder.header(*name, value);
    }
    let outgoing = builder
        .body(Full::new(Bytes::from(request.body.clone())))
        .map_err(|error| broken(error.to_string()))?;
    let answer = client.request(outgoing).await.map_err(|error| broken(error.to_string()))?;
    let status = answer.status().as_u16();
    let headers = answer
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    let body = answer.into_body().collect().await.map_err(|error| broken(error.to_string()))?.to_bytes();
    Ok(Response { status, headers, body: body.to_vec() })
}
