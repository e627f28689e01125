//! Rejected requests: their status, and that none reaches the journal.

use std::time::Duration;

use host_runner::ingress::{IngressLimits, Options};
use host_runner::journal::JournalLimits;
use host_runner::webhook_url::WebhookUrls;
use tokio::io::AsyncWriteExt;

use crate::support::{Server, answer, request, secret, until_closed};

fn with(limits: IngressLimits) -> Server {
    Server::start_with(Options { limits, ..Options::default() }, JournalLimits::default())
}

#[tokio::test]
async fn a_wrong_secret_and_an_unknown_connection_look_the_same() {
    let server = Server::start();
    let shown = secret(&server.secrets, "acme");
    let date = |head: &str| -> String {
        head.lines().filter(|line| !line.starts_with("date:")).collect::<Vec<_>>().join("\n")
    };
    let wrong = server.send("POST", "/hooks/acme/wrong", "x").await;
    assert_eq!((wrong.status, wrong.body.as_str()), (404, ""));
    let paths = [
        format!("/hooks/other/{shown}"),
        format!("/hooks/acme/{shown}x"),
        format!("/hooks/acme/{shown}/"),
        format!("/hooks/acme/{}", &shown[1..]),
        format!("/hooks/acme/{}", shown.to_lowercase()),
        "/hooks/acme/".to_owned(),
        "/hooks/acme".to_owned(),
        "/hooks//".to_owned(),
        "/hooks/".to_owned(),
        format!("/hooks/acme/{}", "x".repeat(10_000)),
        "/".to_owned(),
        "/-/nothing".to_owned(),
    ];
    for path in &paths {
        for method in ["POST", "GET", "PUT"] {
            let answer = server.send(method, path, "x").await;
            assert_eq!(date(&answer.head), date(&wrong.head), "{method} {path}");
        }
    }
    assert_eq!(server.bodies(), [""; 0]);
}

#[tokio::test]
async fn a_removed_connection_answers_410_only_with_its_secret() {
    let server = Server::start();
    server.registry.remove("acme");
    for method in ["POST", "GET", "HEAD", "PUT"] {
        assert_eq!(server.send(method, &server.path(), "").await.status, 410, "{method}");
    }
    assert_eq!(server.send("POST", "/hooks/acme/wrong", "x").await.status, 404);
    server.registry.replace(WebhookUrls::default());
    assert_eq!(server.post("x").await, 404);
    server.registry.set("acme", server.secrets.clone());
    assert_eq!(server.post("x").await, 200);
}

#[tokio::test]
async fn other_methods_get_405_with_the_allowed_ones() {
    let server = Server::start();
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
        let answer = server.send(method, &server.path(), "").await;
        assert_eq!(answer.status, 405, "{method}");
        assert!(answer.head.contains("allow: get, head, post\r\n"), "{}", answer.head);
    }
}

#[tokio::test]
async fn a_body_of_50_mib_is_rejected_early_whether_its_length_is_announced_or_not() {
    const BYTES: usize = 50 << 20;
    let server = Server::start();
    let piece = vec![b'x'; 64 << 10];
    for framing in [format!("content-length: {BYTES}"), "transfer-encoding: chunked".to_owned()] {
        let mut stream = server.connect().await;
        let head = format!("POST {} HTTP/1.1\r\nhost: x\r\n{framing}\r\n\r\n", server.path());
        stream.write_all(head.as_bytes()).await.expect("sent");
        let mut sent = 0;
        while sent < BYTES {
            let chunk = match framing.starts_with("transfer") {
                true => [format!("{:x}\r\n", piece.len()).as_bytes(), &piece, b"\r\n"].concat(),
                false => piece.clone(),
            };
            // The server may stop reading at any time after its answer.
            if stream.write_all(&chunk).await.is_err() {
                break;
            }
            sent += piece.len();
        }
        let answer = answer(&mut stream, "POST").await;
        assert_eq!(answer.status, 413, "{framing}");
        assert!(answer.head.contains("connection: close"), "{}", answer.head);
    }
    assert_eq!(server.bodies(), [""; 0]);
    assert_eq!(server.post("x").await, 200);
}

#[tokio::test]
async fn a_body_at_the_limit_is_accepted_and_one_byte_more_is_not() {
    let server = with(IngressLimits { body_bytes: 1_000, ..IngressLimits::default() });
    assert_eq!(server.post(&"x".repeat(1_000)).await, 200);
    assert_eq!(server.post(&"x".repeat(1_001)).await, 413);
    let mut stream = server.connect().await;
    let body = "x".repeat(1_001);
    let text = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3e9\r\n{body}\r\n0\r\n\r\n",
        server.path()
    );
    stream.write_all(text.as_bytes()).await.expect("sent");
    assert_eq!(answer(&mut stream, "POST").await.status, 413);
    assert_eq!(server.bodies().len(), 1);
}

