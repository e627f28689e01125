//! Selects the rule that applies to a call, and renders its error.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::http::error::ApiError;
use crate::http::request::Call;
use crate::rng::{Rng, hash};
use crate::settings::{Broken, Rule, RuleAnswer};

/// The progress of the rules, by their position in the settings.
#[derive(Debug, Default)]
pub(crate) struct RuleCounts {
    counts: Mutex<Vec<Count>>,
}

#[derive(Clone, Debug, Default)]
struct Count {
    calls: u64,
    hits: u64,
    /// Calls of each URL, for rules that apply to a part of the calls.
    urls: HashMap<u64, u64>,
}

impl RuleCounts {
    /// The first rule that applies to a call.
    pub(crate) fn next<'r>(&self, rules: &'r [Rule], call: &Call) -> Option<&'r Rule> {
        if rules.is_empty() {
            return None;
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() < rules.len() {
            counts.resize(rules.len(), Count::default());
        }
        let mut pairs = rules.iter().zip(counts.iter_mut());
        pairs.find_map(|(rule, count)| count.applies(rule, call).then_some(rule))
    }

    /// Starts all rules from their beginning.
    pub(crate) fn restart(&self) {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Count {
    fn applies(&mut self, rule: &Rule, call: &Call) -> bool {
        if !matches(rule, call) {
            return false;
        }
        self.calls += 1;
        let is_due = self.calls > rule.after && rule.times.is_none_or(|times| self.hits < times);
        if !is_due || (rule.fraction < 1.0 && !self.is_drawn(rule, call)) {
            return false;
        }
        self.hits += 1;
        true
    }

    fn is_drawn(&mut self, rule: &Rule, call: &Call) -> bool {
        if rule.is_sticky {
            return Rng::new(rule.seed, hash(call.path.as_bytes()), 0).happens(rule.fraction);
        }
        let url = hash(format!("{} {}?{}", call.method, call.path, call.raw_query).as_bytes());
        let number = self.urls.entry(url).or_default();
        *number += 1;
        Rng::new(rule.seed, url, *number).happens(rule.fraction)
    }
}

fn matches(rule: &Rule, call: &Call) -> bool {
    let path = call.path.strip_prefix("/api/v1").unwrap_or(&call.path);
    (rule.method.is_empty() || rule.method == call.method.as_str())
        && call.raw_query.contains(&rule.query)
        && matches_path(&rule.path, path)
}

fn matches_path(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (Some("*"), _) | (None, None) => return true,
            (Some("{id}"), Some(segment)) if !segment.is_empty() => {}
            (Some(wanted), Some(given)) if wanted == given => {}
            _ => return false,
        }
    }
}

/// The name of a rule's answer in `/_admin/stats`.
pub(crate) fn name(answer: RuleAnswer) -> &'static str {
    match answer {
        RuleAnswer::Status(_) => "ruleStatus",
        RuleAnswer::Broken(broken) => match broken {
            Broken::Hang => "ruleHang",
            Broken::Dropped => "ruleDropped",
            Broken::Reset => "ruleReset",
            Broken::Truncated => "ruleTruncated",
            Broken::Malformed => "ruleMalformed",
            Broken::Html => "ruleHtml",
            Broken::Drip => "ruleDrip",
            Broken::Huge => "ruleHuge",
            Broken::Endless => "ruleEndless",
            Broken::Short => "ruleShort",
        },
    }
}

/// The error of a rule that answers with a status.
pub(crate) fn error(rule: &Rule, status: u16) -> ApiError {
    let mut error = match status {
        400 => ApiError::new(400, "BAD_REQUEST", "The request is not valid."),
        401 => ApiError::new(401, "UNAUTHORIZED", "You are not authorized to perform this operation."),
        403 if rule.code.as_deref() == Some("SCOPE_MISMATCH") => ApiError::scope_mismatch(),
        403 => ApiError::forbidden(),
        404 => ApiError::not_found(),
        422 => {
            let message = "The data does not comply to the validation restrictions defined.";
            ApiError::new(422, "INVALID_DATA", message)
        }
        429 => rule.retry_after_seconds.map_or_else(ApiError::too_many, ApiError::threshold),
        500 => ApiError::internal(),
        other => ApiError::new(other, "ERROR", "The request failed."),
    };
    error.set_retry_after(rule.retry_after_seconds);
    error.set_text(rule.code.as_deref(), rule.message.as_deref());
    error
}

#[cfg(test)]
mod tests {
    use super::matches_path;

    #[test]
    fn a_placeholder_stands_for_one_segment_and_a_star_for_the_rest() {
        assert!(matches_path("/tickets/{id}/threads", "/tickets/12/threads"));
        assert!(!matches_path("/tickets/{id}", "/tickets/12/threads"));
        assert!(!matches_path("/tickets/{id}", "/tickets/"));
        assert!(matches_path("/tickets/*", "/tickets/12/threads"));
        assert!(matches_path("*", "/tickets"));
        assert!(matches_path("/tickets/12", "/tickets/12") && !matches_path("/tickets/12", "/tickets/13"));
    }
}
