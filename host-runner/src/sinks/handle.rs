//! A sink shared by tasks: closures run on it one at a time, on a thread that may block.
//!
//! The only place that knows that sinks block; a sink with an asynchronous client drives it inside its own
//! methods.

use std::sync::{Arc, Mutex, PoisonError};

use super::Sink;
use crate::error::{Error, Result};

/// An open sink. Clones share it.
#[derive(Clone)]
pub struct SinkHandle(Arc<Mutex<Box<dyn Sink>>>);

impl SinkHandle {
    /// Shares a sink.
    pub fn new(sink: Box<dyn Sink>) -> Self {
        Self(Arc::new(Mutex::new(sink)))
    }

    /// Runs a closure on the sink. The future borrows nothing, so that the caller can read while it commits.
    pub fn run<T, F>(&self, call: F) -> impl Future<Output = Result<T>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Sink) -> Result<T> + Send + 'static,
    {
        let sink = Arc::clone(&self.0);
        let task = tokio::task::spawn_blocking(move || {
            let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
            call(sink.as_mut())
        });
        async { task.await.unwrap_or_else(|error| Err(Error::sink(format!("stopped: {error}")))) }
    }
}
