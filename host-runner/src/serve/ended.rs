//! The end of a task that several others wait for.

use tokio::sync::watch;

/// Reports the end of a task, also by a panic. Clones report the same one.
#[derive(Clone)]
pub(super) struct Ended(watch::Receiver<()>);

impl Ended {
    /// Starts a task.
    pub(super) fn of(task: impl Future<Output = ()> + Send + 'static) -> Self {
        let (runs, ended) = watch::channel(());
        // Once in a box: the task below would have room for it twice.
        let task = Box::pin(task);
        tokio::spawn(async move {
            // Dropped when the task ends.
            let _runs = runs;
            task.await;
        });
        Self(ended)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.0.has_changed().is_err()
    }

    pub(super) async fn wait(mut self) {
        while self.0.changed().await.is_ok() {}
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::Ended;

    #[tokio::test]
    async fn every_clone_reports_the_end_also_after_a_panic() {
        let (go, wait) = oneshot::channel::<()>();
        let ended = Ended::of(async move { wait.await.expect("a panic") });
        assert!(!ended.has_ended());
        drop(go);
        ended.clone().wait().await;
        ended.clone().wait().await;
        assert!(ended.has_ended());
    }
}
