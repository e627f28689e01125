//! [`Transport`] over WASI HTTP and clocks: concurrent requests, answers read completely.

use super::bindings::wasi::clocks::{monotonic_clock, wall_clock};
use super::bindings::wasi::http::outgoing_handler;
use super::bindings::wasi::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method as WasiMethod,
    OutgoingBody, OutgoingRequest, Scheme,
};
use super::bindings::wasi::io::poll::{self, Pollable};
use super::bindings::wasi::io::streams::{InputStream, StreamError};
use crate::limits;
use crate::transport::{Body, Failure, Method, Opened, Request, Response, Transport};

/// Bytes asked for in one read; the host returns at most this much at a time.
const READ_BYTES: u64 = 64 * 1024;

/// The host's HTTP and clocks.
pub(super) struct Wasi;

impl Transport for Wasi {
    fn now_ms(&self) -> u64 {
        let now = wall_clock::now();
        now.seconds * 1000 + u64::from(now.nanoseconds) / 1_000_000
    }

    fn ticks_ms(&self) -> u64 {
        monotonic_clock::now() / 1_000_000
    }

    fn send(&mut self, requests: &[Request], at_once: usize) -> Vec<Result<Response, Failure>> {
        let mut answers: Vec<Option<Result<Response, Failure>>> = Vec::new();
        answers.resize_with(requests.len(), || None);
        let mut in_flight: Vec<InFlight> = Vec::new();
        let (mut next, started_ms) = (0, self.ticks_ms());
        while next < requests.len() || !in_flight.is_empty() {
            if self.ticks_ms() - started_ms >= limits::SEND_MS {
                answers[next..].iter_mut().for_each(|answer| *answer = Some(Err(Failure::Unsent)));
                next = requests.len();
            }
            while next < requests.len() && in_flight.len() < at_once.max(1) {
                match start(&requests[next]) {
                    Ok(future) => in_flight.push(InFlight { index: next, ready: future.subscribe(), future }),
                    Err(failure) => answers[next] = Some(Err(failure)),
                }
                next += 1;
            }
            if in_flight.is_empty() {
                continue;
            }
            let pollables: Vec<&Pollable> = in_flight.iter().map(|call| &call.ready).collect();
            let mut ready = poll::poll(&pollables);
            // From the back: `swap_remove` leaves the indices before it as they are.
            ready.sort_unstable_by(|a, b| b.cmp(a));
            for position in ready {
                let call = in_flight.swap_remove(position as usize);
                let index = call.index;
                answers[index] = Some(finish(call));
            }
        }
        answers
            .into_iter()
            .map(|answer| answer.unwrap_or_else(|| Err(Failure::Broken("no answer".to_owned()))))
            .collect()
    }

    fn open(&mut self, request: &Request) -> Result<Opened, Failure> {
        let future = start(request)?;
        future.subscribe().block();
        let response = answer(&future)?;
        let head = head(&response);
        let body = StreamedBody::of(response)?;
        Ok((head, Box::new(body)))
    }
}

/// A body that is still arriving. Fields drop in order: each before its owner.
struct StreamedBody {
    stream: InputStream,
    _body: IncomingBody,
    _response: IncomingResponse,
}

impl StreamedBody {
    fn of(response: IncomingResponse) -> Result<Self, Failure> {
        let taken = |()| Failure::Broken("the body was taken twice".to_owned());
        let body = response.consume().map_err(taken)?;
        let stream = body.stream().map_err(taken)?;
        Ok(Self { stream, _body: body, _response: response })
    }
}

impl Body for StreamedBody {
    fn read(&mut self, max: usize) -> Result<Option<Vec<u8>>, Failure> {
        loop {
            match self.stream.blocking_read(READ_BYTES.min(max as u64)) {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Ok(Some(bytes)),
                Err(StreamError::Closed) => return Ok(None),
                Err(StreamError::LastOperationFailed(error)) => {
                    let code = super::bindings::wasi::http::types::http_error_code(&error);
                    return Err(code.map_or_else(|| Failure::Broken(error.to_debug_string()), failure));
                }
            }
        }
    }
}

/// A request that waits for the head of its answer. Fields drop in order: the pollable before its future.
struct InFlight {
    index: usize,
    ready: Pollable,
    future: FutureIncomingResponse,
}

