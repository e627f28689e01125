//! `/_admin/webhooks…`: manual webhooks, key rotation, forged and replayed deliveries, signatures.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin::{AdminError, body};
use crate::http::request::Call;
use crate::shared::Shared;
use crate::webhooks::signature::{Claims, audience};
use crate::webhooks::subscription::Subscription;
use crate::webhooks::{Origin, Webhook};

/// The events of a manual webhook that names none.
const EVENTS: &[&str] = &[
    "Ticket_Add",
    "Ticket_Update",
    "Ticket_Delete",
    "Ticket_Thread_Add",
    "Ticket_Comment_Add",
    "Ticket_Comment_Update",
    "Contact_Add",
    "Contact_Update",
    "Contact_Delete",
    "Account_Add",
    "Account_Update",
    "Account_Delete",
    "Department_Add",
    "Department_Update",
    "Agent_Add",
    "Agent_Update",
    "Agent_Delete",
];

/// A manual webhook.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manual {
    url: String,
    events: Option<Vec<String>>,
    #[serde(default)]
    include_previous: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotate {
    #[serde(default = "yes")]
    serve_previous: bool,
}

fn yes() -> bool {
    true
}

/// A delivery that no event caused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Forged {
    url: String,
    /// The body as JSON; `raw` takes any text in its place.
    body: Option<Value>,
    raw: Option<String>,
    /// The audience of the signature.
    webhook_id: Option<String>,
    #[serde(default)]
    signature: Signature,
}

/// The flaw of a forged signature.
#[derive(Clone, Copy, Default, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Signature {
    #[default]
    None,
    Valid,
    WrongKey,
    UnknownKid,
    WrongAudience,
    Expired,
    Garbage,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Replay {
    /// Number of the last deliveries to replay, oldest first.
    #[serde(default = "one")]
    count: usize,
    /// Replays the original signature in place of a current one.
    #[serde(default)]
    original_signature: bool,
}

fn one() -> usize {
    1
}

/// Signatures for deliveries that another program sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tokens {
    webhook_id: String,
    count: i64,
    /// Milliseconds from now at which the first is issued.
    #[serde(default)]
    from_ms: i64,
}

/// Answers a call about webhooks; `rest` is the path after `/_admin/webhooks/`.
pub(crate) async fn answer(shared: &Arc<Shared>, call: &Call, rest: &str) -> Result<Value, AdminError> {
    match (call.method.as_str(), rest) {
        ("GET", "") => {
            let row = |webhook: &Webhook| {
                let mut row = webhook.to_json("");
                row["isManual"] = json!(webhook.origin == Origin::Manual);
                row
            };
            Ok(json!({"webhooks": shared.webhooks.all().iter().map(row).collect::<Vec<Value>>()}))
        }
        ("POST", "") => add(shared, body(call)?),
        ("GET", "deliveries") => {
            let recent = shared.webhooks.log.recent();
            Ok(json!({"deliveries": recent.iter().map(|d| d.to_json()).collect::<Vec<Value>>()}))
        }
        ("POST", "rotate") => {
            let Rotate { serve_previous } = body(call)?;
            Ok(json!({"kid": shared.webhooks.signer.rotate(serve_previous)}))
        }
        ("POST", "forge") => forge(shared, body(call)?).await,
        ("POST", "replay") => replay(shared, body(call)?).await,
        ("POST", "tokens") => tokens(shared, body(call)?).await,
        ("DELETE", id) => {
            let is_removed = id.parse().is_ok_and(|id| shared.webhooks.remove(id));
            if is_removed { Ok(json!({})) } else { Err((404, format!("webhook `{id}`: not found"))) }
        }
        (method, _) => Err(super::no_such_call(method, &format!("webhooks/{rest}"))),
    }
}

fn add(shared: &Shared, manual: Manual) -> Result<Value, AdminError> {
    let all = || EVENTS.iter().map(|event| (*event).to_owned()).collect();
    let events = manual.events.unwrap_or_else(all);
    let subscription = Subscription::manual(&manual.url, &events, manual.include_previous);
    let subscription = subscription.ok_or((422, "events: unknown event type".to_owned()))?;
    let id = shared.webhooks.add(subscription, Origin::Manual, shared.clock.now_ms());
    Ok(json!({"id": id.to_string()}))
}

async fn forge(shared: &Shared, forged: Forged) -> Result<Value, AdminError> {
    let bytes = match (forged.raw, forged.body) {
        (Some(raw), _) => Bytes::from(raw),
        (None, body) => Bytes::from(body.unwrap_or_else(|| json!([{}])).to_string()),
    };
    let settings = shared.settings();
    let webhook = forged.webhook_id.and_then(|id| id.parse().ok()).unwrap_or(0);
    let mut claims = Claims::new(webhook, shared.clock.now_ms(), &settings.webhooks);
    let signer = &shared.webhooks.signer;
    let signature = match forged.signature {
        Signature::None => None,
        Signature::Valid => Some(signer.sign(&claims)),
        Signature::WrongKey => Some(signer.forge(&claims)),
        Signature::UnknownKid => Some(signer.sign_unknown(&claims)),
        Signature::Garbage => Some("not.a.token".to_owned()),
        Signature::WrongAudience => {
            claims.audience = "webhookId:1".to_owned();
            Some(signer.sign(&claims))
        }
        Signature::Expired => {
            let life = claims.expires - claims.issued_at + 3_600;
            claims.issued_at -= 2 * life;
            claims.expires -= 2 * life;
            Some(signer.sign(&claims))
        }
    };
    let timeout_ms = settings.webhooks.timeout_ms;
    let client = &shared.webhooks.client;
    let status = client.send(Method::POST, &forged.url, bytes, signature.as_deref(), timeout_ms).await;
    Ok(json!({"status": status}))
}

async fn replay(shared: &Shared, replay: Replay) -> Result<Value, AdminError> {
    let settings = shared.settings();
    let recent = shared.webhooks.log.recent();
    let first = recent.len().saturating_sub(replay.count);
    let mut statuses = Vec::new();
    for delivery in &recent[first..] {
        let signature = if replay.original_signature {
            delivery.signature.clone()
        } else {
            shared.webhooks.sign(delivery.webhook, shared.clock.now_ms(), &settings.webhooks)
        };
        let (body, timeout_ms) = (delivery.body.clone(), settings.webhooks.timeout_ms);
        let client = &shared.webhooks.client;
        statuses.push(client.send(Method::POST, &delivery.url, body, Some(&signature), timeout_ms).await);
    }
    Ok(json!({"statuses": statuses}))
}

/// One token per millisecond from now on: no two are equal, as those of a busy account.
async fn tokens(shared: &Arc<Shared>, tokens: Tokens) -> Result<Value, AdminError> {
    let webhook = tokens.webhook_id.parse().map_err(|_| (422, "webhook_id: not a number".to_owned()))?;
    let shared = Arc::clone(shared);
    // Signing blocks the thread; other calls are answered meanwhile.
    let signing = tokio::task::spawn_blocking(move || {
        let settings = shared.settings();
        let life_ms = settings.webhooks.signature_life_seconds as i64 * 1000;
        let first = shared.clock.now_ms() + tokens.from_ms;
        let all = (first..first + tokens.count).map(|issued_at| {
            let claims = Claims { audience: audience(webhook), issued_at, expires: issued_at + life_ms };
            shared.webhooks.signer.sign_uncached(&claims)
        });
        json!({"tokens": all.collect::<Vec<String>>()})
    });
    signing.await.map_err(|error| (500, error.to_string()))
}
