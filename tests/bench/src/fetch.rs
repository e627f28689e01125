//! The bare fetch: the pages a reader needs, nothing done with them. The floor under every reader.

use anyhow::{Result, bail};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

/// Rows of a page, and the step between pages, as the connector takes them.
const LIMIT: u64 = 100;
const STEP: u64 = LIMIT - 1;

/// Fetches pages until one is empty, `at_once` in flight; prints how many there were and their bytes.
pub(crate) async fn run(url: &str, token: &str, organization: &str, at_once: usize) -> Result<()> {
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let pages = stream::iter(0u64..)
        .map(|page| {
            let request = http::Request::get(format!(
                "{url}/api/v1/tickets?from={}&limit={LIMIT}&sortBy=createdTime&include=contacts,products,departments,team,isRead,assignee",
                1 + page * STEP
            ))
            .header("authorization", format!("Zoho-oauthtoken {token}"))
            .header("orgid", organization)
            .body(Empty::new());
            let client = client.clone();
            async move {
                let response = client.request(request?).await?;
                let status = response.status();
                let body = response.into_body().collect().await?.to_bytes();
                if !status.is_success() {
                    bail!("HTTP {status}");
                }
                Ok::<usize, anyhow::Error>(body.len())
            }
        })
        .buffered(at_once);
    let mut pages = std::pin::pin!(pages);
    let (mut count, mut bytes) = (0u64, 0);
    while let Some(length) = pages.next().await {
        let length = length?;
        // The page that shows only the row before it, or nothing, is the end.
        if length < 4096 {
            break;
        }
        count += 1;
        bytes += length;
    }
    println!("{}", serde_json::json!({"pages": count, "bytes": bytes}));
    Ok(())
}
