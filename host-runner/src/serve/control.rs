//! How the command line reaches a connection that a server has: a socket in the connection's folder, which
//! only its owner may enter. One line of JSON each way.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream as Client;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader as AsyncReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::actor::{Answer, Command};
use crate::error::{Error, Kind, Origin, Result};
use crate::request::Request;
use crate::state::hook::HookStore;
use crate::tenant::{Paths, key};
use crate::webhook_url::UrlRegistry;

/// Longest request: a URL, a grant, or the arguments of a command.
const REQUEST_BYTES_MAX: u64 = 1024 * 1024;
/// Time for the request to arrive.
const REQUEST_WITHIN: Duration = Duration::from_secs(5);
/// Longest wait for an answer: a call of the component and the batch before it.
const ANSWER_WITHIN: Duration = Duration::from_secs(180);

/// The socket of a connection.
pub fn socket(data: &Path, name: &str) -> PathBuf {
    data.join(name).join("serve.sock")
}

/// Longest path that a socket may have on every system.
const PATH_BYTES_MAX: usize = 100;

/// Calls with a path of the socket that is short enough: a folder that is deeper is gone into first.
fn at_short_path<T>(socket: &Path, call: impl FnOnce(&Path) -> std::io::Result<T>) -> std::io::Result<T> {
    let (Some(folder), Some(name)) = (socket.parent(), socket.file_name()) else { return call(socket) };
    if socket.as_os_str().len() <= PATH_BYTES_MAX {
        return call(socket);
    }
    let folder = File::open(folder)?;
    call(&Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name))
}

/// What stands behind the socket.
pub(super) struct Door {
    pub(super) paths: Paths,
    pub(super) name: String,
    pub(super) registry: UrlRegistry,
    pub(super) asks: mpsc::Sender<Command>,
}

/// Listens as long as it lives.
pub(super) struct Listening {
    task: JoinHandle<()>,
    path: PathBuf,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
        let _gone = std::fs::remove_file(&self.path);
    }
}

impl Door {
    /// Listens; the caller holds the connection's lock, so that a socket that is there is a left-over.
    pub(super) fn open(self) -> Option<Listening> {
        let path = socket(&self.paths.data, &self.name);
        let _left_over = std::fs::remove_file(&path);
        let listener = match at_short_path(&path, |path| UnixListener::bind(path)) {
            Ok(listener) => listener,
            Err(error) => {
                let socket = path.display();
                tracing::warn!(connection = %self.name, %socket, %error, "no socket: commands do not work beside this server");
                return None;
            }
        };
        let door = Arc::new(self);
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                // Each by itself: who sends nothing does not keep the others waiting.
                let door = Arc::clone(&door);
                tokio::spawn(async move {
                    if let Err(error) = door.serve(stream).await {
                        tracing::debug!(connection = %door.name, %error, "an ask was not answered");
                    }
                });
            }
        });
        Some(Listening { task, path })
    }

    async fn serve(&self, stream: UnixStream) -> std::io::Result<()> {
        let (read, mut write) = stream.into_split();
        let mut line = String::new();
        let asking = async { AsyncReader::new(read.take(REQUEST_BYTES_MAX)).read_line(&mut line).await };
        tokio::time::timeout(REQUEST_WITHIN, asking).await??;
        let answer = match serde_json::from_str(&line) {
            Ok(request) => self.answer(request).await,
            // What was sent may hold a secret: the reason is told, not the request.
            Err(error) => Err(Error::state(format!("asked what this server does not know: {error}"))
                .hint("use the command line and the server of one version")),
        };
        let answer = match answer {
            Ok(answer) => json!({ "answer": answer }),
            Err(error) => json!({ "error": error }),
        };
        // Who asks knows fewer secrets than this process.
        let answer = self.paths.redactor.redact_value(&answer);
        write.write_all(format!("{answer}\n").as_bytes()).await
    }

    async fn answer(&self, request: Request) -> Answer {
        match &request {
            // In force at once; then the actor tells the source.
            Request::HooksChanged => renew(&self.paths, &self.name, &self.registry)?,
            Request::Authorize { grant } => {
                let grant = serde_json::from_str(grant).unwrap_or_else(|_| Value::from(grant.as_str()));
                self.paths.redactor.learn_config(&grant);
            }
            _ => {}
        }
        let gone = || {
            Error::new(
                Origin::State,
                Kind::Unavailable,
                format!("connection `{}`: its server ends", self.name),
            )
            .hint("run it again")
        };
        let (reply, answer) = oneshot::channel();
        self.asks.send(Command { request, reply }).await.map_err(|_gone| gone())?;
        answer.await.unwrap_or_else(|_gone| Err(gone()))
    }
}

/// Puts in force what is stored of a connection's URL.
pub(super) fn renew(paths: &Paths, name: &str, registry: &UrlRegistry) -> Result<()> {
    let store = HookStore::open(&paths.data, name, key(paths)?)?;
    if let Ok(secret) = store.reveal() {
        paths.redactor.learn(secret.reveal());
    }
    registry.set(name, store.secrets()?);
    Ok(())
}

fn connect(data: &Path, name: &str) -> std::io::Result<Client> {
    at_short_path(&socket(data, name), |path| Client::connect(path))
}

/// Whether a server has a connection.
pub fn is_served(data: &Path, name: &str) -> bool {
    connect(data, name).is_ok()
}

/// Asks the server that has a connection; none if none has.
pub fn ask(data: &Path, name: &str, request: &Request) -> Option<Answer> {
    let stream = connect(data, name).ok()?;
    let failed = |error: std::io::Error| {
        let what = match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                format!("its server did not answer within {} s", ANSWER_WITHIN.as_secs())
            }
            ErrorKind::UnexpectedEof => "its server ended without an answer".to_owned(),
            _ => format!("its server: {error}"),
        };
        Error::new(Origin::State, Kind::Unavailable, format!("connection `{name}`: {what}"))
            .hint("run it again; the server's log and its /-/health say what it does")
    };
    Some(exchange(stream, request).unwrap_or_else(|error| Err(failed(error))))
}

fn exchange(mut stream: Client, request: &Request) -> std::io::Result<Answer> {
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    stream.set_write_timeout(Some(REQUEST_WITHIN))?;
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
    use std::os::unix::net::UnixListener;

    use super::{at_short_path, connect, socket};

    #[test]
    fn a_deep_data_folder_has_its_socket_too() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("x".repeat(150));
        std::fs::create_dir_all(data.join("acme")).expect("a folder");
        assert!(connect(&data, "acme").is_err(), "nobody listens");
        let _listener =
            at_short_path(&socket(&data, "acme"), |path| UnixListener::bind(path)).expect("bound");
        assert!(socket(&data, "acme").exists());
        connect(&data, "acme").expect("connected");
    }
}
