//! The outside name of the ingress, checked.
//!
//! Knows nothing of whether it can be reached.

use crate::error::{Error, Result};

/// Ports that every source calls; some refuse others.
const PORTS: [u16; 2] = [80, 443];

/// Something a person should know about a URL that can be used.
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

/// `http` or `https`, a host, perhaps a port and a path that a proxy removes; no slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    text: String,
    port: u16,
}

impl PublicUrl {
    /// Checks what a person wrote.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |what: &str| {
            Err(Error::usage(format!("public URL `{text}`: {what}"))
                .hint("give it as the source sees it, for example https://hooks.example.com"))
        };
        let Ok(uri) = text.parse::<http::Uri>() else { return wrong("not a URL") };
        let default = match uri.scheme_str() {
            Some("https") => 443,
            Some("http") => 80,
            _ => return wrong("neither https nor http"),
        };
        let Some(authority) = uri.authority() else { return wrong("no host") };
        if authority.host().is_empty() || authority.as_str().contains('@') {
            return wrong("a host and perhaps a port are all that may come before the path");
        }
        if uri.query().is_some() || text.contains('#') {
            return wrong("it must end with its path");
        }
        // `http` accepts a port that is no number.
        let port = match authority.as_str().strip_prefix(authority.host()).unwrap_or_default() {
            "" => default,
            written => match written.strip_prefix(':').and_then(|port| port.parse().ok()) {
                Some(0) | None => return wrong("its port is not a number from 1 to 65535"),
                Some(port) => port,
            },
        };
        Ok(Self { text: text.trim_end_matches('/').to_owned(), port })
    }

    /// The URL without a slash at the end.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What a person should know.
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
    fn ports_other_than_80_and_443_are_warned_of() {
        let warning = |text: &str| PublicUrl::parse(text).expect(text).warning();
        for text in ["https://a.example", "http://a.example/", "https://a.example:80/x/", "http://[::1]:443"]
        {
            assert_eq!(warning(text), None, "{text}");
        }
        assert_eq!(warning("https://a.example:8443"), Some(Warning::Port(8443)));
        assert_eq!(warning("http://[::1]:8080/x"), Some(Warning::Port(8080)));
    }

    #[test]
    fn what_is_no_public_url_is_refused_in_words() {
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
    fn the_slash_at_the_end_goes() {
        assert_eq!(PublicUrl::parse("https://a.example/x//").expect("a URL").as_str(), "https://a.example/x");
    }
}
