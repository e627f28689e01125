//! The Unix socket of a connection that a server has: the command line sends one request and gets one answer,
//! a line of JSON each. The socket lies in the connection's folder, which only its owner may enter.
//!
//! Knows the meaning of two requests, which change the server itself: the secret of the webhook URL, and a
//! grant, which the redactor learns.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream as Client;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader as AsyncReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::actor::{Answer, Command, rotate_url};
use crate::error::{Error, Kind, Origin, Result};
use crate::request::{Registration, Request};
use crate::secret::Redactor;
use crate::state::ConnectionStore;
use crate::webhook_url::UrlRegistry;

/// Largest request: a URL, a grant, or the arguments of a command.
const REQUEST_BYTES_MAX: u64 = 1024 * 1024;
/// Longest time for a request to arrive.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for an answer: a call of the component, and the batch before it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(180);
/// How long a client repeats a request that the server did not read.
const REPEAT_FOR: Duration = Duration::from_secs(2);
/// Pause before it is repeated.
const REPEAT_PAUSE: Duration = Duration::from_millis(20);
/// Longest time between the lock of a connection and its socket, when a server opens it.
pub(crate) const LISTENS_WITHIN: Duration = Duration::from_secs(1);
/// Wait after an accept that failed, for example because no file descriptor was free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The socket of a connection.
pub fn socket(data: &Path, name: &str) -> PathBuf {
    data.join(name).join("serve.sock")
}

/// Longest path of a socket on every system; `sun_path` holds 104 to 108 bytes.
const PATH_BYTES_MAX: usize = 100;

/// Calls with a path of the socket that is short enough: a deeper folder is named by its open file
/// descriptor.
fn at_short_path<T>(socket: &Path, call: impl FnOnce(&Path) -> std::io::Result<T>) -> std::io::Result<T> {
    let (Some(folder), Some(name)) = (socket.parent(), socket.file_name()) else { return call(socket) };
    if socket.as_os_str().len() <= PATH_BYTES_MAX {
        return call(socket);
    }
    let folder = File::open(folder)?;
    call(&Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name))
}

/// Serves the socket of one connection.
pub(super) struct ControlServer {
    pub(super) store: ConnectionStore,
    pub(super) redactor: Redactor,
    pub(super) registry: UrlRegistry,
    pub(super) commands: mpsc::Sender<Command>,
}

/// Closes and removes the socket when dropped.
pub(super) struct ControlGuard {
    task: JoinHandle<()>,
    path: PathBuf,
}

impl Drop for ControlGuard {
    fn drop(&mut self) {
        self.task.abort();
        let _missing = std::fs::remove_file(&self.path);
    }
}

impl ControlServer {
    /// Listens. The caller holds the connection's lock, so that an existing socket is a left-over.
    pub(super) fn start(self, data: &Path) -> Option<ControlGuard> {
        let path = socket(data, self.store.name());
        let _missing = std::fs::remove_file(&path);
        let listener = match at_short_path(&path, |path| UnixListener::bind(path)) {
            Ok(listener) => listener,
            Err(error) => {
                let (connection, socket) = (self.store.name(), path.display());
                tracing::warn!(connection, %socket, %error, "no socket: commands cannot reach this server");
                return None;
            }
        };
        let server = Arc::new(self);
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                // A task for each client, so that a silent one does not delay the others.
                let server = Arc::clone(&server);
                tokio::spawn(async move {
                    if let Err(error) = server.serve(stream).await {
                        let connection = server.store.name();
                        tracing::debug!(connection, %error, "a request was not answered");
                    }
                });
            }
        });
        Some(ControlGuard { task, path })
    }

    async fn serve(&self, stream: UnixStream) -> std::io::Result<()> {
        let (read, mut write) = stream.into_split();
        let mut line = String::new();
        let reading = async { AsyncReader::new(read.take(REQUEST_BYTES_MAX)).read_line(&mut line).await };
        tokio::time::timeout(REQUEST_TIMEOUT, reading).await??;
        let answer = match serde_json::from_str(&line) {
            Ok(request) => self.answer(request).await,
            // The reason without the request, which may hold a secret.
            Err(error) => Err(Error::state(format!("a request that this server does not know: {error}"))
                .hint("use the command line and the server of one version")),
        };
        let answer = match answer {
            Ok(answer) => json!({ "answer": answer }),
            Err(error) => json!({ "error": error }),
        };
        // Redacted here, because the client's redactor knows fewer secrets.
        let answer = self.redactor.redact_value(&answer);
        write.write_all(format!("{answer}\n").as_bytes()).await
    }

    async fn answer(&self, request: Request) -> Answer {
        match request {
            Request::RotateUrl { grace_ms } => {
                let (store, registry) = (self.store.clone(), self.registry.clone());
                let rotating = spawn_blocking(move || {
                    let registration = rotate_url(&store, grace_ms, Registration::Renewing)?;
                    renew(&store, &registry).map(|()| registration)
                });
                let registration = rotating.await??;
                // The new URL is valid now; the client does not wait until the source knows it.
                let commands = self.commands.clone();
                tokio::spawn(async move { send(&commands, Request::UrlChanged).await });
                return Ok(json!(registration));
            }
            Request::Authorize { ref grant } => {
                let grant = serde_json::from_str(grant).unwrap_or_else(|_| Value::from(grant.as_str()));
                self.redactor.learn_config(self.store.name(), &grant);
            }
            _ => {}
        }
        send(&self.commands, request).await.unwrap_or_else(|| {
            let message = format!("connection `{}`: its server is stopping", self.store.name());
            Err(Error::new(Origin::State, Kind::Unavailable, message).hint("run it again"))
        })
    }
}

