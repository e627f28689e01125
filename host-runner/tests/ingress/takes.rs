//! Accepted requests, and what the journal stores of them.

use std::time::Duration;

use host_runner::clock::now_ms;
use tokio::io::AsyncWriteExt;

use crate::support::{Server, answer, request, secret, until_closed};

#[tokio::test]
async fn get_and_head_on_a_valid_url_answer_200_and_append_nothing() {
    let server = Server::start();
    for method in ["GET", "HEAD"] {
        let answer = server.send(method, &server.path(), "").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{method}");
    }
    assert_eq!(server.bodies(), [""; 0]);
}

#[tokio::test]
async fn a_post_is_in_the_journal_when_it_is_answered_and_the_secret_of_its_url_is_not() {
    let server = Server::start();
    let shown = secret(&server.secrets, "acme");
    let mut stream = server.connect().await;
    let before = now_ms();
    let text = format!(
        "POST {}?a=1&b=%20 HTTP/1.1\r\nHost: x\r\nX-Signature: abc\r\n\
         Connection: keep-alive, x-hop\r\nX-Hop: 1\r\nX-Original-URI: {}\r\nContent-Length: 4\r\n\r\n[{{}}]",
        server.path(),
        server.path()
    );
    stream.write_all(text.as_bytes()).await.expect("sent");
    let answer = answer(&mut stream, "POST").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));

    let stored = server.journal.next("acme", 0, 10, usize::MAX).expect("read");
    let delivery = &stored[0].delivery;
    assert!((before..=now_ms()).contains(&delivery.received_at_ms));
    assert_eq!(
        (delivery.method.as_str(), delivery.path_with_query.as_str()),
        ("POST", "/hooks/acme?a=1&b=%20")
    );
    assert_eq!(delivery.body, b"[{}]");
    let names: Vec<&str> = delivery.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["host", "x-signature", "content-length"]);

    server.send("POST", &format!("{}?again={shown}", server.path()), "x").await;
    for entry in std::fs::read_dir(server.folder.path()).expect("listed") {
        let path = entry.expect("an entry").path();
        let bytes = std::fs::read(&path).expect("read");
        let found = bytes.windows(shown.len()).any(|window| window == shown.as_bytes());
        assert!(!found, "the secret is in {}", path.display());
    }
}

#[tokio::test]
async fn unsigned_and_empty_posts_and_any_bytes_are_accepted() {
    let server = Server::start();
    for body in ["", "[{}]", "not JSON", &"[".repeat(100_000)] {
        assert_eq!(server.post(body).await, 200);
    }
    let mut stream = server.connect().await;
    let head = format!("POST {} HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\n", server.path());
    stream.write_all(&[head.as_bytes(), &[0xff, 0, 0xfe]].concat()).await.expect("sent");
    assert_eq!(answer(&mut stream, "POST").await.status, 200);
    let stored = server.journal.next("acme", 0, 10, usize::MAX).expect("read");
    assert_eq!(stored.len(), 5);
    assert_eq!(stored[4].delivery.body, [0xff, 0, 0xfe]);
}

#[tokio::test]
async fn deliveries_of_one_connection_keep_their_order_pipelined_or_not_and_in_chunks() {
    let server = Server::start();
    let mut stream = server.connect().await;
    for number in 0..5 {
        let text = request("POST", &server.path(), &number.to_string());
        stream.write_all(text.as_bytes()).await.expect("sent");
        assert_eq!(answer(&mut stream, "POST").await.status, 200);
    }
    let pipelined: String =
        (5..10).map(|number: u32| request("POST", &server.path(), &number.to_string())).collect();
    stream.write_all(pipelined.as_bytes()).await.expect("sent");
    for _ in 5..10 {
        assert_eq!(answer(&mut stream, "POST").await.status, 200);
    }
    let chunked = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\n1\r\n1\r\n0\r\n0\r\n\r\n",
        server.path()
    );
    stream.write_all(chunked.as_bytes()).await.expect("sent");
    assert_eq!(answer(&mut stream, "POST").await.status, 200);
    assert_eq!(server.bodies(), (0..=10).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_rotated_url_works_until_its_grace_ends() {
    let mut server = Server::start();
    let old = server.path();
    // Rotated ten minutes ago, with an hour of grace: both work.
    let mut rotated = server.secrets.clone();
    let ago_ms = now_ms() - 600_000;
    rotated.rotate(&crate::support::KEY, "acme", ago_ms, Duration::from_secs(3600));
    server.registry.set("acme", rotated.clone());
    let first = std::mem::replace(&mut server.secrets, rotated);
    let new = server.path();
    assert_ne!(old, new);
    assert_eq!(server.send("POST", &old, "x").await.status, 200);
    assert_eq!(server.send("POST", &new, "x").await.status, 200);
    // With a minute of grace: the old one has expired.
    let mut rotated = first;
    rotated.rotate(&crate::support::KEY, "acme", ago_ms, Duration::from_secs(60));
    server.registry.set("acme", rotated.clone());
    server.secrets = rotated;
    assert_eq!(server.send("POST", &old, "x").await.status, 404);
    assert_eq!(server.post("x").await, 200);
}

#[tokio::test]
async fn a_stop_finishes_requests_in_progress_and_closes_idle_connections() {
    let server = Server::start();
    let mut idle = server.connect().await;
    idle.write_all(request("GET", &server.path(), "").as_bytes()).await.expect("sent");
    answer(&mut idle, "GET").await;
    let mut busy = server.connect().await;
    let text = request("POST", &server.path(), "0123456789");
    let (head, rest) = text.split_at(text.len() - 5);
    busy.write_all(head.as_bytes()).await.expect("sent");
    // A later request on another connection: the first one is in progress by then.
    while server.metrics.connections() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.post("x").await, 200);

    server.stopper.stop();
    assert_eq!(until_closed(&mut idle).await, "");
    busy.write_all(rest.as_bytes()).await.expect("sent");
    let answer = answer(&mut busy, "POST").await;
    assert_eq!(answer.status, 200);
    assert_eq!(until_closed(&mut busy).await, "");
    tokio::time::timeout(Duration::from_secs(5), server.running).await.expect("stopped").expect("no panic");
    assert!(tokio::net::TcpStream::connect(server.address).await.is_err(), "still listening");
}
