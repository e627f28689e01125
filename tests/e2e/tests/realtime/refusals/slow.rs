//! Ten thousand connections that never finish what they began: others are served, memory stays bounded, each is closed in time.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::Target;
use crate::http::{request, split};
use crate::rows::eventually;

/// Connections at once. They stay for the ten seconds that a request's head may take, the half bodies for fifteen.
const SLOW: usize = 10_000;
/// Files that this process, or the server, needs for everything else.
const FILES_RESERVED: u64 = 2_000;
/// Deliveries made meanwhile, each on a connection of its own.
const DELIVERIES: u64 = 50;
/// Longest that any of them waits for its answer: a fifth of what the source gives.
const ANSWER_MAX: Duration = Duration::from_secs(1);
/// Longest wait for a slow connection to be closed.
const CLOSED_WITHIN: Duration = Duration::from_secs(60);
/// Memory that all of them together may take: the design's bound for as many that are idle, though these cost more.
const MEMORY_MIB_MAX: u64 = 200;
/// How many connections there are.
const CONNECTIONS: &str = "host_runner_ingress_connections";

/// How many slow connections this machine allows: each takes a file here and one in the server. Fewer than wanted are said aloud.
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
        // Not by `eprintln`, which a test that passes keeps to itself.
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
fn begin(host: &str, part: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(host).expect("a connection");
    stream.write_all(part).expect("written");
    stream
}

/// What a connection was told before it was closed; a panic if it is still open.
fn told(mut stream: TcpStream) -> String {
    stream.set_read_timeout(Some(CLOSED_WITHIN)).expect("a time-out");
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("still open: {error}"),
    }
    String::from_utf8(rest).expect("text")
}

/// Makes the deliveries, one after the other; the longest wait for an answer.
fn deliver(target: &Target, tokens: &[String]) -> Duration {
    let mut longest = Duration::ZERO;
    for (number, token) in tokens.iter().enumerate() {
        let body = target.says(&format!("beside the slow {number}")).to_string();
        let begun = Instant::now();
        let answer = request("POST", &target.url, &[("x-zdesk-jwt", token)], body.as_bytes());
        longest = longest.max(begun.elapsed());
        assert_eq!(answer.status, 200, "delivery {number}");
        assert_eq!(request("GET", &format!("{}/-/ready", target.serve.url), &[], b"").status, 200);
    }
    longest
}

#[test]
fn ten_thousand_slow_connections_hold_up_nobody() {
    let target = Target::new();
    target.goes_on("before the slow");
    let count = allowed();
    let tokens = target.desk.tokens(&target.hook, DELIVERIES);
    let (host, path) = split(&target.url);
    let head = format!("POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 1000\r\n\r\n");
    let half = format!("{head}{}", "[".repeat(500));
    // Most stop in the head, some in the body, some never speak.
    let parts = [&head[..20], &head[..head.len() - 2], &half, ""];

    let before = target.serve.memory_peak_mib();
    let begun = Instant::now();
    let slow: Vec<TcpStream> =
        (0..count).map(|number| begin(host, parts[number % parts.len()].as_bytes())).collect();
    let open = || target.serve.metric(CONNECTIONS).expect("the number of connections");
    eventually("all slow connections", || {
        let open = open();
        if open >= count as f64 { Ok(()) } else { Err(format!("{open} after {:?}", begun.elapsed())) }
    });
    let longest = deliver(&target, &tokens);
    let last = format!("beside the slow {}", DELIVERIES - 1);
    eventually("the last delivery in the target", || match target.subject() {
        Some(subject) if subject == last => Ok(()),
        subject => Err(format!("{subject:?}")),
    });
    target.goes_on("a change at the source, beside the slow");
    let (still, elapsed) = (open(), begun.elapsed());
    assert!(still >= count as f64, "only {still} of {count} slow connections are left after {elapsed:?}");
    assert!(longest < ANSWER_MAX, "a delivery waited {longest:?} for its answer");

    // Each is closed in time, answered or not.
    for stream in slow {
        let said = told(stream);
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 408 "), "{said}");
    }
    let waited = begun.elapsed();
    let peak = target.serve.memory_peak_mib();
    eprintln!(
        "{count} slow connections: answers within {longest:?}, all closed after {waited:.1?}, {before} MiB before, \
         {peak} MiB at most"
    );
    assert!(peak - before < MEMORY_MIB_MAX, "{before} MiB before, {peak} MiB at most");
    eventually("the slow connections to be forgotten", || {
        let open = open();
        if open < 100.0 { Ok(()) } else { Err(open.to_string()) }
    });
    target.goes_on("after the slow");
    target.desk.settle(&target.serve);
    assert!(target.desk.dead_letters().is_empty());
}
