//! Answers, and bodies that are complete, truncated on purpose, or rendered in chunks.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};
use serde_json::Value;
use tokio::time::{Instant, Sleep};

use crate::http::meter::InFlight;

/// The content type of every API answer.
pub(crate) const JSON: &str = "application/json;charset=UTF-8";

/// Renders the next chunk of a body; none at its end.
pub(crate) type Chunks = Box<dyn FnMut() -> Option<Bytes> + Send>;

/// An answer without the headers that every answer has.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
    /// Credits, when they differ from the route's weight.
    pub(crate) weight: Option<u64>,
    /// Seconds for `Retry-After`.
    pub(crate) retry_after: Option<u64>,
    /// `Content-Range`.
    pub(crate) content_range: Option<String>,
}

impl Answer {
    /// 200 with JSON bytes.
    pub(crate) fn json(body: Vec<u8>) -> Answer {
        Answer::of(StatusCode::OK, JSON, body)
    }

    /// 200 with a JSON tree.
    pub(crate) fn value(value: &Value) -> Answer {
        Answer::json(value.to_string().into_bytes())
    }

    /// A status without a body.
    pub(crate) fn empty(status: StatusCode) -> Answer {
        Answer::of(status, JSON, Vec::new())
    }

    /// A status with a body.
    pub(crate) fn of(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Answer {
        Answer {
            status,
            content_type,
            body: body.into(),
            weight: None,
            retry_after: None,
            content_range: None,
        }
    }

    /// The same answer with this many credits.
    pub(crate) fn with_weight(mut self, credits: u64) -> Answer {
        self.weight = Some(credits);
        self
    }
}

/// The body of a response.
pub(crate) enum AnswerBody {
    /// The whole body. The guard counts the request as in flight until hyper has taken the body.
    Full(Option<Bytes>, #[expect(dead_code, reason = "held for its drop")] Option<InFlight>),
    /// A part of the body, then an error that closes the connection. The second value is the promised length.
    Truncated(Option<Bytes>, u64),
    /// Chunk by chunk, without a promised length.
    Chunks(Chunks),
    /// In small pieces, with a pause before each.
    Drip(Box<Drip>),
}

/// A body that arrives slowly.
pub(crate) struct Drip {
    bytes: Bytes,
    piece: usize,
    pause: Duration,
    sleep: Pin<Box<Sleep>>,
}

impl Drip {
    /// A body in this many pieces.
    pub(crate) fn new(bytes: Bytes, pieces: usize, pause: Duration) -> Drip {
        let piece = bytes.len().div_ceil(pieces.max(1)).max(1);
        Drip { bytes, piece, pause, sleep: Box::pin(tokio::time::sleep(pause)) }
    }

    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.bytes.is_empty() {
            return Poll::Ready(None);
        }
        if self.sleep.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.sleep.as_mut().reset(Instant::now() + self.pause);
        let piece = self.piece.min(self.bytes.len());
        Poll::Ready(Some(self.bytes.split_to(piece)))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let next = match &mut *self {
            AnswerBody::Full(bytes, _) => bytes.take().filter(|bytes| !bytes.is_empty()).map(Ok),
            AnswerBody::Truncated(bytes, _) => {
                Some(bytes.take().ok_or_else(|| io::Error::other("truncated on purpose")))
            }
            AnswerBody::Chunks(next) => next().map(Ok),
            AnswerBody::Drip(drip) => match drip.poll_piece(context) {
                Poll::Ready(piece) => piece.map(Ok),
                Poll::Pending => return Poll::Pending,
            },
        };
        Poll::Ready(next.map(|bytes| bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, AnswerBody::Full(None, _))
            || matches!(self, AnswerBody::Full(Some(bytes), _) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            AnswerBody::Full(bytes, _) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            AnswerBody::Truncated(_, promised) => SizeHint::with_exact(*promised),
            AnswerBody::Chunks(_) => SizeHint::default(),
            AnswerBody::Drip(drip) => SizeHint::with_exact(drip.bytes.len() as u64),
        }
    }
}

/// A response with a status, a content type and a body.
pub(crate) fn response(
    status: StatusCode,
    content_type: &'static str,
    body: AnswerBody,
) -> Response<AnswerBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    if status != StatusCode::NO_CONTENT {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    response
}

/// Adds the headers that live answers have (reference, §3.1).
pub(crate) fn add_desk_headers(response: &mut Response<AnswerBody>) {
    const HEADERS: &[(&str, &str)] = &[
        ("server", "ZGS"),
        ("content-disposition", "attachment;"),
        ("cache-control", "private,no-cache,no-store,max-age=0,must-revalidate"),
        ("set-cookie", "zalb_simulator=0123456789abcdef; Path=/; Secure; HttpOnly"),
    ];
    for (name, value) in HEADERS {
        let name = HeaderName::from_static(name);
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
}

/// Adds a header with a number.
pub(crate) fn add_number(response: &mut Response<AnswerBody>, name: &'static str, value: u64) {
    response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from(value));
}
