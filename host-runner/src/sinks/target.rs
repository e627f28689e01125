//! A sink that several tasks may hand work to: one piece at a time, on a thread that may block.

use std::sync::{Arc, Mutex, PoisonError};

use super::Sink;
use crate::error::{Error, Result};

/// An open sink, shared. Work is done in the order in which it gets the lock.
#[derive(Clone)]
pub struct Target(Arc<Mutex<Box<dyn Sink>>>);

impl Target {
    /// Shares a sink.
    pub fn new(sink: Box<dyn Sink>) -> Self {
        Self(Arc::new(Mutex::new(sink)))
    }

    /// Works on the sink; takes nothing of `self` along, so that its owner can go on beside it.
    pub fn work<T, F>(&self, work: F) -> impl Future<Output = Result<T>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Sink) -> Result<T> + Send + 'static,
    {
        let sink = Arc::clone(&self.0);
        let working = tokio::task::spawn_blocking(move || {
            let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
            work(sink.as_mut())
        });
        async { working.await.unwrap_or_else(|error| Err(Error::sink(format!("stopped: {error}")))) }
    }
}
