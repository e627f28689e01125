//! Host memory behind the handles of one instance: a budget in bytes for what the component puts there.
//!
//! wasmtime bounds the number of handles and the bytes of one call, not the strings and bodies that stay
//! behind the handles. These functions come before wasmtime's own in the linker: they count, and call them.
//! The count never falls: an instance is replaced long before an honest component reaches the budget.

use http::{HeaderName, HeaderValue};
use wasmtime::component::{Linker, Resource};
use wasmtime::{Result, StoreContextMut, bail};
use wasmtime_wasi_http::FieldMap;
use wasmtime_wasi_http::p2::HeaderError;
use wasmtime_wasi_http::p2::bindings::http::types::{
    self, Host as _, HostFields, HostOutgoingRequest as _, Method,
};
use wasmtime_wasi_http::p2::body::HostOutgoingBody;
use wasmtime_wasi_http::p2::types::{HostOutgoingRequest, HostOutgoingResponse};

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
}

impl Handles {
    fn charge(&mut self, bytes: usize) -> Result<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > HANDLE_BYTES_MAX {
            bail!("{EXHAUSTED}");
        }
        Ok(())
    }
}

impl Host {
    fn charge(&mut self, bytes: usize) -> Result<()> {
        self.handles.charge(bytes)?;
        self.memory.charge(bytes)
    }
}

type Store<'a> = StoreContextMut<'a, Host>;
type Request = Resource<HostOutgoingRequest>;
type Response = Resource<HostOutgoingResponse>;
type Body = Result<(Result<Resource<HostOutgoingBody>, ()>,)>;
type Fields = Resource<FieldMap>;
type Set = Result<(Result<(), ()>,)>;
type SetHeader = Result<(Result<(), types::HeaderError>,)>;

/// Puts the functions before wasmtime's own.
pub(crate) fn link(linker: &mut Linker<Host>) -> Result<()> {
    linker.allow_shadowing(true);
    let mut types = linker.instance("wasi:http/types@0.2.12")?;
    types.func_wrap("[method]outgoing-request.set-method", set_method)?;
    types.func_wrap("[method]outgoing-request.set-authority", set_authority)?;
    types.func_wrap("[method]outgoing-request.set-path-with-query", set_path)?;
    types.func_wrap("[method]outgoing-request.body", body)?;
    types.func_wrap("[method]outgoing-response.body", response_body)?;
    types.func_wrap("[static]fields.from-list", from_list)?;
    types.func_wrap("[method]fields.set", set)?;
    types.func_wrap("[method]fields.append", append)?;
    types.func_wrap("[method]fields.clone", clone)?;
    linker.allow_shadowing(false);
    Ok(())
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
    host.charge(bytes)?;
    Ok((host.http().set_authority(request, authority)?,))
}

fn set_path(mut store: Store<'_>, (request, path): (Request, Option<String>)) -> Set {
    let host = store.data_mut();
    let bytes = path.as_ref().map_or(0, String::len);
    if bytes > PATH_BYTES_MAX {
        return Ok((Err(()),));
    }
    host.charge(bytes)?;
    Ok((host.http().set_path_with_query(request, path)?,))
}

fn body(mut store: Store<'_>, (request,): (Request,)) -> Body {
    let host = store.data_mut();
    host.charge(BODY_BYTES)?;
    // Responses have a method of this name as well.
    Ok((types::HostOutgoingRequest::body(&mut host.http(), request)?,))
}

/// A connector answers no request; it may create answers all the same.
fn response_body(mut store: Store<'_>, (response,): (Response,)) -> Body {
    let host = store.data_mut();
    host.charge(BODY_BYTES)?;
    Ok((types::HostOutgoingResponse::body(&mut host.http(), response)?,))
}

fn from_list(
    mut store: Store<'_>,
    (entries,): (Vec<(String, Vec<u8>)>,),
) -> Result<(Result<Fields, types::HeaderError>,)> {
    let host = store.data_mut();
    let bytes = |(name, value): &(String, Vec<u8>)| name.len() + value.len() + ENTRY_BYTES;
    host.charge(entries.iter().map(bytes).sum())?;
    let made = host.http().from_list(entries);
    header(host, made)
}

fn set(mut store: Store<'_>, (fields, name, values): (Fields, String, Vec<Vec<u8>>)) -> SetHeader {
    let host = store.data_mut();
    let bytes: usize = values.iter().map(|value| value.len() + ENTRY_BYTES).sum();
    host.charge(name.len() + bytes)?;
    let done = host.http().set(fields, name, values);
    header(host, done)
}

fn append(mut store: Store<'_>, (fields, name, value): (Fields, String, Vec<u8>)) -> SetHeader {
    let host = store.data_mut();
    host.charge(name.len() + value.len() + ENTRY_BYTES)?;
    let done = host.http().append(fields, name, value);
    header(host, done)
}

/// Shares the headers until either is changed, and is charged as the copy that it then becomes.
fn clone(mut store: Store<'_>, (fields,): (Fields,)) -> Result<(Fields,)> {
    let host = store.data_mut();
    let entry = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + ENTRY_BYTES;
    let bytes = host.table().get(&fields)?.iter().map(entry).sum();
    host.charge(bytes)?;
    Ok((HostFields::clone(&mut host.http(), fields)?,))
}

/// The component gets its own mistakes as values; a broken limit stops it.
fn header<T>(host: &mut Host, done: Result<T, HeaderError>) -> Result<(Result<T, types::HeaderError>,)> {
    match done {
        Ok(value) => Ok((Ok(value),)),
        Err(error) => Ok((Err(host.http().convert_header_error(error)?),)),
    }
}
