//! Accepts connections, routes each request to the accounts host, the API or the admin API, and applies
//! faults, limits and headers.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, DATE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use crate::admin;
use crate::api;
use crate::http::answer::{Answer, AnswerBody, JSON, add_desk_headers, add_number, response};
use crate::http::broken;
use crate::http::error::ApiError;
use crate::http::faults::Fault;
use crate::http::meter::InFlight;
use crate::http::request::Call;
use crate::http::request_log::Entry;
use crate::oauth;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::time::http_date;

/// Serves until [`Shared::stop`] is notified.
pub(crate) async fn serve(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.stop.notified() => return,
        };
        // An error concerns one connection, which its client closed before it was accepted.
        if let Ok((stream, _)) = stream {
            tokio::spawn(connection(Arc::clone(&shared), stream));
        }
    }
}

async fn connection(shared: Arc<Shared>, stream: TcpStream) {
    // Disables Nagle's algorithm, which would delay answers until the peer acknowledges. A failure costs time
    // only.
    let _ = stream.set_nodelay(true);
    let is_reset = Arc::new(AtomicBool::new(false));
    let reset = Arc::clone(&is_reset);
    let service = service_fn(move |request| handle(Arc::clone(&shared), request, Arc::clone(&reset)));
    let mut server = http1::Builder::new();
    server.writev(true).half_close(true);
    let mut served = server.serve_connection(TokioIo::new(stream), service);
    // An error is a client that disconnected, or an injected fault.
    let result = Pin::new(&mut served).await;
    if result.is_err() && is_reset.load(Ordering::Relaxed) {
        // A socket that does not linger is closed with RST. A failure closes it with FIN, as `dropped`.
        let _ = served.into_parts().io.into_inner().set_zero_linger();
    }
}

async fn handle(
    shared: Arc<Shared>,
    request: Request<Incoming>,
    reset: Arc<AtomicBool>,
) -> Result<Response<AnswerBody>, io::Error> {
    if lacks_length(&shared, &request) {
        shared.meter.answered("(length)", StatusCode::LENGTH_REQUIRED.as_u16());
        let body = b"<html><head><title>411 Length Required</title></head></html>".to_vec();
        return Ok(plain(Answer::of(StatusCode::LENGTH_REQUIRED, "text/html", body)));
    }
    let Some(mut call) = Call::read(request, reset).await else {
        return Ok(plain(ApiError::too_large().answer()));
    };
    if call.path.starts_with("/_admin/") {
        return Ok(admin::answer(&shared, &call).await);
    }
    if call.path.starts_with("/api/v1/") {
        call.url_is_valid = api::webhooks::validate_url(&shared, &call).await;
        return desk(&shared, &call).await;
    }
    if call.path.starts_with("/oauth/") {
        return accounts(&shared, &call).await;
    }
    if call.path == "/.well-known/jwks.json" {
        return Ok(plain(Answer::value(&shared.webhooks.signer.key_set())));
    }
    Ok(plain(Answer::of(StatusCode::NOT_FOUND, "text/html", b"<html>404</html>".to_vec())))
}

/// Whether a call that is to have a body does not say how long it is, and the settings require that.
fn lacks_length(shared: &Shared, request: &Request<Incoming>) -> bool {
    let has_body = matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH);
    let is_admin = request.uri().path().starts_with("/_admin/");
    has_body
        && !is_admin
        && !request.headers().contains_key(CONTENT_LENGTH)
        && shared.settings().require_content_length
}

pub(crate) fn plain(answer: Answer) -> Response<AnswerBody> {
    response(answer.status, answer.content_type, AnswerBody::Full(Some(answer.body), None))
}

/// The accounts host, with the faults that apply to it.
async fn accounts(shared: &Shared, call: &Call) -> Result<Response<AnswerBody>, io::Error> {
    let settings = shared.settings();
    if let Some(rule) = shared.rules.next(&settings.faults.rules, call) {
        return broken::answer(shared, &settings, call, rule, None).await;
    }
    let fault = shared.faults.next(&settings.faults, &call.path, None);
    let answer = match fault {
        Some(Fault::Dropped) => return Err(dropped(shared, call, Fault::Dropped)),
        Some(Fault::BadGateway | Fault::InternalError) => bad_gateway(),
        other => {
            wait_if_slow(other).await;
            oauth::endpoints::answer(shared, call)
        }
    };
    record(shared, call, &call.path, answer.status, 0, fault.map(Fault::name));
    Ok(plain(answer))
}