/// Sends a request to the actor; none if the actor ends before it answers.
async fn send(commands: &mpsc::Sender<Command>, request: Request) -> Option<Answer> {
    let (reply, answer) = oneshot::channel();
    commands.send(Command { request, reply }).await.ok()?;
    answer.await.ok()
}

/// Makes the stored secrets of a connection's URL the valid ones.
pub(super) fn renew(store: &ConnectionStore, registry: &UrlRegistry) -> Result<()> {
    // With another key the secret cannot be revealed, and its URL works all the same.
    let _another_key = store.webhook_url().secret();
    registry.set(store.name(), store.webhook_url().secrets()?);
    Ok(())
}

fn connect(data: &Path, name: &str) -> std::io::Result<Client> {
    at_short_path(&socket(data, name), |path| Client::connect(path))
}

/// Whether a server has the connection.
pub fn is_served(data: &Path, name: &str) -> bool {
    connect(data, name).is_ok()
}

/// The answer of the server that has the connection; none if no server listens within that time. Blocks.
pub(crate) fn request(
    data: &Path,
    name: &str,
    request: &Request,
    listens_within: Duration,
) -> Option<Answer> {
    let started = Instant::now();
    loop {
        match connect(data, name).map(|stream| exchange(stream, request)) {
            Ok(Err(error)) if is_unread(&error) && started.elapsed() < REPEAT_FOR => {}
            Ok(outcome) => return Some(outcome.unwrap_or_else(|error| Err(unanswered(name, &error)))),
            Err(_) if started.elapsed() >= listens_within => return None,
            Err(_) => {}
        }
        std::thread::sleep(REPEAT_PAUSE);
    }
}

/// Whether the server closed the stream before it had read the request, as when it restarts the connection.
/// After it has read all, a client sees the end of the stream: the request may have been executed.
fn is_unread(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

/// The error for a request that was sent and got no answer.
fn unanswered(name: &str, error: &std::io::Error) -> Error {
    let what = match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            format!("its server did not answer within {} s", ANSWER_TIMEOUT.as_secs())
        }
        ErrorKind::UnexpectedEof => "its server stopped without an answer".to_owned(),
        _ => format!("its server: {error}"),
    };
    Error::new(Origin::State, Kind::Unavailable, format!("connection `{name}`: {what}"))
        .hint("run it again; the server's log and its /-/health show what it is doing")
}

fn exchange(mut stream: Client, request: &Request) -> std::io::Result<Answer> {
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.set_write_timeout(Some(REQUEST_TIMEOUT))?;
    writeln!(stream, "{}", serde_json::to_string(request)?)?;
    let mut line = String::new();
    if BufReader::new(&stream).read_line(&mut line)? == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    let mut answer: Value = serde_json::from_str(&line)?;
    Ok(match answer.get_mut("error").map(Value::take) {
        Some(error) => Err(serde_json::from_value(error)?),
        None => Ok(answer.get_mut("answer").map(Value::take).unwrap_or_default()),
    })
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::Path;
    use std::time::Duration;

    use serde_json::json;

    use super::{Request, at_short_path, connect, request, socket};

    const MINUTE: Duration = Duration::from_secs(60);

    fn listen(data: &Path) -> UnixListener {
        std::fs::create_dir_all(data.join("acme")).expect("a folder");
        UnixListener::bind(socket(data, "acme")).expect("bound")
    }

    /// Accepts a client and reads its request.
    fn read(listener: &UnixListener) -> UnixStream {
        let (stream, _) = listener.accept().expect("a client");
        BufReader::new(&stream).read_line(&mut String::new()).expect("a request");
        stream
    }

    #[test]
    fn a_request_that_the_server_did_not_read_is_repeated() {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = listen(folder.path());
        let server = std::thread::spawn(move || {
            drop(listener.accept().expect("a client"));
            read(&listener).write_all(b"{\"answer\":7}\n").expect("answered");
        });
        let answer = request(folder.path(), "acme", &Request::Check, Duration::ZERO);
        assert_eq!(answer, Some(Ok(json!(7))));
        server.join().expect("no panic");
    }

    #[test]
    fn a_request_that_the_server_read_is_not_repeated() {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = listen(folder.path());
        let server = std::thread::spawn(move || {
            drop(read(&listener));
            listener
        });
        let answer = request(folder.path(), "acme", &Request::Check, MINUTE);
        let error = answer.expect("there is a server").expect_err("no answer");
        assert_eq!(error.message, "connection `acme`: its server stopped without an answer");
        let listener = server.join().expect("no panic");
        listener.set_nonblocking(true).expect("set");
        assert!(listener.accept().is_err(), "it came once");
    }

    #[test]
    fn a_server_that_opens_the_connection_is_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().to_owned();
        assert_eq!(request(&data, "acme", &Request::Check, Duration::ZERO), None);
        let server = std::thread::spawn(move || {
            read(&listen(&data)).write_all(b"{\"answer\":7}\n").expect("answered");
        });
        let answer = request(folder.path(), "acme", &Request::Check, MINUTE);
        assert_eq!(answer, Some(Ok(json!(7))));
        server.join().expect("no panic");
    }

    #[test]
    fn a_data_folder_may_lie_deeper_than_the_path_of_a_socket_allows() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("x".repeat(150));
        std::fs::create_dir_all(data.join("acme")).expect("a folder");
        assert!(connect(&data, "acme").is_err(), "there is no listener");
        let _listener =
            at_short_path(&socket(&data, "acme"), |path| UnixListener::bind(path)).expect("bound");
        assert!(socket(&data, "acme").exists());
        connect(&data, "acme").expect("connected");
    }
}
