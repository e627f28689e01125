//! Webhooks: the registered ones, and the events queued for each (reference, §6).
//!
//! Each pair of webhook and module has a queue with a task ([`queue`]): order is kept within a module and
//! not across modules, as §6.1 says.

mod delivery_log;
mod events;
pub(crate) mod http_client;
mod queue;
pub(crate) mod signature;
pub(crate) mod subscription;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::ids::{self, Kind};
use crate::options::Options;
use crate::settings::{Settings, WebhookSettings};
use crate::shared::Shared;
use crate::time::iso;
use crate::webhooks::delivery_log::DeliveryLog;
use crate::webhooks::events::module;
use crate::webhooks::http_client::HttpClient;
use crate::webhooks::queue::Queued;
use crate::webhooks::signature::{Claims, Signer};
use crate::webhooks::subscription::Subscription;
use crate::world::change::Event;

/// How a webhook was registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// By `POST /webhooks`.
    Api,
    /// By `POST /_admin/webhooks`, in place of Desk's setup pages. The API does not list it.
    Manual,
}

/// One registered webhook.
#[derive(Clone, Debug)]
pub(crate) struct Webhook {
    pub(crate) id: u64,
    pub(crate) subscription: Subscription,
    pub(crate) origin: Origin,
    pub(crate) created: i64,
    pub(crate) modified: i64,
}

impl Webhook {
    /// The webhook as the API shows it.
    pub(crate) fn to_json(&self, creator: &str) -> Value {
        let mut object = self.subscription.sent.clone();
        object.insert("id".to_owned(), self.id.to_string().into());
        object.insert("url".to_owned(), self.subscription.url.clone().into());
        object.insert("type".to_owned(), "CUSTOMER_WEBHOOK".into());
        object.insert("isEnabled".to_owned(), self.subscription.is_enabled.into());
        object.insert("createdBy".to_owned(), creator.into());
        object.insert("createdTime".to_owned(), self.created.into());
        object.insert("modifiedTime".to_owned(), self.modified.into());
        Value::Object(object)
    }
}

/// All webhooks of one simulator.
#[derive(Debug)]
pub(crate) struct Webhooks {
    pub(crate) signer: Signer,
    pub(crate) log: DeliveryLog,
    pub(crate) client: HttpClient,
    organization: String,
    seed: u64,
    server: OnceLock<(Handle, Weak<Shared>)>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    webhooks: Vec<Webhook>,
    /// Webhooks registered so far, deleted ones included: the index of the next id.
    registered: u64,
    /// Events published so far: the number that decides the faults of the next one.
    published: u64,
    /// By webhook and module.
    queues: BTreeMap<(u64, String), UnboundedSender<Queued>>,
}

impl Webhooks {
    /// No webhook yet.
    pub(crate) fn new(options: &Options) -> Webhooks {
        Webhooks {
            signer: Signer::new(&options.organization_id),
            log: DeliveryLog::default(),
            client: HttpClient::new(),
            organization: options.organization_id.clone(),
            seed: options.seed,
            server: OnceLock::new(),
            state: Mutex::default(),
        }
    }

    /// Sets the runtime that deliveries run on. Events published before are discarded.
    pub(crate) fn attach(&self, runtime: Handle, shared: Weak<Shared>) {
        // Called once, when the server starts.
        let _ = self.server.set((runtime, shared));
    }

    /// Registers a webhook and gives its id.
    pub(crate) fn add(&self, subscription: Subscription, origin: Origin, now: i64) -> u64 {
        let mut state = self.lock();
        let id = ids::id(self.seed, Kind::Webhook, state.registered);
        state.registered += 1;
        state.webhooks.push(Webhook { id, subscription, origin, created: now, modified: now });
        id
    }

    /// Replaces the subscription of a webhook.
    pub(crate) fn replace(&self, id: u64, subscription: Subscription, now: i64) {
        if let Some(webhook) = self.lock().webhooks.iter_mut().find(|webhook| webhook.id == id) {
            webhook.subscription = subscription;
            webhook.modified = now;
        }
    }

    /// Removes a webhook; false when there is none with this id.
    pub(crate) fn remove(&self, id: u64) -> bool {
        let mut state = self.lock();
        let before = state.webhooks.len();
        state.webhooks.retain(|webhook| webhook.id != id);
        state.queues.retain(|(webhook, _), _| *webhook != id);
        state.webhooks.len() < before
    }

    /// All webhooks, oldest first.
    pub(crate) fn all(&self) -> Vec<Webhook> {
        self.lock().webhooks.clone()
    }

    /// The webhook with this id unless it was removed.
    pub(crate) fn find(&self, id: u64) -> Option<Webhook> {
        self.lock().webhooks.iter().find(|webhook| webhook.id == id).cloned()
    }

    /// Queues events, in this order, for the webhooks that subscribe to them.
    pub(crate) fn publish(&self, settings: &Settings, events: Vec<Event>, source: Option<&str>) {
        if events.is_empty() {
            return;
        }
        let Some((runtime, shared)) = self.server.get() else { return };
        let mut state = self.lock();
        let state = &mut *state;
        for event in &events {
            state.published += 1;
            for webhook in &state.webhooks {
                let Some(element) = self.element(&settings.webhooks, webhook, event, source) else {
                    continue;
                };
                let queued = Queued { element, number: state.published };
                let queue = (webhook.id, module(&event.kind).to_owned());
                let sender = state.queues.entry(queue).or_insert_with(|| {
                    let (sender, receiver) = unbounded_channel();
                    runtime.spawn(queue::run(shared.clone(), webhook.id, receiver));
                    sender
                });
                self.log.queued();
                // The task holds the receiver for as long as the map holds the sender.
                let _ = sender.send(queued);
            }
        }
    }

    /// The element of the delivery's array for an event; none when the webhook does not subscribe to it.
    fn element(
        &self,
        settings: &WebhookSettings,
        webhook: &Webhook,
        event: &Event,
        source: Option<&str>,
    ) -> Option<Value> {
        let (mut kind, mut payload) = (event.kind.clone(), &event.payload);
        if settings.delete_as_update
            && let (Some(record), Some(module)) = (&event.record, kind.strip_suffix("_Delete"))
        {
            kind = format!("{module}_Update");
            payload = record;
        }
        if settings.delete_with_record {
            payload = event.record.as_ref().unwrap_or(payload);
        }
        let filter = webhook.subscription.filter(&kind, event, source)?;
        let previous = event.previous.as_ref().filter(|_| filter.include_previous);
        let time = if settings.event_time_iso { iso(event.at) } else { event.at.to_string() };
        Some(json!({
            "payload": payload, "prevState": previous, "eventTime": time, "eventType": kind,
            "orgId": self.organization,
        }))
    }

    /// The signature of a delivery to a webhook at this time.
    pub(crate) fn sign(&self, webhook: u64, now: i64, settings: &WebhookSettings) -> String {
        self.signer.sign(&Claims::new(webhook, now, settings))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
