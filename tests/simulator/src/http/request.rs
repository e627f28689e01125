//! A request, read whole: path, decoded query, used headers, body.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;

/// Largest body that is accepted, in bytes. No documented call needs more.
pub(crate) const BODY_BYTES_MAX: usize = 4 << 20;

/// A request as handlers see it.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// The query as sent.
    pub(crate) raw_query: String,
    /// The decoded names and values, in order.
    pub(crate) query: Vec<(String, String)>,
    /// The token of `Authorization: Zoho-oauthtoken …` or `Bearer …`.
    pub(crate) token: Option<String>,
    pub(crate) organization: Option<String>,
    pub(crate) source_id: Option<String>,
    pub(crate) range: Option<String>,
    pub(crate) body: Bytes,
    /// Set when the connection is to be reset.
    pub(crate) reset: Arc<AtomicBool>,
    /// For calls that set the URL of a webhook: whether it answers 200.
    pub(crate) url_is_valid: Option<bool>,
}

impl Call {
    /// Reads a request; none when its body is too large or incomplete.
    pub(crate) async fn read(request: Request<Incoming>, reset: Arc<AtomicBool>) -> Option<Call> {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await.ok()?.to_bytes();
        let raw_query = head.uri.query().unwrap_or("").to_owned();
        Some(Call {
            query: decode(&raw_query),
            method: head.method,
            path: head.uri.path().to_owned(),
            raw_query,
            token: token(&head.headers),
            organization: header(&head.headers, "orgid"),
            source_id: header(&head.headers, "sourceid"),
            range: header(&head.headers, "range"),
            body,
            reset,
            url_is_valid: None,
        })
    }

    /// A query parameter; the last one when it is repeated.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.query.iter().rfind(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Decodes `a=b&c=d`, with `+` as a space. Bytes that are not UTF-8 are replaced.
pub(crate) fn decode(query: &str) -> Vec<(String, String)> {
    let text = |part: &str| {
        let part = part.replace('+', " ");
        percent_decode_str(&part).decode_utf8_lossy().into_owned()
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (text(name), text(value))
        })
        .collect()
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(|text| text.trim().to_owned())
}

fn token(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let known = ["zoho-oauthtoken", "bearer"];
    known.contains(&scheme.to_ascii_lowercase().as_str()).then(|| token.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn queries_are_decoded_like_forms() {
        let pairs = decode("include=contacts%2Cteam&_all=a+b&flag&x=%E2%98%83");
        let want = [("include", "contacts,team"), ("_all", "a b"), ("flag", ""), ("x", "☃")];
        let want: Vec<(String, String)> =
            want.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!(pairs, want);
    }
}
