//! A webhook delivery as the ingress received it: the type that ingress, journal and sandbox share.
//!
//! Plain data. Does not know its connection or its place in a queue.

/// One HTTP request to a webhook URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// When it was received, in milliseconds since 1970.
    pub received_at_ms: u64,
    /// The request's method.
    pub method: String,
    /// The path without its secret, and the query.
    pub path_with_query: String,
    /// End-to-end headers in their order; names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body as sent.
    pub body: Vec<u8>,
}
