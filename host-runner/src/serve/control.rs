//! How the command line reaches a connection that a server has: a socket in the connection's folder, which
//! only its owner may enter. One line of JSON each way.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream as Client;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader as AsyncReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::actor::{Answer, Ask, Request};
use crate::error::{Error, Kind, Origin, Result};
use crate::hooks::Registry;
use crate::runner::error_json;
use crate::state::hook::HookStore;
use crate::tenant::{Places, key};

/// Longest request: a URL and some words.
const REQUEST_BYTES_MAX: u64 = 64 * 1024;
/// Longest wait for an answer: a call of the component and the batch before it.
const ANSWER_WITHIN: Duration = Duration::from_secs(180);

/// The socket of a connection.
pub fn socket(data: &Path, name: &str) -> PathBuf {
    data.join(name).join("serve.sock")
}

/// What stands behind the socket.
pub(super) struct Door {
    pub(super) places: Places,
    pub(super) name: String,
    pub(super) registry: Registry,
    pub(super) asks: mpsc::Sender<Ask>,
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
        let path = socket(&self.places.data, &self.name);
        let _left_over = std::fs::remove_file(&path);
        let listener = match UnixListener::bind(&path) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::warn!(connection = %self.name, %error, "no socket for `webhook subscribe`; stop the server to run it");
                return None;
            }
        };
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                if let Err(error) = self.serve(stream).await {
                    tracing::debug!(connection = %self.name, %error, "an ask was not answered");
                }
            }
        });
        Some(Listening { task, path })
    }

    async fn serve(&self, stream: UnixStream) -> std::io::Result<()> {
        let (read, mut write) = stream.into_split();
        let mut line = String::new();
        let asking = async { AsyncReader::new(read.take(REQUEST_BYTES_MAX)).read_line(&mut line).await };
        tokio::time::timeout(Duration::from_secs(5), asking).await??;
        let answer = match serde_json::from_str(&line) {
            Ok(request) => self.answer(request).await,
            Err(error) => Err(Error::state(format!("asked what this server does not know: {error}"))),
        };
        let answer = match answer {
            Ok(()) => json!({ "ok": true }),
            Err(error) => json!({ "error": error_json(&error) }),
        };
        write.write_all(format!("{answer}\n").as_bytes()).await
    }

    async fn answer(&self, request: Request) -> Answer {
        if let Request::HooksChanged = request {
            let store = HookStore::open(&self.places.data, &self.name, key(&self.places)?)?;
            self.registry.set(&self.name, store.secrets()?);
            return Ok(());
        }
        let gone = || Error::state(format!("connection `{}`: the server lets go of it", self.name));
        let (reply, answer) = oneshot::channel();
        self.asks.send(Ask { request, reply }).await.map_err(|_gone| gone())?;
        answer.await.unwrap_or_else(|_gone| Err(gone()))
    }
}

/// Asks the server that has a connection; none if none has.
pub fn ask(data: &Path, name: &str, request: &Request) -> Option<Answer> {
    let mut stream = Client::connect(socket(data, name)).ok()?;
    let failed = |error: std::io::Error| Error::state(format!("connection `{name}`: its server: {error}"));
    let mut exchange = || -> Result<()> {
        stream.set_read_timeout(Some(ANSWER_WITHIN)).map_err(failed)?;
        let request = serde_json::to_string(request).unwrap_or_default();
        writeln!(stream, "{request}").map_err(failed)?;
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).map_err(failed)?;
        let answer: Value = serde_json::from_str(&line)
            .map_err(|_| Error::state(format!("connection `{name}`: its server ended without an answer")))?;
        match answer.get("error") {
            None => Ok(()),
            Some(error) => Err(error_from(error)),
        }
    };
    Some(exchange())
}

/// An error as [`error_json`] wrote it.
fn error_from(value: &Value) -> Error {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let kinds = [
        Kind::Config,
        Kind::Auth,
        Kind::Permission,
        Kind::NotFound,
        Kind::RateLimited,
        Kind::Unavailable,
        Kind::Data,
        Kind::Unsupported,
    ];
    let origins = [Origin::Component, Origin::Sandbox, Origin::State, Origin::Sink, Origin::Configuration];
    let kind = kinds.into_iter().find(|kind| Some(kind.name()) == text("kind")).unwrap_or(Kind::Internal);
    let origin =
        origins.into_iter().find(|origin| Some(origin.name()) == text("origin")).unwrap_or(Origin::Host);
    Error {
        hint: text("hint").map(str::to_owned),
        code: text("code").map(str::to_owned),
        retry_after_ms: value.get("retry_after_ms").and_then(Value::as_u64),
        ..Error::new(origin, kind, text("message").unwrap_or("failed"))
    }
}

#[cfg(test)]
mod tests {
    use super::error_from;
    use crate::error::{Error, Kind, Origin};
    use crate::runner::error_json;

    #[test]
    fn an_error_comes_through_the_socket_as_it_was() {
        let error = Error {
            code: Some("NO".to_owned()),
            retry_after_ms: Some(7),
            ..Error::new(Origin::Component, Kind::Permission, "not allowed").hint("ask")
        };
        assert_eq!(error_from(&error_json(&error)), error);
    }
}
