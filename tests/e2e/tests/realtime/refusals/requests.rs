//! Requests that the ingress refuses: wrong URLs, huge bodies.

use super::Receiver;
use crate::support::http::{Client, request, split};

/// A body that no delivery has.
const HUGE: usize = 50 << 20;

#[test]
fn a_wrong_url_is_not_found_and_reveals_nothing() {
    let receiver = Receiver::new();
    receiver.applies_change("before");
    let (start, secret) = receiver.url.rsplit_once('/').expect("a secret");
    let other = |c: char| if c == 'A' { 'B' } else { 'A' };
    let changed = |at: usize| -> String {
        secret.char_indices().map(|(index, c)| if index == at { other(c) } else { c }).collect()
    };
    let (host, _) = start.rsplit_once('/').expect("a connection");
    let body = receiver.update_body("a lie").to_string();
    let mut seen = Vec::new();
    for url in [
        format!("{start}/{}", changed(0)),
        format!("{start}/{}", changed(secret.len() - 1)),
        format!("{start}/{}", &secret[..secret.len() - 1]),
        format!("{start}/{secret}A"),
        format!("{start}/"),
        start.to_owned(),
        format!("{host}/nobody/{secret}"),
        format!("{host}/../{secret}"),
        format!("{host}/%2e%2e/%00"),
    ] {
        for method in ["GET", "POST"] {
            let answer = request(method, &url, &[], if method == "POST" { body.as_bytes() } else { b"" });
            assert_eq!(answer.status, 404, "{method} {url}: {}", answer.body);
            seen.push(answer.body);
        }
    }
    seen.dedup();
    assert_eq!(seen.len(), 1, "answers differ: {seen:?}");
    receiver.desk.settle(&receiver.serve);
    assert!(receiver.desk.dead_letters().is_empty(), "what has no connection is not kept");
    assert_eq!(receiver.subject().as_deref(), Some("before"));
    assert!(!receiver.serve.said().contains(secret), "the secret is in the log");
    receiver.applies_change("after");
}

#[test]
fn a_rotated_url_is_served_with_the_new_one_during_its_grace() {
    let receiver = Receiver::new();
    let rotate = ["webhook", "url", "--rotate", "--public-url", &receiver.serve.url];
    let said = receiver.desk.setup.host(&rotate).exits(0).stdout;
    let start = format!("{}/hooks/", receiver.serve.url);
    let new = said.split_whitespace().find(|word| word.starts_with(&start)).expect("a URL").to_owned();
    assert_ne!(new, receiver.url);
    crate::rows::eventually("the new URL", || match request("GET", &new, &[], b"").status {
        200 => Ok(()),
        status => Err(status.to_string()),
    });
    assert_eq!(request("GET", &receiver.url, &[], b"").status, 200, "the old one, during its grace");
}

#[test]
fn a_body_of_fifty_megabytes_is_refused_before_it_is_read() {
    let receiver = Receiver::new();
    receiver.applies_change("before");
    let (_, path) = split(&receiver.url);
    // Announced.
    let mut client = Client::connect(&receiver.url);
    let head = client.head("POST", path, &[], Some(HUGE));
    assert!(client.write(head.as_bytes()));
    assert_eq!(client.answer(true).expect("an answer").status, 413);
    // Not announced: in pieces, until the ingress closes the connection.
    let mut client = Client::connect(&receiver.url);
    let head = client.head("POST", path, &[("transfer-encoding", "chunked")], None);
    assert!(client.write(head.as_bytes()));
    let piece = [b"10000\r\n".as_slice(), &[b'['; 0x10000], b"\r\n"].concat();
    let taken = (0..HUGE / 0x10000).take_while(|_| client.write(&piece)).count();
    let status = client.answer(true).map(|answer| answer.status);
    assert!(matches!(status, Ok(413) | Err(_)), "{status:?} after {taken} pieces");
    assert!(taken < HUGE / 0x10000 || status.is_ok(), "all of it was read");
    receiver.desk.settle(&receiver.serve);
    assert!(receiver.desk.dead_letters().is_empty());
    receiver.applies_change("after");
}
