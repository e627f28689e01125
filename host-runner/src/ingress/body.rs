//! Reads a body within its size limit, its timeout, and the memory that all bodies share.
//!
//! Counts bytes as they arrive: a body that is announced and not sent takes no memory.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::timeout;

use super::metrics::Rejected;
use super::shares::{Share, Taken};

/// A complete body, with its share of the memory until it is dropped.
pub(super) struct Whole {
    pub(super) bytes: Vec<u8>,
    pub(super) taken: Taken,
}

pub(super) async fn read(
    body: Incoming,
    bytes_max: usize,
    share: &Share,
    time: Duration,
) -> Result<Whole, Rejected> {
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(Rejected::TooLarge);
    }
    timeout(time, collect(body, bytes_max, share)).await.unwrap_or(Err(Rejected::SlowBody))
}

async fn collect(mut body: Incoming, bytes_max: usize, share: &Share) -> Result<Whole, Rejected> {
    let mut whole = Whole { bytes: Vec::new(), taken: Taken::default() };
    while let Some(frame) = body.frame().await {
        // Trailers are ignored.
        let Ok(data) = frame.map_err(|_| Rejected::Aborted)?.into_data() else { continue };
        if data.is_empty() {
            continue;
        }
        if data.len() > bytes_max - whole.bytes.len() {
            return Err(Rejected::TooLarge);
        }
        let bytes = u32::try_from(data.len()).map_err(|_| Rejected::TooLarge)?;
        if !share.take(&mut whole.taken, bytes) {
            return Err(Rejected::NoRoom);
        }
        whole.bytes.extend_from_slice(&data);
    }
    Ok(whole)
}
