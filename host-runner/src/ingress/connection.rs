//! One connection from its first byte to its last: handshake, requests, time-outs, the end.
//!
//! Knows nothing of what is asked and answered.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use super::Shared;
use super::counters::Closed;
use super::limits::{
    BUFFER_BYTES, HEAD_BYTES_MAX, LINGER, LINGER_BUFFER_BYTES, LINGER_BYTES, STREAMS_MAX, WINDOW_BYTES,
};
use super::phase::{Overdue, Phase};
use super::service::Requests;
use crate::stop::Stop;

const TOO_SLOW: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Serves a connection until it ends.
pub(super) async fn serve(stream: TcpStream, shared: &Shared, stop: Stop) {
    let counters = shared.service.counters();
    counters.opened();
    let Some(tls) = &shared.tls else { return serve_http1(stream, shared, stop).await };
    // Boxed, as what follows: a connection without TLS does not take the room of one with it.
    match timeout(shared.limits.head_timeout, Box::pin(tls.accept(stream))).await {
        Err(_elapsed) => counters.closed(Closed::Silent),
        Ok(Err(error)) => {
            tracing::debug!(error = %error, "a TLS handshake failed");
            counters.closed(Closed::Handshake);
        }
        Ok(Ok(stream)) if tls.is_http2(&stream) => Box::pin(serve_http2(stream, shared, stop)).await,
        Ok(Ok(stream)) => Box::pin(serve_http1(stream, shared, stop)).await,
    }
}

async fn serve_http1<S>(stream: S, shared: &Shared, stop: Stop)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let phase = Arc::new(Phase::new(&shared.limits));
    let io = Watched { io: TokioIo::new(stream), phase: Arc::clone(&phase) };
    let requests = Requests::new(shared.service.clone(), Arc::clone(&phase));
    let connection = http1::Builder::new()
        .max_buf_size(BUFFER_BYTES)
        .max_header_size(HEAD_BYTES_MAX)
        .serve_connection(io, requests);
    let mut connection = Http1(connection);
    let closed = drive(Pin::new(&mut connection), &phase, stop, shared).await;
    shared.service.counters().closed(closed);
    let mut stream = connection.0.into_parts().io.io.into_inner();
    let end = async {
        if closed == Closed::SlowHead {
            stream.write_all(TOO_SLOW).await?;
        }
        stream.shutdown().await?;
        if closed == Closed::SlowHead || phase.was_refused() {
            discard(&mut stream).await?;
        }
        io::Result::Ok(())
    };
    // Whatever goes wrong here, the connection is over.
    let _in_time = timeout(LINGER, end).await;
}

async fn serve_http2<S>(stream: S, shared: &Shared, stop: Stop)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let phase = Arc::new(Phase::new(&shared.limits));
    phase.multiplexed();
    let requests = Requests::new(shared.service.clone(), Arc::clone(&phase));
    let connection = http2::Builder::new(TokioExecutor::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .serve_connection(TokioIo::new(stream), requests);
    let connection = pin!(Http2(Box::pin(connection)));
    let closed = drive(connection, &phase, stop, shared).await;
    shared.service.counters().closed(closed);
}

async fn discard(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    let mut buffer = vec![0; LINGER_BUFFER_BYTES];
    let mut left = LINGER_BYTES;
    while left > 0 {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            break;
        }
        left = left.saturating_sub(read);
    }
    Ok(())
}

/// A connection that can be asked to end after the requests under way.
trait Ending: Future<Output = hyper::Result<()>> {
    fn finish(self: Pin<&mut Self>);
}

/// Serves until the peer ends it, a phase lasts too long, or the program stops.
async fn drive<C: Ending>(
    mut connection: Pin<&mut C>,
    phase: &Phase,
    mut stop: Stop,
    shared: &Shared,
) -> Closed {
    let mut requested = pin!(stop.requested());
    let mut ending: Option<Instant> = None;
    let mut armed = Instant::now() + shared.limits.head_timeout;
    let mut alarm = pin!(sleep_until(armed));
    poll_fn(|context| {
        if let Poll::Ready(done) = connection.as_mut().poll(context) {
            return Poll::Ready(if done.is_ok() { Closed::Done } else { Closed::Broken });
        }
        if ending.is_none() && requested.as_mut().poll(context).is_ready() {
            ending = Some(Instant::now() + shared.limits.grace);
            connection.as_mut().finish();
            if let Poll::Ready(done) = connection.as_mut().poll(context) {
                return Poll::Ready(if done.is_ok() { Closed::Done } else { Closed::Broken });
            }
        }
        loop {
            // The alarm only ever moves when it must ring earlier, or has rung: not with every request.
            let deadline = phase.deadline();
            let next = [deadline.map(|(at, _)| at), ending].into_iter().flatten().min();
            if let Some(next) = next
                && next < armed
            {
                armed = next;
                alarm.as_mut().reset(armed);
            }
            ready!(alarm.as_mut().poll(context));
            let now = Instant::now();
            match deadline {
                Some((at, overdue)) if at <= now => {
                    return Poll::Ready(match overdue {
                        Overdue::Silent => Closed::Silent,
                        Overdue::Head => Closed::SlowHead,
                        Overdue::Idle => Closed::Idle,
                    });
                }
                _ if ending.is_some_and(|at| at <= now) => return Poll::Ready(Closed::Stopped),
                _ => {}
            }
            armed = next.unwrap_or(now + shared.limits.head_timeout);
            alarm.as_mut().reset(armed);
        }
    })
    .await
}

type Io<S> = Watched<TokioIo<S>>;

/// HTTP/1, leaving the stream open at the end.
struct Http1<S>(http1::Connection<Io<S>, Requests>)
where
    S: AsyncRead + AsyncWrite + Unpin;

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Future for Http1<S> {
    type Output = hyper::Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_without_shutdown(context)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Ending for Http1<S> {
    fn finish(mut self: Pin<&mut Self>) {
        Pin::new(&mut self.0).graceful_shutdown();
    }
}

/// HTTP/2, pinned where it is.
struct Http2<C>(Pin<Box<C>>);

type Http2Connection<S> = http2::Connection<TokioIo<S>, Requests, TokioExecutor>;

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Future for Http2<Http2Connection<S>> {
    type Output = hyper::Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Ending for Http2<Http2Connection<S>> {
    fn finish(mut self: Pin<&mut Self>) {
        self.0.as_mut().graceful_shutdown();
    }
}

/// A stream that tells the phase when bytes arrive.
struct Watched<T> {
    io: T,
    phase: Arc<Phase>,
}

impl<T: Read + Unpin> Read for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_read(context, buffer);
        if let Poll::Ready(Ok(())) = polled {
            self.phase.input();
        }
        polled
    }
}

impl<T: Write + Unpin> Write for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, buffers)
    }
}
