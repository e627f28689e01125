//! The Desk API client: signs requests, renews a refused token once, compares clocks, counts credits, and
//! turns answers into values or errors. Owns the session; knows no table.

mod answer;
mod call;
mod kept;
mod unsigned;
mod waves;

pub(crate) use answer::Answer;
#[cfg(test)]
pub(crate) use answer::answer_of;
pub(crate) use kept::{BinFailure, Entry, RecycleBin, SharedSearch};

use call::{Call, failed, failed_with, no_answer, too_slow};
use waves::edition_gives;

use crate::config::Config;
use crate::delivered::Delivered;
use crate::error::{Error, Kind, Result};
use crate::limits;
use crate::oauth::{self, Credential, Grant};
use crate::paging::Longest;
use crate::session::{Arrival, Credits, EarlierClock, GivenUp, KeySet, Learned, Session, Trust};
use crate::transport::{Failure, Method, Opened, Request, Response, Transport};

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
    /// Credits left, and when an answer said so; at first of an earlier instance.
    credits_left: Option<(u64, u64)>,
    /// An answer said so in this instance.
    is_metered: bool,
    /// When the organization was last asked for.
    edition_asked_ms: Option<u64>,
    /// The recycle bin as last read, for the other tables of the same round.
    pub(crate) recycle_bin: Option<RecycleBin>,
    /// The last reading of it, where it failed.
    pub(crate) bin_failure: Option<BinFailure>,
    /// The search pages as last read, for the other tables of the same round.
    pub(crate) shared_search: Option<SharedSearch>,
    /// The longest pages of lists below other rows.
    pub(crate) longest: Longest,
}

impl<T: Transport> Api<T> {
    pub(crate) fn new(transport: T, config: Config, session: Session) -> Self {
        Self {
            credits_left: session.daily_credits.last(),
            transport,
            config,
            session,
            usage: Usage::default(),
            deadline_ms: None,
            is_metered: false,
            edition_asked_ms: None,
            recycle_bin: None,
            bin_failure: None,
            shared_search: None,
            longest: Longest::default(),
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

    /// Facts about the source that calls have shown.
    pub(crate) fn learned(&mut self) -> &mut Learned {
        &mut self.session.learned
    }

    /// True when the source refused an optional parameter.
    pub(crate) fn is_unsupported(&self, table: &str, parameter: &str) -> bool {
        self.session.learned.is_unsupported(table, parameter)
    }

    /// Notes that the source refuses an optional parameter.
    pub(crate) fn note_unsupported(&mut self, table: &str, parameter: &str) {
        let now_ms = self.transport.now_ms();
        self.session.learned.note_unsupported(table, parameter, now_ms);
    }

    /// Counts a failure of one record; see [`Learned::gives_up`].
    pub(crate) fn gives_up(&mut self, table: &str, id: &str, failures: u32) -> bool {
        let now_ms = self.transport.now_ms();
        self.session.learned.gives_up(table, id, failures, now_ms)
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
        self.last_credits().filter(|_| self.knows_credits())
    }

    /// The day's credits by the last answer, however long ago it was.
    fn last_credits(&self) -> Option<Credits> {
        let daily = self.session.daily_credits;
        Some(Credits {
            left: self.credits_left?.0,
            daily: daily.credits(edition_gives(self.edition()).1),
            reserve_percent: self.config.credits_reserve,
            next_day_ms: daily.next_day_ms(self.transport.now_ms()),
        })
    }

    fn knows_credits(&self) -> bool {
        let now_ms = self.transport.now_ms();
        self.credits_left.is_some_and(|(_, at_ms)| now_ms.abs_diff(at_ms) < limits::CREDITS_KNOWN_MS)
    }

    /// An error when the day's credits are too short for a read. Where they were when an answer named them a
    /// while ago, or to another instance, the smallest call asks how many are left now.
    pub(crate) fn allow(&mut self, is_snapshot: bool) -> Result<()> {
        let now_ms = self.transport.now_ms();
        let is_short = self.last_credits().is_some_and(|credits| credits.allow(is_snapshot, now_ms).is_err());
        if is_short && !(self.is_metered && self.knows_credits()) {
            // A failure leaves the decision to the source.
            drop(self.organization());
        }
        self.credits().map_or(Ok(()), |credits| credits.allow(is_snapshot, now_ms))
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
        session.learned = self.session.learned.for_another_grant();
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

    /// Sends one call.
    pub(crate) fn call(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<Answer> {
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let mut answers = self.call_all(&[Call { method, path: path.to_owned(), body }], 1)?;
        let answer = answers.pop().unwrap_or_else(|| Err(no_answer()));
        answer.map_err(|error| if error.is_not_asked() { too_slow() } else { error })
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

    /// True when the call is to end now, also within a step.
    fn is_over(&self) -> bool {
        let last_ms = self.deadline_ms.map(|deadline_ms| deadline_ms.saturating_add(limits::STEP_MS));
        last_ms.is_some_and(|last_ms| self.transport.ticks_ms() >= last_ms)
    }

    fn send(&mut self, calls: &[Call], requests: &[Request], at_once: usize) -> Vec<Result<Answer>> {
        if self.is_over() {
            return calls.iter().map(|_| Err(Error::not_asked())).collect();
        }
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
            (self.credits_left, self.is_metered) = (Some((left, now_ms)), true);
            self.session.daily_credits.note(left, now_ms);
        }
    }

    fn sign(&self, call: &Call) -> Request {
        call.signed(&self.config, self.session.access_token.as_deref().unwrap_or_default())
    }
}
