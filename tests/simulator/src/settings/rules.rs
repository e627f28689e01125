//! Rules: wrong answers to chosen calls, once, a few times or always.

use serde::{Deserialize, Serialize};

/// One rule. Without `times` it applies until it is removed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// The method; empty: any.
    pub method: String,
    /// The path below `/api/v1`, or one that starts with `/oauth/`. `{id}` stands for one segment, a last `*`
    /// for the rest. `/tickets/127…` is one record.
    pub path: String,
    /// Text that the query must contain, for example `from=201`; empty: any.
    pub query: String,
    /// The answer.
    pub answer: RuleAnswer,
    /// `errorCode` in place of the usual one of the status.
    pub code: Option<String>,
    /// `message` in place of the usual one.
    pub message: Option<String>,
    /// `Retry-After`. A 429 with it is `THRESHOLD_EXCEEDED`, without it `TOO_MANY_REQUESTS` (§5.2).
    pub retry_after_seconds: Option<u64>,
    /// Matching calls that pass first.
    pub after: u64,
    /// Calls it applies to; none: all.
    pub times: Option<u64>,
    /// The part of the matching calls that it applies to, 0.0 to 1.0.
    pub fraction: f64,
    /// Decides which calls those are, with the URL and the number of earlier calls of that URL.
    pub seed: u64,
    /// The path alone decides: a record fails always or never.
    pub is_sticky: bool,
}

impl Default for Rule {
    fn default() -> Rule {
        Rule {
            method: String::new(),
            path: String::new(),
            query: String::new(),
            answer: RuleAnswer::Status(500),
            code: None,
            message: None,
            retry_after_seconds: None,
            after: 0,
            times: None,
            fraction: 1.0,
            seed: 0,
            is_sticky: false,
        }
    }
}

/// An answer that is a refusal, or one that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RuleAnswer {
    /// This status, with the body that the API has for it.
    Status(u16),
    /// The right answer or none, broken in transport.
    Broken(Broken),
}

/// How an answer is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Broken {
    /// No answer for `hang_ms`, then a closed connection.
    Hang,
    /// A closed connection without an answer.
    Dropped,
    /// A reset connection (TCP RST) without an answer.
    Reset,
    /// The connection closes in the middle of the body.
    Truncated,
    /// A body of the promised length that is not JSON.
    Malformed,
    /// A page of HTML with status 200, as a proxy or a login page.
    Html,
    /// The right body in small pieces, for `hang_ms` in all.
    Drip,
    /// The right body and 33 MiB of spaces, which are JSON too.
    Huge,
    /// The right body and more bytes without end.
    Endless,
    /// All but the last byte of the body, as if it were whole.
    Short,
}

impl From<u16> for RuleAnswer {
    fn from(status: u16) -> RuleAnswer {
        RuleAnswer::Status(status)
    }
}

impl From<Broken> for RuleAnswer {
    fn from(broken: Broken) -> RuleAnswer {
        RuleAnswer::Broken(broken)
    }
}

impl Rule {
    /// A rule for every call of a path.
    pub fn new(path: &str, answer: impl Into<RuleAnswer>) -> Rule {
        Rule { path: path.to_owned(), answer: answer.into(), ..Rule::default() }
    }

    /// For this many calls, then no more.
    #[must_use]
    pub fn times(self, times: u64) -> Rule {
        Rule { times: Some(times), ..self }
    }

    /// For this part of the calls, chosen by a seed.
    #[must_use]
    pub fn fraction(self, fraction: f64, seed: u64) -> Rule {
        Rule { fraction, seed, ..self }
    }

    /// For this part of the paths: a record fails always or never.
    #[must_use]
    pub fn sticky(self, fraction: f64, seed: u64) -> Rule {
        Rule { fraction, seed, is_sticky: true, ..self }
    }

    /// With this error code.
    #[must_use]
    pub fn code(self, code: &str) -> Rule {
        Rule { code: Some(code.to_owned()), ..self }
    }

    /// With `Retry-After`.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Rule {
        Rule { retry_after_seconds: Some(seconds), ..self }
    }
}
