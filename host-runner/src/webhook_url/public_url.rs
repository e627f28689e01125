//! The public URL of the ingress, parsed.
//!
//! Does not check that it can be reached.

use crate::error::{Error, Result};

/// Ports that every source delivers to; some sources refuse others.
const PORTS: [u16; 2] = [80, 443];

/// A doubt about a valid public URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warning {
    /// Some sources deliver to ports 80 and 443 only.
    Port(u16),
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Port(port) => {
                write!(f, "public URL: port {port}; some sources deliver to ports 80 and 443 only")
            }
        }
    }
}

/// `http` or `https`, a host, optionally a port and a path that a proxy removes; without a trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    text: String,
    port: u16,
}

impl PublicUrl {
    /// Parses the value of `--public-url`.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |what: &str| {
            Err(Error::usage(format!("public URL `{text}`: {what}"))
                .hint("give the URL that the source calls, for example https://hooks.example.com"))
        };
        let Ok(uri) = text.parse::<http::Uri>() else { return wrong("not a URL") };
        let default = match uri.scheme_str() {
            Some("https") => 443,
            Some("http") => 80,
            _ => return wrong("its scheme is neither https nor http"),
        };
        let Some(authority) = uri.authority() else { return wrong("no host") };
        if authority.host().is_empty() || authority.as_str().contains('@') {
            return wrong("only a host and a port may precede the path");
        }
        if uri.query().is_some() || text.contains('#') {
            return wrong("a query or a fragment is not allowed");
        }
        // The `http` crate accepts ports that are not numbers.
        let port = match authority.as_str().strip_prefix(authority.host()).unwrap_or_default() {
            "" => default,
            written => match written.strip_prefix(':').and_then(|port| port.parse().ok()) {
                Some(0) | None => return wrong("its port is not a number from 1 to 65535"),
                Some(port) => port,
            },
        };
        Ok(Self { text: text.trim_end_matches('/').to_owned(), port })
    }

    /// The URL without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The doubt to report, if there is one.
    pub fn warning(&self) -> Option<Warning> {
        (!PORTS.contains(&self.port)).then_some(Warning::Port(self.port))
    }
}

impl std::fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::{PublicUrl, Warning};

    #[test]
    fn ports_other_than_80_and_443_give_a_warning() {
        let warning = |text: &str| PublicUrl::parse(text).expect(text).warning();
        for text in ["https://a.example", "http://a.example/", "https://a.example:80/x/", "http://[::1]:443"]
        {
            assert_eq!(warning(text), None, "{text}");
        }
        assert_eq!(warning("https://a.example:8443"), Some(Warning::Port(8443)));
        assert_eq!(warning("http://[::1]:8080/x"), Some(Warning::Port(8080)));
    }

    #[test]
    fn an_invalid_public_url_is_refused_with_its_text() {
        for text in [
            "",
            "a.example",
            "ftp://a.example",
            "https://",
            "https://a:b@c.example",
            "https://a.example?x",
            "https://a.example/#x",
            "https://a.example:x",
            "https://a.example:0",
            "https://a.example:70000",
            "https://a b",
        ] {
            let error = PublicUrl::parse(text).expect_err(text);
            assert!(error.message.starts_with(&format!("public URL `{text}`: ")), "{}", error.message);
        }
    }

    #[test]
    fn trailing_slashes_are_removed() {
        assert_eq!(PublicUrl::parse("https://a.example/x//").expect("a URL").as_str(), "https://a.example/x");
    }
}
