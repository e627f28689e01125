//! Host memory behind the handles of one instance: a budget in bytes for what the component puts there.
//!
//! wasmtime bounds the number of handles and the bytes of one call, not the strings and bodies that stay
//! behind the handles. These functions come before wasmtime's own in the linker: they count, and call them.
//! The count never falls: an instance is replaced long before an honest component reaches the budget.

use wasmtime::component::{Linker, Resource};
use wasmtime::{Result, StoreContextMut, bail};
use wasmtime_wasi_http::FieldMap;
use wasmtime_wasi_http::p2::HeaderError;
use wasmtime_wasi_http::p2::bindings::http::types::{
    self, Host as _, HostFields as _, HostOutgoingRequest as _, Method,
};
use wasmtime_wasi_http::p2::body::HostOutgoingBody;
use wasmtime_wasi_http::p2::types::HostOutgoingRequest;

use super::Host;
use crate::limits::{
    AUTHORITY_BYTES_MAX, BODY_CHUNK_BYTES, HANDLE_BYTES_MAX, METHOD_BYTES_MAX, PATH_BYTES_MAX,
};

/// Memory of a header, its text excluded.
const ENTRY_BYTES: usize = 64;

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

type Store<'a> = StoreContextMut<'a, Host>;
type Request = Resource<HostOutgoingRequest>;
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
    types.func_wrap("[static]fields.from-list", from_list)?;
    types.func_wrap("[method]fields.set", set)?;
    types.func_wrap("[method]fields.append", append)?;
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
    host.handles.charge(bytes)?;
    Ok((host.http().set_authority(request, authority)?,))
}

fn set_path(mut store: Store<'_>, (request, path): (Request, Option<String>)) -> Set {
    let host = store.data_mut();
    let bytes = path.as_ref().map_or(0, String::len);
    if bytes > PATH_BYTES_MAX {
        return Ok((Err(()),));
    }
    host.handles.charge(bytes)?;
    Ok((host.http().set_path_with_query(request, path)?,))
}

fn body(mut store: Store<'_>, (request,): (Request,)) -> Result<(Result<Resource<HostOutgoingBody>, ()>,)> {
    let host = store.data_mut();
    // One chunk in the channel, and one that is written.
    host.handles.charge(2 * BODY_CHUNK_BYTES)?;
    Ok((host.http().body(request)?,))
}

fn from_list(
    mut store: Store<'_>,
    (entries,): (Vec<(String, Vec<u8>)>,),
) -> Result<(Result<Fields, types::HeaderError>,)> {
    let host = store.data_mut();
    let bytes = |(name, value): &(String, Vec<u8>)| name.len() + value.len() + ENTRY_BYTES;
    host.handles.charge(entries.iter().map(bytes).sum())?;
    let made = host.http().from_list(entries);
    header(host, made)
}

fn set(mut store: Store<'_>, (fields, name, values): (Fields, String, Vec<Vec<u8>>)) -> SetHeader {
    let host = store.data_mut();
    let bytes: usize = values.iter().map(|value| value.len() + ENTRY_BYTES).sum();
    host.handles.charge(name.len() + bytes)?;
    let done = host.http().set(fields, name, values);
    header(host, done)
}

fn append(mut store: Store<'_>, (fields, name, value): (Fields, String, Vec<u8>)) -> SetHeader {
    let host = store.data_mut();
    host.handles.charge(name.len() + value.len() + ENTRY_BYTES)?;
    let done = host.http().append(fields, name, value);
    header(host, done)
}

/// The component gets its own mistakes as values; a broken limit stops it.
fn header<T>(host: &mut Host, done: Result<T, HeaderError>) -> Result<(Result<T, types::HeaderError>,)> {
    match done {
        Ok(value) => Ok((Ok(value),)),
        Err(error) => Ok((Err(host.http().convert_header_error(error)?),)),
    }
}
