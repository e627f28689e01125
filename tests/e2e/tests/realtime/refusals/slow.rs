//! Ten thousand connections that send only a part of a request: deliveries overtake them, memory stays
//! bounded, the server closes each one.
//!
//! Claims are about order and counters, not about time: a delivery is answered while a slow connection that
//! was opened before it is still open.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::Receiver;
use crate::rows::eventually;
use crate::serve::Serve;
use crate::support::http::{request, split};

/// Connections at once. The server gives a head ten seconds and a body fifteen.
const SLOW: usize = 10_000;
/// Files that this process, or the server, needs for everything else.
const FILES_RESERVED: u64 = 2_000;
/// Deliveries made meanwhile, each on a separate connection.
const DELIVERIES: usize = 50;
/// Longest wait of the test for a slow connection to be closed; only a failure takes that long.
const PATIENCE: Duration = Duration::from_secs(60);
/// Memory of all of them together: the design's bound for as many idle connections, which cost less.
const MEMORY_MIB_MAX: u64 = 200;
/// Open connections.
const CONNECTIONS: &str = "host_runner_ingress_connections";

/// How many slow connections this machine allows: each takes a file here and one in the server. Prints when
/// these are fewer than wanted.
fn allowed() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = SLOW as u64 + FILES_RESERVED;
    let files = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    if current.is_some_and(|current| current < files) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(files), maximum })
            .expect("within what is allowed");
    }
    let allowed = usize::try_from(files.saturating_sub(FILES_RESERVED)).expect("a number");
    if allowed < SLOW {
        // `eprintln` of a test that passes is not shown.
        let said = writeln!(
            std::io::stderr(),
            "only {allowed} of {SLOW} slow connections: a process may open {files} files here (ulimit -Hn)"
        );
        said.expect("stderr");
    }
    assert!(allowed >= 1_000, "with {files} files this test proves nothing: raise ulimit -Hn");
    allowed
}

/// Opens a connection and sends a part of a request.
fn open(host: &str, part: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(host).expect("a connection");
    stream.write_all(part).expect("written");
    stream
}

/// Whether the server has neither answered nor closed a connection.
fn is_open(mut stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("a mode");
    let read = stream.read(&mut [0]);
    stream.set_nonblocking(false).expect("a mode");
    read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

/// The server's answer to a connection until it closed it; fails if it is still open.
fn answer(mut stream: TcpStream) -> String {
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("still open: {error}"),
    }
    String::from_utf8(rest).expect("text")
}

/// Connections that the server closed because they were slow, by its own count.
fn closed_as_slow(serve: &Serve) -> usize {
    let closed = |reason| serve.metric_with("host_runner_ingress_connections_closed_total", reason);
    let rejected = serve.metric_with("host_runner_ingress_requests_rejected_total", "\"slow-body\"");
    let counts = [closed("\"silent\""), closed("\"slow-head\""), rejected];
    counts.into_iter().flatten().sum::<f64>() as usize
}

#[test]
fn deliveries_overtake_ten_thousand_slow_connections() {
    let receiver = Receiver::new();
    receiver.applies_change("before the slow");
    let count = allowed();
    let tokens = receiver.desk.tokens(&receiver.hook, DELIVERIES as u64);
    let (host, path) = split(&receiver.url);
    let head = format!("POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 1000\r\n\r\n");
    let half = format!("{head}{}", "[".repeat(500));
    // Most stop in the head, some in the body, some never speak.
    let parts = [&head[..20], &head[..head.len() - 2], &half, ""];
    let slow = |number: usize| open(host, parts[number % parts.len()].as_bytes());

    let before = receiver.serve.memory_peak_mib();
    let mut crowd: Vec<TcpStream> = (0..count).map(slow).collect();
    let connections = || receiver.serve.metric(CONNECTIONS).expect("the number of connections") as usize;
    eventually("all slow connections", || {
        let seen = connections() + closed_as_slow(&receiver.serve);
        if seen >= count { Ok(()) } else { Err(format!("{seen} of {count}")) }
    });
    let open_before = connections();
    for (number, token) in tokens.iter().enumerate() {
        let witness = slow(number);
        let body = receiver.update_body(&format!("subject {number}")).to_string();
        let answer = request("POST", &receiver.url, &[("x-zdesk-jwt", token)], body.as_bytes());
        assert_eq!(answer.status, 200, "delivery {number}");
        assert_eq!(request("GET", &format!("{}/-/ready", receiver.serve.admin), &[], b"").status, 200);
        assert!(is_open(&witness), "delivery {number} waited for a slow connection");
        crowd.push(witness);
    }
    let witness = slow(0);
    receiver.applies_change("a change at the source, while the slow are connected");
    assert!(is_open(&witness), "a change waited for a slow connection");
    crowd.push(witness);

    let count = crowd.len();
    for stream in crowd {
        let answer = answer(stream);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
    let peak = receiver.serve.memory_peak_mib();
    eprintln!(
        "{open_before} slow connections at the first delivery; {before} MiB before, {peak} MiB at most"
    );
    assert!(peak - before < MEMORY_MIB_MAX, "{before} MiB before, {peak} MiB at most");
    eventually("the server's count of slow connections", || {
        let closed = closed_as_slow(&receiver.serve);
        if closed == count { Ok(()) } else { Err(format!("{closed} of {count}")) }
    });
    eventually("the slow connections to be closed", || {
        let open = connections();
        if open < 100 { Ok(()) } else { Err(open.to_string()) }
    });
    receiver.applies_change("after the slow");
    receiver.desk.settle(&receiver.serve);
    assert!(receiver.desk.dead_letters().is_empty());
}
