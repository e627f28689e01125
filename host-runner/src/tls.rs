//! TLS as a client: the certificates that are trusted. Does not know what is called.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::error::{Error, Result};

/// The authorities that browsers trust. Clients share them: they take 9 KiB.
pub(crate) fn public_roots() -> Arc<RootCertStore> {
    static PUBLIC: LazyLock<Arc<RootCertStore>> =
        LazyLock::new(|| Arc::new(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }));
    Arc::clone(&PUBLIC)
}

/// Adds the certificates of a PEM file, at least one; `key` is the configuration key that names the file.
pub(crate) fn add_certificates(roots: &mut RootCertStore, key: &str, file: &Path) -> Result<()> {
    let wrong = |reason: &dyn std::fmt::Display| {
        Error::configuration(format!("{key} {}: {reason}", file.display()))
            .hint("a file of PEM certificates is needed")
    };
    let before = roots.len();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| wrong(&error))? {
        let certificate = certificate.map_err(|error| wrong(&error))?;
        roots.add(certificate).map_err(|error| wrong(&error))?;
    }
    if roots.len() == before { Err(wrong(&"no certificate in it")) } else { Ok(()) }
}

/// A client that trusts the authorities that browsers trust, or those of a PEM file alone; `key` is the
/// configuration key that names the file.
pub(crate) fn client_of(authorities: Option<&Path>, key: &str) -> Result<ClientConfig> {
    let Some(file) = authorities else { return client(public_roots()) };
    let mut roots = RootCertStore::empty();
    add_certificates(&mut roots, key, file)?;
    client(roots)
}

/// Servers whose TLS sessions a client remembers, so that the next handshake is shorter. A connection calls a
/// few; rustls' own number costs each connection 13 KiB.
const REMEMBERED_SERVERS: usize = 8;

/// A client that trusts these certificates and presents none.
pub(crate) fn client(roots: impl Into<Arc<RootCertStore>>) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::host(format!("TLS cannot be set up: {error}")))?;
    let mut client = builder.with_root_certificates(roots).with_no_client_auth();
    client.resumption = Resumption::in_memory_sessions(REMEMBERED_SERVERS);
    Ok(client)
}
