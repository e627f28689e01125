//! An object store with the interface of S3, in memory on loopback, that fails on demand.
//!
//! Takes one key; checks the signature of each request and the digest of its body. Knows whole objects,
//! objects in parts, and puts with a condition, no lists.

mod request;
mod signature;

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use self::request::Request;
use self::signature::hex;

/// The id of the key that is accepted.
pub const KEY: &str = "TESTKEY";
/// Its secret, with characters that URLs give a meaning.
pub const SECRET: &str = "secret/with+signs=";
/// The bucket there is.
pub const BUCKET: &str = "desk";

/// How requests are answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    /// As they should be.
    #[default]
    Well,
    /// With a status and a code, for example 503 and `SlowDown`.
    Refuses(u16, &'static str),
    /// The next requests with this status, others as they should be.
    RefusesNext(u32, u16),
    /// Parts of an object with this status, others as they should be.
    RefusesParts(u16),
    /// The next read of an object as if it were not there, as an old answer of a cache.
    HidesNext,
    /// Puts with a condition as not implemented.
    KnowsNoConditions,
    /// Connections are closed without an answer, after the object is stored.
    Forgets,
    /// The same with the next put, and its repetitions as they should be.
    ForgetsNextPut,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Vec<u8>>,
    /// Parts by upload and number.
    uploads: BTreeMap<String, BTreeMap<u32, Vec<u8>>>,
    mood: Mood,
    requests: Vec<String>,
    is_stopped: bool,
}

/// A running store.
pub struct ObjectServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl ObjectServer {
    /// Starts an empty store.
    #[must_use]
    pub fn start() -> Self {
        Self::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// Starts an empty store at an address.
    #[must_use]
    pub fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                if lock(&state).is_stopped {
                    return;
                }
                std::thread::spawn(move || serve(&connection, &state));
            }
        });
        Self { address, state }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a prefix, with the key.
    #[must_use]
    pub fn url(&self, prefix: &str) -> String {
        format!("s3://{KEY}:{SECRET}@{BUCKET}/{prefix}?endpoint=http://{}", self.address)
    }

    /// The URL of a prefix, without the key.
    #[must_use]
    pub fn url_without_key(&self, prefix: &str) -> String {
        format!("s3://{BUCKET}/{prefix}?endpoint=http://{}", self.address)
    }

    /// Changes how requests are answered.
    pub fn set_mood(&self, mood: Mood) {
        lock(&self.state).mood = mood;
    }

    /// All objects by name, without the bucket.
    #[must_use]
    pub fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        lock(&self.state).objects.clone()
    }

    /// Removes all objects.
    pub fn clear(&self) {
        lock(&self.state).objects.clear();
    }

    /// How many uploads in parts have not ended.
    #[must_use]
    pub fn uploads(&self) -> usize {
        lock(&self.state).uploads.len()
    }

    /// Methods and names of the requests so far, in their order.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        lock(&self.state).requests.clone()
    }
}

