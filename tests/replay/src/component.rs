//! The exported interfaces of WASI, over a [`Recording`].

#[allow(
    unsafe_code,
    unsafe_op_in_unsafe_fn,
    unreachable_pub,
    missing_docs,
    clippy::all,
    reason = "generated"
)]
mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "replay", generate_all });

    use super::Replay;
    export!(Replay);
}

use std::cell::{Cell, RefCell};

use bindings::connector::replay::recording;
use bindings::exports::wasi::clocks::wall_clock;
use bindings::exports::wasi::http::{outgoing_handler, types};
use bindings::exports::wasi::io::{error, poll, streams};
use bindings::wasi::clocks::monotonic_clock;

use crate::{Answer, Recording};

thread_local! {
    /// Read when it is needed first.
    static RECORDING: RefCell<Option<Result<Recording, String>>> = const { RefCell::new(None) };
    /// The ticks at the first look at the clock.
    static FIRST_TICKS: Cell<Option<u64>> = const { Cell::new(None) };
}

struct Replay;

impl wall_clock::Guest for Replay {
    fn now() -> wall_clock::Datetime {
        let ticks = monotonic_clock::now();
        let first = FIRST_TICKS.get().unwrap_or(ticks);
        FIRST_TICKS.set(Some(first));
        let start = with_recording(|recording| recording.as_ref().map_or(0, |found| found.started_at_ms));
        let now_ms = start + ticks.saturating_sub(first) / 1_000_000;
        let nanoseconds = u32::try_from(now_ms % 1_000).unwrap_or(0) * 1_000_000;
        wall_clock::Datetime { seconds: now_ms / 1_000, nanoseconds }
    }
}

fn with_recording<V>(use_it: impl FnOnce(&mut Result<Recording, String>) -> V) -> V {
    RECORDING.with_borrow_mut(|recording| {
        use_it(recording.get_or_insert_with(|| Recording::parse(&recording::read())))
    })
}

pub(crate) struct Error;

impl error::GuestError for Error {
    fn to_debug_string(&self) -> String {
        "of the recording".to_owned()
    }
}

impl error::Guest for Replay {
    type Error = Error;
}

/// Everything is ready at once.
pub(crate) struct Pollable;

impl poll::GuestPollable for Pollable {
    fn ready(&self) -> bool {
        true
    }

    fn block(&self) {}
}

impl poll::Guest for Replay {
    type Pollable = Pollable;

    fn poll(pollables: Vec<poll::PollableBorrow<'_>>) -> Vec<u32> {
        (0..).take(pollables.len()).collect()
    }
}

/// The rest of a recorded body.
pub(crate) struct Input(RefCell<Vec<u8>>);

impl streams::GuestInputStream for Input {
    fn read(&self, length: u64) -> Result<Vec<u8>, streams::StreamError> {
        self.blocking_read(length)
    }

    fn subscribe(&self) -> streams::Pollable {
        streams::Pollable::new(Pollable)
    }

    fn blocking_read(&self, length: u64) -> Result<Vec<u8>, streams::StreamError> {
        let mut left = self.0.borrow_mut();
        if left.is_empty() {
            return Err(streams::StreamError::Closed);
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(left.len());
        Ok(left.drain(..length).collect())
    }
}

/// Takes a request's body, which does not choose the answer.
pub(crate) struct Output;

impl streams::GuestOutputStream for Output {
    fn blocking_write_and_flush(&self, _: Vec<u8>) -> Result<(), streams::StreamError> {
        Ok(())
    }
}

impl streams::Guest for Replay {
    type InputStream = Input;
    type OutputStream = Output;
}

pub(crate) struct Fields(Vec<(String, Vec<u8>)>);

impl types::GuestFields for Fields {
    fn from_list(entries: Vec<(String, Vec<u8>)>) -> Result<types::Fields, types::HeaderError> {
        Ok(types::Fields::new(Self(entries)))
    }

    fn entries(&self) -> Vec<(String, Vec<u8>)> {
        self.0.clone()
    }
}

#[derive(Default)]
pub(crate) struct OutgoingRequest {
    method: RefCell<String>,
    path_with_query: RefCell<String>,
}

impl types::GuestOutgoingRequest for OutgoingRequest {
    fn new(_: types::Headers) -> Self {
        Self { method: RefCell::new("GET".to_owned()), ..Self::default() }
    }

    fn body(&self) -> Result<types::OutgoingBody, ()> {
        Ok(types::OutgoingBody::new(OutgoingBody))
    }

