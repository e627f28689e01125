//! TLS termination: certificate and key from PEM files, reloaded on request.
//!
//! Does not know HTTP, except for the protocol names that are offered.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::error::{Error, Result};

const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// Paths of certificate and key.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The chain in PEM, the server's certificate first.
    pub cert: PathBuf,
    /// Its private key in PEM.
    pub key: PathBuf,
}

/// Certificate and key in use. Clones share them.
#[derive(Clone)]
pub struct Tls {
    files: TlsFiles,
    acceptor: Arc<RwLock<TlsAcceptor>>,
    /// Held while the files are read: the last ones stay in use.
    reloading: Arc<Mutex<()>>,
}

impl Tls {
    /// Reads the files.
    pub fn open(files: TlsFiles) -> Result<Self> {
        let acceptor = Arc::new(RwLock::new(load(&files)?));
        Ok(Self { files, acceptor, reloading: Arc::default() })
    }

    /// Reads the files again and uses their content for new connections; after an error the previous
    /// certificate stays in use. Blocks.
    pub fn reload(&self) -> Result<()> {
        let _one_at_a_time = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let acceptor = load(&self.files)?;
        *self.acceptor.write().unwrap_or_else(PoisonError::into_inner) = acceptor;
        Ok(())
    }

    pub(super) async fn accept(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let acceptor = self.acceptor.read().unwrap_or_else(PoisonError::into_inner).clone();
        acceptor.accept(stream).await
    }
}

/// Whether HTTP/2 was negotiated.
pub(super) fn is_http2(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(HTTP2)
}

fn load(files: &TlsFiles) -> Result<TlsAcceptor> {
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
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::host(format!("TLS: {error}")))?
        .with_no_client_auth()
        // Checks that key and certificate belong together.
        .with_single_cert(certificates, key)
        .map_err(|error| {
            wrong(&files.key, &error).hint("give the private key that belongs to the certificate")
        })?;
    config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
