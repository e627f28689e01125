//! The HTTP server: connections, requests, answers, and the faults, limits and counts applied to them.

pub(crate) mod answer;
pub(crate) mod broken;
pub(crate) mod error;
pub(crate) mod faults;
pub(crate) mod meter;
pub(crate) mod request;
pub(crate) mod request_log;
pub(crate) mod rules;
pub(crate) mod server;
