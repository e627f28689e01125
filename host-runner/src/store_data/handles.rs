//! Host memory behind the handles of one instance: a budget in bytes for what the component puts there.
//!
//! wasmtime bounds the number of handles and the bytes of one call, not the strings and bodies that stay
//! behind the handles. These functions come before wasmtime's own in the linker: they count, and call them.
//! Bytes are counted at the handle that keeps them, move with it into a request and its answer, and are given
//! back when it is dropped. Trailers are not: nothing reports that a request with them is sent.

use std::collections::HashMap;

use http::{HeaderName, HeaderValue};
use wasmtime::component::{Linker, Resource, ResourceType};
use wasmtime::{Result, StoreContextMut, bail};
use wasmtime_wasi_http::FieldMap;
use wasmtime_wasi_http::p2::HeaderError;
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler::Host as _;
use wasmtime_wasi_http::p2::bindings::http::types::{
    self, ErrorCode, Host as _, HostFields, HostOutgoingRequest as _, Method, RequestOptions,
};
use wasmtime_wasi_http::p2::body::HostOutgoingBody;
use wasmtime_wasi_http::p2::types::{HostFutureIncomingResponse, HostOutgoingRequest, HostOutgoingResponse};

use super::Host;
use crate::limits::{
    AUTHORITY_BYTES_MAX, BODY_CHUNK_BYTES, HANDLE_BYTES_MAX, METHOD_BYTES_MAX, PATH_BYTES_MAX,
};

/// Memory of a header, its text excluded.
const ENTRY_BYTES: usize = 64;

/// Memory of a body: one chunk in its channel, and one that is written.
const BODY_BYTES: usize = 2 * BODY_CHUNK_BYTES;

/// The words of the trap at the budget, for the message.
pub(crate) const EXHAUSTED: &str = "host memory behind handles";

/// What an instance keeps behind its handles.
#[derive(Debug, Default)]
pub(super) struct Handles {
    bytes: usize,
    /// By the number of the handle.
    kept: HashMap<u32, usize>,
}

impl Handles {
    fn charge(&mut self, bytes: usize) -> Result<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > HANDLE_BYTES_MAX {
            bail!("{EXHAUSTED}");
        }
        Ok(())
    }

    /// Bytes that were charged stay for as long as this handle.
    fn keep(&mut self, handle: u32, bytes: usize) {
        if bytes > 0 {
            *self.kept.entry(handle).or_default() += bytes;
        }
    }

    /// The first handle became the second one.
    fn move_to(&mut self, from: u32, to: u32) {
        let bytes = self.kept.remove(&from).unwrap_or(0);
        self.keep(to, bytes);
    }

    /// The bytes of a handle that is dropped.
    fn give_back(&mut self, handle: u32) -> usize {
        let bytes = self.kept.remove(&handle).unwrap_or(0);
        self.bytes = self.bytes.saturating_sub(bytes);
        bytes
    }
}

impl Host {
    fn charge(&mut self, bytes: usize) -> Result<()> {
        self.handles.charge(bytes)?;
        self.memory.charge(bytes)
    }

    fn charge_for<T: 'static>(&mut self, handle: &Resource<T>, bytes: usize) -> Result<()> {
        self.charge(bytes)?;
        self.handles.keep(handle.rep(), bytes);
        Ok(())
    }

    fn give_back(&mut self, handle: u32) {
        let bytes = self.handles.give_back(handle);
        self.memory.give_back(bytes);
    }
}

type Store<'a> = StoreContextMut<'a, Host>;
type Request = Resource<HostOutgoingRequest>;
type Response = Resource<HostOutgoingResponse>;
type Future = Resource<HostFutureIncomingResponse>;
type Body = Result<(Result<Resource<HostOutgoingBody>, ()>,)>;
type Fields = Resource<FieldMap>;
type Set = Result<(Result<(), ()>,)>;
type SetHeader = Result<(Result<(), types::HeaderError>,)>;

