//! The behavior of the simulator, tested against `zoho-desk-api.md` ("the reference") with a separate HTTP
//! client and a second implementation of signatures.

mod client;
mod receiver;
mod support;

mod admin;
mod bulk;
mod changes;
mod deliveries;
mod faults;
mod limits;
mod oauth;
mod others;
mod paging;
mod program;
mod readings;
mod rules;
mod shapes;
mod signatures;
mod webhooks;
