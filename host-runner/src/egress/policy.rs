//! The egress policy: a request may go to hosts that the component declared for this configuration, over
//! https and to public addresses, and to each exact `host:port` that the operator allowed.
//!
//! Pure. [`super::dial`] resolves and connects.

use std::fmt;
use std::net::IpAddr;

use http::Uri;

use super::address::prohibited;

/// A host and a port, as written in an allow-list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Lower case, an IPv6 address without brackets.
    pub host: String,
    /// Always explicit.
    pub port: u16,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Target {
    /// Reads `host:port`, where the port is required.
    pub fn parse(text: &str) -> Option<Self> {
        let authority: http::uri::Authority = text.parse().ok()?;
        if authority.as_str().contains('@') {
            return None;
        }
        Some(Self { host: plain(authority.host()), port: authority.port_u16()? })
    }

    /// The host and port of a URL. None if it has no host, has user information or is neither http nor https.
    pub fn of(uri: &Uri) -> Option<Self> {
        let authority = uri.authority()?;
        let port = match (authority.port(), uri.scheme_str()?) {
            (Some(_), "http" | "https") => authority.port_u16()?,
            (None, "https") => 443,
            (None, "http") => 80,
            _ => return None,
        };
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return None;
        }
        Some(Self { host: plain(authority.host()), port })
    }
}

fn plain(host: &str) -> String {
    host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase()
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// Not an http(s) URL with a plain host.
    Malformed,
    /// Neither declared by the component nor allowed by the operator.
    Undeclared(Target),
    /// Declared, but http and not allowed by the operator.
    Plain(Target),
    /// Leads to an address that is not public.
    Address(Target, IpAddr, &'static str),
}

impl Denial {
    /// The line for the connection file that would allow it, if there is one.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Malformed => None,
            Self::Undeclared(target) | Self::Plain(target) | Self::Address(target, ..) => {
                Some(format!("allow = [\"{target}\"]"))
            }
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("a request without a plain http(s) host was refused"),
            Self::Undeclared(target) => {
                write!(f, "{target}: refused, the component does not declare this host")
            }
            Self::Plain(target) => write!(f, "{target}: refused, http without TLS"),
            Self::Address(target, address, why) => {
                write!(f, "{target}: refused, it leads to {address} ({why}), not a public address")
            }
        }
    }
}

/// The allow-list of one connection.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    declared: Vec<Target>,
    allowed: Vec<Target>,
}

impl Policy {
    /// `declared` by the component for this configuration, `allowed` by the operator.
    pub fn new(declared: Vec<Target>, allowed: Vec<Target>) -> Self {
        Self { declared, allowed }
    }

    /// Hosts the component declared.
    pub fn declared(&self) -> &[Target] {
        &self.declared
    }

    /// Hosts the operator allowed.
    pub fn allowed(&self) -> &[Target] {
        &self.allowed
    }

    /// Decides on a URL, before its host is resolved.
    pub fn admit(&self, uri: &Uri) -> Result<Target, Denial> {
        let target = Target::of(uri).ok_or(Denial::Malformed)?;
        if self.allowed.contains(&target) {
            return Ok(target);
        }
        if !self.declared.contains(&target) {
            return Err(Denial::Undeclared(target));
        }
        if uri.scheme_str() != Some("https") {
            return Err(Denial::Plain(target));
        }
        Ok(target)
    }

    /// Decides on an address to which a target resolved.
    pub fn admit_address(&self, target: &Target, address: IpAddr) -> Result<(), Denial> {
        if self.allowed.contains(target) {
            return Ok(());
        }
        match prohibited(address) {
            Some(why) => Err(Denial::Address(target.clone(), address, why)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Denial, Policy, Target};

    fn policy() -> Policy {
        let declared = ["api.example.com:443", "accounts.example.com:443", "plain.example.com:80"];
        let allowed = ["127.0.0.1:8080", "[::1]:9"];
        let targets = |texts: &[&str]| texts.iter().filter_map(|text| Target::parse(text)).collect();
        Policy::new(targets(&declared), targets(&allowed))
    }

    fn admit(url: &str) -> Result<String, Denial> {
        policy().admit(&url.parse().expect("a URL")).map(|target| target.to_string())
    }

    #[test]
    fn declared_hosts_are_admitted_over_https_whatever_their_case() {
        assert_eq!(admit("https://api.example.com/v1"), Ok("api.example.com:443".into()));
        assert_eq!(admit("https://API.example.com:443/"), Ok("api.example.com:443".into()));
    }

    #[test]
    fn everything_else_is_refused() {
        for url in [
            "https://api.example.com:8443/",
            "https://api.example.com.evil.com/",
            "https://xapi.example.com/",
            "https://api.example.com./",
            "https://127.0.0.1/",
            "http://api.example.com/",
        ] {
            assert!(matches!(admit(url), Err(Denial::Undeclared(_))), "{url}");
        }
        assert!(matches!(admit("http://plain.example.com/"), Err(Denial::Plain(_))));
        for url in ["https://api.example.com@evil.com/", "https://u:p@api.example.com/", "/x"] {
            assert_eq!(admit(url), Err(Denial::Malformed), "{url}");
        }
    }

    #[test]
    fn the_operator_allows_by_exact_host_and_port_http_included() {
        assert_eq!(admit("http://127.0.0.1:8080/x"), Ok("127.0.0.1:8080".into()));
        assert_eq!(admit("http://[::1]:9/x"), Ok("[::1]:9".into()));
        assert!(admit("http://127.0.0.1:8081/x").is_err());
        assert!(admit("http://localhost:8080/x").is_err());
    }

    #[test]
    fn declared_hosts_must_lead_to_public_addresses() {
        let target = Target::parse("api.example.com:443").expect("a target");
        let admit = |address: &str| policy().admit_address(&target, address.parse().expect("an address"));
        assert_eq!(admit("8.8.8.8"), Ok(()));
        assert!(matches!(admit("169.254.169.254"), Err(Denial::Address(..))));
        assert!(matches!(admit("::ffff:10.0.0.1"), Err(Denial::Address(..))));
        let loopback = Target::parse("127.0.0.1:8080").expect("a target");
        let address = "127.0.0.1".parse().expect("an address");
        assert_eq!(policy().admit_address(&loopback, address), Ok(()));
    }

    #[test]
    fn a_denial_names_the_line_that_would_allow_it() {
        let denial = admit("https://evil.example.com/secret?token=1").expect_err("refused");
        assert_eq!(denial.remedy().as_deref(), Some("allow = [\"evil.example.com:443\"]"));
        assert!(!denial.to_string().contains("token"));
    }

    #[test]
    fn targets_need_a_port() {
        assert_eq!(Target::parse("api.example.com"), None);
        assert_eq!(Target::parse("u@api.example.com:1"), None);
        assert_eq!(Target::parse("[::1]:80").map(|t| t.to_string()).as_deref(), Some("[::1]:80"));
    }
}
