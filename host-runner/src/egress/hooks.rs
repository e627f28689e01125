//! The hooks that wasmtime calls when a component sends a request: policy, client, limits, and a meter.
//!
//! Maps every failure to an error code of wasi:http for the component. The host reads refusals from
//! [`Meter`], independent of how the component handles them.

use std::error::Error as StdError;
use std::io;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout};
use tracing::field::DisplayValue;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::body::Bounded;
use super::client::Client;
use super::dial::DialError;
use super::policy::Denial;
use crate::clock::{ms_of_http_date, now_ms};
use crate::limits;
use crate::secret::Redactor;
use crate::telemetry::News;

type Finished = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Box<dyn Future<Output = Result<(Response<WasiBody>, Finished), Error>> + Send>;

/// The same refusal is logged again after this time.
const REFUSAL_LOGGED_EVERY: Duration = Duration::from_secs(60);
/// Different refusals in this time. Further ones of a connection are not logged.
const REFUSALS_LOGGED_MAX: usize = 16;

/// Counts requests and records refusals, for the host.
#[derive(Debug)]
pub struct Meter {
    requests: AtomicU64,
    /// `i64::MIN` before the first answer.
    skew_ms: AtomicI64,
    refusals: Mutex<Refusals>,
    /// A component may ask for a host that is a secret.
    redactor: Redactor,
}

/// The refusals of one connection.
#[derive(Debug)]
struct Refusals {
    last: Option<Denial>,
    news: News,
}

impl Default for Meter {
    fn default() -> Self {
        Self::new(Redactor::default())
    }
}

impl Meter {
    /// A meter that logs refusals without secrets.
    pub fn new(redactor: Redactor) -> Self {
        let (requests, skew_ms) = (AtomicU64::new(0), AtomicI64::new(i64::MIN));
        let news = News::new(REFUSAL_LOGGED_EVERY, REFUSALS_LOGGED_MAX);
        Self { requests, skew_ms, refusals: Mutex::new(Refusals { last: None, news }), redactor }
    }

    /// By how many milliseconds the source's clock was ahead of this machine's at its last answer; none
    /// before the first. `Date` has whole seconds, so less than a second means nothing.
    pub fn skew_ms(&self) -> Option<i64> {
        Some(self.skew_ms.load(Ordering::Relaxed)).filter(|skew_ms| *skew_ms != i64::MIN)
    }

    fn answered(&self, headers: &HeaderMap, now_ms: u64) {
        let date = headers.get(http::header::DATE).and_then(|date| date.to_str().ok());
        if let Some(date_ms) = date.and_then(ms_of_http_date) {
            self.skew_ms.store(date_ms.cast_signed() - now_ms.cast_signed(), Ordering::Relaxed);
        }
    }

    /// Requests sent so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// The last refusal since the previous call.
    pub fn take_denied(&self) -> Option<Denial> {
        self.refusals().last.take()
    }

    /// A request that the policy refused.
    fn refuse(&self, denial: Denial) {
        if self.is_news(&denial.to_string()) {
            let remedy = denial.remedy().unwrap_or_default();
            let refused = self.redactor.redact(&denial.to_string());
            let remedy = self.redactor.redact(&format!("[egress] {remedy}"));
            tracing::warn!(connection = self.connection(), denial = refused, remedy, "egress refused");
        }
        self.refusals().last = Some(denial);
    }

    /// A server that cannot prove its name.
    fn distrust(&self, reason: &rustls::CertificateError) {
        let reason = self.redactor.redact(&reason.to_string());
        if self.is_news(&reason) {
            tracing::warn!(connection = self.connection(), reason, "the server's certificate was refused");
        }
    }

    /// Whether a line is to be logged; a component may send requests without end.
    fn is_news(&self, text: &str) -> bool {
        self.refusals().news.is_news(text, Instant::now())
    }

    /// The field of a line that names the connection; none for a command or a program that has one alone.
    fn connection(&self) -> Option<DisplayValue<&str>> {
        self.redactor.connection().map(tracing::field::display)
    }

    fn refusals(&self) -> MutexGuard<'_, Refusals> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The hooks of one instance.
pub(crate) struct Hooks {
    pub(crate) client: Client,
    pub(crate) meter: Arc<Meter>,
}

impl WasiHttpHooks for Hooks {
    /// The pooled client sets it for HTTP/1.1; in HTTP/2, together with `:authority`, it is an error.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        limits::BODY_CHUNK_BYTES
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Finished,
    ) -> Sent {
        let client = self.client.clone();
        let meter = Arc::clone(&self.meter);
        Box::new(async move {
            let response = send(&client, &meter, request, options).await?;
            Ok((response, Box::new(async { Ok(()) }) as Finished))
        })
    }
}

