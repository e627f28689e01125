//! A response body with a limit on its bytes and on the time between two frames.
//!
//! Holds the permit of its request, so that the limit on concurrent requests includes bodies.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};
use wasmtime_wasi_http::Error;

/// The body that the component reads.
pub(super) struct Bounded {
    inner: Incoming,
    bytes_left: usize,
    timeout: Duration,
    timer: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

impl Bounded {
    pub(super) fn new(
        inner: Incoming,
        bytes_max: usize,
        timeout: Duration,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let timer = Box::pin(tokio::time::sleep(timeout));
        Self { inner, bytes_left: bytes_max, timeout, timer, _permit: permit }
    }
}

impl Body for Bounded {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.inner).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                let Some(left) = this.bytes_left.checked_sub(length) else {
                    return Poll::Ready(Some(Err(Error::HttpResponseBodySize(None))));
                };
                this.bytes_left = left;
                this.timer.as_mut().reset(Instant::now() + this.timeout);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                let short = error.is_incomplete_message() || error.is_body_write_aborted();
                let error = if short { Error::HttpResponseIncomplete } else { error.into() };
                Poll::Ready(Some(Err(error)))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => match this.timer.as_mut().poll(context) {
                Poll::Ready(()) => Poll::Ready(Some(Err(Error::ConnectionReadTimeout))),
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::Arc;

    use bytes::Bytes;
    use http_body_util::{BodyExt, Empty};
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::sync::Semaphore;
    use tokio::time::{Instant, sleep};
    use wasmtime_wasi_http::Error;

    use super::Bounded;
    use crate::limits::BETWEEN_BYTES_TIMEOUT;

    /// Frames that arrive just in time, before the body stalls.
    const FRAMES: u32 = 3;

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_is_read_and_a_stalled_one_times_out() {
        let drip = BETWEEN_BYTES_TIMEOUT * 9 / 10;
        let (ours, mut theirs) = duplex(1 << 10);
        tokio::spawn(async move {
            let _request = theirs.read(&mut [0; 1 << 10]).await;
            theirs.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n").await.expect("written");
            for _ in 0..FRAMES {
                sleep(drip).await;
                theirs.write_all(b"x").await.expect("written");
            }
            // The connection stays open, without data.
            pending::<()>().await;
        });
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(ours)).await.expect("a connection");
        tokio::spawn(connection);
        let answer = sender.send_request(http::Request::new(Empty::<Bytes>::new())).await.expect("an answer");
        let permits = Arc::new(Semaphore::new(1));
        let permit = Arc::clone(&permits).acquire_owned().await.expect("a permit");
        let started = Instant::now();
        let mut body = Bounded::new(answer.into_body(), 100, BETWEEN_BYTES_TIMEOUT, permit);
        for _ in 0..FRAMES {
            let frame = body.frame().await.expect("a frame").expect("in time");
            assert_eq!(frame.into_data().ok().as_deref(), Some(b"x".as_slice()));
        }
        let stalled = body.frame().await.expect("not the end").expect_err("stalled");
        assert!(matches!(stalled, Error::ConnectionReadTimeout), "{stalled}");
        let waited = (started.elapsed() - drip * FRAMES).as_secs_f64();
        assert!((waited - BETWEEN_BYTES_TIMEOUT.as_secs_f64()).abs() < 0.1, "timed out after {waited} s");
        assert_eq!(permits.available_permits(), 0, "the permit is released before the body");
        drop(body);
        assert_eq!(permits.available_permits(), 1);
    }
}
