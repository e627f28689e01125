//! Stopping: the first signal waits for requests in progress, a second one does not.

use std::io::Write;
use std::net::TcpStream;

use super::process::{Server, eventually};
use crate::support::Place;

/// A server with a request whose body is incomplete.
fn busy(place: &Place) -> (Server, TcpStream) {
    let server = Server::start(place);
    let mut stream = TcpStream::connect(&server.address).expect("connected");
    let head =
        format!("POST {} HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf", server.webhook_path(place));
    stream.write_all(head.as_bytes()).expect("sent");
    // The space ends the name.
    eventually("the request in progress", || server.metric("ingress_connections ") >= Some(1.0));
    (server, stream)
}

#[test]
fn a_second_signal_stops_serve_at_once() {
    for signal in ["-INT", "-TERM"] {
        let place = Place::new("rows = 3");
        let (mut server, _half) = busy(&place);
        server.signal(signal);
        server.until_log_contains("stopping");
        assert_eq!(server.ended(), None, "it did not wait for the request in progress");
        let mut ended = None;
        eventually("the exit", || {
            // Repeated, because the handler may merge two signals that arrive close together.
            server.signal(signal);
            ended = server.ended();
            ended.is_some()
        });
        // After the grace period it would exit with 0.
        assert_eq!(ended.and_then(|status| status.code()), Some(130), "{signal}: {}", server.log());
        // No lock is left that would refuse the next command.
        place.expect(&["sync"], 0);
        assert_eq!(place.query("SELECT count(*) || '' FROM things"), "3");
    }
}

#[test]
fn the_first_signal_waits_for_the_request_in_progress() {
    let place = Place::new("rows = 3");
    let (mut server, mut half) = busy(&place);
    server.signal("-TERM");
    server.until_log_contains("stopping");
    half.write_all(b" full").expect("sent");
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut half, &mut answer).expect("answered");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let mut ended = None;
    eventually("the exit", || {
        ended = server.ended();
        ended.is_some()
    });
    assert_eq!(ended.and_then(|status| status.code()), Some(0), "{}", server.log());
}
