//! Accepts connections, routes each request to the accounts host, the API or the admin API, and applies
//! faults, limits and headers.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::DATE;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use crate::admin;
use crate::api;
use crate::http::answer::{Answer, AnswerBody, JSON, add_desk_headers, add_number, response};
use crate::http::error::ApiError;
use crate::http::faults::Fault;
use crate::http::meter::InFlight;
use crate::http::request::Call;
use crate::http::request_log::Entry;
use crate::oauth;
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
    let service = service_fn(move |request| handle(Arc::clone(&shared), request));
    let mut server = http1::Builder::new();
    server.writev(true).half_close(true);
    // An error is a client that disconnected, or an injected fault.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

async fn handle(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<AnswerBody>, io::Error> {
    let Some(mut call) = Call::read(request).await else {
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

fn plain(answer: Answer) -> Response<AnswerBody> {
    response(answer.status, answer.content_type, AnswerBody::Full(Some(answer.body), None))
}

/// The accounts host, with the faults that apply to it.
async fn accounts(shared: &Shared, call: &Call) -> Result<Response<AnswerBody>, io::Error> {
    let settings = shared.settings();
    let fault = shared.faults.next(&settings.faults, &call.path, None);
    let answer = match fault {
        Some(Fault::Dropped) => return Err(dropped(shared, call, Fault::Dropped)),
        Some(Fault::BadGateway | Fault::InternalError) => bad_gateway(),
        other => {
            wait_if_slow(other).await;
            oauth::endpoints::answer(shared, call)
        }
    };
    record(shared, call, &call.path, answer.status, 0, fault);
    Ok(plain(answer))
}

/// The Desk host: concurrency limit, faults, the API, and the headers that every answer has.
async fn desk(shared: &Shared, call: &Call) -> Result<Response<AnswerBody>, io::Error> {
    let settings = shared.settings();
    let in_flight = shared.meter.enter();
    let limit = settings.concurrency.unwrap_or_else(|| shared.options.edition.concurrency());
    let is_over_limit = limit > 0 && in_flight.concurrency > limit;
    if settings.latency_ms > 0 && !is_over_limit {
        tokio::time::sleep(Duration::from_millis(settings.latency_ms)).await;
    } else {
        // Requests that arrived together are counted together: the others start before this one ends.
        tokio::task::yield_now().await;
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
    let now = shared.clock.now_ms();
    let left = shared.meter.left(now, shared.daily_credits(&settings));
    let (status, credits) = (answer.status, answer.weight.unwrap_or(0));
    record(shared, call, endpoint, status, credits, fault);
    let body = body(answer.body, fault, in_flight);
    let mut response = response(status, answer.content_type, body);
    if answer.content_type == JSON {
        add_desk_headers(&mut response);
    }
    if let Ok(date) = HeaderValue::from_str(&http_date(now)) {
        response.headers_mut().insert(DATE, date);
    }
    add_number(&mut response, "x-rate-limit-request-weight-v3", credits);
    add_number(&mut response, "x-rate-limit-remaining-v3", left);
    if let Some(seconds) = answer.retry_after {
        add_number(&mut response, "retry-after", seconds);
    }
    Ok(response)
}

fn body(bytes: Bytes, fault: Option<Fault>, in_flight: InFlight) -> AnswerBody {
    match fault {
        Some(Fault::Truncated) if !bytes.is_empty() => {
            AnswerBody::Truncated(Some(bytes.slice(..bytes.len() / 2)), bytes.len() as u64)
        }
        Some(Fault::Malformed) if !bytes.is_empty() => {
            AnswerBody::Full(Some(bytes.slice(..bytes.len() - 1)), Some(in_flight))
        }
        _ => AnswerBody::Full(Some(bytes), Some(in_flight)),
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
    record(shared, call, "(fault)", StatusCode::BAD_GATEWAY, 0, Some(fault));
    io::Error::other("dropped on purpose")
}

fn record(
    shared: &Shared,
    call: &Call,
    endpoint: &str,
    status: StatusCode,
    credits: u64,
    fault: Option<Fault>,
) {
    shared.meter.answered(endpoint, status.as_u16());
    if let Some(fault) = fault {
        shared.meter.faulted(fault.name());
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
        fault: fault.map(Fault::name),
    };
    if shared.options.verbose {
        let fault = entry.fault.map(|name| format!(" fault {name}")).unwrap_or_default();
        let Entry { method, url, status, credits, .. } = &entry;
        eprintln!("{method} {url} -> {status}, {credits} credits{fault}");
    }
    shared.request_log.add(entry);
}
