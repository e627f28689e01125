//! Raw bindings to the contract and to WASI. The only binding macro of this crate.
#![allow(unsafe_code, unsafe_op_in_unsafe_fn, unreachable_pub, clippy::all, reason = "generated")]

wit_bindgen::generate!({
    path: "../../wit",
    world: "source-connector",
    generate_all,
});

use super::Component;
export!(Component);
