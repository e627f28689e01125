//! One call of the API before it is signed, and the meaning of its failure for the calls after it. Pure.

use super::Answer;
use crate::config::Config;
use crate::error::{Error, Kind, Result, SLOW, UNREACHABLE};
use crate::limits;
use crate::transport::{Failure, Method, Request};

/// One call of the API, before it is signed.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Vec<u8>,
}

impl Call {
    pub(super) fn get(path: &str) -> Self {
        Self { method: Method::Get, path: path.to_owned(), body: Vec::new() }
    }

    /// Its name in errors: method and path without the query.
    pub(super) fn label(&self) -> String {
        let method = match self.method {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        };
        format!("{method} {}", self.path.split('?').next().unwrap_or_default())
    }

    /// The request with this access token.
    pub(super) fn signed(&self, config: &Config, token: &str) -> Request {
        let mut headers = vec![
            ("authorization", format!("Zoho-oauthtoken {token}")),
            ("orgid", config.organization_id.clone()),
            ("accept", "application/json".to_owned()),
        ];
        if !self.body.is_empty() {
            headers.push(("content-type", "application/json".to_owned()));
        }
        Request {
            method: self.method,
            origin: config.desk.clone(),
            path_with_query: self.path.clone(),
            headers,
            body: self.body.clone(),
        }
    }
}

/// The indexes of the answers that are such errors.
pub(super) fn failed_with(answers: &[Result<Answer>], is: impl Fn(&Error) -> bool) -> Vec<usize> {
    (0..answers.len()).filter(|&index| answers[index].as_ref().is_err_and(&is)).collect()
}

pub(super) fn no_answer() -> Error {
    Error::new(Kind::Internal, "the transport gave no answer")
}

/// The failure of a call that was not sent, because those of the same step before it took too long. The step
/// starts again, so that it counts as a failure of the source.
pub(super) fn too_slow() -> Error {
    let message = "the source answers too slowly: the calls of one step took more than a minute";
    Error::new(Kind::Unavailable, message).code(SLOW).hint("try again later")
}

/// True when the call failed so.
pub(super) fn is(answer: &Result<Answer>, so: impl Fn(&Error) -> bool) -> bool {
    answer.as_ref().is_err_and(so)
}

/// True when the source refused the call because too many are in flight; a used-up day is another refusal.
pub(super) fn is_too_many(error: &Error) -> bool {
    error.kind == Kind::RateLimited && error.code.as_deref() != Some("THRESHOLD_EXCEEDED")
}

/// True when the same call may succeed at once.
pub(super) fn is_temporary(error: &Error) -> bool {
    error.is_of_request() || (is_too_many(error) && error.retry_after_ms.is_none())
}

pub(super) fn failed(host: &str, failure: Failure) -> Error {
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
