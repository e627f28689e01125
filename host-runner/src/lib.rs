//! Runs source connectors that are WebAssembly components, sandboxed, into a database.
//!
//! Knows a component by the contract in `wit/` only, and no source by name. The modules are listed in reading
//! order; [`sync`] and [`serve`] are the two ways to run a connection. Another program runs one with
//! [`embed`], which is the interface: other public modules are for the program, benchmarks and tests.
//!
//! The order that must never change: *read → commit rows and cursor together → read again*. For deliveries:
//! *journal → answer 200 → receive → commit rows and the journal position → acknowledge*.

// The data that the parts exchange.
#[doc(hidden)]
pub mod change;
#[doc(hidden)]
pub mod delivery;
#[doc(hidden)]
pub mod error;
mod limits;

// Small helpers: time, numbers with units, hashes, files that are ours alone, keys, secrets in text, the
// request to stop, threads that may hang, TLS.
mod blocking;
#[doc(hidden)]
pub mod clock;
mod digest;
mod durable;
mod files;
mod heap;
mod key;
mod secret;
mod sqlite_failure;
mod sqlite_file;
#[doc(hidden)]
pub mod stop;
mod tls;
mod units;

// Columns: when they are discovered, and their changes.
mod schema;

#[cfg(test)]
mod generated;

// Configuration, and the stored state of a connection.
#[doc(hidden)]
pub mod connection;
mod paths;
mod state;

// The component: compiled, linked, and called within limits.
mod bindings;
mod boundary;
mod conv;
#[doc(hidden)]
pub mod describe;
mod egress;
mod engine;
mod sandbox;
mod store_data;

// The same for another program.
pub mod embed;

// Sinks: where rows are committed.
#[doc(hidden)]
pub mod sinks;

// Deliveries: received, queued, and reported when missed.
#[doc(hidden)]
pub mod inbox;
#[doc(hidden)]
pub mod ingress;
#[doc(hidden)]
pub mod journal;
mod missed;
#[doc(hidden)]
pub mod webhook_url;

// The loop of one connection, and the policy for failures.
mod actor;
mod loaded;
mod policy;
mod request;

// Commands, servers, and their output.
mod check;
#[doc(hidden)]
pub mod cli;
mod dead_letters;
mod exit;
#[doc(hidden)]
pub mod metrics;

mod report;
mod serve;
mod sync;
mod telemetry;

#[doc(hidden)]
pub mod fuzzing;
