//! What is asked and answered: the hooks, and three pages for those who watch.
//!
//! The order in [`Service::deliver`] must never change: authenticate → cap → append (which syncs) → answer.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::Observe;
use super::body::{self, Refused};
use super::counters::{Counters, Rejected};
use super::headers;
use super::limits::{IngressLimits, RETRY_AFTER_S};
use super::phase::Phase;
use crate::hooks::{PREFIX, Registry, Verdict};
use crate::journal::{AppendError, Delivery, Journal};

type Answer = Response<Full<Bytes>>;

/// The content type of the pages that are text; the version is that of Prometheus' format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const JSON: &str = "application/json";

/// Shared by all connections.
#[derive(Clone)]
pub(super) struct Service {
    inner: Arc<Inner>,
}

struct Inner {
    registry: Registry,
    journal: Journal,
    observe: Arc<dyn Observe>,
    limits: IngressLimits,
    room: Arc<Semaphore>,
    counters: Arc<Counters>,
}

impl Service {
    pub(super) fn new(
        registry: Registry,
        journal: Journal,
        observe: Arc<dyn Observe>,
        limits: IngressLimits,
    ) -> Self {
        let room = Arc::new(Semaphore::new(limits.bodies_bytes.min(Semaphore::MAX_PERMITS)));
        let counters = Arc::new(Counters::default());
        Self { inner: Arc::new(Inner { registry, journal, observe, limits, room, counters }) }
    }

    pub(super) fn counters(&self) -> &Arc<Counters> {
        &self.inner.counters
    }

    async fn answer(&self, request: Request<Incoming>, phase: &Phase) -> Answer {
        let has_body = !request.body().is_end_stream();
        let http1 = request.version() < Version::HTTP_2;
        let path = request.uri().path();
        let mut answer = if let Some(rest) = path.strip_prefix(PREFIX) {
            // Owned: the request is taken apart while they are needed.
            let (connection, secret) = rest.split_once('/').unwrap_or((rest, ""));
            let (connection, secret) = (connection.to_owned(), secret.to_owned());
            self.hook(request, &connection, &secret).await
        } else if let Some(page) = path.strip_prefix("/-/") {
            self.page(request.method(), page)
        } else {
            self.reject(Rejected::Unknown)
        };
        let status = answer.status();
        self.inner.counters.answered(status.as_u16());
        if has_body && status != StatusCode::OK {
            // Some of it may not have been read.
            phase.refuse();
            if http1 && matches!(status, StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT) {
                answer.headers_mut().insert(http::header::CONNECTION, HeaderValue::from_static("close"));
            }
        }
        answer
    }

    fn page(&self, method: &Method, page: &str) -> Answer {
        let observe = &self.inner.observe;
        let (status, kind, text) = match page {
            "health" | "ready" | "metrics" if !is_read(method) => return not_allowed("GET, HEAD"),
            // 200 whatever it says: the process serves. A monitor reads `status`.
            "health" => (StatusCode::OK, JSON, format!("{}\n", observe.health())),
            "ready" if observe.ready() => (StatusCode::OK, TEXT, "ready\n".to_owned()),
            "ready" => (StatusCode::SERVICE_UNAVAILABLE, TEXT, "not ready\n".to_owned()),
            "metrics" => (StatusCode::OK, TEXT, observe.metrics() + &self.inner.counters.render()),
            _ => return self.reject(Rejected::Unknown),
        };
        let mut answer = Response::new(Full::from(text));
        *answer.status_mut() = status;
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        answer
    }

    async fn hook(&self, request: Request<Incoming>, connection: &str, secret: &str) -> Answer {
        let received_at_ms = crate::clock::now_ms();
        match self.inner.registry.judge(connection, secret, received_at_ms) {
            Verdict::Unknown => self.reject(Rejected::Unknown),
            Verdict::Removed => self.reject(Rejected::Removed),
            // How sources find out whether somebody is there.
            Verdict::Valid if is_read(request.method()) => empty(StatusCode::OK),
            Verdict::Valid if request.method() == Method::POST => {
                match self.deliver(request, connection, secret, received_at_ms).await {
                    Ok(()) => empty(StatusCode::OK),
                    Err(why) => self.reject(why),
                }
            }
            Verdict::Valid => self.reject(Rejected::Method),
        }
    }

    async fn deliver(
        &self,
        request: Request<Incoming>,
        connection: &str,
        secret: &str,
        received_at_ms: u64,
    ) -> Result<(), Rejected> {
        let Inner { limits, room, journal, counters, .. } = &*self.inner;
        let (head, body) = request.into_parts();
        let whole = body::read(body, limits.body_bytes, room, limits.body_timeout).await;
        let whole = whole.map_err(|refused| match refused {
            Refused::TooLarge => Rejected::TooLarge,
            Refused::Slow => Rejected::SlowBody,
            Refused::NoRoom => {
                journal.gap(connection, "too many deliveries came at once");
                Rejected::NoRoom
            }
            Refused::Broken => Rejected::BrokenOff,
        })?;
        let bytes = whole.bytes.len();
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
            body: whole.bytes,
        };
        let started = Instant::now();
        match timeout(limits.append_timeout, journal.append(connection, delivery)).await {
            Ok(Ok(_seq)) => {
                counters.stored(bytes, started.elapsed());
                Ok(())
            }
            Ok(Err(AppendError::Full)) => Err(Rejected::JournalFull),
            // It may still be written: the sender comes again, and what comes twice does no harm.
            Ok(Err(AppendError::Failed(_))) | Err(_) => Err(Rejected::JournalFailed),
        }
    }

    fn reject(&self, why: Rejected) -> Answer {
        self.inner.counters.rejected(why);
        match why {
            Rejected::Unknown => empty(StatusCode::NOT_FOUND),
            Rejected::Removed => empty(StatusCode::GONE),
            Rejected::Method => not_allowed("GET, HEAD, POST"),
            Rejected::TooLarge => empty(StatusCode::PAYLOAD_TOO_LARGE),
            Rejected::SlowBody => empty(StatusCode::REQUEST_TIMEOUT),
            Rejected::BrokenOff => empty(StatusCode::BAD_REQUEST),
            Rejected::NoRoom | Rejected::JournalFull | Rejected::JournalFailed => {
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
    phase: Arc<Phase>,
}

impl Requests {
    pub(super) fn new(service: Service, phase: Arc<Phase>) -> Self {
        Self { service, phase }
    }
}

/// Tells the phase when a request is over, however it ends.
struct UnderWay(Arc<Phase>);

impl Drop for UnderWay {
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
        let (service, under_way) = (self.service.clone(), UnderWay(Arc::clone(&self.phase)));
        Box::pin(async move { Ok(service.answer(request, &under_way.0).await) })
    }
}
