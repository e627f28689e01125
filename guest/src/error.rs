//! Errors in the contract's terms: a kind for the caller's reaction, the source's own code, and a message and
//! a hint for a person. Knows no HTTP; [`crate::api`] converts refusals to errors.

use std::fmt;
use std::num::NonZeroU64;

/// The code of a host that no request reaches.
pub(crate) const UNREACHABLE: &str = "UNREACHABLE";

/// The code of a request that was not sent: the call had no time left.
const NOT_ASKED: &str = "NOT_ASKED";
/// The code of a call that was not sent, because those of its step took too long.
pub(crate) const SLOW: &str = "SLOW";

/// Decides the caller's reaction to a failure; the same cases as `error-kind` in `wit/source.wit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Config,
    Auth,
    Permission,
    NotFound,
    RateLimited,
    Unavailable,
    Data,
    Unsupported,
    Internal,
}

/// The calls that a failure concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Those for one record: it is deleted, or this user may not see it.
    Record,
    /// This request: the source refuses it, or fails at it.
    Request,
    /// Every call: credentials, a quota, the network.
    Connection,
}

/// One failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub kind: Kind,
    /// The source's own code, for example `INVALID_OAUTH`. Boxed, as `as_of` is packed, to keep results
    /// small.
    pub code: Option<Box<str>>,
    /// The subject first, then the failure. Never holds a secret.
    pub message: String,
    /// The next step to try.
    pub hint: Option<String>,
    /// Milliseconds to wait before the next attempt, where the source says so.
    pub retry_after_ms: Option<u64>,
    /// See [`Error::as_of_ms`].
    pub(crate) as_of: Option<NonZeroU64>,
    /// Open-ended facts by name, see `docs/CONTRACT.md`.
    pub attributes: Vec<(String, String)>,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: None,
            message: message.into(),
            hint: None,
            retry_after_ms: None,
            as_of: None,
            attributes: Vec::new(),
        }
    }

    /// The error of a request that was not sent, because the call had no time left.
    pub(crate) fn not_asked() -> Self {
        let message = "the time of the call ended before the request";
        Self::new(Kind::Unavailable, message).code(NOT_ASKED).retry_after_ms(Some(0))
    }

    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into().into_boxed_str());
        self
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The calls that the failure concerns.
    pub(crate) fn scope(&self) -> Scope {
        match self.kind {
            Kind::NotFound if self.is_missing() => Scope::Record,
            Kind::Permission if self.is_hidden() => Scope::Record,
            Kind::RateLimited | Kind::Auth | Kind::Config => Scope::Connection,
            Kind::Unavailable if !self.is_of_request() => Scope::Connection,
            _ => Scope::Request,
        }
    }

    /// True for a record that the source does not know. A 404 with another code, or with none, is of a proxy,
    /// or of a wrong address (`zoho-desk-api.md` §5.1).
    pub(crate) fn is_missing(&self) -> bool {
        self.kind == Kind::NotFound && self.code.as_deref() == Some("URL_NOT_FOUND")
    }

    /// True for one record that this user may not see; others of the table may well be readable. Portals
    /// differ in the code (`zoho-desk-api.md` §5.1).
    pub(crate) fn is_hidden(&self) -> bool {
        let is_of_record = matches!(self.code.as_deref(), Some("FORBIDDEN" | "UNAUTHORIZED"));
        self.kind == Kind::Permission && is_of_record
    }

    /// True for a grant without the scope of the request.
    pub(crate) fn lacks_scope(&self) -> bool {
        self.code.as_deref() == Some("SCOPE_MISMATCH")
    }

    /// True when the source fails at this request: others may well succeed.
    pub(crate) fn is_of_request(&self) -> bool {
        self.kind == Kind::Unavailable && !matches!(self.code.as_deref(), Some(UNREACHABLE | NOT_ASKED))
    }

    /// True for a call that was not sent, because those of its step took too long.
    pub(crate) fn is_slow(&self) -> bool {
        self.code.as_deref() == Some(SLOW)
    }

    /// True for [`Error::not_asked`]: the source did not fail.
    pub(crate) fn is_not_asked(&self) -> bool {
        self.code.as_deref() == Some(NOT_ASKED)
    }

    /// True when only a person can end the failure.
    pub(crate) fn needs_person(&self) -> bool {
        matches!(self.kind, Kind::Auth | Kind::Config)
    }

    /// True when the source decided against the request; the same request gets the same answer.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self.kind, Kind::Data | Kind::Permission | Kind::NotFound)
    }

    /// The source's clock when it refused, Unix milliseconds: a record that a 404 reports deleted was deleted
    /// by then.
    pub fn as_of_ms(&self) -> Option<u64> {
        self.as_of.map(NonZeroU64::get)
    }

    #[must_use]
    pub fn retry_after_ms(mut self, retry_after_ms: Option<u64>) -> Self {
        self.retry_after_ms = retry_after_ms;
        self
    }

    #[must_use]
    pub fn attribute(mut self, name: &str, value: impl Into<String>) -> Self {
        self.attributes.push((name.to_owned(), value.into()));
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.code {
            Some(code) if !self.message.contains(&**code) => write!(f, " ({code})"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_concerns_one_record_one_request_or_every_call() {
        use {Kind::*, Scope::*};
        for (kind, code, scope, is_refusal) in [
            (NotFound, "URL_NOT_FOUND", Record, true),
            (NotFound, "PROXY", Request, true),
            (Permission, "FORBIDDEN", Record, true),
            (Permission, "UNAUTHORIZED", Record, true),
            (Permission, "SCOPE_MISMATCH", Request, true),
            (Data, "UNPROCESSABLE_ENTITY", Request, true),
            (Unavailable, "INTERNAL_SERVER_ERROR", Request, false),
            (Unavailable, "BROKEN", Request, false),
            (Unavailable, "UNREACHABLE", Connection, false),
            (Unavailable, "NOT_ASKED", Connection, false),
            (RateLimited, "TOO_MANY_REQUESTS", Connection, false),
            (Auth, "INVALID_OAUTH", Connection, false),
            (Config, "HTTP_REQUEST_DENIED", Connection, false),
        ] {
            let error = Error::new(kind, "m").code(code);
            assert_eq!((error.scope(), error.is_refusal()), (scope, is_refusal), "{kind:?} {code}");
        }
    }
}
