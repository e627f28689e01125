//! TLS termination in `serve` with HTTP/1.1 and HTTP/2, and a certificate that is renewed while it runs.

use std::fs::File;
use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::process::{Server, eventually};
use super::{event, later};
use crate::support::Place;

/// Deliveries at the same time on one connection.
const AT_ONCE: u64 = 40;

/// Writes a self-signed certificate and its key to the server's files; returns the certificate.
fn certify(place: &Place) -> CertificateDer<'static> {
    let made = generate_simple_self_signed(vec!["localhost".to_owned()]);
    let CertifiedKey { cert, signing_key } = made.expect("a certificate");
    std::fs::write(place.path("cert.pem"), cert.pem()).expect("written");
    std::fs::write(place.path("key.pem"), signing_key.serialize_pem()).expect("written");
    cert.der().clone()
}

fn start(place: &Place) -> Server {
    Server::start_with(place, &["--tls-cert", "cert.pem", "--tls-key", "key.pem"])
}

/// Connects and trusts this certificate only.
async fn connect(
    server: &Server,
    trusted: &CertificateDer<'static>,
    protocol: &[u8],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("added");
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(&server.address).await.expect("connected");
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol), "another protocol was negotiated");
    Ok(stream)
}

type Http2 = http2::SendRequest<Full<Bytes>>;

async fn http2(server: &Server, trusted: &CertificateDer<'static>) -> Http2 {
    let stream = TokioIo::new(connect(server, trusted, b"h2").await.expect("a handshake"));
    let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.expect("HTTP/2");
    tokio::spawn(connection);
    sender
}

fn delivery(path: &str, id: u64) -> http::Request<Full<Bytes>> {
    let body = event("things", &id.to_string(), "create", later()).to_string();
    http::Request::post(path).header("host", "localhost").body(Full::from(body)).expect("a request")
}

/// The status of a delivery over HTTP/2.
async fn deliver(mut sender: Http2, path: String, id: u64) -> u16 {
    let answer =
        sender.send_request(delivery(&format!("https://localhost{path}"), id)).await.expect("an answer");
    let status = answer.status().as_u16();
    answer.into_body().collect().await.expect("a body");
    status
}

/// Waits until the table has this many rows.
fn until_rows(place: &Place, count: i64) {
    eventually("the rows", || {
        let database = rusqlite::Connection::open(place.path("tiny.db")).expect("opened");
        // The table is created after the first discovery.
        database.query_row("SELECT count(*) FROM things_live", [], |row| row.get::<_, i64>(0)) == Ok(count)
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_over_tls_become_rows_with_either_protocol() {
    let place = Place::new("rows = 3");
    let trusted = certify(&place);
    let server = start(&place);
    until_rows(&place, 3);
    assert!(server.log().contains("listening on https://"), "{}", server.log());
    let path = server.webhook_path(&place);

    let stream = TokioIo::new(connect(&server, &trusted, b"http/1.1").await.expect("a handshake"));
    let (mut sender, connection) = http1::handshake(stream).await.expect("HTTP/1.1");
    tokio::spawn(connection);
    for (path, status) in [(path.as_str(), 200), ("/hooks/tiny/wrong", 404)] {
        sender.ready().await.expect("ready for the next");
        let answer = sender.send_request(delivery(path, 1_000)).await.expect("an answer");
        assert_eq!(answer.status(), status);
        answer.into_body().collect().await.expect("a body");
    }

    let sender = http2(&server, &trusted).await;
    let deliveries: Vec<_> =
        (0..AT_ONCE).map(|id| tokio::spawn(deliver(sender.clone(), path.clone(), 2_000 + id))).collect();
    for delivery in deliveries {
        assert_eq!(delivery.await.expect("no panic"), 200);
    }
    assert_eq!(deliver(sender, "/hooks/tiny/wrong".to_owned(), 1).await, 404);
    until_rows(&place, 3 + 1 + AT_ONCE as i64);
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_loads_a_renewed_certificate_and_keeps_the_old_one_if_the_new_one_is_invalid() {
    let place = Place::new("rows = 3");
    let first = certify(&place);
    let server = start(&place);
    until_rows(&place, 3);
    let path = server.webhook_path(&place);
    let before = http2(&server, &first).await;
    assert_eq!(deliver(before.clone(), path.clone(), 1_000).await, 200);

    let second = certify(&place);
    assert!(connect(&server, &second, b"h2").await.is_err(), "loaded before SIGHUP");
    server.signal("-HUP");
    let mut tries = 0;
    while connect(&server, &second, b"h2").await.is_err() {
        tries += 1;
        assert!(tries < 10_000, "the renewed certificate is not served: {}", server.log());
    }
    assert!(connect(&server, &first, b"h2").await.is_err(), "the old one is still served");
    assert_eq!(deliver(before, path.clone(), 1_001).await, 200, "an open connection was closed");

    // An invalid key: the previous certificate stays in use, and a warning is printed.
    std::fs::write(place.path("key.pem"), "no key").expect("written");
    server.signal("-HUP");
    server.until_log_contains("warning: TLS: ");
    assert_eq!(deliver(http2(&server, &second).await, path, 1_002).await, 200);
    until_rows(&place, 6);
    server.stop();
}

#[test]
fn a_key_that_cannot_be_read_to_its_end_delays_no_stop() {
    let place = Place::new("rows = 3");
    certify(&place);
    let server = start(&place);
    until_rows(&place, 3);
    let key = place.path("key.pem");
    std::fs::remove_file(&key).expect("removed");
    assert!(Command::new("mkfifo").arg(&key).status().expect("mkfifo").success());
    server.signal("-HUP");
    // Opens once there is a reader, which waits for its content.
    let _hangs = File::options().write(true).open(&key).expect("opened");
    server.stop();
}
