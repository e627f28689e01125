//! Reading a body within its cap, its time, and the room that all bodies share.
//!
//! Counts bytes as they arrive: what is announced and not sent takes no room.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Why a body was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Larger than the cap.
    TooLarge,
    /// Not here in time.
    Slow,
    /// All bodies together take too much room.
    NoRoom,
    /// The sender broke off.
    Broken,
}

/// A body, and its share of the room until it is on disk.
pub(super) struct Whole {
    pub(super) bytes: Vec<u8>,
    pub(super) _room: Option<OwnedSemaphorePermit>,
}

pub(super) async fn read(
    body: Incoming,
    bytes_max: usize,
    room: &Arc<Semaphore>,
    time: Duration,
) -> Result<Whole, Refused> {
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(Refused::TooLarge);
    }
    timeout(time, collect(body, bytes_max, room)).await.unwrap_or(Err(Refused::Slow))
}

async fn collect(mut body: Incoming, bytes_max: usize, room: &Arc<Semaphore>) -> Result<Whole, Refused> {
    let mut whole = Whole { bytes: Vec::new(), _room: None };
    while let Some(frame) = body.frame().await {
        // Trailers mean nothing here.
        let Ok(data) = frame.map_err(|_| Refused::Broken)?.into_data() else { continue };
        if data.is_empty() {
            continue;
        }
        if data.len() > bytes_max - whole.bytes.len() {
            return Err(Refused::TooLarge);
        }
        let share = u32::try_from(data.len()).map_err(|_| Refused::TooLarge)?;
        let taken = Arc::clone(room).try_acquire_many_owned(share).map_err(|_| Refused::NoRoom)?;
        match &mut whole._room {
            Some(held) => held.merge(taken),
            none => *none = Some(taken),
        }
        whole.bytes.extend_from_slice(&data);
    }
    Ok(whole)
}
