//! The Desk API client: signs requests, renews the token once, counts credits, and turns answers into values or errors.

mod answer;

pub use answer::{Answer, Refusal};

use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::limits;
use crate::oauth::{self, Grant};
use crate::session::Session;
use crate::transport::{Failure, Method, Request, Response, Transport};
use crate::url::Origin;
use crate::webhook::keys::Keys;

/// What the calls since the last [`Api::take_usage`] cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub requests: u64,
    /// Sum of `X-Rate-Limit-Request-Weight-v3`.
    pub credits_used: u64,
    /// The newest `X-Rate-Limit-Remaining-v3`.
    pub credits_left: Option<u64>,
}

/// One connection to the API. Owns the session; nothing else touches tokens.
pub struct Api<T> {
    transport: T,
    config: Config,
    session: Session,
    /// The session's signing keys, ready to verify.
    keys: Option<Keys>,
    usage: Usage,
}

impl<T: Transport> Api<T> {
    pub fn new(transport: T, config: Config, session: Session) -> Self {
        Self { transport, config, session, keys: None, usage: Usage::default() }
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn session(&self) -> &Session {
        &self.session
    }

    pub fn transport(&self) -> &T {
        &self.transport
    }

    pub fn take_usage(&mut self) -> Usage {
        std::mem::take(&mut self.usage)
    }

    /// Exchanges a grant for tokens.
    pub fn authorize(&mut self, grant: &Grant) -> Result<()> {
        let mut session = Session::parse(None, &self.config.client_id)?;
        session.refresh_token = grant.refresh_token().map(str::to_owned);
        let request = oauth::exchange(&self.config, grant);
        let response = self.send_unsigned(&request)?;
        let now_ms = self.transport.now_ms();
        oauth::accept(&self.config, &mut session, &response, now_ms, grant.refresh_token().is_some())?;
        self.session = session;
        self.keys = None;
        Ok(())
    }

    /// Renews the access token now.
    pub fn renew_token(&mut self) -> Result<()> {
        let Some(refresh_token) = self.session.refresh_token.clone() else {
            return Err(Error::new(Kind::Auth, "not authorised yet: there is no refresh token")
                .hint("generate a code at the Zoho API console and run `authorize --code CODE`"));
        };
        let request = oauth::renew(&self.config, &refresh_token);
        let response = self.send_unsigned(&request)?;
        let now_ms = self.transport.now_ms();
        oauth::accept(&self.config, &mut self.session, &response, now_ms, true)
    }

    /// Makes sure there is a token that outlives a call.
    pub fn ensure_token(&mut self) -> Result<()> {
        if oauth::is_fresh(&self.session, self.transport.now_ms()) { Ok(()) } else { self.renew_token() }
    }

    /// GETs one path (with query) of the API.
    pub fn get(&mut self, path: &str) -> Result<Answer> {
        let mut answers = self.get_all(std::slice::from_ref(&path.to_owned()), 1)?;
        answers.pop().unwrap_or_else(|| Err(Error::new(Kind::Internal, "the transport gave no answer")))
    }

    /// GETs all paths, at most `at_once` in flight; one result each, in order. The outer error is about the token.
    pub fn get_all(&mut self, paths: &[String], at_once: usize) -> Result<Vec<Result<Answer>>> {
        let calls: Vec<Call> = paths.iter().map(|path| Call::get(path)).collect();
        self.call_all(&calls, at_once)
    }

    /// Sends one call that changes something.
    pub fn call(&mut self, method: Method, path: &str, body: Option<&serde_json::Value>) -> Result<Answer> {
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let mut answers = self.call_all(&[Call { method, path: path.to_owned(), body }], 1)?;
        answers.pop().unwrap_or_else(|| Err(Error::new(Kind::Internal, "the transport gave no answer")))
    }

    /// Zoho's keys for webhook signatures: those that are kept, unless there are none or they are old. With `arrived_ms`,
    /// the arrival of a delivery whose key is not among them: keys asked for after it arrived, so that one that is
    /// unknown to these too is forged. Not asked for again and again: then the delivery must wait.
    pub fn signing_keys(&mut self, arrived_ms: Option<u64>) -> Result<&Keys> {
        let now_ms = self.transport.now_ms();
        let age_ms = now_ms.saturating_sub(self.session.signing_keys_at_ms);
        let old = self.session.signing_keys.is_empty() || age_ms > limits::SIGNING_KEYS_LIFE_MS;
        // A delivery that is replayed may have come before its key was published, and be known by now.
        let older = arrived_ms.is_some_and(|arrived_ms| {
            self.session.signing_keys_at_ms <= arrived_ms || age_ms > limits::SIGNING_KEYS_RECHECK_MS
        });
        if older && !old && age_ms < limits::SIGNING_KEYS_PAUSE_MS {
            let message = "webhook delivery: its signing key is not known yet";
            return Err(Error::new(Kind::Unavailable, message)
                .retry_after_ms(Some(limits::SIGNING_KEYS_PAUSE_MS - age_ms)));
        }
        if old || older {
            match self.fetch_signing_keys(now_ms) {
                Ok(()) => self.session.signing_keys_failing_ms = 0,
                Err(error) => {
                    if self.session.signing_keys_failing_ms == 0 {
                        self.session.signing_keys_failing_ms = now_ms;
                    }
                    let failing_ms = now_ms.saturating_sub(self.session.signing_keys_failing_ms);
                    // A stranger's key must not hold what the kept keys prove for as long as others cannot be fetched.
                    let has_waited = arrived_ms.is_none() || failing_ms > limits::SIGNING_KEYS_PATIENCE_MS;
                    let is_usable =
                        !self.session.signing_keys.is_empty() && age_ms < limits::SIGNING_KEYS_STALE_MS;
                    if !(has_waited && is_usable) {
                        return Err(error);
                    }
                }
            }
        }
        Ok(self.keys.get_or_insert_with(|| Keys::of(&self.session.signing_keys)))
    }

    fn fetch_signing_keys(&mut self, now_ms: u64) -> Result<()> {
        let path = "/.well-known/jwks.json";
        let response = self.get_public(path)?;
        let mut found: serde_json::Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let Some(serde_json::Value::Array(keys)) = found.get_mut("keys").map(serde_json::Value::take) else {
            let message = format!("{}{path}: HTTP {} and no keys in it", self.config.desk, response.status);
            return Err(Error::new(Kind::Unavailable, message));
        };
        self.session.signing_keys = keys;
        // When they were asked for: what is signed by a key of later on is not decided by these.
        self.session.signing_keys_at_ms = now_ms;
        self.keys = None;
        Ok(())
    }

    /// An unauthenticated GET of any path at the accounts host: only whether something answers.
    pub fn probe_accounts(&mut self, path: &str) -> Result<u16> {
        let origin = self.config.accounts.clone();
        self.get_unsigned(origin, path).map(|response| response.status)
    }

    /// GETs a path of the Desk host without credentials, whole.
    pub fn get_public(&mut self, path: &str) -> Result<Response> {
        let origin = self.config.desk.clone();
        self.get_unsigned(origin, path)
    }

    fn get_unsigned(&mut self, origin: Origin, path: &str) -> Result<Response> {
        self.send_unsigned(&Request {
            method: Method::Get,
            origin,
            path_with_query: path.to_owned(),
            headers: vec![("accept", "application/json".to_owned())],
            body: Vec::new(),
        })
    }

    /// Calls that may be in flight at once: three quarters of what the edition allows, the rest is for other users.
    /// Asks the organisation's edition once per session.
    pub fn concurrency(&mut self) -> usize {
        if self.session.edition.is_none() {
            let edition = self.organization().ok().flatten().and_then(|found| found.edition);
            self.session.edition = Some(edition.unwrap_or_else(|| "UNKNOWN".to_owned()));
        }
        edition_concurrency(self.session.edition.as_deref().unwrap_or_default())
    }

    /// The configured organisation as `GET /organizations` lists it; none when the token does not see it.
    pub fn organization(&mut self) -> Result<Option<answer::Organization>> {
        let found = answer::organizations(&self.get("/api/v1/organizations")?)?
            .into_iter()
            .find(|organization| organization.id == self.config.organization_id);
        if let Some(edition) = found.as_ref().and_then(|found| found.edition.clone()) {
            self.session.edition = Some(edition);
        }
        Ok(found)
    }

    /// True when this portal refused an optional parameter before.
    pub fn refused(&self, table: &str, parameter: &str) -> bool {
        self.session.refused.iter().any(|entry| {
            entry
                .strip_prefix(table)
                .and_then(|rest| rest.strip_prefix('.'))
                .is_some_and(|rest| rest == parameter)
        })
    }

    /// Remembers that this portal refuses an optional parameter.
    pub fn remember_refused(&mut self, table: &str, parameter: &str) {
        if !self.refused(table, parameter) {
            self.session.refused.push(format!("{table}.{parameter}"));
        }
    }

    /// Whether a part of a list has shown rows; none when it was not asked for yet.
    pub fn slice_was_read(&self, table: &str, value: &str) -> Option<bool> {
        self.session.slices.get(&format!("{table}.{value}")).copied()
    }

    /// Remembers that a part of a list showed rows, or that it was refused.
    pub fn remember_slice(&mut self, table: &str, value: &str, read: bool) {
        self.session.slices.insert(format!("{table}.{value}"), read);
    }

    fn call_all(&mut self, calls: &[Call], at_once: usize) -> Result<Vec<Result<Answer>>> {
        self.ensure_token()?;
        let requests: Vec<Request> = calls.iter().map(|call| self.sign(call)).collect();
        let mut answers = self.send(calls, &requests, at_once);
        let stale: Vec<usize> = (0..answers.len())
            .filter(|&index| matches!(&answers[index], Err(error) if is_token_refusal(error)))
            .collect();
        if !stale.is_empty() {
            self.renew_token()?;
            let again: Vec<Call> = stale.iter().map(|&index| calls[index].clone()).collect();
            let requests: Vec<Request> = again.iter().map(|call| self.sign(call)).collect();
            for (index, answer) in stale.into_iter().zip(self.send(&again, &requests, at_once)) {
                answers[index] = answer.map_err(refused_new_token);
            }
        }
        Ok(answers)
    }

    fn send(&mut self, calls: &[Call], requests: &[Request], at_once: usize) -> Vec<Result<Answer>> {
        let responses = self.transport.send(requests, at_once.max(1));
        self.usage.requests += responses.len() as u64;
        calls
            .iter()
            .zip(responses)
            .map(|(call, response)| {
                let response = response.map_err(|failure| failed(&self.config.desk.to_string(), failure))?;
                self.meter(&response);
                answer::read(&call.label(), response).map_err(|error| self.name_organization(error))
            })
            .collect()
    }

    /// Says which organisation the grant does not belong to.
    fn name_organization(&self, mut error: Error) -> Error {
        if error.code.as_deref() == Some("OAUTH_ORG_MISMATCH") {
            let id = &self.config.organization_id;
            error.message = format!("`organization_id` {id}: the grant is not valid for this organisation");
        }
        error
    }

    fn meter(&mut self, response: &Response) {
        let number = |name| response.header(name).and_then(|text| text.trim().parse::<u64>().ok());
        self.usage.credits_used += number("x-rate-limit-request-weight-v3").unwrap_or(0);
        if let Some(left) = number("x-rate-limit-remaining-v3") {
            self.usage.credits_left = Some(left);
        }
    }

    fn sign(&self, call: &Call) -> Request {
        let token = self.session.access_token.as_deref().unwrap_or_default();
        let mut headers = vec![
            ("authorization", format!("Zoho-oauthtoken {token}")),
            ("orgid", self.config.organization_id.clone()),
            ("accept", "application/json".to_owned()),
        ];
        if !call.body.is_empty() {
            headers.push(("content-type", "application/json".to_owned()));
        }
        Request {
            method: call.method,
            origin: self.config.desk.clone(),
            path_with_query: call.path.clone(),
            headers,
            body: call.body.clone(),
        }
    }

    fn send_unsigned(&mut self, request: &Request) -> Result<Response> {
        self.usage.requests += 1;
        match self.transport.send(std::slice::from_ref(request), 1).pop() {
            Some(Ok(response)) => Ok(response),
            Some(Err(failure)) => Err(failed(&request.origin.to_string(), failure)),
            None => Err(Error::new(Kind::Internal, "the transport gave no answer")),
        }
    }
}

/// One call of the API, before it is signed.
#[derive(Clone)]
struct Call {
    method: Method,
    path: String,
    body: Vec<u8>,
}

impl Call {
    fn get(path: &str) -> Self {
        Self { method: Method::Get, path: path.to_owned(), body: Vec::new() }
    }

