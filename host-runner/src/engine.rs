//! The wasmtime engine and its components: compiled once, checked against the contract, linked.
//!
//! Provides wasi:http, wasi:io and wasi:clocks to a component and nothing else. Knows nothing of connections;
//! [`crate::sandbox`] creates instances.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use tokio::sync::OnceCell;
use wasmtime::component::{Component as Code, HasData, Linker, ResourceTable};
use wasmtime::{Config, InstanceAllocationStrategy, PoolingAllocationConfig};
use wasmtime_wasi::clocks::WasiClocks;
use wasmtime_wasi_http::WasiHttp;

pub(crate) use self::cache::Cache;
use self::permits::Permits;
use crate::bindings::SourceConnectorPre;
use crate::describe::Describe;
use crate::digest::sha256_hex;
use crate::error::{Error, Kind, Result};
use crate::limits;
use crate::store_data::budget::Budget;
use crate::store_data::{Host, handles};

mod cache;
mod file;
pub(crate) mod permits;
mod section;

/// The interfaces a component may import, without their version.
pub(crate) const IMPORTS_ALLOWED: [&str; 7] = [
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:http/outgoing-handler",
    "wasi:http/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
];

/// The WASI releases that are linked; each 0.2 release only adds to the earlier ones.
const WASI_TRACK: &str = "0.2.";

/// The interface that a component must export, with the major and minor version.
const CONTRACT: &str = "connector:source/source@0.1.";

/// The engine; one per process.
#[derive(Clone)]
pub struct Engine {
    engine: wasmtime::Engine,
    linker: Arc<Linker<Host>>,
    permits: Permits,
    memory: Budget,
    cache: Option<Cache>,
    /// Each loaded file: connections of one component share it.
    loaded: Arc<Mutex<HashMap<PathBuf, Loaded>>>,
    /// Held while one is compiled: it takes all cores, and much memory.
    compiling: Arc<Mutex<()>>,
}

/// When a file was modified, and its bytes; none if it is unknown.
type Stamp = Option<(SystemTime, u64)>;

/// A compiled file. It is read again once its stamp differs.
#[derive(Clone)]
struct Loaded {
    stamp: Stamp,
    sha256: String,
    size: usize,
    code: Code,
    section: Option<Arc<Describe>>,
    described: Arc<OnceCell<Arc<Describe>>>,
    pre: Arc<OnceLock<SourceConnectorPre<Host>>>,
}

/// A component on disk: compiled, not yet allowed to run.
pub struct Component {
    code: Code,
    engine: wasmtime::Engine,
    linker: Arc<Linker<Host>>,
    permits: Permits,
    memory: Budget,
    /// The description in its section: hosts that can be audited without running it.
    pub(crate) section: Option<Arc<Describe>>,
    /// Its `describe` document, once it was called.
    pub(crate) described: Arc<OnceCell<Arc<Describe>>>,
    /// Its code with its imports, once it was linked: connections share it.
    pre: Arc<OnceLock<SourceConnectorPre<Host>>>,
    /// The file.
    pub path: PathBuf,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// Bytes of the file.
    pub size: usize,
    /// Names of imported interfaces.
    pub imports: Vec<String>,
    /// Names of exported interfaces.
    pub exports: Vec<String>,
}

/// A component whose imports are linked.
#[derive(Clone)]
pub(crate) struct Linked {
    pub(crate) engine: wasmtime::Engine,
    pub(crate) pre: SourceConnectorPre<Host>,
    pub(crate) permits: Permits,
    /// Of the instances of all components.
    pub(crate) memory: Budget,
}

impl Engine {
    /// Creates the engine and its epoch thread, for `instances` calls at a time, with a cache of compiled
    /// code. Each instance has the limits of its connection.
    pub fn new(instances: u32, cache: Option<Cache>) -> Result<Self> {
        let slots = instances.saturating_add(limits::OFFLINE_INSTANCES);
        let engine = wasmtime::Engine::new(&config(Some(slots)))
            .or_else(|error| {
                tracing::debug!(%error, "no address space for pooled instances; allocating on demand");
                wasmtime::Engine::new(&config(None))
            })
            .map_err(|error| Error::host(format!("sandbox: the engine cannot be created: {error:#}")))?;
        tick(&engine)?;
        let linker =
            link(&engine).map_err(|error| Error::host(format!("sandbox: cannot be linked: {error:#}")))?;
        let permits = Permits::new(instances as usize, limits::OFFLINE_INSTANCES as usize);
        let memory = Budget::of_machine(slots as usize);
        let (linker, loaded, compiling) = (Arc::new(linker), Arc::default(), Arc::default());
        Ok(Self { engine, linker, permits, memory, cache, loaded, compiling })
    }

