//! The engine and the components it has compiled: made once, checked against the contract, linked.
//!
//! Gives a component wasi:http, wasi:io and wasi:clocks and nothing else. Knows nothing of
//! connections; [`crate::sandbox`] makes instances.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::{Component as Code, HasData, Linker, ResourceTable};
use wasmtime::{Config, InstanceAllocationStrategy, PoolingAllocationConfig};
use wasmtime_wasi::clocks::WasiClocks;
use wasmtime_wasi_http::WasiHttp;

use crate::bindings::SourceConnectorPre;
use crate::error::{Error, Kind, Result};
use crate::guest::Guest;
use crate::limits;

mod cache;

/// The interfaces a component may import, without their version.
pub const IMPORTS_ALLOWED: [&str; 7] = [
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:http/outgoing-handler",
    "wasi:http/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
];

/// The WASI releases that are linked; a later 0.2 only adds to an earlier one.
const WASI_TRACK: &str = "0.2.";

/// What a component must export to run here.
const CONTRACT: &str = "connector:source/source@0.1.";

/// One per process.
#[derive(Clone)]
pub struct Engine {
    engine: wasmtime::Engine,
    linker: Arc<Linker<Guest>>,
    seats: Arc<Semaphore>,
    cache: Option<PathBuf>,
    /// The code of each file that was loaded, with its hash: connections of one component share it.
    loaded: Arc<Mutex<HashMap<PathBuf, (String, Code)>>>,
}

/// A component on disk: compiled, not yet allowed to run.
pub struct Component {
    code: Code,
    engine: wasmtime::Engine,
    linker: Arc<Linker<Guest>>,
    seats: Arc<Semaphore>,
    /// Where it was read.
    pub path: PathBuf,
    /// Of the file, in hexadecimal.
    pub sha256: String,
    /// Bytes of the file.
    pub size: usize,
    /// Names of imported interfaces.
    pub imports: Vec<String>,
    /// Names of exported interfaces.
    pub exports: Vec<String>,
}

/// A component that may run.
#[derive(Clone)]
pub(crate) struct Linked {
    pub(crate) engine: wasmtime::Engine,
    pub(crate) pre: SourceConnectorPre<Guest>,
    seats: Arc<Semaphore>,
}

/// The right to have an instance, for as long as it lives.
pub(crate) struct Seat(#[expect(dead_code, reason = "held, then dropped")] OwnedSemaphorePermit);

impl Linked {
    /// Waits for a seat; they are given in the order of asking.
    pub(crate) async fn seat(&self) -> Result<Seat> {
        let seat = Arc::clone(&self.seats).acquire_owned().await;
        seat.map(Seat).map_err(|error| Error::host(format!("sandbox: {error}")))
    }

    /// Whether another instance would have to wait: who has one should give it back.
    pub(crate) fn is_full(&self) -> bool {
        self.seats.available_permits() == 0
    }
}

impl Engine {
    /// Makes the engine and its clock. Instances may have up to `memory_bytes` of memory; compiled
    /// code is kept under `cache`.
    pub fn new(memory_bytes: usize, cache: Option<PathBuf>) -> Result<Self> {
        let engine = wasmtime::Engine::new(&config(Some(memory_bytes)))
            .or_else(|error| {
                tracing::debug!(%error, "no address space for pooled instances; on demand instead");
                wasmtime::Engine::new(&config(None))
            })
            .map_err(|error| Error::host(format!("sandbox: cannot be set up: {error:#}")))?;
        tick(&engine)?;
        let linker =
            link(&engine).map_err(|error| Error::host(format!("sandbox: cannot be linked: {error:#}")))?;
        let seats = Arc::new(Semaphore::new(limits::POOL_INSTANCES as usize));
        Ok(Self { engine, linker: Arc::new(linker), seats, cache, loaded: Arc::default() })
    }

    /// Reads and compiles a component, or takes its code from the cache.
    pub fn load(&self, path: &Path) -> Result<Component> {
        let wasm = std::fs::read(path).map_err(|error| {
            Error::usage(format!("component {}: {error}", path.display()))
                .hint("give the component's file with --component FILE")
        })?;
        if !wasm.starts_with(b"\0asm") {
            return Err(Error::usage(format!("component {}: not a WebAssembly file", path.display()))
                .hint("give the component's file with --component FILE"));
        }
        let sha256 = hex(&Sha256::digest(&wasm));
        let code = self.code(path, &wasm, &sha256)?;
        let shape = code.component_type();
        let names = |name: &str| name.to_owned();
        Ok(Component {
            imports: shape.imports(&self.engine).map(|(name, _)| names(name)).collect(),
            exports: shape.exports(&self.engine).map(|(name, _)| names(name)).collect(),
            code,
            engine: self.engine.clone(),
            linker: Arc::clone(&self.linker),
            seats: Arc::clone(&self.seats),
            path: path.to_owned(),
            sha256,
            size: wasm.len(),
        })
    }

    /// The code of a file: that of the connection before, if the file is the same.
    fn code(&self, path: &Path, wasm: &[u8], sha256: &str) -> Result<Code> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, code)) = loaded.get(path).filter(|(known, _)| known == sha256) {
            return Ok(code.clone());
        }
        let code = self.compile(wasm, sha256).map_err(|error| {
            Error::sandbox(
                Kind::Unsupported,
                format!("component {}: not a usable component: {error:#}", path.display()),
            )
            .hint("a WebAssembly component that exports connector:source is needed")
        })?;
        loaded.insert(path.to_owned(), (sha256.to_owned(), code.clone()));
        Ok(code)
    }

    fn compile(&self, wasm: &[u8], sha256: &str) -> wasmtime::Result<Code> {
        let Some(folder) = &self.cache else {
            return Code::new(&self.engine, wasm);
        };
        let file = folder.join(cache::name(&self.engine, sha256));
        if let Some(code) = cache::load(&self.engine, &file) {
            return Ok(code);
        }
        let code = Code::new(&self.engine, wasm)?;
        if let Err(error) = cache::store(&code, folder, &file) {
            tracing::warn!(file = %file.display(), %error, "compiled code was not kept");
        }
        Ok(code)
    }
}

