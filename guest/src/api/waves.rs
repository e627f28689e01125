//! Many calls at once: as many in flight as the source takes, fewer once it refuses them, and those that
//! failed again after the others.

use std::collections::VecDeque;

use super::Api;
use super::answer::{self, Answer};
use super::call::{Call, is, is_temporary, is_too_many, no_answer};
use crate::error::{Error, Kind, Result, Scope};
use crate::limits;
use crate::session::{Edition, Pace};
use crate::transport::Transport;

impl<T: Transport> Api<T> {
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
        let mut first = First::default();
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
            self.adapt(sent, refused);
            first.note(&wave, &answers, queue.iter().all(|(_, attempt)| *attempt > 1));
            is_proven = refused == 0 && first.is_answered;
            rest = end(&first, &answers, level);
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

    /// Lowers or raises the number of calls in flight after a wave of calls. One that is refused alone does
    /// not show that several are too many: those of other users were.
    fn adapt(&mut self, calls: usize, refused: usize) {
        let now_ms = self.transport.now_ms();
        let most = self.edition_allows();
        self.session.pace = match self.session.pace {
            pace if refused > 0 && calls > 1 => Pace::refused(pace, most, now_ms),
            pace if refused > 0 => pace,
            pace => pace.and_then(|pace| pace.answered(calls, most, now_ms)),
        };
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

    pub(super) fn edition(&self) -> &str {
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
}

/// The first attempts of calls, as long as none is answered.
#[derive(Default)]
struct First {
    failed: usize,
    is_answered: bool,
    /// A few failed, or all there are.
    is_enough: bool,
}

impl First {
    fn note(&mut self, wave: &[(usize, u32)], answers: &[Result<Answer>], is_last: bool) {
        self.failed += answers.len();
        self.is_answered |= wave.iter().any(|(_, attempt)| *attempt > 1)
            || answers.iter().any(|answer| !is(answer, |error| error.scope() != Scope::Record));
        let is_for_all = answers.iter().any(|answer| is(answer, |error| error.scope() == Scope::Connection));
        self.is_enough = is_last || is_for_all || self.failed > limits::FAILED_RECORDS_ALONE;
    }
}

/// Why no further calls are sent after these: the source asks to wait, or answers none. Fewer at once may be
/// taken where many were refused. A failure at these calls says nothing about those that were not sent.
fn end(first: &First, answers: &[Result<Answer>], level: usize) -> Option<Error> {
    if answers.is_empty() {
        return Some(Error::not_asked());
    }
    let waits = |error: &Error| error.kind == Kind::RateLimited && error.retry_after_ms.is_some();
    let may_be_less = level > 1 && answers.iter().any(|answer| is(answer, is_too_many));
    let mut errors = answers.iter().filter_map(|answer| answer.as_ref().err());
    if first.is_answered || !first.is_enough || may_be_less {
        return errors.find(|error| waits(error)).cloned();
    }
    let is_for_all = |error: &&Error| error.scope() == Scope::Connection;
    Some(errors.find(is_for_all).cloned().unwrap_or_else(Error::not_asked))
}

/// The concurrent calls that an edition allows, and the daily credits that it gives without its users
/// (`zoho-desk-api.md` §5.2).
pub(super) fn edition_gives(edition: &str) -> (usize, u64) {
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

    #[test]
    fn each_edition_allows_calls_at_once_and_gives_credits() {
        assert_eq!(edition_gives("ENTERPRISE"), (25, 100_000));
        assert_eq!(edition_gives("professional"), (15, 75_000));
        assert_eq!(edition_gives("Free trial"), (5, 5_000));
        assert_eq!(edition_gives("SOMETHING NEW"), limits::EDITION_UNKNOWN);
    }
}
