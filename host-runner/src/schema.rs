//! The tables of a connection as columns with types: when they are discovered again, and the changes since.
//! Pure; knows neither sinks nor components.

pub(crate) mod changes;
pub(crate) mod refresh;
