//! A sink shared by tasks: closures run on it one at a time, on a thread that may block.
//!
//! The only place that knows that sinks block; a sink with an asynchronous client drives it inside its own
//! methods.

use std::sync::{Arc, Mutex, PoisonError};

use super::Sink;
use crate::blocking;
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
        let task = blocking::spawn(move || {
            let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
            call(sink.as_mut())
        });
        async { task.await.unwrap_or_else(|error| Err(Error::sink(format!("stopped: {error}")))) }
    }

    /// Closes the sink, unless a clone still uses it.
    pub async fn close(self) {
        let _panicked = blocking::spawn(move || drop(self.0)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread::ThreadId;

    use super::SinkHandle;
    use crate::change::Table;
    use crate::error::Result;
    use crate::sinks::{Capabilities, Commit, Counts, Sink, SinkProgress};

    /// Reports the thread on which it is closed.
    struct Closes(mpsc::Sender<ThreadId>);

    impl Drop for Closes {
        fn drop(&mut self) {
            self.0.send(std::thread::current().id()).expect("the test listens");
        }
    }

    impl Sink for Closes {
        fn capabilities(&self) -> Capabilities {
            Capabilities { compares_rows: false, hard_deletes: false, typed_columns: false }
        }

        fn prepare(&mut self, _tables: &[Table]) -> Result<()> {
            Ok(())
        }

        fn progress(&self) -> Result<SinkProgress> {
            Ok(SinkProgress::default())
        }

        fn commit(&mut self, _commit: &Commit<'_>) -> Result<Counts> {
            Ok(Counts::default())
        }

        fn reset(&mut self, _table: &str) -> Result<bool> {
            Ok(false)
        }
    }

    #[tokio::test]
    async fn closing_a_sink_blocks_no_thread_of_the_runtime() {
        let (sender, closed) = mpsc::channel();
        SinkHandle::new(Box::new(Closes(sender))).close().await;
        assert_ne!(closed.try_recv().expect("closed"), std::thread::current().id());
    }
}
