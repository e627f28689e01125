//! The URL of a database: how to connect, whether to verify the server's certificate, the schema's name.
//!
//! Pure, except that [`Address`] reads the file of a private authority. Messages never quote the URL: a
//! password that is not encoded may end up in any part of it.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use super::schema::fit;
use crate::error::{Error, Result};
use crate::sinks::registry::{parameter, query, repeats_a_parameter, with_file_of, without_query};
use crate::sinks::{Location, Place};
use crate::tls;

/// Longest wait for one address of the server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A server that does not answer TCP is given up after this, and its writer's lock is free soon after.
const DEAD_AFTER: Duration = Duration::from_secs(30);
/// The form of a URL, for hints.
const FORM: &str = "postgres://user:password@host:5432/database, with %XX for special characters of a \
                    password: `%40` for `@`, `%2F` for `/`, `%3F` for `?`";

/// How to connect.
#[derive(Clone)]
pub(super) struct Address {
    pub(super) config: Config,
    /// None without TLS.
    pub(super) tls: Option<Arc<ClientConfig>>,
}

/// The server that a URL names.
pub(super) struct Server {
    pub(super) config: Config,
    /// Whether its certificate is verified.
    verifies: bool,
    /// The file with the authority that vouches for it.
    pub(super) authority: Option<String>,
}

/// The location that the keys under `[sink]` name.
pub(super) fn locate(place: &Place<'_>, folder: &Path, connection: &str) -> Result<Location> {
    let Some(url) = place.url else {
        return Err(Error::configuration("sink.url: missing").hint("url = \"${DATABASE_URL}\" under [sink]"));
    };
    let schema = match place.schema {
        Some(schema) => schema.to_owned(),
        None => default_schema(connection),
    };
    let is_usable = !schema.is_empty() && fit(&schema) == schema && !schema.contains('\0');
    if !is_usable || schema.starts_with("pg_") || schema == "information_schema" {
        let message = format!("sink.schema: `{schema}` cannot name a schema");
        return Err(Error::configuration(message)
            .hint("up to 63 bytes; names that start with `pg_` are PostgreSQL's own"));
    }
    Ok(Location::Schema { url: with_file_of(url, "sslrootcert", folder), schema })
}

/// A connection's name as a name that SQL needs no quotes for.
fn default_schema(connection: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' };
    let name: String = connection.chars().map(plain).collect();
    let is_own = name.starts_with("pg_") || name.starts_with(|first: char| first.is_ascii_digit());
    fit(&if is_own { format!("_{name}") } else { name })
}

impl Address {
    /// Reads a URL, and the file of a private authority. `connection` is shown in the server's list of
    /// sessions.
    pub(super) fn parse(url: &str, connection: &str) -> Result<Self> {
        let Server { config, verifies, authority } = Server::parse(url, connection)?;
        let tls = if verifies {
            Some(Arc::new(tls::client_of(authority.as_deref().map(Path::new), "sink.url: sslrootcert")?))
        } else {
            None
        };
        Ok(Self { config, tls })
    }
}

impl Server {
    /// Reads a URL. Pure.
    pub(super) fn parse(url: &str, connection: &str) -> Result<Self> {
        let wrong = || Error::configuration("sink.url: is not the URL of a PostgreSQL database").hint(FORM);
        let scheme = ["postgres://", "postgresql://"].into_iter().find(|scheme| url.starts_with(scheme));
        let Some(rest) = scheme.and_then(|scheme| url.strip_prefix(scheme)) else { return Err(wrong()) };
        // The parts that messages and the policy file take for the host must be those that the client takes.
        let host_ends = rest.find(['/', '?']).unwrap_or(rest.len());
        let is_plain = !rest.contains('#') && rest.match_indices('@').all(|(at, _)| at < host_ends);
        if !is_plain || rest.matches('@').count() > 1 || repeats_a_parameter(url) {
            return Err(wrong());
        }
        let mut mode = None;
        let mut kept = Vec::new();
        for parameter in query(url) {
            match parameter.split_once('=') {
                Some(("sslmode", value)) => mode = Some(value),
                Some(("sslrootcert", _)) => {}
                // They would lead elsewhere than the URL shows.
                Some(("host" | "hostaddr" | "port" | "dbname", _)) => return Err(wrong()),
                // The client decodes names: it could be any of them.
                Some((name, _)) if name.contains('%') => return Err(wrong()),
                _ => kept.push(parameter),
            }
        }
        let base = without_query(url);
        let mut config: Config = match kept.is_empty() {
            true => base.parse(),
            false => format!("{base}?{}", kept.join("&")).parse(),
        }
        .map_err(|_| wrong())?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(wrong());
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        config.application_name(fit(&format!("host-runner {connection}")));
        config.keepalives_idle(DEAD_AFTER).keepalives_interval(DEAD_AFTER / 3).keepalives_retries(3);
        config.tcp_user_timeout(DEAD_AFTER);
        let verifies = match mode {
            None => !is_here(&config),
            Some("disable") => false,
            Some("require" | "verify-ca" | "verify-full") => true,
            Some(_) => {
                let message = "sink.url: `sslmode` is not known";
                return Err(Error::configuration(message).hint(
                    "`verify-full` verifies the server's certificate and is the default; `disable` sends \
                     everything in the clear",
                ));
            }
        };
        config.ssl_mode(if verifies { SslMode::Require } else { SslMode::Disable });
        Ok(Self { config, verifies, authority: parameter(url, "sslrootcert") })
    }
}

