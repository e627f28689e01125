//! Raw bindings to the contract, `wit/source.wit`. The only binding macro of this crate.
//!
//! [`crate::conv`] converts their types to the runner's. Only it, [`crate::engine`] and [`crate::sandbox`]
//! use them.

mod generated {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "connector:source/source-connector",
        exports: { default: async },
        with: {
            "wasi:http": wasmtime_wasi_http::p2::bindings::http,
            "wasi:io": wasmtime_wasi::p2::bindings::io,
            "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
        },
    });
}

pub(crate) use generated::exports::connector::source::source;
pub(crate) use generated::exports::connector::source::types;
pub(crate) use generated::exports::connector::source::webhook;
pub(crate) use generated::{SourceConnector, SourceConnectorPre};