    /// What errors call it: method and path without the query.
    fn label(&self) -> String {
        let method = match self.method {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        };
        format!("{method} {}", self.path.split('?').next().unwrap_or_default())
    }
}

fn is_token_refusal(error: &Error) -> bool {
    error.kind == Kind::Auth && matches!(error.code.as_deref(), Some("INVALID_OAUTH" | "UNAUTHORIZED"))
}

/// The accounts server vouches for the token it gave a moment ago: a refusal of that one is the API's and may pass.
fn refused_new_token(error: Error) -> Error {
    if !is_token_refusal(&error) {
        return error;
    }
    Error {
        kind: Kind::Unavailable,
        hint: Some(
            "a new token was refused at once: try again; if it goes on, check `data_center` and `desk_url`"
                .to_owned(),
        ),
        ..error
    }
}

fn failed(host: &str, failure: Failure) -> Error {
    match failure {
        Failure::Denied => Error::new(Kind::Config, format!("{host}: the host runner does not allow it"))
            .code("HTTP_REQUEST_DENIED")
            .hint("allow this host and port in the runner's egress settings, or correct `desk_url` / `accounts_url`"),
        Failure::Unreachable(what) => Error::new(Kind::Unavailable, format!("{host}: cannot be reached: {what}"))
            .code("UNREACHABLE")
            .hint("check `data_center`, `desk_url`, `accounts_url`, and the network of this machine"),
        Failure::Broken(what) => Error::new(Kind::Unavailable, format!("{host}: the answer broke off: {what}"))
            .code("BROKEN")
            .hint("try again; if it goes on, check the network of this machine"),
        Failure::TooLarge => {
            Error::new(Kind::Data, format!("{host}: an answer is larger than {} MiB", limits::BODY_BYTES_MAX >> 20))
                .code("TOO_LARGE")
                .hint("this is no answer of Zoho Desk: check `desk_url`")
        }
    }
}

/// Three quarters of the concurrent calls an edition may make (`zoho-desk-api.md` §5.2).
fn edition_concurrency(edition: &str) -> usize {
    let edition = edition.to_ascii_uppercase();
    let allowed = match edition.as_str() {
        _ if edition.contains("ENTERPRISE") || edition.contains("ULTIMATE") => 25,
        _ if edition.contains("PROFESSIONAL") => 15,
        _ if edition.contains("STANDARD") || edition.contains("EXPRESS") => 10,
        _ if edition.contains("FREE") || edition.contains("TRIAL") => 5,
        _ => return limits::CONCURRENCY_UNKNOWN,
    };
    allowed * 3 / 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn concurrency_follows_the_edition() {
        assert_eq!(edition_concurrency("ENTERPRISE"), 18);
        assert_eq!(edition_concurrency("professional"), 11);
        assert_eq!(edition_concurrency("FREE"), 3);
        assert_eq!(edition_concurrency("SOMETHING NEW"), limits::CONCURRENCY_UNKNOWN);
    }
}
