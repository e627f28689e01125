//! A response body that is bounded in bytes and in the time between two pieces.
//!
//! Holds the permit of its request, so that the limit on requests under way covers bodies too.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};
use wasmtime_wasi_http::Error;

/// What the guest reads from.
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
                let told = if short { Error::HttpResponseIncomplete } else { error.into() };
                Poll::Ready(Some(Err(told)))
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
