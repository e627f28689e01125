//! The host's data in the store of one component instance: resources, limits, and hooks for HTTP requests.
//!
//! Knows nothing of the contract's calls; they are in [`crate::sandbox`].

pub(crate) mod budget;
pub(crate) mod handles;
mod memory;

use wasmtime::component::ResourceTable;
use wasmtime::{Store, UpdateDeadline};
use wasmtime_wasi::clocks::{WasiClocksCtxView, WasiClocksView};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use self::budget::Account;
use self::handles::Handles;
use self::memory::Memory;
use crate::egress::Hooks;
use crate::limits::{self, Limits};

/// The host's data in one store.
pub(crate) struct Host {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
    hooks: Hooks,
    memory: Memory,
    handles: Handles,
}

impl Host {
    /// A store with all limits in force but those of time. A component that computes yields at each epoch, so
    /// that the caller can measure its processor time.
    pub(crate) fn store(
        engine: &wasmtime::Engine,
        limits: &Limits,
        hooks: Hooks,
        memory: Account,
    ) -> Store<Self> {
        let memory = Memory::new(limits.sandbox.memory, memory);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(limits::FIELDS_BYTES_MAX);
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits::HANDLES_MAX);
        let wasi = WasiCtx::builder().build();
        let handles = Handles::default();
        let host = Self { wasi, http, table, hooks, memory, handles };
        let mut store = Store::new(engine, host);
        store.limiter(|host| &mut host.memory);
        store.set_hostcall_fuel(limits.hostcall_bytes());
        store.set_max_component_handles(limits::HANDLES_MAX);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|_| {
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
        });
        store
    }

    pub(crate) fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }

    pub(crate) fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpView::http(self)
    }

    pub(crate) fn clocks(&mut self) -> WasiClocksCtxView<'_> {
        WasiClocksView::clocks(self)
    }
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Host {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.hooks, table: &mut self.table, ctx: &mut self.http }
    }
}
