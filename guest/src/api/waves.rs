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