    /// Reads a component and compiles it, or loads its code from the cache.
    pub fn load(&self, path: &Path) -> Result<Component> {
        let Loaded { sha256, size, code, section, described, pre, .. } = self.loaded(path)?;
        let shape = code.component_type();
        let names = |name: &str| name.to_owned();
        Ok(Component {
            imports: shape.imports(&self.engine).map(|(name, _)| names(name)).collect(),
            exports: shape.exports(&self.engine).map(|(name, _)| names(name)).collect(),
            code,
            engine: self.engine.clone(),
            linker: Arc::clone(&self.linker),
            permits: self.permits.clone(),
            memory: self.memory.clone(),
            section,
            described,
            pre,
            path: path.to_owned(),
            sha256,
            size,
        })
    }

    /// A file as an earlier connection loaded it, unless it changed since. Others wait neither while it is
    /// read, since it may hang, nor while it is compiled, unless they need to be compiled as well.
    fn loaded(&self, path: &Path) -> Result<Loaded> {
        let stamp = std::fs::metadata(path).and_then(|file| Ok((file.modified()?, file.len()))).ok();
        if let Some(known) = self.lock().get(path).filter(|known| stamp.is_some() && known.stamp == stamp) {
            return Ok(known.clone());
        }
        let wasm = file::read(path)?;
        let sha256 = sha256_hex(&wasm);
        if let Some(known) = self.known(path, stamp, &sha256) {
            return Ok(known);
        }
        let section = section::description(&wasm).and_then(|text| text.map(Describe::parse).transpose());
        let section =
            section.map_err(|error| error.about(format!("component {}", path.display())))?.map(Arc::new);
        let unusable = |error: wasmtime::Error| {
            Error::sandbox(
                Kind::Unsupported,
                format!("component {}: not a usable component: {error:#}", path.display()),
            )
            .hint("a WebAssembly component that exports connector:source is needed")
        };
        let loaded = |code, sha256| {
            let (size, described, pre) = (wasm.len(), Arc::default(), Arc::default());
            let new = Loaded { stamp, sha256, size, code, section, described, pre };
            // Another thread may have been first: connections share its result.
            let mut all = self.lock();
            match all.get(path).filter(|known| known.sha256 == new.sha256) {
                Some(known) => known.clone(),
                None => {
                    all.insert(path.to_owned(), new.clone());
                    new
                }
            }
        };
        if let Some(code) = self.cached(&sha256) {
            return Ok(loaded(code, sha256));
        }
        let _one_at_a_time = self.compiling.lock().unwrap_or_else(PoisonError::into_inner);
        // It may have been compiled meanwhile.
        if let Some(known) = self.known(path, stamp, &sha256) {
            return Ok(known);
        }
        let code = Code::new(&self.engine, &wasm).map_err(unusable)?;
        if let Some(cache) = &self.cache {
            let name = cache::name(&self.engine, &sha256);
            if let Err(error) = cache.store(&code, &name) {
                tracing::warn!(file = name, %error, "compiled code was not cached");
            }
        }
        Ok(loaded(code, sha256))
    }

    /// A file that was loaded with this content; it has this stamp from now on.
    fn known(&self, path: &Path, stamp: Stamp, sha256: &str) -> Option<Loaded> {
        let mut loaded = self.lock();
        let known = loaded.get_mut(path).filter(|known| known.sha256 == sha256)?;
        known.stamp = stamp;
        Some(known.clone())
    }

