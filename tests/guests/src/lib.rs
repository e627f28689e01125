//! A tiny connector.
