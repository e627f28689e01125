//! A request to stop, seen by everyone who waits.
//!
//! Knows nothing of signals; [`crate::cli`] turns ctrl-c into one.

use tokio::sync::watch;

/// Sees the request.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

/// Makes the request.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// A pair that belongs together.
pub fn channel() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Asks everyone to stop.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Whether it was asked.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when it is asked; never if nobody can ask any more.
    pub async fn requested(&mut self) {
        if self.0.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::channel;

    #[tokio::test]
    async fn everyone_sees_the_request() {
        let (stopper, mut stop) = channel();
        let mut other = stop.clone();
        assert!(!stop.is_requested());
        stopper.stop();
        stop.requested().await;
        other.requested().await;
        assert!(other.is_requested());
    }
}
