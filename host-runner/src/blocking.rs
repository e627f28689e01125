//! Threads for the blocking work of one connection: its sink, its state, its files, names of its source.
//!
//! A locked database, a server that does not answer and a hung disk hold a thread for seconds, or without
//! end. The journal, pages and commands of all connections share the 512 threads that the runtime has for
//! blocking work, so work that may hang with a connection has separate threads. They are created on demand
//! and end when idle.

use std::sync::OnceLock;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// The most threads: a few for each of some thousand connections that hang at the same time. Further work
/// waits for a free one.
const THREADS_MAX: usize = 16_384;

/// Runs work on a thread that may block for long. Dropped, the handle leaves it running.
pub(crate) fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    match threads() {
        Some(threads) => threads.spawn_blocking(work),
        None => tokio::task::spawn_blocking(work),
    }
}

/// Runs work on this thread; with the processor time that it used.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let before = thread_time();
    let answer = work();
    (answer, thread_time().saturating_sub(before))
}

/// The processor time that this thread has used so far.
fn thread_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// A runtime that runs no task, for its threads. None where it cannot be created.
fn threads() -> Option<&'static Runtime> {
    static THREADS: OnceLock<Option<Runtime>> = OnceLock::new();
    let create = || {
        let mut builder = Builder::new_current_thread();
        builder.max_blocking_threads(THREADS_MAX).thread_name("connection").build().ok()
    };
    THREADS.get_or_init(create).as_ref()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::spawn;

    #[test]
    fn work_that_hangs_takes_no_thread_from_the_runtime_or_from_other_connections() {
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build();
        runtime.expect("a runtime").block_on(async {
            // More than any runtime has for blocking work.
            let hanging: Vec<_> = (0..600)
                .map(|_| {
                    let (release, released) = mpsc::channel::<()>();
                    (release, spawn(move || released.recv()))
                })
                .collect();
            tokio::task::spawn_blocking(|| ()).await.expect("a thread of the runtime");
            spawn(|| ()).await.expect("a thread for another connection");
            for (release, work) in hanging {
                drop(release);
                work.await.expect("no panic").expect_err("released");
            }
        });
    }
}