/// The Desk host: concurrency limit, faults, the API, and the headers that every answer has.
async fn desk(shared: &Shared, call: &Call) -> Result<Response<AnswerBody>, io::Error> {
    let settings = shared.settings();
    let in_flight = shared.meter.enter();
    let is_over_limit = shared.own_concurrency(&settings).is_some_and(|limit| in_flight.concurrency > limit);
    if settings.latency_ms > 0 && !is_over_limit {
        tokio::time::sleep(Duration::from_millis(settings.latency_ms)).await;
    } else {
        // Requests that arrived together are counted together: the others start before this one ends.
        tokio::task::yield_now().await;
    }
    if !is_over_limit && let Some(rule) = shared.rules.next(&settings.faults.rules, call) {
        return broken::answer(shared, &settings, call, rule, Some(in_flight)).await;
    }
    let url = format!("{} {}?{}", call.method, call.path, call.raw_query);
    let fault = shared.faults.next(&settings.faults, &url, call.token.as_deref());
    wait_if_slow(fault).await;
    let (endpoint, answer) = match fault {
        _ if is_over_limit => ("(concurrency)", ApiError::too_many().answer()),
        Some(Fault::Dropped) => return Err(dropped(shared, call, Fault::Dropped)),
        Some(Fault::BadGateway) => ("(fault)", bad_gateway()),
        Some(Fault::InternalError) => ("(fault)", ApiError::internal().answer()),
        Some(Fault::TooManyRequests) => ("(fault)", ApiError::too_many().answer()),
        Some(Fault::ThresholdExceeded) => {
            ("(fault)", ApiError::threshold(settings.faults.retry_after_seconds).answer())
        }
        other => {
            if let (Some(Fault::InvalidToken), Some(token)) = (other, &call.token) {
                shared.accounts().invalidate(token);
            }
            api::answer(shared, &settings, call)
        }
    };
    let (status, credits) = (answer.status, answer.weight.unwrap_or(0));
    record(shared, call, endpoint, status, credits, fault.map(Fault::name));
    let body = body(answer.body.clone(), fault, Some(in_flight));
    Ok(desk_response(shared, &settings, &answer, body))
}

/// A response of the Desk host: the headers that every answer has, and credits.
pub(crate) fn desk_response(
    shared: &Shared,
    settings: &Settings,
    answer: &Answer,
    body: AnswerBody,
) -> Response<AnswerBody> {
    let now = shared.clock.now_ms();
    let left = shared.meter.left(now, shared.own_credits(settings));
    let mut response = response(answer.status, answer.content_type, body);
    if answer.content_type == JSON {
        add_desk_headers(&mut response);
    }
    if let Ok(date) = HeaderValue::from_str(&http_date(now + settings.date_skew_ms)) {
        response.headers_mut().insert(DATE, date);
    }
    if let Some(Ok(range)) = answer.content_range.as_deref().map(HeaderValue::from_str) {
        response.headers_mut().insert(CONTENT_RANGE, range);
    }
    add_number(&mut response, "x-rate-limit-request-weight-v3", answer.weight.unwrap_or(0));
    add_number(&mut response, "x-rate-limit-remaining-v3", left);
    if let Some(seconds) = answer.retry_after {
        add_number(&mut response, "retry-after", seconds);
    }
    response
}

/// The body of an answer, whole or as the fault spoils it.
pub(crate) fn body(bytes: Bytes, fault: Option<Fault>, in_flight: Option<InFlight>) -> AnswerBody {
    match fault {
        Some(Fault::Truncated) if !bytes.is_empty() => {
            AnswerBody::Truncated(Some(bytes.slice(..bytes.len() / 2)), bytes.len() as u64)
        }
        Some(Fault::Malformed) if !bytes.is_empty() => {
            AnswerBody::Full(Some(bytes.slice(..bytes.len() - 1)), in_flight)
        }
        _ => AnswerBody::Full(Some(bytes), in_flight),
    }
}

async fn wait_if_slow(fault: Option<Fault>) {
    if let Some(Fault::Slow(ms)) = fault {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

fn bad_gateway() -> Answer {
    let body = "<html><head><title>502 Bad Gateway</title></head><body>ZGS</body></html>";
    Answer::of(StatusCode::BAD_GATEWAY, "text/html", body.into())
}

fn dropped(shared: &Shared, call: &Call, fault: Fault) -> io::Error {
    record(shared, call, "(fault)", StatusCode::BAD_GATEWAY, 0, Some(fault.name()));
    io::Error::other("dropped on purpose")
}

/// Counts a call and writes it into the log.
pub(crate) fn record(
    shared: &Shared,
    call: &Call,
    endpoint: &str,
    status: StatusCode,
    credits: u64,
    fault: Option<&'static str>,
) {
    shared.meter.answered(endpoint, status.as_u16());
    shared.meter.account(endpoint, credits);
    if let Some(fault) = fault {
        shared.meter.faulted(fault);
    }
    // Queries of the accounts host contain secrets.
    let query = if call.path.starts_with("/oauth/") { "" } else { call.raw_query.as_str() };
    let separator = if query.is_empty() { "" } else { "?" };
    let entry = Entry {
        time: shared.clock.now_ms(),
        method: call.method.to_string(),
        url: format!("{}{separator}{query}", call.path),
        status: status.as_u16(),
        credits,
        fault,
    };
    if shared.options.verbose {
        let fault = entry.fault.map(|name| format!(" fault {name}")).unwrap_or_default();
        let Entry { method, url, status, credits, .. } = &entry;
        eprintln!("{method} {url} -> {status}, {credits} credits{fault}");
    }
    shared.request_log.add(entry);
}
