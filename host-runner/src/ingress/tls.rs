//! TLS that ends here: certificate and key from PEM files, read again on request.
//!
//! Knows nothing of HTTP but the names of its versions.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::error::{Error, Result};

const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// Where certificate and key are.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The chain in PEM, the server's own certificate first.
    pub cert: PathBuf,
    /// Its private key in PEM.
    pub key: PathBuf,
}

/// Handshakes.
pub(super) struct Acceptor {
    acceptor: TlsAcceptor,
    current: Arc<Current>,
}

/// Reads the files again.
#[derive(Clone, Debug)]
pub struct TlsReload(Arc<Current>);

struct Current {
    files: TlsFiles,
    key: RwLock<Arc<CertifiedKey>>,
}

impl std::fmt::Debug for Current {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Current").field("files", &self.files).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.key.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl TlsReload {
    /// Takes what is in the files now for new connections; if that cannot be used, what was before stays.
    pub fn reload(&self) -> Result<()> {
        let key = load(&self.0.files)?;
        *self.0.key.write().unwrap_or_else(PoisonError::into_inner) = key;
        Ok(())
    }
}

impl Acceptor {
    pub(super) fn open(files: TlsFiles) -> Result<Self> {
        let key = RwLock::new(load(&files)?);
        let current = Arc::new(Current { files, key });
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Current>::clone(&current);
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::host(format!("TLS: {error}")))?;
        let mut config = config.with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), current })
    }

    pub(super) fn reload(&self) -> TlsReload {
        TlsReload(Arc::clone(&self.current))
    }

    pub(super) async fn accept(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        self.acceptor.accept(stream).await
    }

    pub(super) fn is_http2(&self, stream: &TlsStream<TcpStream>) -> bool {
        stream.get_ref().1.alpn_protocol() == Some(HTTP2)
    }
}

fn load(files: &TlsFiles) -> Result<Arc<CertifiedKey>> {
    let wrong = |path: &Path, what: &dyn std::fmt::Display| {
        Error::configuration(format!("TLS: {}: {what}", path.display()))
    };
    let certificates = CertificateDer::pem_file_iter(&files.cert)
        .and_then(|found| found.collect::<Result<Vec<_>, _>>())
        .map_err(|error| wrong(&files.cert, &error))?;
    if certificates.is_empty() {
        return Err(wrong(&files.cert, &"no certificate in it"));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| wrong(&files.key, &error))?;
    let key = ring::sign::any_supported_type(&key).map_err(|error| wrong(&files.key, &error))?;
    let certified = CertifiedKey::new(certificates, key);
    certified.keys_match().map_err(|error| {
        wrong(&files.key, &error).hint("give the private key that belongs to the certificate")
    })?;
    Ok(Arc::new(certified))
}
