//! The server: connections, requests, answers, and what happens to them on the way.

pub(crate) mod answer;
pub(crate) mod error;
pub(crate) mod faults;
pub(crate) mod journal;
pub(crate) mod meter;
pub(crate) mod request;
pub(crate) mod server;
