//! Webhooks: the subscription at Zoho, and deliveries to changes.

mod subscription;

mod registration;

mod delivery;
mod events;
mod plan;
mod refetch;
mod trust;

pub mod signature;

pub mod keys;
mod signing_keys;

pub(crate) use delivery::Receiver;
pub use delivery::{Delivery, Receipt};
pub(crate) use subscription::{check, subscribe, unsubscribe};
