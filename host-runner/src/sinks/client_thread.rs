//! The thread of the clients of one kind of server, and waiting for their calls: sinks block.

use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::error::{Error, Result};

/// Reads and writes the sockets of all clients of its kind.
pub(super) struct ClientThread {
    /// The thread's name.
    name: &'static str,
    /// The servers, for messages.
    servers: &'static str,
    runtime: OnceLock<std::result::Result<Runtime, String>>,
}

impl ClientThread {
    /// Starts with its first use.
    pub(super) const fn new(name: &'static str, servers: &'static str) -> Self {
        Self { name, servers, runtime: OnceLock::new() }
    }

    pub(super) fn runtime(&self) -> Result<&Runtime> {
        let runtime = self.runtime.get_or_init(|| {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(1).thread_name(self.name).enable_all();
            builder.build().map_err(|error| error.to_string())
        });
        runtime.as_ref().map_err(|error| Error::host(format!("threads for {}: {error}", self.servers)))
    }

    /// Waits for a call on the caller's thread, also where a runtime forbids its own way of blocking. None:
    /// it took too long.
    pub(super) fn wait<T>(&self, timeout: Duration, call: impl Future<Output = T>) -> Result<Option<T>> {
        let _context = self.runtime()?.enter();
        let mut call = pin!(tokio::time::timeout(timeout, call));
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            match call.as_mut().poll(&mut context) {
                Poll::Ready(answer) => return Ok(answer.ok()),
                Poll::Pending => std::thread::park(),
            }
        }
    }
}

/// Continues a thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