impl Drop for ObjectServer {
    fn drop(&mut self) {
        lock(&self.state).is_stopped = true;
        // Wakes the listener.
        drop(TcpStream::connect(self.address));
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An answer: status, headers, body.
struct Answer(u16, String, Vec<u8>);

impl Answer {
    fn refusal(status: u16, code: &str) -> Self {
        let body =
            format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{code}</Message></Error>");
        Self(status, String::new(), body.into_bytes())
    }
}

/// Answers the requests of a connection.
fn serve(connection: &TcpStream, state: &Mutex<State>) {
    while let Some(request) = Request::read(connection) {
        let answer = {
            let mut state = lock(state);
            if state.is_stopped {
                break;
            }
            state.requests.push(format!("{} {}", request.method, request.name));
            match state.mood {
                Mood::Refuses(status, code) => Some(Answer::refusal(status, code)),
                Mood::RefusesNext(left, status) => {
                    state.mood = if left > 1 { Mood::RefusesNext(left - 1, status) } else { Mood::Well };
                    Some(Answer::refusal(status, "InternalError"))
                }
                Mood::Forgets => {
                    answer(&request, &mut state);
                    None
                }
                Mood::ForgetsNextPut if request.method == "PUT" => {
                    state.mood = Mood::Well;
                    answer(&request, &mut state);
                    None
                }
                Mood::RefusesParts(status) if request.parameter("partNumber").is_some() => {
                    Some(Answer::refusal(status, "AccessDenied"))
                }
                Mood::HidesNext if request.method == "GET" => {
                    state.mood = Mood::Well;
                    Some(Answer::refusal(404, "NoSuchKey"))
                }
                Mood::KnowsNoConditions if request.is_conditional() => {
                    Some(Answer::refusal(501, "NotImplemented"))
                }
                _ => Some(answer(&request, &mut state)),
            }
        };
        let Some(Answer(status, headers, body)) = answer else { break };
        let head = format!("HTTP/1.1 {status} x\r\n{headers}content-length: {}\r\n\r\n", body.len());
        let body: &[u8] = if request.method == "HEAD" { &[] } else { &body };
        let mut to = connection;
        if to.write_all(head.as_bytes()).and_then(|()| to.write_all(body)).is_err() {
            break;
        }
    }
    let _closed_already = connection.shutdown(Shutdown::Both);
}

fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The tag of an object of these bytes.
fn tag(bytes: &[u8]) -> String {
    format!("\"{}\"", digest(bytes))
}

fn answer(request: &Request, state: &mut State) -> Answer {
    let Request { method, bucket, name, body, .. } = request;
    if !signature::is_valid(request, KEY, SECRET) {
        return Answer::refusal(403, "SignatureDoesNotMatch");
    }
    let digest = digest(body);
    let said = request.header("x-amz-content-sha256");
    if !said.is_some_and(|said| said == digest || said == "UNSIGNED-PAYLOAD") {
        return Answer::refusal(400, "XAmzContentSHA256Mismatch");
    }
    if bucket != BUCKET {
        return Answer::refusal(404, "NoSuchBucket");
    }
    let done = |status: u16, headers: &str| Answer(status, headers.to_owned(), Vec::new());
    let upload = request.parameter("uploadId");
    match (method.as_str(), upload) {
        ("POST", None) if request.parameter("uploads").is_some() => {
            let id = format!("upload-{}", state.uploads.len());
            state.uploads.insert(id.clone(), BTreeMap::new());
            let body = format!(
                "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
            );
            Answer(200, String::new(), body.into_bytes())
        }
        ("PUT", Some(id)) => {
            let number = request.parameter("partNumber").and_then(|number| number.parse().ok());
            match (state.uploads.get_mut(&id), number) {
                (Some(parts), Some(number)) => {
                    parts.insert(number, body.clone());
                    done(200, "etag: \"part\"\r\n")
                }
                _ => Answer::refusal(404, "NoSuchUpload"),
            }
        }
        ("POST", Some(id)) => match state.uploads.remove(&id) {
            Some(parts) => {
                state.objects.insert(name.clone(), parts.into_values().flatten().collect());
                let body =
                    "<CompleteMultipartUploadResult><ETag>\"x\"</ETag></CompleteMultipartUploadResult>";
                Answer(200, String::new(), body.into())
            }
            None => Answer::refusal(404, "NoSuchUpload"),
        },
        ("DELETE", Some(id)) => {
            state.uploads.remove(&id);
            done(204, "")
        }
        ("PUT", None) => {
            let present = state.objects.get(name).map(|bytes| tag(bytes));
            let is_expected = match request.header("if-match") {
                Some(expected) => present.as_deref() == Some(expected),
                None => request.header("if-none-match").is_none() || present.is_none(),
            };
            if !is_expected {
                return Answer::refusal(412, "PreconditionFailed");
            }
            state.objects.insert(name.clone(), body.clone());
            done(200, &format!("etag: {}\r\n", tag(body)))
        }
        ("GET" | "HEAD", None) => match state.objects.get(name) {
            Some(found) => {
                let modified = "Thu, 26 Nov 2026 09:00:00 GMT";
                let headers = format!("etag: {}\r\nlast-modified: {modified}\r\n", tag(found));
                Answer(200, headers, found.clone())
            }
            None => Answer::refusal(404, "NoSuchKey"),
        },
        ("DELETE", None) => {
            state.objects.remove(name);
            done(204, "")
        }
        _ => Answer::refusal(405, "MethodNotAllowed"),
    }
}