    fn cached(&self, sha256: &str) -> Option<Code> {
        self.cache.as_ref()?.load(&self.engine, &cache::name(&self.engine, sha256))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, Loaded>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Component {
    /// Links the component; an error if it imports another interface or does not follow the contract.
    pub(crate) fn link(&self) -> Result<Linked> {
        let refuse = |what: String| {
            Error::sandbox(Kind::Unsupported, format!("component {}: {what}", self.path.display()))
        };
        if let Some(import) = self.imports.iter().find(|import| !is_allowed(import)) {
            return Err(refuse(format!("imports `{import}`, which this sandbox does not provide"))
                .hint(format!("a connector may import {}", IMPORTS_ALLOWED.join(", "))));
        }
        if !self.exports.iter().any(|export| export.starts_with(CONTRACT)) {
            return Err(refuse(format!("does not export `{CONTRACT}x`"))
                .hint("build the connector against the contract in wit/source.wit, version 0.1"));
        }
        let pre = match self.pre.get() {
            Some(pre) => pre.clone(),
            None => {
                let pre = self.linker.instantiate_pre(&self.code).and_then(SourceConnectorPre::new);
                let pre = pre.map_err(|error| refuse(format!("does not fit the contract: {error:#}")))?;
                self.pre.get_or_init(|| pre).clone()
            }
        };
        let (permits, memory) = (self.permits.clone(), self.memory.clone());
        Ok(Linked { engine: self.engine.clone(), pre, permits, memory })
    }
}

fn is_allowed(import: &str) -> bool {
    import
        .split_once('@')
        .is_some_and(|(name, version)| IMPORTS_ALLOWED.contains(&name) && version.starts_with(WASI_TRACK))
}

fn config(pool_slots: Option<u32>) -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true);
    if let Some(slots) = pool_slots {
        let mut pool = PoolingAllocationConfig::new();
        let each = limits::CORE_INSTANCES_MAX as u32;
        let (cores, memories) = (slots * each, limits::MEMORIES_MAX as u32);
        // A slot is address space; its store limits the memory that it commits.
        pool.total_component_instances(slots)
            .total_core_instances(cores)
            .total_memories(slots * memories)
            .total_tables(cores)
            .total_stacks(slots)
            .max_memory_size(limits::MEMORY_BYTES_MAX)
            .table_elements(limits::TABLE_ELEMENTS_MAX)
            .max_core_instances_per_component(each)
            .max_tables_per_component(each)
            .max_memories_per_component(memories);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    config
}

/// Starts the thread that counts epochs until the engine is dropped.
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
        .map_err(|error| Error::host(format!("sandbox: no thread for its epochs: {error}")))
}

/// The location of the resources of wasi:io, for the linker.
struct Io;

impl HasData for Io {
    type Data<'a> = &'a mut ResourceTable;
}

fn link(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<Host>> {
    use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
    use wasmtime_wasi::p2::bindings::io::{error, poll, streams};
    use wasmtime_wasi_http::p2::bindings::http::{outgoing_handler, types};
    let mut linker = Linker::new(engine);
    let l = &mut linker;
    error::add_to_linker::<Host, Io>(l, Host::table)?;
    poll::add_to_linker::<Host, Io>(l, Host::table)?;
    streams::add_to_linker::<Host, Io>(l, Host::table)?;
    wall_clock::add_to_linker::<Host, WasiClocks>(l, Host::clocks)?;
    monotonic_clock::add_to_linker::<Host, WasiClocks>(l, Host::clocks)?;
    types::add_to_linker::<Host, WasiHttp>(l, &types::LinkOptions::default(), Host::http)?;
    outgoing_handler::add_to_linker::<Host, WasiHttp>(l, Host::http)?;
    handles::link(l)?;
    Ok(linker)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::process::Command;

    use super::{Cache, Engine, is_allowed};
    use crate::key::Key;
    use crate::loaded::tiny;

    #[test]
    fn a_component_that_hangs_delays_no_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let hangs = folder.path().join("hangs.wasm");
        assert!(Command::new("mkfifo").arg(&hangs).status().expect("mkfifo").success());
        let engine = Engine::new(1, None).expect("an engine");
        std::thread::scope(|scope| {
            let hanging = scope.spawn(|| engine.load(&hangs).map(drop));
            // Opens once there is a reader, which waits for its content.
            let writer = File::options().write(true).open(&hangs).expect("opened");
            engine.load(&tiny::component()).expect("loaded");
            drop(writer);
            hanging.join().expect("no panic").expect_err("it is empty");
        });
    }

    #[test]
    fn one_that_is_compiled_delays_none_that_is_loaded_or_cached() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = Key::from_bytes([7; 32]);
        let cache = || Some(Cache::new(folder.path().join("cache"), &key));
        let engine = Engine::new(1, cache()).expect("an engine");
        engine.load(&tiny::component()).expect("compiled");
        let another = Engine::new(1, cache()).expect("an engine");
        for engine in [engine, another] {
            let _compiling = engine.compiling.lock().expect("free");
            engine.load(&tiny::component()).expect("loaded");
        }
    }

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
