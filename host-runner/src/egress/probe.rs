//! One request by the runner itself: whether a URL of ours can be reached from this machine.
//!
//! No component is involved, so nothing was declared; the policy allows exactly the host and port that a person gave.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Empty};

use super::client::Client;
use super::policy::{Policy, Target};
use crate::error::Result;
use crate::limits::Limits;

/// Sources wait for seconds; who takes longer is not there for them.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The status with which a URL answers GET, or in words why it does not; they never name the URL, which may hold a
/// secret.
pub async fn probe(url: &str, ca_file: Option<&Path>) -> Result<Result<u16, String>> {
    let Ok(uri) = url.parse::<Uri>() else { return Ok(Err("it is not a URL".to_owned())) };
    let policy = Policy::new(Vec::new(), Target::of(&uri).into_iter().collect());
    let client = Client::new(policy, &Limits::default(), ca_file)?;
    let mut request = Request::new(Empty::<Bytes>::new().map_err(|never| match never {}).boxed_unsync());
    *request.uri_mut() = uri;
    Ok(match tokio::time::timeout(ANSWER_WITHIN, client.pool.request(request)).await {
        Ok(Ok(response)) => Ok(response.status().as_u16()),
        Ok(Err(error)) => {
            // What lies deepest says what happened.
            let mut cause: &dyn std::error::Error = &error;
            while let Some(deeper) = cause.source() {
                cause = deeper;
            }
            Err(cause.to_string())
        }
        Err(_elapsed) => Err(format!("no answer within {} s", ANSWER_WITHIN.as_secs())),
    })
}
