//! The Desk API client: signs requests, renews a refused token once, compares clocks, counts credits, and
//! turns answers into values or errors. Owns the session; knows no table.

mod answer;
mod kept;

use std::collections::{BTreeMap, VecDeque};

pub(crate) use answer::Answer;
#[cfg(test)]
pub(crate) use answer::answer_of;
pub(crate) use kept::{Entry, RecycleBin, SharedSearch};

use crate::config::Config;
use crate::delivered::Delivered;
use crate::error::{Error, Kind, Result, Scope, UNREACHABLE};
use crate::limits;
use crate::oauth::{self, Credential, Grant};
use crate::paging::Longest;
use crate::session::{Arrival, Credits, EarlierClock, Edition, GivenUp, KeySet, Pace, Session, Trust};
use crate::transport::{Failure, Method, Opened, Request, Response, Transport};
use crate::url::Origin;

/// The cost of the calls since the last [`Api::take_usage`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub requests: u64,
    /// Sum of the header `X-Rate-Limit-Request-Weight-v3`.
    pub credits_used: u64,
    /// The last `X-Rate-Limit-Remaining-v3`.
    pub credits_left: Option<u64>,
}

/// One connection to the API. No other code touches tokens.
pub(crate) struct Api<T> {
    transport: T,
    config: Config,
    session: Session,
    usage: Usage,
    /// When the call is to end, by the monotonic clock: no further calls are started together.
    deadline_ms: Option<u64>,
    /// Credits left, and when an answer said so.
    credits_left: Option<(u64, u64)>,
    /// When the organization was last asked for.
    edition_asked_ms: Option<u64>,
    /// The recycle bin as last read, for the other tables of the same round.
    pub(crate) recycle_bin: Option<RecycleBin>,
    /// The search pages as last read, for the other tables of the same round.
    pub(crate) shared_search: Option<SharedSearch>,
    /// The longest pages of lists below other rows.
    pub(crate) longest: Longest,
    /// A path of each kind of calls that was read last.
    readable: BTreeMap<String, String>,
}

