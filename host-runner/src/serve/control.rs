//! The server API: HTTP/1.1 with JSON over a Unix socket in the data folder. The command line is a client of
//! it, and a console can be one. [`route`] lists the requests.
//!
//! A request to a connection is executed by its actor, one to the dead letters by the journal. Knows the
//! meaning of two requests, which change the server itself: the secret of the webhook URL, and a grant, which
//! the redactor learns.

mod client;
mod route;
mod socket;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request as HttpRequest, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

pub(crate) use self::client::{OPENS_WITHIN, is_served, request};
use self::route::NOT_OPEN;
pub(crate) use self::route::Route;
pub(crate) use self::socket::socket;
use crate::actor::{Answer, Command, rotate_url};
use crate::dead_letters;
use crate::error::{Error, Kind, Origin, Result};
use crate::inbox::DeadLetters;
use crate::ingress::Observe;
use crate::request::{Registration, Request};
use crate::secret::Redactor;
use crate::state::ConnectionStore;
use crate::webhook_url::UrlRegistry;

/// Largest request: a URL, a grant, or the arguments of a command.
const REQUEST_BYTES_MAX: usize = 1024 * 1024;
/// Longest time for a request to arrive.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Clients at a time: processes of one user.
const CLIENTS_MAX: usize = 256;
/// Wait after an accept that failed, for example because no file descriptor was free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The parts of a server that answer requests. Clones share them.
#[derive(Clone)]
pub(super) struct Control(Arc<Inner>);

struct Inner {
    connections: Mutex<BTreeMap<String, Open>>,
    dead_letters: Arc<dyn DeadLetters>,
    observe: Arc<dyn Observe>,
    registry: UrlRegistry,
    redactor: Redactor,
}

/// A connection whose actor takes requests.
#[derive(Clone)]
struct Open {
    store: ConnectionStore,
    commands: mpsc::Sender<Command>,
}

/// Requests reach a connection until this is dropped.
pub(super) struct Reachable {
    control: Control,
    name: String,
}

impl Drop for Reachable {
    fn drop(&mut self) {
        self.control.lock().remove(&self.name);
    }
}

/// Closes and removes the socket when dropped.
pub(super) struct Listening {
    task: JoinHandle<()>,
    path: PathBuf,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
        let _missing = std::fs::remove_file(&self.path);
    }
}

impl Control {
    pub(super) fn new(
        dead_letters: Arc<dyn DeadLetters>,
        observe: Arc<dyn Observe>,
        registry: UrlRegistry,
        redactor: Redactor,
    ) -> Self {
        let connections = Mutex::default();
        Self(Arc::new(Inner { connections, dead_letters, observe, registry, redactor }))
    }