/// Whether every host is on this machine.
fn is_here(config: &Config) -> bool {
    let names = config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
        }
        Host::Unix(_) => true,
    });
    names && config.get_hostaddrs().iter().all(IpAddr::is_loopback)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tokio_postgres::config::SslMode;

    use super::{Address, default_schema, locate};
    use crate::sinks::Place;

    fn mode(url: &str) -> Result<SslMode, String> {
        let parsed = Address::parse(url, "acme").map_err(|error| error.message)?;
        assert_eq!(parsed.tls.is_some(), parsed.config.get_ssl_mode() == SslMode::Require);
        Ok(parsed.config.get_ssl_mode())
    }

    #[test]
    fn a_server_elsewhere_is_verified_unless_the_url_says_otherwise() {
        for here in ["localhost", "127.0.0.1:5433", "[::1]", "%2Frun%2Fpostgresql"] {
            assert_eq!(mode(&format!("postgres://me:x@{here}/d")), Ok(SslMode::Disable), "{here}");
        }
        for elsewhere in ["db.example", "10.0.0.1", "db.example/d?sslmode=require", "localhost,db.example"] {
            assert_eq!(mode(&format!("postgres://me:x@{elsewhere}")), Ok(SslMode::Require), "{elsewhere}");
        }
        let url = "postgresql://me@db/d?connect_timeout=3&sslmode=disable&options=-c%20geqo%3Doff";
        assert_eq!(mode(url), Ok(SslMode::Disable));
        let parsed = Address::parse(url, "acme").expect("an address").config;
        assert_eq!(parsed.get_options(), Some("-c geqo=off"));
        assert_eq!(parsed.get_connect_timeout().map(|timeout| timeout.as_secs()), Some(3));
        assert_eq!(mode("postgres://localhost/d?sslmode=verify-full"), Ok(SslMode::Require));
    }

    #[test]
    fn a_url_that_is_wrong_is_refused_and_never_quoted() {
        for (url, message) in [
            ("mysql://me:hunter2@db/d", "is not the URL of a PostgreSQL database"),
            ("postgres:///d", "is not the URL of a PostgreSQL database"),
            ("postgres://me:hunter2@db/d?hunter2=1", "is not the URL of a PostgreSQL database"),
            ("postgres://me:hunter2@elsewhere/x@db/d", "is not the URL of a PostgreSQL database"),
            ("postgres://elsewhere/d?x=hunter2@db/d", "is not the URL of a PostgreSQL database"),
            ("postgres://db/d?host=10.0.0.1", "is not the URL of a PostgreSQL database"),
            (
                "postgres://db/d?%68ostaddr=10.0.0.1&sslmode=disable",
                "is not the URL of a PostgreSQL database",
            ),
            ("postgres://db/d?%64bname=other", "is not the URL of a PostgreSQL database"),
            ("postgres://db/d?hostaddr=10.0.0.1", "is not the URL of a PostgreSQL database"),
            (
                "postgres://db/d?sslrootcert=a.pem&sslrootcert=hunter2",
                "is not the URL of a PostgreSQL database",
            ),
            (
                "postgres://db/d?sslmode=verify-full&sslmode=disable",
                "is not the URL of a PostgreSQL database",
            ),
            ("postgres://me:hunter2@db/d?sslmode=prefer", "`sslmode` is not known"),
            ("postgres://me@db/d?sslrootcert=/none.pem", "sslrootcert /none.pem: "),
        ] {
            let error = Address::parse(url, "acme").err().expect("accepted");
            assert!(error.message.starts_with(&format!("sink.url: {message}")), "{error}");
            assert!(!error.message.contains("hunter2") && error.hint.is_some(), "{error:?}");
        }
    }

    #[test]
    fn the_schema_is_the_connections_name_as_an_identifier() {
        for (name, schema) in
            [("acme", "acme"), ("Acme-EU.2", "acme_eu_2"), ("pg_x", "_pg_x"), ("7up", "_7up")]
        {
            assert_eq!(default_schema(name), schema);
        }
        let named = |schema: &str| {
            let place = Place { url: Some("postgres://h/d"), schema: Some(schema), ..Place::default() };
            locate(&place, Path::new(""), "acme")
        };
        for bad in ["", "pg_catalog", "information_schema", "a\0b", &"x".repeat(64)] {
            assert!(named(bad).is_err(), "{bad}");
        }
        let found = named("Größe").expect("a location");
        assert_eq!(found.to_string(), "postgres://h/d schema Größe");
    }

    #[test]
    fn the_file_of_an_authority_is_relative_to_the_connection_file() {
        let url = "postgres://h/d?sslrootcert=ca.pem&connect_timeout=3";
        let place = Place { url: Some(url), ..Place::default() };
        let found = locate(&place, Path::new("/conf"), "acme").expect("a location");
        let (url, _) = found.as_schema().expect("a schema");
        assert_eq!(url, "postgres://h/d?sslrootcert=/conf/ca.pem&connect_timeout=3");
    }
}
