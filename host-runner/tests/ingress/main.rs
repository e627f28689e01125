//! The ingress through real sockets on loopback: what it takes, what it refuses, and what it survives.
//!
//! Requests are written byte by byte, so that half a request is as easy as a whole one.

mod support;

mod durability;
mod overload;
mod pages;
mod refusals;
mod takes;
mod tls;