async fn send(
    client: &Client,
    meter: &Meter,
    request: Request<WasiBody>,
    options: Option<RequestOptions>,
) -> Result<Response<WasiBody>, Error> {
    let options = options.unwrap_or_default();
    if let Err(denial) = client.policy.admit(request.uri()) {
        meter.refuse(denial);
        drain(request.into_body()).await;
        return Err(Error::HttpRequestDenied);
    }
    let first_byte = options
        .first_byte_timeout
        .map_or(limits::FIRST_BYTE_TIMEOUT, |asked| asked.min(limits::FIRST_BYTE_TIMEOUT));
    let between_bytes = options
        .between_bytes_timeout
        .map_or(limits::BETWEEN_BYTES_TIMEOUT, |asked| asked.min(limits::BETWEEN_BYTES_TIMEOUT));
    let waiting = Arc::clone(&client.permits).acquire_owned();
    let permit = match timeout(limits::FIRST_BYTE_TIMEOUT, waiting).await {
        Ok(Ok(permit)) => permit,
        Ok(Err(_)) | Err(_) => return Err(Error::ConnectionLimitReached),
    };
    meter.requests.fetch_add(1, Ordering::Relaxed);
    let whole = limits::CONNECT_TIMEOUT + first_byte;
    match timeout(whole, client.pool.request(request)).await {
        Err(_) => Err(Error::HttpResponseTimeout),
        Ok(Err(error)) => Err(explain(meter, &error)),
        Ok(Ok(response)) if header_bytes(response.headers()) > limits::FIELDS_BYTES_MAX => {
            Err(Error::HttpResponseHeaderSectionSize(u32::try_from(limits::FIELDS_BYTES_MAX).ok()))
        }
        Ok(Ok(response)) => {
            meter.answered(response.headers(), now_ms());
            Ok(response
                .map(|body| Bounded::new(body, client.response_bytes, between_bytes, permit).boxed_unsync()))
        }
    }
}

/// Bytes of response headers. wasmtime limits only the headers that a component creates.
fn header_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

/// Reads the rest of a request body, so that the component gets the refusal and not a broken stream.
async fn drain(mut body: WasiBody) {
    let all = async { while let Some(Ok(_)) = body.frame().await {} };
    let _done_or_late = timeout(limits::BETWEEN_BYTES_TIMEOUT, all).await;
}

/// The error code for the first known cause in a chain of errors.
fn explain(meter: &Meter, error: &hyper_util::client::legacy::Error) -> Error {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(dial) = current.downcast_ref::<DialError>() {
            return explain_dial(meter, dial);
        }
        if let Some(tls) = current.downcast_ref::<rustls::Error>() {
            return explain_tls(meter, tls);
        }
        if let Some(hyper) = current.downcast_ref::<hyper::Error>()
            && hyper.is_incomplete_message()
        {
            return Error::ConnectionTerminated;
        }
        if let Some(io) = current.downcast_ref::<io::Error>() {
            // `source` of an I/O error skips the error that it wraps.
            match io.get_ref() {
                Some(inner) => {
                    cause = Some(inner);
                    continue;
                }
                None => return explain_io(io),
            }
        }
        cause = current.source();
    }
    Error::InternalError(Some(error.to_string()))
}

fn explain_dial(meter: &Meter, error: &DialError) -> Error {
    match error {
        DialError::Denied(denial) => {
            meter.refuse(denial.clone());
            match denial {
                Denial::Address(..) => Error::DestinationIpProhibited,
                _ => Error::HttpRequestDenied,
            }
        }
        DialError::Name(error) => Error::DnsError { rcode: Some(error.to_string()), info_code: None },
        DialError::Connect(error) => explain_io(error),
        DialError::TimedOut => Error::ConnectionTimeout,
    }
}

fn explain_io(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Error::ConnectionRefused,
        io::ErrorKind::TimedOut => Error::ConnectionTimeout,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Error::DestinationUnavailable,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => Error::ConnectionTerminated,
        _ => Error::InternalError(Some(error.to_string())),
    }
}

fn explain_tls(meter: &Meter, error: &rustls::Error) -> Error {
    match error {
        rustls::Error::InvalidCertificate(reason) => {
            meter.distrust(reason);
            Error::TlsCertificateError
        }
        rustls::Error::AlertReceived(alert) => Error::TlsAlertReceived {
            alert_id: Some(u8::from(*alert)),
            alert_message: alert.as_str().map(str::to_owned),
        },
        _ => Error::TlsProtocolError,
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Empty};
    use tokio::time::Instant;
    use wasmtime_wasi_http::Error;

    use super::{Meter, send};
    use crate::egress::Client;
    use crate::egress::policy::{Policy, Target};
    use crate::limits::{FIRST_BYTE_TIMEOUT, Limits};

    #[test]
    fn the_clocks_are_compared_at_each_answer_with_a_date() {
        let meter = Meter::default();
        let mut headers = http::HeaderMap::new();
        meter.answered(&headers, 784_111_777_000);
        assert_eq!(meter.skew_ms(), None);
        headers.insert("date", http::HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT"));
        meter.answered(&headers, 784_111_777_000 + 60_000);
        assert_eq!(meter.skew_ms(), Some(-60_000));
        meter.answered(&headers, 784_111_777_000 - 300_000);
        headers.insert("date", http::HeaderValue::from_static("soon"));
        meter.answered(&headers, 0);
        assert_eq!(meter.skew_ms(), Some(300_000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_waits_for_a_permit_up_to_its_timeout() {
        let mut limits = Limits::default();
        limits.sandbox.max_concurrent_requests = 2;
        let closed = Target::parse("127.0.0.1:1").expect("a target");
        let client = Client::new(Policy::new(vec![], vec![closed]), &limits, None).expect("a client");
        let meter = Meter::default();
        let request = || {
            let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
            http::Request::get("http://127.0.0.1:1/").body(body).expect("a request")
        };
        let under_way = client.permits.acquire_many(2).await.expect("both");
        let started = Instant::now();
        let refused = send(&client, &meter, request(), None).await.expect_err("no permit is free");
        assert!(matches!(refused, Error::ConnectionLimitReached), "{refused}");
        assert_eq!(started.elapsed().as_secs(), FIRST_BYTE_TIMEOUT.as_secs());
        assert_eq!(meter.requests(), 0, "the request was sent");
        drop(under_way);
        // With a permit it is sent, to a port without a listener.
        let refused = send(&client, &meter, request(), None).await.expect_err("no listener");
        assert!(!matches!(refused, Error::ConnectionLimitReached), "{refused}");
        assert_eq!(meter.requests(), 1);
    }
}
