//! One lane: takes the events of one webhook and one module in order, and delivers them, as well or
//! as badly as the settings say. What happens to an event hangs on the seed and its number.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::Value;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::rng::Rng;
use crate::settings::WebhookSettings;
use crate::shared::Shared;
use crate::webhooks::ledger::Delivery;
use crate::webhooks::signature::Claims;

/// One event on its way.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) element: Value,
    pub(crate) number: u64,
}

/// What happens to one event.
struct Fate {
    is_dropped: bool,
    is_duplicated: bool,
    delay_ms: u64,
    duplicate_delay_ms: u64,
    is_batched: bool,
}

fn fate(settings: &WebhookSettings, hook: u64, number: u64) -> Fate {
    let mut rng = Rng::new(settings.seed, hook, number);
    let is_dropped = rng.happens(settings.drop);
    let is_duplicated = rng.happens(settings.duplicate);
    let is_delayed = rng.happens(settings.delay);
    let is_batched = rng.happens(settings.batch);
    let mut wait = || 1 + rng.below(settings.delay_ms_max.max(1));
    let (delay, duplicate_delay_ms) = (wait(), wait());
    let delay_ms = if is_delayed { delay } else { 0 };
    Fate { is_dropped, is_duplicated, delay_ms, duplicate_delay_ms, is_batched }
}

/// Serves a lane until its webhook is removed or the simulator ends.
pub(crate) async fn run(shared: Weak<Shared>, hook: u64, mut events: UnboundedReceiver<Queued>) {
    while let Some(first) = events.recv().await {
        let Some(shared) = shared.upgrade() else { return };
        let settings = shared.settings();
        let settings = &settings.webhooks;
        let fate = fate(settings, hook, first.number);
        if fate.is_dropped {
            shared.webhooks.ledger.dropped();
            shared.webhooks.ledger.settled(1);
            continue;
        }
        if fate.delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(fate.delay_ms)).await;
        }
        let mut elements = vec![first.element];
        if fate.is_batched {
            // Others may come in the meantime; they go out in the same array.
            tokio::time::sleep(Duration::from_millis(settings.delay_ms_max)).await;
            while elements.len() < settings.batch_max {
                let Ok(next) = events.try_recv() else { break };
                elements.push(next.element);
            }
        }
        let count = elements.len();
        let body = Bytes::from(Value::Array(elements).to_string());
        if fate.is_duplicated {
            shared.webhooks.ledger.duplicated();
            tokio::spawn(late(Arc::clone(&shared), hook, body.clone(), count, fate.duplicate_delay_ms));
        }
        deliver(&shared, hook, body, count).await;
        shared.webhooks.ledger.settled(count);
    }
}

/// The second delivery of the same, some time later and past the order of the lane.
async fn late(shared: Arc<Shared>, hook: u64, body: Bytes, count: usize, delay_ms: u64) {
    tokio::time::sleep(Duration::from_millis(delay_ms)).await;
    deliver(&shared, hook, body, count).await;
    shared.webhooks.ledger.settled(1);
}

/// Posts a body to a webhook, again if the settings say so; 410 removes the webhook.
async fn deliver(shared: &Arc<Shared>, hook: u64, body: Bytes, events: usize) {
    let settings = shared.settings();
    for _ in 0..=settings.webhooks.retries {
        let Some(known) = shared.webhooks.find(hook) else { return };
        let url = known.subscription.url;
        let signature = sign(shared, &settings.webhooks, hook);
        let timeout_ms = settings.webhooks.timeout_ms;
        let outbound = &shared.webhooks.outbound;
        let status = outbound.send(Method::POST, &url, body.clone(), Some(&signature), timeout_ms).await;
        let at = shared.clock.now_ms();
        let body = body.clone();
        shared.webhooks.ledger.sent(Delivery { hook, url, events, body, signature, at, status });
        if status == Some(StatusCode::GONE.as_u16()) {
            shared.webhooks.remove(hook);
        }
        if status == Some(StatusCode::OK.as_u16()) {
            return;
        }
    }
}

/// The signature of a delivery that is made now.
pub(crate) fn sign(shared: &Shared, settings: &WebhookSettings, hook: u64) -> String {
    shared.webhooks.signer.sign(&claims(shared, settings, hook))
}

/// What a signature says that is made now.
pub(crate) fn claims(shared: &Shared, settings: &WebhookSettings, hook: u64) -> Claims {
    let unit = if settings.signature_in_milliseconds { 1000 } else { 1 };
    let now = shared.clock.now_ms() / 1000;
    let expires = now + settings.signature_life_seconds as i64;
    Claims { audience: audience(hook), issued_at: now * unit, expires: expires * unit }
}

/// Whom the signatures of a webhook's deliveries are for.
pub(crate) fn audience(hook: u64) -> String {
    format!("webhookId:{hook}")
}
