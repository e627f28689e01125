//! A request to stop that every task sees.
//!
//! Does not know signals; [`crate::cli`] turns them into the request.

use tokio::sync::watch;

/// Receives the request. Clones receive the same one.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

/// Sends the request.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// A sender and its receiver.
pub fn channel() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Requests the stop.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Whether the stop was requested.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once the stop was requested; never if the sender was dropped without.
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
    async fn every_receiver_gets_the_request() {
        let (stopper, mut stop) = channel();
        let mut other = stop.clone();
        assert!(!stop.is_requested());
        stopper.stop();
        stop.requested().await;
        other.requested().await;
        assert!(other.is_requested());
    }
}
