//! The limits of the ingress, with the reason for each number.

use std::time::Duration;

/// Largest body. Sources send records of some KiB, one or a hundred at a time; attachments are sent as links.
pub const BODY_BYTES_MAX: usize = 4 << 20;
/// Bytes of all bodies that are being read or appended. Counted as they arrive, so that announcing a large
/// body reserves nothing.
pub const BODIES_BYTES_MAX: usize = 256 << 20;
/// Connections at a time: ten thousand slow ones leave as many for other senders. Beyond, those that wait for
/// a request for longest give way.
pub const CONNECTIONS_MAX: usize = 20_000;
/// From the first byte of a request to the end of its headers, and for the TLS handshake.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// From the end of the headers to the end of the body.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(15);
/// Between two requests. Longer than the 60 s after which common proxies close, so that the proxy closes
/// first and sends no request on a connection that is being closed.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// For an append to the journal. Senders give up after 5 to 30 seconds; a disk that takes longer is failing.
pub const APPEND_TIMEOUT: Duration = Duration::from_secs(10);
/// For requests in progress at a stop.
pub const GRACE: Duration = Duration::from_secs(5);

/// Bytes of a request's line and headers. Signatures in headers take one or two KiB.
pub(super) const HEAD_BYTES_MAX: usize = 32 << 10;
/// Bytes read at a time: the memory of a connection while its body arrives.
pub(super) const BUFFER_BYTES: usize = 64 << 10;
/// Requests at a time on one HTTP/2 connection.
pub(super) const STREAMS_MAX: u32 = 100;
/// Bytes that an HTTP/2 peer may send ahead, per connection and per request.
pub(super) const WINDOW_BYTES: u32 = 256 << 10;
/// Connections that the kernel queues before they are accepted; `net.core.somaxconn` may lower it.
pub(super) const BACKLOG: u32 = 4_096;
/// Files that the ingress leaves to the rest of the process, which takes the others as it opens them: with so
/// few left, a sender is accepted only when another one has closed.
pub(super) const FILES_RESERVED: usize = 256;
/// Files of an idle connection: its lock, and that of its sink.
pub(super) const FILES_IDLE: usize = 2;
/// Further files of a busy connection: three of its sink, and sockets to its source.
pub(super) const FILES_ACTIVE: usize = 20;
/// Calls at a time of a process that may open few files; each takes all its files only if it reads.
pub(super) const CALLS_MIN: u32 = 4;
/// The part of the files that idle connections leave to senders and to busy connections.
pub(super) const FILES_LEFT_SHARE: usize = 8;
/// A connection that has waited for a request this long gives way when there is no room for another one. A
/// client that connects sends at once.
pub(super) const GIVES_WAY_AFTER: Duration = Duration::from_secs(1);
/// Clients of the pages for operators at a time.
pub(super) const PAGES_CONNECTIONS: usize = 64;
/// One connection's part of the memory for bodies, and of the deliveries that are appended at a time: a flood
/// of one URL leaves three quarters to the others.
pub(super) const CONNECTION_SHARE: usize = 4;
/// Deliveries that are appended at a time, of all connections.
pub(super) const DELIVERIES_MAX: usize = 16_384;
/// After a failed accept, whose most likely cause is the limit of open files.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// `Retry-After` of a 503, in seconds.
pub(super) const RETRY_AFTER_S: &str = "10";
/// How long, and how many bytes, are read from a rejected sender that still sends: closing at once would
/// reset the connection, and the sender would lose the answer.
pub(super) const LINGER: Duration = Duration::from_secs(2);
pub(super) const LINGER_BYTES: usize = 64 << 20;
/// Bytes read at a time and discarded. Small, because thousands of slow ones time
/// out together.
pub(super) const LINGER_BUFFER_BYTES: usize = 4 << 10;

/// The limits that can be set.
#[derive(Clone, Debug)]
pub struct IngressLimits {
    /// Largest body.
    pub body_bytes: usize,
    /// All bodies together.
    pub bodies_bytes: usize,
    /// Connections at a time.
    pub connections: usize,
    /// For headers, and for the TLS handshake.
    pub head_timeout: Duration,
    /// For a body.
    pub body_timeout: Duration,
    /// Between two requests.
    pub idle_timeout: Duration,
    /// For an append to the journal.
    pub append_timeout: Duration,
    /// For requests in progress at a stop.
    pub grace: Duration,
}

impl Default for IngressLimits {
    fn default() -> Self {
        Self {
            body_bytes: BODY_BYTES_MAX,
            bodies_bytes: BODIES_BYTES_MAX,
            connections: CONNECTIONS_MAX,
            head_timeout: HEAD_TIMEOUT,
            body_timeout: BODY_TIMEOUT,
            idle_timeout: IDLE_TIMEOUT,
            append_timeout: APPEND_TIMEOUT,
            grace: GRACE,
        }
    }
}
