//! The command line's side of the server API.

use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::route::{NOT_OPEN, Route};
use super::socket::{at_short_path, socket};
use crate::actor::Answer;
use crate::error::{Error, Kind, Origin};

/// Longest wait for an answer: a call of the component, and the batch before it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(180);
/// How long a request that the server did not read is repeated.
const REPEAT_FOR: Duration = Duration::from_secs(2);
/// Pause before it is repeated.
const REPEAT_PAUSE: Duration = Duration::from_millis(20);
/// Longest time between the lock of a connection and its answers, when a server opens it.
pub(crate) const OPENS_WITHIN: Duration = Duration::from_secs(1);

/// Why a request got no answer.
enum Failed {
    /// No server listens.
    NoServer,
    /// The server closed the stream before it had read the request.
    Unread,
    /// The request may have been executed.
    Unanswered(String),
}

/// The answer of the server that has the data folder; none if no server does, or it does not have the
/// connection, for that long.
pub(crate) async fn request(data: &Path, route: &Route, within: Duration) -> Option<Answer> {
    let started = Instant::now();
    loop {
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, exchange(data, route)).await;
        let timed_out =
            |_| Failed::Unanswered(format!("did not answer within {} s", ANSWER_TIMEOUT.as_secs()));
        match answer.map_err(timed_out).and_then(|answer| answer) {
            Ok(Err(error)) if error.code.as_deref() == Some(NOT_OPEN) => {
                if started.elapsed() >= within {
                    return None;
                }
            }
            Ok(answer) => return Some(answer),
            Err(Failed::NoServer) if started.elapsed() >= within => return None,
            Err(Failed::NoServer) => {}
            Err(Failed::Unread) if started.elapsed() < REPEAT_FOR => {}
            Err(Failed::Unread) => return Some(Err(unanswered(route, "does not read requests"))),
            Err(Failed::Unanswered(why)) => return Some(Err(unanswered(route, &why))),
        }
        tokio::time::sleep(REPEAT_PAUSE).await;
    }
}

/// Whether a server has the connection.
pub(crate) async fn is_served(data: &Path, name: &str) -> bool {
    let answer = request(data, &Route::Connections, Duration::ZERO).await;
    let names = answer.and_then(Result::ok).unwrap_or_default();
    names["connections"].as_array().is_some_and(|names| names.iter().any(|one| one == name))
}

/// One request on one stream, written by hand: only then it is known whether the server has read it. Without
/// a reader the write fails, or the answer is a reset.
async fn exchange(data: &Path, route: &Route) -> Result<Answer, Failed> {
    let (method, path, body) = match route.parts() {
        Ok(parts) => parts,
        Err(error) => return Ok(Err(error)),
    };
    let connecting = at_short_path(&socket(data), |path| std::os::unix::net::UnixStream::connect(path));
    let connected = connecting.and_then(|stream| {
        stream.set_nonblocking(true)?;
        UnixStream::from_std(stream)
    });
    let mut stream = connected.map_err(|_| Failed::NoServer)?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.map_err(|error| failed(&error))?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.map_err(|error| failed(&error))?;
    let Some((status, body)) = parts_of(&answer) else {
        return Err(Failed::Unanswered("stopped without an answer".to_owned()));
    };
    let mut answer: Value = serde_json::from_slice(body)
        .map_err(|error| Failed::Unanswered(format!("answers {status} without JSON: {error}")))?;
    if status == StatusCode::OK.as_u16() {
        return Ok(Ok(answer));
    }
    match serde_json::from_value(answer["error"].take()) {
        Ok(error) => Ok(Err(error)),
        Err(_) => Err(Failed::Unanswered(format!("answers {status}"))),
    }
}

/// Status and body of a whole answer.
fn parts_of(answer: &[u8]) -> Option<(u16, &[u8])> {
    const END: &[u8] = b"\r\n\r\n";
    let end = answer.windows(END.len()).position(|window| window == END)?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let body = &answer[end + END.len()..];
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let length = lines.filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    (length? == body.len()).then_some((status, body))
}

fn failed(error: &std::io::Error) -> Failed {
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Failed::Unread,
        _ => Failed::Unanswered(error.to_string()),
    }
}

/// The error for a request that was sent and got no answer.
fn unanswered(route: &Route, why: &str) -> Error {
    let message = match route {
        Route::Connection(name, _) => format!("connection `{name}`: its server {why}"),
        _ => format!("the server {why}"),
    };
    Error::new(Origin::State, Kind::Unavailable, message)
        .hint("run it again; the server's log and its /-/health show what it is doing")
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::Path;
    use std::time::Duration;

    use serde_json::json;

    use super::super::socket::socket;
    use super::{Route, request};
    use crate::actor::Answer;
    use crate::request::Request;

    const MINUTE: Duration = Duration::from_secs(60);
    const SEVEN: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n7";

    fn not_open() -> Vec<u8> {
        let body = json!({ "error": crate::serve::control::not_open("acme") }).to_string();
        format!("HTTP/1.1 404 Not Found\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }

    fn listen(data: &Path) -> UnixListener {
        UnixListener::bind(socket(data)).expect("bound")
    }

    async fn check(data: &Path, within: Duration) -> Option<Answer> {
        request(data, &Route::Connection("acme".into(), Request::Check), within).await
    }

    /// Accepts a client and reads its request, whose body is an empty object.
    fn read(listener: &UnixListener) -> UnixStream {
        let (mut stream, _) = listener.accept().expect("a client");
        let (mut request, mut byte) = (Vec::new(), [0]);
        while !request.ends_with(b"{}") {
            stream.read_exact(&mut byte).expect("a request");
            request.extend(byte);
        }
        stream
    }

    #[tokio::test]
    async fn a_request_that_the_server_did_not_read_is_repeated() {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = listen(folder.path());
        let server = std::thread::spawn(move || {
            drop(listener.accept().expect("a client"));
            read(&listener).write_all(SEVEN).expect("answered");
        });
        assert_eq!(check(folder.path(), Duration::ZERO).await, Some(Ok(json!(7))));
        server.join().expect("no panic");
    }

    #[tokio::test]
    async fn a_request_that_the_server_read_is_not_repeated() {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = listen(folder.path());
        let server = std::thread::spawn(move || {
            drop(read(&listener));
            listener
        });
        let answer = check(folder.path(), MINUTE).await;
        let error = answer.expect("there is a server").expect_err("no answer");
        assert_eq!(error.message, "connection `acme`: its server stopped without an answer");
        let listener = server.join().expect("no panic");
        listener.set_nonblocking(true).expect("set");
        assert!(listener.accept().is_err(), "it came once");
    }

    #[tokio::test]
    async fn a_server_that_opens_the_connection_is_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().to_owned();
        assert_eq!(check(&data, Duration::ZERO).await, None);
        let server = std::thread::spawn(move || {
            let listener = listen(&data);
            read(&listener).write_all(&not_open()).expect("answered");
            read(&listener).write_all(SEVEN).expect("answered");
        });
        assert_eq!(check(folder.path(), MINUTE).await, Some(Ok(json!(7))));
        server.join().expect("no panic");
    }
}
