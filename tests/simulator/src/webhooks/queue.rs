//! The queue of one webhook and one module: delivers its events in order, with the faults that the settings
//! inject. The faults of an event depend on the seed, the webhook and the event's number.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::Value;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::rng::Rng;
use crate::settings::WebhookSettings;
use crate::shared::Shared;
use crate::webhooks::delivery_log::Delivery;

/// One queued event.
#[derive(Debug)]
pub(crate) struct Queued {
    /// The event as an element of the delivery's array.
    pub(crate) element: Value,
    /// Counts the events of all webhooks and modules.
    pub(crate) number: u64,
}

/// The faults of one event.
struct Faults {
    is_dropped: bool,
    is_duplicated: bool,
    delay_ms: u64,
    duplicate_delay_ms: u64,
    is_batched: bool,
}

impl Faults {
    fn of(settings: &WebhookSettings, webhook: u64, number: u64) -> Faults {
        let mut rng = Rng::new(settings.seed, webhook, number);
        let is_dropped = rng.happens(settings.drop);
        let is_duplicated = rng.happens(settings.duplicate);
        let is_delayed = rng.happens(settings.delay);
        let is_batched = rng.happens(settings.batch);
        let mut delay = || 1 + rng.below(settings.delay_ms_max.max(1));
        let (delay_ms, duplicate_delay_ms) = (delay(), delay());
        let delay_ms = if is_delayed { delay_ms } else { 0 };
        Faults { is_dropped, is_duplicated, delay_ms, duplicate_delay_ms, is_batched }
    }
}

/// Delivers events until the webhook is removed or the simulator stops.
pub(crate) async fn run(shared: Weak<Shared>, webhook: u64, mut events: UnboundedReceiver<Queued>) {
    while let Some(first) = events.recv().await {
        let Some(shared) = shared.upgrade() else { return };
        let settings = shared.settings();
        let settings = &settings.webhooks;
        let faults = Faults::of(settings, webhook, first.number);
        if faults.is_dropped {
            shared.webhooks.log.dropped();
            shared.webhooks.log.settled(1);
            continue;
        }
        if faults.delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(faults.delay_ms)).await;
        }
        let mut elements = vec![first.element];
        if faults.is_batched {
            // Events queued meanwhile are delivered in the same array.
            tokio::time::sleep(Duration::from_millis(settings.delay_ms_max)).await;
            while elements.len() < settings.batch_max {
                let Ok(next) = events.try_recv() else { break };
                elements.push(next.element);
            }
        }
        let count = elements.len();
        let body = Bytes::from(Value::Array(elements).to_string());
        if faults.is_duplicated {
            shared.webhooks.log.duplicated();
            let delay_ms = faults.duplicate_delay_ms;
            tokio::spawn(deliver_duplicate(Arc::clone(&shared), webhook, body.clone(), count, delay_ms));
        }
        deliver(&shared, webhook, body, count).await;
        shared.webhooks.log.settled(count);
    }
}

/// Delivers a body for the second time, after a delay and without regard to the order of the queue.
async fn deliver_duplicate(shared: Arc<Shared>, webhook: u64, body: Bytes, count: usize, delay_ms: u64) {
    tokio::time::sleep(Duration::from_millis(delay_ms)).await;
    deliver(&shared, webhook, body, count).await;
    shared.webhooks.log.settled(1);
}

/// Posts a body to a webhook, and retries as often as the settings say. 410 removes the webhook (§6.1).
async fn deliver(shared: &Arc<Shared>, webhook: u64, body: Bytes, events: usize) {
    let settings = shared.settings();
    for _ in 0..=settings.webhooks.retries {
        let Some(registered) = shared.webhooks.find(webhook) else { return };
        let url = registered.subscription.url;
        let signature = shared.webhooks.sign(webhook, shared.clock.now_ms(), &settings.webhooks);
        let timeout_ms = settings.webhooks.timeout_ms;
        let client = &shared.webhooks.client;
        let status = client.send(Method::POST, &url, body.clone(), Some(&signature), timeout_ms).await;
        let at = shared.clock.now_ms();
        let body = body.clone();
        shared.webhooks.log.sent(Delivery { webhook, url, events, body, signature, at, status });
        if status == Some(StatusCode::GONE.as_u16()) {
            shared.webhooks.remove(webhook);
        }
        if status == Some(StatusCode::OK.as_u16()) {
            return;
        }
    }
}