/// Puts the functions before wasmtime's own.
pub(crate) fn link(linker: &mut Linker<Host>) -> Result<()> {
    linker.allow_shadowing(true);
    let mut types = linker.instance("wasi:http/types@0.2.12")?;
    types.resource("fields", ResourceType::host::<FieldMap>(), drop_fields)?;
    types.resource("outgoing-request", ResourceType::host::<HostOutgoingRequest>(), drop_request)?;
    types.resource("outgoing-response", ResourceType::host::<HostOutgoingResponse>(), drop_response)?;
    let future = ResourceType::host::<HostFutureIncomingResponse>();
    types.resource("future-incoming-response", future, drop_future)?;
    types.func_wrap("[constructor]outgoing-request", request)?;
    types.func_wrap("[constructor]outgoing-response", response)?;
    types.func_wrap("[static]outgoing-body.finish", finish)?;
    types.func_wrap("[method]outgoing-request.set-method", set_method)?;
    types.func_wrap("[method]outgoing-request.set-authority", set_authority)?;
    types.func_wrap("[method]outgoing-request.set-path-with-query", set_path)?;
    types.func_wrap("[method]outgoing-request.body", body)?;
    types.func_wrap("[method]outgoing-response.body", response_body)?;
    types.func_wrap("[static]fields.from-list", from_list)?;
    types.func_wrap("[method]fields.set", set)?;
    types.func_wrap("[method]fields.append", append)?;
    types.func_wrap("[method]fields.clone", clone)?;
    linker.instance("wasi:http/outgoing-handler@0.2.12")?.func_wrap("handle", handle)?;
    linker.allow_shadowing(false);
    Ok(())
}

fn drop_fields(mut store: Store<'_>, handle: u32) -> Result<()> {
    store.data_mut().give_back(handle);
    HostFields::drop(&mut store.data_mut().http(), Resource::new_own(handle))
}

fn drop_request(mut store: Store<'_>, handle: u32) -> Result<()> {
    store.data_mut().give_back(handle);
    types::HostOutgoingRequest::drop(&mut store.data_mut().http(), Resource::new_own(handle))
}

fn drop_response(mut store: Store<'_>, handle: u32) -> Result<()> {
    store.data_mut().give_back(handle);
    types::HostOutgoingResponse::drop(&mut store.data_mut().http(), Resource::new_own(handle))
}

/// The component has the answer, or gave the request up.
fn drop_future(mut store: Store<'_>, handle: u32) -> Result<()> {
    store.data_mut().give_back(handle);
    types::HostFutureIncomingResponse::drop(&mut store.data_mut().http(), Resource::new_own(handle))
}

fn request(mut store: Store<'_>, (headers,): (Fields,)) -> Result<(Request,)> {
    let (host, fields) = (store.data_mut(), headers.rep());
    let request = types::HostOutgoingRequest::new(&mut host.http(), headers)?;
    host.handles.move_to(fields, request.rep());
    Ok((request,))
}

fn response(mut store: Store<'_>, (headers,): (Fields,)) -> Result<(Response,)> {
    let (host, fields) = (store.data_mut(), headers.rep());
    let response = types::HostOutgoingResponse::new(&mut host.http(), headers)?;
    host.handles.move_to(fields, response.rep());
    Ok((response,))
}

/// Sends a request, whose bytes are counted until its answer is dropped.
fn handle(
    mut store: Store<'_>,
    (request, options): (Request, Option<Resource<RequestOptions>>),
) -> Result<(Result<Future, ErrorCode>,)> {
    let (host, handle) = (store.data_mut(), request.rep());
    match host.http().handle(request, options) {
        Ok(future) => {
            host.handles.move_to(handle, future.rep());
            Ok((Ok(future),))
        }
        Err(error) => {
            host.give_back(handle);
            Ok((Err(host.http().convert_error_code(error)?),))
        }
    }
}

fn finish(
    mut store: Store<'_>,
    (body, trailers): (Resource<HostOutgoingBody>, Option<Fields>),
) -> Result<(Result<(), ErrorCode>,)> {
    let host = store.data_mut();
    if let Some(trailers) = &trailers {
        host.handles.kept.remove(&trailers.rep());
    }
    match types::HostOutgoingBody::finish(&mut host.http(), body, trailers) {
        Ok(()) => Ok((Ok(()),)),
        Err(error) => Ok((Err(host.http().convert_error_code(error)?),)),
    }
}

fn set_method(mut store: Store<'_>, (request, method): (Request, Method)) -> Set {
    if matches!(&method, Method::Other(name) if name.len() > METHOD_BYTES_MAX) {
        return Ok((Err(()),));
    }
    Ok((store.data_mut().http().set_method(request, method)?,))
}

