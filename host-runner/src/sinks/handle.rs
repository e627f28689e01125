//! A sink shared by tasks: closures run on it one at a time, on a thread that may block.
//!
//! The only place that knows that sinks block; a sink with an asynchronous client drives it inside its own
//! methods. Reports the processor time of each closure, which its connection has a share of.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Sink;
use crate::blocking;
use crate::error::{Error, Result};

/// An open sink. Clones share it.
#[derive(Clone)]
pub struct SinkHandle(Arc<Shared>);

struct Shared {
    sink: Mutex<Box<dyn Sink>>,
    /// Takes the processor time of a closure.
    meter: Box<dyn Fn(Duration) + Send + Sync>,
}

impl SinkHandle {
    /// Shares a sink.
    pub fn new(sink: Box<dyn Sink>) -> Self {
        Self::metered(sink, |_| ())
    }

    /// Shares a sink whose processor time is reported.
    pub(crate) fn metered(sink: Box<dyn Sink>, meter: impl Fn(Duration) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared { sink: Mutex::new(sink), meter: Box::new(meter) }))
    }

    /// Runs a closure on the sink. The future borrows nothing, so that the caller can read while it commits.
    pub fn run<T, F>(&self, call: F) -> impl Future<Output = Result<T>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Sink) -> Result<T> + Send + 'static,
    {
        let shared = Arc::clone(&self.0);
        let task = blocking::spawn(move || {
            let mut sink = shared.sink.lock().unwrap_or_else(PoisonError::into_inner);
            let (answer, used) = blocking::timed(|| call(sink.as_mut()));
            (shared.meter)(used);
            answer
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
    use crate::digest::sha256_hex;
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
    async fn the_processor_time_of_a_commit_is_reported() {
        let (closed, _keep) = mpsc::channel();
        let (sender, used) = mpsc::channel();
        let sink = SinkHandle::metered(Box::new(Closes(closed)), move |used| {
            sender.send(used).expect("the test listens");
        });
        let busy = sink.run(|_| {
            let hashes = std::iter::successors(Some(String::new()), |text| Some(sha256_hex(text.as_bytes())));
            Ok(hashes.take(1_000).last())
        });
        busy.await.expect("no failure");
        assert!(!used.try_recv().expect("reported").is_zero());
    }

    #[tokio::test]
    async fn closing_a_sink_blocks_no_thread_of_the_runtime() {
        let (sender, closed) = mpsc::channel();
        SinkHandle::new(Box::new(Closes(sender))).close().await;
        assert_ne!(closed.try_recv().expect("closed"), std::thread::current().id());
    }
}
