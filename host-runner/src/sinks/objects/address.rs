//! The URL of a prefix in an object store: `s3://KEY:SECRET@bucket/prefix?endpoint=URL&region=NAME`.
//!
//! Pure. Messages never quote the URL: a secret that is not encoded may end up in any part of it.

use crate::error::{Error, Result};
use crate::sinks::registry::{decoded, query, repeats_a_parameter, user_information};

/// The form of a URL, for hints.
const FORM: &str = "s3://bucket/prefix, with keys in front of the bucket (s3://KEY:SECRET@bucket/prefix) or in \
                    AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; ?endpoint=https://host:port names another \
                    store than Amazon's, &region=NAME its region, &ca_file=FILE a private authority";

/// Longest region: the client makes it a label of the host name (RFC 1035).
const REGION_BYTES_MAX: usize = 63;

/// Where a store is, and the keys to it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) bucket: String,
    /// Without `/` at its ends; empty: the whole bucket.
    pub(super) prefix: String,
    pub(super) endpoint: Option<String>,
    pub(super) region: Option<String>,
    pub(super) ca_file: Option<String>,
    /// The id of a key, and the secret.
    pub(super) keys: Option<(String, String)>,
}

impl Address {
    /// Reads a URL; `key` is the configuration key that has it.
    pub(super) fn parse(url: &str, key: &str) -> Result<Self> {
        let wrong = |what: &str| Error::configuration(format!("{key}: {what}")).hint(FORM);
        let is_no_url = || wrong("is not the URL of an object store");
        let rest = url.strip_prefix("s3://").ok_or_else(is_no_url)?;
        let user = user_information(url);
        let place = user.map_or(rest, |user| rest.strip_prefix(user).unwrap_or_default());
        let place = place.trim_start_matches('@').split('?').next().unwrap_or_default();
        // The server and the prefix that the policy file compares must be those that are used.
        if place.contains('#') || repeats_a_parameter(url) {
            return Err(is_no_url());
        }
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        if bucket.is_empty() || !bucket.bytes().all(is_plain) {
            return Err(is_no_url());
        }
        let prefix = prefix.trim_matches('/').to_owned();
        if object_store::path::Path::parse(&prefix).is_err() {
            return Err(wrong("its prefix cannot name objects"));
        }
        let keys = match user.map(|user| user.split_once(':')) {
            None => None,
            Some(Some((id, secret))) if !id.is_empty() && !secret.is_empty() => {
                let plain = |text: &str| decoded(text).unwrap_or_else(|| text.to_owned());
                let (id, secret) = (plain(id), plain(secret));
                // The client panics on an id that cannot stand in a header.
                if id.chars().any(char::is_control) {
                    return Err(is_no_url());
                }
                Some((id, secret))
            }
            Some(_) => return Err(wrong("has a key without its secret")),
        };
        let mut address =
            Self { bucket: bucket.to_owned(), prefix, endpoint: None, region: None, ca_file: None, keys };
        for parameter in query(url) {
            let Some((name, value)) = parameter.split_once('=').filter(|(_, value)| !value.is_empty()) else {
                return Err(is_no_url());
            };
            let value = Some(decoded(value).unwrap_or_else(|| value.to_owned()));
            match name {
                "endpoint" => address.endpoint = value,
                "region" => address.region = value,
                "ca_file" => address.ca_file = value,
                _ => return Err(is_no_url()),
            }
        }
        let is_endpoint = |endpoint: &String| {
            let uri: Option<http::Uri> = endpoint.parse().ok();
            uri.is_some_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some())
        };
        if address.endpoint.as_ref().is_some_and(|endpoint| !is_endpoint(endpoint)) {
            return Err(wrong("its endpoint is no URL of a server"));
        }
        if address.region.as_ref().is_some_and(|region| !is_region(region)) {
            return Err(wrong("its region has other characters than `a-z`, `0-9` and `-`, or too many"));
        }
        Ok(address)
    }
}

/// Whether a text is a single label: without an endpoint the host is `s3.<region>.amazonaws.com`, and any
/// other character could lead to another host.
fn is_region(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.len() <= REGION_BYTES_MAX && text.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn a_url_names_bucket_prefix_keys_and_server() {
        let plain = Address::parse("s3://desk", "sink.url").expect("an address");
        assert_eq!((plain.bucket.as_str(), plain.prefix.as_str(), plain.keys), ("desk", "", None));
        let url =
            "s3://AKIA1:a/b+c%2Fd=@desk.example/acme/rows/?endpoint=http://127.0.0.1:9000&region=eu-west-1";
        let full = Address::parse(url, "sink.url").expect("an address");
        assert_eq!((full.bucket.as_str(), full.prefix.as_str()), ("desk.example", "acme/rows"));
        assert_eq!(full.keys, Some(("AKIA1".to_owned(), "a/b+c/d=".to_owned())));
        assert_eq!(full.endpoint.as_deref(), Some("http://127.0.0.1:9000"));
        assert_eq!(full.region.as_deref(), Some("eu-west-1"));
    }

    #[test]
    fn a_region_is_one_label_and_leads_to_no_other_host() {
        let parse = |region: &str| Address::parse(&format!("s3://desk/acme?region={region}"), "sink.url");
        for region in ["eu-west-1", "auto", &"a".repeat(63)] {
            assert_eq!(parse(region).expect(region).region.as_deref(), Some(region));
        }
        let long = "a".repeat(64);
        for region in ["x%40127.0.0.1:18555/", "evil.example/", "evil.example%23", "a.b", "a%0a", "EU", &long]
        {
            let error = parse(region).expect_err(region);
            assert!(error.message.starts_with("sink.url: its region has other characters "), "{error}");
        }
    }

    #[test]
    fn a_url_that_is_wrong_is_refused_and_never_quoted() {
        for (url, message) in [
            ("gs://hunter2", "is not the URL of an object store"),
            ("s3://", "is not the URL of an object store"),
            ("s3://id:hunter2@/x", "is not the URL of an object store"),
            ("s3://hunter2@desk", "has a key without its secret"),
            ("s3://id:@desk", "has a key without its secret"),
            ("s3://id%0A:hunter2@desk", "is not the URL of an object store"),
            ("s3://desk/a//hunter2", "its prefix cannot name objects"),
            ("s3://desk/../hunter2", "its prefix cannot name objects"),
            ("s3://desk?hunter2=1", "is not the URL of an object store"),
            ("s3://desk/a#hunter2", "is not the URL of an object store"),
            ("s3://desk?endpoint=http://a&endpoint=http://hunter2", "is not the URL of an object store"),
            ("s3://desk?ca_file=a.pem&region=x&ca_file=hunter2", "is not the URL of an object store"),
            ("s3://desk?endpoint=hunter2", "its endpoint is no URL of a server"),
            ("s3://desk?endpoint=ftp://hunter2", "its endpoint is no URL of a server"),
        ] {
            let error = Address::parse(url, "sink.url").expect_err(url);
            assert_eq!(error.message, format!("sink.url: {message}"), "{url}");
            assert!(error.hint.is_some_and(|hint| !hint.contains("hunter2")));
        }
    }
}
