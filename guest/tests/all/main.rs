//! The guest's decisions through a scripted transport, natively: no network, no component, milliseconds.

mod departments;
mod desk;
mod following;
mod reading;
mod receiving;
mod signer;
mod snapshots;
mod subscribing;
