//! `/_admin/webhooks…`: webhooks that were set up by hand, key rotation, forged and replayed
//! deliveries.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin::{AdminError, body};
use crate::http::request::Call;
use crate::shared::Shared;
use crate::webhooks::lane::{audience, claims, sign};
use crate::webhooks::signature::Claims;
use crate::webhooks::subscription::Subscription;

/// Events of a webhook that was set up by hand, unless told otherwise.
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

/// A webhook that is set up by hand.
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

/// A delivery that nobody subscribed to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Forged {
    url: String,
    /// The body as JSON; `raw` takes any text instead.
    body: Option<Value>,
    raw: Option<String>,
    /// Whom the signature is for.
    webhook_id: Option<String>,
    #[serde(default)]
    signature: Signature,
}

/// What is wrong with a forged signature.
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
    /// How many of the last deliveries; oldest first.
    #[serde(default = "one")]
    count: usize,
    /// With the signature of then instead of one of now.
    #[serde(default)]
    original_signature: bool,
}

fn one() -> usize {
    1
}

/// Tokens to sign deliveries with that somebody else makes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mint {
    webhook_id: String,
    count: i64,
    /// Milliseconds from now at which the first is issued.
    #[serde(default)]
    from_ms: i64,
}

/// Answers a call about webhooks; `rest` is the path behind `/_admin/webhooks/`.
pub(crate) async fn answer(shared: &Arc<Shared>, call: &Call, rest: &str) -> Result<Value, AdminError> {
    match (call.method.as_str(), rest) {
        ("GET", "") => {
            let all = shared.webhooks.all();
            let row = |hook: &crate::webhooks::Webhook| {
                let mut row = hook.document("");
                row["isManual"] = json!(hook.is_manual);
                row
            };
            Ok(json!({"webhooks": all.iter().map(row).collect::<Vec<Value>>()}))
        }
        ("POST", "") => add(shared, body(call)?),
        ("GET", "deliveries") => {
            let recent = shared.webhooks.ledger.recent();
            Ok(json!({"deliveries": recent.iter().map(|d| d.document()).collect::<Vec<Value>>()}))
        }
        ("POST", "rotate") => {
            let Rotate { serve_previous } = body(call)?;
            Ok(json!({"kid": shared.webhooks.signer.rotate(serve_previous)}))
        }
        ("POST", "forge") => forge(shared, body(call)?).await,
        ("POST", "replay") => replay(shared, body(call)?).await,
        ("POST", "tokens") => mint(shared, body(call)?).await,
        ("DELETE", id) => {
            let removed = id.parse().is_ok_and(|id| shared.webhooks.remove(id));
            if removed { Ok(json!({})) } else { Err((404, format!("{id}: no such webhook"))) }
        }
        (method, _) => Err((404, format!("{method} webhooks/{rest}: no such call, see README.md"))),
    }
}

fn add(shared: &Shared, manual: Manual) -> Result<Value, AdminError> {
    let all = || EVENTS.iter().map(|event| (*event).to_owned()).collect();
    let events = manual.events.unwrap_or_else(all);
    let subscription = Subscription::manual(&manual.url, &events, manual.include_previous);
    let subscription = subscription.ok_or((422, "events: no such event".to_owned()))?;
    let id = shared.webhooks.add(subscription, true, shared.clock.now_ms());
    Ok(json!({"id": id.to_string()}))
}

async fn forge(shared: &Shared, forged: Forged) -> Result<Value, AdminError> {
    let bytes = match (forged.raw, forged.body) {
        (Some(raw), _) => Bytes::from(raw),
        (None, body) => Bytes::from(body.unwrap_or_else(|| json!([{}])).to_string()),
    };
    let settings = shared.settings();
    let hook = forged.webhook_id.and_then(|id| id.parse().ok()).unwrap_or(0);
    let mut claims = claims(shared, &settings.webhooks, hook);
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
    let outbound = &shared.webhooks.outbound;
    let status = outbound.send(Method::POST, &forged.url, bytes, signature.as_deref(), timeout_ms).await;
    Ok(json!({"status": status}))
}

async fn replay(shared: &Shared, replay: Replay) -> Result<Value, AdminError> {
    let settings = shared.settings();
    let recent = shared.webhooks.ledger.recent();
    let first = recent.len().saturating_sub(replay.count);
    let mut statuses = Vec::new();
    for delivery in &recent[first..] {
        let signature = if replay.original_signature {
            delivery.signature.clone()
        } else {
            sign(shared, &settings.webhooks, delivery.hook)
        };
        let (body, timeout_ms) = (delivery.body.clone(), settings.webhooks.timeout_ms);
        let outbound = &shared.webhooks.outbound;
        let status = outbound.send(Method::POST, &delivery.url, body, Some(&signature), timeout_ms).await;
        statuses.push(status);
    }
    Ok(json!({"statuses": statuses}))
}

/// One token for each of the coming milliseconds: no two are alike, as those of deliveries of a busy source.
async fn mint(shared: &Arc<Shared>, mint: Mint) -> Result<Value, AdminError> {
    let hook = mint.webhook_id.parse().map_err(|_| (422, "webhook_id: not a number".to_owned()))?;
    let shared = Arc::clone(shared);
    // Signing is slow: other calls are answered meanwhile.
    let signing = tokio::task::spawn_blocking(move || {
        let settings = shared.settings();
        let life_ms = settings.webhooks.signature_life_seconds as i64 * 1000;
        let first = shared.clock.now_ms() + mint.from_ms;
        let tokens = (first..first + mint.count).map(|issued_at| {
            let claims = Claims { audience: audience(hook), issued_at, expires: issued_at + life_ms };
            shared.webhooks.signer.sign_anew(&claims)
        });
        json!({"tokens": tokens.collect::<Vec<String>>()})
    });
    signing.await.map_err(|error| (500, error.to_string()))
}
