//! One GET over wasi:http with the complete body, and resource handles without end.

use super::bindings::wasi::http::outgoing_handler::handle;
use super::bindings::wasi::http::types::{Fields, OutgoingRequest, RequestOptions, Scheme};
use super::bindings::wasi::io::streams::StreamError;
use crate::config::Config;

/// Bytes asked for in one read; a host returns less.
const READ_BYTES: u64 = 1 << 20;

/// Bytes of one header: hosts refuse longer ones, independent of their limit on all headers.
const HEADER_BYTES: usize = 1 << 15;

/// Creates handles until the host stops it.
pub(super) fn hoard() -> ! {
    let mut hoard = Vec::new();
    loop {
        hoard.push(Fields::new());
    }
}

/// Status and body, or the failure as text.
pub(super) fn get(url: &str, config: &Config) -> Result<(u16, Vec<u8>), String> {
    let (scheme, rest) = match url.split_once("://") {
        Some(("https", rest)) => (Scheme::Https, rest),
        Some(("http", rest)) => (Scheme::Http, rest),
        _ => return Err(format!("{url}: not a URL")),
    };
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let fields = Fields::new();
    for (number, start) in (0..config.header_bytes).step_by(HEADER_BYTES).enumerate() {
        let value = vec![b'x'; HEADER_BYTES.min(config.header_bytes - start)];
        fields.append(&format!("x-{number}"), &value).map_err(|error| format!("{error:?}"))?;
    }
    let options = RequestOptions::new();
    let timeout_ns = config.read_timeout_ms.map(|ms| ms * 1_000_000);
    options.set_between_bytes_timeout(timeout_ns).map_err(|()| "no timeout between two reads")?;
    let request = OutgoingRequest::new(fields);
    let set = request
        .set_scheme(Some(&scheme))
        .and_then(|()| request.set_authority(Some(authority)))
        .and_then(|()| request.set_path_with_query(Some(path)));
    set.map_err(|()| format!("{url}: not a URL"))?;
    let future = handle(request, Some(options)).map_err(|code| format!("{code:?}"))?;
    future.subscribe().block();
    let answer = future.get().ok_or("no answer")?.map_err(|()| "taken twice")?;
    let response = answer.map_err(|code| format!("{code:?}"))?;
    let body = response.consume().map_err(|()| "consumed twice")?;
    let stream = body.stream().map_err(|()| "streamed twice")?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(READ_BYTES) {
            Ok(piece) => bytes.extend(piece),
            Err(StreamError::Closed) => return Ok((response.status(), bytes)),
            Err(StreamError::LastOperationFailed(error)) => return Err(error.to_debug_string()),
        }
    }
}
