//! The bare fetch: the pages a reader needs, discarded. The lower bound of every reader's time.

use std::path::Path;

use anyhow::{Result, bail};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// Rows of a page, and the step between pages, as in the connector.
const LIMIT: u64 = 100;
const STEP: u64 = LIMIT - 1;

/// Fetches pages until one is empty, `at_once` in flight; prints their number and their bytes.
pub(crate) async fn run(config: &Path, code: &str, at_once: usize) -> Result<()> {
    let config: Value = serde_json::from_str(&std::fs::read_to_string(config)?)?;
    let text = |key: &str| config[key].as_str().unwrap_or_default();
    let (url, organization) = (text("desk_url"), text("organization_id"));
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let form = format!(
        "grant_type=authorization_code&client_id={}&client_secret={}&code={code}",
        text("client_id"),
        text("client_secret")
    );
    let request = http::Request::post(format!("{url}/oauth/v2/token"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::new(Bytes::from(form)))?;
    let answer = client.request(request).await?.into_body().collect().await?.to_bytes();
    let answer: Value = serde_json::from_slice(&answer)?;
    let Some(token) = answer["access_token"].as_str() else { bail!("no token: {answer}") };
    let pages = stream::iter(0u64..)
        .map(|page| {
            let request = http::Request::get(format!(
                "{url}/api/v1/tickets?from={}&limit={LIMIT}&sortBy=createdTime\
                 &include=contacts,products,departments,team,isRead,assignee",
                1 + page * STEP
            ))
            .header("authorization", format!("Zoho-oauthtoken {token}"))
            .header("orgid", organization)
            .body(Full::default());
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
        // A page with only the last row of the page before, or none, is the end.
        if length < 4096 {
            break;
        }
        count += 1;
        bytes += length;
    }
    println!("{}", serde_json::json!({"pages": count, "bytes": bytes}));
    Ok(())
}
