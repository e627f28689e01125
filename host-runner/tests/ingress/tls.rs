//! TLS termination with HTTP/1.1 and HTTP/2. The certificates in this folder are for these tests only.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use host_runner::ingress::{IngressLimits, Options, Tls, TlsFiles};
use host_runner::journal::JournalLimits;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::{PATIENCE, Server, answer, request, until_closed};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ingress").join(name)
}

fn options() -> Options {
    let tls = TlsFiles { cert: file("cert.pem"), key: file("key.pem") };
    Options { tls: Some(Tls::open(tls).expect("read")), ..Options::default() }
}

async fn connect(server: &Server, protocol: &[u8]) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file("cert.pem")).expect("a certificate")).expect("added");
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = TcpStream::connect(server.address).await.expect("connected");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("a handshake")
}

#[tokio::test]
async fn http1_over_tls_accepts_and_rejects() {
    let server = Server::start_with(options(), JournalLimits::default());
    let mut stream = connect(&server, b"http/1.1").await;
    for (path, status) in [(server.path(), 200), ("/hooks/acme/wrong".to_owned(), 404)] {
        stream.write_all(request("POST", &path, "over TLS").as_bytes()).await.expect("sent");
        assert_eq!(answer(&mut stream, "POST").await.status, status);
    }
    assert_eq!(server.bodies(), ["over TLS"]);
}

#[tokio::test]
async fn http2_accepts_many_requests_at_once_and_shuts_down_gracefully() {
    let limits = IngressLimits { body_bytes: 500_000, ..IngressLimits::default() };
    let server = Server::start_with(Options { limits, ..options() }, JournalLimits::default());
    let stream = connect(&server, b"h2").await;
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("http/2");
    let connection = tokio::spawn(connection);
    let send = |body: String| {
        let request = http::Request::post(format!("https://localhost{}", server.path()))
            .body(Full::<bytes::Bytes>::from(body))
            .expect("a request");
        let mut sender = sender.clone();
        async move { sender.send_request(request).await.expect("an answer") }
    };
    let tasks: Vec<_> = (0..50).map(|number| tokio::spawn(send(format!("{number}")))).collect();
    for task in tasks {
        let answer = task.await.expect("no panic");
        assert_eq!(answer.status(), 200);
        assert!(answer.into_body().collect().await.expect("a body").to_bytes().is_empty());
    }
    assert_eq!(send("x".repeat(500_001)).await.status(), 413);
    assert_eq!(send("x".repeat(500_000)).await.status(), 200);
    assert_eq!(server.bodies().len(), 51);
    server.stopper.stop();
    tokio::time::timeout(PATIENCE, connection).await.expect("closed").expect("no panic").expect("graceful");
    tokio::time::timeout(PATIENCE, server.running).await.expect("stopped").expect("no panic");
}

#[tokio::test]
async fn an_incomplete_handshake_is_closed() {
    let limits = IngressLimits { head_timeout: Duration::from_millis(100), ..IngressLimits::default() };
    let server = Server::start_with(Options { limits, ..options() }, JournalLimits::default());
    let mut silent = server.connect().await;
    assert_eq!(until_closed(&mut silent).await, "");
    let mut plain = server.connect().await;
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("sent");
    let mut bytes = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut plain, &mut bytes);
    let _reset = tokio::time::timeout(PATIENCE, read).await.expect("closed in time");
    assert!(!bytes.starts_with(b"HTTP"), "plain HTTP was answered on a TLS port");
}

#[tokio::test]
async fn certificates_are_reloaded_and_invalid_ones_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = TlsFiles { cert: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    std::fs::copy(file("cert.pem"), &files.cert).expect("copied");
    std::fs::copy(file("key.pem"), &files.key).expect("copied");
    let tls = Some(Tls::open(files.clone()).expect("read"));
    let server = Server::start_with(Options { tls, ..Options::default() }, JournalLimits::default());
    let tls = server.tls.as_ref().expect("TLS");
    tls.reload().expect("reloaded");
    std::fs::copy(file("other-key.pem"), &files.key).expect("copied");
    let error = tls.reload().expect_err("a key of another certificate");
    assert!(error.message.starts_with("TLS: "), "{}", error.message);
    connect(&server, b"http/1.1").await;

    std::fs::write(&files.cert, "no certificate").expect("written");
    let error = Tls::open(files).err().expect("there is no certificate");
    assert!(error.message.ends_with("no certificate in it"), "{}", error.message);
}
