//! `/_admin/…`: changes, switches and the truth, for tests in other processes and for people.
//!
//! Without authentication: the simulator listens on 127.0.0.1 only. `README.md` documents every call.

pub(crate) mod mutate;
mod webhooks;

use std::sync::Arc;

use http::{Method, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::http::answer::{Answer, AnswerBody, JSON, response};
use crate::http::request::Call;
use crate::oauth::NewCode;
use crate::oauth::scopes::Scopes;
use crate::settings::{FaultSettings, merge};
use crate::shared::Shared;
use crate::stats::{credits, stats};
use crate::truth::{TruthQuery, lines, names};

/// The status and the message of a rejected admin call.
pub(crate) type AdminError = (u16, String);

/// Answers an admin call.
pub(crate) async fn answer(shared: &Arc<Shared>, call: &Call) -> Response<AnswerBody> {
    let path = call.path.strip_prefix("/_admin/").unwrap_or("");
    if let (&Method::GET, Some(table)) = (&call.method, path.strip_prefix("truth/")) {
        return truth(shared, call, table);
    }
    let result = match path.strip_prefix("webhooks") {
        Some(rest) => webhooks::answer(shared, call, rest.trim_start_matches('/')).await,
        None => dispatch(shared, call, path),
    };
    let answer = match result {
        Ok(value) => Answer::value(&value),
        Err((status, message)) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
            Answer::of(status, JSON, json!({"error": message}).to_string().into_bytes())
        }
    };
    response(answer.status, answer.content_type, AnswerBody::Full(Some(answer.body), None))
}

fn truth(shared: &Arc<Shared>, call: &Call, table: &str) -> Response<AnswerBody> {
    let omit = call.get("omit").unwrap_or("").split(',').filter(|key| !key.is_empty());
    let query = TruthQuery {
        detail: call.get("detail").is_none_or(|value| value == "true"),
        omit: omit.map(str::to_owned).collect(),
    };
    match lines(Arc::clone(shared), table, query) {
        Some(next) => response(StatusCode::OK, "application/x-ndjson", AnswerBody::Chunks(Box::new(next))),
        None => {
            let tables: Vec<&str> = names().collect();
            let body = json!({"error": format!("table `{table}`: not found"), "tables": tables}).to_string();
            response(StatusCode::NOT_FOUND, JSON, AnswerBody::Full(Some(body.into()), None))
        }
    }
}

fn dispatch(shared: &Arc<Shared>, call: &Call, path: &str) -> Result<Value, AdminError> {
    match (call.method.as_str(), path) {
        ("GET", "stats") => Ok(stats(shared)),
        ("POST", "stats/reset") => {
            shared.meter.reset();
            Ok(json!({}))
        }
        ("GET", "credits") => Ok(credits(shared)),
        ("POST", "credits") => {
            let UsedBody { used } = body(call)?;
            shared.meter.set_used(shared.clock.now_ms(), used);
            Ok(credits(shared))
        }
        ("GET", "log") => Ok(json!({"requests": shared.request_log.entries()})),
        ("GET", "settings") => Ok(json!(*shared.settings())),
        ("PATCH", "settings") => patch_settings(shared, body(call)?),
        ("POST", "faults") => faults(shared, body(call)?),
        ("POST", "heal") => {
            shared.heal();
            Ok(json!({}))
        }
        ("POST", "clock") => set_clock(shared, body(call)?),
        ("POST", "codes") => add_code(shared, body(call)?),
        ("POST", "scopes") => {
            let ScopeBody { scope } = body(call)?;
            let scopes = Scopes::parse(&scope);
            let scopes = scopes.ok_or((422, "scope: unknown or missing".to_owned()))?;
            shared.accounts().set_scopes(scopes);
            Ok(json!({}))
        }
        ("POST", "tokens/expire") => {
            shared.accounts().expire_all();
            Ok(json!({}))
        }
        ("POST", "tokens/revoke") => Ok(json!({"revoked": shared.accounts().revoke(None)})),
        ("POST", "mutate") => mutate::apply(shared, body(call)?),
        ("POST", "shutdown") => {
            shared.stop.notify_one();
            Ok(json!({}))
        }
        (method, path) => Err(no_such_call(method, path)),
    }
}

fn no_such_call(method: &str, path: &str) -> AdminError {
    (404, format!("{method} /_admin/{path}: no such call, see README.md"))
}

/// Parses a JSON body; an empty one is `{}`.
fn body<T: DeserializeOwned>(call: &Call) -> Result<T, AdminError> {
    let bytes = if call.body.is_empty() { b"{}" } else { &call.body[..] };
    serde_json::from_slice(bytes).map_err(|error| (422, format!("body: {error}")))
}

/// Changes of the clock, in this order; one key suffices.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockBody {
    offset_ms: Option<i64>,
    advance_ms: Option<i64>,
    speed: Option<f64>,
}

fn set_clock(shared: &Shared, body: ClockBody) -> Result<Value, AdminError> {
    if body.offset_ms.is_none() && body.advance_ms.is_none() && body.speed.is_none() {
        return Err((422, "offset_ms, advance_ms or speed: missing".to_owned()));
    }
    if let Some(ms) = body.offset_ms {
        shared.clock.set_offset(ms);
    }
    shared.clock.advance(body.advance_ms.unwrap_or(0));
    if let Some(speed) = body.speed {
        shared.clock.set_speed(speed);
    }
    Ok(json!({"nowMs": shared.clock.now_ms()}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UsedBody {
    used: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScopeBody {
    #[serde(default)]
    scope: String,
}

/// A code to add; every key has a default.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CodeBody {
    code: Option<String>,
    scope: Option<String>,
    life_ms: Option<u64>,
    #[serde(default)]
    reusable: bool,
}

fn add_code(shared: &Shared, body: CodeBody) -> Result<Value, AdminError> {
    let now = shared.clock.now_ms();
    let code = body.code.unwrap_or_else(|| format!("1000.simcode.{now}"));
    let scopes = match body.scope {
        Some(list) => Scopes::parse(&list).ok_or((422, "scope: unknown or missing".to_owned()))?,
        None => Scopes::all(),
    };
    let new = NewCode { code: code.clone(), scopes, life_ms: body.life_ms, is_reusable: body.reusable };
    shared.accounts().add_code(new, now);
    Ok(json!({"code": code}))
}

/// Merges an object into the settings.
fn patch_settings(shared: &Shared, patch: Value) -> Result<Value, AdminError> {
    let settings = shared.settings().merged(patch).map_err(|error| (422, format!("settings: {error}")))?;
    shared.set_settings(settings);
    Ok(json!(*shared.settings()))
}

/// `{"seed": 7}` selects the predefined plan of faults; probabilities in the body replace those of the plan.
fn faults(shared: &Shared, patch: Value) -> Result<Value, AdminError> {
    let seed = patch.get("seed").and_then(Value::as_u64);
    let mut plan = json!(seed.map_or_else(FaultSettings::default, FaultSettings::seeded));
    merge(&mut plan, patch);
    patch_settings(shared, json!({"faults": plan}))
}
