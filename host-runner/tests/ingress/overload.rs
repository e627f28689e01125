//! Overload: slow, large and idle requests do not block others.

use host_runner::clock::now_ms;
use host_runner::ingress::{IngressLimits, Options};
use host_runner::journal::JournalLimits;
use host_runner::webhook_url::UrlSecrets;
use tokio::io::AsyncWriteExt;

use crate::support::{KEY, PATIENCE, Server, answer, request, secret, until_closed};

/// Connections that fit into the limit of open files, which counts both ends; at most 2,000.
fn many() -> usize {
    let text = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap_or_default();
    let files = line.split_whitespace().next().and_then(|files| files.parse().ok()).unwrap_or(1_024_usize);
    (files.saturating_sub(400) / 2).min(2_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_slow_connections_do_not_block_others() {
    let server = Server::start();
    let whole = request("POST", &server.path(), &"x".repeat(1_000));
    let mut slow = Vec::new();
    for number in 0..many() {
        // Nothing, half of the headers, or half of the body.
        let cut = [0, 20, whole.len() - 500][number % 3];
        let mut stream = server.connect().await;
        stream.write_all(&whole.as_bytes()[..cut]).await.expect("sent");
        slow.push(stream);
    }
    for _ in 0..20 {
        assert_eq!(server.post("x").await, 200);
    }
    // None has timed out: the deliveries did not wait for them.
    assert!(server.metrics.connections() >= slow.len() as u64);
    assert_eq!(server.bodies().len(), 20);
    // A slow request that is completed in time is answered as well.
    let last = slow.len() / 3 * 3 - 1;
    slow[last].write_all(&whole.as_bytes()[whole.len() - 500..]).await.expect("sent");
    assert_eq!(answer(&mut slow[last], "POST").await.status, 200);
}

#[tokio::test]
async fn announced_bodies_take_no_memory_and_sent_bodies_do() {
    let limits = IngressLimits { bodies_bytes: 100_000, ..IngressLimits::default() };
    let server = Server::start_with(Options { limits, ..Options::default() }, JournalLimits::default());
    let mut announced = Vec::new();
    for _ in 0..100 {
        let mut stream = server.connect().await;
        let head = format!("POST {} HTTP/1.1\r\nhost: x\r\ncontent-length: 4000000\r\n\r\n", server.path());
        stream.write_all(head.as_bytes()).await.expect("sent");
        announced.push(stream);
    }
    assert_eq!(server.post(&"x".repeat(50_000)).await, 200);
    let refused = server.send("POST", &server.path(), &"x".repeat(150_000)).await;
    assert_eq!(refused.status, 503);
    assert_eq!(server.post(&"x".repeat(50_000)).await, 200, "the memory was not released");
    drop(announced);
}

#[tokio::test]
async fn connections_that_wait_for_a_request_give_way_to_others() {
    let limits = IngressLimits { connections: 4, ..IngressLimits::default() };
    let server = Server::start_with(Options { limits, ..Options::default() }, JournalLimits::default());
    // Whether their URLs are known, and whether they have sent anything.
    let mut idle = Vec::new();
    for path in [Some("/x".to_owned()), Some(server.path()), None, None] {
        let mut stream = server.connect().await;
        if let Some(path) = path {
            stream.write_all(request("GET", &path, "").as_bytes()).await.expect("sent");
            answer(&mut stream, "GET").await;
        }
        idle.push(stream);
    }
    for _ in 0..4 {
        let mut other = server.connect().await;
        other.write_all(request("POST", &server.path(), "x").as_bytes()).await.expect("sent");
        assert_eq!(answer(&mut other, "POST").await.status, 200);
        idle.push(other);
    }
    for stream in &mut idle[..4] {
        assert_eq!(until_closed(stream).await, "", "closed without an answer");
    }
    assert!(server.counted().contains("connections_closed_total{reason=\"gave-way\"} 4"));
}

#[tokio::test]
async fn a_connection_above_the_limit_waits_while_all_others_are_busy() {
    let limits = IngressLimits { connections: 2, ..IngressLimits::default() };
    let server = Server::start_with(Options { limits, ..Options::default() }, JournalLimits::default());
    let text = request("POST", &server.path(), &"x".repeat(1_000));
    let (mut one, mut two) = (server.connect().await, server.connect().await);
    for busy in [&mut one, &mut two] {
        busy.write_all(&text.as_bytes()[..text.len() - 1]).await.expect("sent");
    }
    let mut three = server.connect().await;
    three.write_all(request("POST", &server.path(), "x").as_bytes()).await.expect("sent");
    while server.metrics.connections() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.bodies(), [""; 0], "served above the limit");
    drop(two);
    assert_eq!(answer(&mut three, "POST").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_deliveries_are_each_appended_once_and_in_order() {
    let server = Server::start();
    let tasks: Vec<_> = (0..200)
        .map(|sender| {
            let (address, path) = (server.address, server.path());
            tokio::spawn(async move {
                let mut stream = tokio::net::TcpStream::connect(address).await.expect("connected");
                for number in 0..10 {
                    let text = request("POST", &path, &format!("{sender}/{number}"));
                    stream.write_all(text.as_bytes()).await.expect("sent");
                    assert_eq!(answer(&mut stream, "POST").await.status, 200);
                }
            })
        })
        .collect();
    for task in tasks {
        tokio::time::timeout(PATIENCE, task).await.expect("in time").expect("no panic");
    }
    let bodies = server.bodies();
    assert_eq!(bodies.len(), 2_000);
    for sender in 0..200 {
        let prefix = format!("{sender}/");
        let own: Vec<&str> = bodies.iter().filter_map(|body| body.strip_prefix(&prefix)).collect();
        assert_eq!(own, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"], "sender {sender}");
    }
}

#[tokio::test]
async fn a_flood_of_one_url_leaves_room_to_the_others() {
    let limits = IngressLimits { bodies_bytes: 400_000, body_bytes: 100_000, ..IngressLimits::default() };
    let server = Server::start_with(Options { limits, ..Options::default() }, JournalLimits::default());
    let other = UrlSecrets::generate(&KEY, "other", now_ms());
    server.registry.set("other", other.clone());
    // Bodies that are complete but for a byte, until the connection has taken its share.
    let text = request("POST", &server.path(), &"x".repeat(90_000));
    let mut flood = Vec::new();
    for _ in 0..4 {
        let mut stream = server.connect().await;
        stream.write_all(&text.as_bytes()[..text.len() - 1]).await.expect("sent");
        flood.push(stream);
    }
    while !server.counted().contains("requests_rejected_total{reason=\"no-room\"} 3") {
        tokio::task::yield_now().await;
    }
    let path = format!("/hooks/other/{}", secret(&other, "other"));
    assert_eq!(server.send("POST", &path, &"x".repeat(90_000)).await.status, 200);
}
