//! Requests and their answers: webhook URLs, and the pages for operators.
//!
//! The order in [`Service::deliver`] must not change: authorize → limit → append (with sync) → answer.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use tokio::time::timeout;

use super::Observe;
use super::body;
use super::headers;
use super::limits::{IngressLimits, RETRY_AFTER_S};
use super::metrics::{Metrics, Rejected};
use super::pages::{Page, Pages};
use super::phase::HttpPhase;
use super::shares::Shares;
use crate::delivery::Delivery;
use crate::inbox::AppendError;
use crate::inbox::Inbox;
use crate::webhook_url::{Access, PREFIX, UrlRegistry};

type Answer = Response<Full<Bytes>>;

/// Shared by all connections.
#[derive(Clone)]
pub(super) struct Service {
    inner: Arc<Inner>,
}

struct Inner {
    registry: UrlRegistry,
    inbox: Arc<dyn Inbox>,
    pages: Option<Pages>,
    limits: IngressLimits,
    shares: Shares,
    metrics: Metrics,
}

impl Service {
    pub(super) fn new(
        registry: UrlRegistry,
        inbox: Arc<dyn Inbox>,
        observe: Option<Arc<dyn Observe>>,
        metrics: Metrics,
        limits: IngressLimits,
    ) -> Self {
        let (pages, shares) = (observe.map(Pages::new), Shares::new(&limits));
        Self { inner: Arc::new(Inner { registry, inbox, pages, limits, shares, metrics }) }
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    async fn answer(&self, request: Request<Incoming>, phase: &HttpPhase) -> Answer {
        let has_body = !request.body().is_end_stream();
        let http1 = request.version() < Version::HTTP_2;
        let path = request.uri().path();
        let mut answer = if let Some(rest) = path.strip_prefix(PREFIX) {
            // Owned, because `deliver` takes the request apart.
            let (connection, secret) = rest.split_once('/').unwrap_or((rest, ""));
            let (connection, secret) = (connection.to_owned(), secret.to_owned());
            self.webhook(request, &connection, &secret).await
        } else if let Some(page) = path.strip_prefix("/-/") {
            self.page(request.method(), page).await
        } else {
            self.reject(Rejected::UnknownUrl)
        };
        let status = answer.status();
        self.inner.metrics.answered(status.as_u16());
        if has_body && status != StatusCode::OK {
            // Part of the body may be unread.
            phase.reject();
            if http1 && matches!(status, StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT) {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
        }
        answer
    }

    async fn page(&self, method: &Method, name: &str) -> Answer {
        let (Some(pages), Some(page)) = (&self.inner.pages, Page::of(name)) else {
            return self.reject(Rejected::UnknownUrl);
        };
        if !is_read(method) {
            return not_allowed("GET, HEAD");
        }
        let Some(rendered) = pages.get(page).await else {
            return empty(StatusCode::INTERNAL_SERVER_ERROR);
        };
        let mut answer = Response::new(Full::new(rendered.text));
        // The status of health is always 200: the process serves. Monitors read its member `status`.
        if !rendered.is_well {
            *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(page.content_type()));
        answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        answer
    }

    async fn webhook(&self, request: Request<Incoming>, connection: &str, secret: &str) -> Answer {
        let received_at_ms = crate::clock::now_ms();
        match self.inner.registry.authorize(connection, secret, received_at_ms) {
            Access::Unknown => self.reject(Rejected::UnknownUrl),
            Access::Removed => self.reject(Rejected::Removed),
            Access::Unreadable => self.reject(Rejected::Unreadable),
            // Sources verify a URL with GET or HEAD before they deliver to it.
            Access::Granted if is_read(request.method()) => empty(StatusCode::OK),
            Access::Granted if request.method() == Method::POST => {
                match self.deliver(request, connection, secret, received_at_ms).await {
                    Ok(()) => empty(StatusCode::OK),
                    Err(why) => self.reject(why),
                }
            }
            Access::Granted => self.reject(Rejected::Method),
        }
    }

    async fn deliver(
        &self,
        request: Request<Incoming>,
        connection: &str,
        secret: &str,
        received_at_ms: u64,
    ) -> Result<(), Rejected> {
        let Inner { limits, shares, inbox, metrics, .. } = &*self.inner;
        let (head, body) = request.into_parts();
        // Before the body is read: a connection whose queue is full takes nothing from the others.
        if inbox.is_full(connection) {
            inbox.missed_deliveries().report(connection, "the journal is full");
            return Err(Rejected::JournalFull);
        }
        let missed = || inbox.missed_deliveries().report(connection, "too many deliveries at once");
        let share = shares.of(connection);
        let whole = body::read(body, limits.body_bytes, &share, limits.body_timeout).await;
        let body::Whole { bytes: body, taken: _taken } = whole.inspect_err(|why| {
            if *why == Rejected::NoRoom {
                missed();
            }
        })?;
        let Some(_place) = share.place() else {
            missed();
            return Err(Rejected::NoRoom);
        };
        let bytes = body.len();
        let delivery = Delivery {
            received_at_ms,
            method: head.method.as_str().to_owned(),
            path_with_query: match head.uri.query() {
                Some(query) if !headers::contains(query.as_bytes(), secret.as_bytes()) => {
                    format!("{PREFIX}{connection}?{query}")
                }
                _ => format!("{PREFIX}{connection}"),
            },
            headers: headers::kept(&head.headers, secret),
            body,
        };
        let started = Instant::now();
        match timeout(limits.append_timeout, inbox.append(connection, delivery)).await {
            Ok(Ok(_seq)) => {
                metrics.appended(connection, bytes, started.elapsed());
                Ok(())
            }
            Ok(Err(AppendError::Full)) => Err(Rejected::JournalFull),
            // It may still be written. The sender then delivers it twice, which changes nothing.
            Ok(Err(AppendError::Failed(_))) | Err(_) => {
                metrics.append_failed(crate::clock::now_ms());
                Err(Rejected::JournalFailed)
            }
        }
    }

    fn reject(&self, why: Rejected) -> Answer {
        self.inner.metrics.rejected(why);
        match why {
            Rejected::UnknownUrl => empty(StatusCode::NOT_FOUND),
            Rejected::Removed => empty(StatusCode::GONE),
            Rejected::Method => not_allowed("GET, HEAD, POST"),
            Rejected::TooLarge => empty(StatusCode::PAYLOAD_TOO_LARGE),
            Rejected::SlowBody => empty(StatusCode::REQUEST_TIMEOUT),
            Rejected::Aborted => empty(StatusCode::BAD_REQUEST),
            Rejected::NoRoom | Rejected::JournalFull | Rejected::JournalFailed | Rejected::Unreadable => {
                with(StatusCode::SERVICE_UNAVAILABLE, RETRY_AFTER, RETRY_AFTER_S)
            }
        }
    }
}

fn is_read(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}

fn with(status: StatusCode, name: HeaderName, value: &'static str) -> Answer {
    let mut answer = empty(status);
    answer.headers_mut().insert(name, HeaderValue::from_static(value));
    answer
}

fn not_allowed(allowed: &'static str) -> Answer {
    with(StatusCode::METHOD_NOT_ALLOWED, ALLOW, allowed)
}

/// The requests of one connection.
pub(super) struct Requests {
    service: Service,
    phase: Arc<HttpPhase>,
}

impl Requests {
    pub(super) fn new(service: Service, phase: Arc<HttpPhase>) -> Self {
        Self { service, phase }
    }
}

/// Ends a request's phase when it is dropped: answered or canceled.
struct InProgress(Arc<HttpPhase>);

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl hyper::service::Service<Request<Incoming>> for Requests {
    type Response = Answer;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.phase.begin();
        let (service, in_progress) = (self.service.clone(), InProgress(Arc::clone(&self.phase)));
        Box::pin(async move { Ok(service.answer(request, &in_progress.0).await) })
    }
}
