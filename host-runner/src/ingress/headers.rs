//! The headers that are stored with a delivery.
//!
//! End-to-end headers only, and none that holds the URL's secret: some proxies add the original path as a
//! header.

use http::header::{self, HeaderMap, HeaderName};

/// Hop-by-hop headers (RFC 9110, 7.6.1), and credentials for a proxy.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The headers to store, in their order.
pub(super) fn kept(headers: &HeaderMap, secret: &str) -> Vec<(String, Vec<u8>)> {
    let listed: Vec<&str> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(str::trim))
        .collect();
    let is_kept = |name: &HeaderName, value: &[u8]| {
        !HOP_BY_HOP.contains(name)
            && !listed.iter().any(|listed| listed.eq_ignore_ascii_case(name.as_str()))
            && !contains(value, secret.as_bytes())
    };
    headers
        .iter()
        .filter(|(name, value)| is_kept(name, value.as_bytes()))
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect()
}

pub(super) fn contains(text: &[u8], part: &[u8]) -> bool {
    // Compares the first byte before the rest: a comparison of slices at each offset is measurable per
    // request.
    part.first()
        .is_some_and(|first| text.windows(part.len()).any(|window| window[0] == *first && window == part))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::kept;

    #[test]
    fn hop_by_hop_headers_and_the_secret_are_not_stored() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-type", "application/json"),
            ("connection", "keep-alive, X-Mine"),
            ("keep-alive", "timeout=5"),
            ("x-mine", "1"),
            ("transfer-encoding", "chunked"),
            ("proxy-authorization", "Basic x"),
            ("x-original-uri", "/hooks/acme/the-secret?x=1"),
            ("x-signature", "abc"),
            ("x-signature", "def"),
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let kept = kept(&headers, "the-secret");
        let names: Vec<(&str, &[u8])> =
            kept.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        let expected: [(&str, &[u8]); 3] =
            [("content-type", b"application/json"), ("x-signature", b"abc"), ("x-signature", b"def")];
        assert_eq!(names, expected);
    }
}