    /// Listens. The caller owns the data folder's journal, so that an existing socket is a left-over.
    pub(super) fn listen(&self, data: &Path) -> Option<Listening> {
        let path = socket(data);
        let _missing = std::fs::remove_file(&path);
        let listener = match socket::at_short_path(&path, |path| UnixListener::bind(path)) {
            Ok(listener) => listener,
            Err(error) => {
                let socket = path.display();
                tracing::warn!(%socket, %error, "no socket: commands cannot reach this server");
                return None;
            }
        };
        let (control, clients) = (self.clone(), Arc::new(Semaphore::new(CLIENTS_MAX)));
        let task = tokio::spawn(async move {
            loop {
                let Ok(client) = Arc::clone(&clients).acquire_owned().await else { return };
                let Ok((stream, _)) = listener.accept().await else {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                if !socket::is_trusted(&stream) {
                    tracing::debug!("a client of another user was refused");
                    continue;
                }
                // A task for each client, so that a silent one does not delay the others.
                let control = control.clone();
                tokio::spawn(async move {
                    control.serve(stream).await;
                    drop(client);
                });
            }
        });
        Some(Listening { task, path })
    }

    /// Lets requests reach a connection; its name must not be reachable already.
    pub(super) fn open(&self, store: ConnectionStore, commands: mpsc::Sender<Command>) -> Reachable {
        let name = store.name().to_owned();
        self.lock().insert(name.clone(), Open { store, commands });
        Reachable { control: self.clone(), name }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Open>> {
        self.0.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(&self, stream: UnixStream) {
        let service = service_fn(|request| async { Ok::<_, Infallible>(self.respond(request).await) });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(REQUEST_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service)
            .await;
        if let Err(error) = served {
            tracing::debug!(%error, "a request was not answered");
        }
    }

    async fn respond(&self, request: HttpRequest<Incoming>) -> Response<Full<Bytes>> {
        let route = parse(request).await;
        // Redacted here, because the client's redactor knows fewer secrets.
        let redactor = match &route {
            // It is, and the words of a status are no secrets.
            Ok(Route::Health) => None,
            Ok(Route::Connection(name, _)) => Some(self.0.redactor.of(name)),
            _ => Some(self.0.redactor.clone()),
        };
        let answer = match route {
            // A task, so that a client that leaves does not leave a request half executed.
            Ok(route) => {
                let control = self.clone();
                let executing = tokio::spawn(async move { control.execute(route).await });
                executing.await.unwrap_or_else(|error| Err(error.into()))
            }
            Err(error) => Err(error),
        };
        let (status, answer) = match answer {
            Ok(answer) => (StatusCode::OK, answer),
            Err(error) => (route::status(&error), json!({ "error": error })),
        };
        let answer = match redactor {
            Some(redactor) => redactor.redact_value(&answer),
            None => answer,
        };
        let text = format!("{answer}\n");
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }

    async fn execute(&self, route: Route) -> Answer {
        match route {
            Route::Health => {
                let observe = Arc::clone(&self.0.observe);
                Ok(spawn_blocking(move || observe.health()).await?)
            }
            Route::Connections => {
                let names: Vec<String> = self.lock().keys().cloned().collect();
                Ok(json!({ "connections": names }))
            }
            Route::Letters(request) => {
                let letters = Arc::clone(&self.0.dead_letters);
                spawn_blocking(move || dead_letters::answer(&*letters, &request)).await?
            }
            Route::Connection(name, request) => {
                let open = self.lock().get(&name).cloned();
                match open {
                    Some(open) => self.ask(&open, request).await,
                    None => Err(not_open(&name)),
                }
            }
        }
    }

    async fn ask(&self, open: &Open, request: Request) -> Answer {
        let Open { store, commands } = open;
        match request {
            Request::RotateUrl { grace_ms } => {
                let (store, registry) = (store.clone(), self.0.registry.clone());
                let rotating = spawn_blocking(move || {
                    let registration = rotate_url(&store, grace_ms, Registration::Renewing)?;
                    renew(&store, &registry).map(|()| registration)
                });
                let registration = rotating.await??;
                // The new URL is valid now; the client does not wait until the source knows it.
                let commands = commands.clone();
                tokio::spawn(async move { send(&commands, Request::UrlChanged).await });
                return Ok(json!(registration));
            }
            Request::Authorize { ref grant } => {
                let grant = serde_json::from_str(grant).unwrap_or_else(|_| Value::from(grant.as_str()));
                self.0.redactor.learn_config(store.name(), &grant);
            }
            _ => {}
        }
        send(commands, request).await.unwrap_or_else(|| {
            let message = format!("connection `{}`: its server is stopping", store.name());
            Err(Error::new(Origin::State, Kind::Unavailable, message).hint("run it again"))
        })
    }
}

/// Reads a request.
async fn parse(request: HttpRequest<Incoming>) -> Result<Route> {
    let (head, body) = request.into_parts();
    let body = timeout(REQUEST_TIMEOUT, Limited::new(body, REQUEST_BYTES_MAX).collect()).await;
    let body = match body {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) => return Err(Error::usage(format!("a request that cannot be read: {error}"))),
        Err(_) => return Err(Error::usage("a request that does not arrive")),
    };
    Route::of(&head.method, head.uri.path(), head.uri.query(), &body)
}

fn not_open(name: &str) -> Error {
    let message = format!("connection `{name}`: not open in this server");
    let error = Error::new(Origin::State, Kind::NotFound, message)
        .hint("GET /connections lists those that are; /-/health shows why another one is not");
    Error { code: Some(NOT_OPEN.to_owned()), ..error }
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