impl<T: Transport> Api<T> {
    pub(crate) fn new(transport: T, config: Config, session: Session) -> Self {
        Self {
            transport,
            config,
            session,
            usage: Usage::default(),
            deadline_ms: None,
            credits_left: None,
            edition_asked_ms: None,
            recycle_bin: None,
            shared_search: None,
            longest: Longest::default(),
            readable: BTreeMap::new(),
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// The part of the session that [`crate::webhook`] keeps.
    pub(crate) fn signing_keys(&mut self) -> &mut KeySet {
        &mut self.session.signing_keys
    }

    /// The proofs of earlier deliveries, which [`crate::webhook`] keeps.
    pub(crate) fn trust(&mut self) -> &mut Trust {
        &mut self.session.webhook_trust
    }

    /// The records of recent deliveries.
    pub(crate) fn delivered(&self) -> &Delivered {
        &self.session.delivered
    }

    /// The same, to note more.
    pub(crate) fn delivered_mut(&mut self) -> &mut Delivered {
        &mut self.session.delivered
    }

    /// The records that were given up.
    pub(crate) fn given_up(&mut self) -> &mut GivenUp {
        &mut self.session.given_up
    }

    /// A time of the host's clock, by the source's clock.
    pub(crate) fn to_source_clock(&self, host_ms: u64) -> u64 {
        host_ms.saturating_add_signed(self.session.clock_offset_ms)
    }

    /// When a delivery that arrived at a time of the host's clock did so, by the source's.
    pub(crate) fn arrival(&self, host_ms: u64) -> Arrival {
        let Session { clock_offset_ms, earlier_clock, .. } = &self.session;
        Arrival::new(host_ms, self.transport.now_ms(), *clock_offset_ms, *earlier_clock)
    }

    pub(crate) fn transport(&self) -> &T {
        &self.transport
    }

    /// The day's credits; none while no recent answer said how many are left.
    pub(crate) fn credits(&self) -> Option<Credits> {
        let (left, at_ms) = self.credits_left?;
        let is_known = self.transport.now_ms().abs_diff(at_ms) < limits::CREDITS_KNOWN_MS;
        let daily = self.session.daily_credits.credits(edition_gives(self.edition()).1);
        is_known.then_some(Credits { left, daily, reserve_percent: self.config.credits_reserve })
    }

    /// The call is to end within so many milliseconds; none: it takes as long as it takes.
    pub(crate) fn end_within(&mut self, ms: Option<u64>) {
        self.deadline_ms = ms.map(|ms| self.transport.ticks_ms().saturating_add(ms));
    }

    /// The cost of the call so far.
    pub(crate) fn usage(&self) -> &Usage {
        &self.usage
    }

    pub(crate) fn take_usage(&mut self) -> Usage {
        std::mem::take(&mut self.usage)
    }

    /// Exchanges a grant for tokens.
    pub(crate) fn authorize(&mut self, grant: &Grant) -> Result<()> {
        let mut session = Session::parse(None, &self.config.client_id)?;
        session.refresh_token = grant.refresh_token().map(str::to_owned);
        // Another grant changes neither clocks nor webhooks.
        session.clock_offset_ms = self.session.clock_offset_ms;
        session.earlier_clock = self.session.earlier_clock;
        session.webhook_trust = self.session.webhook_trust.clone();
        // Nor the rows that there were: its user may see less.
        session.partitions = self.session.partitions.clone();
        session.delivered = self.session.delivered.clone();
        let request = oauth::exchange(&self.config, grant);
        let response = self.send_unsigned(&request)?;
        let now_ms = self.transport.now_ms();
        let credential = grant.credential();
        oauth::accept(&self.config, &mut session, &response, now_ms, credential)?;
        self.session = session;
        Ok(())
    }

    /// Renews the access token now.
    pub(crate) fn renew_token(&mut self) -> Result<()> {
        let Some(refresh_token) = self.session.refresh_token.clone() else {
            return Err(Error::new(Kind::Auth, "not authorized yet: there is no refresh token")
                .hint("generate a code at the Zoho API console and run `authorize --code CODE`"));
        };
        let request = oauth::renew(&self.config, &refresh_token);
        let response = self.send_unsigned(&request)?;
        let now_ms = self.transport.now_ms();
        oauth::accept(&self.config, &mut self.session, &response, now_ms, Credential::RefreshToken)
    }

    /// Renews an access token that was refused.
    fn replace_token(&mut self, now_ms: u64) -> Result<()> {
        let replacements = oauth::next_replacement(&self.session, now_ms);
        self.renew_token()?;
        self.session.access_token_replacements = replacements;
        Ok(())
    }

    /// Renews the access token unless it outlives a call.
    pub(crate) fn ensure_token(&mut self) -> Result<()> {
        if oauth::is_fresh(&self.session, self.transport.now_ms()) { Ok(()) } else { self.renew_token() }
    }

    /// GETs one path (with query) of the API.
    pub(crate) fn get(&mut self, path: &str) -> Result<Answer> {
        self.call(Method::Get, path, None)
    }

    /// GETs all paths, as many in flight as the source takes; one result each, in order. A call that may
    /// succeed later is repeated after the others, while there is time. The outer error is about the token.
    pub(crate) fn get_each(&mut self, paths: &[String]) -> Result<Vec<Result<Answer>>> {
        self.get_some(paths, usize::MAX)
    }

    /// [`Api::get_each`] with at most `most` in flight.
    pub(crate) fn get_some(&mut self, paths: &[String], most: usize) -> Result<Vec<Result<Answer>>> {
        let least_ms = self.transport.ticks_ms().saturating_add(limits::TOGETHER_MS);
        let mut results: Vec<Option<Result<Answer>>> = Vec::new();
        results.resize_with(paths.len(), || None);
        let mut queue: VecDeque<(usize, u32)> = (0..paths.len()).map(|index| (index, 1)).collect();
        let (mut is_proven, mut rest) = (false, None);
        while !queue.is_empty() && rest.is_none() {
            let level = if paths.len() == 1 { 1 } else { self.concurrency().min(most) };
            // The first calls show whether the level is right; only then it is worth keeping all busy.
            let size = if is_proven { level * limits::WAVE_CALLS } else { level };
            let mut wave: Vec<(usize, u32)> = queue.drain(..size.min(queue.len())).collect();
            let calls: Vec<Call> = wave.iter().map(|(index, _)| Call::get(&paths[*index])).collect();
            let mut answers = self.call_all(&calls, level)?;
            let sent = answers.iter().take_while(|answer| !is(answer, Error::is_not_asked)).count();
            wave.drain(sent..).rev().for_each(|call| queue.push_front(call));
            answers.truncate(sent);
            let refused = answers.iter().filter(|answer| is(answer, is_too_many)).count();
            self.adapt(level, sent, refused);
            is_proven = refused == 0;
            rest = end(&wave, &answers, level);
            for ((index, attempt), answer) in wave.into_iter().zip(answers) {
                if attempt < limits::ATTEMPTS && is(&answer, is_temporary) {
                    queue.push_back((index, attempt + 1));
                }
                results[index] = Some(answer);
            }
            let now_ms = self.transport.ticks_ms();
            let is_late = self.deadline_ms.is_some_and(|deadline_ms| now_ms >= deadline_ms.max(least_ms));
            rest = rest.or_else(|| is_late.then(Error::not_asked));
        }
        let rest = || Err(rest.clone().unwrap_or_else(no_answer));
        Ok(results.into_iter().map(|result| result.unwrap_or_else(rest)).collect())
    }

    /// Lowers or raises the number of calls in flight after a wave of calls.
    fn adapt(&mut self, level: usize, calls: usize, refused: usize) {
        let now_ms = self.transport.now_ms();
        if refused > 0 {
            self.session.pace = Some(Pace::refused(level, now_ms));
        } else if let Some(pace) = self.session.pace {
            self.session.pace = pace.answered(calls, self.edition_allows(), now_ms);
        }
    }

    /// Sends one call.
    pub(crate) fn call(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<Answer> {
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let mut answers = self.call_all(&[Call { method, path: path.to_owned(), body }], 1)?;
        answers.pop().unwrap_or_else(|| Err(no_answer()))
    }

    /// GETs a path whose body is read piece by piece, from a byte on. A refused token is renewed once.
    pub(crate) fn open(&mut self, path: &str, offset: u64) -> Result<Opened> {
        self.ensure_token()?;
        let mut answer = self.open_once(path, offset);
        let now_ms = self.transport.now_ms();
        if matches!(&answer, Err(error) if oauth::renews(&self.session, error, now_ms)) {
            self.replace_token(now_ms)?;
            answer = self.open_once(path, offset);
        }
        answer.map_err(|mut error| {
            oauth::explain_refusal(&mut error);
            error
        })
    }

    fn open_once(&mut self, path: &str, offset: u64) -> Result<Opened> {
        let call = Call::get(path);
        let mut request = self.sign(&call);
        request.headers.retain(|(name, _)| *name != "accept");
        if offset > 0 {
            request.headers.push(("range", format!("bytes={offset}-")));
        }
        self.usage.requests += 1;
        let (mut response, mut body) =
            self.transport.open(&request).map_err(|failure| self.failed(failure))?;
        self.compare_clocks(&response);
        self.meter(&response);
        if matches!(response.status, 200..=299) {
            return Ok((response, body));
        }
        while let Some(most) = limits::REFUSAL_BYTES_MAX.checked_sub(response.body.len() + 1)
            && let Ok(Some(more)) = body.read(most + 1)
        {
            response.body.extend_from_slice(&more);
        }
        Err(self.name_organization(answer::refusal(&call.label(), response.status, &response)))
    }

    /// The error about the API's host.
    pub(crate) fn failed(&self, failure: Failure) -> Error {
        failed(&self.config.desk.to_string(), failure)
    }

    /// GETs a path of the accounts host without credentials; returns the HTTP status.
    pub(crate) fn probe_accounts(&mut self, path: &str) -> Result<u16> {
        let origin = self.config.accounts.clone();
        self.get_unsigned(origin, path).map(|response| response.status)
    }

    /// GETs a path of the Desk host without credentials, and compares clocks.
    pub(crate) fn get_public(&mut self, path: &str) -> Result<Response> {
        let origin = self.config.desk.clone();
        let response = self.get_unsigned(origin, path)?;
        // A cache on the way gives the time at which it got the answer.
        if !response.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("age")) {
            self.compare_clocks(&response);
        }
        Ok(response)
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

    /// Calls that may be in flight: three quarters of what the edition allows, the rest is for other users,
    /// or fewer while the source refuses so many. Asks for the organization's edition once a day.
    pub(crate) fn concurrency(&mut self) -> usize {
        let now_ms = self.transport.now_ms();
        let is_old = |at_ms: u64| now_ms.abs_diff(at_ms) >= limits::EDITION_LIFE_MS;
        let is_known = self.session.edition.as_ref().is_some_and(|edition| !is_old(edition.asked_at_ms));
        let is_due =
            self.edition_asked_ms.is_none_or(|at_ms| now_ms.abs_diff(at_ms) >= limits::EDITION_RETRY_MS);
        if !is_known && is_due {
            self.edition_asked_ms = Some(now_ms);
            // A failure changes nothing: the edition of yesterday, or the smallest, counts until it is known.
            drop(self.organization());
        }
        Pace::level(self.session.pace.as_ref(), self.edition_allows())
    }

    /// Three quarters of the concurrent calls that the edition allows: the rest is for other users.
    fn edition_allows(&self) -> usize {
        edition_gives(self.edition()).0 * 3 / 4
    }

    fn edition(&self) -> &str {
        self.session.edition.as_ref().map_or("", |edition| edition.name.as_str())
    }

    /// The configured organization as `GET /organizations` lists it; none when the token does not see it.
    pub(crate) fn organization(&mut self) -> Result<Option<answer::Organization>> {
        let found = answer::organizations(&self.get("/api/v1/organizations")?)?
            .into_iter()
            .find(|organization| organization.id == self.config.organization_id);
        let name = found.as_ref().and_then(|found| found.edition.clone()).unwrap_or_default();
        self.session.edition = Some(Edition { name, asked_at_ms: self.transport.now_ms() });
        Ok(found)
    }

    /// True when this portal refused an optional parameter.
    pub(crate) fn is_unsupported(&self, table: &str, parameter: &str) -> bool {
        self.session.refused_parameters.contains_key(&format!("{table}.{parameter}"))
    }

    /// Remembers that this portal refuses an optional parameter.
    pub(crate) fn remember_unsupported(&mut self, table: &str, parameter: &str) {
        let now_ms = self.transport.now_ms();
        self.session.refused_parameters.entry(format!("{table}.{parameter}")).or_insert(now_ms);
    }

    /// Forgets refusals that are a week old: the portal may have changed. Called before a snapshot starts:
    /// its requests must not change while it is read.
    pub(crate) fn forget_old_refusals(&mut self, table: &str) {
        let now_ms = self.transport.now_ms();
        let is_of = |name: &str| name.split_once('.').is_some_and(|(of, _)| of == table);
        self.session.refused_parameters.retain(|name, at_ms| {
            !is_of(name) || now_ms.abs_diff(*at_ms) < limits::REFUSED_PARAMETER_LIFE_MS
        });
    }

    /// Counts a failure of one record. True when it failed before in other calls, a while ago: then it is
    /// written without its detail.
    pub(crate) fn gives_up(&mut self, table: &str, id: &str, failures: u32) -> bool {
        let now_ms = self.transport.now_ms();
        let failed = &mut self.session.failed_records;
        let record = format!("{table}.{id}");
        if failed.len() >= limits::FAILED_RECORDS_MAX && !failed.contains_key(&record) {
            // Once those that are counted are given up, there is room for this one.
            failed.retain(|_, (_, since_ms)| now_ms.abs_diff(*since_ms) < limits::FAILED_RECORD_LIFE_MS);
            if failed.len() >= limits::FAILED_RECORDS_MAX {
                return false;
            }
        }
        let (count, since_ms) = failed.entry(record).or_insert((0, now_ms));
        *count += 1;
        *count >= failures && now_ms.abs_diff(*since_ms) >= limits::FAILED_RECORD_MS
    }

    /// Forgets the failures of a record that was read, or given up.
    pub(crate) fn forget_failures(&mut self, table: &str, id: &str) {
        if self.session.failed_records.is_empty() {
            return;
        }
        self.session.failed_records.remove(&format!("{table}.{id}"));
        if self.session.failed_records.is_empty() {
            self.session.readable.clear();
        }
    }

    /// Notes a path that was read, of one kind of calls; in the session when others of that kind failed.
    pub(crate) fn note_readable(&mut self, calls: &str, path: Option<&str>, have_others_failed: bool) {
        if let Some(path) = path {
            self.readable.insert(calls.to_owned(), path.to_owned());
        }
        if have_others_failed && let Some(path) = self.readable.get(calls) {
            self.session.readable.insert(calls.to_owned(), path.clone());
        }
    }

    /// A path of this kind of calls that was read before others failed.
    pub(crate) fn readable(&self, calls: &str) -> Option<String> {
        self.session.readable.get(calls).cloned()
    }

    /// Notes by how many rows a table's list is shorter than the source's count. Returns the number noted
    /// before.
    pub(crate) fn replace_short_list(&mut self, table: &str, rows: u64) -> Option<u64> {
        let short = &mut self.session.short_lists;
        if rows == 0 { short.remove(table) } else { short.insert(table.to_owned(), rows) }
    }

    /// Whether a partition of a list ever had rows; none when it was not asked for yet.
    pub(crate) fn partition_had_rows(&self, table: &str, value: &str) -> Option<bool> {
        self.session.partitions.get(&format!("{table}.{value}")).copied()
    }

    /// Remembers that a partition of a list had rows, or that it was refused.
    pub(crate) fn remember_partition(&mut self, table: &str, value: &str, had_rows: bool) {
        self.session.partitions.insert(format!("{table}.{value}"), had_rows);
    }

    fn call_all(&mut self, calls: &[Call], at_once: usize) -> Result<Vec<Result<Answer>>> {
        self.ensure_token()?;
        let requests: Vec<Request> = calls.iter().map(|call| self.sign(call)).collect();
        let mut answers = self.send(calls, &requests, at_once);
        let now_ms = self.transport.now_ms();
        let mut stale = failed_with(&answers, |error| oauth::renews(&self.session, error, now_ms));
        if stale.is_empty() {
            let refused = failed_with(&answers, |error| oauth::may_renew_again(&self.session, error));
            if !refused.is_empty() && self.is_token_refused() {
                stale = refused;
            }
        }
        if !stale.is_empty() {
            self.replace_token(now_ms)?;
            let again: Vec<Call> = stale.iter().map(|&index| calls[index].clone()).collect();
            let requests: Vec<Request> = again.iter().map(|call| self.sign(call)).collect();
            for (index, answer) in stale.into_iter().zip(self.send(&again, &requests, at_once)) {
                answers[index] = answer;
            }
        }
        for answer in &mut answers {
            if let Err(error) = answer {
                oauth::explain_refusal(error);
            }
        }
        Ok(answers)
    }

    /// Whether another call is refused for its token, too: one call may be refused always, and a new token
    /// would not help it.
    fn is_token_refused(&mut self) -> bool {
        let probe = Call::get("/api/v1/organizations");
        let request = self.sign(&probe);
        !failed_with(&self.send(&[probe], &[request], 1), oauth::is_about_token).is_empty()
    }

    fn send(&mut self, calls: &[Call], requests: &[Request], at_once: usize) -> Vec<Result<Answer>> {
        let responses = self.transport.send(requests, at_once.max(1));
        self.usage.requests +=
            responses.iter().filter(|response| !matches!(response, Err(Failure::Unsent))).count() as u64;
        if let Some(latest) = responses.iter().flatten().max_by_key(|response| answer::date_ms(response)) {
            self.compare_clocks(latest);
        }
        calls
            .iter()
            .zip(responses)
            .map(|(call, response)| {
                let response = response.map_err(|failure| self.failed(failure))?;
                self.meter(&response);
                answer::read(&call.label(), response).map_err(|error| self.name_organization(error))
            })
            .collect()
    }

    /// Notes how far the source's clock is ahead of ours, by its latest answer.
    fn compare_clocks(&mut self, latest: &Response) {
        let Some(source_ms) = answer::date_ms(latest) else { return };
        let now_ms = self.transport.now_ms();
        let offset_ms = source_ms.cast_signed().saturating_sub(now_ms.cast_signed());
        let earlier_ms = self.session.clock_offset_ms;
        let is_new = offset_ms.abs_diff(earlier_ms) > limits::CLOCK_OFFSET_STEP_MS;
        if is_new && offset_ms.unsigned_abs() <= limits::CLOCK_OFFSET_MAX_MS {
            self.session.clock_offset_ms = offset_ms;
            self.session.earlier_clock = Some(EarlierClock::new(earlier_ms, offset_ms, now_ms));
        }
    }

    /// Names the organization that the grant does not belong to.
    fn name_organization(&self, mut error: Error) -> Error {
        if error.code.as_deref() == Some("OAUTH_ORG_MISMATCH") {
            let id = &self.config.organization_id;
            error.message = format!("`organization_id` {id}: the grant is not valid for this organization");
        }
        error
    }

    fn meter(&mut self, response: &Response) {
        let number = |name| response.header(name).and_then(|text| text.trim().parse::<u64>().ok());
        self.usage.credits_used += number("x-rate-limit-request-weight-v3").unwrap_or(0);
        if let Some(left) = number("x-rate-limit-remaining-v3") {
            let now_ms = self.transport.now_ms();
            self.usage.credits_left = Some(left);
            self.credits_left = Some((left, now_ms));
            self.session.daily_credits.note(left, now_ms);
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
            None => Err(no_answer()),
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

    /// Its name in errors: method and path without the query.
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

/// The indexes of the answers that are such errors.
fn failed_with(answers: &[Result<Answer>], is: impl Fn(&Error) -> bool) -> Vec<usize> {
    (0..answers.len()).filter(|&index| answers[index].as_ref().is_err_and(&is)).collect()
}

fn no_answer() -> Error {
    Error::new(Kind::Internal, "the transport gave no answer")
}

/// Why no further calls are sent after these: the source asks to wait, or answers none. Fewer at once may be
/// taken where many were refused.
fn end(wave: &[(usize, u32)], answers: &[Result<Answer>], level: usize) -> Option<Error> {
    if answers.is_empty() {
        return Some(Error::not_asked());
    }
    let waits = |error: &Error| error.kind == Kind::RateLimited && error.retry_after_ms.is_some();
    let is_first = wave.iter().all(|(_, attempt)| *attempt == 1);
    let is_outage =
        is_first && answers.iter().all(|answer| is(answer, |error| error.scope() != Scope::Record));
    let may_be_less = level > 1 && answers.iter().any(|answer| is(answer, is_too_many));
    let mut errors = answers.iter().filter_map(|answer| answer.as_ref().err());
    match is_outage && !may_be_less {
        true => errors.next().cloned(),
        false => errors.find(|error| waits(error)).cloned(),
    }
}

/// True when the call failed so.
fn is(answer: &Result<Answer>, so: impl Fn(&Error) -> bool) -> bool {
    answer.as_ref().is_err_and(so)
}

/// True when the source refused the call because too many are in flight; a used-up day is another refusal.
fn is_too_many(error: &Error) -> bool {
    error.kind == Kind::RateLimited && error.code.as_deref() != Some("THRESHOLD_EXCEEDED")
}

/// True when the same call may succeed at once.
fn is_temporary(error: &Error) -> bool {
    error.is_of_request() || (is_too_many(error) && error.retry_after_ms.is_none())
}

fn failed(host: &str, failure: Failure) -> Error {
    let error = |kind, code, what: String, hint: &str| {
        Error::new(kind, format!("{host}: {what}")).code(code).hint(hint)
    };
    match failure {
        Failure::Denied => error(
            Kind::Config,
            "HTTP_REQUEST_DENIED",
            "the runner does not allow it".to_owned(),
            "allow this host and port in the runner's egress settings, or correct `desk_url` / \
             `accounts_url`",
        ),
        Failure::Unreachable(what) => error(
            Kind::Unavailable,
            UNREACHABLE,
            format!("cannot be reached: {what}"),
            "check `data_center`, `desk_url`, `accounts_url`, and the network of this machine",
        ),
        Failure::Broken(what) => error(
            Kind::Unavailable,
            "BROKEN",
            format!("the answer broke off: {what}"),
            "try again; if that does not help, check the network of this machine",
        ),
        Failure::Unsent => Error::not_asked(),
        Failure::TooLarge => error(
            Kind::Data,
            "TOO_LARGE",
            format!("an answer is larger than {} MiB", limits::BODY_BYTES_MAX >> 20),
            "this is no answer of Zoho Desk: check `desk_url`",
        ),
    }
}

/// The concurrent calls that an edition allows, and the daily credits that it gives without its users
/// (`zoho-desk-api.md` §5.2).
fn edition_gives(edition: &str) -> (usize, u64) {
    let edition = edition.to_ascii_uppercase();
    match edition.as_str() {
        _ if edition.contains("ENTERPRISE") || edition.contains("ULTIMATE") => (25, 100_000),
        _ if edition.contains("PROFESSIONAL") => (15, 75_000),
        _ if edition.contains("STANDARD") => (10, 50_000),
        _ if edition.contains("EXPRESS") => (10, 25_000),
        _ if edition.contains("FREE") || edition.contains("TRIAL") => (5, limits::TRIAL_CREDITS),
        _ => limits::EDITION_UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock without a network.
    struct Clock(u64);

    impl Transport for Clock {
        fn now_ms(&self) -> u64 {
            self.0
        }

        fn ticks_ms(&self) -> u64 {
            self.0
        }

        fn send(&mut self, requests: &[Request], _: usize) -> Vec<std::result::Result<Response, Failure>> {
            requests.iter().map(|_| Err(Failure::Unsent)).collect()
        }
    }

    fn api() -> Api<Clock> {
        let config = r#"{"organization_id":"1","client_id":"id","client_secret":"s"}"#;
        Api::new(Clock(1_000), Config::parse(config).unwrap(), Session::default())
    }

    #[test]
    fn more_failing_records_than_are_counted_are_given_up_one_after_another() {
        let mut api = api();
        let mut failing: Vec<String> =
            (0..limits::FAILED_RECORDS_MAX + 50).map(|id| id.to_string()).collect();
        for _ in 0..4 {
            failing.retain(|id| {
                let gives_up = api.gives_up("tickets", id, 2);
                if gives_up {
                    api.forget_failures("tickets", id);
                }
                !gives_up
            });
            api.transport.0 += limits::FAILED_RECORD_MS;
        }
        assert_eq!(failing.len(), 0);
    }

    #[test]
    fn failing_records_that_are_asked_for_no_more_leave_room_for_others() {
        let mut api = api();
        for id in 0..limits::FAILED_RECORDS_MAX {
            api.gives_up("tickets", &id.to_string(), 2);
        }
        api.transport.0 += limits::FAILED_RECORD_LIFE_MS;
        assert!(!api.gives_up("contacts", "1", 2));
        api.transport.0 += limits::FAILED_RECORD_MS;
        assert!(api.gives_up("contacts", "1", 2));
    }

    #[test]
    fn each_edition_allows_calls_at_once_and_gives_credits() {
        assert_eq!(edition_gives("ENTERPRISE"), (25, 100_000));
        assert_eq!(edition_gives("professional"), (15, 75_000));
        assert_eq!(edition_gives("Free trial"), (5, 5_000));
        assert_eq!(edition_gives("SOMETHING NEW"), limits::EDITION_UNKNOWN);
    }
}
