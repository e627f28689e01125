//! The one way to send requests: a trait, so that the logic runs natively in tests and benchmarks and over
//! WASI HTTP in a host.

use crate::url::Origin;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Patch,
    Delete,
}

/// One HTTP request. Not `Debug`: headers and body may hold secrets.
#[derive(Clone)]
pub struct Request {
    pub method: Method,
    pub origin: Origin,
    pub path_with_query: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

/// One HTTP answer with its complete body.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of that (lower-case) name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// Why there is no usable answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The host's egress policy refused the request.
    Denied,
    /// The name did not resolve, the connection was refused, or TLS failed.
    Unreachable(String),
    /// The connection or the answer broke off or timed out.
    Broken(String),
    /// The request was not sent: those before it took too long.
    Unsent,
    /// The answer is larger than [`crate::limits::BODY_BYTES_MAX`].
    TooLarge,
}

/// The body of an answer, read piece by piece.
pub trait Body {
    /// The next bytes, `max` at most; none at its end. Waits for them.
    fn read(&mut self, max: usize) -> Result<Option<Vec<u8>>, Failure>;
}

/// A body that arrived completely.
struct Whole(Vec<u8>);

impl Body for Whole {
    fn read(&mut self, max: usize) -> Result<Option<Vec<u8>>, Failure> {
        let rest = self.0.split_off(max.min(self.0.len()));
        let piece = std::mem::replace(&mut self.0, rest);
        Ok(Some(piece).filter(|piece| !piece.is_empty()))
    }
}

/// An answer whose body is not read yet: `Response::body` is empty.
pub type Opened = (Response, Box<dyn Body>);

/// Requests and clocks of the host.
pub trait Transport {
    /// Unix time in milliseconds.
    fn now_ms(&self) -> u64;

    /// A monotonic clock, in milliseconds.
    fn ticks_ms(&self) -> u64;

    /// Sends all, at most `at_once` in flight; the results are in the order of `requests`. Those whose turn
    /// comes later than [`crate::limits::SEND_MS`] are not sent.
    fn send(&mut self, requests: &[Request], at_once: usize) -> Vec<Result<Response, Failure>>;

    /// Sends one, and reads no body.
    fn open(&mut self, request: &Request) -> Result<Opened, Failure> {
        let answer = self.send(std::slice::from_ref(request), 1).pop();
        let mut response = answer.unwrap_or_else(|| Err(Failure::Broken("no answer".to_owned())))?;
        let body = Whole(std::mem::take(&mut response.body));
        Ok((response, Box::new(body)))
    }
}
