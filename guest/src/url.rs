//! Origins, paths with queries, and form bodies. Parses no other URL.

use std::fmt;

use serde::Deserialize;

/// Scheme, host and port of an HTTP server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Origin {
    pub https: bool,
    /// Host and, when not the scheme's own, `:port`.
    pub authority: String,
}

impl Origin {
    /// Parses `http(s)://host[:port][/]`; none for anything else: a path, a query, credentials.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (https, rest) = match text.split_once("://")? {
            ("https", rest) => (true, rest),
            ("http", rest) => (false, rest),
            _ => return None,
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let host_legal = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                !host.is_empty()
                    && host
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
            }
        };
        let port_legal = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
        (host_legal && port_legal).then(|| Self { https, authority: authority.to_ascii_lowercase() })
    }
}

impl TryFrom<String> for Origin {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("{text} is not an origin"))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.https { "https" } else { "http" }, self.authority)
    }
}

/// Appends `text` percent-encoded for a query or form value. Commas stay: some portals refuse a list whose
/// commas are encoded (`zoho-desk-api.md` §9, conflict 6).
fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b',' => {
                out.push(byte as char)
            }
            _ => {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                out.push('%');
                out.push(HEX[usize::from(byte >> 4)] as char);
                out.push(HEX[usize::from(byte & 15)] as char);
            }
        }
    }
}

/// A path with a query that grows one encoded pair at a time.
#[derive(Clone, Debug)]
pub(crate) struct Path(String);

impl Path {
    pub(crate) fn new(path: &str) -> Self {
        Self(path.to_owned())
    }

    /// Adds `name=value`.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.0.push(if self.0.contains('?') { '&' } else { '?' });
        self.0.push_str(name);
        self.0.push('=');
        encode(&value.to_string(), &mut self.0);
        self
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

/// `application/x-www-form-urlencoded` of the pairs.
pub(crate) fn form(pairs: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (name, value) in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        out.push_str(name);
        out.push('=');
        encode(value, &mut out);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port_only() {
        for good in
            ["https://desk.zoho.eu", "http://127.0.0.1:8080", "http://[::1]:80", "https://Desk.Zoho.eu/"]
        {
            assert!(Origin::parse(good).is_some(), "{good}");
        }
        for bad in [
            "desk.zoho.eu",
            "ftp://a",
            "https://",
            "https://a/b",
            "https://u:p@a",
            "http://a:0",
            "http://a b",
        ] {
            assert!(Origin::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn values_are_encoded_but_commas_stay() {
        let path = Path::new("/x").with("include", "a,b").with("q", "ä &=");
        assert_eq!(path.into_string(), "/x?include=a,b&q=%C3%A4%20%26%3D");
        assert_eq!(form(&[("a", "1+1"), ("b", "x")]), "a=1%2B1&b=x");
    }
}