    fn set_method(&self, method: types::Method) -> Result<(), ()> {
        let name = match method {
            types::Method::Get => "GET",
            types::Method::Head => "HEAD",
            types::Method::Post => "POST",
            types::Method::Put => "PUT",
            types::Method::Delete => "DELETE",
            types::Method::Connect => "CONNECT",
            types::Method::Options => "OPTIONS",
            types::Method::Trace => "TRACE",
            types::Method::Patch => "PATCH",
            types::Method::Other(name) => {
                self.method.replace(name);
                return Ok(());
            }
        };
        self.method.replace(name.to_owned());
        Ok(())
    }

    fn set_path_with_query(&self, path_with_query: Option<String>) -> Result<(), ()> {
        self.path_with_query.replace(path_with_query.unwrap_or_default());
        Ok(())
    }

    fn set_scheme(&self, _: Option<types::Scheme>) -> Result<(), ()> {
        Ok(())
    }

    fn set_authority(&self, _: Option<String>) -> Result<(), ()> {
        Ok(())
    }
}

pub(crate) struct RequestOptions;

impl types::GuestRequestOptions for RequestOptions {}

pub(crate) struct OutgoingBody;

impl types::GuestOutgoingBody for OutgoingBody {
    fn write(&self) -> Result<types::OutputStream, ()> {
        Ok(types::OutputStream::new(Output))
    }

    fn finish(_: types::OutgoingBody, _: Option<types::Trailers>) -> Result<(), types::ErrorCode> {
        Ok(())
    }
}

pub(crate) struct FutureIncomingResponse(Cell<Option<Result<Answer, types::ErrorCode>>>);

impl types::GuestFutureIncomingResponse for FutureIncomingResponse {
    fn subscribe(&self) -> types::Pollable {
        types::Pollable::new(Pollable)
    }

    fn get(&self) -> Option<Result<Result<types::IncomingResponse, types::ErrorCode>, ()>> {
        let answer = self.0.take().ok_or(());
        Some(answer.map(|answer| {
            answer.map(|answer| types::IncomingResponse::new(IncomingResponse(RefCell::new(answer))))
        }))
    }
}

pub(crate) struct IncomingResponse(RefCell<Answer>);

impl types::GuestIncomingResponse for IncomingResponse {
    fn status(&self) -> u16 {
        self.0.borrow().status
    }

    fn headers(&self) -> types::Headers {
        let answer = self.0.borrow();
        let bytes = answer.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes()));
        types::Fields::new(Fields(bytes.collect()))
    }

    fn consume(&self) -> Result<types::IncomingBody, ()> {
        let body = std::mem::take(&mut self.0.borrow_mut().body);
        Ok(types::IncomingBody::new(IncomingBody(RefCell::new(body))))
    }
}

pub(crate) struct IncomingBody(RefCell<Vec<u8>>);

impl types::GuestIncomingBody for IncomingBody {
    fn stream(&self) -> Result<types::InputStream, ()> {
        Ok(types::InputStream::new(Input(RefCell::new(self.0.take()))))
    }
}

impl types::Guest for Replay {
    type Fields = Fields;
    type OutgoingRequest = OutgoingRequest;
    type RequestOptions = RequestOptions;
    type IncomingResponse = IncomingResponse;
    type IncomingBody = IncomingBody;
    type OutgoingBody = OutgoingBody;
    type FutureIncomingResponse = FutureIncomingResponse;

    fn http_error_code(_: types::IoErrorBorrow<'_>) -> Option<types::ErrorCode> {
        None
    }
}

impl outgoing_handler::Guest for Replay {
    fn handle(
        request: types::OutgoingRequest,
        _: Option<types::RequestOptions>,
    ) -> Result<types::FutureIncomingResponse, types::ErrorCode> {
        let request = request.into_inner::<OutgoingRequest>();
        let (method, path) = (request.method.into_inner(), request.path_with_query.into_inner());
        let answer = with_recording(|recording| match recording {
            Ok(recording) => {
                recording.answer(&method, &path).ok_or_else(|| format!("not recorded: {method} {path}"))
            }
            Err(error) => Err(format!("the recording: {error}")),
        });
        let answer = answer.map_err(|error| types::ErrorCode::InternalError(Some(error)));
        Ok(types::FutureIncomingResponse::new(FutureIncomingResponse(Cell::new(Some(answer)))))
    }
}
