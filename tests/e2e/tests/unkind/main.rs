//! A real organization's day: the real binary and component in worlds that are not kind. Each test ends equal
//! to the truth where its world allows it, with a bounded number of calls.

#[path = "../all"]
#[allow(dead_code, unused_imports, reason = "the other binary of tests uses the rest")]
mod shared {
    pub(crate) mod compare;
    pub(crate) mod support;
}

mod truth;
mod world;

mod bulk;
mod clock;
mod credits;
mod million;
mod persistent;
mod readings;
mod records;
mod transport;

use shared::{compare, support};
