//! Errors in the contract's terms: a kind for the caller's reaction, the source's own code, and a message and
//! a hint for a person. Knows no HTTP; [`crate::api`] converts refusals to errors.

use std::fmt;
use std::num::NonZeroU64;

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
