//! Answers of rules: refusals, and right answers that are broken in transport.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};

use crate::api;
use crate::http::answer::{Answer, AnswerBody, Drip, add_number};
use crate::http::faults::Fault;
use crate::http::meter::InFlight;
use crate::http::request::Call;
use crate::http::rules;
use crate::http::server::{self, desk_response, plain, record};
use crate::oauth;
use crate::settings::{Broken, Rule, RuleAnswer, Settings};
use crate::shared::Shared;

/// Spaces behind the body of an answer that is too large: more than 32 MiB, which clients accept.
const HUGE_BYTES: usize = 33 << 20;
/// Pieces of a body that drips.
const DRIP_PIECES: usize = 20;
/// What a login page or a proxy answers with status 200.
const HTML: &str =
    "<!DOCTYPE html><html><head><title>Zoho Accounts</title></head><body>Sign in</body></html>";

/// The answer of a rule to a call of the Desk host, or of the accounts host, which has no calls in flight.
pub(crate) async fn answer(
    shared: &Shared,
    settings: &Settings,
    call: &Call,
    rule: &Rule,
    in_flight: Option<InFlight>,
) -> Result<Response<AnswerBody>, io::Error> {
    let name = rules::name(rule.answer);
    let is_desk = in_flight.is_some();
    let (endpoint, answer) = match rule.answer {
        RuleAnswer::Status(status) => refusal(shared, settings, call, rule, status),
        RuleAnswer::Broken(Broken::Hang | Broken::Dropped | Broken::Reset) => {
            record(shared, call, &endpoint(call), StatusCode::BAD_GATEWAY, 0, Some(name));
            // Ends here as a call in flight: a client that gave up looks like one that waits.
            drop(in_flight);
            return Err(closed(settings, call, rule.answer).await);
        }
        RuleAnswer::Broken(Broken::Html) => {
            (endpoint(call), Answer::of(StatusCode::OK, "text/html", HTML.into()))
        }
        RuleAnswer::Broken(_) if is_desk => {
            let (endpoint, answer) = api::answer(shared, settings, call);
            (endpoint.to_owned(), answer)
        }
        RuleAnswer::Broken(_) => (endpoint(call), oauth::endpoints::answer(shared, call)),
    };
    record(shared, call, &endpoint, answer.status, answer.weight.unwrap_or(0), Some(name));
    let body = body(rule.answer, answer.body.clone(), settings, in_flight);
    if !is_desk {
        let retry_after = answer.retry_after;
        let mut response = plain(answer);
        if let Some(seconds) = retry_after {
            add_number(&mut response, "retry-after", seconds);
        }
        *response.body_mut() = body;
        return Ok(response);
    }
    Ok(desk_response(shared, settings, &answer, body))
}

/// The name in `/_admin/stats`: that of the endpoint, so that calls of one endpoint are counted together.
fn endpoint(call: &Call) -> String {
    api::endpoint(call).map_or_else(|| call.path.clone(), str::to_owned)
}

/// A refusal. It costs as much as the call, unless the call was not admitted (401, 429) or failed (5xx).
fn refusal(shared: &Shared, settings: &Settings, call: &Call, rule: &Rule, status: u16) -> (String, Answer) {
    if status >= 502 {
        let html = format!("<html><head><title>{status}</title></head><body>ZGS</body></html>");
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
        return (endpoint(call), Answer::of(status, "text/html", html.into()));
    }
    let answer = rules::error(rule, status).answer();
    let is_charged = (400..500).contains(&status) && status != 401 && status != 429;
    let weight = if is_charged { api::charge(shared, settings, call) } else { 0 };
    (endpoint(call), answer.with_weight(weight))
}

/// Closes the connection, at once or after a while.
async fn closed(settings: &Settings, call: &Call, answer: RuleAnswer) -> io::Error {
    match answer {
        RuleAnswer::Broken(Broken::Hang) => {
            tokio::time::sleep(Duration::from_millis(settings.faults.hang_ms)).await;
        }
        RuleAnswer::Broken(Broken::Reset) => call.reset.store(true, Ordering::Relaxed),
        _ => {}
    }
    io::Error::other("closed on purpose")
}

/// A body and then so many spaces.
fn followed_by_spaces(body: Bytes, mut left: usize) -> AnswerBody {
    let mut first = Some(body);
    let spaces = Bytes::from(vec![b' '; 1 << 20]);
    AnswerBody::Chunks(Box::new(move || {
        if let Some(first) = first.take().filter(|bytes| !bytes.is_empty()) {
            return Some(first);
        }
        left = left.checked_sub(spaces.len())?;
        Some(spaces.clone())
    }))
}

fn body(answer: RuleAnswer, bytes: Bytes, settings: &Settings, in_flight: Option<InFlight>) -> AnswerBody {
    let RuleAnswer::Broken(broken) = answer else { return AnswerBody::Full(Some(bytes), in_flight) };
    match broken {
        Broken::Truncated => server::body(bytes, Some(Fault::Truncated), in_flight),
        Broken::Malformed => server::body(bytes, Some(Fault::Malformed), in_flight),
        Broken::Drip => {
            let pause = Duration::from_millis(settings.faults.hang_ms / DRIP_PIECES as u64);
            AnswerBody::Drip(Box::new(Drip::new(bytes, DRIP_PIECES, pause)))
        }
        Broken::Short => AnswerBody::Full(Some(bytes.slice(..bytes.len().saturating_sub(1))), in_flight),
        Broken::Huge => followed_by_spaces(bytes, HUGE_BYTES),
        Broken::Endless => followed_by_spaces(bytes, usize::MAX),
        _ => AnswerBody::Full(Some(bytes), in_flight),
    }
}
