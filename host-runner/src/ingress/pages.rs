//! The pages for operators, rendered on a thread for blocking work, one at a time.
//!
//! A page is kept for ten times as long as it took, so that rendering takes a tenth of a core at most,
//! however often it is asked for; beyond [`KEPT_MAX`] a monitor would see old figures, and it takes more.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use prometheus_client::encoding::prometheus_text;
use tokio::task::spawn_blocking;

use super::Observe;

/// How long a page is kept, in times that it took to render.
const KEPT_TIMES: u32 = 10;
/// Longest time that a page is kept.
const KEPT_MAX: Duration = Duration::from_secs(2);

/// A page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Health,
    Metrics,
    Ready,
}

/// The text of a page, and whether all is well.
#[derive(Clone)]
pub(super) struct Rendered {
    pub(super) text: Bytes,
    pub(super) is_well: bool,
}

impl Page {
    pub(super) fn of(name: &str) -> Option<Self> {
        match name {
            "health" => Some(Self::Health),
            "metrics" => Some(Self::Metrics),
            "ready" => Some(Self::Ready),
            _ => None,
        }
    }

    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Health => "application/json",
            Self::Metrics => prometheus_text::CONTENT_TYPE,
            Self::Ready => "text/plain; charset=utf-8",
        }
    }

    fn render(self, observe: &dyn Observe) -> Rendered {
        let (text, is_well) = match self {
            Self::Health => (format!("{}\n", observe.health()), true),
            Self::Metrics => (observe.metrics(), true),
            Self::Ready if observe.ready() => ("ready\n".to_owned(), true),
            Self::Ready => ("not ready\n".to_owned(), false),
        };
        Rendered { text: Bytes::from(text), is_well }
    }
}

/// A page as it was rendered, until a time.
type Kept = Arc<Mutex<Option<(Instant, Rendered)>>>;

/// Renders pages.
pub(super) struct Pages {
    observe: Arc<dyn Observe>,
    health: Kept,
    metrics: Kept,
    ready: Kept,
}

impl Pages {
    pub(super) fn new(observe: Arc<dyn Observe>) -> Self {
        Self { observe, health: Kept::default(), metrics: Kept::default(), ready: Kept::default() }
    }

    /// A page; none if rendering it panicked.
    pub(super) async fn get(&self, page: Page) -> Option<Rendered> {
        let kept = match page {
            Page::Health => &self.health,
            Page::Metrics => &self.metrics,
            Page::Ready => &self.ready,
        };
        let (kept, observe) = (Arc::clone(kept), Arc::clone(&self.observe));
        let rendering = spawn_blocking(move || {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((until, rendered)) = kept.as_ref().filter(|(until, _)| *until > Instant::now()) {
                tracing::trace!(?until, "the page is kept");
                return rendered.clone();
            }
            let started = Instant::now();
            let rendered = page.render(observe.as_ref());
            let until = Instant::now() + (started.elapsed() * KEPT_TIMES).min(KEPT_MAX);
            *kept = Some((until, rendered.clone()));
            rendered
        });
        rendering.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    use std::sync::mpsc::{Receiver, channel};

    use serde_json::{Value, json};

    use super::{Observe, Page, Pages};

    /// Renders metrics after a signal.
    struct Slow {
        go: Mutex<Receiver<()>>,
        times: AtomicU32,
    }

    impl Observe for Slow {
        fn metrics(&self) -> String {
            let _ended = self.go.lock().expect("not poisoned").recv();
            self.times.fetch_add(1, Relaxed).to_string()
        }

        fn ready(&self) -> bool {
            false
        }

        fn health(&self) -> Value {
            json!({})
        }
    }

    #[tokio::test]
    async fn a_page_that_takes_long_is_rendered_once_for_all_and_delays_no_other() {
        let (tell, go) = channel();
        let slow = Arc::new(Slow { go: Mutex::new(go), times: AtomicU32::new(0) });
        let pages = Arc::new(Pages::new(Arc::<Slow>::clone(&slow)));
        let ask = || {
            let pages = Arc::clone(&pages);
            tokio::spawn(async move { pages.get(Page::Metrics).await.expect("rendered").text })
        };
        let asked: Vec<_> = (0..3).map(|_| ask()).collect();
        assert!(!pages.get(Page::Ready).await.expect("rendered").is_well);
        // Long enough that the page is kept until all three have it.
        std::thread::sleep(std::time::Duration::from_millis(200));
        tell.send(()).expect("rendering");
        for one in asked {
            assert_eq!(one.await.expect("no panic"), "0");
        }
        assert_eq!(slow.times.load(Relaxed), 1);
    }
}
