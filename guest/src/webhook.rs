//! Webhooks: keep the subscription right, and turn deliveries into changes.

pub mod events;
pub mod keys;
mod plan;
mod readback;
mod receive;
pub mod signature;
mod subscribe;

pub use receive::{Delivery, Receipt, receive};
pub use subscribe::{Subscription, check, subscribe, unsubscribe};
