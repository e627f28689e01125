//! Told to stop while a request is under way: it waits for that, and a second signal does not.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::process::{Server, eventually};
use crate::support::Place;

/// What requests under way get after a stop, which a second signal cuts short.
const GRACE: Duration = Duration::from_secs(5);

/// A server with a request of which the end never comes.
fn busy(place: &Place) -> (Server, TcpStream) {
    let server = Server::start(place);
    let mut stream = TcpStream::connect(&server.address).expect("connected");
    let head = format!("POST {} HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf", server.hook(place));
    stream.write_all(head.as_bytes()).expect("sent");
    let open = "host_runner_ingress_connections";
    // This question has a connection of its own.
    eventually("the request under way", || server.metric(open) >= Some(2.0));
    (server, stream)
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for signal in ["-INT", "-TERM"] {
        let place = Place::new("rows = 3");
        let (mut server, _half) = busy(&place);
        server.signal(signal);
        server.until_it_says("stopping");
        assert_eq!(server.ended(), None, "it did not wait for the request under way");
        let told = Instant::now();
        let mut ended = None;
        eventually("its end", || {
            // A person presses again, too.
            server.signal(signal);
            ended = server.ended();
            ended.is_some()
        });
        assert_eq!(ended.and_then(|status| status.code()), Some(130), "{signal}: {}", server.log());
        assert!(told.elapsed() < GRACE, "{signal}: it ended by itself");
        // Nothing is left behind that keeps the next one from its work.
        place.expect(&["sync"], 0);
        assert_eq!(place.query("SELECT count(*) || '' FROM things"), "3");
    }
}

#[test]
fn one_signal_lets_the_request_under_way_come_to_its_end() {
    let place = Place::new("rows = 3");
    let (mut server, mut half) = busy(&place);
    server.signal("-TERM");
    server.until_it_says("stopping");
    half.write_all(b" full").expect("sent");
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut half, &mut answer).expect("answered");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let mut ended = None;
    eventually("its end", || {
        ended = server.ended();
        ended.is_some()
    });
    assert_eq!(ended.and_then(|status| status.code()), Some(0), "{}", server.log());
}
