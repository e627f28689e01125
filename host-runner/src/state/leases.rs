//! The seam of leases: of all runners, one at a time may write for a connection.
//!
//! Keeps the others out, as far as it can, and reports a lost lease to its holder. The rest is up to the
//! epoch ([`super::lease`]), which comes with every write. Another way to keep runners apart, for example a
//! value with a time to live that runners on several machines share, implements [`Leases`] and passes
//! `leases/conformance.rs`.

mod file;
mod memory;

#[cfg(test)]
mod conformance;

pub(super) use self::file::FileLeases;
pub(crate) use self::memory::MemoryLeases;
use crate::error::Result;
use crate::stop::Stop;

/// The lease of one connection.
pub(crate) trait Leases: Send + Sync {
    /// Takes it. Fails with its holder: `unavailable`, since that passes. Blocks.
    fn take(&self) -> Result<Box<dyn Held>>;
}

/// A lease that was taken. Dropping it gives it back.
pub(crate) trait Held: Send + Sync {
    /// Asks its holder to stop, once another one may have taken it.
    fn lost(&self) -> Stop;
}
