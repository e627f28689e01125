//! The egress policy: a request may go to hosts that the component declared for this configuration and that
//! the operator's ceiling includes, over https and to public addresses, and to each exact `host:port` that
//! the operator allowed.
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
    /// Declared, but left out by the operator's ceiling.
    Excluded(Target),
    /// Declared, but http and not allowed by the operator.
    Plain(Target),
    /// Leads to an address that is not public.
    Address(Target, IpAddr, &'static str),
}

impl Denial {
    /// The line for the connection file that would allow it, if one should be offered: a component must not
    /// talk a person into an address of the machine's own network that it merely asked for, nor into that of
    /// a cloud's credentials.
    pub fn remedy(&self) -> Option<String> {
        let target = match self {
            Self::Malformed | Self::Excluded(_) => return None,
            Self::Undeclared(target) if is_private(&target.host) => return None,
            Self::Address(_, address, _) if is_link_local(*address) => return None,
            Self::Undeclared(target) | Self::Plain(target) | Self::Address(target, ..) => target,
        };
        Some(format!("allow = [\"{target}\"]"))
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("a request without a plain http(s) host was refused"),
            Self::Undeclared(target) => {
                write!(f, "{target}: refused, the component does not declare this host")
            }
            Self::Excluded(target) => {
                write!(f, "{target}: refused, the component declares it, `only` under [egress] leaves it out")
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
    excluded: Vec<Target>,
    allowed: Vec<Target>,
}

impl Policy {
    /// `declared` by the component for this configuration, `allowed` by the operator.
    pub fn new(declared: Vec<Target>, allowed: Vec<Target>) -> Self {
        Self { declared, excluded: Vec::new(), allowed }
    }

    /// The same with the operator's ceiling: the declared hosts that `only` lists. None is no ceiling.
    pub fn only(mut self, only: Option<&[Target]>) -> Self {
        if let Some(only) = only {
            let (declared, excluded) = self.declared.into_iter().partition(|host| only.contains(host));
            (self.declared, self.excluded) = (declared, excluded);
        }
        self
    }

    /// Hosts the component declared, within the ceiling.
    pub fn declared(&self) -> &[Target] {
        &self.declared
    }

    /// Hosts the component declared, beyond the ceiling.
    pub fn excluded(&self) -> &[Target] {
        &self.excluded
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
        if self.excluded.contains(&target) {
            return Err(Denial::Excluded(target));
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

fn is_private(host: &str) -> bool {
    host.parse().is_ok_and(|address| prohibited(address).is_some())
}

/// Clouds hand out the credentials of the machine at such addresses.
fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => {
            address.is_unicast_link_local()
                || address.to_ipv4_mapped().is_some_and(|address| address.is_link_local())
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
    fn the_ceiling_of_the_operator_bounds_declared_hosts_alone() {
        let only = [Target::parse("api.example.com:443").expect("a target")];
        let policy = policy().only(Some(&only));
        let admit = |url: &str| policy.admit(&url.parse().expect("a URL"));
        assert!(admit("https://api.example.com/").is_ok());
        assert!(admit("http://127.0.0.1:8080/").is_ok(), "allowed by the operator");
        let denial = admit("https://accounts.example.com/").expect_err("beyond the ceiling");
        assert!(matches!(denial, Denial::Excluded(_)) && denial.remedy().is_none(), "{denial}");
        assert!(matches!(admit("https://evil.example.com/"), Err(Denial::Undeclared(_))));
        assert_eq!(policy.declared(), only);
        assert_eq!(policy.only(Some(&[])).declared(), []);
    }

    #[test]
    fn no_line_is_offered_for_a_private_address_that_was_not_declared_or_for_link_local_ones() {
        for url in ["http://169.254.169.254/", "https://10.0.0.1/", "https://[fd00::1]/"] {
            let denial = admit(url).expect_err("refused");
            assert_eq!(denial.remedy(), None, "{denial}");
        }
        let declared = Target::parse("api.example.com:443").expect("a target");
        let resolved = |address: &str| {
            let address = address.parse().expect("an address");
            policy().admit_address(&declared, address).expect_err("refused").remedy()
        };
        assert_eq!(resolved("169.254.169.254"), None);
        assert_eq!(resolved("::ffff:169.254.169.254"), None);
        assert!(resolved("10.0.0.1").is_some(), "a private source is reached through `allow`");
    }

    #[test]
    fn targets_need_a_port() {
        assert_eq!(Target::parse("api.example.com"), None);
        assert_eq!(Target::parse("u@api.example.com:1"), None);
        assert_eq!(Target::parse("[::1]:80").map(|t| t.to_string()).as_deref(), Some("[::1]:80"));
    }
}