impl Component {
    /// Refuses, in words, what the sandbox does not give and what does not follow the contract.
    pub(crate) fn link(&self) -> Result<Linked> {
        let refuse = |what: String| {
            Error::sandbox(Kind::Unsupported, format!("component {}: {what}", self.path.display()))
        };
        if let Some(import) = self.imports.iter().find(|import| !is_allowed(import)) {
            return Err(refuse(format!("imports `{import}`, which this sandbox does not give"))
                .hint(format!("a connector may import {}", IMPORTS_ALLOWED.join(", "))));
        }
        if !self.exports.iter().any(|export| export.starts_with(CONTRACT)) {
            return Err(refuse(format!("does not export `{CONTRACT}x`"))
                .hint("build the connector against the contract in wit/source.wit, version 0.1"));
        }
        let pre = self.linker.instantiate_pre(&self.code).and_then(SourceConnectorPre::new);
        let pre = pre.map_err(|error| refuse(format!("does not fit the contract: {error:#}")))?;
        Ok(Linked { engine: self.engine.clone(), pre, seats: Arc::clone(&self.seats) })
    }
}

fn is_allowed(import: &str) -> bool {
    import
        .split_once('@')
        .is_some_and(|(name, version)| IMPORTS_ALLOWED.contains(&name) && version.starts_with(WASI_TRACK))
}

fn config(pool_memory_bytes: Option<usize>) -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true);
    if let Some(memory_bytes) = pool_memory_bytes {
        let mut pool = PoolingAllocationConfig::new();
        let cores = limits::POOL_INSTANCES * 4;
        pool.total_component_instances(limits::POOL_INSTANCES)
            .total_core_instances(cores)
            .total_memories(limits::POOL_INSTANCES)
            .total_tables(cores)
            .total_stacks(limits::POOL_INSTANCES)
            .max_memory_size(memory_bytes)
            .table_elements(limits::TABLE_ELEMENTS_MAX);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    config
}

/// Counts epochs for as long as the engine lives.
fn tick(engine: &wasmtime::Engine) -> Result<()> {
    let weak = engine.weak();
    let count = move || {
        while let Some(engine) = weak.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(limits::EPOCH);
        }
    };
    std::thread::Builder::new()
        .name("epochs".into())
        .spawn(count)
        .map(drop)
        .map_err(|error| Error::host(format!("sandbox: no thread for its clock: {error}")))
}

/// Says to the linker where the resources of wasi:io are.
struct Io;

impl HasData for Io {
    type Data<'a> = &'a mut ResourceTable;
}

fn link(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<Guest>> {
    use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
    use wasmtime_wasi::p2::bindings::io::{error, poll, streams};
    use wasmtime_wasi_http::p2::bindings::http::{outgoing_handler, types};
    let mut linker = Linker::new(engine);
    let l = &mut linker;
    error::add_to_linker::<Guest, Io>(l, Guest::table)?;
    poll::add_to_linker::<Guest, Io>(l, Guest::table)?;
    streams::add_to_linker::<Guest, Io>(l, Guest::table)?;
    wall_clock::add_to_linker::<Guest, WasiClocks>(l, Guest::clocks)?;
    monotonic_clock::add_to_linker::<Guest, WasiClocks>(l, Guest::clocks)?;
    types::add_to_linker::<Guest, WasiHttp>(l, &types::LinkOptions::default(), Guest::http)?;
    outgoing_handler::add_to_linker::<Guest, WasiHttp>(l, Guest::http)?;
    Ok(linker)
}

/// Bytes in hexadecimal.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::is_allowed;

    #[test]
    fn only_http_io_and_clocks_of_wasi_0_2_may_be_imported() {
        assert!(is_allowed("wasi:http/types@0.2.12"));
        assert!(is_allowed("wasi:io/poll@0.2.0"));
        for import in [
            "wasi:http/types@0.3.0",
            "wasi:http/types",
            "wasi:http/incoming-handler@0.2.12",
            "wasi:filesystem/types@0.2.12",
            "wasi:sockets/tcp@0.2.12",
            "wasi:cli/environment@0.2.12",
            "wasi:random/random@0.2.12",
            "other:thing/api@0.2.0",
            "log",
        ] {
            assert!(!is_allowed(import), "{import}");
        }
    }
}
