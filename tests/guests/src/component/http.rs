//! One GET over wasi:http, the whole body at once.

use super::bindings::wasi::http::outgoing_handler::handle;
use super::bindings::wasi::http::types::{Fields, OutgoingRequest, Scheme};
use super::bindings::wasi::io::streams::StreamError;

/// Largest piece asked for; a host gives less.
const PIECE: u64 = 1 << 20;

/// Status and body, or what went wrong.
pub(super) fn get(url: &str) -> Result<(u16, Vec<u8>), String> {
    let (scheme, rest) = match url.split_once("://") {
        Some(("https", rest)) => (Scheme::Https, rest),
        Some(("http", rest)) => (Scheme::Http, rest),
        _ => return Err(format!("{url}: not a URL")),
    };
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let request = OutgoingRequest::new(Fields::new());
    let set = request
        .set_scheme(Some(&scheme))
        .and_then(|()| request.set_authority(Some(authority)))
        .and_then(|()| request.set_path_with_query(Some(path)));
    set.map_err(|()| format!("{url}: not a URL"))?;
    let future = handle(request, None).map_err(|code| format!("{code:?}"))?;
    future.subscribe().block();
    let answer = future.get().ok_or("no answer")?.map_err(|()| "taken twice")?;
    let response = answer.map_err(|code| format!("{code:?}"))?;
    let body = response.consume().map_err(|()| "consumed twice")?;
    let stream = body.stream().map_err(|()| "streamed twice")?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(PIECE) {
            Ok(piece) => bytes.extend(piece),
            Err(StreamError::Closed) => return Ok((response.status(), bytes)),
            Err(StreamError::LastOperationFailed(error)) => return Err(error.to_debug_string()),
        }
    }
}
