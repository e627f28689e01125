//! The ingress through sockets on loopback: accepted and rejected requests, overload, kills, TLS.
//!
//! Requests are written as bytes, so that a test can send part of one.

mod support;

mod durability;
mod overload;
mod pages;
mod refusals;
mod takes;
mod tls;