fn start(request: &Request) -> Result<FutureIncomingResponse, Failure> {
    let refused = |what: &str| Failure::Broken(format!("the request cannot be created: {what}"));
    let mut headers: Vec<(String, Vec<u8>)> =
        request.headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    if !request.body.is_empty() {
        // Without it the body is sent in chunks, which some servers in front of an API refuse.
        headers.push(("content-length".to_owned(), request.body.len().to_string().into_bytes()));
    }
    let headers = Fields::from_list(&headers).map_err(|_| refused("a header"))?;
    let outgoing = OutgoingRequest::new(headers);
    let method = match request.method {
        Method::Get => WasiMethod::Get,
        Method::Post => WasiMethod::Post,
        Method::Patch => WasiMethod::Patch,
        Method::Delete => WasiMethod::Delete,
    };
    let scheme = if request.origin.https { Scheme::Https } else { Scheme::Http };
    outgoing.set_method(&method).map_err(|()| refused("the method"))?;
    outgoing.set_scheme(Some(&scheme)).map_err(|()| refused("the scheme"))?;
    outgoing.set_authority(Some(&request.origin.authority)).map_err(|()| refused("the host"))?;
    outgoing.set_path_with_query(Some(&request.path_with_query)).map_err(|()| refused("the path"))?;
    let body = outgoing.body().map_err(|()| refused("the body"))?;
    // No options: the host has its own bounds, and wasmtime 48 never frees options that it was passed.
    let future = outgoing_handler::handle(outgoing, None).map_err(failure)?;
    write(body, &request.body)?;
    Ok(future)
}

fn write(body: OutgoingBody, bytes: &[u8]) -> Result<(), Failure> {
    if !bytes.is_empty() {
        let stream = body.write().map_err(|()| Failure::Broken("the body cannot be written".to_owned()))?;
        // The contract of blocking-write-and-flush: at most 4096 bytes a call.
        for chunk in bytes.chunks(4096) {
            stream
                .blocking_write_and_flush(chunk)
                .map_err(|_| Failure::Broken("the body could not be sent".to_owned()))?;
        }
    }
    OutgoingBody::finish(body, None).map_err(failure)
}

fn finish(call: InFlight) -> Result<Response, Failure> {
    let response = answer(&call.future)?;
    drop(call);
    let mut whole = head(&response);
    let mut body = StreamedBody::of(response)?;
    while let Some(bytes) = body.read(usize::MAX)? {
        if whole.body.len() + bytes.len() > limits::BODY_BYTES_MAX {
            return Err(Failure::TooLarge);
        }
        if whole.body.is_empty() {
            whole.body = bytes;
        } else {
            whole.body.extend_from_slice(&bytes);
        }
    }
    Ok(whole)
}

fn answer(future: &FutureIncomingResponse) -> Result<IncomingResponse, Failure> {
    match future.get() {
        Some(Ok(Ok(response))) => Ok(response),
        Some(Ok(Err(code))) => Err(failure(code)),
        Some(Err(())) | None => Err(Failure::Broken("the answer was taken twice".to_owned())),
    }
}

/// An answer without its body.
fn head(response: &IncomingResponse) -> Response {
    let entries = response.headers().entries().into_iter();
    let headers = entries
        .filter_map(|(name, value)| Some((name.to_ascii_lowercase(), String::from_utf8(value).ok()?)))
        .collect();
    Response { status: response.status(), headers, body: Vec::new() }
}

fn failure(code: ErrorCode) -> Failure {
    match code {
        ErrorCode::HttpRequestDenied | ErrorCode::DestinationIpProhibited => Failure::Denied,
        ErrorCode::HttpResponseBodySize(_) => Failure::TooLarge,
        ErrorCode::DnsError(_) => Failure::Unreachable("its name does not resolve".to_owned()),
        ErrorCode::DnsTimeout => Failure::Unreachable("resolving its name took too long".to_owned()),
        ErrorCode::ConnectionRefused => Failure::Unreachable("the connection was refused".to_owned()),
        ErrorCode::ConnectionTimeout => Failure::Unreachable("connecting took too long".to_owned()),
        ErrorCode::DestinationNotFound
        | ErrorCode::DestinationUnavailable
        | ErrorCode::DestinationIpUnroutable => Failure::Unreachable("there is no route to it".to_owned()),
        ErrorCode::TlsProtocolError | ErrorCode::TlsCertificateError | ErrorCode::TlsAlertReceived(_) => {
            Failure::Unreachable(format!("no secure connection: {code:?}"))
        }
        other => Failure::Broken(format!("{other:?}")),
    }
}
