//! `/_admin/…`: mutations, switches and the truth, for tests from outside and for people.
//!
//! No credentials: it listens on 127.0.0.1 only. `README.md` documents every call.

pub(crate) mod hooks;
pub(crate) mod mutate;

use std::sync::Arc;

use http::{Method, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::http::answer::{Answer, AnswerBody, JSON, response};
use crate::http::request::Call;
use crate::oauth::scopes::Scopes;
use crate::settings::{FaultSettings, Settings};
use crate::shared::Shared;
use crate::truth::{TABLES, TruthQuery, lines};

/// Why an admin call was refused: a status and words.
pub(crate) type AdminError = (u16, String);

/// Answers an admin call.
pub(crate) async fn answer(shared: &Arc<Shared>, call: &Call) -> Response<AnswerBody> {
    let path = call.path.strip_prefix("/_admin/").unwrap_or("");
    if let (&Method::GET, Some(table)) = (&call.method, path.strip_prefix("truth/")) {
        return truth(shared, call, table);
    }
    let result = match path.strip_prefix("webhooks") {
        Some(rest) => hooks::answer(shared, call, rest.trim_start_matches('/')).await,
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
        Some(next) => response(StatusCode::OK, "application/x-ndjson", AnswerBody::Produced(Box::new(next))),
        None => {
            let body = json!({"error": "no such table", "tables": TABLES}).to_string();
            let body = AnswerBody::Full(Some(body.into()), None);
            response(StatusCode::NOT_FOUND, JSON, body)
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
        ("GET", "log") => Ok(json!({"requests": shared.journal.entries()})),
        ("GET", "settings") => Ok(json!(*shared.settings())),
        ("PATCH", "settings") => patch_settings(shared, body(call)?),
        ("POST", "faults") => faults(shared, body(call)?),
        ("POST", "heal") => {
            let settings = Settings { faults: FaultSettings::default(), ..(*shared.settings()).clone() };
            shared.set_settings(settings);
            Ok(json!({}))
        }
        ("POST", "clock") => {
            let Advance { advance_ms } = body(call)?;
            shared.clock.advance(advance_ms);
            Ok(json!({"nowMs": shared.clock.now_ms()}))
        }
        ("POST", "codes") => add_code(shared, body(call)?),
        ("POST", "scopes") => {
            let New { scope, .. } = body(call)?;
            let scopes = Scopes::parse(&scope.unwrap_or_default());
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
        _ => Err((404, format!("{} /_admin/{path}: no such call, see README.md", call.method))),
    }
}

/// Reads a JSON body; an empty one is `{}`.
pub(crate) fn body<T: DeserializeOwned>(call: &Call) -> Result<T, AdminError> {
    let bytes = if call.body.is_empty() { b"{}" } else { &call.body[..] };
    serde_json::from_slice(bytes).map_err(|error| (422, format!("body: {error}")))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_ms: i64,
}

/// A code to add, or scopes to set.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    code: Option<String>,
    scope: Option<String>,
    life_ms: Option<u64>,
    #[serde(default)]
    reusable: bool,
}

fn add_code(shared: &Shared, new: New) -> Result<Value, AdminError> {
    let now = shared.clock.now_ms();
    let code = new.code.unwrap_or_else(|| format!("1000.simcode.{now}"));
    let scopes = match new.scope {
        Some(list) => Scopes::parse(&list).ok_or((422, "scope: invalid_scope".to_owned()))?,
        None => Scopes::all(),
    };
    shared.accounts().add_code(&code, scopes, new.life_ms, new.reusable, now);
    Ok(json!({"code": code}))
}

/// Merges an object into the settings; objects within are merged as well.
fn patch_settings(shared: &Shared, patch: Value) -> Result<Value, AdminError> {
    let mut settings = json!(*shared.settings());
    merge(&mut settings, patch);
    let settings: Settings =
        serde_json::from_value(settings).map_err(|error| (422, format!("settings: {error}")))?;
    shared.set_settings(settings);
    Ok(json!(*shared.settings()))
}

fn merge(target: &mut Value, patch: Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(target.entry(key).or_insert(Value::Null), value);
            }
        }
        (target, patch) => *target = patch,
    }
}

/// `{"seed": 7}` takes the ready-made plan; any probabilities beside it replace those of the plan.
fn faults(shared: &Shared, patch: Value) -> Result<Value, AdminError> {
    let seed = patch.get("seed").and_then(Value::as_u64);
    let plan = seed.map_or_else(FaultSettings::default, FaultSettings::seeded);
    let mut plan = json!(plan);
    merge(&mut plan, patch);
    patch_settings(shared, json!({"faults": plan}))
}

/// Requests, credits, peak concurrency, tokens, deliveries.
pub(crate) fn stats(shared: &Shared) -> Value {
    let budget = shared.daily_credits(&shared.settings());
    let mut report = shared.meter.report(shared.clock.now_ms(), budget);
    report["webhooks"] = shared.webhooks.stats();
    let world = shared.world();
    let live = |table: &str| {
        world
            .table(table)
            .map_or(0, |table| crate::api::organizations::live(table.rows.iter().map(|row| &row.life)))
    };
    report["rows"] = json!({
        "tickets": crate::api::organizations::live(world.tickets.rows.iter().map(|ticket| &ticket.life)),
        "departments": live("departments"), "products": live("products"), "contracts": live("contracts"),
        "contacts": live("contacts"), "accounts": live("accounts"),
        "organization_fields": world.fields.all().len(),
    });
    report
}
