//! Behaviour of the simulator, held against `zoho-desk-api.md`. One binary, a client of its own.

mod changes;
mod client;
mod faults;
mod limits;
mod oauth;
mod paging;
mod receiver;
mod shapes;
mod support;
mod webhooks;