fn set_authority(mut store: Store<'_>, (request, authority): (Request, Option<String>)) -> Set {
    let host = store.data_mut();
    let bytes = authority.as_ref().map_or(0, String::len);
    if bytes > AUTHORITY_BYTES_MAX {
        return Ok((Err(()),));
    }
    host.charge_for(&request, bytes)?;
    Ok((host.http().set_authority(request, authority)?,))
}

fn set_path(mut store: Store<'_>, (request, path): (Request, Option<String>)) -> Set {
    let host = store.data_mut();
    let bytes = path.as_ref().map_or(0, String::len);
    if bytes > PATH_BYTES_MAX {
        return Ok((Err(()),));
    }
    host.charge_for(&request, bytes)?;
    Ok((host.http().set_path_with_query(request, path)?,))
}

fn body(mut store: Store<'_>, (request,): (Request,)) -> Body {
    let host = store.data_mut();
    host.charge_for(&request, BODY_BYTES)?;
    // Responses have a method of this name as well.
    Ok((types::HostOutgoingRequest::body(&mut host.http(), request)?,))
}

/// A connector answers no request; it may create answers all the same.
fn response_body(mut store: Store<'_>, (response,): (Response,)) -> Body {
    let host = store.data_mut();
    host.charge_for(&response, BODY_BYTES)?;
    Ok((types::HostOutgoingResponse::body(&mut host.http(), response)?,))
}

fn from_list(
    mut store: Store<'_>,
    (entries,): (Vec<(String, Vec<u8>)>,),
) -> Result<(Result<Fields, types::HeaderError>,)> {
    let host = store.data_mut();
    let bytes = |(name, value): &(String, Vec<u8>)| name.len() + value.len() + ENTRY_BYTES;
    let bytes = entries.iter().map(bytes).sum();
    host.charge(bytes)?;
    let made = host.http().from_list(entries);
    if let Ok(fields) = &made {
        host.handles.keep(fields.rep(), bytes);
    }
    header(host, made)
}

fn set(mut store: Store<'_>, (fields, name, values): (Fields, String, Vec<Vec<u8>>)) -> SetHeader {
    let host = store.data_mut();
    let bytes: usize = values.iter().map(|value| value.len() + ENTRY_BYTES).sum();
    host.charge_for(&fields, name.len() + bytes)?;
    let done = host.http().set(fields, name, values);
    header(host, done)
}

fn append(mut store: Store<'_>, (fields, name, value): (Fields, String, Vec<u8>)) -> SetHeader {
    let host = store.data_mut();
    host.charge_for(&fields, name.len() + value.len() + ENTRY_BYTES)?;
    let done = host.http().append(fields, name, value);
    header(host, done)
}

/// Shares the headers until either is changed, and is charged as the copy that it then becomes.
fn clone(mut store: Store<'_>, (fields,): (Fields,)) -> Result<(Fields,)> {
    let host = store.data_mut();
    let entry = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + ENTRY_BYTES;
    let bytes = host.table().get(&fields)?.iter().map(entry).sum();
    host.charge(bytes)?;
    let copy = HostFields::clone(&mut host.http(), fields)?;
    host.handles.keep(copy.rep(), bytes);
    Ok((copy,))
}

/// The component gets its own mistakes as values; a broken limit stops it.
fn header<T>(host: &mut Host, done: Result<T, HeaderError>) -> Result<(Result<T, types::HeaderError>,)> {
    match done {
        Ok(value) => Ok((Ok(value),)),
        Err(error) => Ok((Err(host.http().convert_header_error(error)?),)),
    }
}

#[cfg(test)]
mod tests {
    use super::{HANDLE_BYTES_MAX, Handles};

    #[test]
    fn bytes_are_counted_until_the_last_of_their_handles_is_dropped() {
        let mut handles = Handles::default();
        for _ in 0..10_000 {
            handles.charge(HANDLE_BYTES_MAX / 2).expect("nothing else is kept");
            handles.keep(1, HANDLE_BYTES_MAX / 4);
            handles.keep(1, HANDLE_BYTES_MAX / 4);
            // Into a request with the number that is free again, and into its answer.
            handles.move_to(1, 1);
            handles.move_to(1, 7);
            assert_eq!(handles.give_back(1), 0);
            assert_eq!(handles.give_back(7), HANDLE_BYTES_MAX / 2);
        }
        handles.charge(HANDLE_BYTES_MAX).expect("as much as there is");
        handles.charge(1).expect_err("more");
    }
}
