//! One request by the runner itself: whether its webhook URL can be reached from this machine.
//!
//! No component is involved, so no host is declared: the policy allows exactly the host and port of the URL.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Empty};

use super::client::Client;
use super::policy::{Policy, Target};
use crate::error::Result;
use crate::limits::Limits;

/// Time for the response. Sources wait for some seconds only: a slower URL is out of reach for them.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The status of the response to GET, or why there is none, as text. It does not contain the URL, which may
/// hold a secret.
pub(crate) async fn probe(url: &str, ca_file: Option<&Path>) -> Result<Result<u16, String>> {
    let Ok(uri) = url.parse::<Uri>() else { return Ok(Err("it is not a URL".to_owned())) };
    let policy = Policy::new(Vec::new(), Target::of(&uri).into_iter().collect());
    let client = Client::new(policy, &Limits::default(), ca_file)?;
    let mut request = Request::new(Empty::<Bytes>::new().map_err(|never| match never {}).boxed_unsync());
    *request.uri_mut() = uri;
    Ok(match tokio::time::timeout(ANSWER_WITHIN, client.pool.request(request)).await {
        Ok(Ok(response)) => Ok(response.status().as_u16()),
        Ok(Err(error)) => {
            // The innermost error is the cause.
            let mut cause: &dyn std::error::Error = &error;
            while let Some(deeper) = cause.source() {
                cause = deeper;
            }
            Err(cause.to_string())
        }
        Err(_elapsed) => Err(format!("no answer within {} s", ANSWER_WITHIN.as_secs())),
    })
}