#[tokio::test]
async fn too_many_header_bytes_and_invalid_http_are_rejected() {
    let server = Server::start();
    let long = format!("GET {} HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", server.path(), "x".repeat(40_000));
    let many = format!("GET {} HTTP/1.1\r\n{}\r\n", server.path(), "x: y\r\n".repeat(200));
    for (text, status) in [
        (long.as_str(), 431),
        (many.as_str(), 431),
        ("not HTTP\r\n\r\n", 400),
        ("GET / HTTP/9.9\r\n\r\n", 400),
    ] {
        let mut stream = server.connect().await;
        stream.write_all(text.as_bytes()).await.expect("sent");
        assert_eq!(answer(&mut stream, "GET").await.status, status);
        until_closed(&mut stream).await;
    }
    assert_eq!(server.post("x").await, 200);
}

/// Short enough to wait for. Only the phase that a test lets expire has it: a whole request of a machine that
/// stalls must not expire.
const SHORT: Duration = Duration::from_millis(100);

/// The answer to a request that was sent up to `cut`.
async fn answer_to_half(server: &Server, cut: usize) -> String {
    let whole = request("POST", &server.path(), "0123456789");
    let mut stream = server.connect().await;
    stream.write_all(&whole.as_bytes()[..cut]).await.expect("sent");
    until_closed(&mut stream).await
}

#[tokio::test]
async fn half_a_request_is_answered_408_and_closed() {
    let is_refused = |text: &str| text.starts_with("HTTP/1.1 408 ") && text.contains("connection: close");
    let server = with(IngressLimits { head_timeout: SHORT, ..IngressLimits::default() });
    let body_at = request("POST", &server.path(), "0123456789").len() - 10;
    for cut in [1, 30, body_at - 1] {
        let text = answer_to_half(&server, cut).await;
        assert!(is_refused(&text), "cut at {cut}: {text}");
    }
    assert_eq!(server.bodies(), [""; 0], "an incomplete delivery was appended");

    let server = with(IngressLimits { body_timeout: SHORT, ..IngressLimits::default() });
    for cut in [body_at, body_at + 9] {
        let text = answer_to_half(&server, cut).await;
        assert!(is_refused(&text), "cut at {cut}: {text}");
    }
    assert_eq!(server.bodies(), [""; 0], "an incomplete delivery was appended");
    assert_eq!(server.post("x").await, 200);
}

#[tokio::test]
async fn an_idle_connection_is_closed_without_an_answer() {
    let server = with(IngressLimits { idle_timeout: SHORT, ..IngressLimits::default() });
    let mut idle = server.connect().await;
    idle.write_all(request("POST", &server.path(), "x").as_bytes()).await.expect("sent");
    assert_eq!(answer(&mut idle, "POST").await.status, 200);
    assert_eq!(until_closed(&mut idle).await, "");
    let metrics = server.counted();
    assert!(metrics.contains("host_runner_ingress_connections_closed_total{reason=\"idle\"} 1"), "{metrics}");
}

#[tokio::test]
async fn a_silent_connection_is_closed_without_an_answer() {
    let server = with(IngressLimits { head_timeout: SHORT, ..IngressLimits::default() });
    let mut silent = server.connect().await;
    assert_eq!(until_closed(&mut silent).await, "", "an answer to nothing");
}

#[tokio::test]
async fn with_a_full_journal_deliveries_get_503_until_there_is_room() {
    let limits = JournalLimits { count: 2, ..JournalLimits::default() };
    let server = Server::start_with(Options::default(), limits);
    assert_eq!((server.post("1").await, server.post("2").await), (200, 200));
    let refused = server.send("POST", &server.path(), "3").await;
    assert_eq!(refused.status, 503);
    assert!(refused.head.contains("retry-after: 10\r\n"), "{}", refused.head);
    assert_eq!(server.send("GET", &server.path(), "").await.status, 200);
    assert_eq!(server.bodies(), ["1", "2"]);
    let first = server.journal.next("acme", 0, 1, usize::MAX).expect("read")[0].seq;
    server.journal.acknowledge("acme", &[first]).expect("acknowledged");
    assert_eq!(server.post("3").await, 200);
    assert_eq!(server.bodies(), ["2", "3"]);
}

#[tokio::test]
async fn while_the_journal_cannot_be_written_deliveries_get_503() {
    let limits = JournalLimits { file_bytes: 256 << 10, ..JournalLimits::default() };
    let server = Server::start_with(Options::default(), limits);
    let body = "x".repeat(20_000);
    let mut taken = 0;
    let refused = loop {
        let answer = server.send("POST", &server.path(), &body).await;
        if answer.status != 200 {
            break answer;
        }
        taken += 1;
    };
    assert_eq!(refused.status, 503);
    assert!(refused.head.contains("retry-after: 10\r\n"), "{}", refused.head);
    assert_eq!(server.bodies().len(), taken);
    let stored = server.journal.next("acme", 0, usize::MAX, usize::MAX).expect("read");
    let seqs: Vec<u64> = stored.iter().map(|stored| stored.seq).collect();
    server.journal.acknowledge("acme", &seqs).expect("acknowledged");
    assert_eq!(server.post(&body).await, 200);
}
