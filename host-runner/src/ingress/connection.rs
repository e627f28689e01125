//! One TCP connection from accept to close: handshake, requests, timeouts, shutdown.
//!
//! Drives hyper by hand: its single header timeout also covers idle time, and cannot be replaced by two.
//! Does not know requests or answers.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Poll, ready};

use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::io::InspectReader;

use super::Shared;
use super::limits::{
    BUFFER_BYTES, HEAD_BYTES_MAX, LINGER, LINGER_BUFFER_BYTES, LINGER_BYTES, STREAMS_MAX, WINDOW_BYTES,
};
use super::metrics::Closed;
use super::phase::{HttpPhase, Overdue};
use super::service::Requests;
use super::tls::is_http2;
use crate::stop::Stop;

const REQUEST_TIMEOUT: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Serves a connection until it is closed.
pub(super) async fn serve(stream: TcpStream, shared: &Shared, stop: Stop) {
    let metrics = shared.service.metrics();
    metrics.opened();
    let phase = Arc::new(HttpPhase::new(&shared.limits));
    let _entered = shared.waiting.enter(&phase);
    let Some(tls) = &shared.tls else { return serve_http1(stream, phase, shared, stop).await };
    // Boxed, so that the future of a connection without TLS does not reserve memory for TLS.
    let accepting = timeout(shared.limits.head_timeout, Box::pin(tls.accept(stream)));
    let accepted = tokio::select! {
        accepted = accepting => accepted,
        () = phase.asked() => return metrics.closed(Closed::GaveWay),
    };
    phase.secured();
    match accepted {
        Err(_elapsed) => metrics.closed(Closed::Silent),
        Ok(Err(error)) => {
            tracing::debug!(%error, "TLS handshake failed");
            metrics.closed(Closed::Handshake);
        }
        Ok(Ok(stream)) if is_http2(&stream) => Box::pin(serve_http2(stream, phase, shared, stop)).await,
        Ok(Ok(stream)) => Box::pin(serve_http1(stream, phase, shared, stop)).await,
    }
}

async fn serve_http1<S>(stream: S, phase: Arc<HttpPhase>, shared: &Shared, stop: Stop)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let watching = Arc::clone(&phase);
    let stream = InspectReader::new(stream, move |_bytes| watching.input());
    let requests = Requests::new(shared.service.clone(), Arc::clone(&phase));
    let mut connection = http1::Builder::new()
        .max_buf_size(BUFFER_BYTES)
        .max_header_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), requests);
    let closed = drive(Pin::new(&mut connection), &phase, stop, shared).await;
    shared.service.metrics().closed(closed);
    let mut stream = connection.into_parts().io.into_inner().into_inner();
    let end = async {
        if closed == Closed::SlowHead {
            stream.write_all(REQUEST_TIMEOUT).await?;
        }
        stream.shutdown().await?;
        if closed == Closed::SlowHead || phase.was_rejected() {
            discard(&mut stream).await?;
        }
        io::Result::Ok(())
    };
    // An error here changes nothing: the stream is dropped either way.
    let _in_time = timeout(LINGER, end).await;
}

async fn serve_http2<S>(stream: S, phase: Arc<HttpPhase>, shared: &Shared, stop: Stop)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    phase.multiplexed();
    let requests = Requests::new(shared.service.clone(), Arc::clone(&phase));
    let connection = http2::Builder::new(TokioExecutor::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .serve_connection(TokioIo::new(stream), requests);
    let closed = drive(pin!(connection), &phase, stop, shared).await;
    shared.service.metrics().closed(closed);
}

/// Reads what a rejected sender still sends, so that closing does not reset the connection and lose the
/// answer.
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

/// Serves until the peer closes, a phase exceeds its deadline, it gives way, or the program stops.
async fn drive<C>(mut connection: Pin<&mut C>, phase: &HttpPhase, mut stop: Stop, shared: &Shared) -> Closed
where
    C: GracefulConnection<Error = hyper::Error>,
{
    let mut requested = pin!(stop.requested());
    let mut asked = pin!(phase.asked());
    let mut stop_at: Option<Instant> = None;
    let mut armed = Instant::now() + shared.limits.head_timeout;
    let mut alarm = pin!(sleep_until(armed));
    poll_fn(|context| {
        if let Poll::Ready(done) = connection.as_mut().poll(context) {
            return Poll::Ready(if done.is_ok() { Closed::Done } else { Closed::Aborted });
        }
        // After the connection was polled: a request that has arrived is served.
        if asked.as_mut().poll(context).is_ready() {
            return Poll::Ready(Closed::GaveWay);
        }
        if stop_at.is_none() && requested.as_mut().poll(context).is_ready() {
            stop_at = Some(Instant::now() + shared.limits.grace);
            connection.as_mut().graceful_shutdown();
            if let Poll::Ready(done) = connection.as_mut().poll(context) {
                return Poll::Ready(if done.is_ok() { Closed::Done } else { Closed::Aborted });
            }
        }
        loop {
            // The timer is reset only when it must fire earlier, or has fired: not with every request.
            let deadline = phase.deadline();
            let next = [deadline.map(|(at, _)| at), stop_at].into_iter().flatten().min();
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
                _ if stop_at.is_some_and(|at| at <= now) => return Poll::Ready(Closed::Stopped),
                _ => {}
            }
            armed = next.unwrap_or(now + shared.limits.head_timeout);
            alarm.as_mut().reset(armed);
        }
    })
    .await
}
