//! The connector's decisions through a scripted transport: native, without network or component.

mod desk;
mod setup;
mod signer;

mod attachments;
mod batches;
mod credits;
mod lists;
mod snapshots;
mod windows;

mod departments;
mod given_up;
mod incremental;
mod listings;
mod outages;
mod sorted;
mod verification;

mod bounds;
mod deliveries;
mod events;
mod subscription;
mod together;
mod trust;

mod access;
