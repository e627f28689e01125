//! Webhooks: who subscribed to what, and what goes out to whom (reference, §6).
//!
//! Each (webhook, module) pair is a lane: a queue with one task behind it. Order is kept within a
//! lane and nowhere else, as the service has it.

pub(crate) mod events;
pub(crate) mod lane;
pub(crate) mod ledger;
pub(crate) mod outbound;
pub(crate) mod signature;
pub(crate) mod subscription;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::time::iso;
use crate::ids::{self, Kind};
use crate::options::Options;
use crate::settings::{Settings, WebhookSettings};
use crate::shared::Shared;
use crate::webhooks::events::word;
use crate::webhooks::lane::Queued;
use crate::webhooks::ledger::Ledger;
use crate::webhooks::outbound::Outbound;
use crate::webhooks::signature::Signer;
use crate::webhooks::subscription::Subscription;
use crate::world::change::Event;

/// One registered webhook.
#[derive(Clone, Debug)]
pub(crate) struct Webhook {
    pub(crate) id: u64,
    pub(crate) subscription: Subscription,
    /// Set up in Desk's pages: the API does not list it.
    pub(crate) is_manual: bool,
    pub(crate) created: i64,
    pub(crate) modified: i64,
}

/// All about webhooks of one simulator.
#[derive(Debug)]
pub(crate) struct Webhooks {
    pub(crate) signer: Signer,
    pub(crate) ledger: Ledger,
    pub(crate) outbound: Outbound,
    organization: String,
    seed: u64,
    server: OnceLock<(Handle, Weak<Shared>)>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    hooks: Vec<Webhook>,
    /// Webhooks made so far.
    made: u64,
    /// Events published so far; decides which are hit by faults.
    published: u64,
    lanes: BTreeMap<(u64, String), UnboundedSender<Queued>>,
}

impl Webhooks {
    /// No webhook yet.
    pub(crate) fn new(options: &Options) -> Webhooks {
        Webhooks {
            signer: Signer::new(&options.organization_id),
            ledger: Ledger::default(),
            outbound: Outbound::new(),
            organization: options.organization_id.clone(),
            seed: options.seed,
            server: OnceLock::new(),
            state: Mutex::default(),
        }
    }

    /// From now on deliveries run on this runtime.
    pub(crate) fn attach(&self, runtime: Handle, shared: Weak<Shared>) {
        // Attached once, by the server.
        let _ = self.server.set((runtime, shared));
    }

    /// Registers a webhook; gives its id.
    pub(crate) fn add(&self, subscription: Subscription, is_manual: bool, now: i64) -> u64 {
        let mut state = self.lock();
        let id = ids::id(self.seed, Kind::Webhook, state.made);
        state.made += 1;
        state.hooks.push(Webhook { id, subscription, is_manual, created: now, modified: now });
        id
    }

    /// Replaces what a webhook subscribes to.
    pub(crate) fn replace(&self, id: u64, subscription: Subscription, now: i64) {
        if let Some(hook) = self.lock().hooks.iter_mut().find(|hook| hook.id == id) {
            hook.subscription = subscription;
            hook.modified = now;
        }
    }

    /// Removes a webhook; false when there is none.
    pub(crate) fn remove(&self, id: u64) -> bool {
        let mut state = self.lock();
        let before = state.hooks.len();
        state.hooks.retain(|hook| hook.id != id);
        state.lanes.retain(|(hook, _), _| *hook != id);
        state.hooks.len() < before
    }

    /// All webhooks, oldest first.
    pub(crate) fn all(&self) -> Vec<Webhook> {
        self.lock().hooks.clone()
    }

    /// The webhook with an id, unless it was removed.
    pub(crate) fn find(&self, id: u64) -> Option<Webhook> {
        self.lock().hooks.iter().find(|hook| hook.id == id).cloned()
    }

    /// Queues events for the webhooks that want them, in the order given.
    pub(crate) fn publish(&self, settings: &Settings, events: Vec<Event>, source: Option<&str>) {
        if events.is_empty() {
            return;
        }
        let Some((runtime, shared)) = self.server.get() else { return };
        let mut state = self.lock();
        let state = &mut *state;
        for event in &events {
            state.published += 1;
            for hook in &state.hooks {
                let Some(element) = self.element(&settings.webhooks, hook, event, source) else { continue };
                let queued = Queued { element, number: state.published };
                let lane = (hook.id, word(&event.kind).to_owned());
                let sender = state.lanes.entry(lane).or_insert_with(|| {
                    let (sender, receiver) = unbounded_channel();
                    runtime.spawn(lane::run(shared.clone(), hook.id, receiver));
                    sender
                });
                self.ledger.queued();
                // The receiver lives as long as the sender is in the map.
                let _ = sender.send(queued);
            }
        }
    }

    /// The element of the array that a webhook gets for an event; none when it does not want it.
    fn element(
        &self,
        settings: &WebhookSettings,
        hook: &Webhook,
        event: &Event,
        source: Option<&str>,
    ) -> Option<Value> {
        let (mut kind, mut payload) = (event.kind.clone(), &event.payload);
        if settings.delete_as_update
            && let (Some(record), Some(word)) = (&event.record, kind.strip_suffix("_Delete"))
        {
            kind = format!("{word}_Update");
            payload = record;
        }
        let filter = hook.subscription.wants(&kind, event, source)?;
        let previous = event.previous.as_ref().filter(|_| filter.include_previous);
        let time = if settings.event_time_iso { iso(event.at) } else { event.at.to_string() };
        Some(json!({
            "payload": payload, "prevState": previous, "eventTime": time, "eventType": kind,
            "orgId": self.organization,
        }))
    }

    /// The key set of `/.well-known/jwks.json`.
    pub(crate) fn keys(&self) -> Value {
        self.signer.key_set()
    }

    /// Counts of deliveries.
    pub(crate) fn stats(&self) -> Value {
        self.ledger.report()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
